"""`twoway undo`."""

import asyncio
import sys
from typing import Annotated

import typer

from twoway.cli import reports
from twoway.cli.context import names_of
from twoway.cli.errors import Code, tell
from twoway.cli.output import say
from twoway.cli.session import session

app = typer.Typer(add_completion=False)


@app.command()
def undo(
    ctx: typer.Context,
    cycle: Annotated[int, typer.Argument(metavar="CYCLE", help="Its number: `twoway cycles` lists them.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
) -> None:
    """Take a cycle back.

    Fields that nobody has edited since get the values from before the cycle; what was edited stays as it is. The undo
    is a cycle of its own, which can be undone.
    """
    raise typer.Exit(asyncio.run(_undo(ctx, cycle, yes)))


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
        if report.error is not None:
            tell(report.error, verbose=ctx.obj.verbose)
        return reports.report_code(report)
