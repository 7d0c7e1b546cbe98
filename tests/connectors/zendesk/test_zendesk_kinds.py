"""Zendesk: bulk jobs, the marker, organizations and tickets."""

from typing import Any

import pytest

from tests.connectors.vendor_account import Driven, create, records_of, remove, update
from tests.connectors.zendesk.people import Open, _many, ids, loaded, new, shown
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import MARKER, Absence, Kind, Outcome, Presence, ReceiptShape, TellUser

# Writing in bulk


def test_many_updates_are_one_job(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 100)
    writes = [update(number, {"notes": "x"}, version="as it was read") for number in ids(desk).values()]
    receipts = desk.apply(*writes)
    assert {receipt.outcome for receipt in receipts} == {Outcome.DONE}
    assert [receipt.id for receipt in receipts] == [write.id for write in writes]
    assert {receipt.record for receipt in receipts} == {None}
    assert desk.connector.capabilities.receipt is ReceiptShape.NOTHING
    assert desk.asked < 8
    assert {entry["notes"] for entry in desk.app.records("users")} == {"x"}


def test_each_record_of_a_job_has_its_own_outcome(opened: Open) -> None:
    desk = opened(bulk_import=True)
    loaded(desk, 10)
    known = list(ids(desk).values())
    desk.clock.advance(60)
    updated = desk.apply(
        *(update(number, {"notes": "x"}) for number in known[:9]),
        update(known[9], {"user_fields.tier": "lead"}),
        update("999", {"notes": "x"}),
    )
    assert [receipt.outcome for receipt in updated] == [Outcome.DONE] * 9 + [Outcome.REFUSED, Outcome.GONE]
    made = desk.apply(*_many(0, 9), new("bad", email="no address"), new("twin", email="M00003@mail.test"))
    assert [receipt.outcome for receipt in made] == [Outcome.DONE] * 9 + [Outcome.REFUSED, Outcome.DUPLICATE]
    assert made[10].id == known[3]
    assert made[0].id == ids(desk)["n0"]


def test_a_bulk_import_that_is_not_allowed_is_tried_once(desk: Driven[ZendeskApp]) -> None:
    assert {receipt.outcome for receipt in desk.apply(*_many(0, 20))} == {Outcome.DONE}
    assert {receipt.outcome for receipt in desk.apply(*_many(20, 20))} == {Outcome.DONE}
    paths = [entry.path.rpartition("/")[2] for entry in desk.requests()]
    assert paths.count("create_many") == 1
    assert paths.count("users") == 40


def test_updates_with_an_address_are_never_a_job(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 12)
    writes = [update(number, {"email": f"new{number}@mail.test"}) for number in ids(desk).values()]
    assert {receipt.outcome for receipt in desk.apply(*writes)} == {Outcome.DONE}
    assert {entry["email"] for entry in desk.app.records("users")} == {write.changed["email"] for write in writes}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "lost_answer", "method": "PUT"}, id="the answer to the job was lost"),
        pytest.param({"kind": "error", "path": "job_statuses", "times": 0}, id="its status cannot be read"),
    ],
)
def test_a_job_whose_end_is_not_seen_is_unknown(desk: Driven[ZendeskApp], fault: dict[str, Any]) -> None:
    loaded(desk, 20)
    desk.app.fault(**fault)
    receipts = desk.apply(*(update(number, {"notes": "x"}) for number in ids(desk).values()))
    assert {receipt.outcome for receipt in receipts} == {Outcome.UNKNOWN}
    assert [entry.method for entry in desk.requests()].count("PUT") == 1


def test_a_job_that_never_ends_is_given_up(opened: Open) -> None:
    desk = opened(job_queue_seconds=3600)
    loaded(desk, 20)
    at = desk.clock.now()
    receipts = desk.apply(*(update(number, {"notes": "x"}) for number in ids(desk).values()))
    assert {receipt.outcome for receipt in receipts} == {Outcome.UNKNOWN}
    assert desk.clock.now() - at < desk.connector.capabilities.request_lifetime / 1000


def test_without_bulk_receipts_tell_what_was_stored(opened: Open) -> None:
    desk = opened(settings={"bulk": False})
    loaded(desk, 20)
    receipts = desk.apply(*(update(number, {"notes": "x"}) for number in ids(desk).values()))
    assert all(receipt.record is not None for receipt in receipts)
    assert desk.connector.capabilities.receipt is ReceiptShape.RECORD


# The marker


def test_a_record_is_found_by_the_operation_that_made_it(opened: Open) -> None:
    desk = opened(settings={"marker": "external_id"})
    assert MARKER in desk.connector.capabilities.find_fields
    desk.app.fault("lost_answer", method="POST")
    (unknown,) = desk.apply(new("eve"))
    assert unknown.outcome is Outcome.UNKNOWN
    assert desk.run(desk.connector.find(MARKER, ["op-eve"])) == {"op-eve": [ids(desk)["eve"]]}
    (record,) = records_of(desk.snapshot()).values()
    assert record.marker == "op-eve"


def test_without_the_setting_there_is_no_marker(desk: Driven[ZendeskApp]) -> None:
    assert MARKER not in desk.connector.capabilities.find_fields
    desk.apply(new("eve"))
    assert shown(desk, "eve")["external_id"] is None
    with pytest.raises(TellUser, match="marker"):
        desk.run(desk.connector.find(MARKER, ["op-eve"]))


# Organizations and tickets


def test_organizations_are_created_updated_found_and_deleted(opened: Open) -> None:
    desk = opened(collection="organizations", fields=frozenset({"name", "domain_names", "tags"}))
    (made,) = desk.apply(create("op1", name="Acme", domain_names=["B.test", "a.test"]))
    assert made.record is not None
    assert made.record.values["domain_names"] == ["a.test", "b.test"]
    number = str(made.id)
    (twin,) = desk.apply(create("op2", name="ACME"))
    assert (twin.outcome, twin.id) == (Outcome.DUPLICATE, number)
    (renamed,) = desk.apply(update(number, {"name": "Acme & Sons"}))
    assert renamed.outcome is Outcome.DONE
    assert desk.run(desk.connector.find("name", ["acme & sons"])) == {"acme & sons": [number]}
    (deleted,) = desk.apply(remove(number, Kind.DELETE))
    assert deleted.outcome is Outcome.DONE
    assert desk.run(desk.connector.fetch([number]))[number] == Absence(number, Presence.GONE)


def test_a_ticket_moves_on_and_its_condition_is_kept(opened: Open) -> None:
    desk = opened(collection="tickets", fields=frozenset({"subject", "status", "description", "custom_fields.1"}))
    assert desk.connector.capabilities.conditional
    (made,) = desk.apply(create("op1", subject="Help", description="It broke"))
    assert made.record is not None
    assert made.record.values["description"] == "It broke"
    number = str(made.id)
    desk.clock.advance(5)
    (done,) = desk.apply(update(number, {"status": "pending"}, version=made.version))
    assert done.outcome is Outcome.DONE
    desk.clock.advance(5)
    desk.app.human(kind="update", collection="tickets", id=number, fields={"status": "solved"})
    (moved,) = desk.apply(update(number, {"subject": "x"}, version=done.version))
    assert moved.outcome is Outcome.MOVED
    (archived,) = desk.apply(remove(number, Kind.ARCHIVE))
    assert archived.outcome is Outcome.DONE


def test_a_ticket_whose_answer_was_lost_is_asked_for_by_its_key(opened: Open) -> None:
    """Zendesk answers the same key with the same ticket: here a lost answer is asked for again."""
    desk = opened(collection="tickets", fields=frozenset({"subject", "description"}))
    desk.app.fault("lost_answer", method="POST")
    (made,) = desk.apply(create("op1", subject="Help", description="It broke"))
    assert made.outcome is Outcome.DONE
    assert len(desk.app.records("tickets")) == 1
