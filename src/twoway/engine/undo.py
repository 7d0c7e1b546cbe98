"""Taking a cycle back: three-way, so that what people have edited since stays as they left it.

An undo moves only the base of the side that it writes, and remembers the pair of values that the two sides then hold:
while they show just these, nothing is carried over again.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from twoway.core.model import MARKER, Kind, Side, Value, Values
from twoway.core.plan import State, Totals
from twoway.core.reconcile import UNDONE, Edit
from twoway.core.resolve import OPTED_OUT
from twoway.core.rules import Shape
from twoway.engine import apply, recover
from twoway.engine.cycle import Ending, Report
from twoway.engine.plans import PlanLine, line
from twoway.engine.run import PairContext, Run
from twoway.ports import Clock
from twoway.sdk.errors import ConnectorError
from twoway.state import queries
from twoway.state.operations import Staging
from twoway.state.pairs import Lease
from twoway.state.rows import StagedOperation
from twoway.state.store import Store

_OTHERWISE: Final = "the mapping reads it otherwise by now"


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What would be put back, and what cannot be, with the reason for each."""

    cycle: int
    lines: tuple[PlanLine, ...]
    left_alone: tuple[str, ...]
    staging: tuple[Staging, ...]


def plan_undo(pair: PairContext, store: Store, cycle: int) -> UndoPlan:
    """What undoing a cycle would write. Each record is looked at again just before its write."""
    staging: list[Staging] = []
    left_alone: list[str] = []
    removed: set[tuple[Side, int | None]] = set()
    updates: dict[tuple[Side, str | None], list[StagedOperation]] = defaultdict(list)
    for operation in store.operations.of_cycle(cycle):
        if operation.state in (State.SENT.value, State.UNKNOWN.value):
            left_alone.append(_unanswered(pair, operation))
        if operation.state != State.DONE.value:
            continue
        if operation.edit.kind is Kind.UPDATE:
            updates[operation.side, operation.record_id].append(operation)
            continue
        made, reason = _reverse_other(pair, store, operation)
        if made is not None:
            staging.append(made)
            removed.add((made.edit.side, made.link))
        if reason:
            left_alone.append(reason)
    for (side, _), written in updates.items():
        if (side, written[-1].link) in removed:
            continue
        made, reason = _reverse_updates(pair, store, written)
        if made is not None:
            staging.append(made)
        if reason:
            left_alone.append(reason)
    lines = tuple(line(_preview(one, cycle)) for one in staging)
    return UndoPlan(cycle, lines, tuple(left_alone), tuple(staging))


def _unanswered(pair: PairContext, operation: StagedOperation) -> str:
    account, kind = pair.apps[operation.side].account, operation.edit.kind
    if kind is Kind.CREATE:
        giver = f"{pair.apps[operation.side.other].account}:{operation.counterpart_id}"
        return f"{giver} was sent to {account}, and the answer is awaited: undo it when that is known"
    what = f"{account}:{operation.record_id} was sent a{'n' if kind is not Kind.DELETE else ''} {kind}"
    return f"{what}, and the answer is awaited: undo it when that is known"


def _reverse_other(pair: PairContext, store: Store, operation: StagedOperation) -> tuple[Staging | None, str]:
    account = pair.apps[operation.side].account
    if operation.edit.kind is Kind.CREATE:
        return _reverse_create(pair, store, operation, account)
    where = f"{account}:{operation.record_id}"
    return None, f"{where} was {operation.edit.kind}d: restore it in the app; its values are in `twoway history`"


def _reverse_updates(pair: PairContext, store: Store, written: Sequence[StagedOperation]) -> tuple[Staging | None, str]:
    """One write that takes back all that a cycle wrote to one record, the last of it first."""
    last = written[-1]
    account = pair.apps[last.side].account
    link = None if last.link is None else store.links.get(last.link)
    if link is None or link.ids[last.side] != last.record_id:
        anew = store.links.of(pair.id, last.side, last.record_id or "")
        return None, f"{account}:{last.record_id} {'was linked anew since' if anew else 'is no longer linked'}"
    if waits := _waits(store, link.id, last.id):
        return None, f"{account}:{last.record_id} {waits}"
    base = link.bases[last.side]
    unedited: dict[str, Value] = {}
    ended: set[str] = set()
    for operation in reversed(written):
        stored = {**operation.edit.changed, **operation.stored}
        for name in operation.edit.expect.keys() - ended:
            # What a person wrote between two of our writes, or after them, is theirs: there the way back ends.
            if unedited.get(name, base.get(name)) == stored.get(name):
                unedited[name] = operation.edit.expect[name]
            else:
                ended.add(name)
    names = unedited.keys() | ended
    closed = {name for name in names if not _leads_to(pair, name, last.side)}
    otherwise = (names - closed) & _read_otherwise(pair, store, last)
    # What the mapping has dropped, or reads otherwise by now, differs from what was written without anybody's edit.
    edited = ended - unedited.keys() - closed - otherwise
    consent = {name for name in unedited.keys() - closed - otherwise if _opts_in(pair, name, base.get(name))}
    back = {
        name: old
        for name, old in unedited.items()
        if name not in consent | closed | otherwise and old != base.get(name)
    }
    reasons = [f"{', '.join(sorted(edited))}: changed since"] if edited else []
    reasons += [f"{', '.join(sorted(closed))}: no longer written to {account} by the mapping"] if closed else []
    reasons += [f"{', '.join(sorted(otherwise))}: {_OTHERWISE}"] if otherwise else []
    reasons += [f"{name}: an opt-out is not taken back; only the person may opt in again" for name in sorted(consent)]
    reason = f"{account}:{last.record_id} {'; '.join(reasons)}" if reasons else ""
    if not back:
        return None, reason
    reverse = Edit(
        last.side,
        Kind.UPDATE,
        changed=back,
        expect={name: base.get(name) for name in back},
        rules=dict.fromkeys(back, UNDONE),
    )
    return _staging(reverse, written[0], link.id), reason


def _waits(store: Store, link: int, operation: int) -> str:
    """Why this operation on the link cannot be taken back just now; empty where it can."""
    if store.operations.in_flight(link):
        return "has another write under way: undo it when that is known"
    if store.operations.undo_waits(link, operation):
        return "has the undo of another cycle under way: undo it when that is done"
    return ""


def _leads_to(pair: PairContext, name: str, side: Side) -> bool:
    """Whether the mapping, as it is by now, writes the field on this side."""
    rule = pair.mapping.rules.fields.get(name)
    return rule is not None and rule.direction.writes(side)


def _read_otherwise(pair: PairContext, store: Store, operation: StagedOperation) -> frozenset[str]:
    """The fields that meant something else, or nothing, on the side that the operation wrote, when it did."""
    under = store.pairs.decided_under(pair.id)
    since = {} if under is None else under.since[operation.side]
    return frozenset(name for name, first in since.items() if first > operation.cycle)


def _opts_in(pair: PairContext, name: str, stored: Value) -> bool:
    """Whether taking this write back would subscribe somebody again."""
    rule = pair.mapping.rules.fields.get(name)
    return rule is not None and rule.shape is Shape.CONSENT and stored == OPTED_OUT


def _reverse_create(
    pair: PairContext, store: Store, operation: StagedOperation, account: str
) -> tuple[Staging | None, str]:
    """A record that we made is taken away again, if nobody has touched it since."""
    if operation.counterpart_id is None:
        return None, ""
    link = store.links.of(pair.id, operation.side.other, operation.counterpart_id)
    if link is None:
        return None, f"the record that was created in {account} is no longer linked"
    if link.ids[operation.side] != operation.record_id:
        return None, f"{account}:{operation.record_id} was created, and is by now another record"
    if waits := _waits(store, link.id, operation.id):
        return None, f"{account}:{operation.record_id} {waits}"
    capabilities = pair.apps[operation.side].capabilities
    if operation.lost_at is not None and MARKER not in capabilities.find_fields:
        return None, (
            f"{account}:{operation.record_id} was found when the answer to its creation was lost, and may be somebody "
            "else's: delete it in the app if it is not"
        )
    kinds = capabilities.kinds
    kind = Kind.ARCHIVE if Kind.ARCHIVE in kinds else Kind.DELETE
    if kind not in kinds:
        return None, f"{account}:{link.ids[operation.side]} was created, and {account} deletes nothing"
    if otherwise := _read_otherwise(pair, store, operation):
        return None, f"{account}:{operation.record_id} was created; {', '.join(sorted(otherwise))}: {_OTHERWISE}"
    edited = _edited_since(pair, store, operation, link.bases[operation.side])
    if edited:
        return None, f"{account}:{operation.record_id} was created, and is not as it was: {', '.join(edited)}"
    # What was never known to be there was not written by us: if it is there, a person wrote it.
    unknown = {name: None for name in pair.mapping.rules.fields if pair.mapping.side(operation.side).app_fields(name)}
    edit = Edit(operation.side, kind, expect={**unknown, **link.bases[operation.side]}, rules={"*": UNDONE})
    return _staging(edit, operation, link.id), ""


def _edited_since(pair: PairContext, store: Store, operation: StagedOperation, base: Values) -> list[str]:
    """The fields of a record that we made in which it was last seen to hold something else than what we wrote there."""
    mapping, rewrites = pair.mapping.side(operation.side), pair.apps[operation.side].capabilities.rewrites
    # How the app stored what it was sent is noted there where that differs: see `twoway.engine.settle`.
    written = {**mapping.decode(mapping.on_create).values, **operation.edit.changed, **operation.stored}
    replaced = store.operations.history(pair=pair.id, side=operation.side, record_id=operation.record_id, limit=None)
    for row in reversed(replaced):
        if row.state == "done":
            written[row.field] = row.new
    shapes = {name: rule.shape for name, rule in pair.mapping.rules.fields.items()}
    return sorted(
        name
        for name, value in base.items()
        # What a new record says of consent is its app's, or the mapping's, unless we wrote it.
        if value != written.get(name)
        # What was not sent is blank until it was read once, whatever the app or the mapping put there.
        and (value is not None or name in operation.edit.changed)
        and (name in written or shapes.get(name) is not Shape.CONSENT)
        # The app's own form of it was not always told.
        and rewrites.isdisjoint(mapping.app_fields(name))
    )


def _staging(edit: Edit, operation: StagedOperation, link: int) -> Staging:
    return Staging(
        edit=edit,
        link=link,
        record_id=operation.record_id,
        counterpart_id=operation.counterpart_id,
        version=None,
        revs=dict.fromkeys(Side),
        fps=dict.fromkeys(Side),
        undoes=operation.id,
    )


def _preview(one: Staging, cycle: int) -> StagedOperation:
    return StagedOperation(
        0,
        cycle,
        one.link,
        one.edit.side,
        one.record_id,
        one.counterpart_id,
        one.version,
        one.edit,
        State.PLANNED.value,
        one.revs,
        one.fps,
        None,
        None,
        one.undoes,
    )


async def run_undo(pair: PairContext, store: Store, clock: Clock, lease: Lease, staging: Sequence[Staging]) -> Report:
    """Carry an undo out, as a cycle of its own: it can be undone like any other."""
    began = clock.now()
    with store.commit("begin", lease, began):
        number = store.pairs.begin_cycle(pair.id, "undo", began)
        run = Run(pair=pair, store=store, clock=clock, lease=lease, cycle=number, began=began)
        recover.interrupted(run)
        store.operations.drop_undo(pair.id, [one.undoes for one in staging if one.undoes is not None], began)
        # Since the plan was shown, another person may have begun to take another cycle back.
        free = [one for one in staging if not (one.link and store.operations.undo_waits(one.link, one.undoes or 0))]
        run.counts["left_alone"] += len(staging) - len(free)
        store.operations.stage(pair.id, number, free, State.PLANNED)
    totals = Totals(store.links.count(pair.id))
    for one in staging:
        totals.add(one.edit)
    error: ConnectorError | None = None
    try:
        await apply.plan(run)
    except ConnectorError as raised:
        error = raised
    ending = Ending.FAILED if error else Ending.DONE
    with run.commit("end"):
        store.pairs.end_cycle(number, ending.value, dict(run.counts), str(error) if error else None, run.now)
    return Report(pair.name, number, ending, dict(run.counts), totals, (), error)


def left_as_found(pair: PairContext, store: Store, plan: UndoPlan, cycle: int) -> list[str]:
    """What the plan had shown and its cycle, once it looked again, left as it is; with the reason for each."""
    staged = {one.operation.undoes: one for one in queries.staged(store.db, cycle)}
    found = []
    for one in plan.staging:
        where, now = f"{pair.apps[one.edit.side].account}:{one.record_id}", staged.get(one.undoes)
        if now is None:
            found.append(f"{where} has the undo of another cycle under way: undo it when that is done")
        elif now.operation.state == State.SUPERSEDED.value:
            found.append(f"{where}: {now.reason}")
        elif edited := one.edit.changed.keys() - now.operation.edit.changed.keys():
            found.append(f"{where} {', '.join(sorted(edited))}: changed since")
    return found
