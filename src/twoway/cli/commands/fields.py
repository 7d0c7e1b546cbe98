"""`twoway fields`."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from twoway.cli.context import SystemClock
from twoway.cli.options import AsJson, NoSuch
from twoway.cli.output import document, say, table
from twoway.cli.session import full_config
from twoway.config.load import Config
from twoway.config.problems import valid
from twoway.engine.accounts import Accounts
from twoway.ports import FieldInfo
from twoway.sdk.errors import ConnectorError

app = typer.Typer(add_completion=False)


@app.command()
def fields(
    ctx: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account of config.yaml.")],
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="A collection of it, such as contacts.")],
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="As in the mapping file's `options`; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the fields of a collection, as the app has them now.

    These are the names to write into a mapping file, with their types and choices.
    """
    config = full_config(ctx)
    if account not in config.settings.accounts:
        raise NoSuch(f"there is no account {account}", valid(config.settings.accounts, account))
    found = asyncio.run(_describe(config, account, collection, _options(option or [])))
    if as_json:
        document({"account": account, "collection": collection, "fields": [_about(one) for one in found]})
        return
    table(
        ["FIELD", "TYPE", "WRITABLE", "LABEL"],
        [[one.name, one.type.value, _writable(one), one.label] for one in found],
    )
    for one in found:
        if one.choices is not None:
            say(f"choices of {one.name}: {', '.join(one.choices)}")


def _options(given: Sequence[str]) -> dict[str, str]:
    options = {}
    for one in given:
        key, sign, value = one.partition("=")
        if not sign:
            raise NoSuch(f"{one!r} is no option", "Write KEY=VALUE, as in audience=Customers")
        options[key] = value
    return options


async def _describe(config: Config, account: str, collection: str, options: dict[str, str]) -> Sequence[FieldInfo]:
    connector = Accounts(config, SystemClock()).connect(account, collection, options=options)
    try:
        return await connector.describe()
    except ConnectorError as error:
        error.account = account
        raise
    finally:
        await connector.close()


def _writable(info: FieldInfo) -> str:
    if info.on_update:
        return "yes"
    return "on create" if info.on_create else "no"


def _about(info: FieldInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "label": info.label,
        "type": info.type.value,
        "choices": None if info.choices is None else list(info.choices),
        "on_create": info.on_create,
        "on_update": info.on_update,
        "required": info.required,
        "unique": info.unique,
        "can_be_blank": info.cleared_by is not None,
        "max_length": info.max_length,
    }
