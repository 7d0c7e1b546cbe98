"""Zendesk's tickets: their archive, their condition, their marker."""

from typing import Any

import pytest

from tests.connectors.vendor_account import Driven, create, gone_of, records_of, remove, update
from tests.connectors.zendesk.people import START, Open
from twoway.sandbox.clock import iso_seconds
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import MARKER, Consistency, Kind, Outcome, Record, TryLater

FIELDS = frozenset({"subject", "status", "description", "organization_id", "tags"})
YEAR = 365 * 86400


@pytest.fixture
def desk(opened: Open) -> Driven[ZendeskApp]:
    return opened(collection="tickets", fields=FIELDS)


def ticket(desk: Driven[ZendeskApp], subject: str, **more: Any) -> str:
    fields = {"subject": subject, "comment": {"body": "It broke"}, **more}
    return str(desk.app.human(kind="create", collection="tickets", fields=fields)["id"])


def edit(desk: Driven[ZendeskApp], number: str, **fields: Any) -> None:
    desk.app.human(kind="update", collection="tickets", id=number, fields=fields)


def imported(desk: Driven[ZendeskApp], count: int, **more: Any) -> None:
    desk.app.load([{"subject": f"T{number}", **more} for number in range(count)], collection="tickets")


def subjects(desk: Driven[ZendeskApp]) -> set[str]:
    return {str(record.values["subject"]) for record in records_of(desk.snapshot()).values()}


# A snapshot


def test_a_snapshot_lists_the_archived_and_not_the_deleted(desk: Driven[ZendeskApp]) -> None:
    imported(desk, 1200, status="closed", updated_at=iso_seconds(START - YEAR))
    deleted = ticket(desk, "deleted")
    ticket(desk, "kept")
    desk.app.human(kind="delete", collection="tickets", id=deleted)
    desk.clock.advance(61)
    assert subjects(desk) == {"kept", *(f"T{number}" for number in range(1200))}
    assert desk.connector.capabilities.snapshot is Consistency.LAGGING


def test_a_snapshot_holds_what_was_made_in_the_latest_minute(desk: Driven[ZendeskApp]) -> None:
    """An export leaves that minute out: a bulk edit just before must not make the listing look short."""
    imported(desk, 250, updated_at=iso_seconds(START - YEAR))
    desk.clock.advance(61)
    for entry in desk.app.records("tickets"):
        edit(desk, str(entry["id"]), priority="high")
    ticket(desk, "new")
    before = desk.asked
    assert len(subjects(desk)) == 251
    assert desk.asked - before == 1 + 3


def test_a_snapshot_loses_no_ticket_that_is_edited_while_it_is_read(desk: Driven[ZendeskApp]) -> None:
    imported(desk, 2500, updated_at=iso_seconds(START - YEAR))
    numbers = [str(entry["id"]) for entry in desk.app.records("tickets")]
    page = desk.run(desk.connector.snapshot(None))
    seen = records_of([page])
    for number in (*numbers[:5], *numbers[1500:1505], *numbers[-5:]):
        edit(desk, number, priority="high")
    while not page.last:
        page = desk.run(desk.connector.snapshot(page.cursor))
        seen |= records_of([page])
    assert seen.keys() == set(numbers)


def test_a_quiet_account_is_asked_for_one_page_more_than_its_export_has(desk: Driven[ZendeskApp]) -> None:
    imported(desk, 1500, updated_at=iso_seconds(START - YEAR))
    ticket(desk, "latest")
    desk.clock.advance(61)
    before = desk.asked
    assert len(subjects(desk)) == 1501
    assert desk.asked - before == 2 + 1


def test_snapshots_and_the_feed_share_ten_exports_a_minute(desk: Driven[ZendeskApp]) -> None:
    imported(desk, 3)
    cursor = desk.follow(None)[-1].cursor
    for _ in range(12):
        desk.snapshot()
        cursor = desk.follow(cursor)[-1].cursor
    assert {entry.status for entry in desk.requests()} == {200}


def test_the_feed_tells_what_a_snapshot_left_behind(desk: Driven[ZendeskApp]) -> None:
    kept, lost = ticket(desk, "kept"), ticket(desk, "lost")
    cursor = desk.follow(None)[-1].cursor
    desk.snapshot()
    edit(desk, kept, subject="edited")
    desk.app.human(kind="delete", collection="tickets", id=lost)
    desk.clock.advance(61)
    pages = desk.follow(cursor)
    assert records_of(pages)[kept].values["subject"] == "edited"
    assert gone_of(pages) == {lost}


# Its condition


def test_a_ticket_moves_on_and_its_condition_is_kept(desk: Driven[ZendeskApp]) -> None:
    assert desk.connector.capabilities.conditional
    (made,) = desk.apply(create("op1", subject="Help", description="It broke"))
    assert made.record is not None
    assert made.record.values["description"] == "It broke"
    number = str(made.id)
    desk.clock.advance(5)
    (done,) = desk.apply(update(number, {"status": "pending"}, version=made.version))
    assert done.outcome is Outcome.DONE
    desk.clock.advance(5)
    edit(desk, number, status="solved")
    (moved,) = desk.apply(update(number, {"subject": "x"}, version=done.version))
    assert moved.outcome is Outcome.MOVED
    (archived,) = desk.apply(remove(number, Kind.ARCHIVE))
    assert archived.outcome is Outcome.DONE


def test_an_edit_in_the_second_of_the_read_is_not_overwritten(opened: Open) -> None:
    """Zendesk would let it pass: it compares whole seconds."""
    # A stopped clock: all requests are within the second.
    desk = opened(collection="tickets", fields=FIELDS, settings={"plan": "high-volume"})
    number = ticket(desk, "first")
    read = desk.run(desk.connector.fetch([number]))[number]
    assert isinstance(read, Record)
    at = int(desk.clock.now())
    edit(desk, number, subject="a person's")
    (receipt,) = desk.apply(update(number, {"subject": "ours"}, version=read.version))
    assert (receipt.outcome, int(desk.clock.now())) == (Outcome.MOVED, at)
    now = desk.run(desk.connector.fetch([number]))[number]
    assert isinstance(now, Record)
    assert now.values["subject"] == "a person's"


def test_a_change_by_the_system_is_not_overwritten(desk: Driven[ZendeskApp]) -> None:
    """It moves no `updated_at`, by which Zendesk judges."""
    old, kept, merged = (
        str(desk.app.human(kind="create", collection="organizations", fields={"name": name})["id"])
        for name in ("Old", "Kept", "Merged")
    )
    number = ticket(desk, "first", organization_id=merged)
    read = desk.run(desk.connector.fetch([number]))[number]
    assert isinstance(read, Record)
    desk.clock.advance(5)
    desk.app.human(kind="merge", collection="organizations", id=merged, into=kept)
    (receipt,) = desk.apply(update(number, {"organization_id": old}, version=read.version))
    assert receipt.outcome is Outcome.MOVED


def test_an_edit_between_the_look_and_the_write_is_refused_by_zendesk(
    desk: Driven[ZendeskApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = ticket(desk, "first")
    read = desk.run(desk.connector.fetch([number]))[number]
    assert isinstance(read, Record)
    genuine = desk.app.tickets.update

    def overtaken(record: Any, body: Any, by: Any) -> None:
        monkeypatch.setattr(desk.app.tickets, "update", genuine)
        desk.clock.advance(1)
        edit(desk, number, subject="a person's")
        genuine(record, body, by)

    monkeypatch.setattr(desk.app.tickets, "update", overtaken)
    (receipt,) = desk.apply(update(number, {"subject": "ours"}, version=read.version))
    assert receipt.outcome is Outcome.MOVED
    assert desk.app.records("tickets")[0]["subject"] == "a person's"


def test_tickets_are_looked_at_together_before_they_are_written(desk: Driven[ZendeskApp]) -> None:
    imported(desk, 20)
    numbers = [str(entry["id"]) for entry in desk.app.records("tickets")]
    read = desk.run(desk.connector.fetch(numbers))
    versions = {number: answer.version for number, answer in read.items() if isinstance(answer, Record)}
    before = desk.asked
    writes = [update(number, {"subject": "x"}, version=versions[number]) for number in numbers]
    assert {receipt.outcome for receipt in desk.apply(*writes)} == {Outcome.DONE}
    assert desk.asked - before == 1 + 20


def test_a_look_that_is_lost_has_written_nothing(desk: Driven[ZendeskApp]) -> None:
    number = ticket(desk, "first")
    read = desk.run(desk.connector.fetch([number]))[number]
    assert isinstance(read, Record)
    desk.app.fault("lost_answer", path="show_many", times=0)
    with pytest.raises(TryLater) as lost:
        desk.apply(update(number, {"subject": "ours"}, version=read.version))
    assert not lost.value.sent


# Its keys


def test_a_ticket_whose_answer_was_lost_is_asked_for_by_its_key(desk: Driven[ZendeskApp]) -> None:
    """Zendesk answers the same key with the same ticket: here a lost answer is asked for again."""
    desk.app.fault("lost_answer", method="POST")
    (made,) = desk.apply(create("op1", subject="Help", description="It broke"))
    assert made.outcome is Outcome.DONE
    assert len(desk.app.records("tickets")) == 1


def test_a_ticket_is_found_by_the_operation_that_made_it(opened: Open) -> None:
    desk = opened(collection="tickets", fields=FIELDS, settings={"marker": "external_id"})
    made = desk.apply(*(create(f"op-{n}", subject=f"S{n}", description="D") for n in range(3)))
    capabilities = desk.connector.capabilities
    assert MARKER in capabilities.find_fields
    assert capabilities.find is not Consistency.NONE
    desk.clock.advance(capabilities.lag / 1000)
    found = desk.run(desk.connector.find(MARKER, ["op-1", "op-2", "op-9"]))
    assert found == {"op-1": [made[1].id], "op-2": [made[2].id], "op-9": []}


def test_all_tickets_with_an_external_id_are_found(desk: Driven[ZendeskApp]) -> None:
    imported(desk, 150, external_id="crm-1")
    imported(desk, 1, external_id="CRM-1")
    found = desk.run(desk.connector.find("external_id", ["crm-1", "crm-2", "", None]))
    assert {value: len(holders) for value, holders in found.items()} == {"crm-1": 150, "crm-2": 0, "": 0, None: 0}


# What Zendesk makes of it


def test_a_ticket_takes_more_tags_than_it_was_given_and_that_is_declared(desk: Driven[ZendeskApp]) -> None:
    person = desk.app.human(kind="create", fields={"name": "Ann", "tags": ["vip"]})
    write = create("op1", subject="Help", description="It broke", tags=["broken"], requester_id=str(person["id"]))
    (made,) = desk.apply(write)
    assert made.record is not None
    assert made.record.values["tags"] == ["broken", "vip"]
    assert desk.connector.capabilities.rewrites == {"tags"}


def test_many_updates_keep_to_the_limit_that_tickets_have(opened: Open) -> None:
    desk = opened(collection="tickets", fields=FIELDS, settings={"plan": "enterprise"}, rate_limit=700)
    imported(desk, 130)
    numbers = [str(entry["id"]) for entry in desk.app.records("tickets")]
    for start in range(0, 130, 25):
        receipts = desk.apply(*(update(number, {"subject": "Now"}) for number in numbers[start : start + 25]))
        assert {receipt.outcome for receipt in receipts} == {Outcome.DONE}
    assert 429 not in {entry.status for entry in desk.requests()}


def test_an_update_waits_until_people_have_left_room_for_it(desk: Driven[ZendeskApp]) -> None:
    """What agents do counts, too."""
    number = ticket(desk, "Help")
    for _ in range(100):
        desk.app._ticket_updates.take(desk.clock.now())
    (receipt,) = desk.apply(update(number, {"subject": "Now"}))
    assert receipt.outcome is Outcome.DONE
    assert [entry.status for entry in desk.requests() if entry.method == "PUT"] == [429, 200]
