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
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from twoway.core.diff import MISSING, OVERLOOKED, Life, Missing, Seen
from twoway.core.model import LEFT, NOTHING, RIGHT, Kind, Side, Value, Values
from twoway.core.resolve import MERGED, OPTED_OUT, UNION, FieldView, Resolution, Verdict, elements, resolve
from twoway.core.rules import Direction, OnDelete, OnEditedDelete, OnLeave, PairRules, Shape

DELETED_OPPOSITE: Final = "deleted opposite"
"""The rule of a delete that follows one on the other side: before it is sent, the other record is looked up again."""

LEFT_SCOPE: Final = "left the scope"
"""The rule of what is done to the counterpart of a record that left the scope."""

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


class Edit(NamedTuple):
    """What one side is to be told. `rules` says why, by field; `expect` is what that side is believed to store now.

    `given` holds the other side's values that this write carries over: they become its base when the write is done.
    `deltas` stands for `given` where a set is merged on both sides at once: the elements that this write adds and
    removes, by field. Each of the two writes then moves both bases by its own delta, so that it does not matter if
    the other one fails.
    """

    side: Side
    kind: Kind
    changed: Values = NOTHING
    expect: Values = NOTHING
    given: Values = NOTHING
    deltas: Mapping[str, tuple[list[str], list[str]]] = NOTHING
    rules: Mapping[str, str] = NOTHING

    @property
    def empties(self) -> bool:
        """Whether a field that is filled is left blank."""
        return any(value is None and self.expect.get(name) is not None for name, value in self.changed.items())


class Decision(NamedTuple):
    """What to do for one link. `bases` move at once; the bases of written fields move with the write's receipt."""

    action: Action = Action.KEEP
    edits: tuple[Edit, ...] = ()
    bases: Mapping[Side, Values] = NOTHING
    conflicts: tuple[FieldConflict, ...] = ()
    reason: str = ""


def reconcile(left: Seen, right: Seen, rules: PairRules, verdicts: Mapping[str, Verdict] | None = None) -> Decision:
    """Decide one link. `verdicts` are people's decisions on conflicts, by field."""
    gone = [side for side, seen in ((LEFT, left), (RIGHT, right)) if seen.life is Life.GONE]
    if len(gone) == 2:
        return Decision(Action.UNLINK, reason="deleted on both sides")
    if gone:
        return _deleted(gone[0], *((left, right) if gone[0] is LEFT else (right, left)), rules)
    if not (left.in_scope and right.in_scope):
        return _left_scope(left, right, rules)
    return _fields(left, right, rules, verdicts or {})


def _deleted(side: Side, gone: Seen, survivor: Seen, rules: PairRules) -> Decision:
    """The record on `side` was deleted; `survivor` is the other one."""
    if not survivor.in_scope:
        return Decision(Action.FREEZE, reason="deleted opposite while out of scope")
    if survivor.edited():
        if rules.edited_delete is OnEditedDelete.REVIEW:
            return Decision(Action.PARK, reason="deleted on one side, edited on the other")
        if rules.edited_delete is OnEditedDelete.EDIT:
            if not rules.create[side]:
                return Decision(Action.PARK, reason="deleted on one side, edited on the other, and may not be created")
            return _recreate(side, survivor, rules)
    match rules.delete[side.other]:
        case OnDelete.IGNORE:
            return Decision(Action.UNLINK, reason="deleted opposite, kept here")
        case OnDelete.DELETE | OnDelete.ARCHIVE as policy:
            if unproven := _unproven(gone, survivor, rules):
                return Decision(Action.PARK, reason=f"deleted opposite, but {unproven}")
            if not gone.in_scope:
                return Decision(Action.FREEZE, reason="deleted opposite while out of scope")
            kind = Kind.DELETE if policy is OnDelete.DELETE else Kind.ARCHIVE
            return Decision(edits=(_removal(side.other, kind, survivor, DELETED_OPPOSITE),))
    return Decision(Action.PARK, reason="deleted opposite: to be deleted here?")


def _unproven(gone: Seen, survivor: Seen, rules: PairRules) -> str:
    """Why it cannot be said that this record is as it was last agreed on; empty where it can."""
    never = sorted(
        name
        for name, value in survivor.values.items()
        if value is not None and (name not in survivor.base or _was_open(name, gone, rules))
    )
    if never or not survivor.base:
        return f"never agreed on here: {', '.join(never) or 'any field'}"
    unread = sorted(name for name, why in survivor.problems.items() if why != OVERLOOKED)
    if unread and rules.edited_delete is not OnEditedDelete.DELETE:
        return f"unreadable here, so perhaps edited: {', '.join(unread)}"
    return ""


def _was_open(name: str, gone: Seen, rules: PairRules) -> bool:
    """Whether the two records never came to hold the same in this field, for all that is known."""
    rule = rules.fields[name]
    return name not in gone.base and rule.direction is Direction.BOTH and rule.shape is not Shape.CONSENT


def _removal(side: Side, kind: Kind, seen: Seen, why: str) -> Edit:
    return Edit(side, kind, expect=dict(sorted(seen.values.items())), rules={"*": why})


def _recreate(side: Side, survivor: Seen, rules: PairRules) -> Decision:
    """Create the deleted record anew, from all that is known of the other one: its last payload may be a part."""
    known = {name: value for name in rules.fields if not isinstance(value := survivor.value(name), Missing)}
    return Decision(edits=(creation(side, known, rules, "edit survives the deletion"),))


def creation(side: Side, values: Values, rules: PairRules, why: str) -> Edit:
    """The edit that creates on `side` the counterpart of a record with these values.

    Blanks are not sent, one-way fields only in their direction. Of consent only "out" is sent: what a new record
    says otherwise is the `on_create` of the mapping, which a person wrote.
    """
    sent = {name: value for name in rules.created[side] if (value := values.get(name)) is not None}
    for name in rules.consents:
        if sent.get(name) != OPTED_OUT:
            sent.pop(name, None)
    return Edit(side, Kind.CREATE, changed=sent, given=dict(values), rules={"*": why})


def _left_scope(left: Seen, right: Seen, rules: PairRules) -> Decision:
    """A side left the scope. Nothing was deleted, and nothing is: the widest that a person may ask for is archiving.

    What has no base never was in scope, for all that is known: it cannot have left it.
    """
    if any(not seen.in_scope and not seen.base for seen in (left, right)):
        return Decision(Action.FREEZE, reason="out of scope")
    match rules.on_leave:
        case OnLeave.UNLINK:
            return Decision(Action.UNLINK, reason=LEFT_SCOPE)
        case OnLeave.ARCHIVE:
            if not (left.in_scope or right.in_scope):
                return Decision(Action.UNLINK, reason="both left the scope")
            side, seen = (RIGHT, right) if right.in_scope else (LEFT, left)
            return Decision(edits=(_removal(side, Kind.ARCHIVE, seen, LEFT_SCOPE),))
    return Decision(Action.FREEZE, reason="out of scope")


def _fields(left: Seen, right: Seen, rules: PairRules, verdicts: Mapping[str, Verdict]) -> Decision:
    edits = {LEFT: _Draft(LEFT), RIGHT: _Draft(RIGHT)}
    bases: dict[Side, dict[str, Value]] = {LEFT: {}, RIGHT: {}}
    conflicts: list[FieldConflict] = []
    here, there = left.known(), right.known()
    # Of most fields of most records nothing is to be decided: nothing was changed, and the two agree.
    for name in sorted(_not_the_same(left.base, right.base, here, there) & rules.fields.keys()):
        rule, one, two = rules.fields[name], here.get(name, MISSING), there.get(name, MISSING)
        if rule.direction is Direction.ONE_SIDE:
            _move(bases, name, one, left, two, right)
            continue
        if isinstance(one, Missing) or isinstance(two, Missing):
            continue
        answer = resolve(
            rule,
            FieldView(one, left.base.get(name, MISSING), left.time(name), left.spells.get(name, {})),
            FieldView(two, right.base.get(name, MISSING), right.time(name), right.spells.get(name, {})),
            verdict=verdicts.get(name),
            tolerance=rules.tolerance,
        )
        if answer.conflict:
            conflicts.append(FieldConflict(name, one, two, answer.rule))
        elif answer.left is MISSING and answer.right is MISSING:
            _move(bases, name, one, left, two, right)
        else:
            _draft(name, answer, one, two, edits)
    return Decision(
        edits=tuple([draft.edit() for draft in edits.values() if draft.changed]),
        bases={side: moved for side, moved in bases.items() if moved},
        conflicts=tuple(conflicts),
    )


def _not_the_same(values: Values, *others: Values) -> set[str]:
    """The fields that are not in all of these, or not with the same value."""
    names: set[str] = set()
    for other in others:
        if other != values:
            names.update(name for name, value in other.items() if name not in values or values[name] != value)
            names.update(values.keys() - other.keys())
    return names


def _move(
    bases: dict[Side, dict[str, Value]], name: str, one: Value | Missing, left: Seen, two: Value | Missing, right: Seen
) -> None:
    """What the left and the right side show now, `one` and `two`, is what they are known to store."""
    if one is not MISSING and left.base.get(name, MISSING) != one:
        bases[LEFT][name] = one
    if two is not MISSING and right.base.get(name, MISSING) != two:
        bases[RIGHT][name] = two


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
    for side, value, opposite, here, there in (
        (LEFT, answer.left, answer.right, left, right),
        (RIGHT, answer.right, answer.left, right, left),
    ):
        if isinstance(value, Missing):
            continue
        draft = edits[side]
        draft.changed[name] = value
        draft.expect[name] = here
        draft.rules[name] = answer.rule
        if opposite is MISSING:
            draft.given[name] = there
        elif answer.rule in (MERGED, UNION):
            was, now = set(elements(here)), set(elements(value))
            draft.deltas[name] = (sorted(now - was), sorted(was - now))


def moved_bases(edit: Edit, stored: Values, base: Mapping[Side, Values]) -> dict[Side, dict[str, Value]]:
    """The bases that move when `edit` is done and its side stores `stored`; `base` are the bases before.

    Only the fields that were written: what a person set meanwhile in another field stays a change. So does, where a
    set is merged on both sides, what this side has yet to give to the other.
    """
    moved: dict[Side, dict[str, Value]] = {LEFT: {}, RIGHT: {}}
    for name, value in edit.changed.items():
        now = stored.get(name, value)
        if name not in edit.deltas:
            moved[edit.side][name] = now
            continue
        added, removed = edit.deltas[name]
        # Where a side has no base yet the two never agreed on anything: whatever this side has is still to be given.
        agreed = all(name in base[side] for side in Side)
        had, was = set(elements(edit.expect[name])), set(elements(base[edit.side].get(name)) if agreed else ())
        moved[edit.side][name] = sorted((set(elements(now)) - (had - was)) | (was - had)) or None
        before = set(elements(base[edit.side.other].get(name)) if agreed else ())
        moved[edit.side.other][name] = sorted((before | set(added)) - set(removed)) or None
    moved[edit.side.other].update(edit.given)
    return moved
