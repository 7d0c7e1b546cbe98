"""`twoway undo`."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from twoway.cli import reports, words
from twoway.cli.context import SystemClock, config_of, ensured, names_of, state_of
from twoway.cli.errors import Code, tell
from twoway.cli.options import LARGEST
from twoway.cli.output import say
from twoway.cli.session import session
from twoway.engine.service import Service
from twoway.engine.undo import left_as_found
from twoway.state import queries
from twoway.state.pairs import Status
from twoway.state.store import Store

app = typer.Typer(add_completion=False)


@app.command()
def undo(
    ctx: typer.Context,
    cycle: Annotated[
        int, typer.Argument(metavar="CYCLE", min=1, max=LARGEST, help="Its number: `twoway cycles` lists them.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Give up an undo that is not done: what was not sent yet.")
    ] = False,
) -> None:
    """Take a cycle back.

    Fields that nobody has edited since get the values from before the cycle; what was edited stays as it is. The undo
    is a cycle of its own, which can be undone. It works while the pair is halted or paused, too.
    """
    if withdraw:
        _withdraw(ctx, cycle)
        return
    raise typer.Exit(asyncio.run(_undo(ctx, cycle, yes)))


def _withdraw(ctx: typer.Context, cycle: int) -> None:
    config = config_of(ctx)
    with state_of(config) as store:
        pair, number = Service(config, store, SystemClock()).withdraw_undo(cycle)
        rest = _waiting(store, pair, cycle)
    what = f"{words.count(number, 'record')} of the undo of cycle {cycle} will not be written any more"
    say(f"{pair}: {what}" if number else f"{pair}: nothing of an undo of cycle {cycle} is still to be sent")
    if rest is not None:
        lost = words.count(rest["unknown"], "write")
        say(f"  {lost} sent already, without an answer: what took effect stays")


def _waiting(store: Store, pair: str, cycle: int) -> dict[str, Any] | None:
    """What of the undo of a cycle is not done."""
    found = queries.waiting_undos(store.db, ensured(store, pair).id)
    return next((one._asdict() for one in found if one.cycle == cycle), None)


async def _undo(ctx: typer.Context, cycle: int, yes: bool) -> Code:
    async with session(ctx, "undo") as work:
        pair, found = await work.service.plan_undo(cycle)
        names = names_of(work.config, pair.name)
        say(f"{pair.name}: undoing cycle {cycle} would write this:" if found.lines else f"{pair.name}: nothing to undo")
        reports.say_lines(found.lines, names)
        for reason in found.left_alone:
            say(f"  stays: {reason}")
        if not found.lines:
            return Code.FINE
        if not yes and not (sys.stdin.isatty() and typer.confirm("Do it?")):
            say(f"nothing was written. `twoway undo {cycle} --yes` does it")
            return Code.FINE
        report = await work.service.undo(pair, found)
        reports.say_report(report, names)
        for reason in left_as_found(pair, work.store, found, report.cycle):
            say(f"  stays: {reason}")
        rest = _waiting(work.store, pair.name, cycle)
        if rest is not None:
            status = ensured(work.store, pair.name).status
            for line in words.waiting_undo(pair.name, rest, stands=status in (Status.HALTED, Status.PAUSED)):
                say(line)
        if report.error is not None:
            tell(report.error, verbose=ctx.obj.verbose)
        return reports.report_code(report)
