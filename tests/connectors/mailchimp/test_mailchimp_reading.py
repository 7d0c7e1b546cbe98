"""Mailchimp: snapshots, changes, and reads by key."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.mailchimp.audience import FIELDS, START, Open, define, ids, loaded, member
from tests.connectors.vendor_account import Driven, driven, gone_of, records_of, remove, update
from twoway.sandbox.clock import iso_seconds
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp
from twoway.sandbox.mailchimp_listing import Hit, Query
from twoway.sandbox.mailchimp_listing import Listing as SandboxListing
from twoway.sdk import Absence, Kind, Outcome, Presence, Record, SnapshotNeeded, TryLater
from twoway_connectors.mailchimp import Mailchimp
from twoway_connectors.mailchimp.codec import subscriber_hash


def test_values_are_decoded_by_type(opened: Open) -> None:
    mail = opened(fields=frozenset())
    define(mail, tag="AGE", type="number")
    define(mail, tag="SINCE", type="date")
    address = {"addr1": "1 High St", "addr2": "", "city": "Bonn", "state": "NW", "zip": "53111", "country": "DE"}
    mail.app.load([member("ann", merge_fields={"AGE": 7, "SINCE": "2026-01-31", "ADDRESS": address}, tags=["b", "a"])])
    (record,) = records_of(mail.snapshot()).values()
    expected = {
        "email_address": "ann@mail.test",
        "status": "subscribed",
        "merge_fields.AGE": 7,
        "merge_fields.SINCE": "2026-01-31",
        "merge_fields.ADDRESS": address,
        "merge_fields.FNAME": None,
        "tags": ["a", "b"],
        "vip": False,
        "language": None,
    }
    assert {name: record.values[name] for name in expected} == expected


def test_only_what_the_mapping_reads_is_asked_for(opened: Open) -> None:
    sizes = []
    for fields in (frozenset[str](), frozenset({"email_address", "merge_fields.ADDRESS.city"})):
        mail = opened(fields=fields)
        mail.app.load(member(f"m{number}", merge_fields={"LNAME": "x" * 250}) for number in range(10))
        (record, *_) = records_of(mail.snapshot()).values()
        sizes.append(mail.requests()[-1].bytes)
        if fields:
            assert record.values.keys() == {"email_address", "merge_fields.ADDRESS"}
    assert sizes[1] < sizes[0] / 2, "the name is not asked for"


def test_a_snapshot_is_complete_and_leaves_the_archived_out(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 2300, last_changed="2025-01-01T00:00:00Z")
    mail.app.load([member("late", last_changed="2025-02-01T00:00:00Z")])
    mail.app.human(kind="delete", id="m00007@mail.test")
    pages = mail.snapshot()
    assert len(records_of(pages)) == 2300
    assert all("status" not in entry.path for entry in mail.requests())
    assert "m00007@mail.test" not in {record.values["email_address"] for record in records_of(pages).values()}


def test_a_snapshot_loses_nobody_while_members_come_and_go(mail: Driven[MailchimpApp]) -> None:
    """Between pages, members of the pages already read are archived and edited: offsets would shift by them."""
    mail.app.load(
        member(f"m{number:05}", last_changed=iso_seconds(START - 90_000 + number // 3)) for number in range(2500)
    )
    seen: dict[str, Record] = {}
    cursor: str | None = None
    page_number, last = 0, False
    while not last:
        page = mail.run(mail.connector.snapshot(cursor))
        seen |= {record.id: record for record in page.records}
        cursor, last = page.cursor, page.last
        for number in range(page_number * 200, page_number * 200 + 200):
            kind = "delete" if number % 2 else "update"
            fields = {"merge_fields": {"FNAME": "moved"}}
            mail.app.human(kind=kind, id=f"m{number:05}@mail.test", **({} if number % 2 else {"fields": fields}))
        page_number += 1
    live = {entry["contact_id"] for entry in mail.app.records(LIST_ID) if entry["status"] != "archived"}
    assert live <= seen.keys()


def test_nothing_changed_costs_one_request(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 300)
    (start,) = mail.follow(None)
    assert not start.records
    mail.clock.advance(120)
    before = mail.asked
    pages = mail.follow(start.cursor)
    assert mail.asked == before + 1
    mail.clock.advance(120)
    settled = mail.follow(pages[-1].cursor)[-1].cursor
    assert mail.follow(settled)[-1].cursor == settled
    assert mail.asked == before + 3


def test_changes_tell_edits_archivings_and_new_members(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 5)
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(60)
    mail.app.human(kind="update", id="m00001@mail.test", fields={"merge_fields": {"FNAME": "Ann"}})
    mail.app.human(kind="update", id="m00002@mail.test", fields={"status": "unsubscribed"})
    mail.app.human(kind="update", id="m00002@mail.test", fields={"tags": ["vip"]})
    mail.app.human(kind="delete", id="m00003@mail.test")
    mail.app.human(kind="create", fields=member("new"))
    pages = mail.follow(cursor)
    found = {record.values["email_address"]: record.values for record in records_of(pages).values()}
    assert found["m00001@mail.test"]["merge_fields.FNAME"] == "Ann"
    assert found["m00002@mail.test"]["status"] == "unsubscribed"
    assert found["m00002@mail.test"]["tags"] == ["vip"]
    assert "new@mail.test" in found
    assert gone_of(pages) == {ids(mail)["m00003"]}


def test_an_edit_in_the_second_that_was_read_last_is_not_missed(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 3)
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(60)
    mail.app.human(kind="update", id="m00000@mail.test", fields={"merge_fields": {"FNAME": "first"}})
    pages = mail.follow(cursor)
    mail.clock.advance(0.4)
    mail.app.human(kind="update", id="m00001@mail.test", fields={"merge_fields": {"FNAME": "second"}})
    again = records_of(mail.follow(pages[-1].cursor))
    assert again[ids(mail)["m00001"]].values["merge_fields.FNAME"] == "second"


def test_versions_keep_two_edits_of_one_second_apart(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 1)
    (number,) = ids(mail).values()
    (receipt,) = mail.apply(update(number, {"merge_fields.FNAME": "ours"}))
    same = mail.run(mail.connector.fetch([number]))[number]
    mail.app.human(kind="update", id="m00000@mail.test", fields={"merge_fields": {"FNAME": "theirs"}})
    other = mail.run(mail.connector.fetch([number]))[number]
    assert isinstance(same, Record)
    assert isinstance(other, Record)
    assert receipt.version == same.version
    assert same.modified == other.modified
    assert same.version != other.version


def test_more_members_than_a_page_in_one_second(mail: Driven[MailchimpApp]) -> None:
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(60)
    loaded(mail, 3200, last_changed=iso_seconds(START + 30))
    assert len(records_of(mail.follow(cursor))) == 3200


@given(seconds=st.lists(st.integers(0, 4), max_size=40), edits=st.lists(st.integers(0, 39), max_size=6))
def test_every_change_is_told(seconds: list[int], edits: list[int]) -> None:
    """Whatever the seconds that changes share, a reader who follows page by page meets the present of each record."""
    clock = VirtualClock(START)
    app = MailchimpApp(clock=clock)
    arguments: dict[str, Any] = {
        "collection": "members",
        "settings": {"base_url": "http://localhost/3.0"},
        "secrets": {"api_key": "sandbox-us1"},
        "options": {"audience": LIST_ID},
        "fields": FIELDS,
    }
    with driven(Mailchimp(), app, clock, **arguments) as mail:
        cursor = mail.follow(None)[-1].cursor
        seen: dict[str, Record] = {}
        for number, second in enumerate(seconds):
            clock.advance(second / 2)
            app.human(kind="create", fields=member(f"m{number}"))
            if number in edits:
                pages = mail.follow(cursor)
                cursor, seen = pages[-1].cursor, seen | records_of(pages)
                app.human(
                    kind="update", id=f"m{number // 2}@mail.test", fields={"merge_fields": {"FNAME": f"e{number}"}}
                )
        seen |= records_of(mail.follow(cursor))
        present = {entry["contact_id"]: entry["merge_fields"]["FNAME"] for entry in app.records(LIST_ID)}
        assert {key: record.values["merge_fields.FNAME"] for key, record in seen.items()} == present


def test_a_cursor_of_something_else_asks_for_a_snapshot(mail: Driven[MailchimpApp]) -> None:
    with pytest.raises(SnapshotNeeded):
        mail.run(mail.connector.changes('{"feed":"other","v":1}'))


@pytest.mark.parametrize("shows_archived", [True, False])
def test_a_list_of_statuses_that_is_refused_is_done_without(mail: Driven[MailchimpApp], shows_archived: bool) -> None:
    mail.app.configure(listing_has_archived=shows_archived)
    cursor = mail.follow(None)[0].cursor
    loaded(mail, 4)
    mail.app.human(kind="delete", id="m00001@mail.test")
    mail.app.fault("error", status=400, method="GET", path="/members$")
    assert len(records_of(mail.follow(cursor))) == 3
    assert len(records_of(mail.follow(cursor))) == 3


@pytest.mark.parametrize("late", [1, 10, 59])
def test_a_change_that_the_listing_learns_late_is_not_missed(mail: Driven[MailchimpApp], late: int) -> None:
    """Of two changes the listing may show the later one first; a member that is loaded turns up like that."""
    loaded(mail, 2, last_changed="2025-01-01T00:00:00Z")
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(300)
    mail.app.human(kind="update", id="m00000@mail.test", fields={"merge_fields": {"FNAME": "first"}})
    cursor = mail.follow(cursor)[-1].cursor
    mail.app.load([member("late", last_changed=iso_seconds(mail.clock.now() - late))])
    mail.clock.advance(late)
    assert ids(mail)["late"] in records_of(mail.follow(cursor))


def test_an_import_is_listed_again_only_until_nothing_of_it_can_be_missing(mail: Driven[MailchimpApp]) -> None:
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(60)
    mail.app.load(member(f"m{n:05}", last_changed=iso_seconds(mail.clock.now() + n // 32)) for n in range(3200))
    mail.clock.advance(100)
    costs = []
    for _ in range(7):
        before = mail.asked
        cursor = mail.follow(cursor)[-1].cursor
        costs.append(mail.asked - before)
        mail.clock.advance(90)
    # By hand: four pages; the last minute of it has 1984 members; then only its last second.
    assert costs == [4, 2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("times", "heard"),
    [pytest.param(2, True, id="it is read again"), pytest.param(3, False, id="and waited for in the end")],
)
def test_a_page_in_disorder_stops_nobody(
    mail: Driven[MailchimpApp], monkeypatch: pytest.MonkeyPatch, times: int, heard: bool
) -> None:
    """The listing is sorted by an index, which may be behind what it shows."""
    mail.app.load(member(f"m{number:05}", last_changed=iso_seconds(START - 9_000 + number)) for number in range(1500))
    well, asked = SandboxListing.run, [0]

    def run(listing: SandboxListing, query: Query, at: float) -> list[Hit]:
        hits = well(listing, query, at)
        asked[0] += 1
        return [hits[1], hits[0], *hits[2:]] if asked[0] <= times else hits

    monkeypatch.setattr(SandboxListing, "run", run)
    if heard:
        assert len(records_of(mail.snapshot())) == 1500
    else:
        with pytest.raises(TryLater, match="order"):
            mail.snapshot()
    assert len(records_of(mail.snapshot())) == 1500


def test_the_last_page_may_be_in_disorder(mail: Driven[MailchimpApp], monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that was edited a moment ago, on an audience where that is always so."""
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(60)
    for number in range(5):
        mail.clock.advance(1)
        mail.app.human(kind="create", fields=member(f"m{number}"))
    well = SandboxListing.run
    monkeypatch.setattr(SandboxListing, "run", lambda listing, query, at: well(listing, query, at)[::-1])
    pages = mail.follow(cursor)
    assert len(records_of(pages)) == 5
    mail.app.human(kind="update", id="m2@mail.test", fields={"merge_fields": {"FNAME": "again"}})
    found = records_of(mail.follow(pages[-1].cursor))[ids(mail)["m2"]]
    assert found.values["merge_fields.FNAME"] == "again"


def test_fetch_tells_the_live_the_archived_and_the_gone(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 3)
    known = ids(mail)
    mail.app.human(kind="delete", id="m00001@mail.test")
    mail.app.human(kind="delete", id="m00002@mail.test", permanent=True)
    found = mail.run(mail.connector.fetch(list(known.values())))
    assert isinstance(found[known["m00000"]], Record)
    assert found[known["m00001"]] == Absence(known["m00001"], Presence.ARCHIVED)
    assert found[known["m00002"]] == Absence(known["m00002"], Presence.GONE)


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("its address", "{name}@mail.test"),
        ("the hash of it", "{hash}"),
        ("its id in upper case", "{ID}"),
        ("its id with a query behind it", "{id}?count=1"),
        ("its id with a fragment behind it", "{id}#x"),
        ("its tags", "{id}/tags"),
        ("a way up, and down again", "../members/{id}"),
        ("a way up and nowhere", "../..//x"),
        ("its id with an encoded slash behind it", "{id}%2F"),
    ],
)
def test_a_member_by_another_name_than_its_id_is_no_record(mail: Driven[MailchimpApp], name: str, spelt: str) -> None:
    """It would be a second record beside the one of its id. Whatever it is, it names one part of a path."""
    loaded(mail, 11)
    (member, number), *_ = ((who, one) for who, one in ids(mail).items() if one.upper() != one)
    hashed = subscriber_hash(f"{member}@mail.test")
    asked = spelt.format(id=number, ID=number.upper(), name=member, hash=hashed)
    (answer,) = mail.run(mail.connector.fetch([asked])).values()
    assert answer in (Absence(asked, Presence.GONE), Absence(asked, Presence.MERGED, number)), name
    assert mail.requests()[-1].path == f"/3.0/lists/{LIST_ID}/members/{asked}"


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_what_leads_up_a_path_however_it_is_spelt_is_not_asked_for(mail: Driven[MailchimpApp], id: str) -> None:
    assert mail.run(mail.connector.fetch([id])) == {id: Absence(id, Presence.GONE)}
    (changed,) = mail.apply(update(id, {"merge_fields.FNAME": "x"}))
    (removed,) = mail.apply(remove(id, Kind.ARCHIVE))
    assert changed.outcome is removed.outcome is Outcome.GONE
    assert [entry.path for entry in mail.requests()] == ["/3.0/lists"]


def test_an_id_outlives_the_e_mail_address(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 1)
    (number,) = ids(mail).values()
    mail.app.human(kind="update", id="m00000@mail.test", fields={"email_address": "moved@mail.test"})
    found = mail.run(mail.connector.fetch([number]))[number]
    assert isinstance(found, Record)
    assert found.values["email_address"] == "moved@mail.test"


def test_find_by_e_mail_in_any_case(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 2)
    mail.app.human(kind="delete", id="m00001@mail.test")
    asked = ["M00000@Mail.test", "m00001@mail.test", "nobody@mail.test"]
    found = mail.run(mail.connector.find("email_address", asked))
    assert found == {asked[0]: [ids(mail)["m00000"]], asked[1]: [], asked[2]: []}
