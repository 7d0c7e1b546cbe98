"""`twoway status`."""

import json
from typing import Any

import typer

from twoway.cli import words
from twoway.cli.context import SystemClock, accounts_of, config_of, state_of
from twoway.cli.options import AsJson
from twoway.cli.output import document, say, table
from twoway.config.load import Config, PairConfig
from twoway.core.model import Instant, Side
from twoway.state import queries
from twoway.state.pairs import PairRow, Status
from twoway.state.store import Store

app = typer.Typer(add_completion=False)

_UNKNOWN = queries.Counts(0, 0, 0, 0, 0, 0)


@app.command()
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show how every pair is doing.

    No app is asked: this is how the last cycles ended.
    """
    config = config_of(ctx)
    now = SystemClock().now()
    with state_of(config) as store:
        pairs = [_pair(store, config.pairs[name]) for name in sorted(config.pairs)]
        accounts = [
            {"account": name, "reason": reason, "until": words.iso(until)}
            for name, (reason, until) in sorted(store.pairs.paused_accounts().items())
        ]
        if as_json:
            document({"state": store.db.path, "pairs": [_told(one) for one in pairs], "paused_accounts": accounts})
            return
    _say(config, pairs, now)
    for account in accounts:
        until = f"tried again {words.local(account['until'])}" if account["until"] else "until it is resumed"
        say(f"{account['account']} is paused, {until}: {account['reason']}")


def _pair(store: Store, pair: PairConfig) -> dict[str, Any]:
    names = accounts_of(pair)
    row = store.pairs.get(pair.name)
    found = _UNKNOWN if row is None else queries.counts(store.db, row.id)
    last = None if row is None else next(iter(store.pairs.cycles(row.id, 1)), None)
    holder = None if row is None else store.pairs.holder(row.id)
    undos = [] if row is None else queries.waiting_undos(store.db, row.id)
    return {
        "pair": pair.name,
        "accounts": [names[side] for side in Side],
        "status": Status.NEW.value if row is None else row.status.value,
        "reason": None if row is None else row.reason,
        "approved": row is not None and row.approved_hash is not None and not _changed(row),
        "last_success": None if row is None else row.succeeded_at,
        "last_snapshot": None if row is None else row.snapshot_at,
        **found._asdict(),
        "undos": [one._asdict() for one in undos],
        "last_cycle": None if last is None else last.id,
        "last_cycle_status": None if last is None else last.status,
        "worked_on_by": None if holder is None else _process(holder.owner),
    }


def _changed(row: PairRow) -> bool:
    """Whether the pair runs no cycle since its mapping is not the one that was approved."""
    return row.status is Status.ACTIVE and row.reason is not None


def _told(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "last_success": words.iso(one["last_success"]), "last_snapshot": words.iso(one["last_snapshot"])}


def _process(owner: str) -> str:
    try:
        known = json.loads(owner)
        return f"process {known['pid']} on {known['host']}"
    except (ValueError, KeyError, TypeError):
        return owner


def _say(config: Config, pairs: list[dict[str, Any]], now: Instant) -> None:
    if not pairs:
        say(f"there is no pair in {config.settings.pairs} yet")
        return
    head = ["PAIR", "BETWEEN", "STATUS", "LAST SUCCESS", "LINKS", "WAITING", "CONFLICTS", "PARKED"]
    table(
        head,
        [
            [
                one["pair"],
                " ↔ ".join(one["accounts"]),
                one["status"],
                words.ago(one["last_success"], now),
                *(str(one[key]) for key in ("links", "waiting", "conflicts", "parked")),
            ]
            for one in pairs
        ],
    )
    for one in pairs:
        _say_more(one)


def _say_more(one: dict[str, Any]) -> None:
    name = one["pair"]
    match one["status"]:
        case Status.NEW:
            say(f"{name} is new: `twoway plan {name}` shows what it would do")
        case Status.PLANNED:
            say(f"{name} waits for approval: `twoway plan {name}`, then `twoway approve {name}`")
        case Status.ACTIVE if one["reason"]:
            say(f"{name} {one['reason']}: `twoway plan {name}`, then `twoway approve {name}`")
        case Status.HALTED:
            say(f"{name} is halted: {one['reason']}")
            say(f"  look with `twoway plan {name}`, let it go on with `twoway approve {name}`")
        case Status.PAUSED:
            say(f"{name} is paused: `twoway resume {name}`")
    if one["worked_on_by"]:
        say(f"{name} is being worked on by {one['worked_on_by']}")
    for undo in one["undos"]:
        for line in words.waiting_undo(name, undo, stands=one["status"] in (Status.HALTED, Status.PAUSED)):
            say(line)
    if one["unknown"]:
        say(f"{name}: {words.count(one['unknown'], 'write')} without an answer, to be looked up by the next cycle")
    if one["conflicts"]:
        say(f"{name}: {words.count(one['conflicts'], 'conflict')}: `twoway conflicts list {name}`")
    if one["parked"]:
        say(f"{name}: {words.count(one['parked'], 'record')} set aside: `twoway parked list {name}`")
