"""A deletion is not carried over to a record that it never agreed with: what it holds may be nowhere else."""

from typing import Final

import pytest

from tests.core.sides import pair, seen
from tests.core.test_outcome_table import settle
from twoway.core.diff import Life, Seen
from twoway.core.model import Kind, Side, Value
from twoway.core.reconcile import Action
from twoway.core.rules import Direction, FieldRule, OnDelete, Shape

DELETED: Final = {Side.LEFT: OnDelete.DELETE, Side.RIGHT: OnDelete.DELETE}

CASES: Final[list[tuple[str, FieldRule, Value, bool]]] = [
    ("a conflict of the first link was never decided", FieldRule(name="g"), "mine", False),
    ("blank here: there is nothing to lose", FieldRule(name="g"), None, True),
    ("one-way: nobody had to agree", FieldRule(name="g", direction=Direction.TO_RIGHT), "mine", True),
    ("the other way", FieldRule(name="g", direction=Direction.TO_LEFT), "mine", True),
    ("a field of one side", FieldRule(name="g", direction=Direction.ONE_SIDE), "mine", True),
    ("consent that was never sent", FieldRule(name="g", shape=Shape.CONSENT), "in", True),
]


@pytest.mark.parametrize(("why", "rule", "value", "removed"), CASES, ids=[one[0] for one in CASES])
def test_a_field_that_was_never_agreed_on(why: str, rule: FieldRule, value: Value, removed: bool) -> None:
    here = seen({"f": "a", "g": value}, {"f": "a", "g": value})
    gone = Seen(values={"f": "a"}, base={"f": "a"}, life=Life.GONE)

    decision = settle(pair(FieldRule(name="f"), rule, delete=DELETED), here, gone)

    assert [edit.kind for edit in decision.edits] == ([Kind.DELETE] if removed else []), why
    assert decision.action is (Action.KEEP if removed else Action.PARK)
    assert removed or decision.reason == "deleted opposite, but never agreed on here: g"
