"""`twoway history`."""

from typing import Annotated, Any

import typer

from twoway.cli import words
from twoway.cli.context import chosen, config_of, ensured, names_of, places, state_of
from twoway.cli.options import LARGEST, AsJson, FieldOption, NoSuch, PairOption
from twoway.cli.output import document, say
from twoway.cli.words import Names
from twoway.config.load import Config
from twoway.state.operations import HistoryRow
from twoway.state.store import Store

app = typer.Typer(add_completion=False)


@app.command()
def history(
    ctx: typer.Context,
    pair: PairOption = None,
    record: Annotated[
        str | None, typer.Option("--record", metavar="ACCOUNT:ID", help="Only what was replaced in this record.")
    ] = None,
    field: FieldOption = None,
    cycle: Annotated[
        int | None, typer.Option("--cycle", metavar="N", min=1, max=LARGEST, help="Only what this cycle replaced.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=LARGEST, metavar="N", help="Values to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the values that were replaced, the latest first.

    Every value that twoway overwrites, or that a deletion takes away, is stored here before the write is sent.
    """
    config = config_of(ctx)
    with state_of(config) as store:
        found = _rows(config, store, pair, record, field, cycle, limit)
    if as_json:
        document({"history": [about(one, names_of(config, one.pair)) for one in found]})
        return
    for one in found:
        names = names_of(config, one.pair)
        change = f"{words.value(one.old)} {words.ARROW} {words.value(one.new)}"
        landed = {"done": "", "never": "  [it was never written]"}.get(one.state, "  [the outcome is not known yet]")
        where = f"{words.when(one.at)}  cycle {one.cycle}  {words.direction(one.side, names)}  {one.record_id}"
        say(f"{where}  {one.field}: {change}  ({words.rule(one.rule, names)}){landed}")
    if not found:
        say("nothing was replaced")


def _rows(
    config: Config,
    store: Store,
    pair: str | None,
    record: str | None,
    field: str | None,
    cycle: int | None,
    limit: int,
) -> list[HistoryRow]:
    if cycle is not None and store.pairs.cycle(cycle) is None:
        raise NoSuch(f"there is no cycle {cycle}", "`twoway cycles` lists those that did something")
    if record is None:
        if pair is not None:
            chosen(config, pair)
        number = None if pair is None else ensured(store, pair).id
        return store.operations.history(pair=number, field=field, cycle=cycle, limit=limit)
    found: list[HistoryRow] = []
    for place in places(config, store, record, pair):
        found += store.operations.history(
            pair=place.row.id, side=place.side, record_id=place.record_id, field=field, cycle=cycle, limit=limit
        )
    return sorted(found, key=lambda one: -one.operation)[:limit]


def about(one: HistoryRow, names: Names) -> dict[str, Any]:
    """A replaced value in JSON."""
    return {
        "id": one.operation,
        "at": words.iso(one.at),
        "pair": one.pair,
        "cycle": one.cycle,
        "from": names[one.side.other],
        "to": names[one.side],
        "record": one.record_id,
        "field": one.field,
        "old": one.old,
        "new": one.new,
        "rule": words.rule(one.rule, names),
        "state": one.state,
    }
