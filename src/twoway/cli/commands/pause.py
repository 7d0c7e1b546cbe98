"""`twoway pause`."""

import typer

from twoway.cli.context import SystemClock, chosen, config_of, state_of
from twoway.cli.options import OnePair
from twoway.cli.output import say
from twoway.engine.service import Service

app = typer.Typer(add_completion=False)


@app.command()
def pause(ctx: typer.Context, pair: OnePair) -> None:
    """Run no cycle of a pair until it is resumed.

    A cycle that is under way ends by itself. What is changed meanwhile is seen after the pause.
    """
    config = config_of(ctx)
    chosen(config, pair)
    with state_of(config) as store:
        Service(config, store, SystemClock()).pause(pair)
    say(f"{pair} is paused. `twoway resume {pair}` lets it go on")
