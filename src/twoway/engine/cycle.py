"""One pass over a pair. This is the only file that names every step:

    recover     what was in flight when the last cycle ended
    remap       where another mapping is in force: what still means the same
    observe     both sides, up to a fixed cut; what is plain is decided while the next answer is on its way
    look up     the writes of which the answer was lost
    decide      match, diff, reconcile: the pure core, window by window
    guard       the totals of the complete plan
    unlink      the links that end by it
    apply       batch by batch, each between two commits

No write leaves before both sides are observed, the plan is complete and the guard has passed it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from twoway.core.guard import judge
from twoway.core.model import Kind as Write
from twoway.core.model import Side
from twoway.core.plan import State, Totals
from twoway.engine import ahead, apply, decide, linking, observe, recover, remap
from twoway.engine.run import PairContext, Run
from twoway.ports import Clock
from twoway.sdk.errors import ConnectorError, TellUser
from twoway.state import clock as our_clock
from twoway.state.pairs import Lease
from twoway.state.store import Store


class Kind(StrEnum):
    """What a cycle reads."""

    INCREMENTAL = "incremental"
    SNAPSHOT = "snapshot"
    RECORD = "record"
    """Nothing but records that a person named."""


class Ending(StrEnum):
    """How a cycle ended."""

    DONE = "done"
    HELD = "held"
    """The plan waits for a person: nothing was written."""
    FAILED = "failed"


@dataclass(slots=True)
class Report:
    """What a cycle did. `reasons` say why it was held or failed; `totals` are those of its plan."""

    pair: str
    cycle: int
    ending: Ending
    counts: Mapping[str, int]
    totals: Totals
    reasons: tuple[str, ...] = ()
    error: ConnectorError | None = None
    requests: Mapping[Side, int] = field(default_factory=dict)


async def run_cycle(
    pair: PairContext, store: Store, clock: Clock, lease: Lease | None, kind: Kind, *, write: bool = True
) -> Report:
    """Run one cycle under a lease. Without `write` it plans on a copy of the state, and leaves the plan there."""
    row = store.pairs.ensure(pair.name)
    lost = remap.elsewhere(store, pair.name, pair.mapping) if row.decided_hash != pair.mapping.hash else ()
    began = clock.now()
    with store.commit("begin", lease, began):
        number = store.pairs.begin_cycle(pair.id, kind.value, began)
        run = Run(pair=pair, store=store, clock=clock, lease=lease, cycle=number, began=began, allowance=row.allowance)
        if row.clock_at is not None and (ahead := row.clock_at - began) > pair.tuning.skew:
            our_clock.put_right(store.db, pair.id, began, ahead)
        recover.interrupted(run)
        full = not lost and remap.take_over(run, row)
    full = full or kind is Kind.SNAPSHOT or row.snapshot_at is None
    calls = {side: app.calls for side, app in pair.apps.items()}
    error: ConnectorError | None = None
    reasons: tuple[str, ...] = ()
    totals = Totals()
    try:
        if lost:
            raise TellUser("; ".join(f"{pair.name}: {one.side}.{one.part} {one.what}" for one in lost))
        totals, reasons = await _steps(run, kind, full=full, write=write)
    except ConnectorError as raised:
        error = raised
    ending = Ending.FAILED if error else Ending.HELD if reasons else Ending.DONE
    message = str(error) if error else "; ".join(reasons) or None
    with run.commit("end"):
        _conclude(run, error, reasons, write=write)
        store.pairs.end_cycle(number, ending.value, dict(run.counts), message, run.now)
    requests = {side: app.calls - calls[side] for side, app in pair.apps.items()}
    return Report(pair.name, number, ending, dict(run.counts), totals, reasons, error, requests)


async def _steps(run: Run, kind: Kind, *, full: bool, write: bool) -> tuple[Totals, tuple[str, ...]]:
    """`full`: both sides are listed completely. Before they were, under this very mapping, a record that is there would
    be taken for one that is not; so it is whatever the cycle was to read."""
    if full or kind is not Kind.RECORD:
        await observe.both_sides(run, full=full, meanwhile=ahead.decide)
    totals = Totals()
    for _ in range(run.pair.tuning.rounds):
        run.again = False
        await observe.fetch_hints(run)
        if await recover.look_up(run):
            await observe.fetch_hints(run)
        ahead.take_back(run)
        decide.everything(run)
        if kind is Kind.RECORD and not run.observed_at:
            await _before_creating(run)
        planned, reasons = _guard(run)
        if totals.writes == 0:
            totals = planned
        if not write or reasons:
            if run.to_end:
                run.counts["to_end"] = len(run.to_end)
            return totals, reasons
        linking.end_links(run)
        await apply.plan(run)
        if not run.again:
            break
    return totals, ()


async def _before_creating(run: Run) -> None:
    """What was named is new as far as we know: whatever has come since the last poll may be its counterpart."""
    staged = run.store.operations.kinds(run.pair.id, [State.PLANNED])
    if not any(what is Write.CREATE for _, what in staged):
        return
    await observe.both_sides(run, full=False)
    await observe.fetch_hints(run)
    with run.commit("decide anew"):
        run.store.operations.drop_plan(run.pair.id, run.now)
    decide.everything(run)


def _guard(run: Run) -> tuple[Totals, tuple[str, ...]]:
    """Judge the complete plan. What is held stays staged, for people to read, and observed, to be decided again."""
    store, pair = run.store, run.pair
    if not run.short and not store.operations.kinds(pair.id, [State.PLANNED]):
        # Not even the links are counted: that takes the longer the more of them there are.
        return Totals(), ()
    totals = store.operations.totals(pair.id, store.links.count(pair.id), [State.PLANNED])
    names = pair.names()
    reasons = [
        f"{names[side]} listed {shown} of the {linked} linked records: not believed, and nothing was taken for deleted"
        for side, (shown, linked) in sorted(run.short.items())
    ]
    reasons += judge(totals, pair.mapping.rules.guard, names, run.allowance)
    if reasons:
        with run.commit("hold"):
            store.operations.hold_plan(pair.id)
    return totals, tuple(reasons)


def _conclude(run: Run, error: ConnectorError | None, reasons: tuple[str, ...], *, write: bool) -> None:
    """What the cycle's end means for the pair and its accounts, within the caller's transaction."""
    pairs, pair = run.store.pairs, run.pair
    if not write:
        return
    if reasons:
        totals = run.store.operations.totals(pair.id, run.store.links.count(pair.id), [State.HELD])
        pairs.show_plan(pair.id, pair.mapping.hash, totals)
        pairs.halt(pair.id, "; ".join(reasons))
    elif error is None and run.observed_at.keys() == set(Side):
        # Of a few records that a person named, nothing tells how the pair is; nor was an approval meant for them.
        pairs.spend_allowance(pair.id)
        pairs.succeeded(pair.id, run.now)
