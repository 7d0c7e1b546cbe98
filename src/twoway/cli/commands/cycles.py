"""`twoway cycles`."""

from typing import Annotated

import typer

from twoway.cli import reports, words
from twoway.cli.context import chosen, config_of, ensured, names_of, state_of
from twoway.cli.options import LARGEST, AsJson, Pair
from twoway.cli.output import document, say, table

app = typer.Typer(add_completion=False)


@app.command()
def cycles(
    ctx: typer.Context,
    pair: Pair = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=LARGEST, metavar="N", help="Cycles to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the cycles that did something, the latest first.

    A cycle that found nothing to do leaves no trace but the time of the last success in `twoway status`.
    """
    config = config_of(ctx)
    if pair is not None:
        chosen(config, pair)
    with state_of(config) as store:
        found = store.pairs.cycles(None if pair is None else ensured(store, pair).id, limit)
    if as_json:
        document({"cycles": [reports.cycle(one, names_of(config, one.pair)) for one in found]})
        return
    if not found:
        say("no cycle has done anything yet")
        return
    table(
        ["CYCLE", "PAIR", "KIND", "STARTED", "STATUS", "WHAT"],
        [
            [
                str(one.id),
                one.pair,
                one.kind,
                words.when(one.started_at),
                one.status,
                one.message or words.counted(one.counts, names_of(config, one.pair)),
            ]
            for one in found
        ],
    )
