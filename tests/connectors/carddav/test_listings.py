"""How other servers list an address book, and tell its changes: scripted answers, one server's habit a test."""

import httpx
import pytest

from tests.connectors.carddav.books import vcard
from tests.connectors.carddav.scripted import (
    BOOK,
    RESOURCE,
    ROOT,
    Answer,
    Scripted,
    address_book,
    address_data,
    error,
    etag,
    found,
    missing,
    multistatus,
    run,
)
from twoway.sdk import AccountRefused, Record, SnapshotNeeded, TellUser, TryLater
from twoway_connectors.carddav.connector import CardDavConnector


def test_a_truncated_report_is_not_the_last_page_and_goes_on_from_its_token() -> None:
    truncated = multistatus(missing(BOOK + "a.vcf", 404), missing(BOOK, 507), more="<d:sync-token>2</d:sync-token>")
    rest = multistatus(missing(BOOK + "b.vcf", 404), more="<d:sync-token>3</d:sync-token>")
    server = Scripted({"PROPFIND": address_book(), "REPORT": [truncated, rest]})

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.changes("sync:1")
        assert (page.gone, page.cursor, page.last) == (["a.vcf"], "sync:2", False)
        page = await connector.changes(page.cursor)
        assert (page.gone, page.cursor, page.last) == (["b.vcf"], "sync:3", True)
        assert b"<d:sync-token>2</d:sync-token>" in server.asked[-1].content

    run(server, scenario)


@pytest.mark.parametrize("more", ["", "<d:sync-token>1</d:sync-token>"])
def test_a_report_that_does_not_move_on_is_told(more: str) -> None:
    stuck = multistatus(missing(BOOK, 507), more=more)

    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(TellUser, match="sync token"):
            await connector.changes("sync:1")

    run({"REPORT": stuck}, scenario)


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (error(403, "<d:valid-sync-token/>"), SnapshotNeeded),
        (error(409, "<d:valid-sync-token/>"), SnapshotNeeded),
        (error(412, "<d:valid-sync-token/>"), SnapshotNeeded),
        (error(507, "<d:number-of-matches-within-limits/>"), SnapshotNeeded),
        (error(410), SnapshotNeeded),
        (error(403), AccountRefused),
        (error(404), TellUser),
        (error(507), TryLater),
        (httpx.Response(207, text="<!DOCTYPE x><x/>"), TellUser),
        (httpx.Response(207, text="<html/>"), TellUser),
    ],
)
def test_what_a_refused_report_of_changes_means(answer: httpx.Response, raised: type[Exception]) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(raised):
            await connector.changes("sync:1")

    run({"REPORT": answer}, scenario)


def test_a_report_of_changes_tells_versions_and_no_card() -> None:
    created = f"<d:response><d:href>{BOOK}new.vcf</d:href><d:status>HTTP/1.1 201 Created</d:status>"
    propstat = "<d:propstat><d:prop><d:getetag>&quot;9&quot;</d:getetag></d:prop></d:propstat></d:response>"
    report = multistatus(
        *(etag("a.vcf", '"1"'), etag("b%2Bb.vcf", "2"), found(f"{ROOT}{BOOK}c.vcf", '<d:getetag>"3-gzip"</d:getetag>')),
        *(created + propstat, missing(BOOK + "gone.vcf", 404), missing(BOOK + "lost.vcf", 410)),
        *(missing(BOOK + "denied.vcf", 403), found(BOOK + "untold.vcf", ""), etag("weak.vcf", 'W/"4"')),
        *(found(BOOK, ""), found(BOOK.rstrip("/"), ""), found("/elsewhere/x.vcf", ""), found(BOOK + "sub/", "")),
        more="<d:sync-token>2</d:sync-token>",
    )
    server = Scripted({"PROPFIND": address_book(), "REPORT": report})

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.changes("sync:1")
        assert page.versions == [("a.vcf", '"1"'), ("b+b.vcf", '"2"'), ("c.vcf", '"3"'), ("new.vcf", '"9"')]
        assert page.gone == ["gone.vcf", "lost.vcf"]
        # What the server vouches for by no strong ETag is named, to be read by id.
        assert page.ids == ["denied.vcf", "untold.vcf", "weak.vcf"]
        assert (page.records, page.cursor, page.last) == ((), "sync:2", True)
        assert [request.method for request in server.asked] == ["PROPFIND", "REPORT"]

    run(server, scenario)


def test_of_a_card_that_comes_twice_the_last_word_holds() -> None:
    report = multistatus(
        *(missing(BOOK + "a.vcf", 404), etag("a.vcf", '"2"'), etag("b.vcf", '"1"'), missing(BOOK + "b.vcf", 404)),
        *(etag("c.vcf", 'W/"1"'), etag("c.vcf", '"2"'), etag("d.vcf", '"1"'), found(BOOK + "d.vcf", "")),
        more="<d:sync-token>2</d:sync-token>",
    )

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.changes("sync:1")
        assert (page.versions, page.gone) == ([("a.vcf", '"2"'), ("c.vcf", '"2"')], ["b.vcf"])
        assert page.ids == ["d.vcf"]

    run({"REPORT": report}, scenario)


def by_report(syncs: list[httpx.Response], cards: httpx.Response | None = None) -> Answer:
    """Answers to sync reports, one after the other, and to multigets."""

    def answer(request: httpx.Request) -> httpx.Response:
        return syncs.pop(0) if b"sync-collection" in request.content else cards or httpx.Response(405)

    return answer


def test_everything_is_told_by_one_report_with_the_token_that_stands_for_it() -> None:
    told = multistatus(
        *(etag("a.vcf", '"1"'), missing(BOOK + "long-gone.vcf", 404), found(BOOK, "")),
        more="<d:sync-token>7</d:sync-token>",
    )
    server = Scripted({"PROPFIND": address_book(), "REPORT": told})

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.snapshot(None)
        assert (page.versions, page.feed, page.last, page.total) == ([("a.vcf", '"1"')], "sync:7", True, 1)
        assert (page.records, page.ids) == ((), [])
        assert b"<d:sync-token></d:sync-token>" in server.asked[-1].content
        assert len(server.asked) == 2

    run(server, scenario)


def test_a_first_report_in_parts_is_followed_to_its_end() -> None:
    """As Nextcloud does beyond some thousand cards; what changes between two parts comes with the later one."""
    parts: list[Answer] = [
        multistatus(
            *(etag("a.vcf", '"1"'), etag("b.vcf", '"1"'), etag("c.vcf", '"1"'), missing(BOOK, 507)),
            more="<d:sync-token>part</d:sync-token>",
        ),
        multistatus(etag("b.vcf", '"2"'), missing(BOOK + "c.vcf", 404), more="<d:sync-token>end</d:sync-token>"),
    ]
    server = Scripted({"PROPFIND": address_book(), "REPORT": parts})

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.snapshot(None)
        assert (page.versions, page.total) == ([("a.vcf", '"1"'), ("b.vcf", '"2"')], 2)
        assert (page.feed, page.last) == ("sync:end", True)
        assert b"<d:sync-token>part</d:sync-token>" in server.asked[-1].content

    run(server, scenario)


_MEMBERS = multistatus(found(BOOK, RESOURCE), etag("a.vcf", '"1"'), etag("b.vcf", '"1"'))
_PART = multistatus(etag("a.vcf", '"1"'), missing(BOOK, 507), more="<d:sync-token>2</d:sync-token>")
NO_FIRST_REPORT: list[tuple[str, list[httpx.Response]]] = [
    ("an empty token is none", [error(403, "<d:valid-sync-token/>")]),
    ("reports go no deeper", [error(403, "<d:sync-traversal-supported/>")]),
    ("refused without a word", [error(403)]),
    ("taken for broken", [error(400)]),
    ("no such report", [error(405)]),
    ("unsupported", [error(415)]),
    ("out of memory", [error(500)]),
    ("not made yet", [error(501)]),
    ("too many members", [error(507, "<d:number-of-matches-within-limits/>")]),
    ("no token", [multistatus(etag("a.vcf", '"1"'))]),
    ("refused within the answer", [multistatus(missing(BOOK, 403))]),
    ("cut, and no way on", [_PART, _PART]),
    ("cut, and the token has expired", [_PART, error(403, "<d:valid-sync-token/>")]),
]


@pytest.mark.parametrize(("what", "answers"), NO_FIRST_REPORT, ids=lambda part: part if isinstance(part, str) else "")
def test_a_server_that_does_not_report_everything_is_listed(what: str, answers: list[httpx.Response]) -> None:
    del what
    server = Scripted({"PROPFIND": [address_book(), address_book(), _MEMBERS], "REPORT": by_report(list(answers))})

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.snapshot(None)
        assert (page.versions, page.last, page.total) == ([("a.vcf", '"1"'), ("b.vcf", '"1"')], True, 2)
        # The token is asked for before the members: what is edited while they are listed comes after it.
        assert page.feed == "sync:1"
        assert [request.headers["depth"] for request in server.asked[-2:]] == ["0", "1"]

    run(server, scenario)


def test_a_first_report_of_nothing_is_held_against_the_listing() -> None:
    """A server may take an empty token for "now"."""
    nothing = multistatus(more="<d:sync-token>now</d:sync-token>")

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.snapshot(None)
        assert (page.versions, page.feed) == ([("a.vcf", '"1"'), ("b.vcf", '"1"')], "sync:now")

    run({"PROPFIND": [address_book(), _MEMBERS], "REPORT": nothing}, scenario)


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (httpx.Response(401), AccountRefused),
        (httpx.Response(429, headers={"retry-after": "1"}), TryLater),
        (httpx.Response(503), TryLater),
        (httpx.Response(200, html="<h1>Log in</h1>"), TellUser),
        (httpx.Response(207, text="<!DOCTYPE x><x/>"), TellUser),
        (httpx.Response(207, content=_MEMBERS.content[:-40]), TellUser),
    ],
)
def test_a_first_report_that_fails_is_no_reason_to_ask_otherwise(
    answer: httpx.Response, raised: type[Exception]
) -> None:
    server = Scripted({"PROPFIND": address_book(), "REPORT": answer})

    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(raised):
            await connector.snapshot(None)
        assert [request.method for request in server.asked].count("PROPFIND") == 1

    run(server, scenario)


@pytest.mark.parametrize(
    ("properties", "feed"), [("<s:getctag>5</s:getctag>", "ctag:5"), ("", "none:")], ids=["ctag", "nothing"]
)
def test_without_sync_reports_the_members_are_listed(properties: str, feed: str) -> None:
    server = Scripted({"PROPFIND": [address_book(properties), address_book(properties), _MEMBERS]})

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.snapshot(None)
        assert (page.versions, page.feed) == ([("a.vcf", '"1"'), ("b.vcf", '"1"')], feed)
        assert [request.headers["depth"] for request in server.asked] == ["0", "0", "1"]

    run(server, scenario)


def test_cards_without_a_strong_etag_are_listed_by_id_alone() -> None:
    folder = found(BOOK + "sub", "<d:resourcetype><d:collection/></d:resourcetype>")
    listing = multistatus(
        *(found(BOOK, RESOURCE), folder, etag("a.vcf", '"1"'), etag("weak.vcf", 'W/"1"'), found(BOOK + "none.vcf", "")),
        *(missing(BOOK + "denied.vcf", 403), missing(BOOK + "locked.vcf", 423).replace("</d:response>", "")),
        "<d:propstat><d:prop><d:getetag>&quot;1&quot;</d:getetag></d:prop></d:propstat></d:response>",
        *(etag("empty.vcf", '""'), etag("blank.vcf", " ")),
    )
    cards = multistatus(address_data("a.vcf", vcard("a")), address_data("weak.vcf", vcard("weak"), 'W/"1"'))
    no_sync = address_book("<s:getctag>1</s:getctag>")

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.snapshot(None)
        assert page.versions == [("a.vcf", '"1"')]
        assert page.ids == ["weak.vcf", "none.vcf", "denied.vcf", "locked.vcf", "empty.vcf", "blank.vcf"]
        assert (page.records, page.total, page.last) == ((), 7, True)
        read = await connector.fetch(["a.vcf", "weak.vcf"])
        # Weak as it is, it is like no strong one that the server may give the next content.
        assert [card.version for card in read.values() if isinstance(card, Record)] == ['"1"', 'W/"1"']

    run({"PROPFIND": [no_sync, no_sync, listing], "REPORT": cards}, scenario)


def test_a_listing_that_was_cut_proves_nothing() -> None:
    no_sync, cut = address_book(""), multistatus(etag("a.vcf", '"1"'), missing(BOOK, 507))

    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(TellUser, match="507"):
            await connector.snapshot(None)

    run({"PROPFIND": [no_sync, no_sync, cut]}, scenario)


@pytest.mark.parametrize(
    ("href", "card_id"),
    [
        ("/dav/book/a.vcf", "a.vcf"),
        ("/dav/bo%6Fk/a.vcf", "a.vcf"),
        ("/dav/book/a%2evcf", "a.vcf"),
        (f"{ROOT}/dav/book/a.vcf", "a.vcf"),
        ("https://other.example.org/dav/book/a.vcf", "a.vcf"),
        ("a.vcf", "a.vcf"),
        ("./a.vcf", "a.vcf"),
        ("/dav/./book/x/../a.vcf", "a.vcf"),
        ("/dav/book/a%40b,c.vcf", "a@b,c.vcf"),
        ("/dav/book/a@b,c.vcf", "a@b,c.vcf"),
        ("/dav/book/%C3%BC b.vcf", "%C3%BC%20b.vcf"),
        ("/dav/book/ü%20b.vcf", "%C3%BC%20b.vcf"),
        ("/dav/book/a%25b", "a%25b"),
        ("/dav/book/a.vcf?x=1#y", "a.vcf"),
        ("/dav/book/a.", "a."),
        ("/dav/book/..a", "..a"),
        ("/dav/book/", None),
        ("/dav/book", None),
        ("/dav/bookish/a.vcf", None),
        ("/dav/other-a.vcf", None),
        ("/dav/book/sub/a.vcf", None),
        ("/dav/book/sub%2Fa.vcf", None),
        ("/dav/book/.", None),
        ("/dav/book/..", None),
        ("/dav/book/%2e%2e", None),
        ("", None),
    ],
)
def test_an_id_has_one_form_however_the_server_writes_it(href: str, card_id: str | None) -> None:
    report = multistatus(
        found(href.replace("&", "&amp;"), '<d:getetag>"1"</d:getetag>'), more="<d:sync-token>2</d:sync-token>"
    )

    async def scenario(connector: CardDavConnector) -> None:
        page = await connector.changes("sync:1")
        assert page.versions == ([] if card_id is None else [(card_id, '"1"')])

    run({"REPORT": report}, scenario)


@pytest.mark.parametrize("properties", ["<d:sync-token>1</d:sync-token>", "<s:getctag>1</s:getctag>"])
def test_cards_that_the_server_says_are_elsewhere_are_no_empty_address_book(properties: str) -> None:
    """Such as behind a reverse proxy that cuts off a part of the path, and does not say so."""
    card = found("/book/a.vcf", '<d:getetag>"1"</d:getetag>')
    members = multistatus(found("/book/", RESOURCE), card)
    report = multistatus(card, more="<d:sync-token>2</d:sync-token>")
    asked_before = 2 if "ctag" in properties else 1

    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(TellUser, match="the cards of /dav/book/ are in /book/"):
            await connector.snapshot(None)

    run({"PROPFIND": [*[address_book(properties)] * asked_before, members], "REPORT": report}, scenario)
