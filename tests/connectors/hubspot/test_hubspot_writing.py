"""What is written, and what its receipts say; how values are spelt."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.hubspot.bench import Bench, create, update
from twoway.sdk import (
    Kind,
    Outcome,
    Record,
    TryLater,
    Write,
)
from twoway_connectors.hubspot.schema import Property, Unwritable, encode


class TestValues:
    @pytest.mark.parametrize(
        ("kind", "widget", "wire", "value"),
        [
            ("number", "number", "42", 42),
            ("number", "number", "4.20", Decimal("4.20")),
            ("number", "number", "many", "many"),
            ("number", "number", "NaN", "NaN"),
            ("bool", "booleancheckbox", "true", True),
            ("bool", "booleancheckbox", "false", False),
            ("date", "date", "2025-06-15", "2025-06-15"),
            ("date", "date", "1749945600000", "2025-06-15"),
            ("datetime", "date", "1749945600123", "2025-06-15T00:00:00.123Z"),
            ("datetime", "date", "2025-06-15T02:00:00+02:00", "2025-06-15T00:00:00.000Z"),
            ("enumeration", "checkbox", "b;a", ["b", "a"]),
            ("enumeration", "select", "b", "b"),
            ("string", "text", "a;b", "a;b"),
            ("string", "text", "", None),
            ("number", "number", None, None),
        ],
    )
    def test_decode(self, kind: str, widget: str, wire: str | None, value: Any) -> None:
        decoded = Property.parse({"name": "x", "type": kind, "fieldType": widget}, key=None).decode(wire)
        assert decoded == value
        assert type(decoded) is type(value)

    @pytest.mark.parametrize(
        ("value", "wire"),
        [
            (None, ""),
            (True, "true"),
            (42, "42"),
            (Decimal("4.20"), "4.20"),
            (1e21, "1000000000000000000000"),
            (["a", "b"], "a;b"),
            ([], ""),
            ("as it is ", "as it is "),
        ],
    )
    def test_encode(self, value: Any, wire: str) -> None:
        assert encode(value) == wire

    @pytest.mark.parametrize("value", [{"a": 1}, ["a;b"], [{}]])
    def test_what_cannot_be_spelt_is_refused_without_showing_it(self, value: Any) -> None:
        with pytest.raises(Unwritable) as caught:
            encode(value)
        assert "a;b" not in str(caught.value)

    @given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3))
    def test_numbers_survive(self, number: int | Decimal) -> None:
        prop = Property.parse({"name": "x", "type": "number", "fieldType": "number"}, key=None)
        assert prop.decode(encode(number)) == number


class TestApply:
    def test_creates_answer_with_what_was_stored(self, bench: Bench) -> None:
        writes = [create(f"op{n}", email=f" P{n}@Example.com", firstname=f"P{n}") for n in range(3)]
        receipts = bench.apply(*writes)
        for n, receipt in enumerate(receipts):
            assert receipt.outcome is Outcome.DONE
            assert receipt.record is not None
            assert receipt.record.values == {"email": f"p{n}@example.com", "firstname": f"P{n}"}
            stored = bench.run(lambda hubspot, wanted=str(receipt.id): hubspot.fetch([wanted]))[str(receipt.id)]  # type: ignore[misc]  # a default binds the loop's value
            assert isinstance(stored, Record)
            assert stored.version == receipt.version

    @pytest.mark.parametrize(
        ("how", "writes"),
        [
            ("by the address", [create(f"op{n}", email=f" P{n}@Example.com", firstname=f"P{n}") for n in range(5)]),
            ("by the marker", [create(f"op{n}", firstname="Twin") for n in range(5)]),
            ("alone", [create("op0", firstname="Alone")]),
            ("by its id", [update("", firstname=f"New{n}") for n in range(5)]),
        ],
    )
    def test_results_without_a_trace_id_are_told_apart(self, bench: Bench, how: str, writes: list[Write]) -> None:
        bench.app.configure(trace_ids=False)
        if how == "by the marker":
            bench.define("twoway_operation", "string", "text", unique=True)
            bench.settings["marker_property"] = "twoway_operation"
        if how == "by its id":
            writes = [update(bench.create(email=f"{n}@example.com"), **each.changed) for n, each in enumerate(writes)]
        receipts = bench.apply(*writes)
        assert [each.outcome for each in receipts] == [Outcome.DONE] * len(writes), how
        for write, receipt in zip(writes, receipts, strict=True):
            assert bench.stored(str(receipt.id))["firstname"] == write.changed["firstname"]
            if how == "by the marker":
                assert bench.stored(str(receipt.id))["twoway_operation"] == write.operation

    def test_what_nothing_tells_apart_is_unknown(self, bench: Bench) -> None:
        bench.app.configure(trace_ids=False)
        receipts = bench.apply(*(create(f"op{n}", firstname="Twin") for n in range(2)))
        assert [each.outcome for each in receipts] == [Outcome.UNKNOWN] * 2

    def test_one_that_is_refused_leaves_its_result_to_nobody_else(self, bench: Bench) -> None:
        bench.app.configure(trace_ids=False)
        taken = bench.create(email="p1@example.com")
        receipts = bench.apply(*(create(f"op{n}", email=f"p{n}@example.com") for n in range(3)))
        outcomes = [each.outcome for each in receipts]
        assert outcomes == [Outcome.DONE, Outcome.DUPLICATE, Outcome.DONE]
        assert receipts[1].id == taken

    def test_an_update_touches_only_its_fields(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com", firstname="A", lastname="B")
        (receipt,) = bench.apply(update(contact, firstname="C"))
        assert receipt.record is not None
        assert receipt.record.values == {"firstname": "C"}
        stored = bench.stored(contact)
        assert (stored["email"], stored["firstname"], stored["lastname"]) == ("a@example.com", "C", "B")

    def test_blank_clears(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com", firstname="A")
        (receipt,) = bench.apply(update(contact, firstname=None))
        assert receipt.record is not None
        assert receipt.record.values == {"firstname": None}
        assert not bench.stored(contact).get("firstname")

    def test_lists_numbers_and_booleans_are_spelt_as_hubspot_wants_them(self, bench: Bench) -> None:
        bench.define("topics", "enumeration", "checkbox", "a", "b")
        bench.define("points", "number", "number")
        bench.define("vip", "bool", "booleancheckbox")
        changed: dict[str, Any] = {"topics": ["b", "a"], "points": Decimal("4.5"), "vip": True}
        (receipt,) = bench.apply(create(email="a@example.com", **changed))
        assert receipt.record is not None
        assert {name: receipt.record.values[name] for name in changed} == changed

    def test_what_the_app_does_not_take_is_seen_in_the_receipt(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com", lifecyclestage="customer")
        (receipt,) = bench.apply(update(contact, lifecyclestage="lead"))
        assert receipt.record is not None
        assert receipt.record.values == {"lifecyclestage": "customer"}
        assert "lifecyclestage" in bench.connector().capabilities.rewrites

    def test_each_input_of_a_batch_has_its_own_outcome(self, bench: Bench) -> None:
        fine, other, dead = (bench.create(email=f"{n}@example.com") for n in range(3))
        bench.human("delete", dead)
        receipts = bench.apply(
            update(fine, firstname="A"),
            update(dead, firstname="A"),
            update("999999", firstname="A"),
            update(other, email="not an address"),
            update(other + "0", firstname="A"),
        )
        outcomes = [receipt.outcome for receipt in receipts]
        assert outcomes == [Outcome.DONE, Outcome.GONE, Outcome.GONE, Outcome.REFUSED, Outcome.GONE]
        assert receipts[3].field == "email"
        assert "not an address" not in str(receipts[3])

    @pytest.mark.parametrize(
        ("what", "changed", "field"),
        [
            ("no such option", {"lifecyclestage": "king"}, "lifecyclestage"),
            ("no such property", {"nickname": "x"}, "nickname"),
            ("read only", {"createdate": "2025-01-01"}, "createdate"),
            ("not a list of HubSpot's", {"firstname": ["a;b"]}, "firstname"),
            ("no form for it", {"firstname": {"a": "b"}}, "firstname"),
        ],
    )
    def test_a_refusal_names_the_field(self, bench: Bench, what: str, changed: dict[str, Any], field: str) -> None:
        (receipt,) = bench.apply(create(email="a@example.com", **changed))
        assert (receipt.outcome, receipt.field) == (Outcome.REFUSED, field), what
        assert receipt.why

    def test_a_second_record_with_an_address_is_a_duplicate_of_the_first(self, bench: Bench) -> None:
        first = bench.create(email="a@example.com")
        (receipt,) = bench.apply(create(email="A@example.com"))
        assert (receipt.outcome, receipt.id) == (Outcome.DUPLICATE, first)
        assert "a@example.com" not in str(receipt).lower()

    def test_a_secondary_address_is_a_duplicate_of_its_owner_not_of_the_id_that_never_was(self, bench: Bench) -> None:
        loser, winner = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        bench.human("merge", loser, into=winner)
        (receipt,) = bench.apply(create(email="a@example.com"))
        assert (receipt.outcome, receipt.id) == (Outcome.DUPLICATE, winner)

    def test_an_address_of_another_record_is_not_taken_from_it(self, bench: Bench) -> None:
        first, second = bench.create(email="a@example.com"), bench.create(email="b@example.com")
        (receipt,) = bench.apply(update(second, email="a@example.com"))
        assert (receipt.outcome, receipt.id) == (Outcome.DUPLICATE, first)
        assert bench.stored(second)["email"] == "b@example.com"

    def test_a_create_that_is_sent_again_finds_itself_by_its_marker(self, bench: Bench) -> None:
        bench.define("twoway_operation", "string", "text", unique=True)
        bench.settings["marker_property"] = "twoway_operation"
        (first,) = bench.apply(create("op-7", email="a@example.com"))
        assert first.id is not None
        bench.human("update", first.id, email="changed@example.com")
        (again,) = bench.apply(create("op-7", email="a@example.com"))
        assert (again.outcome, again.id) == (Outcome.DUPLICATE, first.id)

    def test_one_key_twice_in_a_batch_is_written_once(self, bench: Bench) -> None:
        receipts = bench.apply(create("1", email="a@example.com"), create("2", email="A@example.com "))
        assert [each.outcome for each in receipts] == [Outcome.DONE, Outcome.LATER]
        assert len(bench.app.records("contacts")) == 1

    @pytest.mark.parametrize("status", [400, 409])
    def test_a_batch_that_is_refused_as_a_whole_is_halved(self, bench: Bench, status: int) -> None:
        ids = [bench.create(email=f"{n}@example.com") for n in range(5)]
        bench.app.fault("error", path="batch/update", status=status)
        receipts = bench.apply(*(update(contact, firstname="A") for contact in ids))
        assert [each.outcome for each in receipts] == [Outcome.DONE] * 5
        assert [bench.stored(contact)["firstname"] for contact in ids] == ["A"] * 5

    @pytest.mark.parametrize("status", [400, 409])
    def test_what_is_refused_without_a_reason_was_certainly_not_written(self, bench: Bench, status: int) -> None:
        """HubSpot calls every part of its errors optional, the category too."""
        contact = bench.create(email="a@example.com")
        bench.app.fault("error", path="batch/", status=status, times=0)
        (changed,) = bench.apply(update(contact, firstname="A"))
        (made,) = bench.apply(create(email="b@example.com"))
        assert [each.outcome for each in (changed, made)] == [Outcome.REFUSED] * 2
        assert changed.why == "HubSpot refuses it and names no reason"

    @pytest.mark.parametrize(
        ("fault", "arguments"),
        [
            ("lost_answer", {}),
            ("lost_request", {}),
            ("html", {"applied": True}),
            ("truncated", {}),
            ("error", {"status": 500, "applied": True}),
            ("error", {"status": 502}),
            ("die_midway", {"after_inputs": 1}),
        ],
    )
    @pytest.mark.parametrize("kind", ["create", "update"])
    def test_when_the_answer_is_lost_the_outcome_is_unknown_and_nothing_is_sent_again(
        self, bench: Bench, kind: str, fault: str, arguments: dict[str, Any]
    ) -> None:
        ids = [bench.create(email=f"{n}@example.com") for n in range(2)]
        bench.app.fault(fault, path=f"batch/{kind}", times=0, **arguments)
        writes = (
            [update(contact, firstname="A") for contact in ids]
            if kind == "update"
            else [create(f"op{n}", email=f"new{n}@example.com") for n in range(2)]
        )
        receipts = bench.apply(*writes)
        assert [each.outcome for each in receipts] == [Outcome.UNKNOWN] * 2
        assert len([path for _, path in bench.requests() if path.endswith(f"batch/{kind}")]) == 1

    def test_a_write_that_was_certainly_not_taken_up_raises(self, bench: Bench) -> None:
        bench.app.fault("rate_limited", times=0, path="batch/create", retry_after=600)
        with pytest.raises(TryLater) as caught:
            bench.apply(create(email="a@example.com"))
        assert not caught.value.sent
        assert bench.app.records("contacts") == []

    def test_once_something_may_be_written_nothing_raises(self, bench: Bench) -> None:
        ids = [bench.create(email=f"{n}@example.com") for n in range(4)]
        bench.app.fault("error", path="batch/update", status=400)
        bench.app.fault("wrong_token", path="batch/update", skip=2)
        receipts = bench.apply(*(update(contact, firstname="A") for contact in ids))
        assert [each.outcome for each in receipts] == [Outcome.DONE] * 2 + [Outcome.LATER] * 2
        assert [bench.stored(contact).get("firstname") for contact in ids] == ["A", "A", None, None]

    def test_archive(self, bench: Bench) -> None:
        ids = [bench.create(email=f"{n}@example.com") for n in range(3)]
        bench.app.fault("lost_answer", path="batch/archive")
        receipts = bench.apply(*(Write(operation=contact, kind=Kind.ARCHIVE, id=contact) for contact in ids))
        # Archiving twice does no harm, so the lost answer was asked for again.
        assert [(each.outcome, each.id) for each in receipts] == [(Outcome.DONE, contact) for contact in ids]
        assert all(each["archived"] for each in bench.app.records("contacts"))

    def test_an_archive_that_nobody_answers_is_unknown(self, bench: Bench) -> None:
        contact = bench.create(email="a@example.com")
        bench.app.fault("lost_answer", path="batch/archive", times=0)
        (receipt,) = bench.apply(Write(operation="op", kind=Kind.ARCHIVE, id=contact))
        assert receipt.outcome is Outcome.UNKNOWN

    def test_the_normal_form_is_what_the_app_stores(self, bench: Bench) -> None:
        sent = {"email": " Ada@Example.COM ", "firstname": " Ada "}
        (receipt,) = bench.apply(create(**sent))
        assert receipt.record is not None
        assert receipt.record.values == bench.connector().normal(sent)

    def test_nothing_to_write_is_nothing_to_send(self, bench: Bench) -> None:
        assert bench.apply() == []
        assert bench.requests() == []
