"""`twoway plan`."""

import asyncio
from typing import Annotated, Final

import typer

from twoway.cli import reports
from twoway.cli.context import accounts_of, chosen, ensured
from twoway.cli.errors import Code, code, tell, worst
from twoway.cli.options import LARGEST, AsJson, Pair
from twoway.cli.output import document, say, warn
from twoway.cli.session import session
from twoway.cli.words import Names, count
from twoway.engine.cycle import Ending
from twoway.engine.plans import Plan
from twoway.state.pairs import Status

app = typer.Typer(add_completion=False)

_TOLD: Final = 10
"""Conflicts and records set aside that are told one by one."""


@app.command()
def plan(
    ctx: typer.Context,
    pair: Pair = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="List both apps completely, not only changes.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 3 if there is anything to do, 4 if it would be held.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, max=LARGEST, metavar="N", help="Writes to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what the next cycle would write, without writing.

    Both apps are read for real. The plan is made on a copy of the state that is thrown away.
    """
    raise typer.Exit(asyncio.run(_plans(ctx, pair, snapshot, exit_code, limit, as_json)))


async def _plans(
    ctx: typer.Context, pair: str | None, snapshot: bool, exit_code: bool, limit: int, as_json: bool
) -> Code:
    codes: list[Code] = []
    documents = []
    async with session(ctx, "plan") as work:
        for one in chosen(work.config, pair):
            try:
                found = await work.service.plan(one.name, snapshot=snapshot, limit=limit)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one pair, the others' plans are shown
                if pair is None:
                    warn(f"{one.name}:")
                codes.append(Code(tell(error, verbose=ctx.obj.verbose)))
                documents.append(reports.no_plan(one.name, error))
                continue
            names = accounts_of(one)
            row = ensured(work.store, one.name)
            approved = row.approved_hash is not None and row.approved_hash == row.mapping_hash
            known = work.store.attention.conflicts(row.id)
            documents.append(reports.plan(found, names, approved=approved, known=known))
            if found.report.error is not None:
                tell(found.report.error, verbose=ctx.obj.verbose)
                codes.append(code(found.report.error))
                continue
            if not as_json:
                _say(found, names, approved=approved, status=row.status)
            if exit_code and found.pending:
                codes.append(Code.HELD if found.report.ending is Ending.HELD else Code.PENDING)
    if as_json:
        document({"plans": documents})
    return worst(codes)


def _say(found: Plan, names: Names, *, approved: bool, status: Status) -> None:
    """A plan; `approved` tells whether the mapping is, as it is now."""
    name, totals = found.report.pair, found.report.totals
    say(f"{name}: {count(found.links_before, 'link')}")
    if found.matched:
        say(f"  {count(found.matched, 'match', 'matches')}: records of both apps that would be linked")
    reports.say_directions(totals, names)
    if found.ending:
        say(f"  {count(found.ending, 'link ends', 'links end')}: what is there stays, and is kept the same no longer")
    duplicates = sum(one.code == "duplicate" for one in found.parked)
    others = len(found.parked) - duplicates
    if duplicates:
        say(f"  {count(duplicates, 'record')} set aside as duplicates")
    if others:
        say(f"  {count(others, 'record')} set aside for other reasons")
    if found.conflicts:
        say(f"  {count(len(found.conflicts), 'conflict')} for a person to decide")
    reports.say_lines(found.lines, names)
    if found.more:
        say(f"  … and {count(found.more, 'more write', 'more writes')}: `--limit {len(found.lines) + found.more}`")
    for one in found.conflicts[:_TOLD]:
        reports.say_conflict(one, names, "conflict")
    if len(found.conflicts) > _TOLD:
        say(f"  … and {count(len(found.conflicts) - _TOLD, 'more conflict', 'more conflicts')}")
    # `twoway parked list` knows none that only the plan has found.
    for parked in found.parked[:_TOLD]:
        reports.say_parked(parked, names, "set aside")
    if len(found.parked) > _TOLD:
        say(f"  … and {count(len(found.parked) - _TOLD, 'more record', 'more records')} set aside: `--json` lists all")
    for reason in found.report.reasons:
        say(f"  the guard would hold this: {reason}")
    if not approved or status is Status.HALTED or found.report.ending is Ending.HELD:
        say(f"  next: if this is what you want, `twoway approve {name}`, then `twoway sync {name}`")
    elif found.pending and status is Status.PAUSED:
        say(f"  next: nothing, for {name} is paused; `twoway resume {name}` lets it write")
    elif found.pending:
        say(f"  next: the daemon does this by itself; `twoway sync {name}` does it now")
    else:
        say("  nothing to do")
