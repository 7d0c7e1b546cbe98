"""Zendesk: snapshots, changes, and reads by key."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.vendor_account import Driven, driven, gone_of, records_of, remove, update
from tests.connectors.zendesk.people import SECRETS, SETTINGS, START, Open, ids, loaded, person
from twoway.sandbox.clock import iso_seconds
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import Absence, Consistency, Kind, Outcome, Presence, Record, SnapshotNeeded, TellUser, TryLater
from twoway_connectors.zendesk import Zendesk


def test_values_are_decoded_by_type(opened: Open) -> None:
    desk = opened(fields=frozenset())
    (organization,) = [desk.app.human(kind="create", collection="organizations", fields={"name": "Acme"})]
    desk.app.human(
        kind="create",
        fields=person(
            "ann",
            alias="",
            tags=["B", "a c"],
            organization_id=organization["id"],
            user_fields={"since": "2026-01-31", "tier": "gold"},
        ),
    )
    (record,) = records_of(desk.snapshot()).values()
    expected = {
        "name": "ann",
        "alias": None,
        "tags": ["a_c", "b"],
        "organization_id": str(organization["id"]),
        "user_fields.since": "2026-01-31",
        "user_fields.tier": "gold",
        "suspended": False,
    }
    assert {name: record.values[name] for name in expected} == expected
    assert record.created == record.modified == START * 1000


def test_a_snapshot_is_complete_and_leaves_the_deleted_out(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 250)
    desk.app.human(kind="delete", id=ids(desk)["m00007"])
    pages = desk.snapshot()
    assert len(records_of(pages)) == 249
    assert [len(page.records) for page in pages] == [100, 100, 49]


def test_a_snapshot_loses_nobody_while_users_come_and_go(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 250)
    known = ids(desk)
    first = desk.run(desk.connector.snapshot(None))
    for number in range(60):
        desk.app.human(kind="delete", id=known[f"m{number:05}"])
    rest = records_of([desk.run(desk.connector.snapshot(first.cursor)), *_rest(desk, first.cursor)])
    assert {known[f"m{number:05}"] for number in range(100, 250)} <= rest.keys()


def _rest(desk: Driven[ZendeskApp], cursor: str | None) -> list[Any]:
    pages = [desk.run(desk.connector.snapshot(cursor))]
    while not pages[-1].last:
        pages.append(desk.run(desk.connector.snapshot(pages[-1].cursor)))
    return pages


def test_nothing_changed_costs_one_request(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 300)
    start = desk.follow(None)[-1].cursor
    settled = desk.follow(start)[-1].cursor
    desk.clock.advance(120)
    before = desk.asked
    assert not records_of(desk.follow(settled))
    assert desk.asked == before + 1


def test_changes_tell_edits_deletions_and_new_users_once_they_are_settled(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 4)
    known = ids(desk)
    cursor = desk.follow(desk.follow(None)[-1].cursor)[-1].cursor
    desk.app.human(kind="update", id=known["m00001"], fields={"notes": "new"})
    desk.app.human(kind="delete", id=known["m00002"])
    desk.app.human(kind="create", fields=person("eve"))
    desk.clock.advance(30)
    early = desk.follow(cursor)
    assert not records_of(early), "the latest minute is left out"
    desk.clock.advance(31)
    pages = desk.follow(early[-1].cursor)
    assert {record.values["name"] for record in records_of(pages).values()} == {"m00001", "eve"}
    assert gone_of(pages) == {known["m00002"]}


def test_the_loser_of_a_merge_is_told_as_gone_and_that_is_declared(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 2)
    known = ids(desk)
    cursor = desk.follow(None)[-1].cursor
    desk.app.human(kind="merge", id=known["m00000"], into=known["m00001"])
    desk.clock.advance(61)
    assert gone_of(desk.follow(cursor)) == {known["m00000"]}
    assert desk.connector.capabilities.hides_merges


def test_more_changes_than_a_page_in_one_second(desk: Driven[ZendeskApp]) -> None:
    cursor = desk.follow(None)[-1].cursor
    loaded(desk, 2300, updated_at=iso_seconds(START + 5))
    desk.clock.advance(120)
    assert len(records_of(desk.follow(cursor))) == 2300


def test_exports_keep_to_ten_a_minute(desk: Driven[ZendeskApp]) -> None:
    """The lane waits by itself: Zendesk never has to refuse."""
    cursor = desk.follow(None)[-1].cursor
    for _ in range(25):
        cursor = desk.follow(cursor)[-1].cursor
    assert {entry.status for entry in desk.requests()} == {200}


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([0, 1, 1, 2, 118, 119, 120, 121]), st.sampled_from(["create", "update", "poll"])),
        max_size=30,
    ),
    collection=st.sampled_from(["users", "organizations"]),
)
def test_every_change_is_told(steps: list[tuple[int, str]], collection: str) -> None:
    """Whatever the seconds that changes share, a reader who follows page by page meets the present of each record."""
    clock = VirtualClock(START)
    app = ZendeskApp(clock=clock)
    arguments: dict[str, Any] = {"collection": collection, "settings": SETTINGS, "secrets": SECRETS}
    with driven(Zendesk(), app, clock, fields=frozenset({"name", "notes"}), **arguments) as desk:
        cursor = desk.follow(None)[-1].cursor
        seen: dict[str, Record] = {}
        made: list[Any] = []
        for number, (halves, step) in enumerate(steps):
            clock.advance(halves / 2)
            if step == "create":
                fields = {"name": f"n{number}", "notes": "new"}
                made.append(app.human(kind="create", collection=collection, fields=fields)["id"])
            elif step == "update" and made:
                fields = {"notes": f"edit {number}"}
                app.human(kind="update", collection=collection, id=made[number % len(made)], fields=fields)
            elif step == "poll":
                pages = desk.follow(cursor)
                cursor, seen = pages[-1].cursor, seen | records_of(pages)
        clock.advance(120)
        seen |= records_of(desk.follow(cursor))
        present = {str(entry["id"]): entry["notes"] for entry in app.records(collection) if entry["notes"]}
        assert {key: seen[key].values["notes"] for key in present} == present


def test_a_clock_that_is_ahead_waits_until_the_app_is_there_too(desk: Driven[ZendeskApp]) -> None:
    cursor = desk.follow(None)[-1].cursor
    assert cursor is not None
    ahead = cursor.replace(str(int(START) - 300), str(int(START) + 3600))
    with pytest.raises(TryLater, match="clock"):
        desk.follow(ahead)


def test_a_cursor_of_something_else_asks_for_a_snapshot(desk: Driven[ZendeskApp]) -> None:
    with pytest.raises(SnapshotNeeded):
        desk.run(desk.connector.changes('{"feed":"zendesk.tickets.changes","v":1,"start":1}'))


def test_fetch_tells_the_live_the_inactive_and_the_gone(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 2)
    known = ids(desk)
    desk.app.human(kind="delete", id=known["m00001"])
    before = desk.asked
    found = desk.run(desk.connector.fetch([*known.values(), "999"]))
    assert isinstance(found[known["m00000"]], Record)
    assert found[known["m00001"]] == Absence(known["m00001"], Presence.ARCHIVED)
    assert found["999"] == Absence("999", Presence.GONE)
    assert desk.asked == before + 2


@pytest.mark.parametrize("collection", ["users", "organizations", "tickets"])
@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("a zero before it", "0{id}"),
        ("a blank behind it", "{id} "),
        ("another one behind it", "{id},{id}"),
        ("a suffix", "{id}.json"),
        ("a part of it", "{id}/identities"),
        ("a way up and down", "../users/{id}"),
        ("a way up", ".."),
        ("nothing", ""),
        ("figures of another script", "\u0661\u0660\u0660\u0660\u0660\u0661"),
    ],
)
def test_a_record_by_another_spelling_of_its_id_is_none(opened: Open, collection: str, name: str, spelt: str) -> None:
    """It would be a second record beside the one of its id."""
    desk = opened(collection=collection)
    fields = {"users": person("ann"), "organizations": {"name": "Acme"}, "tickets": {"subject": "S", "comment": "C"}}
    made = desk.app.human(kind="create", collection=collection, fields=fields[collection])
    asked = spelt.format(id=made["id"])
    assert desk.run(desk.connector.fetch([asked])) == {asked: Absence(asked, Presence.GONE)}, name
    (changed,) = desk.apply(update(asked, {"external_id": "x"}))
    (removed,) = desk.apply(remove(asked, Kind.DELETE))
    assert changed.outcome is removed.outcome is Outcome.GONE
    assert desk.asked == 0, "no record can have such an id"


def test_writes_to_what_is_no_record_do_not_hold_up_those_that_go_with_them(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 12)
    writes = [update(number, {"notes": "x"}) for number in (*ids(desk).values(), "..")]
    outcomes = [receipt.outcome for receipt in desk.apply(*writes)]
    assert outcomes == [Outcome.DONE] * 12 + [Outcome.GONE]


def test_a_record_that_is_answered_for_another_is_not_taken_for_it(
    desk: Driven[ZendeskApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(desk, 1)
    (number,) = ids(desk).values()
    well = desk.app.normalise
    monkeypatch.setattr(desk.app, "normalise", lambda path: well(path).replace("/999", f"/{number}"))
    found = desk.run(desk.connector.fetch(["999", number]))
    assert found["999"] == Absence("999", Presence.MERGED, number)
    assert isinstance(found[number], Record)


def test_find_by_e_mail_lags_and_looks_at_the_primary_address_only(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann"), person("bob")])
    known = ids(desk)
    desk.app.human(kind="merge", id=known["bob"], into=known["ann"])
    desk.clock.advance(60)
    desk.app.human(kind="create", fields=person("eve"))
    asked = ["ANN@mail.test", "bob@mail.test", "eve@mail.test"]
    assert desk.run(desk.connector.find("email", asked)) == {asked[0]: [known["ann"]], asked[1]: [], asked[2]: []}
    assert desk.connector.capabilities.find is Consistency.LAGGING
    desk.clock.advance(desk.connector.capabilities.lag / 1000)
    assert desk.run(desk.connector.find("email", asked[2:])) == {asked[2]: [ids(desk)["eve"]]}


def test_find_by_external_id_takes_a_hundred_at_once(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person(f"m{number}", external_id=f"Crm-{number}") for number in range(150)])
    before = desk.asked
    found = desk.run(desk.connector.find("external_id", [*(f"crm-{number}" for number in range(150)), "a,b"]))
    assert desk.asked == before + 2
    assert found["crm-149"] == [ids(desk)["m149"]]
    assert found["a,b"] == []


def test_find_refuses_a_field_that_is_not_searchable(desk: Driven[ZendeskApp]) -> None:
    with pytest.raises(TellUser, match="email, external_id"):
        desk.run(desk.connector.find("notes", ["x"]))
