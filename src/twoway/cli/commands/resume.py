"""`twoway resume`."""

import typer

from twoway.cli.context import SystemClock, chosen, config_of, state_of
from twoway.cli.options import OnePair
from twoway.cli.output import say
from twoway.engine.service import Service
from twoway.state.pairs import Status

app = typer.Typer(add_completion=False)


@app.command()
def resume(ctx: typer.Context, pair: OnePair) -> None:
    """Let a paused pair run again, and try its accounts at once.

    A pair that a guard halted is let go on by `twoway approve`, once its plan was looked at.
    """
    config = config_of(ctx)
    chosen(config, pair)
    with state_of(config) as store:
        row = Service(config, store, SystemClock()).resume(pair)
    match row.status:
        case Status.ACTIVE:
            say(f"{pair} runs again with its next cycle; `twoway sync {pair}` runs one now")
        case Status.HALTED:
            say(f"{pair} is halted, not paused: {row.reason}")
            say(f"Look with `twoway plan {pair}`, let it go on with `twoway approve {pair}`")
        case _:
            say(f"{pair} waits for its first approval: `twoway plan {pair}`, then `twoway approve {pair}`")
