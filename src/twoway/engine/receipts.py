"""What became of a write, in the store: always within the caller's transaction.

An operation that closes in any state but `done` leaves its records observed. Only what is known of the very write
moves a base: its own answer, a read at the version it produced, or the form in which the app is known to store it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from twoway.core.mapping import Decoded
from twoway.core.model import Kind, Outcome, Receipt, Record, Side, Value, Values
from twoway.core.plan import State
from twoway.core.reconcile import LEFT_SCOPE, moved_bases
from twoway.core.resolve import DECIDED
from twoway.engine.linking import OUT_OF_SCOPE, end_link, move, move_without_base, records_of
from twoway.engine.run import Run
from twoway.state.attention import UNREADABLE, Parking
from twoway.state.links import NewLink
from twoway.state.operations import Staging
from twoway.state.rows import Link, Observation, StagedOperation


def store(run: Run, operation: StagedOperation, receipt: Receipt) -> None:
    """Store what became of one write."""
    match receipt.outcome:
        case Outcome.DONE if operation.edit.kind is Kind.CREATE and receipt.id is None:
            lose(run, operation)
        case Outcome.DONE:
            _done(run, operation, receipt)
        case Outcome.DUPLICATE:
            _duplicate(run, operation, receipt)
        case Outcome.MOVED | Outcome.LATER if operation.undoes is not None:
            # Perhaps it was moved by this very write, sent twice on the way: what was put back is to be no edit. And
            # what a person asked for is not decided anew by anything: once it is looked up, it is sent again.
            lose(run, operation)
        case Outcome.MOVED | Outcome.GONE:
            _not_landed(run, operation)
            if operation.record_id is not None:
                look_again(run, operation.side, [operation.record_id])
            supersede(run, operation, "the record to be written has changed since it was read")
        case Outcome.REFUSED:
            _not_landed(run, operation)
            refuse(run, operation, receipt.why or "the app refused it", receipt.field)
        case Outcome.LATER:
            _not_landed(run, operation)
            _close_undone(run, operation, State.SUPERSEDED, receipt.why)
        case Outcome.UNKNOWN:
            lose(run, operation)


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


def _not_landed(run: Run, operation: StagedOperation) -> None:
    run.store.operations.landed([operation.id], "never")


def _close_undone(run: Run, operation: StagedOperation, state: State, reason: str | None) -> None:
    """What it was to carry over stays observed, also if the write to the link's other side is done later."""
    run.store.operations.close([operation.id], state, run.now, reason)
    if operation.link is None or not run.store.operations.live_on_link(operation.link):
        return
    rev = run.store.observations.next_rev()
    for side, record_id in ((operation.side, operation.record_id), (operation.side.other, operation.counterpart_id)):
        if record_id is not None:
            run.store.observations.look_again(run.pair.id, side, [record_id], run.now, rev)


def supersede(run: Run, operation: StagedOperation, reason: str) -> None:
    """It was not sent, or did not take effect: decide again, but not for ever."""
    _close_undone(run, operation, State.SUPERSEDED, reason)
    run.counts["superseded"] += 1
    run.again = True
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
    is longer each time."""
    _close_undone(run, operation, State.FAILED, why)
    run.counts["failed"] += 1
    tuning, giver = run.pair.tuning, (operation.side.other, operation.counterpart_id or "")
    tried = run.store.observations.tried(run.pair.id, *giver)
    pause = min(tuning.retry << min(max(0, tried - 1), 16), tuning.longest_retry)
    park(run, operation, "refused", f"{run.app(operation.side).account} refused it: {why}", field, pause=pause)


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


def look_again(run: Run, side: Side, record_ids: Iterable[str]) -> None:
    """Fetch these by id before they are decided."""
    rev = run.store.observations.next_rev()
    run.store.observations.look_again(run.pair.id, side, record_ids, run.now, rev)
    run.again = True


# -- done


def _done(run: Run, operation: StagedOperation, receipt: Receipt) -> None:
    stored = _stored(run, operation, receipt.record)
    version = receipt.version
    run.store.operations.close([operation.id], State.DONE, run.now)
    run.store.operations.landed([operation.id], "done")
    match operation.edit.kind:
        case Kind.CREATE:
            assert receipt.id is not None  # noqa: S101 - `store` has seen to it
            link_created(run, operation, receipt.id, stored, version)
        case Kind.UPDATE:
            settle_update(run, operation, stored, version)
            if receipt.id not in (None, operation.record_id):
                # The app wrote the survivor of a merge that we have not heard of yet.
                look_again(run, operation.side, [operation.record_id or ""])
        case Kind.DELETE | Kind.ARCHIVE:
            settle_removal(run, operation)
    run.counts[f"{operation.edit.kind}d {operation.side}"] += 1


def _stored(run: Run, operation: StagedOperation, record: Record | None) -> dict[str, Value]:
    """What the app now holds in the written fields, as far as the write's own answer or the known form say."""
    changed = operation.edit.changed
    mapping = run.mapping(operation.side)
    if record is not None:
        decoded = mapping.decode(record.values)
        return {name: decoded.values.get(name, value) for name, value in changed.items()}
    return normal(run, operation.side, changed)


def normal(run: Run, side: Side, values: Values) -> dict[str, Value]:
    """Canonical values as the app is known to store them."""
    mapping = run.mapping(side)
    plain = {name: value for name, value in values.items() if not mapping.needs_current([name])}
    decoded = mapping.decode(run.app(side).normal(mapping.encode_new(plain)))
    return {name: decoded.values.get(name, value) if value is not None else None for name, value in values.items()}


def link_created(
    run: Run, operation: StagedOperation, record_id: str, stored: Mapping[str, Value], version: str | None
) -> None:
    """The record that we created is the counterpart of the one that it was made from."""
    store, pair, edit = run.store, run.pair, operation.edit
    target, giver = operation.side, operation.side.other
    assert operation.counterpart_id is not None  # noqa: S101 - a create always carries a record over
    store.operations.made(operation.id, record_id)
    blanks = {name: None for name, value in edit.given.items() if value is None and _lives_on(run, target, name)}
    bases: dict[Side, Values] = {target: {**blanks, **stored}, giver: edit.given}
    new = NewLink(
        {target: record_id, giver: operation.counterpart_id},
        bases,
        {target: run.mapping(target).fingerprint(Decoded(dict(bases[target]), {})), giver: operation.fps[giver]},
        {target: version, giver: _version_of(run, giver, operation.counterpart_id)},
        {target: written(run, version, edit.changed), giver: None},
    )
    if operation.link is None:
        store.links.add(pair.id, new, run.now)
    else:
        previous = store.links.get(operation.link)
        if previous is None:
            return
        move(run, previous, new, target, "deleted, and created anew")
    store.links.set_keys(pair.id, target, [(record_id, run.mapping(target).keys({**blanks, **stored}))])
    store.observations.settle(pair.id, [(giver, operation.counterpart_id, operation.revs[giver])])


_UNTOLD: Final = "\0"
"""What a receipt's version begins with where the app told none: the time of the answer follows."""


def written(run: Run, version: str | None, fields: Iterable[str]) -> tuple[str, list[str]]:
    """What a link keeps of our last write to a record: the version that it made, and its fields."""
    return version or f"{_UNTOLD}{run.now}", sorted(fields)


def is_our_own(run: Run, side: Side, receipt: tuple[str, Sequence[str]], row: Observation) -> bool:
    """Whether the version that was read may be the one that our own last write made. Where the app told none, the
    record's own time must be well beyond our write to be a person's."""
    version = receipt[0]
    if not version.startswith(_UNTOLD):
        return version == row.version
    slack = run.app(side).capabilities.resolution + run.pair.tuning.skew
    return row.modified is None or row.modified <= int(version.removeprefix(_UNTOLD)) + slack


def _lives_on(run: Run, side: Side, name: str) -> bool:
    return bool(run.mapping(side).app_fields(name))


def _version_of(run: Run, side: Side, record_id: str) -> str | None:
    row = run.store.observations.get(run.pair.id, side, record_id)
    return None if row is None else row.version


def settle_update(run: Run, operation: StagedOperation, stored: Values, version: str | None) -> None:
    """The bases of the written fields move; what was seen of both records is settled, unless more is to be done."""
    store, pair, edit = run.store, run.pair, operation.edit
    link = store.links.get(operation.link) if operation.link is not None else None
    if link is None:
        return
    moved = moved_bases(edit, stored, link.bases)
    decided = [name for name, rule in edit.rules.items() if rule == DECIDED]
    # What the other side held when a person decided is known: whoever goes back to what it held before that edits it.
    judged = store.attention.values(link.id, edit.side.other)
    moved[edit.side.other].update({name: judged[name] for name in decided if name not in edit.given and name in judged})
    bases: dict[Side, Values] = {side: {**link.bases[side], **moved[side]} for side in Side}
    store.links.set_bases(link.id, bases)
    differing = {name: value for name, value in stored.items() if value != edit.changed.get(name)}
    store.operations.stored(operation.id, differing)
    fp = run.mapping(edit.side).fingerprint(Decoded(dict(bases[edit.side]), {}))
    # Of a set that is merged on both sides, this write stored its own part only: the rest is still to be carried over.
    receipt = written(run, version, edit.changed.keys() - edit.deltas.keys())
    store.links.set_side(link.id, edit.side, fp, version or link.versions[edit.side], receipt)
    if run.pair.match_fields & edit.changed.keys():
        store.links.set_keys(pair.id, edit.side, [(link.ids[edit.side], run.mapping(edit.side).keys(bases[edit.side]))])
    store.attention.carried_out(link.id, [name for name in decided if name in edit.given])
    # A verdict that both sides were told stands until both are seen to have taken it: one of the writes may fail.
    halves = {name: stored[name] for name in decided if name not in edit.given}
    store.attention.took(link.id, edit.side, halves)
    if operation.undoes is not None:
        other = link.bases[edit.side.other]
        held = {
            name: [stored[name], other.get(name)] if edit.side is Side.LEFT else [other.get(name), stored[name]]
            for name in edit.changed
        }
        store.links.hold(link.id, {**link.held, **held})
    _release(run, operation, link)


def _release(run: Run, operation: StagedOperation, link: Link) -> None:
    store, pair = run.store, run.pair
    target, giver = operation.side, operation.side.other
    if store.operations.live_on_link(link.id):
        # The other side is being written too. What was read of this one is of before our write; it stays observed,
        # since that other write may yet fail, and with it what this side was to give.
        look_again(run, target, [link.ids[target]])
        return
    if operation.edit.deltas or store.attention.has_verdicts(link.id):
        # A set that is merged on both sides is known to agree once both are read: each write moved its own part only.
        for side, record_id in records_of(link):
            look_again(run, side, [record_id])
        return
    if store.attention.has_conflicts(link.id):
        # What was read before our write must not be taken for a change of what we wrote; what was seen of either
        # record since it was decided is still to be decided.
        waiting = [
            (side, link.ids[side])
            for side in Side
            if (row := store.observations.get(pair.id, side, link.ids[side])) and row.rev == operation.revs[side]
        ]
        rev = store.observations.next_rev()
        store.observations.look_again(pair.id, target, [link.ids[target]], run.now, rev)
        store.observations.outdated(pair.id, target, link.ids[target])
        store.observations.wait(pair.id, waiting)
        return
    row = store.observations.get(pair.id, giver, link.ids[giver])
    if row is not None and row.rev == operation.revs[giver]:
        store.links.set_seen([(link.id, giver, row.fp, row.version)])
    store.observations.settle(pair.id, [(side, link.ids[side], operation.revs[side]) for side in Side])
    observed = {side for side in Side if store.observations.get(pair.id, side, link.ids[side]) is not None}
    if target in observed:
        # It was seen after it was decided, and perhaps before our write: what it holds now is to be read.
        rev = store.observations.next_rev()
        store.observations.look_again(pair.id, target, [link.ids[target]], run.now, rev)
    if not observed:
        store.attention.unpark(pair.id, [(side, link.ids[side]) for side in Side], but=UNREADABLE)


def settle_removal(run: Run, operation: StagedOperation) -> None:
    """Both records of the link are gone, or the one that left the scope is on its own."""
    link = run.store.links.get(operation.link) if operation.link is not None else None
    if link is None:
        return
    # Whose counterpart was taken away again by a person is not to get another.
    giver = "retired" if operation.undoes is not None else "tombstone"
    kinds = {operation.side: "tombstone", operation.side.other: giver}
    rule = operation.edit.rules.get("*", "")
    left_out = rule == LEFT_SCOPE
    if left_out:
        kinds[operation.side.other] = "left_out"
    end_link(run, link, kinds, OUT_OF_SCOPE if left_out else rule, operation.revs)


# -- an app that has the record already


def _duplicate(run: Run, operation: StagedOperation, receipt: Receipt) -> None:
    if operation.edit.kind is not Kind.CREATE or receipt.id is None:
        _not_landed(run, operation)
        refuse(run, operation, receipt.why or "another record has this key already")
        return
    if run.store.operations.earliest_pending_create(run.pair.id, operation.side, but=operation.id):
        # It may be what another create made of which the answer is out, or this one, sent twice on the way.
        lose(run, operation)
        look_again(run, operation.side, [receipt.id])
        return
    _not_landed(run, operation)
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
