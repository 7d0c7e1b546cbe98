"""What became of a write, in the store: always within the caller's transaction.

An operation that closes in any state but `done` leaves its records observed. Only what is known of the very write
moves a base: its own answer, a read at the version it produced, or the form in which the app is known to store it.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Sequence
from typing import Final

from twoway.core.model import Fetched, Kind, Outcome, Receipt, Record, Side, Values
from twoway.core.plan import State
from twoway.core.reconcile import DELETED_OPPOSITE, Edit
from twoway.engine import settle
from twoway.engine.linking import move_without_base, records_of
from twoway.engine.run import Run
from twoway.engine.settle import Done, look_again
from twoway.state.attention import Parking
from twoway.state.links import NewLink
from twoway.state.operations import Staging
from twoway.state.rows import StagedOperation

_NO_SIGHTING: Final = 0
"""Older than all that was ever seen."""


def store(run: Run, answered: Iterable[tuple[StagedOperation, Receipt]], doubtful: Collection[int] = ()) -> None:
    """Store what became of a batch of writes to one side: first what took effect, all of it together. `doubtful` are
    operations that were told to have come too late, and may have taken effect all the same."""
    done: list[tuple[StagedOperation, Receipt]] = []
    rest: list[tuple[StagedOperation, Receipt]] = []
    for operation, receipt in answered:
        named = operation.edit.kind is not Kind.CREATE or receipt.id is not None
        (done if receipt.outcome is Outcome.DONE and named else rest).append((operation, receipt))
    _done(run, done)
    for operation, receipt in rest:
        _not_done(run, operation, receipt, in_doubt=operation.id in doubtful)


def _not_done(run: Run, operation: StagedOperation, receipt: Receipt, *, in_doubt: bool) -> None:
    match receipt.outcome:
        case Outcome.DONE:
            # Made, and it does not tell under which id.
            lose(run, operation)
        case Outcome.DUPLICATE:
            _duplicate(run, operation, receipt)
        case Outcome.MOVED | Outcome.LATER if operation.undoes is not None:
            # Perhaps it was moved by this very write, sent twice on the way: what was put back is to be no edit. And
            # what a person asked for is not decided anew by anything: once it is looked up, it is sent again.
            lose(run, operation)
        case Outcome.MOVED | Outcome.GONE if _removes_one_of_two(operation):
            # Perhaps it is gone by this very write, sent twice on the way: that is no deletion by a person.
            lose(run, operation)
        case Outcome.GONE if operation.edit.kind in (Kind.DELETE, Kind.ARCHIVE):
            # Both records were proved to be gone, whoever did it.
            run.store.operations.close([operation.id], State.SUPERSEDED, run.now, "it was gone already", in_doubt=True)
            settle.removed(run, operation)
        case Outcome.MOVED | Outcome.GONE:
            if operation.record_id is not None:
                look_again(run, operation.side, [operation.record_id])
            supersede(run, operation, "the record to be written has changed since it was read", in_doubt=in_doubt)
        case Outcome.REFUSED:
            refuse(run, operation, receipt.why or "the app refused it", receipt.field)
        case Outcome.LATER:
            _close_undone(run, operation, State.SUPERSEDED, receipt.why)
        case Outcome.UNKNOWN:
            lose(run, operation)


def _removes_one_of_two(operation: StagedOperation) -> bool:
    """Whether this removes a record of which the counterpart lives on."""
    removes = operation.edit.kind in (Kind.DELETE, Kind.ARCHIVE)
    return removes and operation.edit.rules.get("*") != DELETED_OPPOSITE


def lose(run: Run, operation: StagedOperation) -> None:
    """The answer was lost: to be looked up once the request can no longer land."""
    run.store.operations.lost([operation.id], run.now)
    run.counts["unknown"] += 1


def anew(operation: StagedOperation) -> Staging:
    """The same write, to be sent once more."""
    return Staging(
        operation.edit,
        operation.link,
        operation.record_id,
        operation.counterpart_id,
        operation.version,
        operation.revs,
        operation.fps,
        operation.undoes,
    )


def _close_undone(
    run: Run, operation: StagedOperation, state: State, reason: str | None, *, in_doubt: bool = False
) -> None:
    """What it was to carry over stays observed, also if the write to the link's other side is done later."""
    run.store.operations.close([operation.id], state, run.now, reason, in_doubt=in_doubt)
    if operation.link is None or not run.store.operations.live_on_link(operation.link):
        return
    rev = run.store.observations.next_rev()
    for side, record_id in ((operation.side, operation.record_id), (operation.side.other, operation.counterpart_id)):
        if record_id is not None:
            run.store.observations.look_again(run.pair.id, side, [record_id], run.now, rev)


def supersede(run: Run, operation: StagedOperation, reason: str, *, in_doubt: bool = False) -> None:
    """It was not sent, or did not take effect: decide again, but not for ever. An undo is decided once."""
    _close_undone(run, operation, State.SUPERSEDED, reason, in_doubt=in_doubt)
    run.counts["superseded" if operation.undoes is None else "left_alone"] += 1
    run.again = True
    give_up_in_time(run, operation, reason)


def give_up_in_time(run: Run, operation: StagedOperation, reason: str) -> None:
    """Count one more decision that came to nothing; after so many its record is set aside."""
    side, record_id = operation.side.other, operation.counterpart_id
    if record_id is None:
        return
    if run.store.observations.tried(run.pair.id, side, record_id) >= run.pair.tuning.tries:
        park(
            run,
            operation,
            "unsettled",
            f"what was decided for it came to nothing {run.pair.tuning.tries} times: {reason}",
        )


def refuse(run: Run, operation: StagedOperation, why: str, field: str | None = None) -> None:
    """The app will not take it. It is shown to people, and decided again when something changes, or in a while that
    is longer each time. Where one field is the reason, the others go on."""
    _close_undone(run, operation, State.FAILED, why)
    run.counts["failed"] += 1
    tuning, giver = run.pair.tuning, (operation.side.other, operation.counterpart_id or "")
    tried = run.store.observations.tried(run.pair.id, *giver)
    pause = min(tuning.retry << min(max(0, tried - 1), 16), tuning.longest_retry)
    park(run, operation, "refused", f"{run.app(operation.side).account} refused it: {why}", field, pause=pause)
    if field is not None:
        _go_on_without(run, operation, field)


def _go_on_without(run: Run, operation: StagedOperation, field: str) -> None:
    """Stage what an update writes besides a field, named by the mapping's word or the app's. What it carries over is
    none of what settles the record: that stays observed, and set aside, until the field is tried again."""
    edit, giver = operation.edit, operation.side.other
    alone = edit.kind is Kind.UPDATE and operation.undoes is None and not edit.deltas
    if not alone or operation.revs[giver] is None:
        return
    mapping = run.mapping(operation.side)
    rest = {name for name in edit.changed if name != field and field not in mapping.app_fields(name)}
    if not rest or len(rest) == len(edit.changed):
        return
    revs = {operation.side: operation.revs[operation.side], giver: _NO_SIGHTING}
    again = anew(operation)._replace(edit=narrowed(edit, rest), revs=revs)
    run.store.operations.stage(run.pair.id, run.cycle, [again], State.PLANNED)
    run.again = True


def narrowed(edit: Edit, names: Container[str]) -> Edit:
    """What an update writes of these fields; none of them is a set that is merged on both sides."""
    changed, expect, given = (
        {name: value for name, value in part.items() if name in names}
        for part in (edit.changed, edit.expect, edit.given)
    )
    rules = {name: rule for name, rule in edit.rules.items() if name in names}
    return edit._replace(changed=changed, expect=expect, given=given, rules=rules)


def park(
    run: Run, operation: StagedOperation, code: str, reason: str, field: str | None = None, *, pause: int | None = None
) -> None:
    """Set the record that the write carries over aside; it is tried again after `pause` milliseconds."""
    side, record_id = operation.side.other, operation.counterpart_id
    if record_id is None:
        side, record_id = operation.side, operation.record_id
    assert record_id is not None  # noqa: S101 - an operation names at least one record
    retry = run.now + (run.pair.tuning.retry if pause is None else pause)
    run.store.attention.park(run.pair.id, [Parking(side, record_id, code, reason, field, retry)], run.now)
    link = None if operation.link is None else run.store.links.get(operation.link)
    records = [(side, record_id)] if link is None else records_of(link)
    run.store.observations.wait(run.pair.id, records, retry)
    run.counts["parked"] += 1


# -- done


def _done(run: Run, answered: Sequence[tuple[StagedOperation, Receipt]]) -> None:
    if not answered:
        return
    done = [
        Done(
            operation,
            receipt.id if operation.edit.kind is Kind.CREATE and receipt.id else operation.record_id or "",
            _stored(run, operation, receipt.record),
            receipt.version,
        )
        for operation, receipt in answered
    ]
    note_done(run, done)
    by_kind: dict[Kind, list[Done]] = {kind: [] for kind in Kind}
    for one in done:
        by_kind[one.operation.edit.kind].append(one)
    settle.created(run, by_kind[Kind.CREATE])
    settle.updated(run, by_kind[Kind.UPDATE])
    for one in (*by_kind[Kind.DELETE], *by_kind[Kind.ARCHIVE]):
        settle.removed(run, one.operation)
    # The app wrote the survivor of a merge that we have not heard of yet.
    survived = [
        (operation.side, operation.record_id)
        for operation, receipt in answered
        if operation.edit.kind is Kind.UPDATE and operation.record_id and receipt.id not in (None, operation.record_id)
    ]
    for side, record_id in survived:
        look_again(run, side, [record_id])


def note_done(run: Run, done: Sequence[Done], reason: str | None = None) -> None:
    """These operations took effect, and are closed."""
    operations, now = run.store.operations, run.now
    made = [(one.operation.id, one.record_id) for one in done if one.operation.edit.kind is Kind.CREATE]
    if made:
        operations.made(made, now, reason)
    if len(made) < len(done):
        operations.done([one.operation.id for one in done if one.operation.edit.kind is not Kind.CREATE], now, reason)
    for (kind, side), number in Counter((one.operation.edit.kind, one.operation.side) for one in done).items():
        run.counts[f"{kind}d {side}"] += number


def _stored(run: Run, operation: StagedOperation, record: Record | None) -> Values:
    """What the app now holds in the written fields, as far as the write's own answer or the known form say."""
    changed = operation.edit.changed
    mapping = run.mapping(operation.side)
    if record is not None:
        decoded = mapping.decode(record.values)
        return {name: decoded.values.get(name, value) for name, value in changed.items()}
    return normal(run, operation.side, changed)


def normal(run: Run, side: Side, values: Values) -> Values:
    """Canonical values as the app is known to store them."""
    mapping = run.mapping(side)
    plain = values
    if mapping.needs_current(values):
        plain = {name: value for name, value in values.items() if not mapping.needs_current([name])}
    sent = mapping.encode_new(plain)
    kept = run.app(side).normal(sent)
    if kept is sent and mapping.reads_back(values):
        return values
    decoded = mapping.decode(kept)
    return {name: decoded.values.get(name, value) if value is not None else None for name, value in values.items()}


def holds(run: Run, operation: StagedOperation, answer: Fetched) -> Values | None:
    """What was sent, in the form in which the app stores it, if the record holds just that."""
    if not isinstance(answer, Record):
        return None
    decoded = run.mapping(operation.side).decode(answer.values)
    wanted = normal(run, operation.side, operation.edit.changed)
    same = all(decoded.values.get(name) == value for name, value in wanted.items())
    # Where the mapping has changed since, nothing of it may mean the same: see `twoway.engine.remap`.
    return wanted if wanted and same else None


# -- an app that has the record already


def _duplicate(run: Run, operation: StagedOperation, receipt: Receipt) -> None:
    if operation.edit.kind is not Kind.CREATE or receipt.id is None:
        refuse(run, operation, receipt.why or "another record has this key already")
        return
    if run.store.operations.earliest_pending_create(run.pair.id, operation.side, but=operation.id):
        # It may be what another create made of which the answer is out, or this one, sent twice on the way.
        lose(run, operation)
        look_again(run, operation.side, [receipt.id])
        return
    adopt(run, operation, receipt.id)


def adopt(run: Run, operation: StagedOperation, record_id: str) -> None:
    """Link a record that the app had already: with no base, so that nothing of it is taken for written by us."""
    store, pair = run.store, run.pair
    target, giver = operation.side, operation.side.other
    assert operation.counterpart_id is not None  # noqa: S101 - a create always carries a record over
    run.store.operations.close([operation.id], State.SUPERSEDED, run.now, f"{run.app(target).account} has it already")
    reason = _not_free(run, target, record_id)
    if reason is not None:
        park(run, operation, "duplicate", f"{run.app(target).account} has one already, {record_id}, {reason}")
        return
    link = None if operation.link is None else store.links.get(operation.link)
    run.counts["linked"] += 1
    if link is not None:
        move_without_base(run, link, target, record_id, "deleted, and found again under another id")
        return
    ids = {target: record_id, giver: operation.counterpart_id}
    empty = NewLink(ids, {side: {} for side in Side}, dict.fromkeys(Side), dict.fromkeys(Side), dict.fromkeys(Side))
    store.links.add(pair.id, empty, run.now)
    for side, one in ids.items():
        look_again(run, side, [one])


def _not_free(run: Run, side: Side, record_id: str) -> str | None:
    """Why a record may not be linked just now, for people to read."""
    store, pair = run.store, run.pair
    if store.links.of(pair.id, side, record_id) is not None:
        return "which is linked to another record"
    if store.operations.pending_create_of(pair.id, side, record_id):
        return "of which a counterpart is being created"
    mark = store.links.marks(pair.id, side, [record_id]).get(record_id)
    return "which is set aside" if mark is not None and mark.kind == "retired" else None
