"""Standard output: plain lines and tables, or one JSON document. Never a control character of a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import typer

from twoway.cli.words import plain


def say(text: str = "") -> None:
    """A line of the answer."""
    typer.echo(plain(text))


def warn(text: str) -> None:
    """A line beside the answer: standard error."""
    typer.echo(plain(text), err=True)


def document(content: Mapping[str, Any]) -> None:
    """The answer as one JSON document."""
    typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their headings, in columns as wide as their widest cell."""
    cells = [[plain(cell).replace("\n", " ") for cell in row] for row in [head, *rows]]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
