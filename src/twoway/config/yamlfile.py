"""A YAML 1.2 file as plain data that still knows where each key stands.

YAML 1.2, for in 1.1 a country `NO` is false; keys that are given twice are refused.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from twoway.config.problems import ConfigError, Problem, shown

_BITS: Final = 64

Where = Sequence[str | int]
"""A place in a file: the keys and indices that lead to it from the top."""


class Document:
    """One file. `data` holds plain dicts, lists and scalars only."""

    def __init__(self, path: Path, tree: Any) -> None:
        self.path = path
        self.name = shown(path)
        self._tree = tree
        self.data = _plain(tree)

    def holds(self, where: Where) -> bool:
        """Whether the file says anything at this place."""
        return self._walk(where)[0] == len(where)

    def problem(self, where: Where, what: str, *, warning: bool = False) -> Problem:
        """A problem at a place, or at the nearest place above it that the file has."""
        _, line, column = self._walk(where)
        return Problem(self.name, line, column, ".".join(str(one) for one in where), what, warning)

    def _walk(self, where: Where) -> tuple[int, int, int]:
        """How many steps of `where` the file has, and the line and column of the last of them, from 1."""
        node, line, column = self._tree, 0, 0
        for depth, step in enumerate(where):
            if isinstance(node, CommentedMap):
                key = next((one for one in node if str(one) == str(step)), None)
                if key is None:
                    return depth, line + 1, column + 1
                # A key that came by a merge (`<<`) has no place of its own.
                line, column = node.lc.data.get(key, (line, column))[:2] if node.lc.data else (line, column)
                node = node[key]
            elif isinstance(node, CommentedSeq) and str(step).isdecimal() and int(step) < len(node):
                line, column = node.lc.item(int(step))
                node = node[int(step)]
            else:
                return depth, line + 1, column + 1
        return len(where), line + 1, column + 1


def read_yaml(path: Path) -> Document:
    """Read a file whose top is a mapping. Raises `ConfigError`."""
    name = shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(name, 0, 0, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(name, 0, 0, "", "is not UTF-8 text: save it as UTF-8")]) from None
    reader = YAML(typ="rt")
    try:
        tree = reader.load(text)
    except DuplicateKeyError as error:
        raise ConfigError([_marked(name, error, "the same key twice; leave one out")]) from None
    except MarkedYAMLError as error:
        what = f"not YAML: {error.problem}"
        if "\t" in text:
            what += " (YAML takes no tabs for indenting)"
        raise ConfigError([_marked(name, error, what)]) from None
    except YAMLError as error:
        raise ConfigError([Problem(name, 0, 0, "", f"not YAML: {str(error).splitlines()[0]}")]) from None
    if not isinstance(tree, CommentedMap):
        raise ConfigError([Problem(name, 1, 1, "", "is empty, or not a table of `key: value` lines")])
    return Document(path, tree)


def _marked(name: str, error: MarkedYAMLError, what: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    return Problem(name, mark.line + 1, mark.column + 1, "", what) if mark else Problem(name, 0, 0, "", what)


def _plain(node: Any) -> Any:
    """The reader's own classes of text and numbers keep their spelling, and would not be taken for JSON."""
    if isinstance(node, Mapping):
        return {_plain(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(one) for one in node]
    if node is None or isinstance(node, bool):
        return node
    if isinstance(node, str):
        # JSON's two escapes of one character, which YAML takes for two.
        return str(node) if node.isascii() else node.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(node, int):
        # Longer than any app counts it is an id, and those are texts.
        return int(node) if node.bit_length() < _BITS else str(int(node))
    if isinstance(node, float):
        return float(node)
    return node.isoformat() if isinstance(node, date) else str(node)
