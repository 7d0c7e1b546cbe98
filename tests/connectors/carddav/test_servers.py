"""The connector against Radicale and Xandikos: each test runs on both."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.connectors.carddav.books import (
    Book,
    cards_of,
    create,
    delete,
    record,
    update,
    vcard,
    versions_of,
    whole_listing,
)
from twoway.sdk import (
    MARKER,
    Absence,
    AccountRefused,
    Connector,
    Consistency,
    Kind,
    Outcome,
    Presence,
    Record,
    SnapshotNeeded,
    TellUser,
    Write,
)
from twoway_connectors.carddav.connector import CardDavConnector
from twoway_connectors.carddav.fields import FIELDS


def outcomes(receipts: Any) -> list[Outcome]:
    return [receipt.outcome for receipt in receipts]


def test_it_is_a_connector_that_keeps_what_it_declares(book: Book) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        assert isinstance(connector, Connector)
        assert [field.name for field in await connector.describe()] == sorted(FIELDS)
        can = connector.capabilities
        assert (can.conditional, can.feed, can.feed_deletions) == (True, Consistency.CONSISTENT, True)
        info = await connector.check()
        assert book.name in info.name
        assert info.notes == ()

    book.run(scenario)


def test_every_way_to_the_address_book(book: Book) -> None:
    root = book.server.url

    async def scenario(connector: CardDavConnector) -> str:
        return (await connector.check()).name

    expected = f"{book.name} ({book.url})"
    path = book.url.removeprefix(root.rstrip("/"))
    for base_url in (book.url, book.url.rstrip("/")):
        assert book.run(scenario, base_url=base_url) == expected
    for base_url in (root, root.rstrip("/"), root.rstrip("/") + book.server.home, root + "nowhere/"):
        for name in (book.name, book.name.upper(), path, path.strip("/").rpartition("/")[2]):
            assert book.run(scenario, base_url=base_url, addressbook=name) == expected, (base_url, name)


def test_an_address_book_that_is_not_named_or_not_there_is_told_with_the_valid_ones(book: Book) -> None:
    other = book.server.make_addressbook(f"Other {book.name}")

    async def scenario(connector: CardDavConnector) -> None:
        (collection,) = await connector.collections()
        assert collection.name == "contacts"
        assert {book.name, f"Other {book.name}"} <= set(collection.options["addressbook"])
        with pytest.raises(TellUser) as told:
            await connector.check()
        assert book.name in told.value.remedy

    book.run(scenario, base_url=book.server.url)
    book.run(scenario, base_url=book.server.url, addressbook="Typo")
    book.server.delete(other)


def test_a_wrong_password_pauses_the_account(book: Book) -> None:
    if book.server.name == "xandikos":
        book.server.password, right = "other", book.server.password
        book.run(lambda connector: connector.check())  # it leaves the login to a proxy: nothing to refuse
        book.server.password = right
        return
    right = book.server.password
    book.server.password = "wrong"

    async def scenario(connector: CardDavConnector) -> None:
        with pytest.raises(AccountRefused) as refused:
            await connector.check()
        assert "wrong" not in str(refused.value)

    try:
        book.run(scenario)
    finally:
        book.server.password = right


def test_writes_that_are_asked_for_at_once_all_land(book: Book) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        created = await asyncio.gather(*(connector.apply([create(fn=f"No. {number}")]) for number in range(12)))
        assert {receipt.outcome for (receipt,) in created} == {Outcome.DONE}
        changes = [update(receipt.id or "", receipt.version, note="Seen") for (receipt,) in created]
        changed = await asyncio.gather(*(connector.apply([change]) for change in changes))
        assert {receipt.outcome for (receipt,) in changed} == {Outcome.DONE}

    book.run(scenario)


def test_changes_and_deletions_arrive_once_and_a_quiet_poll_is_one_request(book: Book) -> None:
    book.put("old.vcf", vcard("old"))

    async def scenario(connector: CardDavConnector) -> None:
        start = await connector.changes(None)
        assert (start.records, start.versions, start.gone, start.ids, start.last) == ((), (), (), (), True)
        book.put("a.vcf", vcard("a", name="Änne Öztürk"))
        book.put("b.vcf", vcard("b"))
        page = await connector.changes(start.cursor)
        found = {card.id: card.values["fn"] for card in await cards_of(connector, page)}
        assert found == {"a.vcf": "Änne Öztürk", "b.vcf": "Ann Example"}
        assert page.last
        book.put("a.vcf", vcard("a", "TITLE:Boss"))
        book.delete("b.vcf")
        page = await connector.changes(page.cursor)
        assert [(card.id, card.values["title"]) for card in await cards_of(connector, page)] == [("a.vcf", "Boss")]
        assert page.gone == ["b.vcf"]
        asked = len(book.wire.asked)
        quiet = await connector.changes(page.cursor)
        assert (quiet.versions, quiet.gone, quiet.ids, quiet.last) == ([], [], [], True)
        assert len(book.wire.asked) == asked + 1

    book.run(scenario)


def test_a_write_of_ours_is_listed_at_the_version_of_its_receipt(book: Book) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        start = await connector.changes(None)
        (made,) = await connector.apply([create(fn="Ann", email="ann@example.org")])
        page = await connector.changes(start.cursor)
        assert versions_of(page) == {made.id: made.version}
        assert versions_of(await whole_listing(connector)) == versions_of(page)
        assert made.id is not None
        (changed,) = await connector.apply([update(made.id, made.version, title="Boss")])
        page = await connector.changes(page.cursor)
        assert versions_of(page) == {changed.id: changed.version}
        assert versions_of(await whole_listing(connector)) == versions_of(page)
        assert changed.version != made.version

    book.run(scenario)


def test_an_expired_cursor_asks_for_a_snapshot(book: Book) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        cursor = (await connector.changes(None)).cursor
        assert cursor is not None
        book.put("a.vcf", vcard("a"))
        lost = book.server.expire(cursor.removeprefix("sync:"))
        for token in (lost, "never a token"):
            with pytest.raises(SnapshotNeeded):
                await connector.changes(f"sync:{token}")

    book.run(scenario)


def test_fetch_answers_for_every_id(book: Book) -> None:
    book.put("a.vcf", vcard("a"))

    async def scenario(connector: CardDavConnector) -> None:
        found = await connector.fetch(["a.vcf", "none.vcf", "", "x/y.vcf"])
        assert isinstance(found["a.vcf"], Record)
        assert found["none.vcf"] == Absence("none.vcf", Presence.GONE)
        assert {found[""], found["x/y.vcf"]} == {
            Absence("", Presence.UNKNOWN),
            Absence("x/y.vcf", Presence.UNKNOWN),
        }
        assert await connector.fetch([]) == {}

    book.run(scenario)


@pytest.mark.parametrize("name", ["a b.vcf", "ü.vcf", "a+b&c.vcf", "a%25b.vcf", "@(x).vcf"])
def test_ids_are_the_same_in_every_answer_whatever_the_file_is_called(book: Book, name: str) -> None:
    address = httpx.URL(book.url + name).raw_path.decode()

    async def scenario(connector: CardDavConnector) -> None:
        start = await connector.changes(None)
        book.server.put(address, vcard("u"))
        listed = [card_id for card_id, _ in (await whole_listing(connector)).versions]
        fed = [card_id for card_id, _ in (await connector.changes(start.cursor)).versions]
        found = (await connector.find("uid", ["u"]))["u"]
        assert listed == fed == found
        card = await record(connector, listed[0])
        (receipt,) = await connector.apply([update(card.id, card.version, title="Boss")])
        assert receipt.outcome is Outcome.DONE
        assert (await record(connector, card.id)).values["title"] == "Boss"
        (receipt,) = await connector.apply([delete(card.id, receipt.version)])
        assert receipt.outcome is Outcome.DONE

    book.run(scenario)


def test_a_write_at_another_version_is_moved_and_changes_nothing(book: Book) -> None:
    book.put("a.vcf", vcard("a"))

    async def scenario(connector: CardDavConnector) -> None:
        card = await record(connector, "a.vcf")
        book.put("a.vcf", vcard("a", "NOTE:by a person"))
        stored = book.get("a.vcf")
        receipts = [
            *await connector.apply([update("a.vcf", card.version, title="Boss")]),
            *await connector.apply([delete("a.vcf", card.version)]),
        ]
        assert outcomes(receipts) == [Outcome.MOVED, Outcome.MOVED]
        assert book.get("a.vcf") == stored

    book.run(scenario)


def test_an_edit_between_our_read_and_our_write_is_not_overwritten(book: Book) -> None:
    book.put("a.vcf", vcard("a"))
    edited = vcard("a", "NOTE:by a person")

    async def scenario(connector: CardDavConnector) -> None:
        card = await record(connector, "a.vcf")

        def meanwhile(request: httpx.Request) -> None:
            if request.method == "PUT":
                book.put("a.vcf", edited)

        for version, outcome in ((card.version, Outcome.MOVED), (None, Outcome.LATER)):
            book.put("a.vcf", vcard("a"))
            book.wire.before = meanwhile
            (receipt,) = await connector.apply([update("a.vcf", version, title="Boss")])
            book.wire.before = lambda _request: None
            assert receipt.outcome is outcome
            values = (await record(connector, "a.vcf")).values
            assert (values["note"], values["title"]) == ("by a person", None)

    book.run(scenario)


def test_a_write_to_a_card_that_is_gone(book: Book) -> None:
    async def scenario(connector: CardDavConnector) -> None:
        receipts = [
            *await connector.apply([update("a.vcf", '"1"', title="Boss")]),
            *await connector.apply([delete("a.vcf")]),
        ]
        assert outcomes(receipts) == [Outcome.GONE, Outcome.GONE]

    book.run(scenario)


def test_a_create_that_is_sent_twice_makes_one_card(book: Book) -> None:
    write = create(fn="Ann", email="ann@example.org")

    async def scenario(connector: CardDavConnector) -> None:
        (first,) = await connector.apply([write])
        assert first.version is not None
        (again,) = await connector.apply([write])
        # Nothing is told of the card as it is now: somebody may have edited it since.
        assert (again.outcome, again.id, again.version) == (Outcome.DONE, first.id, None)
        listed = await cards_of(connector, await whole_listing(connector))
        assert [(card.id, card.marker) for card in listed] == [(first.id, write.operation)]

    book.run(scenario)


@pytest.mark.parametrize("operation", ["0190f1-plain_ID", "with space/and ü", "x" * 100, "ü" * 50])
def test_a_create_whose_answer_is_lost_is_found_by_its_marker(book: Book, operation: str) -> None:
    write = create(operation, fn="Ann", uid="their-own" if operation.startswith("with") else None)

    async def scenario(connector: CardDavConnector) -> None:
        assert await connector.find(MARKER, [operation]) == {operation: []}

        def lose(request: httpx.Request, response: httpx.Response) -> httpx.Response:
            if request.method == "PUT":
                raise httpx.ReadError("lost")
            return response

        book.wire.after = lose
        (receipt,) = await connector.apply([write])
        assert receipt.outcome is Outcome.UNKNOWN
        book.wire.after = lambda _request, response: response
        found = await connector.find(MARKER, [operation, "another"])
        assert found["another"] == []
        (made,) = found[operation]
        assert (await record(connector, made)).marker == operation

    book.run(scenario)


def test_a_created_card_that_a_person_moved_is_still_found_by_its_marker(book: Book) -> None:
    write = create(fn="Ann")

    async def scenario(connector: CardDavConnector) -> None:
        (made,) = await connector.apply([write])
        assert made.id is not None
        text = book.get(made.id)
        book.delete(made.id)
        book.put("moved.vcf", text)
        assert await connector.find(MARKER, [write.operation]) == {write.operation: ["moved.vcf"]}
        if book.server.name == "radicale":  # Xandikos takes a second card with one UID
            (again,) = await connector.apply([write])
            assert (again.outcome, again.id) == (Outcome.DONE, "moved.vcf")

    book.run(scenario)


def test_a_lost_answer_to_an_update_is_unknown_and_is_not_sent_again(book: Book) -> None:
    book.put("a.vcf", vcard("a"))

    async def scenario(connector: CardDavConnector) -> None:
        card = await record(connector, "a.vcf")

        def lose(request: httpx.Request, response: httpx.Response) -> httpx.Response:
            if request.method == "PUT":
                raise httpx.ReadError("lost")
            return response

        book.wire.after = lose
        (receipt,) = await connector.apply([update("a.vcf", card.version, title="Boss")])
        assert receipt.outcome is Outcome.UNKNOWN
        assert [method for method, _ in book.wire.asked].count("PUT") == 1

    book.run(scenario)


def test_a_uid_is_given_once_and_never_changed(book: Book) -> None:
    book.put("a.vcf", vcard("taken"))

    async def scenario(connector: CardDavConnector) -> None:
        (receipt,) = await connector.apply([create(fn="Ann", uid="own")])
        assert receipt.id is not None
        assert (await record(connector, receipt.id)).values["uid"] == "own"
        if book.server.name == "radicale":  # Xandikos takes a second card with one UID
            (receipt,) = await connector.apply([create(fn="Ann", uid="taken")])
            assert (receipt.outcome, receipt.id) == (Outcome.DUPLICATE, "a.vcf")
        (receipt,) = await connector.apply([update("a.vcf", uid="another")])
        assert (receipt.outcome, receipt.field) == (Outcome.REFUSED, "uid")

    book.run(scenario)


def test_find_by_email_is_by_the_field_itself_and_in_any_case(book: Book) -> None:
    book.put("a.vcf", vcard("a", "EMAIL:Ann@Example.org", "EMAIL:second@example.org"))
    book.put("b.vcf", vcard("b", "EMAIL:xann@example.org"))
    book.put("c.vcf", vcard("c", "item1.EMAIL;TYPE=pref:ann@example.org", "item1.X-ABLabel:x"))
    book.put("d.vcf", vcard("d", "NOTE:ann@example.org"))
    book.put("e.vcf", vcard("e", "EMAIL:JÖRG@example.org"))

    async def scenario(connector: CardDavConnector) -> None:
        values = ["ann@example.org", "second@example.org", "jörg@example.org", "nobody@example.org", "", None, ["x"][0]]
        assert await connector.find("email", values) == {
            "ann@example.org": ["a.vcf", "c.vcf"],
            "second@example.org": [],
            "jörg@example.org": ["e.vcf"],
            "nobody@example.org": [],
            "": [],
            None: [],
            "x": [],
        }
        (receipt,) = await connector.apply([update("b.vcf", email="new@example.org")])
        assert receipt.outcome is Outcome.DONE
        found = await connector.find("email", ["new@example.org", "xann@example.org"])
        assert found == {"new@example.org": ["b.vcf"], "xann@example.org": []}
        assert await connector.find("uid", ["c", "C", "nope"]) == {"c": ["c.vcf"], "C": [], "nope": []}
        with pytest.raises(TellUser, match="looked up"):
            await connector.find("phone", ["1"])

    book.run(scenario)


def test_a_write_that_changes_nothing_sends_nothing(book: Book) -> None:
    book.put("a.vcf", vcard("a", "TITLE:Boss"))

    async def scenario(connector: CardDavConnector) -> None:
        card = await record(connector, "a.vcf")
        (receipt,) = await connector.apply([update("a.vcf", card.version, title="Boss")])
        assert (receipt.outcome, receipt.version) == (Outcome.DONE, card.version)
        assert "PUT" not in [method for method, _ in book.wire.asked]

    book.run(scenario)


def test_what_cannot_be_written_is_refused(book: Book) -> None:
    book.put("a.vcf", vcard("a"))

    async def scenario(connector: CardDavConnector) -> None:
        refused = [
            (update("a.vcf", bday="soon"), "bday"),
            (update("a.vcf", fn=None), "fn"),
            (update("a.vcf", nonsense=1), "nonsense"),
            (create(phones="1"), "phones"),
            (Write(operation="o", kind=Kind.ARCHIVE, id="a.vcf"), None),
            (Write(operation="o", kind=Kind.UPDATE), None),
        ]
        for write, field in refused:
            (receipt,) = await connector.apply([write])
            assert (receipt.outcome, receipt.field) == (Outcome.REFUSED, field)
            assert receipt.why
        assert [card_id for card_id, _ in (await whole_listing(connector)).versions] == ["a.vcf"]

    book.run(scenario)


def test_only_the_mapped_fields_are_decoded(book: Book) -> None:
    book.put("a.vcf", vcard("a", "TEL:1", "NOTE:x"))

    async def scenario(connector: CardDavConnector) -> None:
        assert set((await record(connector, "a.vcf")).values) == {"fn", "phones"}

    book.run(scenario, fields=["fn", "phones[type=work].value"])


def test_a_card_that_breaks_the_answer_does_not_hide_the_others(book: Book) -> None:
    """Xandikos puts a control character into its XML as it is, which makes the whole answer unreadable."""
    for number in range(5):
        book.put(f"c{number}.vcf", vcard(f"c{number}", "NOTE:a\x01b" if number == 2 else "NOTE:ab"))

    async def scenario(connector: CardDavConnector) -> None:
        listed = await cards_of(connector, await whole_listing(connector))
        assert {card.id: card.values["note"] for card in listed} == {f"c{n}.vcf": "ab" for n in range(5)}
        card = await record(connector, "c2.vcf")
        (receipt,) = await connector.apply([update("c2.vcf", card.version, title="Boss")])
        assert receipt.outcome is Outcome.DONE

    book.run(scenario)


def test_an_empty_address_book_is_a_whole_listing(book: Book) -> None:
    page = book.run(whole_listing)
    assert (list(page.versions), list(page.records), list(page.ids), page.total) == ([], [], [], 0)
    # That there is nothing is not believed at the first word.
    assert [method for method, _ in book.wire.asked][1:] == ["REPORT", "PROPFIND"]


def test_what_was_deleted_is_not_in_a_complete_listing(book: Book) -> None:
    """Radicale tells it in its first report, as gone."""
    kept = book.put("kept.vcf", vcard("kept"))
    book.put("gone.vcf", vcard("gone"))
    book.run(whole_listing)
    book.delete("gone.vcf")
    assert book.run(whole_listing).versions == [("kept.vcf", kept)]


def test_a_card_has_the_version_of_its_content(book: Book) -> None:
    """Nothing that a card held is ever listed under the version of something else that it held."""
    shown: dict[str, str] = {}

    async def scenario(connector: CardDavConnector) -> None:
        for text in ("one", "two", "three", "one", "two"):
            book.put("a.vcf", vcard("a", f"NOTE:{text}"))
            ((_, version),) = (await whole_listing(connector)).versions
            assert shown.setdefault(version, text) == text
            card = await record(connector, "a.vcf")
            assert (card.version, card.values["note"]) == (version, text)

    book.run(scenario)
    assert len(shown) >= 3
