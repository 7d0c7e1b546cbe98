"""`twoway sync`."""

import asyncio
from typing import Annotated

import typer

from twoway.cli import reports
from twoway.cli.context import accounts_of, ensured
from twoway.cli.errors import Code, code, tell, worst
from twoway.cli.named import Asked, asked
from twoway.cli.options import AsJson, Pair
from twoway.cli.output import document, say
from twoway.cli.session import Session, session
from twoway.config.load import PairConfig
from twoway.daemon.app import schedules
from twoway.daemon.snapshots import missed
from twoway.engine.cycle import Kind, Report
from twoway.engine.lease import PairBusy
from twoway.engine.service import Paused
from twoway.state import queries
from twoway.state.pairs import Status

app = typer.Typer(add_completion=False)

_LOOK_AGAIN = 1.0
"""Seconds between two attempts under `--wait`."""
_LATEST = 500
"""Cycles among which a snapshot that was tried within the hour is looked for."""


@app.command()
def sync(
    ctx: typer.Context,
    pair: Pair = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="List both apps completely, not only changes.")] = False,
    record: Annotated[
        list[str] | None,
        typer.Option("--record", metavar="ACCOUNT:ID", help="Only this record and its counterpart; may be repeated."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another process works on the pair.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 5 if conflicts or parked records remain.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run one cycle now.

    Without a pair all of them are run, one after the other; where one fails the others go on, and the worst outcome
    is the exit code. Pairs that a person paused are then skipped, unless a record is named that they may have. Where
    the complete listing that the schedule asks for has not been made, both apps are listed completely.
    """
    if snapshot and record:
        raise typer.BadParameter("--record reads nothing but that record: leave --snapshot out")
    kind = Kind.RECORD if record else Kind.SNAPSHOT if snapshot else Kind.INCREMENTAL
    raise typer.Exit(asyncio.run(_sync(ctx, pair, kind, record or [], wait, strict, as_json)))


async def _sync(
    ctx: typer.Context, pair: str | None, kind: Kind, records: list[str], wait: bool, strict: bool, as_json: bool
) -> Code:
    codes: list[Code] = []
    documents = []
    async with session(ctx, "sync") as work:
        for each in await asked(work, pair, records):
            one = each.pair
            names = accounts_of(one)
            try:
                report = await _cycle(work, each, kind, wait)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one pair, the others go on
                # Who names a record asks for this pair, too, and is to be told why nothing was done.
                if pair is None and not records and _is_paused(work, one, error):
                    documents.append(reports.report(one.name, names, None))
                    if not as_json:
                        say(f"{one.name}: paused, skipped")
                    continue
                tell(error, verbose=ctx.obj.verbose)
                codes.append(_code(work, one, error))
                documents.append(reports.report(one.name, names, error))
                continue
            documents.append(reports.report(one.name, names, report))
            if not as_json:
                reports.say_report(report, names)
            if report.error is not None:
                tell(report.error, verbose=ctx.obj.verbose)
            codes.append(reports.report_code(report))
            if strict:
                codes.append(_attention(work, one, as_json=as_json))
    if as_json:
        document({"cycles": documents})
    return worst(codes)


async def _cycle(work: Session, one: Asked, kind: Kind, wait: bool) -> Report:
    if one.error is not None:
        raise one.error
    if kind is Kind.INCREMENTAL and _snapshot_missed(work, one.pair):
        kind = Kind.SNAPSHOT
    while True:
        try:
            return await work.service.cycle(one.pair.name, kind, records=one.records)
        except PairBusy:
            if not wait:
                raise
            await work.clock.sleep(_LOOK_AGAIN)


def _snapshot_missed(work: Session, one: PairConfig) -> bool:
    """Under a timer, no daemon takes the snapshots that the schedule asks for."""
    row = ensured(work.store, one.name)
    (schedule,) = (each for each in schedules(work.config) if each.pair == one.name)
    cycles = work.store.pairs.cycles(row.id, _LATEST)
    tried = [each.started_at for each in cycles if each.kind == Kind.SNAPSHOT]
    return missed(schedule, row.snapshot_at, tried, work.clock.now())


def _is_paused(work: Session, one: PairConfig, error: Exception) -> bool:
    """Whether a person paused the pair, rather than an account that refused us."""
    return isinstance(error, Paused) and ensured(work.store, one.name).status is Status.PAUSED


def _code(work: Session, one: PairConfig, error: Exception) -> Code:
    """Where the pair waits for an account that refused us, that is the outcome."""
    if isinstance(error, Paused) and not _is_paused(work, one, error):
        return Code.UNREACHABLE
    return code(error)


def _attention(work: Session, one: PairConfig, *, as_json: bool) -> Code:
    found = queries.counts(work.store.db, ensured(work.store, one.name).id)
    if not (found.conflicts or found.parked):
        return Code.FINE
    if not as_json:
        say(f"  {found.conflicts} conflicts (`twoway conflicts list`), {found.parked} parked (`twoway parked list`)")
    return Code.ATTENTION
