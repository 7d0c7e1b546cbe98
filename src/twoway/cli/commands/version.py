"""`twoway version`."""

import platform
import sqlite3

import typer

from twoway import __version__
from twoway.cli.options import AsJson
from twoway.cli.output import document, say

app = typer.Typer(add_completion=False)


@app.command()
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    found = {"twoway": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    if as_json:
        document(found)
    else:
        say(f"twoway {found['twoway']} (Python {found['python']}, SQLite {found['sqlite']})")
