"""`twoway check`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from twoway.cli.context import SystemClock, chosen, state_of
from twoway.cli.errors import Code, code, message, worst
from twoway.cli.options import AsJson, Pair
from twoway.cli.output import document, say
from twoway.cli.progress import progress
from twoway.cli.session import full_config
from twoway.cli.words import count
from twoway.config.load import Config, PairConfig
from twoway.config.preflight import preflight
from twoway.config.problems import ConfigError, Problem
from twoway.core.model import Side
from twoway.engine.accounts import Accounts
from twoway.engine.service import elsewhere
from twoway.ports import Capabilities, FaultPoint, FieldInfo
from twoway.sdk.errors import ConnectorError

app = typer.Typer(add_completion=False)


@app.command()
def check(ctx: typer.Context, pair: Pair = None, as_json: AsJson = False) -> None:
    """Check the configuration, the logins and the apps' live schemas.

    Every field that a mapping names must be there, writable where it is written, and take the values it may be given.
    Nothing is written anywhere.
    """
    config = full_config(ctx)
    pairs = chosen(config, pair)
    moved = _elsewhere(config, pairs)
    with progress("check") as point:
        results = asyncio.run(_all(config, pairs, moved, point))
    used = {one.mapping.side(side).account for one in config.pairs.values() for side in Side}
    unused = sorted(set(config.settings.accounts) - used)
    outcome = worst(one["code"] for one in results)
    if as_json:
        told = [{key: value for key, value in one.items() if key != "code"} for one in results]
        document({"ok": outcome is Code.FINE, "pairs": told, "unused_accounts": unused})
    else:
        for one in results:
            _say(one)
        for account in unused:
            say(f"{account}: in no pair, so its login was not tried")
    raise typer.Exit(outcome)


def _elsewhere(config: Config, pairs: Sequence[PairConfig]) -> dict[str, list[Problem]]:
    """What the state says against the mapping files, by pair. Where there is none yet, none is made."""
    path = config.settings.state.path
    if path is None or not path.exists():
        return {}
    with state_of(config) as store:
        return {pair.name: elsewhere(store, pair) for pair in pairs}


async def _all(
    config: Config, pairs: Sequence[PairConfig], moved: Mapping[str, list[Problem]], point: FaultPoint
) -> list[dict[str, Any]]:
    accounts = Accounts(config, SystemClock())
    return [await _pair(accounts, config, pair, moved.get(pair.name, []), point) for pair in pairs]


async def _pair(
    accounts: Accounts, config: Config, pair: PairConfig, moved: list[Problem], point: FaultPoint
) -> dict[str, Any]:
    sides = {side: _Side(accounts, config, pair, side, point) for side in Side}
    await asyncio.gather(*(side.ask() for side in sides.values()))
    codes = [code(side.error) for side in sides.values() if side.error is not None]
    problems: list[Problem] = []
    schema = {side: one.fields for side, one in sides.items() if one.fields is not None}
    capabilities = {side: one.capabilities for side, one in sides.items() if one.capabilities is not None}
    if len(schema) == len(capabilities) == len(Side):
        try:
            problems = preflight(pair, schema, capabilities)
        except ConfigError as error:
            problems = error.problems
    problems = [*moved, *problems]
    if any(not one.warning for one in problems):
        codes.append(Code.USAGE)
    return {
        "pair": pair.name,
        "ok": not codes,
        "accounts": [side.about() for side in sides.values()],
        "problems": [_problem(one) for one in problems],
        "code": worst(codes),
    }


class _Side:
    """One side of a pair: what its app answers."""

    def __init__(self, accounts: Accounts, config: Config, pair: PairConfig, side: Side, point: FaultPoint) -> None:
        self._accounts = accounts
        self._pair = pair
        self._mapping = pair.mapping.side(side)
        self._app = config.account(self._mapping.account).app
        self._point = point
        self._name = ""
        self._notes: Sequence[str] = ()
        self.error: ConnectorError | None = None
        self.fields: Sequence[FieldInfo] | None = None
        self.capabilities: Capabilities | None = None

    async def ask(self) -> None:
        """Try the login, then read the live schema."""
        account = self._mapping.account
        try:
            connector = self._accounts.side(self._mapping, self._pair.spec)
        except ConnectorError as error:
            self.error = error
            return
        try:
            self._point(f"before {account}.check")
            info = await connector.check()
            self._name, self._notes = info.name, info.notes
            self._point(f"before {account}.describe")
            self.fields = await connector.describe()
            self.capabilities = connector.capabilities
        except ConnectorError as error:
            error.account = account
            self.error = error
        finally:
            await connector.close()

    def about(self) -> dict[str, Any]:
        return {
            "account": self._mapping.account,
            "app": self._app,
            "collection": self._mapping.collection,
            "ok": self.error is None,
            "name": self._name,
            "notes": list(self._notes),
            "fields": None if self.fields is None else len(self.fields),
            "error": None if self.error is None else message(self.error),
        }


def _problem(one: Problem) -> dict[str, Any]:
    return {
        "file": one.file,
        "line": one.line,
        "column": one.column,
        "key": one.key,
        "what": one.what,
        "warning": one.warning,
        "text": str(one),
    }


def _say(result: dict[str, Any]) -> None:
    say(f"{result['pair']}: {'ready' if result['ok'] else 'not ready'}")
    for one in result["accounts"]:
        if one["ok"]:
            say(f"  {one['account']}: {one['name']}; {one['collection']} have {count(one['fields'], 'field')}")
        else:
            say(f"  {one['error']}")
        for note in one["notes"]:
            say(f"  {one['account']}: note: {note}")
    for problem in result["problems"]:
        say(f"  {problem['text']}")
    if result["ok"]:
        say(f"  next: `twoway plan {result['pair']}`")
