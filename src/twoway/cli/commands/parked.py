"""`twoway parked`."""

from typing import Annotated

import typer

from twoway.cli import reports, words
from twoway.cli.context import SystemClock, chosen, config_of, ensured, names_of, places, state_of
from twoway.cli.options import AsJson, NoSuch, Pair
from twoway.cli.output import document, say
from twoway.engine import byhand

app = typer.Typer(add_completion=False, no_args_is_help=True, help="List and retry the records that were set aside.")


@app.command("list")
def list_(ctx: typer.Context, pair: Pair = None, as_json: AsJson = False) -> None:
    """List the records that were set aside: why, and when each is tried again."""
    config = config_of(ctx)
    if pair is not None:
        chosen(config, pair)
    with state_of(config) as store:
        found = store.attention.parked(None if pair is None else ensured(store, pair).id)
    if as_json:
        document({"parked": [reports.parked(one, names_of(config, one.pair)) for one in found]})
        return
    for name in sorted({one.pair for one in found}):
        say(f"{name}:")
        for one in found:
            if one.pair == name:
                reports.say_parked(one, names_of(config, name))
    say("`twoway parked retry` looks at them again" if found else "nothing is set aside")


@app.command()
def retry(
    ctx: typer.Context,
    pair: Pair = None,
    record: Annotated[str | None, typer.Option("--record", metavar="ACCOUNT:ID", help="Only this record.")] = None,
) -> None:
    """Look at parked records again in the next cycle, whatever time was set for them."""
    config = config_of(ctx)
    now = SystemClock().now()
    number = 0
    with state_of(config) as store:
        if record is None:
            for one in chosen(config, pair):
                number += byhand.retry(store, ensured(store, one.name).id, now)
        else:
            for place in places(config, store, record, pair):
                number += byhand.retry(store, place.row.id, now, place.side, place.record_id)
            if number == 0:
                raise NoSuch(f"{record} is not set aside", "`twoway parked list` shows those that are")
    say(f"{words.count(number, 'record')} to be looked at again in the next cycle")
