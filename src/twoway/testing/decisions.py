"""What must hold of what was decided: nothing goes round in circles, the later edit is the newest, a guard holds.

Part of `twoway.testing.invariants`, which says how its checks answer.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from twoway.core.model import Side
from twoway.core.plan import State
from twoway.state.rows import StagedOperation
from twoway.testing.ledger import Ledger
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
        if not given or change.id in _undone(ledger):
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


def _undone(ledger: Ledger) -> set[str | None]:
    """The records that an undo is about: it leaves two sides to differ."""
    undos = [one for one in ledger.operations.values() if one.undoes is not None]
    return {record for one in undos for record in (one.record_id, one.counterpart_id)}


CHECKS: Final[tuple[Callable[[Ledger, Side], Iterator[str]], ...]] = (_echoed, _older_won, _unguarded)
