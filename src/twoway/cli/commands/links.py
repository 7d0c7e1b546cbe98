"""`twoway links`."""

import asyncio
from typing import Annotated, Any

import typer

from twoway.cli import words
from twoway.cli.context import (
    Place,
    SystemClock,
    accounts_of,
    chosen,
    config_of,
    one_place,
    places,
    state_of,
)
from twoway.cli.named import why_not
from twoway.cli.options import AsJson, NoSuch, OnePair, PairOption, Record
from twoway.cli.output import document, say
from twoway.cli.session import session
from twoway.config.problems import valid
from twoway.core.model import Side
from twoway.engine import byhand
from twoway.engine.lease import held
from twoway.state import queries
from twoway.state.store import Store

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Show, set and remove links between records.")


@app.command()
def show(ctx: typer.Context, record: Record, pair: PairOption = None, as_json: AsJson = False) -> None:
    """Show what a record is linked to, in each of the pairs that it may be in."""
    config = config_of(ctx)
    with state_of(config) as store:
        found = [_about(store, place) for place in places(config, store, record, pair)]
    if as_json:
        document({"record": record, "links": found})
        return
    for one in found:
        if one["linked_to"] is None:
            say(f"{one['pair']}: {record} is not linked")
        else:
            say(f"{one['pair']}: {record} is linked to {one['linked_to']} since {words.local(one['linked_at'])}")


def _about(store: Store, place: Place) -> dict[str, Any]:
    link = store.links.of(place.row.id, place.side, place.record_id)
    about: dict[str, Any] = {"pair": place.pair.name, "linked_to": None, "linked_at": None, "link": None}
    if link is None:
        return about
    at = queries.linked_at(store.db, link.id)
    other = f"{place.names[place.side.other]}:{link.ids[place.side.other]}"
    return {**about, "linked_to": other, "linked_at": words.iso(at), "link": link.id}


@app.command("set")
def set_(
    ctx: typer.Context,
    pair: OnePair,
    one: Annotated[str, typer.Argument(metavar="ACCOUNT:ID", help="A record of the one account.")],
    other: Annotated[str, typer.Argument(metavar="ACCOUNT:ID", help="Its counterpart in the other account.")],
) -> None:
    """Link two records that belong together.

    Both apps are asked whether they have them. Where they differ, the pair's `start` decides in the next cycle.
    """
    asyncio.run(_set(ctx, pair, one, other))


async def _set(ctx: typer.Context, pair: str, one: str, other: str) -> None:
    async with session(ctx, "links") as work:
        (found,) = chosen(work.config, pair)
        names = accounts_of(found)
        ids = _both(names, one, other)
        opened = await work.service.open(pair)
        for side, record_id in ids.items():
            answer = (await opened.apps[side].fetch([record_id]))[record_id]
            if refusal := why_not(names[side], record_id, answer):
                raise refusal
        with held(work.store, opened.id, opened.name, work.clock):
            byhand.link(work.store, opened.id, ids, work.clock.now())
    say(f"{one} and {other} are linked. The next cycle compares them; `twoway sync {pair} --record {one}` does it now")


def _both(names: dict[Side, str], *records: str) -> dict[Side, str]:
    """The ids by side, whichever was named first."""
    by_account = {}
    for record in records:
        account, _, record_id = record.partition(":")
        if not record_id or account not in names.values():
            raise NoSuch(f"{record!r} names no record of this pair", valid([f"{name}:ID" for name in names.values()]))
        by_account[account] = record_id
    if len(by_account) < len(Side):
        raise NoSuch("both records are in one account", f"Name one of each: {words.listed(names.values())}")
    return {side: by_account[name] for side, name in names.items()}


@app.command()
def remove(ctx: typer.Context, record: Record, pair: PairOption = None) -> None:
    """End the link of a record.

    Nothing is deleted, and neither record is taken for new afterwards: they are not touched until they are linked
    again.
    """
    config = config_of(ctx)
    with state_of(config) as store:
        place = one_place(config, store, record, pair)
        clock = SystemClock()
        with held(store, place.row.id, place.row.name, clock):
            gone = byhand.unlink(store, place.row.id, place.side, place.record_id, clock.now())
    other = f"{place.names[place.side.other]}:{gone.ids[place.side.other]}"
    say(f"{record} and {other} are no longer linked, and are not touched from now on")
