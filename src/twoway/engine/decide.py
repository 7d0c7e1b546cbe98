"""From what was seen to what is to be written: gathers the arguments of the pure core, and stages its answers.

Works through windows, each in one transaction. It is decided anew from the observations every time: what an earlier
cycle staged and did not send plays no part.
"""

from collections.abc import Mapping

from twoway.core.diff import Life, Seen, absorb_receipt
from twoway.core.match import Holder, Proposal, propose
from twoway.core.model import Instant, Side, Values
from twoway.core.plan import State
from twoway.core.reconcile import Action, Decision, Edit, creation, reconcile
from twoway.core.resolve import DECIDED, Verdict
from twoway.engine.run import Run
from twoway.state.attention import Parking
from twoway.state.links import Mark, NewLink
from twoway.state.observations import Pending
from twoway.state.operations import Staging
from twoway.state.rows import Link, Observation


def everything(run: Run) -> None:
    """Decide all that is due: links first, then the records that are linked to nothing yet."""
    now = run.now
    for side in Side:
        after = ""
        while window := run.store.observations.linked(run.pair.id, side, now, after, run.pair.tuning.window):
            with run.commit("decide"):
                verdicts = run.store.attention.verdicts(pending.link.id for pending in window)
                for pending in window:
                    _link(run, pending, verdicts.get(pending.link.id, {}))
            after = _last(window, side)
    for side in Side:
        after = ""
        while alone := run.store.observations.unlinked(run.pair.id, side, now, after, run.pair.tuning.window):
            with run.commit("match"):
                _unlinked(run, side, alone)
            after = alone[-1].record_id


def _last(window: list[Pending], side: Side) -> str:
    return window[-1].link.ids[side]


# -- linked records


def _link(run: Run, pending: Pending, verdicts: Mapping[str, Verdict]) -> None:
    link, observed = pending
    for side, row in observed.items():
        if row is not None and row.life == "merged":
            _merged(run, link, side, row)
            return
    seen = {side: _seen(run, link, side, observed[side]) for side in Side}
    for side in Side:
        if seen[side].life is Life.GONE and run.app(side).capabilities.hides_merges and not _gone(seen[side.other]):
            reason = f"{run.app(side).account} no longer shows it, and does not tell a merge from a deletion"
            _park_link(run, link, "review", reason)
            return
    decision = reconcile(seen[Side.LEFT], seen[Side.RIGHT], run.pair.mapping.rules, verdicts)
    match decision.action:
        case Action.KEEP:
            _carry_out(run, pending, seen, decision)
        case Action.UNLINK:
            _unlink(run, link, seen, decision.reason)
        case Action.FREEZE:
            run.store.observations.wait(run.pair.id, _records(link))
        case Action.PARK:
            _park_link(run, link, "review", decision.reason)


def _gone(seen: Seen) -> bool:
    return seen.life is Life.GONE


def _seen(run: Run, link: Link, side: Side, row: Observation | None) -> Seen:
    """One side of a link as the core wants it; a side that was not seen stands as it was last known."""
    mapping, base = run.mapping(side), link.bases[side]
    if row is None:
        return Seen(values=base, base=base, in_scope=mapping.in_scope(base))
    if row.life == "gone":
        return Seen(values=base, base=base, life=Life.GONE, in_scope=mapping.in_scope(base))
    receipt = link.receipts[side]
    ours = receipt is not None and row.version is not None and receipt[0] == row.version
    own_fields = set(receipt[1]) if ours and receipt else set()
    seen = Seen(
        values=row.values,
        base=base,
        # A scope that cannot be read is no reason to take a record for one that has left it.
        in_scope=bool(mapping.scope_fields & row.problems.keys()) or mapping.in_scope({**base, **row.values}),
        modified=None if ours else row.modified,
        times={name: at for name, at in row.times.items() if name not in own_fields},
        problems=row.problems,
    )
    return absorb_receipt(seen, row.version, receipt)


def _carry_out(run: Run, pending: Pending, seen: Mapping[Side, Seen], decision: Decision) -> None:
    link, observed = pending
    store, pair = run.store, run.pair
    bases: dict[Side, Values] = {side: {**seen[side].base, **decision.bases.get(side, {})} for side in Side}
    if any(bases[side] != link.bases[side] for side in Side):
        store.links.set_bases(link.id, bases)
    pending_verdicts = {name for edit in decision.edits for name, rule in edit.rules.items() if rule == DECIDED}
    store.attention.set_conflicts(pair.id, link.id, decision.conflicts, keep=pending_verdicts, now=run.now)
    run.counts["conflicts"] += len(decision.conflicts)
    _note_problems(run, link, seen)
    for edit in decision.edits:
        _stage(run, edit, link, observed, fps=_fps(link, observed))
    if decision.edits:
        return
    if decision.conflicts:
        store.observations.wait(pair.id, _records(link))
        return
    rows = [row for row in observed.values() if row is not None]
    store.links.set_seen([(link.id, row.side, row.fp, row.version) for row in rows])
    store.observations.settle(pair.id, [(row.side, row.record_id, row.rev) for row in rows])


def _fps(link: Link, observed: Mapping[Side, Observation | None]) -> dict[Side, int | None]:
    return {side: row.fp if (row := observed[side]) is not None else link.fps[side] for side in Side}


def _records(link: Link) -> list[tuple[Side, str]]:
    return [(side, link.ids[side]) for side in Side]


def _note_problems(run: Run, link: Link, seen: Mapping[Side, Seen]) -> None:
    """A field that cannot be read is shown to people; the record's other fields go on."""
    rows = [
        Parking(side, link.ids[side], "unreadable", why, field)
        for side in Side
        for field, why in sorted(seen[side].problems.items())[:1]
    ]
    bad = {(row.side, row.record_id) for row in rows}
    run.store.attention.unpark(run.pair.id, [record for record in _records(link) if record not in bad])
    if rows:
        run.store.attention.park(run.pair.id, rows, run.now)
        run.counts["parked"] += len(rows)


def _park_link(run: Run, link: Link, code: str, reason: str) -> None:
    run.store.attention.park(run.pair.id, [Parking(side, link.ids[side], code, reason) for side in Side], run.now)
    run.store.observations.wait(run.pair.id, _records(link))
    run.counts["parked"] += 1


def _unlink(run: Run, link: Link, seen: Mapping[Side, Seen], reason: str) -> None:
    """The link ends. A record that is still there is set aside for good: it is no new one."""
    dead = {side for side in Side if _gone(seen[side])}
    end_link(run, link, {side: "tombstone" if side in dead else "retired" for side in Side}, reason)
    run.counts["unlinked"] += 1


def end_link(run: Run, link: Link, kinds: Mapping[Side, str], reason: str) -> None:
    """Remove a link and leave these marks on its records, within the caller's transaction."""
    store, pair = run.store, run.pair
    store.links.remove(link.id)
    store.links.mark(pair.id, [Mark(side, link.ids[side], kinds[side], reason) for side in Side], run.now)
    store.attention.unpark(pair.id, _records(link))
    for side in Side:
        store.observations.forget(pair.id, side, link.ids[side])
        if kinds[side] == "tombstone":
            store.links.drop_keys(pair.id, side, link.ids[side])


def _merged(run: Run, link: Link, side: Side, row: Observation) -> None:
    """The app merged this side's record into another. It is never read as a deletion."""
    store, pair = run.store, run.pair
    survivor = row.into_id or ""
    other = store.links.of(pair.id, side, survivor)
    if other is not None and store.operations.live_on_link(other.id):
        return
    if other is not None:
        counterpart = link.ids[side.other]
        reason = f"its counterpart was merged into {survivor} in {run.app(side).account}, which is linked already"
        end_link(run, link, {side: "tombstone", side.other: "retired"}, reason)
        store.attention.park(pair.id, [Parking(side.other, counterpart, "merged", reason)], run.now)
        run.counts["parked"] += 1
        return
    bases: dict[Side, Values] = {side: {}, side.other: link.bases[side.other]}
    store.links.relink(
        link.id,
        NewLink(
            {side: survivor, side.other: link.ids[side.other]},
            bases,
            {side: None, side.other: link.fps[side.other]},
            {side: None, side.other: link.versions[side.other]},
            {side: None, side.other: link.receipts[side.other]},
        ),
    )
    store.observations.forget(pair.id, side, link.ids[side])
    store.links.drop_keys(pair.id, side, link.ids[side])
    store.links.mark(pair.id, [Mark(side, link.ids[side], "tombstone", f"merged into {survivor}")], run.now)
    rev = store.observations.next_rev()
    store.observations.look_again(pair.id, side, [survivor], run.now, rev)
    store.observations.look_again(pair.id, side.other, [link.ids[side.other]], run.now, rev)
    run.counts["merged"] += 1
    run.again = True


# -- records that are linked to nothing


def _unlinked(run: Run, side: Side, window: list[Observation]) -> None:
    store, pair, mapping = run.store, run.pair, run.mapping(side)
    marks = store.links.marks(pair.id, side, [row.record_id for row in window])
    pending = store.operations.earliest_pending_create(pair.id, side)
    fresh = []
    for row in window:
        mark = marks.get(row.record_id)
        if row.life != "live":
            store.observations.forget(pair.id, side, row.record_id)
            store.links.drop_keys(pair.id, side, row.record_id)
            store.attention.unpark(pair.id, [(side, row.record_id)])
        elif mark is not None and mark.kind == "retired":
            store.observations.settle(pair.id, [(side, row.record_id, row.rev)])
        elif not mapping.in_scope(row.values):
            _leave_out(run, row, "out of scope")
        elif not _may_be_ours(run, row, pending):
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
    for row in fresh:
        _propose(run, row, propose(side, row.record_id, slots[row.record_id], holders, keys_of))


def _may_be_ours(run: Run, row: Observation, pending: Instant | None) -> bool:
    """Whether this may be a record that we made ourselves, by a create of which the answer was lost."""
    if pending is None:
        return False
    return row.created is None or row.created >= pending - run.app(row.side).capabilities.resolution


def _leave_out(run: Run, row: Observation, reason: str) -> None:
    run.store.links.mark(run.pair.id, [Mark(row.side, row.record_id, "left_out", reason, row.fp)], run.now)
    run.store.observations.settle(run.pair.id, [(row.side, row.record_id, row.rev)])


def _propose(run: Run, row: Observation, proposal: Proposal) -> None:
    store, pair = run.store, run.pair
    if proposal.match is not None:
        _match(run, row, proposal.match)
    elif proposal.duplicates:
        others = ", ".join(f"{run.app(one.side).account}:{one.id}" for one in proposal.duplicates[:5])
        key = "+".join(pair.mapping.match[proposal.slot or 0])
        retry = run.now + pair.tuning.duplicate_retry
        reason = f"{key} is not unique: also in {others}"
        store.attention.park(pair.id, [Parking(row.side, row.record_id, "duplicate", reason, key, retry)], run.now)
        store.observations.wait(pair.id, [(row.side, row.record_id)], retry)
        run.counts["parked"] += 1
    elif not pair.mapping.rules.create[row.side.other]:
        _leave_out(run, row, f"records are not created in {run.app(row.side.other).account}")
    else:
        edit = creation(row.side.other, row.values, pair.mapping.rules, "new")
        _stage(run, edit, None, {row.side: row, row.side.other: None}, fps={row.side: row.fp, row.side.other: None})


def _match(run: Run, row: Observation, match: str) -> None:
    """Link two records that were there before us: with no base, so that nothing of either is taken for written."""
    store, pair = run.store, run.pair
    other = store.observations.get(pair.id, row.side.other, match)
    if other is None or other.hint or other.life != "live":
        store.observations.look_again(pair.id, row.side.other, [match], run.now, store.observations.next_rev())
        run.again = True
        return
    if _may_be_ours(run, other, store.operations.earliest_pending_create(pair.id, other.side)):
        return
    observed = {row.side: row, other.side: other}
    new = NewLink(
        {side: observed[side].record_id for side in Side},
        {side: {} for side in Side},
        dict.fromkeys(Side),
        {side: observed[side].version for side in Side},
        dict.fromkeys(Side),
    )
    number = store.links.add(pair.id, new, run.now)
    run.counts["linked"] += 1
    link = Link(number, new.ids, new.fps, new.versions, new.bases, dict.fromkeys(Side), {})
    _link(run, Pending(link, dict(observed)), {})


def _stage(
    run: Run,
    edit: Edit,
    link: Link | None,
    observed: Mapping[Side, Observation | None],
    *,
    fps: Mapping[Side, int | None],
) -> None:
    """Add one write to the plan. Its records stay observed until it is done."""
    target, giver = observed[edit.side], observed[edit.side.other]
    creates = edit.kind == "create"
    version = target.version if target is not None else link.versions[edit.side] if link is not None else None
    staging = Staging(
        edit=edit,
        link=None if link is None else link.id,
        record_id=link.ids[edit.side] if link is not None and not creates else None,
        counterpart_id=link.ids[edit.side.other]
        if link is not None
        else giver.record_id
        if giver is not None
        else None,
        version=None if creates else version,
        revs={side: row.rev if (row := observed[side]) is not None else None for side in Side},
        fps=fps,
    )
    run.store.operations.stage(run.pair.id, run.cycle, [staging], State.PLANNED)
