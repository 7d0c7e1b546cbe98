"""What other servers do, and these two do not: scripted answers, one server's habit a test."""

from hashlib import md5
from typing import Any

import httpx
import pytest

from tests.connectors.carddav.books import create, delete, update, vcard
from tests.connectors.carddav.scripted import (
    BOOK,
    ROOT,
    Answer,
    Scripted,
    address_book,
    address_data,
    error,
    found,
    missing,
    multistatus,
    run,
)
from twoway.sdk import (
    Absence,
    AccountRefused,
    HookRefused,
    HookRequest,
    Outcome,
    Page,
    Presence,
    Record,
    SnapshotNeeded,
    TellUser,
    TryLater,
)
from twoway_connectors.carddav.connector import CardDavConnector


async def _start(connector: CardDavConnector) -> str:
    cursor = (await connector.changes(None)).cursor
    assert cursor is not None
    return cursor


_ONLY_MULTIGET = (
    "<d:supported-report-set><d:supported-report><d:report><c:addressbook-multiget/></d:report></d:supported-report>"
    "</d:supported-report-set>"
)


@pytest.mark.parametrize(
    "properties",
    [
        "<s:getctag>1</s:getctag>",
        f"<d:sync-token>t</d:sync-token><s:getctag>1</s:getctag>{_ONLY_MULTIGET}",
    ],
)
def test_without_sync_reports_the_ctag_tells_a_quiet_address_book(properties: str) -> None:
    changed = address_book(properties.replace("<s:getctag>1", "<s:getctag>2"))
    server = Scripted({"PROPFIND": [*[address_book(properties)] * 4, changed]})

    async def scenario(connector: CardDavConnector) -> None:
        assert "complete listing" in (await connector.check()).notes[0]
        cursor = await _start(connector)
        asked = len(server.asked)
        page = await connector.changes(cursor)
        assert (page.records, page.versions, page.gone, page.ids, page.last) == ((), (), (), (), True)
        assert len(server.asked) == asked + 1
        with pytest.raises(SnapshotNeeded):
            await connector.changes(page.cursor)

    run(server, scenario)


def test_without_any_token_each_poll_needs_a_snapshot() -> None:
    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(SnapshotNeeded):
            await connector.changes(await _start(connector))

    run({"PROPFIND": address_book("")}, scenario)


def test_an_answer_that_is_no_xml_is_read_card_by_card() -> None:
    server = Scripted(
        {
            "PROPFIND": address_book(),
            "REPORT": httpx.Response(207, text="<d:multistatus>\x01"),
            "GET": [httpx.Response(200, text=vcard("a"), headers={"etag": 'W/"7-gzip"'}), httpx.Response(404)],
        }
    )

    async def scenario(connector: CardDavConnector) -> None:
        cards = await connector.fetch(["a.vcf", "b.vcf"])
        card = cards["a.vcf"]
        assert isinstance(card, Record)
        assert (card.values["fn"], card.version) == ("Ann Example", '"7"')
        assert cards["b.vcf"] == Absence("b.vcf", Presence.GONE)

    run(server, scenario)


@pytest.mark.parametrize("etag", ['"1"', 'W/"1"', '"1-gzip"', '"1;gzip"', "1"])
def test_an_etag_that_a_proxy_changed_is_the_same_version(etag: str) -> None:
    server = Scripted(
        {
            "PROPFIND": address_book(),
            "GET": httpx.Response(200, text=vcard("a"), headers={"etag": etag}),
            "PUT": httpx.Response(204, headers={"etag": etag.replace("1", "2")}),
        }
    )

    async def scenario(connector: CardDavConnector) -> None:
        (receipt,) = await connector.apply([update("a.vcf", '"1"', title="Boss")])
        assert (receipt.outcome, receipt.version) == (Outcome.DONE, '"2"')
        assert server.asked[-1].headers["if-match"] == '"1"'
        assert server.asked[-2].headers["accept-encoding"] == "identity"

    run(server, scenario)


_NEW = vcard("a", "GENDER:F", "TEL;PREF=1;VALUE=uri:tel:+1-555-0100", version="4.0")
_OLD = vcard("a", "X-GENDER:F", "TEL;TYPE=pref:+1-555-0100")


@pytest.mark.parametrize("stored", [_OLD, _NEW])
def test_a_card_that_is_told_in_another_version_of_vcard_is_written_as_it_is_stored(stored: str) -> None:
    """As sabre/dav does, and so Nextcloud and Baïkal: its ETag is the MD5 of what it stores."""
    tag = f'"{md5(stored.encode(), usedforsecurity=False).hexdigest()}"'

    def get(request: httpx.Request) -> httpx.Response:
        told = _NEW if "version=4.0" in request.headers["accept"] else _OLD
        return httpx.Response(200, text=told, headers={"etag": tag})

    server = Scripted({"PROPFIND": address_book(), "GET": get, "PUT": httpx.Response(204)})

    async def scenario(connector: CardDavConnector) -> None:
        (receipt,) = await connector.apply([update("a.vcf", tag, title="Boss")])
        assert receipt.outcome is Outcome.DONE
        assert server.asked[-1].content.decode() == stored.replace("END:", "TITLE:Boss\r\nEND:")

    run(server, scenario)


def test_a_server_that_gives_no_etag_gives_no_version() -> None:
    script: dict[str, Answer | list[Answer]] = {"GET": httpx.Response(200, text=vcard("a")), "PUT": httpx.Response(204)}

    async def scenario(connector: CardDavConnector) -> None:
        for write in (update("a.vcf", '"1"', title="Boss"), create(fn="Ann")):
            (receipt,) = await connector.apply([write])
            assert (receipt.outcome, receipt.version, receipt.record) == (Outcome.DONE, None, None)

    run(script, scenario)


REFUSALS: list[tuple[httpx.Response, Outcome]] = [
    (error(400), Outcome.REFUSED),
    (error(405), Outcome.REFUSED),
    (error(413), Outcome.REFUSED),
    (error(415), Outcome.REFUSED),
    (error(403, "<c:valid-address-data/>"), Outcome.REFUSED),
    (error(412, "<c:valid-address-data/>"), Outcome.REFUSED),
    (error(403, "<c:supported-address-data/>"), Outcome.REFUSED),
    (error(403, "<c:max-resource-size/>"), Outcome.REFUSED),
    (error(507, "<d:quota-not-exceeded/>"), Outcome.REFUSED),
    (error(423), Outcome.LATER),
    (error(507), Outcome.LATER),
]


@pytest.mark.parametrize(("answer", "outcome"), REFUSALS)
def test_what_a_refused_write_means(answer: httpx.Response, outcome: Outcome) -> None:
    stored = httpx.Response(200, text=vcard("a"), headers={"etag": '"1"'})

    async def scenario(connector: CardDavConnector) -> None:
        for write in (create(fn="Ann"), update("a.vcf", '"1"', title="Boss")):
            (receipt,) = await connector.apply([write])
            assert receipt.outcome is outcome
            assert receipt.why

    run({"GET": stored, "PUT": answer}, scenario)


def test_a_uid_conflict_names_the_card_that_has_it() -> None:
    conflict = error(409, f"<c:no-uid-conflict><d:href>{BOOK}other.vcf</d:href></c:no-uid-conflict>")
    report = multistatus(address_data("other.vcf", vcard("taken")))

    async def scenario(connector: CardDavConnector) -> None:
        (receipt,) = await connector.apply([create(uid="taken", fn="Ann")])
        assert (receipt.outcome, receipt.id) == (Outcome.DUPLICATE, "other.vcf")

    run({"PUT": conflict, "REPORT": report}, scenario)


@pytest.mark.parametrize(("status", "raised"), [(403, AccountRefused), (404, TellUser), (409, TellUser)])
def test_an_address_book_that_cannot_be_written_stops_the_account(status: int, raised: type[Exception]) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(raised):
            await connector.apply([create(fn="Ann")])

    run({"PUT": error(status), "REPORT": multistatus()}, scenario)


def test_a_batch_that_stops_in_its_middle_keeps_the_receipts_so_far() -> None:
    async def scenario(connector: CardDavConnector) -> None:
        receipts = await connector.apply([delete("a.vcf"), delete("b.vcf"), delete("c.vcf")])
        assert [receipt.outcome for receipt in receipts] == [Outcome.DONE, Outcome.LATER, Outcome.LATER]

    run({"DELETE": [httpx.Response(204), httpx.Response(403)]}, scenario)


_TOO_MANY = error(403, "<d:number-of-matches-within-limits/>")


def _finds_one_at_a_time(part: httpx.Response | None) -> Scripted:
    """A server that answers a query for several texts by `part`, by default with one card and "there is more"."""

    def report(request: httpx.Request) -> httpx.Response:
        texts = [text for text in ("ann", "bob", "cy") if f"{text}@example.org" in request.content.decode()]
        cards = [address_data(f"{text}.vcf", vcard(text, f"EMAIL:{text}@example.org")) for text in texts]
        if len(texts) == 1:
            return multistatus(*cards)
        return part or multistatus(cards[0], missing(BOOK, 507))

    return Scripted({"PROPFIND": address_book(), "REPORT": report})


@pytest.mark.parametrize("part", [None, _TOO_MANY])
def test_a_query_that_is_answered_in_part_overlooks_no_card(part: httpx.Response | None) -> None:
    texts = ["ann@example.org", "bob@example.org", "cy@example.org"]

    async def scenario(connector: CardDavConnector) -> None:
        assert await connector.find("email", texts) == {text: [f"{text.partition('@')[0]}.vcf"] for text in texts}

    run(_finds_one_at_a_time(part), scenario)


@pytest.mark.parametrize("answer", [multistatus(missing(BOOK, 507)), _TOO_MANY])
def test_a_query_for_one_that_is_answered_in_part_proves_nothing(answer: httpx.Response) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(TellUser, match="only a part") as caught:
            await connector.find("email", ["ann@example.org"])
        assert "ann" not in str(caught.value)

    run({"REPORT": answer}, scenario)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_has_not_taken_the_write(status: int) -> None:
    busy = httpx.Response(status, headers={"retry-after": "1"})

    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(TryLater):
            await connector.apply([delete("a.vcf")])

    run({"DELETE": busy}, scenario)


@pytest.mark.parametrize("stored", ["BEGIN:VCARD\r\nFN:cut", vcard("a") + vcard("b"), "<html></html>"])
def test_what_is_not_one_whole_card_is_never_written_over(stored: str) -> None:
    server = Scripted({"PROPFIND": address_book(), "GET": httpx.Response(200, text=stored, headers={"etag": '"1"'})})

    async def scenario(connector: CardDavConnector) -> None:
        (receipt,) = await connector.apply([update("a.vcf", '"1"', title="Boss")])
        assert receipt.outcome is Outcome.REFUSED
        assert "PUT" not in [request.method for request in server.asked]

    run(server, scenario)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(301, headers={"location": "https://evil.example.com/"}),
        multistatus(
            found(
                "/", "<c:addressbook-home-set><d:href>https://evil.example.com/home/</d:href></c:addressbook-home-set>"
            )
        ),
    ],
)
def test_the_login_never_goes_to_another_host(answer: httpx.Response) -> None:
    server = Scripted({"PROPFIND": answer})

    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(TellUser, match=r"evil\.example\.com"):
            await connector.check()
        assert {request.url.host for request in server.asked} == {"dav.example.org"}

    run(server, scenario)


@pytest.mark.parametrize("how", ["changes", "snapshot"])
def test_an_address_book_that_is_elsewhere_by_now_is_looked_for_again(how: str) -> None:
    """Made anew by the same name, say: what finds it after a restart finds it without one."""
    moved = address_book().text.replace(BOOK, "/dav/new/")
    home = f"<c:addressbook-home-set><d:href>{ROOT}/dav/</d:href></c:addressbook-home-set>"
    missing_book, listed = httpx.Response(404), multistatus(more="<d:sync-token>2</d:sync-token>")

    def propfind(request: httpx.Request) -> httpx.Response:
        if request.headers["depth"] == "1":
            return httpx.Response(207, text=moved if reports else address_book().text)
        return multistatus(found("/", home))

    reports: list[str] = []

    def report(request: httpx.Request) -> httpx.Response:
        reports.append(request.url.path)
        return missing_book if request.url.path == BOOK else listed

    async def scenario(connector: CardDavConnector) -> None:
        async def ask() -> Page:
            return await (connector.changes("sync:1") if how == "changes" else connector.snapshot(None))

        with pytest.raises(TellUser, match=r"404|no address book"):
            await ask()
        assert (await ask()).last
        assert reports[-1] == "/dav/new/"

    run(Scripted({"PROPFIND": propfind, "REPORT": report}), scenario, settings={"base_url": ROOT})


def test_a_server_without_webdav_is_told() -> None:
    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(TellUser, match="found no address book"):
            await connector.check()

    run(Scripted({"PROPFIND": httpx.Response(405)}), scenario)


def test_a_login_that_may_only_read_is_told() -> None:
    read_only = "<d:current-user-privilege-set><d:privilege><d:read/></d:privilege></d:current-user-privilege-set>"

    async def scenario(connector: CardDavConnector) -> None:
        assert "may not write" in (await connector.check()).notes[-1]

    run({"PROPFIND": address_book("<d:sync-token>1</d:sync-token>" + read_only)}, scenario)


@pytest.mark.parametrize(
    ("how", "raised", "says"),
    [
        ({"settings": {"base_url": ""}}, TellUser, "base_url"),
        ({"settings": {"base_url": "http://dav.example.org/"}}, TellUser, "not encrypted"),
        ({"settings": {"username": ""}}, AccountRefused, "password"),
        ({"secrets": {}}, AccountRefused, "token"),
        ({"settings": {"rate": "fast"}}, TellUser, "rate"),
        ({"settings": {"rate": 0}}, TellUser, "rate"),
        ({"collection": "members"}, TellUser, "contacts"),
        ({"options": {"audience": "x"}}, TellUser, "addressbook"),
    ],
)
def test_what_is_set_up_wrongly_is_told_at_once(how: dict[str, Any], raised: type[Exception], says: str) -> None:
    with pytest.raises(raised, match=says):
        run({}, lambda connector: connector.check(), **how)


@pytest.mark.parametrize(
    ("secrets", "login"),
    [({"token": "t0ken"}, "Bearer t0ken"), ({"password": "pässword"}, "Basic YW5uOnDDpHNzd29yZA==")],
)
def test_the_login_is_sent_as_a_token_or_as_user_and_password(secrets: dict[str, str], login: str) -> None:
    server = Scripted({"PROPFIND": address_book()})
    run(server, lambda connector: connector.check(), secrets=secrets)
    assert {request.headers["authorization"] for request in server.asked} == {login}


def test_a_webhook_is_never_believed() -> None:
    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(HookRefused):
            connector.parse_hook(HookRequest("POST", "https://x/", {}, b""))

    run({}, scenario)
