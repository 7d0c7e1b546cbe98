"""What a field is decided by, within its link: its own times, the pair's tolerance, and no other field."""

import pytest

from tests.core.sides import BOTH_SIDES, pair, seen
from twoway.core.reconcile import reconcile
from twoway.core.rules import Direction, FieldRule, Policy

L, R = BOTH_SIDES
NEWEST = FieldRule(name="f", policy=Policy.NEWEST)

TIMES: list[tuple[str, dict[str, int], dict[str, int], str]] = [
    ("later on the left", {"f": 9_000}, {"f": 1_000}, "right takes l"),
    ("later on the right", {"f": 1_000}, {"f": 9_000}, "left takes r"),
    ("another field's times say nothing", {"f": 9_000, "g": 1_000}, {"f": 1_000, "g": 9_000}, "right takes l"),
    ("as far apart as clocks may be", {"f": 1_000}, {"f": 4_000}, "review"),
    ("farther apart", {"f": 1_000}, {"f": 4_001}, "left takes r"),
]


@pytest.mark.parametrize(("why", "left", "right", "outcome"), TIMES, ids=[one[0] for one in TIMES])
def test_the_newest_by_the_fields_own_times(
    why: str, left: dict[str, int], right: dict[str, int], outcome: str
) -> None:
    decision = reconcile(
        seen({"f": "l"}, {"f": "a"}, times=left, modified=1),
        seen({"f": "r"}, {"f": "a"}, times=right, modified=1),
        pair(NEWEST, tolerance=3_000),
    )

    told = [f"{edit.side} takes {edit.changed['f']}" for edit in decision.edits] or ["review"]
    assert told == [outcome], why
    assert bool(decision.conflicts) is (outcome == "review")


def test_fields_that_say_nothing_hold_back_none_of_those_behind_them() -> None:
    rules = pair(
        FieldRule(name="a", direction=Direction.ONE_SIDE),
        FieldRule(name="b"),
        FieldRule(name="c"),
        FieldRule(name="d"),
    )
    left = seen({"a": "x", "d": "new"}, {"b": "known here alone", "d": "old"}, problems={"c": "unreadable"})

    decision = reconcile(left, seen({"d": "old"}), rules)

    assert [(edit.side, edit.changed) for edit in decision.edits] == [(R, {"d": "new"})]


def test_what_is_decided_is_told_by_name_whatever_the_order_in_the_mapping() -> None:
    rules = pair(*(FieldRule(name=name) for name in ("e", "c", "d", "a", "b")))
    left = seen({"e": "l", "c": "l", "d": "l", "a": "l", "b": "same"}, dict.fromkeys("abcde", "same"))
    right = seen({"d": "r", "a": "r"}, dict.fromkeys("abcde", "same"))

    decision = reconcile(left, right, rules)

    assert [list(edit.changed) for edit in decision.edits] == [["c", "e"]]
    assert [conflict.field for conflict in decision.conflicts] == ["a", "d"]
