"""Standard output: plain lines and tables, or one JSON document. Never a control character of a terminal."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import typer

from twoway.cli.words import plain


def say(text: str = "") -> None:
    """A line of the answer."""
    _write(plain(text))


def warn(text: str) -> None:
    """A line beside the answer: standard error."""
    _write(plain(text), err=True)


def document(content: Mapping[str, Any]) -> None:
    """The answer as one JSON document."""
    _write(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their headings, in columns as wide as their widest cell."""
    cells = [[plain(cell).replace("\n", " ") for cell in row] for row in [head, *rows]]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    for row in cells:
        _write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _write(text: str, *, err: bool = False) -> None:
    try:
        typer.echo(text, err=err)
    except BrokenPipeError:
        # The reader has seen enough (`twoway undo 7 --yes | head`). What was asked for is done to its end all the same;
        # nothing more may be written there, not even at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2 if err else 1)
