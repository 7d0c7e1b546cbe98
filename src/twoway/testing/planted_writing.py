"""Deliberate faults of writing: the journal, the last look, the history, the guard."""

# ruff: noqa: SLF001 - a fault is planted just where the engine keeps things to itself

from collections.abc import Sequence
from typing import Any, Final

from twoway.core.model import Kind, Record, Side
from twoway.core.plan import State
from twoway.core.rules import Blank, GuardRules, Policy
from twoway.engine import apply, cycle, receipts, recover
from twoway.engine.run import Run
from twoway.ports import Consistency
from twoway.state.operations import Operations
from twoway.state.pairs import Pairs
from twoway.state.rows import StagedOperation
from twoway.testing.planted import Fault, Plant
from twoway.testing.planted_ways import (
    BLIND,
    BUSY,
    DYING,
    all_of,
    answering,
    answering_later,
    any_history,
    around,
    instead,
    lively,
    narrow,
    shaped,
)

Ready = list[tuple[StagedOperation, Record | None]]


def forgets(before: Any, run: Run, operation: StagedOperation, *more: Any, **how: Any) -> None:
    before(run, operation, *more, **how)
    for side, record in ((operation.side, operation.record_id), (operation.side.other, operation.counterpart_id)):
        if record is not None:
            run.store.observations.forget(run.pair.id, side, record)
            link = run.store.links.of(run.pair.id, side, record)
            if link is not None and (row := run.store.observations.get(run.pair.id, side, record)):
                run.store.links.set_seen([(link.id, side, row.fp, row.version)])


def refused_and_forgotten(_before: Any, run: Run, operation: StagedOperation, why: str, _field: Any = None) -> None:
    receipts._close_undone(run, operation, State.FAILED, why)
    for side, record in ((operation.side, operation.record_id), (operation.side.other, operation.counterpart_id)):
        row = None if record is None else run.store.observations.get(run.pair.id, side, record)
        if row is not None:
            run.store.observations.settle(run.pair.id, [(side, row.record_id, row.rev)])


def unrecorded(before: Any, operations: Operations, ids: Sequence[int], now: int) -> None:
    """What is sent no longer tells what it is about to replace."""
    before(operations, ids, now)
    operations._db.many("UPDATE operation SET edit = json_remove(edit, '$.e') WHERE id = ?", [(one,) for one in ids])


def history_late(into: Plant) -> None:
    waiting: dict[int, str] = {}
    sent, done, lost = Operations.sent, Operations.done, Operations.lost

    def leaves(self: Operations, ids: Sequence[int], now: int) -> None:
        waiting.update({one: self._db.one("SELECT edit FROM operation WHERE id = ?", (one,)) for one in ids})
        unrecorded(sent, self, ids, now)

    def loses(self: Operations, ids: Sequence[int], now: int) -> None:
        for one in ids:
            waiting.pop(one, None)
        lost(self, ids, now)

    def lands(self: Operations, ids: Sequence[int], *more: Any) -> None:
        told = [(waiting.pop(one), one) for one in ids if one in waiting]
        self._db.many("UPDATE operation SET edit = ? WHERE id = ?", told)
        done(self, ids, *more)

    into.put(Operations, "sent", leaves)
    into.put(Operations, "lost", loses)
    into.put(Operations, "done", lands)


def whole_record(before: Any, run: Run, side: Side, operation: StagedOperation, target: Record | None) -> Any:
    write = before(run, side, operation, target)
    return write._replace(changed={"note": None, **write.changed})


def unconditional(before: Any, *args: Any) -> Any:
    return before(*args)._replace(version=None)


def as_a_word(before: Any, *args: Any) -> Any:
    write = before(*args)
    return write._replace(changed={name: "None" if value is None else value for name, value in write.changed.items()})


async def filled_in_anew(before: Any, run: Run, side: Side, batch: Sequence[StagedOperation]) -> Ready:
    """What is sent is what the giver holds by now, whatever the plan said."""
    ready: Ready = await before(run, side, batch)
    updates = [operation for operation, _ in ready if operation.edit.kind is Kind.UPDATE and operation.edit.given]
    found = await run.app(side.other).fetch(one.counterpart_id or "" for one in updates) if updates else {}

    def freshest(operation: StagedOperation) -> StagedOperation:
        now = found.get(operation.counterpart_id or "")
        if operation not in updates or not isinstance(now, Record):
            return operation
        values, edit = run.mapping(side.other).decode(now.values).values, operation.edit
        fresh = {name: values[name] for name in edit.given if name in values}
        return operation._replace(edit=edit._replace(changed={**edit.changed, **fresh}))

    return [(freshest(operation), target) for operation, target in ready]


def never_lost(run: Run) -> None:
    run.store.operations.drop_plan(run.pair.id, run.now)


def resumed(run: Run) -> None:
    """What was sent is sent again as it was."""
    run.store.db.run(
        "UPDATE operation SET state = 'planned' WHERE pair = ? AND state = 'sent' AND closed_at IS NULL",
        (run.pair.id,),
    )


WRITING: Final = (
    Fault(
        "an operation that fails is forgotten",
        "rule 4",
        "left alone",
        around(receipts, "_close_undone", forgets),
        BUSY,
    ),
    Fault(
        "what was refused is forgotten",
        "rule 4, complaint 26",
        "left alone",
        around(receipts, "refuse", refused_and_forgotten),
        shaped(addresses=4, manner_unique=frozenset({"email"})),
    ),
    Fault(
        "the target is not read before a write",
        "rule 10, complaint 19",
        "lost edit",
        answering_later(apply, "_read_targets", {}),
        BLIND,
    ),
    Fault(
        "a write is not conditional",
        "rule 10, complaint 19",
        "lost edit",
        all_of(around(apply, "_write", unconditional), answering_later(apply, "_read_targets", {})),
        BUSY,
    ),
    Fault("no history", "rule 11", "lost edit", around(Operations, "sent", unrecorded), any_history),
    Fault(
        "the history comes with the answer",
        "rule 11",
        "lost edit",
        history_late,
        lively("name", fault_share=2.0, faults=8, edit_share=0.1, spec={"conflict": Policy.LEFT}),
    ),
    Fault(
        "no journal",
        "complaint 1",
        "two counterparts",
        instead(recover, "interrupted", resumed),
        lively(
            "name", crash_share=0.05, faults=10, edit_share=0.1, manner_unique=frozenset(), manner_find=Consistency.NONE
        ),
    ),
    Fault(
        "a crash leaves a write in flight for ever",
        "complaint 28",
        "diverged",
        instead(recover, "interrupted", never_lost),
        DYING,
    ),
    Fault(
        "no fence",
        "complaint 28",
        "echo",
        answering(Pairs, "beat"),
        lively("name", edits=60, fault_share=4.0, faults=20, manner_page=1, manner_feed=False, manner_lag=0),
    ),
    Fault(
        "the guard lets everything pass",
        "complaint 7, complaint 8, complaint 9",
        "unguarded",
        instead(cycle, "judge", lambda *_args: ()),
        narrow("name", addresses=30, spec={"guard": GuardRules(creates=0, deletes=0, floor=0)}),
    ),
    Fault(
        "the whole record is written",
        "promise 7",
        "touched",
        around(apply, "_write", whole_record),
        any_history,
    ),
    Fault(
        "what was emptied is written as a word",
        "promise 4, complaint 21",
        "invented",
        around(apply, "_write", as_a_word),
        shaped(blanks=True, spec={"blank": Blank.PROPAGATE}),
    ),
    Fault(
        "a plan is filled in anew when it is sent",
        "promise 8, complaint 27",
        "otherwise than planned",
        around(apply, "_still_right", filled_in_anew),
        lively("name", edit_share=0.1),
    ),
)
