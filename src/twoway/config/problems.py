"""What is wrong with a configuration, and where: collected, so that a person mends a file in one go."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; 0 where the place has none (a variable, a folder).

    A warning does not keep the daemon from running.
    """

    file: str
    line: int
    column: int
    key: str
    what: str
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        return f"{place}:{key} {'warning: ' if self.warning else ''}{self.what}"


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` holds everything that is wrong with it. Exit code 2."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(one) for one in self.problems))


def valid(names: Iterable[str], given: str | None = None) -> str:
    """The end of a message: the values that are valid, and the one that was probably meant."""
    known = sorted(names)
    close = get_close_matches(given, known, 1) if given else []
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"valid: {', '.join(known) or 'none'}{hint}"


def shown(path: Path) -> str:
    """A file as a person knows it: relative to where they are, if it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
