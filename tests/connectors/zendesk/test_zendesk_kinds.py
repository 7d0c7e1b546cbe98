"""Zendesk: bulk jobs, the marker, and organizations."""

from typing import Any

import pytest

from tests.connectors.vendor_account import Driven, create, records_of, remove, update
from tests.connectors.zendesk.people import Open, _many, ids, loaded, new, shown
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import MARKER, Absence, Kind, Outcome, Presence, Receipt, ReceiptShape, Record, TellUser
from twoway_connectors.zendesk.answers import Refusal
from twoway_connectors.zendesk.jobs import outcomes

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


def test_results_of_updates_are_told_by_id_and_in_any_order(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 12)
    first, *others = sorted(ids(desk).values(), reverse=True)
    writes = [update(first, {"user_fields.tier": "lead"}), *(update(number, {"notes": "x"}) for number in others)]
    receipts = desk.apply(*writes)
    assert [receipt.outcome for receipt in receipts] == [Outcome.REFUSED] + [Outcome.DONE] * 11
    assert [receipt.id for receipt in receipts[1:]] == others


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([{"id": 9, "index": 1}, {"id": 8, "index": 0}], ["8", "9"], id="as documented, in another order"),
        pytest.param(
            [
                {"id": 9, "status": "Created", "email": "b@mail.test"},
                {"id": 8, "status": "Created", "external_id": "op-a"},
            ],
            ["8", "9"],
            id="by their keys",
        ),
        pytest.param([{"id": 9}, {"id": 8}], ["unknown", "unknown"], id="which of them is not told"),
        pytest.param(
            [{"id": 9, "index": 0}, {"id": 8, "index": 0}], ["unknown", "unknown"], id="two results for one of them"
        ),
        pytest.param([{"id": 9, "index": 7}], ["unknown", "unknown"], id="no such place"),
        pytest.param(
            [{"index": 0, "error": "UserCreateError", "details": "Name: is bad"}, {"id": 8, "index": 1}],
            ["refused", "8"],
            id="one is refused",
        ),
        pytest.param(
            [{"id": 0, "error": "UserUpdateError", "details": "x", "status": "Failed"}, {"id": 8, "index": 1}],
            ["refused", "8"],
            id="the refused one by its place, as its id",
        ),
        pytest.param(
            [{"index": 0, "error": "DatabaseConflict"}, {"index": 1, "error": {"title": "?"}}],
            ["unknown", "unknown"],
            id="an error that says nothing of the record",
        ),
        pytest.param(
            [{"index": 0, "id": 8, "success": False}, {"index": 1, "id": 9, "status": "Failed"}],
            ["unknown", "unknown"],
            id="failed, without a reason",
        ),
        pytest.param([{"index": 0}, {"index": 1, "success": True}], ["unknown", "unknown"], id="no id, no error"),
    ],
)
def test_what_a_bulk_create_tells(results: list[dict[str, Any]], expected: list[str]) -> None:
    writes = [new("a"), new("b")]
    bodies = [{"name": "a", "external_id": "op-a"}, {"name": "b", "email": "B@mail.test"}]
    found = outcomes({"status": "completed", "results": results}, writes, bodies)
    assert [_word(outcome) for outcome in found] == expected


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param(
            [{"id": 6, "action": "update", "success": True}, {"id": 5, "action": "update", "success": True}],
            ["5", "6"],
            id="as documented, in another order",
        ),
        pytest.param([{"id": 6, "success": False, "error": "RecordNotFound"}], ["unknown", "refused"], id="one fails"),
        pytest.param([{"index": 0, "success": True}, {"index": 1, "success": True}], ["5", "6"], id="by index"),
        pytest.param([{"success": True}, {"success": True}], ["unknown", "unknown"], id="neither id nor index"),
        pytest.param([{"id": 5, "success": False}], ["unknown", "unknown"], id="failed, without a reason"),
    ],
)
def test_what_a_bulk_update_tells(results: list[dict[str, Any]], expected: list[str]) -> None:
    writes = [update("5", {"notes": "x"}), update("6", {"notes": "x"})]
    found = outcomes({"status": "completed", "results": results}, writes, [{"id": 5}, {"id": 6}])
    assert [_word(outcome) for outcome in found] == expected


def _word(outcome: Receipt | Refusal) -> str:
    if isinstance(outcome, Refusal):
        return "refused"
    return str(outcome.id) if outcome.outcome is Outcome.DONE else outcome.outcome.value


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


# Organizations


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


def test_the_loser_of_a_merge_of_organizations_is_gone_and_that_is_declared(opened: Open) -> None:
    desk = opened(collection="organizations", fields=frozenset({"name"}))
    desk.app.load([{"name": "Acme"}, {"name": "Acme Inc"}], collection="organizations")
    known = ids(desk, "organizations")
    desk.app.human(kind="merge", collection="organizations", id=known["Acme Inc"], into=known["Acme"])
    found = desk.run(desk.connector.fetch([known["Acme Inc"], known["Acme"]]))
    assert found[known["Acme Inc"]] == Absence(known["Acme Inc"], Presence.GONE)
    assert isinstance(found[known["Acme"]], Record)
    assert desk.connector.capabilities.hides_merges, "no deletion may be founded on it"
