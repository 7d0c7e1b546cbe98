"""The table of outcomes, row by row: two bases, two values, every policy; and each row with its sides swapped."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypedDict

import pytest

from tests.core.sides import (
    BOTH_SIDES,
    mirrored_decision,
    mirrored_rules,
    mirrored_verdict,
    pair,
    seen,
)
from twoway.core.diff import MISSING, Life, Missing, Seen
from twoway.core.model import Kind, Side, Value
from twoway.core.reconcile import DELETED_OPPOSITE, Action, Decision, FieldConflict, reconcile
from twoway.core.resolve import Verdict
from twoway.core.rules import (
    Blank,
    Direction,
    Drift,
    FieldRule,
    OnDelete,
    OnEditedDelete,
    PairRules,
    Policy,
    Shape,
    Start,
)

L, R = Side.LEFT, Side.RIGHT
NONE: Final = MISSING
"""No base, or no value in this payload."""
KEEPS: Final = (Blank.FILL, Blank.IGNORE)
"""The policies under which a blank does not travel."""
ALL: Final = tuple(Blank)

Written = tuple[Value | Missing, Value | Missing, str]
"""What is written on the left and on the right, and by which rule; a rule that says `review` writes nothing."""


def to_right(value: Value, rule: str = "changed") -> Written:
    return NONE, value, rule


def to_left(value: Value, rule: str = "changed") -> Written:
    return value, NONE, rule


NOTHING: Final[Written] = (NONE, NONE, "")


def settle(rules: PairRules, left: Seen, right: Seen, verdicts: Mapping[str, Verdict] | None = None) -> Decision:
    """The decision; that of the same link with its sides swapped must be its mirror."""
    decision = reconcile(left, right, rules, verdicts)
    swapped = reconcile(
        right, left, mirrored_rules(rules), {name: mirrored_verdict(one) for name, one in (verdicts or {}).items()}
    )
    assert mirrored_decision(swapped) == decision, "swapping the sides does not mirror the decision"
    return decision


def side_of(base: Value | Missing, value: Value | Missing, time: int | None) -> Seen:
    return seen(
        {} if isinstance(value, Missing) else {"f": value},
        {} if isinstance(base, Missing) else {"f": base},
        modified=time,
    )


def assert_outcome(decision: Decision, expected: Written, left: Seen, right: Seen) -> None:
    """The decision is just this; what it is founded on and what moves with it follow from the two sides."""
    *values, rule = expected
    now: dict[Side, Value | Missing] = {L: left.value("f"), R: right.value("f")}
    base = {L: left.base, R: right.base}
    assert decision.action is Action.KEEP
    if rule.startswith("review"):
        why = rule.removeprefix("review ")
        assert decision.conflicts == (FieldConflict("f", left.values["f"], right.values["f"], why),)
        assert (decision.edits, decision.bases) == ((), {})
        return
    assert decision.conflicts == ()
    written = dict(zip(BOTH_SIDES, values, strict=True))
    edits = {edit.side: edit for edit in decision.edits}
    assert {side: edit.changed["f"] for side, edit in edits.items()} == {
        side: value for side, value in written.items() if value is not NONE
    }
    for side, edit in edits.items():
        assert edit.kind is Kind.UPDATE
        assert edit.expect == {"f": now[side]}
        assert edit.rules == {"f": rule}
        assert edit.given == ({"f": now[side.other]} if len(edits) == 1 else {})
    unknown = NONE in now.values()
    assert decision.bases == (
        {}
        if edits or unknown
        else {side: {"f": now[side]} for side in BOTH_SIDES if base[side].get("f", NONE) != now[side]}
    )


@dataclass(frozen=True)
class Row:
    """(base, value) of each side, and the outcome under these blank policies, whatever the conflict policy."""

    why: str
    left: tuple[Value | Missing, Value | Missing]
    right: tuple[Value | Missing, Value | Missing]
    outcome: Written
    blanks: tuple[Blank, ...] = ALL


TWO_WAY: Final = [
    Row("same, same", ("a", "a"), ("a", "a"), NOTHING),
    Row("same, same, where the app rewrote what it was given", ("a", "a"), ("A", "A"), NOTHING),
    Row("same, same, both blank", (None, None), (None, None), NOTHING),
    Row("same, same, one holds nothing of it", ("a", "a"), (None, None), NOTHING),
    Row("changed, same", ("a", "b"), ("a", "a"), to_right("b")),
    Row("changed, same, beside a rewrite", ("a", "b"), ("A", "A"), to_right("b")),
    Row("changed back to what the other side was left with", ("a", "A"), ("A", "A"), NOTHING),
    Row("filled, same", (None, "b"), (None, None), to_right("b")),
    Row("filled, the other side keeps another value", (None, "b"), ("a", "a"), to_right("b")),
    Row("emptied, same", ("a", None), ("a", "a"), to_right(None), (Blank.PROPAGATE,)),
    Row("emptied, same: filled again", ("a", None), ("a", "a"), to_left("a", "filled"), (Blank.FILL,)),
    Row("emptied, same: each keeps its own", ("a", None), ("a", "a"), NOTHING, (Blank.IGNORE,)),
    Row("emptied, changed: the filled one goes on", ("a", None), ("a", "b"), to_left("b", "filled"), KEEPS),
    Row("was blank, changed opposite", (None, None), ("a", "b"), to_left("b")),
    Row("changed, changed to the same", ("a", "b"), ("a", "b"), NOTHING),
    Row("changed, changed to the same from different bases", ("a", "b"), ("A", "b"), NOTHING),
    Row("emptied on both sides", ("a", None), ("a", None), NOTHING),
    Row("absent, same", ("a", NONE), ("a", "a"), NOTHING),
    Row("absent, changed: written over what it was known to hold", ("a", NONE), ("a", "b"), to_left("b")),
    Row("absent on both sides", ("a", NONE), ("a", NONE), NOTHING),
    Row("absent and never known: nothing can be said", (NONE, NONE), ("a", "b"), NOTHING),
    Row("absent and never known on both sides", (NONE, NONE), (NONE, NONE), NOTHING),
    Row("no base, equal", (NONE, "a"), (NONE, "a"), NOTHING),
    Row("no base, both blank", (NONE, None), (NONE, None), NOTHING),
    Row("no base, one blank", (NONE, None), (NONE, "b"), to_left("b", "filled")),
    Row("no base on the one side that is blank", (NONE, None), ("b", "b"), to_left("b", "filled")),
    Row("no base on the filled side", (NONE, "a"), (None, None), to_right("a", "filled")),
]


def rules_of(row_blank: Blank, **more: object) -> list[FieldRule]:
    return [
        replace(FieldRule(name="f", blank=row_blank, policy=policy, start=start), **more)  # type: ignore[arg-type]  # options of a row
        for policy in Policy
        for start in Start
    ]


@pytest.mark.parametrize("row", TWO_WAY, ids=lambda row: row.why)
def test_what_no_policy_has_a_say_in(row: Row) -> None:
    left, right = side_of(*row.left, time=1), side_of(*row.right, time=90_000)
    for blank in row.blanks:
        for rule in rules_of(blank):
            assert_outcome(settle(pair(rule), left, right), row.outcome, left, right)


POLICIES: Final[dict[Policy, Written]] = {
    Policy.LEFT: to_right("bb", "conflict: left"),
    Policy.RIGHT: to_left("c", "conflict: right"),
    Policy.NEWEST: to_left("c", "conflict: newest"),
    Policy.REVIEW: (NONE, NONE, "review conflict: review"),
    Policy.LONGEST: to_right("bb", "conflict: longest"),
    Policy.MIN: to_right("bb", "conflict: min"),
    Policy.MAX: to_left("c", "conflict: max"),
}


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("blank", Blank)
@pytest.mark.parametrize("bases", [("a", "a"), ("a", "A"), (None, None), ("a", None)], ids=str)
def test_changed_on_both_sides_otherwise(policy: Policy, blank: Blank, bases: tuple[Value, Value]) -> None:
    left, right = side_of(bases[0], "bb", time=10_000), side_of(bases[1], "c", time=20_000)

    decision = settle(pair(FieldRule(name="f", policy=policy, blank=blank)), left, right)

    assert_outcome(decision, POLICIES[policy], left, right)


EMPTIED: Final[dict[Policy, Written]] = {
    Policy.LEFT: to_right(None, "conflict: left"),
    Policy.RIGHT: to_left("c", "conflict: right"),
    Policy.NEWEST: to_left("c", "conflict: newest"),
    Policy.REVIEW: (NONE, NONE, "review conflict: review"),
    Policy.LONGEST: (NONE, NONE, "review conflict: longest, neither wins"),
    Policy.MIN: (NONE, NONE, "review conflict: min, neither wins"),
    Policy.MAX: (NONE, NONE, "review conflict: max, neither wins"),
}


@pytest.mark.parametrize("policy", Policy)
def test_emptied_on_one_side_and_changed_on_the_other_where_a_blank_travels(policy: Policy) -> None:
    left, right = side_of("a", None, time=10_000), side_of("a", "c", time=20_000)

    decision = settle(pair(FieldRule(name="f", policy=policy)), left, right)

    assert_outcome(decision, EMPTIED[policy], left, right)


STARTS: Final[dict[Start, Written]] = {
    Start.LEFT: to_right("a", "start: left"),
    Start.RIGHT: to_left("b", "start: right"),
    Start.NEWEST: to_left("b", "start: newest"),
    Start.REVIEW: (NONE, NONE, "review start: review"),
}


@pytest.mark.parametrize("start", Start)
@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("blank", Blank)
@pytest.mark.parametrize("bases", [(NONE, NONE), ("a", NONE), (NONE, "x")], ids=["none", "left only", "right only"])
def test_no_base_and_both_filled(
    start: Start, policy: Policy, blank: Blank, bases: tuple[Value | Missing, Value | Missing]
) -> None:
    left, right = side_of(bases[0], "a", time=10_000), side_of(bases[1], "b", time=20_000)

    decision = settle(pair(FieldRule(name="f", policy=policy, start=start, blank=blank)), left, right)

    assert_outcome(decision, STARTS[start], left, right)


# The field goes from left to right; that the mirror of each row holds is what `settle` asserts.
BOTH_DRIFTS: Final = tuple(Drift)
ONE_WAY: Final[list[tuple[Row, tuple[Drift, ...]]]] = [
    (Row("same, same", ("a", "a"), ("a", "a"), NOTHING), BOTH_DRIFTS),
    (Row("same, same, beside a rewrite", ("a", "a"), ("A", "A"), NOTHING), BOTH_DRIFTS),
    (Row("the giver changed", ("a", "b"), ("a", "a"), to_right("b")), BOTH_DRIFTS),
    (Row("the giver changed, and so did the taker", ("a", "b"), ("a", "c"), to_right("b", "one-way")), BOTH_DRIFTS),
    (Row("both changed to the same", ("a", "b"), ("a", "b"), NOTHING), BOTH_DRIFTS),
    (Row("the giver was emptied", ("a", None), ("a", "a"), to_right(None), (Blank.PROPAGATE,)), BOTH_DRIFTS),
    (Row("the giver was emptied, and is never written", ("a", None), ("a", "a"), NOTHING, KEEPS), BOTH_DRIFTS),
    (Row("drift", ("a", "a"), ("a", "c"), to_right("a", "drift")), (Drift.REVERT,)),
    (Row("drift is left alone", ("a", "a"), ("a", "c"), NOTHING), (Drift.IGNORE,)),
    (Row("drift into a blank", ("a", "a"), ("a", None), to_right("a", "drift")), (Drift.REVERT,)),
    (
        Row("drift beside a rewrite goes back to the rewrite", ("a", "a"), ("A", "c"), to_right("A", "drift")),
        (Drift.REVERT,),
    ),
    (
        Row("drift beside a held pair goes back to what an undo left", ("b", "b"), ("a", "c"), to_right("a", "drift")),
        (Drift.REVERT,),
    ),
    (Row("drift to the giver's value agrees", ("b", "b"), ("a", "b"), NOTHING), BOTH_DRIFTS),
    (
        Row("drift, while the giver was emptied", ("a", None), ("a", "c"), to_right("a", "drift"), KEEPS),
        (Drift.REVERT,),
    ),
    (Row("drift left alone, while the giver was emptied", ("a", None), ("a", "c"), NOTHING, KEEPS), (Drift.IGNORE,)),
    (Row("no base, equal", (NONE, "a"), (NONE, "a"), NOTHING), BOTH_DRIFTS),
    (Row("no base, the taker blank", (NONE, "a"), (NONE, None), to_right("a", "filled")), BOTH_DRIFTS),
    (Row("no base, the giver blank: it is never written", (NONE, None), (NONE, "b"), NOTHING), BOTH_DRIFTS),
    (Row("no base, both filled: the giver's", (NONE, "a"), (NONE, "b"), to_right("a", "one-way")), (Drift.REVERT,)),
    (Row("no base, both filled: left alone", (NONE, "a"), (NONE, "b"), NOTHING), (Drift.IGNORE,)),
]


@pytest.mark.parametrize(("row", "drifts"), ONE_WAY, ids=[row.why for row, _ in ONE_WAY])
@pytest.mark.parametrize("shape", [Shape.SCALAR, Shape.SET])
def test_a_one_way_field(row: Row, drifts: tuple[Drift, ...], shape: Shape) -> None:
    def worded(value: Value | Missing) -> Value | Missing:
        return [value] if shape is Shape.SET and isinstance(value, str) else value

    left, right = (side_of(worded(base), worded(value), time=1) for base, value in (row.left, row.right))
    outcome: Written = (worded(row.outcome[0]), worded(row.outcome[1]), row.outcome[2])
    for drift in drifts:
        for blank in row.blanks:
            for rule in rules_of(blank, direction=Direction.TO_RIGHT, drift=drift, shape=shape):
                assert_outcome(settle(pair(rule), left, right), outcome, left, right)


def test_a_field_of_one_side_only_is_known_and_never_written() -> None:
    rules = pair(FieldRule(name="f", direction=Direction.ONE_SIDE))

    assert settle(rules, seen({"f": "b"}, {"f": "a"}), seen({})) == Decision(bases={L: {"f": "b"}})
    assert settle(rules, seen({"f": "b"}), seen({"f": "c"}, {})) == Decision(bases={R: {"f": "c"}})


def test_a_field_that_cannot_be_read_holds_back_itself_alone() -> None:
    rules = pair(FieldRule(name="f"), FieldRule(name="g"))
    left = seen({"g": "y"}, {"f": "a", "g": "x"}, problems={"f": "not a date"})

    decision = settle(rules, left, seen({"f": "b", "g": "x"}, {"f": "a", "g": "x"}))

    assert [(edit.side, edit.changed) for edit in decision.edits] == [(R, {"g": "y"})]
    assert (decision.bases, decision.conflicts) == ({}, ())


def test_a_field_under_review_does_not_hold_back_the_others() -> None:
    rules = pair(FieldRule(name="f"), FieldRule(name="g"), FieldRule(name="h"))
    left = seen({"f": "b", "g": "y", "h": "n"}, {"f": "a", "g": "x", "h": "m"})
    right = seen({"f": "c", "g": "x", "h": "n"}, {"f": "a", "g": "x", "h": "m"})

    decision = settle(rules, left, right)

    assert [one.field for one in decision.conflicts] == ["f"]
    assert [(edit.side, edit.changed) for edit in decision.edits] == [(R, {"g": "y"})]
    assert decision.bases == {L: {"h": "n"}, R: {"h": "n"}}


# -- deletions: the right side's record is gone

GONE: Final = Seen(values={"f": "a"}, base={"f": "a"}, life=Life.GONE)
SAME: Final = seen({"f": "a"})
EDITED: Final = seen({"f": "b"}, {"f": "a"})
UNLINKED: Final[tuple[Action, None]] = (Action.UNLINK, None)


def removed(kind: Kind) -> tuple[Action, Kind]:
    return Action.KEEP, kind


RECREATED: Final = removed(Kind.CREATE)
PARKED: Final = (Action.PARK, None)
FROZEN: Final = (Action.FREEZE, None)


class Deleting(TypedDict, total=False):
    """What the rules say of deletions, where a row says so."""

    delete: OnDelete
    create: bool
    edited: OnEditedDelete


Ended = tuple[Action, Kind | None]
Deletion = tuple[str, Seen, Seen, Deleting, Ended]


def whatever_the_policy(policy: OnDelete) -> list[Deletion]:
    """What comes before the delete policy."""
    away = SAME._replace(in_scope=False)
    return [
        (f"edited: the edit survives, under {policy}", EDITED, GONE, {"delete": policy}, RECREATED),
        (f"edited, and may not be created, under {policy}", EDITED, GONE, {"delete": policy, "create": False}, PARKED),
        (
            f"edited, to review, under {policy}",
            EDITED,
            GONE,
            {"delete": policy, "edited": OnEditedDelete.REVIEW},
            PARKED,
        ),
        (f"out of scope, under {policy}", away, GONE, {"delete": policy}, FROZEN),
        (f"edited out of scope, under {policy}", EDITED._replace(in_scope=False), GONE, {"delete": policy}, FROZEN),
    ]


DELETIONS: Final[list[Deletion]] = [
    ("same, ignored: unlinked", SAME, GONE, {"delete": OnDelete.IGNORE}, UNLINKED),
    ("same, to review", SAME, GONE, {"delete": OnDelete.REVIEW}, PARKED),
    ("same, archived", SAME, GONE, {"delete": OnDelete.ARCHIVE}, removed(Kind.ARCHIVE)),
    ("same, deleted", SAME, GONE, {"delete": OnDelete.DELETE}, removed(Kind.DELETE)),
    *(row for policy in OnDelete for row in whatever_the_policy(policy)),
    (
        "edited, and the policy deletes",
        EDITED,
        GONE,
        {"delete": OnDelete.DELETE, "edited": OnEditedDelete.DELETE},
        removed(Kind.DELETE),
    ),
    (
        "edited, and the policy archives",
        EDITED,
        GONE,
        {"delete": OnDelete.ARCHIVE, "edited": OnEditedDelete.DELETE},
        removed(Kind.ARCHIVE),
    ),
    (
        "edited, and the policy ignores",
        EDITED,
        GONE,
        {"delete": OnDelete.IGNORE, "edited": OnEditedDelete.DELETE},
        UNLINKED,
    ),
    (
        "the deleted one was out of scope when it was last known",
        SAME,
        GONE._replace(in_scope=False),
        {"delete": OnDelete.DELETE},
        FROZEN,
    ),
    ("never agreed on: no base at all", seen({"f": "a"}, {}), GONE, {"delete": OnDelete.DELETE}, PARKED),
    ("never agreed on: nothing known", seen({}), GONE, {"delete": OnDelete.ARCHIVE}, PARKED),
    ("never agreed on: one field", seen({"f": "a", "g": "x"}, {"f": "a"}), GONE, {"delete": OnDelete.ARCHIVE}, PARKED),
    (
        "never agreed on, though edits may be deleted",
        seen({"f": "b", "g": "x"}, {"f": "a"}),
        GONE,
        {"delete": OnDelete.DELETE, "edited": OnEditedDelete.DELETE},
        PARKED,
    ),
    (
        "a blank needs no agreement",
        seen({"f": "a", "g": None}, {"f": "a"}),
        GONE,
        {"delete": OnDelete.DELETE},
        removed(Kind.DELETE),
    ),
    ("never agreed on, and ignored", seen({"f": "a"}, {}), GONE, {"delete": OnDelete.IGNORE}, UNLINKED),
    (
        "perhaps edited: a field cannot be read",
        SAME._replace(problems={"g": "?"}),
        GONE,
        {"delete": OnDelete.DELETE},
        PARKED,
    ),
    (
        "perhaps edited, and edits may be deleted",
        SAME._replace(problems={"g": "?"}),
        GONE,
        {"delete": OnDelete.DELETE, "edited": OnEditedDelete.DELETE},
        removed(Kind.DELETE),
    ),
    ("deleted on both sides", GONE, GONE, {"delete": OnDelete.DELETE}, UNLINKED),
    ("deleted on both sides, out of scope", GONE._replace(in_scope=False), GONE, {"delete": OnDelete.DELETE}, UNLINKED),
]


@pytest.mark.parametrize(("why", "left", "right", "policy", "expected"), DELETIONS, ids=[one[0] for one in DELETIONS])
def test_a_deletion(why: str, left: Seen, right: Seen, policy: Deleting, expected: Ended) -> None:
    rules = PairRules(
        fields={"f": FieldRule(name="f"), "g": FieldRule(name="g")},
        delete={L: policy["delete"], R: OnDelete.REVIEW},
        create={L: True, R: policy.get("create", True)},
        edited_delete=policy.get("edited", OnEditedDelete.EDIT),
    )

    decision = settle(rules, left, right)

    kinds = [edit.kind for edit in decision.edits]
    assert (decision.action, kinds) == (expected[0], [] if expected[1] is None else [expected[1]]), why
    assert bool(decision.reason) is (decision.action is not Action.KEEP)
    assert decision.bases == {}
    for edit in decision.edits:
        assert edit.side is (R if edit.kind is Kind.CREATE else L)
        if edit.kind is not Kind.CREATE:
            assert (edit.expect, edit.rules) == (left.values, {"*": DELETED_OPPOSITE})


def test_a_record_is_created_anew_from_all_that_is_known() -> None:
    rules = pair(*(FieldRule(name=name) for name in "abcd"), FieldRule(name="e", direction=Direction.TO_LEFT))
    left = seen(
        {"a": "new", "c": None, "e": "mine"},
        {"a": "old", "b": "kept", "c": "x", "d": "unreadable now", "e": "mine"},
        problems={"d": "not a date"},
    )

    (edit,) = settle(rules, left, GONE).edits

    assert edit.changed == {"a": "new", "b": "kept"}
    assert edit.given == {"a": "new", "b": "kept", "c": None, "e": "mine"}
    assert edit.rules == {"*": "edit survives the deletion"}
