"""What must hold of what was decided: no circles, the later edit is the newest, a guard holds, an undo stands.

Part of `twoway.testing.invariants`, which says how its checks answer.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from twoway.core.model import Side, Value
from twoway.core.plan import State
from twoway.core.resolve import DECIDED
from twoway.core.rules import Blank, Direction, Shape
from twoway.state.rows import StagedOperation
from twoway.testing.ledger import UNREADABLE, Ledger, elements
from twoway.testing.memory import Change

_ROUNDS = 4
"""Times that one cycle may plan, each plan judged by the guard."""
_FINE = 1_000
"""The coarsest clock, in milliseconds, by which two edits are told apart."""


def _echoed(ledger: Ledger, side: Side) -> Iterator[str]:
    """No value is carried over as if a person had just set it that we wrote there, or have carried over before."""
    if _reshuffled(ledger):
        return
    for change, operation, name in _decided(ledger, side):
        given = [
            c
            for c in ledger.log(operation.counterpart_id or "")
            # What we wrote in the very instant of this write was decided with it.
            if name in c.fields and (c.at < change.at or (c.at == change.at and c.who == "human"))
        ]
        if not given or change.id in undone(ledger):
            continue
        if given[-1].who == "engine":
            echoed = _took(ledger, given[-1], name)
        else:
            echoed = any(
                c.who == "engine"
                and c.at >= given[-1].at
                and c.operation != change.operation
                and ledger.same(name, c.fields[name][1], change.fields[name][1])
                and _took(ledger, c, name)
                for c in ledger.log(change.id)
                if name in c.fields and c.seq < change.seq
            )
        if echoed:
            yield f"echo: {change.id} {name} = {change.fields[name][1]}"


def _older_won(ledger: Ledger, side: Side) -> Iterator[str]:
    """Under `newest`, where the clocks are fine, no edit loses to a record that nobody has touched since before it."""
    manners = [app.manner for app in ledger.apps.values()]
    if any(one.skew or one.resolution > _FINE or one.field_times for one in manners) or _reshuffled(ledger):
        return
    for change, operation, name in _decided(ledger, side):
        if operation.edit.rules[name] != "conflict: newest":
            continue
        lost = _read(ledger, change, operation, name)
        log = [c for c in ledger.log(operation.counterpart_id or "") if c.at <= change.at]
        edits = [c for c in log if c.who == "human"]
        if lost is None or lost.who != "human" or not edits or edits[-1].at + _FINE >= lost.at:
            continue
        yield f"older won: {change.id} {name}, by {lost.at - edits[-1].at} ms"


def _unguarded(ledger: Ledger, side: Side) -> Iterator[str]:
    """As long as nobody has let a plan pass, no cycle creates or deletes more than the guard lets pass by itself."""
    held = ledger.found.world.store.db.one("SELECT min(id) FROM cycle WHERE status = 'held'")
    guard, size = ledger.rules.guard, min(len(app.records) for app in ledger.apps.values())
    for kind, share in (("create", guard.creates), ("delete", guard.deletes)):
        most = _ROUNDS * max(guard.floor, int(share * size))
        done = Counter(operation.cycle for _, operation in ledger.ours(side, kind) if operation.undoes is None)
        for cycle, number in done.items():
            if number > most and (held is None or cycle < held):
                yield f"unguarded: cycle {cycle}, {number} of kind {kind}"


def _overwritten(ledger: Ledger, side: Side) -> Iterator[str]:
    """What is written as if only the other side had changed replaces nothing that a person set here meanwhile."""
    app = ledger.apps[side]
    if _reshuffled(ledger):
        return
    for change, operation in ledger.ours(side, "update"):
        for name, (old, _) in change.fields.items():
            rule = ledger.rule(name)
            if operation.edit.rules.get(name) != "changed" or name not in ledger.texts or old in (None, UNREADABLE):
                continue
            if rule.direction is not Direction.BOTH or rule.blank is not Blank.PROPAGATE:
                continue
            last = [c for c in ledger.log(change.id) if name in c.fields and c.seq < change.seq]
            if not last or last[-1].who != "human" or change.id in undone(ledger):
                continue
            known = ledger.ever_held(side.other, name, old) or _was_judged(ledger, change.id, name, old)
            if not known and not ledger.unseen(app, change, last[-1]):
                yield f"overwritten: {change.id} {name} = {old}"


def _was_judged(ledger: Ledger, record_id: str, name: str, value: Value) -> bool:
    """Whether a person had decided that this value be replaced, though that write may not have landed."""
    return any(
        one.record_id == record_id
        and one.edit.rules.get(name) == DECIDED
        and ledger.same(name, one.edit.expect.get(name), value)
        for one in ledger.operations.values()
    )


def _undo_held(ledger: Ledger, side: Side) -> Iterator[str]:
    """An undo restores just the fields that nobody has edited since, and nothing but a later edit moves them again."""
    app = ledger.apps[side]
    for change, operation in ledger.ours(side, "update"):
        if operation.undoes is None:
            continue
        first = ledger.operations[operation.undoes]
        source = operation.counterpart_id or ""
        root = first
        while root.undoes is not None:
            root = ledger.operations[root.undoes]
        # Nothing was decided for these records as long as one undo after another was under way.
        since = ledger.began(root)
        for name in sorted(change.fields.keys() & operation.edit.changed.keys()):
            if not any(ledger.same(name, operation.edit.changed[name], old) for old in _replaced(ledger, first, name)):
                yield f"undo restored another value: {change.id} {name}"
            before = [c for c in ledger.log(change.id) if c.seq < change.seq and name in c.fields]
            edited = before and before[-1].who == "human" and not ledger.unseen(app, change, before[-1])
            if edited and not ledger.same(name, before[-1].fields[name][1], operation.edit.expect[name]):
                yield f"undo over an edit: {change.id} {name}"
            after = [c for c in ledger.log(change.id) if c.seq > change.seq and name in c.fields]
            if not after or after[0].who == "human" or ledger.operation(after[0]).undoes is not None:
                continue
            moved = [c for c in (*ledger.edits(source, name), *ledger.edits(change.id, name)) if c.at >= since]
            rule = ledger.operation(after[0]).edit.rules.get(name)
            elsewhere = ledger.operation(after[0]).counterpart_id != operation.counterpart_id
            if moved or elsewhere or rule == DECIDED or _merged_into(ledger, change.id, source):
                continue
            if ledger.rule(name).shape is Shape.SET and not _moved(change, name) & _moved(after[0], name):
                # Of a set the undo moved some elements; an older edit of others may still have been on its way.
                continue
            yield f"undo undone: {change.id} {name} by {rule}"


def _replaced(ledger: Ledger, first: StagedOperation, name: str) -> list[Value]:
    """What one cycle replaced in a field of a record: it may have written it twice."""
    of_record = [
        one
        for one in ledger.operations.values()
        if (one.cycle, one.side, one.record_id) == (first.cycle, first.side, first.record_id)
    ]
    return [one.edit.expect[name] for one in of_record if name in one.edit.expect]


def _moved(change: Change, name: str) -> set[str]:
    """The elements of a set that one write added or took away."""
    old, new = change.fields[name]
    return elements(old) ^ elements(new)


def _merged_into(ledger: Ledger, *records: str) -> bool:
    apps = ledger.apps.values()
    return any(one.merged_into in records for app in apps for one in app.records.values() if one.merged_into)


def _decided(ledger: Ledger, side: Side) -> Iterator[tuple[Change, StagedOperation, str]]:
    """The texts that were written since one side had changed, or both had; but for what only an app's form changes."""
    told_apart = set(ledger.texts) - ledger.shared(Side.LEFT) - ledger.shared(Side.RIGHT)
    for change, operation in ledger.ours(side, "update"):
        for name in sorted(told_apart & change.fields.keys()):
            rule = operation.edit.rules.get(name, "")
            if (rule == "changed" or rule.startswith("conflict")) and not ledger.same(name, *change.fields[name]):
                yield change, operation, name


def _read(ledger: Ledger, change: Change, operation: StagedOperation, name: str) -> Change | None:
    """What set the value that a write was decided over; of several that can be meant, the first."""
    log = [c for c in ledger.log(change.id) if name in c.fields and c.seq < change.seq]
    ends = [c.at for c in (*log[1:], change)]
    since, expected = ledger.began(operation), operation.edit.expect.get(name)
    read = [
        c for c, end in zip(log, ends, strict=False) if end >= since and ledger.same(name, c.fields[name][1], expected)
    ]
    return read[0] if read else None


def _took(ledger: Ledger, change: Change, name: str) -> bool:
    """Whether a write of ours is known to have landed, and the app stored this field of it as it was sent."""
    operation = ledger.operation(change)
    return operation.state == State.DONE.value and operation.edit.changed.get(name) == change.fields[name][1]


def _reshuffled(ledger: Ledger) -> bool:
    """Whether people merged records, or took some back: then the values of one come from another."""
    return any(change.kind in ("merge", "restore") for app in ledger.apps.values() for change in app.log)


def undone(ledger: Ledger) -> set[str | None]:
    """The records that an undo is about: it leaves two sides to differ."""
    undos = [one for one in ledger.operations.values() if one.undoes is not None]
    return {record for one in undos for record in (one.record_id, one.counterpart_id)}


CHECKS: Final[tuple[Callable[[Ledger, Side], Iterator[str]], ...]] = (
    _echoed,
    _older_won,
    _unguarded,
    _overwritten,
    _undo_held,
)
