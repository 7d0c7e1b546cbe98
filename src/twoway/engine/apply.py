"""Carrying out a plan: batch by batch, each between two commits.

One commit marks a batch `sent`, by which the values about to be replaced enter the history; then the request leaves;
one commit stores what became of it. Dying between the two leaves operations that are known to be in doubt, and are
looked up before anything is sent again.
"""

from collections.abc import Collection, Generator, Mapping, Sequence
from math import ceil
from typing import Final

from twoway.core.mapping import Decoded
from twoway.core.model import Fetched, Kind, Outcome, RawValues, Receipt, Record, Side, Value, Write
from twoway.core.plan import State
from twoway.core.raw import Invalid
from twoway.core.reconcile import DELETED_OPPOSITE
from twoway.engine import receipts
from twoway.engine.meanwhile import gather
from twoway.engine.run import Run
from twoway.engine.settle import look_again
from twoway.ports import Consistency
from twoway.sdk.errors import ConnectorError, TryLater
from twoway.state.rows import StagedOperation

_ORDER = (Kind.CREATE, Kind.UPDATE, Kind.ARCHIVE, Kind.DELETE)
_AT_ONCE: Final = 100
"""Operations that are read from the plan at once, where a batch is smaller. Fewer cost more statements; more no longer
fit the processor's caches."""


async def plan(run: Run) -> None:
    """Send everything that is planned, on both sides at once. Raises the connectors' errors, once all has settled."""
    staged = run.store.operations.kinds(run.pair.id, [State.PLANNED])
    writes = {side: {kind: staged[side, kind] for kind in _ORDER if (side, kind) in staged} for side in Side}
    await gather(*(_side(run, side, wanted) for side, wanted in writes.items() if wanted))


async def _side(run: Run, side: Side, writes: Mapping[Kind, int]) -> None:
    for kind, number in writes.items():
        batches = _batches(run, side, kind)
        most = min(run.pair.tuning.concurrency, ceil(number / run.app(side).batch_size(kind)))
        await gather(*(_work_off(run, side, batches) for _ in range(most)))


def _batches(run: Run, side: Side, kind: Kind) -> Generator[list[StagedOperation]]:
    """What is planned, batch by batch; hardly more of it in memory than is under way."""
    size = run.app(side).batch_size(kind)
    window_size = size * max(1, _AT_ONCE // size)
    after = 0
    while window := run.store.operations.planned(run.pair.id, side, kind, after, window_size):
        after = window[-1].id
        for at in range(0, len(window), size):
            yield window[at : at + size]


async def _work_off(run: Run, side: Side, batches: Generator[list[StagedOperation]]) -> None:
    """Send one batch after another, beside others who do the same; when one of them fails, none begins another."""
    try:
        for batch in batches:
            await _batch(run, side, batch)
    finally:
        batches.close()


async def _batch(run: Run, side: Side, batch: Sequence[StagedOperation]) -> None:
    ready = await _still_right(run, side, batch)
    if not ready:
        return
    # From here to the commit nothing is waited for: what was found just now still holds.
    writes = _writes(run, side, ready)
    sent = [operation for operation, _ in ready if operation.id in writes]
    if not sent:
        return
    # Of what a person asked to be undone less may be written than they were shown; of nothing else.
    shown = {operation.id: operation.edit for operation in batch if operation.undoes is not None}
    narrowed = [(one.id, one.edit) for one in sent if one.edit is not shown.get(one.id, one.edit)]
    # A power cut must not make us forget what was sent: it would be sent again.
    with run.commit("sent", durable=True):
        run.store.operations.rewrite(narrowed)
        run.store.operations.sent([operation.id for operation in sent], run.now)
    answers, error = await _send(run, side, [writes[operation.id] for operation in sent])
    answers, doubtful = await _moved_by_itself(run, side, sent, answers)
    with run.commit("receipts"):
        receipts.store(run, zip(sent, answers, strict=True), doubtful)
    if error is not None:
        raise error


async def _send(run: Run, side: Side, writes: Sequence[Write]) -> tuple[Sequence[Receipt], ConnectorError | None]:
    """The receipts of a batch. An error of the whole batch is a receipt for each, and raised when these are stored."""
    try:
        return await run.app(side).apply(writes), None
    except TryLater as error:
        answer = Receipt.unknown(error.message) if error.sent else Receipt.later(error.message)
        return [answer] * len(writes), error
    except ConnectorError as error:
        return [Receipt.later(error.message)] * len(writes), error


async def _moved_by_itself(
    run: Run, side: Side, sent: Sequence[StagedOperation], answers: Sequence[Receipt]
) -> tuple[Sequence[Receipt], Collection[int]]:
    """Of the updates that are told to have come too late, those that took effect all the same: a request that is sent
    twice on its way finds at its second coming what the first one made. And those of which that cannot be told."""
    moved = {
        operation.record_id: operation
        for operation, answer in zip(sent, answers, strict=True)
        if answer.outcome is Outcome.MOVED and operation.edit.kind is Kind.UPDATE and operation.record_id is not None
    }
    if not moved:
        return answers, ()
    try:
        found = await run.app(side).fetch(moved)
    except ConnectorError:
        # Then it is read before it is decided again.
        return answers, [operation.id for operation in moved.values()]
    landed = {one for one, operation in moved.items() if receipts.holds(run, operation, found[one]) is not None}
    doubtful = [
        operation.id
        for one, operation in moved.items()
        if one not in landed and _may_be_its_form(run, operation, found[one])
    ]
    return [
        Receipt.done(operation.record_id) if operation.record_id in landed else answer
        for operation, answer in zip(sent, answers, strict=True)
    ], doubtful


def _may_be_its_form(run: Run, operation: StagedOperation, answer: Fetched) -> bool:
    """Whether a record may hold what the app made of a write, in a form that its connector cannot foretell."""
    if not isinstance(answer, Record):
        return False
    mapping, rewrites = run.mapping(operation.side), run.app(operation.side).capabilities.rewrites
    decoded = mapping.decode(answer.values)
    other = [name for name, value in operation.edit.expect.items() if _differs(decoded, name, value)]
    return any(not rewrites.isdisjoint(mapping.app_fields(name)) for name in other)


# -- the last look before a write


async def _still_right(
    run: Run, side: Side, batch: Sequence[StagedOperation]
) -> list[tuple[StagedOperation, Record | None]]:
    """The operations whose records still are as they were decided on, with the target as it was just read, if it was.

    The others are superseded, and decided again from what is read then: what was read here may be older than a write
    of ours that went to the very record meanwhile, on its way in the other direction.
    """
    gave = await _read_sources(run, side, batch)
    have = await _read_targets(run, side, batch)
    taken = await _find_existing(run, side, batch)
    linked = _linked_by_now(run, side, batch)
    if not (gave or have or taken or linked or any(operation.undoes for operation in batch)):
        # Of none of them is anything known that was not when it was decided.
        return [(operation, None) for operation in batch]
    ready: list[tuple[StagedOperation, Record | None]] = []
    moved: list[tuple[StagedOperation, str]] = []
    for planned in batch:
        operation = _narrowed(run, planned, have.get(planned.record_id or ""))
        reason = (
            ("it was linked since it was read" if operation.counterpart_id in linked else None)
            or _undone_meanwhile(run, operation)
            or _source_moved(run, operation, gave.get(operation.counterpart_id or ""))
            or _target_moved(run, operation, have.get(operation.record_id or ""))
            or taken.get(operation.id)
        )
        if reason:
            moved.append((operation, reason))
        else:
            target = have.get(operation.record_id or "")
            ready.append((operation, target if isinstance(target, Record) else None))
    if moved:
        with run.commit("superseded"):
            look_again(run, side.other, {o.counterpart_id or "" for o, _ in moved} & gave.keys())
            look_again(run, side, {o.record_id or "" for o, _ in moved} & have.keys())
            for operation, reason in moved:
                receipts.supersede(run, operation, reason)
    return ready


async def _read_sources(run: Run, side: Side, batch: Sequence[StagedOperation]) -> Mapping[str, Fetched]:
    """Read again the records whose values a write carries over, where they were read too long ago."""
    giver, now = side.other, run.now
    capabilities = run.app(giver).capabilities
    # A feed that tells nothing of what is gone is no proof that what it does not show is as it was.
    tells_all = capabilities.feed_deletions and not capabilities.hides_merges
    lags = Consistency.LAGGING in (capabilities.feed, capabilities.snapshot)
    listing = capabilities.feed is not Consistency.NONE and tells_all and not lags
    listed = run.observed_at.get(giver, 0) if listing else 0
    # Of a side that this cycle did not list, nothing would tell what has become of a record since it was last read.
    oldest = now - run.pair.tuning.source_age if giver in run.observed_at else run.began
    given = {
        operation.counterpart_id: operation.edit.kind
        for operation in batch
        if operation.counterpart_id is not None and operation.undoes is None
    }
    seen = run.store.observations.sightings(run.pair.id, giver, given) if listed < oldest else {}
    stale = [
        record_id
        for record_id, kind in given.items()
        if kind in (Kind.DELETE, Kind.ARCHIVE)
        or max(listed, row.seen_at if (row := seen.get(record_id)) is not None else 0) < oldest
    ]
    return await run.app(giver).fetch(stale) if stale else {}


async def _read_targets(run: Run, side: Side, batch: Sequence[StagedOperation]) -> Mapping[str, Fetched]:
    """Read again the records about to be written, unless the app itself refuses a write to a past version."""
    app, mapping = run.app(side), run.mapping(side)
    wanted = []
    for operation in batch:
        edit = operation.edit
        if operation.record_id is None:
            continue
        conditional = app.capabilities.conditional and operation.version is not None and operation.undoes is None
        if not conditional or edit.kind is not Kind.UPDATE or mapping.needs_current(edit.changed):
            wanted.append(operation.record_id)
    return await app.fetch(wanted) if wanted else {}


async def _find_existing(run: Run, side: Side, batch: Sequence[StagedOperation]) -> Mapping[int, str]:
    """Before a create: whether the app has such a record by now, where it would not refuse a second one itself."""
    app, mapping = run.app(side), run.mapping(side)
    capabilities = app.capabilities
    if batch[0].edit.kind is not Kind.CREATE or capabilities.find is Consistency.NONE:
        return {}
    found: dict[int, str] = {}
    for key in run.pair.mapping.match[:1]:
        fields = mapping.app_fields(key[0]) if len(key) == 1 else ()
        if len(fields) != 1 or fields[0] in capabilities.unique or fields[0] not in capabilities.find_fields:
            continue
        asked = {
            operation.id: mapping.encode({key[0]: value}, None)[fields[0]]
            for operation in batch
            if (value := operation.edit.changed.get(key[0])) is not None
        }
        hits = await app.find(fields[0], sorted(set(asked.values()))) if asked else {}
        with run.commit("found"):
            rev = run.store.observations.next_rev()
            for operation_id, value in asked.items():
                if ids := hits.get(value):
                    found[operation_id] = f"{app.account} has a record with this {key[0]} by now"
                    run.store.observations.look_again(run.pair.id, side, ids, run.now, rev)
    return found


def _linked_by_now(run: Run, side: Side, batch: Sequence[StagedOperation]) -> set[str]:
    """The records to be carried over by a create that got a counterpart, by what the app answered to another one."""
    new = [one.counterpart_id for one in batch if one.edit.kind is Kind.CREATE and one.link is None]
    return run.store.links.linked(run.pair.id, side.other, [one for one in new if one is not None]) if new else set()


def _undone_meanwhile(run: Run, operation: StagedOperation) -> str | None:
    """Whether an undo no longer fits its link, which has another write under way by now, or leads elsewhere."""
    if operation.undoes is None or operation.link is None:
        return None
    link = run.store.links.get(operation.link)
    if link is None or link.ids[operation.side] != operation.record_id:
        return "it is no longer linked"
    return (
        "another write to it is under way"
        if run.store.operations.in_flight(operation.link, but=operation.cycle)
        else None
    )


def _narrowed(run: Run, operation: StagedOperation, answer: Fetched | None) -> StagedOperation:
    """An undo without the fields that somebody has written since."""
    edit = operation.edit
    if operation.undoes is None or edit.kind is not Kind.UPDATE or not isinstance(answer, Record):
        return operation
    values = run.mapping(operation.side).decode(answer.values).values
    # What holds already what it is to hold was put back by a person, unless the same undo has been on its way before.
    again = run.store.operations.was_sent_before(operation)
    ours = {
        name: values[name]
        for name, value in edit.changed.items()
        if name in values and (values[name] == edit.expect[name] or (again and values[name] == value))
    }
    if not ours or ours == edit.expect:
        return operation
    return operation._replace(edit=edit._replace(changed={name: edit.changed[name] for name in ours}, expect=ours))


def _source_moved(run: Run, operation: StagedOperation, answer: Fetched | None) -> str | None:
    if answer is None:
        return None
    edit, giver = operation.edit, operation.side.other
    if edit.rules.get("*") == DELETED_OPPOSITE:
        return None if not isinstance(answer, Record) and answer.presence.proves_absence else "it is there again"
    if not isinstance(answer, Record):
        left_for_good = edit.kind is Kind.ARCHIVE and answer.presence.proves_absence
        return None if left_for_good else "the record it was to be carried over from is gone"
    decoded = run.mapping(giver).decode(answer.values)
    if edit.kind in (Kind.DELETE, Kind.ARCHIVE):
        return "it is in scope again" if run.mapping(giver).admits(decoded) else None
    if any(_differs(decoded, name, value) for name, value in edit.given.items()):
        return "it has changed since it was read"
    return None if run.mapping(giver).admits(decoded) else "it has left the scope"


def _target_moved(run: Run, operation: StagedOperation, answer: Fetched | None) -> str | None:
    if answer is None:
        return None
    if not isinstance(answer, Record):
        return "the record to be written is gone"
    decoded = run.mapping(operation.side).decode(answer.values)
    if any(_differs(decoded, name, value) for name, value in operation.edit.expect.items()):
        return "the record to be written has changed since it was read"
    if operation.undoes is None and not run.mapping(operation.side).admits(decoded):
        return "the record to be written has left the scope"
    return None


def _differs(decoded: Decoded, name: str, value: Value) -> bool:
    """Whether a field holds something else than this; what the mapping cannot read, or overlooks, is no blank."""
    return name in decoded.problems or name in decoded.overlooked or decoded.values.get(name) != value


# -- from operations to the app's own words


def _writes(run: Run, side: Side, ready: Sequence[tuple[StagedOperation, Record | None]]) -> dict[int, Write]:
    """The writes by operation. One that the app has no form for is parked at once."""
    writes: dict[int, Write] = {}
    refused: list[tuple[StagedOperation, Invalid]] = []
    for operation, target in ready:
        try:
            writes[operation.id] = _write(run, side, operation, target)
        except Invalid as error:
            refused.append((operation, error))
    if refused:
        with run.commit("refused"):
            for operation, invalid in refused:
                receipts.refuse(run, operation, invalid.why, invalid.field)
    return writes


def _write(run: Run, side: Side, operation: StagedOperation, target: Record | None) -> Write:
    mapping, edit = run.mapping(side), operation.edit
    current: RawValues | None = None if target is None else target.values
    changed = mapping.encode_new(edit.changed) if edit.kind is Kind.CREATE else mapping.encode(edit.changed, current)
    version = (target.version if target is not None else operation.version) if edit.kind is not Kind.CREATE else None
    previous = {} if edit.kind is Kind.CREATE else _previous(run, side, operation, current)
    return Write(
        operation=run.store.marker(operation.id),
        kind=edit.kind,
        id=operation.record_id,
        changed=changed,
        previous=previous,
        version=version,
        key=_key(run, side, changed) if edit.kind is Kind.CREATE else None,
    )


def _previous(run: Run, side: Side, operation: StagedOperation, current: RawValues | None) -> RawValues:
    if current is not None:
        return current
    mapping = run.mapping(side)
    known = operation.edit.expect
    if mapping.needs_current(known):
        known = {name: value for name, value in known.items() if not mapping.needs_current([name])}
    try:
        return mapping.encode(known, None)
    except Invalid:
        # The app holds a value that it would not take from us: then it is simply not told what we believe it holds.
        return {}


def _key(run: Run, side: Side, changed: RawValues) -> tuple[str, object] | None:
    unique = run.app(side).capabilities.unique
    for key in run.pair.mapping.match:
        for name in key:
            for app_field in run.mapping(side).app_fields(name):
                if app_field in unique and app_field in changed:
                    return app_field, changed[app_field]
    return None
