"""What is going on during a long command: a moving line on a terminal, and nothing anywhere else."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape

from twoway.ports import FaultPoint, no_fault

_DOING: Final = {
    "changes": "reading changes",
    "snapshot": "listing",
    "fetch": "reading records",
    "find": "looking up",
    "apply": "writing",
}


@contextmanager
def progress(title: str) -> Iterator[FaultPoint]:
    """Gives the function that the engine calls around every remote call, from which the line is made."""
    if not sys.stderr.isatty():
        yield no_fault
        return
    line = Line(title)
    with Console(stderr=True).status(escape(title)) as shown:

        def point(name: str) -> None:
            line.heard(name)
            shown.update(escape(str(line)))

        yield point


@contextmanager
def saying(title: str) -> Iterator[Callable[[str], None]]:
    """Gives a function that says how far a long work has come, behind the title."""
    if not sys.stderr.isatty():
        yield lambda _how_far: None
        return
    with Console(stderr=True).status(escape(title)) as shown:
        yield lambda how_far: shown.update(escape(f"{title}  {how_far}"))


class Line:
    """The text of the line: what each account is asked for, and how many requests there were."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._calls: Counter[str] = Counter()
        self._doing: dict[str, str] = {}

    def heard(self, name: str) -> None:
        """Take in the name of a fault point: `before ACCOUNT.CALL`, as `twoway.engine.app` gives it."""
        moment, _, call = name.partition(" ")
        account, _, what = call.rpartition(".")
        if moment == "before" and account:
            self._calls[account] += 1
            self._doing[account] = _DOING.get(what.partition(":")[0], what)

    def __str__(self) -> str:
        parts = [f"{account}: {self._doing[account]} ({count})" for account, count in sorted(self._calls.items())]
        return "  ".join([self._title, *parts])
