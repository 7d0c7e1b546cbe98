"""`twoway approve`."""

import asyncio
from typing import Annotated

import typer

from twoway.cli import reports
from twoway.cli.context import accounts_of, chosen, ensured
from twoway.cli.options import LARGEST, NoSuch
from twoway.cli.output import say
from twoway.cli.session import Session, session
from twoway.core.plan import State
from twoway.engine.byhand import CannotBeDone
from twoway.state.pairs import PairRow, Status
from twoway.state.store import Store

app = typer.Typer(add_completion=False)


@app.command()
def approve(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="PAIR|CYCLE", help="A pair, or the number of a cycle that was held.")],
) -> None:
    """Let the plan that was last shown pass, and the pair run.

    The approval is for the mapping as it is now, and for one plan of about the size that was shown.
    """
    asyncio.run(_approve(ctx, what))


async def _approve(ctx: typer.Context, what: str) -> None:
    async with session(ctx, "approve") as work:
        name = what if what in work.config.pairs or not what.isdecimal() else _held(work, what)
        (pair,) = chosen(work.config, name)
        row = await work.service.approve(name)
        say(f"{name} is approved, with the plan that was shown:")
        if row.allowance is not None:
            reports.say_directions(row.allowance, accounts_of(pair))
        if row.status is Status.PAUSED:
            say(f"  {name} is paused, and stays so: `twoway resume {name}` lets it write")
        else:
            say(f"  the daemon writes it with its next cycle; `twoway sync {name}` does it now")


def _held(work: Session, what: str) -> str:
    """The pair of a cycle that was held, and still is. `what` is its number, or more digits than any has."""
    cycle = work.store.pairs.cycle(int(what)) if len(what) <= len(str(LARGEST)) else None
    if cycle is None:
        raise NoSuch(f"there is no cycle {what}", "`twoway cycles` lists those that did something")
    number = cycle.id
    if cycle.status != "held":
        raise CannotBeDone(f"cycle {number} of {cycle.pair} was not held ({cycle.status}): there is nothing to approve")
    pair = ensured(work.store, cycle.pair)
    if pair.status is not Status.HALTED:
        raise CannotBeDone(f"{cycle.pair} is not halted any more: cycle {number} needs no approval")
    held = [one.id for one in work.store.pairs.cycles(pair.id, -1) if one.status == "held"]
    if held[0] != number:
        raise CannotBeDone(f"cycle {held[0]} of {cycle.pair} was held since: look at it, and approve that one")
    if not _was_shown_last(work.store, pair):
        raise CannotBeDone(
            f"nothing was approved: the plan of cycle {number} is no longer kept, or another one was shown since. See "
            f"what {cycle.pair} would write by now with `twoway plan {cycle.pair}`, then `twoway approve {cycle.pair}`"
        )
    return cycle.pair


def _was_shown_last(store: Store, pair: PairRow) -> bool:
    """Whether the plan that is held is the one that an approval would be for: that is the one that was shown last."""
    held, shown = store.operations.totals(pair.id, 0, [State.HELD]), pair.shown
    same = shown is not None and all(
        getattr(held, part) == getattr(shown, part) for part in ("creates", "updates", "deletes", "blanks")
    )
    return same and pair.mapping_hash == pair.decided_hash
