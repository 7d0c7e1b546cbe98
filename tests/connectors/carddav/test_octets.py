"""What a card holds to the last octet: what proves it, how much is kept, and what an update does with it."""

import hashlib

import httpx
import pytest

from tests.connectors.carddav.books import create, update, vcard
from tests.connectors.carddav.scripted import BOOK, Answer, Scripted, address_book, found, missing, multistatus, run
from twoway.sdk import Kind, Outcome, Record, Write
from twoway_connectors.carddav.connector import CardDavConnector
from twoway_connectors.carddav.octets import Octets, proves, stored_octets

CARD = vcard("a", "NOTE:ä").encode()
MD5 = f'"{hashlib.md5(CARD, usedforsecurity=False).hexdigest()}"'
GIT = hashlib.sha1(b"blob %d\0" % len(CARD) + CARD, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("what", "version", "proved"),
    [
        ("Radicale's", f'"{hashlib.sha256(CARD).hexdigest()}"', True),
        ("sabre/dav's", MD5, True),
        ("Xandikos's", f'"{GIT}"', True),
        ("in capital letters", MD5.upper(), True),
        ("another content's", f'"{hashlib.sha256(CARD + b" ").hexdigest()}"', False),
        ("a counter", '"17"', False),
        ("a weak one", f"W/{MD5}", False),
        ("no hexadecimal number", f'"{"x" * 32}"', False),
        ("of another length", f'"{hashlib.sha512(CARD).hexdigest()}"', False),
    ],
)
def test_a_version_proves_the_octets_of_which_it_is_a_digest(what: str, version: str, *, proved: bool) -> None:
    assert proves(version, CARD) is proved, what


@pytest.mark.parametrize(
    ("what", "stored", "version", "length", "known"),
    [
        ("the digest tells", CARD, MD5, "", True),
        ("the length tells", CARD, '"1"', str(len(CARD)), True),
        ("line feeds alone", CARD.replace(b"\r", b""), '"1"', str(len(CARD.replace(b"\r", b""))), True),
        ("no proof", CARD, '"1"', "", False),
        ("it is told in another form than it is stored", CARD, '"1"', str(len(CARD) + 1), False),
        ("it has the length of another version of vCard", CARD.replace(b"3.0", b"4.0"), MD5, str(len(CARD)), False),
        ("a length that is none", CARD, '"1"', "many", False),
    ],
)
def test_a_cards_line_endings_are_found_again(
    what: str, stored: bytes, version: str, length: str, *, known: bool
) -> None:
    text = stored.decode().replace("\r\n", "\n")  # as an XML parser gives it
    assert stored_octets(text, version, length) == (stored if known else None), what


def test_no_more_is_kept_than_allowed_and_only_at_its_version() -> None:
    kept = Octets(most=3_000)
    for number in range(10):
        kept.keep(f"{number}.vcf", '"1"', b"x" * 600)
    assert [number for number in range(10) if kept.at(f"{number}.vcf", '"1"')] == [7, 8, 9]
    kept.keep("9.vcf", '"2"', b"y")
    assert (kept.at("9.vcf", '"1"'), kept.at("9.vcf", '"2"'), kept.at("9.vcf", None)) == (None, b"y", None)
    kept.keep("9.vcf", '"3"', b"x" * 1_000_000)
    assert kept.at("9.vcf", '"2"') is None
    assert kept.at("8.vcf", '"1"') == b"x" * 600  # one that is too large takes nobody's place


def test_what_we_wrote_is_told_once_and_only_where_it_is_stored_as_sent() -> None:
    kept = Octets()
    kept.written("a.vcf", MD5, CARD)
    kept.written("b.vcf", '"17"', CARD)
    kept.written("c.vcf", None, CARD)
    kept.written("d.vcf", MD5, CARD)
    kept.keep("d.vcf", MD5, CARD)
    assert [kept.first_reading(f"{name}.vcf", MD5) for name in "abcd"] == [CARD, None, None, None]
    assert kept.first_reading("a.vcf", MD5) is None
    kept.written("a.vcf", MD5, CARD)
    assert kept.first_reading("a.vcf", '"of a person\'s edit"') is None
    assert kept.first_reading("a.vcf", MD5) is None


def card(name: str, etag: str, stored: bytes = CARD, *, sized: bool = True) -> str:
    length = f"<d:getcontentlength>{len(stored)}</d:getcontentlength>" if sized else ""
    return found(
        BOOK + name, f"<d:getetag>{etag}</d:getetag>{length}<c:address-data>{stored.decode()}</c:address-data>"
    )


def written_over(report: Answer, writes: list[Write], **script: Answer) -> tuple[list[str], list[Outcome], Scripted]:
    """Carry out a batch: the methods that were asked for after the address book was found, and the outcomes."""
    server = Scripted({"PROPFIND": address_book(), "REPORT": report, "PUT": httpx.Response(204), **script})

    async def scenario(connector: CardDavConnector) -> list[Outcome]:
        return [receipt.outcome for receipt in await connector.apply(writes)]

    outcomes = run(server, scenario)
    return [request.method for request in server.asked[1:]], outcomes, server


def test_a_batch_of_updates_reads_all_its_cards_in_one_request() -> None:
    cards = multistatus(*(card(f"{name}.vcf", '"1"') for name in "abc"))
    methods, outcomes, server = written_over(cards, [update(f"{name}.vcf", '"1"', title="Boss") for name in "abc"])
    assert methods == ["REPORT", "PUT", "PUT", "PUT"]
    assert outcomes == [Outcome.DONE] * 3
    for request in server.asked[-3:]:
        assert request.headers["if-match"] == '"1"'
        assert request.content == CARD.replace(b"END:", b"TITLE:Boss\r\nEND:")


def test_a_card_of_which_the_report_proves_nothing_is_read_by_itself() -> None:
    """A server may tell it in another form than it is stored; that form must not be written back."""
    told = card("a.vcf", '"1"', CARD.replace(b"NOTE:", b"NOTE;X=1:"), sized=False)
    stored = httpx.Response(200, content=CARD, headers={"etag": '"1"'})
    writes = [update("a.vcf", '"1"', title="Boss"), update("b.vcf", '"1"', title="Boss")]
    methods, outcomes, server = written_over(multistatus(told, card("b.vcf", '"1"')), writes, GET=stored)
    assert methods == ["REPORT", "GET", "PUT", "PUT"]
    assert outcomes == [Outcome.DONE] * 2
    assert server.asked[-2].content == CARD.replace(b"END:", b"TITLE:Boss\r\nEND:")


def test_a_card_that_moved_or_is_gone_is_told_by_the_look_before_the_batch() -> None:
    answers = multistatus(card("a.vcf", '"2"'), missing(BOOK + "b.vcf", 404), card("c.vcf", '"1"'))
    methods, outcomes, _ = written_over(answers, [update(f"{name}.vcf", '"1"', title="Boss") for name in "abc"])
    assert methods == ["REPORT", "PUT"]
    assert outcomes == [Outcome.MOVED, Outcome.GONE, Outcome.DONE]


def test_that_a_card_holds_it_already_is_believed_of_no_text_that_was_kept() -> None:
    """Nothing is sent, and so no condition tells whether somebody has changed it meanwhile."""
    edited = httpx.Response(200, content=CARD, headers={"etag": '"2"'})
    stored = CARD.replace(b"END:", b"TITLE:Boss\r\nEND:")
    cards = multistatus(card("a.vcf", '"1"', stored), card("b.vcf", '"1"'))
    writes = [update(f"{name}.vcf", '"1"', title="Boss") for name in "ab"]
    methods, outcomes, _ = written_over(cards, writes, GET=edited)
    assert methods == ["REPORT", "GET", "PUT"]
    assert outcomes == [Outcome.MOVED, Outcome.DONE]


def test_what_was_fetched_or_written_is_not_read_again_before_it_is_written() -> None:
    stored: dict[str, bytes] = {}

    def put(request: httpx.Request) -> httpx.Response:
        stored["a.vcf"] = request.content
        return httpx.Response(204, headers={"etag": f'"{hashlib.sha256(request.content).hexdigest()}"'})

    server = Scripted({"PROPFIND": address_book(), "REPORT": multistatus(card("a.vcf", MD5, sized=False)), "PUT": put})

    async def scenario(connector: CardDavConnector) -> None:
        read = (await connector.fetch(["a.vcf"]))["a.vcf"]
        assert isinstance(read, Record)
        version = read.version
        for title in ("Boss", "Chief"):
            (receipt,) = await connector.apply([update("a.vcf", version, title=title)])
            assert receipt.outcome is Outcome.DONE
            version = receipt.version
        assert stored["a.vcf"] == CARD.replace(b"END:", b"TITLE:Chief\r\nEND:")
        assert [request.method for request in server.asked] == ["PROPFIND", "REPORT", "PUT", "PUT"]

    run(server, scenario)


def test_the_feed_tells_cards_where_it_goes_on_from_what_it_told_last() -> None:
    """After a pause it may be the whole address book, and after our own writes these: then it tells versions alone."""

    def report(request: httpx.Request) -> httpx.Response:
        whole = b"address-data" in request.content
        asked.append(whole)
        told = card("a.vcf", '"1"', sized=False) if whole else found(BOOK + "a.vcf", '<d:getetag>"1"</d:getetag>')
        return multistatus(told, more="<d:sync-token>2</d:sync-token>")

    asked: list[bool] = []

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.changes("sync:1")
        assert (page.versions, page.records) == ([("a.vcf", '"1"')], ())
        page = await connector.changes(page.cursor)
        ((told,), versions) = (page.records, page.versions)
        assert (told.id, told.version, told.values["note"], versions) == ("a.vcf", '"1"', "ä", [])
        await connector.apply([create(fn="Ann")])
        page = await connector.changes(page.cursor)
        assert (page.versions, page.records) == ([("a.vcf", '"1"')], ())
        assert asked == [False, True, False]

    run({"REPORT": report, "PUT": httpx.Response(201)}, scenario)


@pytest.mark.parametrize(
    ("what", "refusal"),
    [
        ("it refuses the question", httpx.Response(403)),
        ("it fails over it", httpx.Response(500)),
        ("a card does not fit into XML", httpx.Response(207, text="<d:multistatus>\x01")),
        ("it leaves the cards out", None),
    ],
)
def test_a_feed_that_cannot_tell_cards_is_asked_for_versions(what: str, refusal: httpx.Response | None) -> None:
    plain = multistatus(found(BOOK + "a.vcf", '<d:getetag>"1"</d:getetag>'), more="<d:sync-token>2</d:sync-token>")

    def report(request: httpx.Request) -> httpx.Response:
        whole = b"address-data" in request.content
        asked.append(whole)
        answer = refusal if whole and refusal is not None else plain
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    asked: list[bool] = []

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.changes("sync:1")
        for _ in range(2):
            page = await connector.changes(page.cursor)
            assert (page.versions, page.records, page.cursor) == ([("a.vcf", '"1"')], (), "sync:2"), what
        assert asked.count(True) == 1  # and never again

    run({"REPORT": report}, scenario)


def test_a_batch_of_deletes_reads_nothing() -> None:
    writes = [Write(operation=f"o{at}", kind=Kind.DELETE, id=f"{at}.vcf", version='"1"') for at in range(2)]
    methods, outcomes, _ = written_over(httpx.Response(405), writes, DELETE=httpx.Response(204))
    assert (methods, outcomes) == (["DELETE", "DELETE"], [Outcome.DONE] * 2)
