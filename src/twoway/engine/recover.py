"""What an earlier cycle left in flight: found out before anything is sent again.

A write of which the answer was lost is not looked up before the request can no longer land and the app's index has
caught up with it; until then its records are left alone. A create is found by our marker where the app keeps one; else
among the records that were born since, and never by the match key alone: a person may have edited that by now.
"""

from collections.abc import Mapping, Sequence

from twoway.core.model import MARKER, Absence, Instant, Kind, Side, Value
from twoway.core.plan import State
from twoway.engine import receipts, settle
from twoway.engine.linking import end_link
from twoway.engine.run import Run
from twoway.engine.settle import Done, look_again
from twoway.state.attention import Parking
from twoway.state.links import Mark
from twoway.state.rows import Observation, StagedOperation


def interrupted(run: Run) -> None:
    """At the start of a cycle: what was staged is decided anew, what was sent is in doubt from now on.

    Within the transaction that begins the cycle.
    """
    in_doubt = run.store.operations.in_state(run.pair.id, State.SENT)
    run.store.operations.lost([operation.id for operation in in_doubt], run.now)
    # Once the write beside it is found to be done, nothing else would tell what this one was to carry over.
    for operation in run.store.operations.planned_beside_doubt(run.pair.id):
        for side in Side:
            record_id = operation.record_id if side is operation.side else operation.counterpart_id
            if record_id is not None:
                look_again(run, side, [record_id])
    run.store.operations.drop_plan(run.pair.id, run.now)


async def look_up(run: Run) -> bool:
    """Settle the operations in doubt whose time has come, by what the apps show now; whether there are any."""
    pending = run.store.operations.in_state(run.pair.id, State.UNKNOWN)
    unmarked: dict[Side, list[StagedOperation]] = {side: [] for side in Side}
    for operation in pending:
        if not _is_ripe(run, operation):
            continue
        if operation.edit.kind is not Kind.CREATE:
            await _written(run, operation)
        elif MARKER in run.app(operation.side).capabilities.find_fields:
            await _marked(run, operation)
        else:
            unmarked[operation.side].append(operation)
    for side, creates in unmarked.items():
        more = any(one.side is side and one.edit.kind is Kind.CREATE and not _is_ripe(run, one) for one in pending)
        if creates:
            with run.commit("looked up"):
                # What was read in pieces may have overlooked a record that was edited just then: it is read once more.
                once = side not in run.complete and run.store.operations.look_twice(creates, run.cycle)
                _among_the_born(run, side, creates, more=more or once)
    return bool(pending)


def _is_ripe(run: Run, operation: StagedOperation) -> bool:
    """Whether it can no longer land unseen. A listing that began before that proves nothing about it."""
    capabilities = run.app(operation.side).capabilities
    ripe = (operation.lost_at or 0) + capabilities.request_lifetime + capabilities.lag
    return run.observed_at.get(operation.side, 0) > ripe


async def _written(run: Run, operation: StagedOperation) -> None:
    assert operation.record_id is not None  # noqa: S101 - only a create has none
    answer = (await run.app(operation.side).fetch([operation.record_id]))[operation.record_id]
    if isinstance(answer, Absence) and not answer.presence.proves_absence and answer.into is None:
        return
    with run.commit("looked up"):
        if operation.edit.kind is not Kind.UPDATE:
            if isinstance(answer, Absence) and answer.presence.proves_absence:
                _landed(run, Done(operation, operation.record_id, {}, None))
                settle.removed(run, operation)
            else:
                _again(run, operation)
            return
        held = receipts.holds(run, operation, answer)
        if held is None:
            _again(run, operation)
            return
        done = Done(operation, operation.record_id, held, None)
        _landed(run, done)
        settle.updated(run, [done])


def _landed(run: Run, done: Done) -> None:
    receipts.note_done(run, [done], "found to have landed")


def _again(run: Run, operation: StagedOperation) -> None:
    """It did not land, or somebody wrote over it since: decide again from what both records are now."""
    withdrawn = run.store.operations.is_withdrawn(operation.id)
    run.store.operations.close([operation.id], State.SUPERSEDED, run.now, "not found to have landed", in_doubt=True)
    if operation.undoes is not None and not withdrawn:
        # A person asked for it, and nothing else would decide it anew.
        run.store.operations.stage(run.pair.id, run.cycle, [receipts.anew(operation)], State.PLANNED)
    for side, record_id in ((operation.side, operation.record_id), (operation.side.other, operation.counterpart_id)):
        if record_id is not None:
            look_again(run, side, [record_id])
    if operation.undoes is None and operation.edit.kind in (Kind.DELETE, Kind.ARCHIVE):
        receipts.give_up_in_time(run, operation, "it is still there")


async def _marked(run: Run, operation: StagedOperation) -> None:
    marker = run.store.marker(operation.id)
    ids = list((await run.app(operation.side).find(MARKER, [marker])).get(marker, ()))
    # One that was seen may be gone by now, merged into another: it was made all the same.
    ids = ids or run.store.observations.with_marker(run.pair.id, operation.side, marker)
    with run.commit("looked up"):
        if ids:
            _adopt_own(run, operation, ids[0])
        else:
            _again(run, operation)


def _among_the_born(run: Run, side: Side, creates: Sequence[StagedOperation], *, more: bool) -> None:
    """Find what these made among the records that were born since, all of them together: what one of them cannot be
    told from may be what another made. `more` says that there are others whose time has not come: until then only
    what is certain is settled. So it is while a record was only heard of that may be one of these."""
    since = min(_since(run, side, operation) for operation in creates)
    more = more or run.store.observations.heard_of(run.pair.id, side, since)
    rest: list[StagedOperation] = []
    gone: list[tuple[StagedOperation, list[Observation]]] = []
    for operation in creates:
        wanted = receipts.normal(run, side, operation.edit.changed)
        same = [
            row
            for row in _born(run, side, operation)
            if wanted and all(row.values.get(name) == value for name, value in wanted.items())
        ]
        there = [row for row in same if row.life != "gone"]
        if len(there) == 1:
            _adopt_own(run, operation, there[0].record_id)
        elif same and not there:
            # It is ours, or another's: neither is it made once more, nor what it was made from deleted for it.
            gone.append((operation, same))
        else:
            rest.append(operation)
    if more:
        return
    # One that is gone, and held something else when it was seen, is in doubt no longer.
    live = [(one, [row for row in _born(run, side, one) if row.life == "live"]) for one in rest]
    for operation, born in (*gone, *live):
        if born:
            _set_all_aside(run, operation, born)
        else:
            _again(run, operation)


def _born(run: Run, side: Side, operation: StagedOperation) -> list[Observation]:
    """The unlinked records that the create may have made: born while the request could land, and not somebody else's.

    A record that nobody has touched since it was born, and that holds something else than was sent, is not ours. Only a
    clock that counts milliseconds can say so: within the second of another a person, or a rule of the app, has time.
    """
    capabilities, skew = run.app(side).capabilities, run.pair.tuning.skew
    slack, exact = capabilities.resolution + skew, capabilities.resolution <= 1
    until = (operation.lost_at or 0) + capabilities.request_lifetime + slack
    wanted = receipts.normal(run, side, operation.edit.changed)
    told = {
        name: value
        for name, value in wanted.items()
        if capabilities.rewrites.isdisjoint(run.mapping(side).app_fields(name))
    }
    return [
        row
        for row in run.store.observations.born_since(run.pair.id, side, _since(run, side, operation))
        if not _set_aside(run, side, row.record_id)
        and (row.created is None or row.created <= until)
        and not (exact and row.created is not None and row.modified == row.created and _differs(row, told))
    ]


def _since(run: Run, side: Side, operation: StagedOperation) -> Instant:
    """The earliest instant at which the app, by its own clock, may have made the record."""
    return (operation.sent_at or 0) - run.app(side).capabilities.resolution - run.pair.tuning.skew


def _differs(row: Observation, wanted: Mapping[str, Value]) -> bool:
    return any(row.values.get(name) != value for name, value in wanted.items())


def _set_aside(run: Run, side: Side, record_id: str) -> bool:
    mark = run.store.links.marks(run.pair.id, side, [record_id]).get(record_id)
    return mark is not None and mark.kind == "retired"


def _adopt_own(run: Run, operation: StagedOperation, record_id: str) -> None:
    """The record is ours: what we sent is its base, so that whatever a person changed since is a change."""
    if run.store.links.of(run.pair.id, operation.side, record_id) is not None:
        receipts.adopt(run, operation, record_id)
        return
    done = Done(operation, record_id, receipts.normal(run, operation.side, operation.edit.changed), None)
    _landed(run, done)
    settle.created(run, [done])
    look_again(run, operation.side, [record_id])


def _set_all_aside(run: Run, operation: StagedOperation, born: list[Observation]) -> None:
    """One of these may be the record that we made, and which one cannot be told: a person must look."""
    side, giver, store, pair = operation.side, operation.side.other, run.store, run.pair
    assert operation.counterpart_id is not None  # noqa: S101 - a create always carries a record over
    reason = (
        f"a record was sent to {run.app(side).account} and the answer was lost; whether it is one of "
        f"{', '.join(row.record_id for row in born[:5])} cannot be told: link the right one with `twoway links set`"
    )
    store.operations.close([operation.id], State.FAILED, run.now, reason)
    link = None if operation.link is None else store.links.get(operation.link)
    if link is not None:
        end_link(run, link, {side: "tombstone", giver: "retired"}, reason)
    marks = [Mark(side, row.record_id, "retired", reason) for row in born]
    marks.append(Mark(giver, operation.counterpart_id, "retired", reason))
    store.links.mark(pair.id, marks, run.now)
    rows = [(giver, operation.counterpart_id), *((side, row.record_id) for row in born)]
    store.attention.park(pair.id, [Parking(of, record_id, "in doubt", reason) for of, record_id in rows], run.now)
    store.observations.wait(pair.id, rows)
    run.counts["parked"] += len(rows)
