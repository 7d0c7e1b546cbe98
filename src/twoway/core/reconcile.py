"""What a link needs done: a pure function of both sides, their bases and the rules.

This is the whole of the product's judgement. The engine gathers what it takes as arguments and carries out what it
answers; the outcome table of the design is this file, top to bottom:

    both gone                      unlinked, tombstone
    one gone, other unchanged      the delete policy of that direction
    one gone, other edited         the edit survives, or as the policy says
    out of scope                   frozen, or the `on_leave` policy
    both live                      field by field: `twoway.core.resolve`
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from twoway.core.diff import MISSING, Life, Missing, Seen
from twoway.core.model import Kind, Side, Value, Values
from twoway.core.resolve import MERGED, FieldView, Resolution, Verdict, elements, resolve
from twoway.core.rules import Direction, OnDelete, OnEditedDelete, OnLeave, PairRules

DELETED_OPPOSITE: Final = "deleted opposite"
"""The rule of a delete that follows one on the other side: before it is sent, the other record is looked up again."""

UNDONE: Final = "undo"
"""The rule of a write that takes an earlier one back."""


class Action(StrEnum):
    """What becomes of the link itself."""

    KEEP = "keep"
    """It stays; there may be writes, moves of bases and conflicts."""
    UNLINK = "unlink"
    """It ends, and leaves tombstones: neither record is ever taken for new."""
    FREEZE = "freeze"
    """Out of scope: nothing moves, the bases neither."""
    PARK = "park"
    """A person must look: `Decision.reason` says at what."""


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """Both values of a field that wait for a person, and the rule that left it to one."""

    field: str
    left: Value
    right: Value
    rule: str


@dataclass(frozen=True, slots=True)
class Edit:
    """What one side is to be told. `rules` says why, by field; `expect` is what that side is believed to store now.

    `given` holds the other side's values that this write carries over: they become its base when the write is done.
    `deltas` stands for `given` where a set is merged on both sides at once: the elements that this write adds and
    removes, by field. Each of the two writes then moves both bases by its own delta, so that it does not matter if
    the other one fails.
    """

    side: Side
    kind: Kind
    changed: Values = field(default_factory=dict)
    expect: Values = field(default_factory=dict)
    given: Values = field(default_factory=dict)
    deltas: Mapping[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do for one link. `bases` move at once; the bases of written fields move with the write's receipt."""

    action: Action = Action.KEEP
    edits: tuple[Edit, ...] = ()
    bases: Mapping[Side, Values] = field(default_factory=dict)
    conflicts: tuple[FieldConflict, ...] = ()
    reason: str = ""


def reconcile(left: Seen, right: Seen, rules: PairRules, verdicts: Mapping[str, Verdict] | None = None) -> Decision:
    """Decide one link. `verdicts` are people's decisions on conflicts, by field."""
    gone = [side for side, seen in ((Side.LEFT, left), (Side.RIGHT, right)) if seen.life is Life.GONE]
    if len(gone) == 2:
        return Decision(Action.UNLINK, reason="deleted on both sides")
    if gone:
        survivor = right if gone[0] is Side.LEFT else left
        return _deleted(gone[0], survivor, rules)
    if not (left.in_scope and right.in_scope):
        return _left_scope(left, right, rules)
    return _fields(left, right, rules, verdicts or {})


def _deleted(gone: Side, survivor: Seen, rules: PairRules) -> Decision:
    """One side's record was deleted; `survivor` is the other side's."""
    if not survivor.in_scope:
        return Decision(Action.FREEZE, reason="deleted opposite while out of scope")
    policy = rules.delete[gone.other]
    if survivor.edited():
        if rules.edited_delete is OnEditedDelete.REVIEW:
            return Decision(Action.PARK, reason="deleted on one side, edited on the other")
        if rules.edited_delete is OnEditedDelete.EDIT:
            if not rules.create[gone]:
                return Decision(Action.PARK, reason="deleted on one side, edited on the other, and may not be created")
            return _recreate(gone, survivor, rules)
    match policy:
        case OnDelete.IGNORE:
            return Decision(Action.UNLINK, reason="deleted opposite, kept here")
        case OnDelete.REVIEW:
            return Decision(Action.PARK, reason="deleted opposite: to be deleted here?")
        case OnDelete.DELETE | OnDelete.ARCHIVE:
            kind = Kind.DELETE if policy is OnDelete.DELETE else Kind.ARCHIVE
            return Decision(edits=(_removal(gone.other, kind, survivor, DELETED_OPPOSITE),))


def _removal(side: Side, kind: Kind, seen: Seen, why: str) -> Edit:
    return Edit(side, kind, expect=dict(sorted(seen.values.items())), rules={"*": why})


def _recreate(side: Side, survivor: Seen, rules: PairRules) -> Decision:
    return Decision(edits=(creation(side, survivor.values, rules, "edit survives the deletion"),))


def creation(side: Side, values: Values, rules: PairRules, why: str) -> Edit:
    """The edit that creates on `side` the counterpart of a record with these values.

    Blanks are not sent, one-way fields only in their direction. Of consent only "out" is sent: what a new record
    says otherwise is the `on_create` of the mapping, which a person wrote.
    """
    sent: dict[str, Value] = {}
    for name, rule in sorted(rules.fields.items()):
        value = values.get(name)
        if value is None or not rule.direction.writes(side) or (rule.shape == "consent" and value != "out"):
            continue
        sent[name] = value
    return Edit(side, Kind.CREATE, changed=sent, given=dict(sorted(values.items())), rules={"*": why})


def _left_scope(left: Seen, right: Seen, rules: PairRules) -> Decision:
    """A side left the scope. Nothing was deleted, and nothing is: the widest that a person may ask for is archiving."""
    match rules.on_leave:
        case OnLeave.KEEP:
            return Decision(Action.FREEZE, reason="out of scope")
        case OnLeave.UNLINK:
            return Decision(Action.UNLINK, reason="left the scope")
        case OnLeave.ARCHIVE:
            if not (left.in_scope or right.in_scope):
                return Decision(Action.UNLINK, reason="both left the scope")
            side, seen = (Side.RIGHT, right) if right.in_scope else (Side.LEFT, left)
            return Decision(edits=(_removal(side, Kind.ARCHIVE, seen, "left the scope"),))


def _fields(left: Seen, right: Seen, rules: PairRules, verdicts: Mapping[str, Verdict]) -> Decision:
    edits = {Side.LEFT: _Draft(Side.LEFT), Side.RIGHT: _Draft(Side.RIGHT)}
    bases: dict[Side, dict[str, Value]] = {Side.LEFT: {}, Side.RIGHT: {}}
    conflicts: list[FieldConflict] = []
    for name, rule in sorted(rules.fields.items()):
        one, two = left.value(name), right.value(name)
        if isinstance(one, Missing) or isinstance(two, Missing) or rule.direction is Direction.ONE_SIDE:
            for side, value, seen in ((Side.LEFT, one, left), (Side.RIGHT, two, right)):
                if not isinstance(value, Missing) and rule.direction is Direction.ONE_SIDE:
                    _move(bases, side, name, value, seen)
            continue
        answer = resolve(
            rule,
            FieldView(one, left.base.get(name, MISSING), left.time(name)),
            FieldView(two, right.base.get(name, MISSING), right.time(name)),
            verdict=verdicts.get(name),
            tolerance=rules.tolerance,
        )
        if answer.conflict:
            conflicts.append(FieldConflict(name, one, two, answer.rule))
            continue
        _draft(name, answer, one, two, edits)
        for side, value, seen in ((Side.LEFT, one, left), (Side.RIGHT, two, right)):
            if answer.left is MISSING and answer.right is MISSING:
                _move(bases, side, name, value, seen)
    return Decision(
        edits=tuple(draft.edit() for draft in edits.values() if draft.changed),
        bases={side: moved for side, moved in bases.items() if moved},
        conflicts=tuple(conflicts),
    )


def _move(bases: dict[Side, dict[str, Value]], side: Side, name: str, value: Value, seen: Seen) -> None:
    if name not in seen.base or seen.base[name] != value:
        bases[side][name] = value


class _Draft:
    """An edit in the making."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.changed: dict[str, Value] = {}
        self.expect: dict[str, Value] = {}
        self.given: dict[str, Value] = {}
        self.deltas: dict[str, tuple[list[str], list[str]]] = {}
        self.rules: dict[str, str] = {}

    def edit(self) -> Edit:
        return Edit(self.side, Kind.UPDATE, self.changed, self.expect, self.given, self.deltas, self.rules)


def _draft(name: str, answer: Resolution, left: Value, right: Value, edits: dict[Side, _Draft]) -> None:
    """Note what a resolution writes. A field may be written on both sides at once: a merged set, a person's verdict."""
    for side, here, there in ((Side.LEFT, left, right), (Side.RIGHT, right, left)):
        value = answer.on(side)
        if isinstance(value, Missing):
            continue
        draft = edits[side]
        draft.changed[name] = value
        draft.expect[name] = here
        draft.rules[name] = answer.rule
        if answer.on(side.other) is MISSING:
            draft.given[name] = there
        elif answer.rule == MERGED:
            was, now = set(elements(here)), set(elements(value))
            draft.deltas[name] = (sorted(now - was), sorted(was - now))


def moved_bases(edit: Edit, stored: Values, base: Mapping[Side, Values]) -> dict[Side, dict[str, Value]]:
    """The bases that move when `edit` is done and its side stores `stored`; `base` are the bases before.

    Only the fields that were written: what a person set meanwhile in another field stays a change.
    """
    moved: dict[Side, dict[str, Value]] = {Side.LEFT: {}, Side.RIGHT: {}}
    for name, value in edit.changed.items():
        delta = edit.deltas.get(name)
        if delta is not None:
            added, removed = delta
            for side in Side:
                before = set(elements(base[side].get(name)))
                moved[side][name] = sorted((before | set(added)) - set(removed)) or None
            continue
        moved[edit.side][name] = stored.get(name, value)
    moved[edit.side.other].update(edit.given)
    return moved
