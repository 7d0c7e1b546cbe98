"""Deciding ahead: while the next page of a feed is on its way, what the last one shows.

Apps are waited for, and deciding is the greater part of a cycle's own work. Only what is plain is decided so: a record
that was edited, of which nothing else is seen so far. Its write is staged, and no more; nothing is sent before all is
read. Where the rest of what is read says otherwise the write is taken back, and the link decided like any other.
"""

from collections.abc import Sequence
from typing import Final

from twoway.core.model import LEFT, RIGHT, Kind, Side
from twoway.core.reconcile import Action, Decision, reconcile
from twoway.core.resolve import DRIFT
from twoway.engine.decide import Decided, carry_out, is_known, look_at
from twoway.engine.meanwhile import let_leave
from twoway.engine.run import Run
from twoway.engine.spelling import spelt
from twoway.state.observations import Pending
from twoway.state.rows import Observation

_AT_ONCE: Final = 250
"""Links that are decided together. What is read of them comes on top of two pages of the feed, one of either side, and
what has come meanwhile waits so long for its turn."""


async def decide(run: Run, side: Side, seen: Sequence[Observation]) -> None:
    """Stage the writes to the other side that follow from what records of `side` were just seen to hold."""
    window = min(_AT_ONCE, run.pair.tuning.window)
    for at in range(0, len(seen), window):
        # Whatever has come meanwhile is answered first: it is the apps that are waited for.
        await let_leave()
        with run.commit("decide ahead"):
            _window(run, side, seen[at : at + window])


def take_back(run: Run) -> None:
    """What was decided ahead, and is no longer all that was seen of its link, is to be decided anew."""
    if run.ahead:
        with run.commit("take back"):
            run.store.operations.take_back(run.pair.id, run.cycle, run.now)
        run.ahead = False


def _window(run: Run, side: Side, seen: Sequence[Observation]) -> None:
    found = run.store.observations.seen_alone(run.pair.id, side, run.now, seen)
    decided = Decided(run, found)
    for pending in found:
        _link(run, side, pending, decided)
    run.ahead |= bool(decided.staged)
    decided.store()


def _link(run: Run, side: Side, pending: Pending, decided: Decided) -> None:
    link, observed = pending
    row = observed[side]
    if row is None or row.problems or row.overlooked or link.id in decided.unsettled:
        return
    if not is_known(run, link, side.other):
        return
    seen = {of: look_at(run, link, of, observed[of]) for of in Side}
    if seen[side].base is not link.bases[side]:
        return
    told = spelt(run, seen) if run.pair.mapping.rules.sets else seen
    decision = reconcile(told[LEFT], told[RIGHT], run.pair.mapping.rules)
    if _is_plain(decision, side.other):
        carry_out(run, pending, seen, decision, decided)


def _is_plain(decision: Decision, target: Side) -> bool:
    """Whether one record is to be written, and nothing else to be done."""
    if decision.action is not Action.KEEP or decision.conflicts or decision.bases or len(decision.edits) != 1:
        return False
    edit = decision.edits[0]
    return edit.kind is Kind.UPDATE and edit.side is target and DRIFT not in edit.rules.values()
