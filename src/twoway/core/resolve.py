"""One field of one link: from both sides' values and bases to what each side should hold.

The table of outcomes in one place. Every branch answers with a `Resolution`: what to write on the left, what to
write on the right (`MISSING` for "leave it"), by which rule, and whether a person must decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from twoway.core.diff import MISSING, Missing
from twoway.core.model import LEFT, NOTHING, RIGHT, Instant, Side, Value
from twoway.core.rules import Blank, Drift, FieldRule, Policy, Shape, Start

OPTED_IN: Final = "in"
OPTED_OUT: Final = "out"
DECIDED: Final = "decided"
"""The rule of a conflict that a person decided."""
DRIFT: Final = "drift"
"""The rule of a one-way field that was edited on the side that only receives it."""
MERGED: Final = "merged"
"""The rule of a set that was merged three-way."""
UNION: Final = "union"
"""The rule of a set that both sides had before they were linked."""


class FieldView(NamedTuple):
    """One side's value of a field, the base of that side, and when a person changed it, where that is known.

    `spells`: as what this side stores an element of the other side's set, where that is something else.
    """

    value: Value
    base: Value | Missing
    time: Instant | None = None
    spells: Mapping[str, str] = NOTHING

    @property
    def changed(self) -> bool:
        return self.value != self.base


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person's decision on a conflict: make both sides hold `value` where they held `left` and `right`."""

    left: Value
    right: Value
    value: Value

    def holds(self, left: Value, right: Value) -> bool:
        """Whether it still applies. A side that has the decided value already counts: its write may have come first."""
        return left in (self.left, self.value) and right in (self.right, self.value)


class Resolution(NamedTuple):
    """What each side should now be made to hold; `MISSING` leaves a side as it is."""

    left: Value | Missing = MISSING
    right: Value | Missing = MISSING
    rule: str = "agreed"
    conflict: bool = False

    def on(self, side: Side) -> Value | Missing:
        return self.left if side is LEFT else self.right


SETTLED: Final = Resolution()


def resolve(
    rule: FieldRule, left: FieldView, right: FieldView, *, verdict: Verdict | None = None, tolerance: int
) -> Resolution:
    """Decide one field. `tolerance` is in milliseconds: closer times are a tie, which goes to review."""
    if left.value == right.value:
        return SETTLED
    if verdict is not None and verdict.holds(left.value, right.value):
        return _both(rule, left, right, verdict.value, DECIDED)
    if left.base is MISSING or right.base is MISSING:
        return _start(rule, left, right, tolerance)
    left_changed, right_changed = left.changed, right.changed
    if not left_changed and not right_changed:
        return Resolution(rule="held")
    if rule.shape is Shape.CONSENT:
        return _consent(rule, left, right)
    receiver = rule.direction.receiver
    if receiver is not None:
        return _one_way(rule, left, right, receiver)
    kept = _emptied(rule, left, right)
    if kept is not None:
        return kept
    if rule.shape is Shape.SET:
        return _merge_sets(left, right)
    if left_changed and right_changed:
        return _conflict(rule, left, right, tolerance)
    return _write(RIGHT, left.value, "changed") if left_changed else _write(LEFT, right.value, "changed")


def _write(side: Side, value: Value | Missing, rule: str) -> Resolution:
    return Resolution(left=value, rule=rule) if side is LEFT else Resolution(right=value, rule=rule)


def _both(rule: FieldRule, left: FieldView, right: FieldView, value: Value, why: str) -> Resolution:
    """Make both sides hold `value`, writing only where it differs and the field's direction lets it."""

    def wanted(side: Side, view: FieldView) -> Value | Missing:
        return value if view.value != value and rule.direction.writes(side) else MISSING

    return Resolution(wanted(LEFT, left), wanted(RIGHT, right), why)


def _review(rule: str) -> Resolution:
    return Resolution(rule=rule, conflict=True)


def _start(rule: FieldRule, left: FieldView, right: FieldView, tolerance: int) -> Resolution:
    """No base on one side or on both: a first link, a new field, or a record that another was merged into."""
    if rule.shape is Shape.CONSENT:
        return _both(rule, left, right, OPTED_OUT, "opt-out") if OPTED_OUT in (left.value, right.value) else SETTLED
    for blank, filled, side in ((left, right, LEFT), (right, left, RIGHT)):
        if blank.value is None:
            return _write(side, filled.value, "filled") if rule.direction.writes(side) else SETTLED
    receiver = rule.direction.receiver
    if receiver is not None:
        if rule.drift is Drift.IGNORE:
            return SETTLED
        return _write(receiver, (left if receiver is RIGHT else right).value, "one-way")
    if rule.shape is Shape.SET:
        return Resolution(_united(left, right), _united(right, left), UNION)
    match rule.start:
        case Start.LEFT:
            return _write(RIGHT, left.value, "start: left")
        case Start.RIGHT:
            return _write(LEFT, right.value, "start: right")
        case Start.NEWEST:
            return _newest(left, right, tolerance, "start: newest")
    return _review("start: review")


def _consent(rule: FieldRule, left: FieldView, right: FieldView) -> Resolution:
    """Opting out travels at once and wins; opting in is for a person to confirm where the other side says "out"."""
    for out, other, side in ((left, right, LEFT), (right, left, RIGHT)):
        opted_in = other.value == OPTED_IN and other.changed
        if out.value == OPTED_OUT and not out.changed and opted_in and rule.direction.writes(side):
            return _review("opt-in")
    return _both(rule, left, right, OPTED_OUT, "opt-out") if OPTED_OUT in (left.value, right.value) else SETTLED


def _one_way(rule: FieldRule, left: FieldView, right: FieldView, receiver: Side) -> Resolution:
    """An edit on the receiving side is drift. It is put back to what that side was last known to store: where the app
    rewrote what it was given, or an undo holds another value, that is not the giver's value. A blank that may not
    travel changes nothing of this."""
    giver, taker = (right, left) if receiver is LEFT else (left, right)
    if giver.changed and (giver.value is not None or rule.blank is Blank.PROPAGATE):
        return _write(receiver, giver.value, "one-way" if taker.changed else "changed")
    if taker.changed and rule.drift is Drift.REVERT:
        return _write(receiver, taker.base, DRIFT)
    return SETTLED


def _emptied(rule: FieldRule, left: FieldView, right: FieldView) -> Resolution | None:
    """A side that was emptied, where a blank may not travel: it takes the other side's value, or stays as it is."""
    if rule.blank is Blank.PROPAGATE:
        return None
    for blank, filled, side in ((left, right, LEFT), (right, left, RIGHT)):
        if blank.value is None and blank.changed:
            return _write(side, filled.value, "filled") if rule.blank is Blank.FILL or filled.changed else SETTLED
    return None


def _conflict(rule: FieldRule, left: FieldView, right: FieldView, tolerance: int) -> Resolution:
    """Changed on both sides, to different values."""
    match rule.policy:
        case Policy.LEFT:
            return _write(RIGHT, left.value, "conflict: left")
        case Policy.RIGHT:
            return _write(LEFT, right.value, "conflict: right")
        case Policy.NEWEST:
            return _newest(left, right, tolerance, "conflict: newest")
        case Policy.LONGEST | Policy.MIN | Policy.MAX as policy:
            return _by_size(policy, rule.shape, left, right)
    return _review("conflict: review")


def _newest(left: FieldView, right: FieldView, tolerance: int, rule: str) -> Resolution:
    """The clock decides last, and only where it can: an unknown time or a tie is a person's to decide."""
    if left.time is None or right.time is None or abs(left.time - right.time) <= tolerance:
        return _review(f"{rule}, times too close or unknown")
    if left.time > right.time:
        return _write(RIGHT, left.value, rule)
    return _write(LEFT, right.value, rule)


def _by_size(policy: Policy, shape: Shape, left: FieldView, right: FieldView) -> Resolution:
    rule = f"conflict: {policy.value}"
    one, two = _size(policy, shape, left.value), _size(policy, shape, right.value)
    if one is None or two is None or one == two:
        return _review(f"{rule}, neither wins")
    if (one > two) is not (policy is Policy.MIN):
        return _write(RIGHT, left.value, rule)
    return _write(LEFT, right.value, rule)


def _size(policy: Policy, shape: Shape, value: Value) -> tuple[Decimal, str] | None:
    """What is compared: a length, a number, or text by code point. A blank has no size."""
    if value is None:
        return None
    if policy is Policy.LONGEST:
        return Decimal(len(str(value))), ""
    if shape is Shape.NUMBER:
        return Decimal(str(value)), ""
    return Decimal(0), str(value)


def elements(value: Value | Missing) -> list[str]:
    """The elements of a set's canonical value; none where it is blank or unknown."""
    return value if isinstance(value, list) else []


def _meant(here: FieldView, there: FieldView, theirs: set[str]) -> set[str]:
    """The elements of this side's set that these of the other's stand for, in either side's spelling."""
    forms = {here.spells.get(one) for one in theirs}
    now = elements(here.value)
    return {one for one in now if one in theirs or one in forms or there.spells.get(one) in theirs}


def _new(here: FieldView, there: FieldView, theirs: set[str]) -> set[str]:
    """These of the other's elements, as this side stores them, that stand for none that is here."""
    return {here.spells.get(one, one) for one in theirs if not _meant(here, there, {one})}


def _united(here: FieldView, there: FieldView) -> Value | Missing:
    """What one side's set is to hold, of two that were never merged: all that either has, each element once."""
    wanted: Value = sorted({*elements(here.value)} | _new(here, there, {*elements(there.value)}))
    return MISSING if wanted == here.value else wanted


def _merge_sets(left: FieldView, right: FieldView) -> Resolution:
    """Three-way, element by element: each side takes what the other added and drops what the other removed."""
    one, two = _taken_over(left, right), _taken_over(right, left)
    return Resolution(one, two, "agreed" if one is two is MISSING else MERGED)


def _taken_over(here: FieldView, there: FieldView) -> Value | Missing:
    """What one side's set is to hold by what the other has added and removed since.

    Where the bases differ (an app's rewrite, an undo), one side may add the very element that the other removes: it
    stays. What an app stores in its own way is that element all the same, and is removed with it; but not while the
    other side has another one that is stored so.
    """
    now, was = set(elements(here.value)), set(elements(here.base))
    theirs, before = set(elements(there.value)), set(elements(there.base))
    removed = _meant(here, there, before - theirs) - _meant(here, there, theirs) - (now - was)
    wanted: Value = sorted((now - removed) | _new(here, there, theirs - before)) or None
    return MISSING if wanted == here.value else wanted
