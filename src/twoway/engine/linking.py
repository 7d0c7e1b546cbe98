"""How a link ends, and how it comes to lead to another record: always within the caller's transaction."""

from collections.abc import Mapping
from typing import Final

from twoway.core.model import SIDES, Side, Values
from twoway.engine.run import Run
from twoway.state.links import Mark, NewLink
from twoway.state.rows import Link

OUT_OF_SCOPE: Final = "out of scope"
"""Why a record was left out that may come in again."""


def records_of(link: Link) -> list[tuple[Side, str]]:
    """Both records of a link."""
    return [(side, link.ids[side]) for side in SIDES]


def end_link(
    run: Run, link: Link, kinds: Mapping[Side, str], reason: str, revs: Mapping[Side, int | None] | None = None
) -> None:
    """Remove a link and leave these marks on its records. What was seen of a record since `revs` is still decided."""
    store, pair = run.store, run.pair
    store.links.remove(link.id)
    store.links.mark(pair.id, [Mark(side, link.ids[side], kinds[side], reason) for side in SIDES], run.now)
    store.attention.unpark(pair.id, records_of(link))
    for side in SIDES:
        if kinds[side] == "tombstone":
            _forget_dead(run, side, link.ids[side])
        elif revs is not None:
            store.observations.settle(pair.id, [(side, link.ids[side], revs[side])])
        else:
            store.observations.forget(pair.id, side, link.ids[side])


def end_links(run: Run) -> None:
    """Links that end by a plan which the guard has passed."""
    ending = list(run.to_end.items())
    run.to_end.clear()
    for at in range(0, len(ending), run.pair.tuning.window):
        with run.commit("unlink"):
            for number, (kinds, reason) in ending[at : at + run.pair.tuning.window]:
                if link := run.store.links.get(number):
                    end_link(run, link, kinds, reason)
                    run.counts["unlinked"] += 1


def _forget_dead(run: Run, side: Side, record_id: str) -> None:
    """The record is no more; one that was seen to live, perhaps since, is asked for once more."""
    store, pair = run.store, run.pair
    row = store.observations.get(pair.id, side, record_id)
    if row is not None and row.life == "live":
        store.observations.look_again(pair.id, side, [record_id], run.now, store.observations.next_rev())
    else:
        store.observations.forget(pair.id, side, record_id)
    store.links.drop_keys(pair.id, side, record_id)


def move(run: Run, link: Link, new: NewLink, side: Side, reason: str) -> None:
    """Let a link lead to another record on `side`. The one that it led to is no more, and is never taken for new."""
    store, pair, before = run.store, run.pair, link.ids[side]
    store.links.relink(link.id, new)
    _forget_dead(run, side, before)
    store.links.mark(pair.id, [Mark(side, before, "tombstone", reason)], run.now)
    store.links.unmark(pair.id, side, new.ids[side])
    store.attention.unpark(pair.id, [(side, before), *((of, new.ids[of]) for of in SIDES)])


def move_without_base(run: Run, link: Link, side: Side, record_id: str, reason: str) -> None:
    """Let a link lead to a record that was there before: whatever it holds, none of it was written by us."""
    bases: dict[Side, Values] = {side: {}, side.other: link.bases[side.other]}
    new = NewLink(
        {side: record_id, side.other: link.ids[side.other]},
        bases,
        {side: None, side.other: link.fps[side.other]},
        {side: None, side.other: link.versions[side.other]},
        {side: None, side.other: link.receipts[side.other]},
    )
    move(run, link, new, side, reason)
    rev = run.store.observations.next_rev()
    for of in SIDES:
        run.store.observations.look_again(run.pair.id, of, [new.ids[of]], run.now, rev)
    run.again = True
