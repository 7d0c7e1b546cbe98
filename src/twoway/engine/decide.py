"""From what was seen to what is to be written: gathers the arguments of the pure core, and stages its answers.

Works through windows, each in one transaction. It is decided anew from the observations every time: what an earlier
cycle staged and did not send plays no part.
"""

from collections.abc import Iterable, Mapping, Sequence

from twoway.core.diff import OVERLOOKED, Life, Seen, absorb_receipt
from twoway.core.mapping import Decoded
from twoway.core.match import Holder, Proposal, propose
from twoway.core.model import NOTHING, SIDES, Instant, Kind, Side, Values
from twoway.core.plan import State
from twoway.core.reconcile import Action, Decision, Edit, creation, reconcile
from twoway.core.resolve import DECIDED, DRIFT, Verdict
from twoway.engine.linking import OUT_OF_SCOPE, end_link, move_without_base, records_of
from twoway.engine.run import Run
from twoway.engine.settle import is_our_own, note_forms
from twoway.engine.spelling import spelt
from twoway.ports import ReceiptShape
from twoway.state.attention import UNREADABLE, Parking
from twoway.state.links import Mark, NewLink
from twoway.state.observations import Pending
from twoway.state.operations import Staging
from twoway.state.rows import Link, Observation, receipt_from


def everything(run: Run) -> None:
    """Decide all that is due: links first, then the records that are linked to nothing yet."""
    run.to_end.clear()
    now = run.now
    due = run.store.observations.next_due(run.pair.id)
    if due is None or due > now:
        return
    for side in SIDES:
        after = ""
        while window := run.store.observations.linked(
            run.pair.id, side, now, after, run.pair.tuning.window, run.pair.settle, run.cycle
        ):
            with run.commit("decide"):
                _linked(run, window)
            after = window[-1].link.ids[side]
    for side in SIDES:
        _forget_the_dead(run, side)
    for side in SIDES:
        after = ""
        while alone := run.store.observations.unlinked(run.pair.id, side, now, after, run.pair.tuning.window):
            with run.commit("match"):
                _unlinked(run, side, alone)
            after = alone[-1].record_id


class Decided:
    """What was decided of a window and is to be stored: all of it together, since most of it is alike.

    Whoever reads what an earlier decision of the window may have changed stores that first.
    """

    def __init__(self, run: Run, pending: Sequence[Pending] = ()) -> None:
        self._run = run
        self.unsettled = run.store.attention.unsettled(one.link.id for one in pending) if pending else {}
        """The links that had a field in conflict before."""
        self.bases: list[tuple[int, Mapping[Side, Values]]] = []
        self.staged: list[Staging] = []
        self.seen: list[tuple[int, Side, int | None, str | None]] = []
        self.settled: list[tuple[Side, str, int | None]] = []
        self.waiting: list[tuple[Side, str]] = []
        self.in_order: list[tuple[Side, str]] = []
        """Records that were set aside, if they were, for something else than a field that cannot be read."""
        self.readable: list[tuple[Side, str]] = []

    def store(self) -> None:
        """Within the caller's transaction."""
        store, pair = self._run.store, self._run.pair
        store.links.set_bases(self.bases)
        store.attention.unpark(pair.id, self.in_order, but=UNREADABLE)
        store.attention.unpark(pair.id, self.readable)
        store.operations.stage(pair.id, self._run.cycle, self.staged, State.PLANNED)
        store.observations.wait(pair.id, self.waiting)
        store.links.set_seen(self.seen)
        store.observations.settle(pair.id, self.settled)
        for rows in (self.bases, self.in_order, self.readable, self.staged, self.waiting, self.seen, self.settled):
            rows.clear()


# -- linked records


def _linked(run: Run, window: Sequence[Pending]) -> None:
    verdicts = run.store.attention.verdicts(pending.link.id for pending in window)
    decided = Decided(run, window)
    for pending in window:
        _link(run, pending, verdicts.get(pending.link.id, {}), decided)
    decided.store()


def _link(run: Run, pending: Pending, verdicts: Mapping[str, Verdict], decided: Decided) -> None:
    link, observed = pending
    for side, row in observed.items():
        if row is not None and row.life == "merged":
            decided.store()
            _merged(run, link, side, row)
            return
    unread = [side for side in SIDES if observed[side] is None and not is_known(run, link, side)]
    if unread:
        rev = run.store.observations.next_rev()
        for side in unread:
            run.store.observations.look_again(run.pair.id, side, [link.ids[side]], run.now, rev)
        run.again = True
        return
    seen = {side: look_at(run, link, side, observed[side]) for side in SIDES}
    for side in SIDES:
        if seen[side].life is Life.GONE and run.app(side).capabilities.hides_merges and not _gone(seen[side.other]):
            reason = f"{run.app(side).account} no longer shows it, and does not tell a merge from a deletion"
            _park_link(run, link, "review", reason)
            return
    told = spelt(run, seen) if run.pair.mapping.rules.sets else seen
    decision = reconcile(told[Side.LEFT], told[Side.RIGHT], run.pair.mapping.rules, verdicts)
    if any(DRIFT in edit.rules.values() for edit in decision.edits):
        decision = _without_forms(run, link, decision)
    match decision.action:
        case Action.KEEP:
            carry_out(run, pending, seen, decision, decided)
        case Action.UNLINK:
            _unlink(run, link, seen, decision.reason)
        case Action.FREEZE:
            run.store.observations.wait(run.pair.id, records_of(link))
        case Action.PARK:
            _park_link(run, link, "review", decision.reason)


def is_known(run: Run, link: Link, side: Side) -> bool:
    """Whether a side of which nothing is at hand holds what its base says. A field may have none, or may have held what
    could not be read, or was not to be decided, when it was last seen: then the record must be read."""
    base = link.bases[side]
    if not run.pair.mapping.rules.shared <= base.keys():
        return False
    return link.fps[side] == run.mapping(side).fingerprint(Decoded(base, NOTHING))


def _without_forms(run: Run, link: Link, decision: Decision) -> Decision:
    """A one-way field that was put back and reads the same again is the app's own form of it, and no drift.

    Only an app that tells nothing of what it stored is believed so: of any other the form is known from its answer.
    """
    edits, bases = [], {side: dict(decision.bases.get(side, {})) for side in SIDES}
    for edit in decision.edits:
        forms = [name for name, rule in edit.rules.items() if rule == DRIFT and _was_put_back(run, link, edit, name)]
        bases[edit.side].update({name: edit.expect[name] for name in forms})
        left = [{k: v for k, v in part.items() if k not in forms} for part in (edit.changed, edit.expect, edit.given)]
        if left[0]:
            edits.append(edit._replace(changed=left[0], expect=left[1], given=left[2]))
    return decision._replace(edits=tuple(edits), bases=bases)


def _was_put_back(run: Run, link: Link, edit: Edit, name: str) -> bool:
    capabilities = run.app(edit.side).capabilities
    told = capabilities.receipt is not ReceiptShape.NOTHING
    if told and capabilities.rewrites.isdisjoint(run.mapping(edit.side).app_fields(name)):
        return False
    last = run.store.operations.history(
        pair=run.pair.id, side=edit.side, record_id=link.ids[edit.side], field=name, limit=1
    )
    put_back = (DRIFT, "done", edit.expect[name], edit.changed[name])
    return bool(last) and (last[0].rule, last[0].state, last[0].old, last[0].new) == put_back


def _gone(seen: Seen) -> bool:
    return seen.life is Life.GONE


def look_at(run: Run, link: Link, side: Side, row: Observation | None) -> Seen:
    """One side of a link as the core wants it; a side that was not seen stands as it was last known."""
    mapping, base = run.mapping(side), link.bases[side]
    if row is None:
        return Seen(values=base, base=base, in_scope=mapping.in_scope(base))
    if row.life == "gone":
        return Seen(values=base, base=base, life=Life.GONE, in_scope=mapping.in_scope(base))
    receipt = receipt_from(link.receipts[side])
    ours = receipt is not None and is_our_own(run, side, receipt, row)
    own_fields = set(receipt[1]) if ours and receipt else set()
    seen = Seen(
        values=row.values,
        base=base,
        in_scope=mapping.admits(Decoded(row.values, row.problems, row.overlooked), base),
        modified=None if ours else row.modified,
        times={name: at for name, at in row.times.items() if name not in own_fields} if row.times else NOTHING,
        # What is overlooked is not written over, either.
        problems={**dict.fromkeys(row.overlooked, OVERLOOKED), **row.problems} if row.overlooked else row.problems,
    )
    return absorb_receipt(seen, row.version, receipt)


def carry_out(run: Run, pending: Pending, seen: Mapping[Side, Seen], decision: Decision, decided: Decided) -> None:
    link, observed = pending
    store, pair = run.store, run.pair
    bases = {side: seen[side].base for side in SIDES}
    if decision.bases:
        bases |= {side: {**bases[side], **moved} for side, moved in decision.bases.items()}
    if any(bases[side] is not link.bases[side] and bases[side] != link.bases[side] for side in SIDES):
        decided.bases.append((link.id, bases))
        note_forms(run, link, seen)
    if any(edit.kind is Kind.CREATE for edit in decision.edits):
        decided.store()
        if _is_there_already(run, pending, decision):
            return
    if decision.conflicts or link.id in decided.unsettled:
        pending_verdicts = {name for edit in decision.edits for name, rule in edit.rules.items() if rule == DECIDED}
        store.attention.set_conflicts(pair.id, link.id, decision.conflicts, keep=pending_verdicts, now=run.now)
        run.counts["conflicts"] += len(decision.conflicts)
    decided.in_order += records_of(link)
    rows = [row for row in observed.values() if row is not None]
    _note_problems(run, rows, decided)
    for edit in decision.edits:
        _stage(edit, link, observed, _fps(link, observed), decided)
    if decision.edits:
        return
    if decision.conflicts:
        decided.waiting += records_of(link)
        return
    decided.seen += [(link.id, row.side, row.fp, row.version) for row in rows]
    decided.settled += [(row.side, row.record_id, row.rev) for row in rows]


def _is_there_already(run: Run, pending: Pending, decision: Decision) -> bool:
    """Before a record is created anew: whether its app has one with the same key by now. Then that one is linked."""
    link, edit = pending.link, decision.edits[0]
    side, mapping = edit.side, run.mapping(edit.side.other)
    slots = mapping.keys(edit.given)
    wanted = [(slot, key) for slot, key in enumerate(slots) if key is not None]
    # Neither the record that is no more, nor any double of the one that is to be carried over.
    found = {
        key: [one for one in group if one.side is side and one.id != link.ids[side]]
        for key, group in run.store.links.holders(run.pair.id, wanted).items()
    }
    there = {one for group in found.values() for one in group}
    keys_of = run.store.links.keys_of(run.pair.id, there) if len(run.pair.mapping.match) > 1 else {}
    others = {(slot, key) for keys in keys_of.values() for slot, key in enumerate(keys) if key is not None}
    holders = {**run.store.links.holders(run.pair.id, others - set(wanted)), **found}
    proposal = propose(side.other, link.ids[side.other], slots, holders, keys_of)
    if proposal.new:
        return False
    if proposal.match is None or _left_out_of_scope(run, side, proposal.match):
        names = proposal.match or ", ".join(holder.id for holder in proposal.duplicates[:5])
        retry = run.now + run.pair.tuning.duplicate_retry
        reason = f"it was deleted in {run.app(side).account} and edited opposite; {names} has the same key there"
        _park_link(run, link, "duplicate", reason, retry)
        return True
    if _counterpart(run, side, proposal.match) is not None:
        move_without_base(run, link, side, proposal.match, "deleted, and found again under another id")
    return True


def _fps(link: Link, observed: Mapping[Side, Observation | None]) -> dict[Side, int | None]:
    """What the link's fingerprints are once all that is decided is done; `None` where a field could not be read."""
    return {
        side: link.fps[side] if (row := observed[side]) is None else None if row.problems or row.overlooked else row.fp
        for side in SIDES
    }


def _note_problems(run: Run, rows: Iterable[Observation], decided: Decided) -> None:
    """A field that cannot be read is shown to people; the record's other fields go on."""
    store, pair = run.store, run.pair
    for row in rows:
        if not row.problems:
            decided.readable.append((row.side, row.record_id))
            continue
        decided.store()
        field, why = min(row.problems.items())
        store.attention.park(pair.id, [Parking(row.side, row.record_id, UNREADABLE, why, field)], run.now)
        run.counts["parked"] += 1


def _park_link(run: Run, link: Link, code: str, reason: str, retry: Instant | None = None) -> None:
    rows = [Parking(side, link.ids[side], code, reason, retry_at=retry) for side in SIDES]
    run.store.attention.park(run.pair.id, rows, run.now)
    run.store.observations.wait(run.pair.id, records_of(link), retry)
    run.counts["parked"] += 1


def _unlink(run: Run, link: Link, seen: Mapping[Side, Seen], reason: str) -> None:
    """The link ends. A record that is still there is set aside for good: it is no new one. So that is a part of the
    plan: what the guard holds, people may yet take back in the app."""
    dead = {side for side in SIDES if _gone(seen[side])}
    kinds = {side: "tombstone" if side in dead else "retired" for side in SIDES}
    if len(dead) < len(SIDES):
        run.to_end[link.id] = (kinds, reason)
        return
    end_link(run, link, kinds, reason)
    run.counts["unlinked"] += 1


def _merged(run: Run, link: Link, side: Side, row: Observation) -> None:
    """The app merged this side's record into another. It is never read as a deletion."""
    store, pair = run.store, run.pair
    survivor = row.into_id or ""
    other = store.links.of(pair.id, side, survivor)
    if store.operations.pending_create_of(pair.id, side, survivor):
        return
    if other is not None and store.operations.in_flight(other.id):
        return
    pending = store.operations.earliest_pending_create(pair.id, side)
    if other is None and pending is not None:
        # It may be what we made ourselves, of which the answer was lost: then it has a counterpart already.
        born = store.observations.get(pair.id, side, survivor)
        if born is None or _may_be_ours(run, born, pending):
            return
    if other is not None:
        counterpart = link.ids[side.other]
        reason = f"its counterpart was merged into {survivor} in {run.app(side).account}, which is linked already"
        end_link(run, link, {side: "tombstone", side.other: "retired"}, reason)
        store.attention.park(pair.id, [Parking(side.other, counterpart, "merged", reason)], run.now)
        run.counts["parked"] += 1
        return
    move_without_base(run, link, side, survivor, f"merged into {survivor}")
    run.counts["merged"] += 1


# -- records that are linked to nothing


def _forget_the_dead(run: Run, side: Side) -> None:
    """Records that are gone, and were linked to nothing: before anybody is matched, since nobody is their double."""
    store, pair = run.store, run.pair
    pending = store.operations.earliest_pending_create(pair.id, side)
    dead = store.observations.dead(pair.id, side, run.now)
    if not dead:
        return
    with run.commit("forget"):
        for record_id in dead:
            store.links.drop_keys(pair.id, side, record_id)
            row = None if pending is None else store.observations.get(pair.id, side, record_id)
            if row is not None and _may_be_ours(run, row, pending):
                # It was made all the same: who forgot that would make it once more.
                continue
            store.observations.forget(pair.id, side, record_id)
            # If it is taken back out of the bin just as it was, that is news.
            store.links.saw_marked(pair.id, side, record_id, None)
            store.attention.unpark(pair.id, [(side, record_id)])


def _unlinked(run: Run, side: Side, window: list[Observation]) -> None:
    store, pair, mapping = run.store, run.pair, run.mapping(side)
    marks = store.links.marks(pair.id, side, [row.record_id for row in window])
    pending = store.operations.earliest_pending_create(pair.id, side)
    fresh = []
    for row in window:
        mark = marks.get(row.record_id)
        if mark is not None and mark.kind == "retired":
            # It is never new, but what it can be matched by has been renewed: nobody else is to get its double.
            store.links.saw_marked(pair.id, side, row.record_id, row.fp)
            store.observations.settle(pair.id, [(side, row.record_id, row.rev)])
        elif _may_be_ours(run, row, pending):
            continue
        elif not mapping.in_scope(row.values):
            _leave_out(run, row, OUT_OF_SCOPE)
        else:
            fresh.append(row)
    slots = {row.record_id: mapping.keys(row.values) for row in fresh}
    holders = store.links.holders(
        pair.id, [(slot, key) for keys in slots.values() for slot, key in enumerate(keys) if key is not None]
    )
    candidates = {holder for group in holders.values() for holder in group}
    keys_of: dict[Holder, list[int | None]] = {}
    if len(pair.mapping.match) > 1:
        keys_of = store.links.keys_of(pair.id, candidates)
        holders |= store.links.holders(
            pair.id,
            [(slot, key) for keys in keys_of.values() for slot, key in enumerate(keys) if key is not None],
        )
    decided = Decided(run)
    for row in fresh:
        _propose(run, row, propose(side, row.record_id, slots[row.record_id], holders, keys_of), decided)
    decided.store()


def _may_be_ours(run: Run, row: Observation, pending: Instant | None) -> bool:
    """Whether this may be a record that we made ourselves, by a create of which the answer was lost."""
    if pending is None:
        return False
    slack = run.app(row.side).capabilities.resolution + run.pair.tuning.skew
    return row.created is None or row.created >= pending - slack


def _leave_out(run: Run, row: Observation, reason: str) -> None:
    run.store.links.mark(run.pair.id, [Mark(row.side, row.record_id, "left_out", reason, row.fp)], run.now)
    run.store.observations.settle(run.pair.id, [(row.side, row.record_id, row.rev)])


def _propose(run: Run, row: Observation, proposal: Proposal, decided: Decided) -> None:
    pair = run.pair
    if proposal.match is not None:
        decided.store()
        _match(run, row, proposal.match, decided)
    elif proposal.duplicates:
        others = ", ".join(f"{run.app(one.side).account}:{one.id}" for one in proposal.duplicates[:5])
        key = "+".join(pair.mapping.match[proposal.slot or 0])
        _park_unlinked(run, row, "duplicate", f"{key} is not unique: also in {others}", key)
    elif not pair.mapping.rules.create[row.side.other]:
        _leave_out(run, row, f"records are not created in {run.app(row.side.other).account}")
    elif unread := run.mapping(row.side).unread_key(row.values, row.problems):
        opposite = run.app(row.side.other).account
        why = f"{row.problems[unread]}; it cannot be told whether {opposite} has this record already"
        _park_unlinked(run, row, UNREADABLE, why, unread)
    else:
        _note_problems(run, [row], decided)
        target = row.side.other
        edit = creation(target, row.values, pair.mapping.rules, "new")
        _stage(edit, None, {row.side: row, target: None}, {row.side: row.fp, target: None}, decided)


def _park_unlinked(run: Run, row: Observation, code: str, reason: str, field: str | None = None) -> None:
    retry = run.now + run.pair.tuning.duplicate_retry
    parking = Parking(row.side, row.record_id, code, reason, field, retry)
    run.store.attention.park(run.pair.id, [parking], run.now)
    run.store.observations.wait(run.pair.id, [(row.side, row.record_id)], retry)
    run.counts["parked"] += 1


def _match(run: Run, row: Observation, match: str, decided: Decided) -> None:
    """Link two records that were there before us: with no base, so that nothing of either is taken for written."""
    store, pair = run.store, run.pair
    if _left_out_of_scope(run, row.side.other, match):
        reason = f"{run.app(row.side.other).account}:{match} has the same key, and is out of scope"
        _park_unlinked(run, row, OUT_OF_SCOPE, reason)
        return
    other = _counterpart(run, row.side.other, match)
    if other is None:
        return
    observed = {row.side: row, other.side: other}
    new = NewLink(
        {side: observed[side].record_id for side in SIDES},
        {side: {} for side in SIDES},
        dict.fromkeys(Side),
        {side: observed[side].version for side in SIDES},
        dict.fromkeys(Side),
    )
    number = store.links.add(pair.id, new, run.now)
    run.counts["linked"] += 1
    link = Link(number, new.ids, new.fps, new.versions, new.bases, dict.fromkeys(Side), {})
    _link(run, Pending(link, dict(observed)), {}, decided)


def _left_out_of_scope(run: Run, side: Side, record_id: str) -> bool:
    """Whether a record, as it was last read, does not belong to the pair: it is not linked to one that does."""
    row = run.store.observations.get(run.pair.id, side, record_id)
    if row is not None:
        return row.life == "live" and not row.hint and not run.mapping(side).in_scope(row.values)
    mark = run.store.links.marks(run.pair.id, side, [record_id]).get(record_id)
    return mark is not None and mark.reason == OUT_OF_SCOPE


def _counterpart(run: Run, side: Side, record_id: str) -> Observation | None:
    """What was read of a record that is to be linked. Where it is not at hand it is read again, for the next round."""
    store, pair = run.store, run.pair
    row = store.observations.get(pair.id, side, record_id)
    if row is not None and not row.hint and row.life != "live":
        # It has died within this round: what was to be linked to it is decided in the next.
        run.again = True
        return None
    if row is None or row.hint:
        store.observations.look_again(pair.id, side, [record_id], run.now, store.observations.next_rev())
        run.again = True
        return None
    return None if _may_be_ours(run, row, store.operations.earliest_pending_create(pair.id, side)) else row


def _stage(
    edit: Edit,
    link: Link | None,
    observed: Mapping[Side, Observation | None],
    fps: Mapping[Side, int | None],
    decided: Decided,
) -> None:
    """Add one write to the plan. Its records stay observed until it is done."""
    side = edit.side
    target, giver = observed[side], observed[side.other]
    creates = edit.kind is Kind.CREATE
    # Of a create it is the record carried over of which the version is to be known.
    at, row = (side.other, giver) if creates else (side, target)
    if link is None:
        record_id, counterpart_id, version = None, None if giver is None else giver.record_id, None
    else:
        record_id, counterpart_id, version = link.ids[side], link.ids[side.other], link.versions[at]
    decided.staged.append(
        Staging(
            edit=edit,
            link=None if link is None else link.id,
            record_id=None if creates else record_id,
            counterpart_id=counterpart_id,
            version=version if row is None else row.version,
            revs={
                side: None if target is None else target.rev,
                side.other: None if giver is None else giver.rev,
            },
            fps=fps,
        )
    )
