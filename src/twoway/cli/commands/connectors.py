"""`twoway connectors`."""

from typing import Any

import typer

from twoway.cli.options import AsJson
from twoway.cli.output import document, say
from twoway.sdk.errors import TellUser
from twoway.sdk.registry import find_connector, installed_connectors

app = typer.Typer(add_completion=False)


@app.command()
def connectors(as_json: AsJson = False) -> None:
    """List the installed connectors with their secrets and settings.

    These are the keys that an account of the app takes in config.yaml, under `secrets` and `settings`.
    """
    found = [_about(name) for name in installed_connectors()]
    if as_json:
        document({"connectors": found})
        return
    for one in found:
        say(f"{one['name']}  ({one['package']} {one['version']})")
        if one["error"]:
            say(f"  cannot be used: {one['error']}")
        for section in ("secrets", "settings"):
            for key, text in one[section].items():
                say(f"  {section}.{key}: {text}")
        say()


def _about(name: str) -> dict[str, Any]:
    dist = installed_connectors()[name].dist
    about: dict[str, Any] = {
        "name": name,
        "package": dist.name if dist else "?",
        "version": dist.version if dist else "?",
        "secrets": {},
        "settings": {},
        "error": None,
    }
    try:
        factory = find_connector(name)
    except TellUser as error:
        return {**about, "error": str(error)}
    return {**about, "secrets": dict(factory.secrets), "settings": dict(factory.settings)}
