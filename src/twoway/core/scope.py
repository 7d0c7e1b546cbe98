"""The scope of a pair: a condition in CEL over canonical fields, compiled once.

A record is in scope when the condition is true. Whatever else it gives is out of scope: false, a value that is not a
truth value, and a comparison that cannot be made. So `revenue > 1000` leaves out the records without a revenue.
In CEL a blank is `null`, which equals only itself: `owner != "bot"` holds for a blank owner.

A `number` is a CEL double here, a set a list; where `null` has no answer a blank set is an empty list. Dates and
instants are texts, which sort by time.
Besides CEL's own functions there are `lower(text)` and `split(text, separator)`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from twoway.core.model import Values

_MAX_LENGTH = 4_000
_MAX_LIST = 10_000
_NOT_COMPUTED: Final = (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError)


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else None


def _split(text: Any, separator: Any) -> list[str]:
    """Never raises: CEL's binding would print the error, and with it the value."""
    if not isinstance(text, str) or not isinstance(separator, str) or not separator:
        return []
    return [one.strip() for one in text.split(separator, _MAX_LIST) if one.strip()]


HELPERS: Final[Mapping[str, Callable[..., Any]]] = {"lower": _lower, "split": _split}

_FUNCTIONS: Final = frozenset(HELPERS) | {
    "bool", "contains", "double", "duration", "dyn", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek",
    "getDayOfYear", "getFullYear", "getHours", "getMinutes", "getMonth", "getSeconds", "int", "matches", "size",
    "startsWith", "string", "timestamp", "type", "uint",
}  # fmt: skip
_TYPE_NAMES: Final = frozenset({"bool", "double", "int", "list", "map", "null_type", "string", "uint"})
_LITERAL = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_NAME = re.compile(r"[A-Za-z]")
_BINDER = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")


class Scope:
    """One compiled condition. `fields` are the canonical fields that it names."""

    __slots__ = ("_helpers", "_numbers", "_program", "_sets", "fields")

    def __init__(
        self, text: str, fields: Collection[str], numbers: Collection[str] = (), sets: Collection[str] = ()
    ) -> None:
        """Compile `text`, which may name `fields`; `numbers` are those of them that hold decimal strings, `sets` lists.

        `ValueError` says what is wrong: a syntax error, an unknown field or function, an expression of one constant.
        """
        import cel  # noqa: PLC0415 - the binding brings a terminal toolkit along: only pairs with a scope pay for it

        if len(text) > _MAX_LENGTH:
            raise ValueError(f"longer than {_MAX_LENGTH} characters")
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise ValueError(f"not a CEL expression: {_first_line(str(error))}") from None
        names = self._program.references()
        # CEL reports the names that macros bind, such as the `t` of `tags.exists(t, t == "vip")`, as variables, too.
        bound = {*_BINDER.findall(_LITERAL.sub('""', text)), *_TYPE_NAMES}
        unknown = [one for one in names["variables"] if one not in fields and one not in bound]
        if unknown:
            raise ValueError(f"unknown field {', '.join(unknown)}; valid: {', '.join(sorted(fields))}")
        strange = [one for one in names["functions"] if _NAME.match(one) and one not in _FUNCTIONS]
        if strange:
            raise ValueError(f"unknown function {', '.join(strange)}; valid: {', '.join(sorted(_FUNCTIONS))}")
        self.fields = frozenset(names["variables"]) & frozenset(fields)
        if not self.fields:
            raise ValueError("names no field, so that it is the same for every record")
        self._numbers = frozenset(numbers) & self.fields
        self._sets = frozenset(sets) & self.fields
        self._helpers = {name: HELPERS[name] for name in names["functions"] if name in HELPERS}

    def accepts(self, values: Values) -> bool:
        """Whether a record with these canonical values is in scope; an absent field counts as blank."""
        known: dict[str, Any] = {name: values.get(name) for name in self.fields}
        for name in self._numbers:
            if known[name] is not None:
                known[name] = float(known[name])
        known.update(self._helpers)
        try:
            return self._program.execute(known) is True
        except _NOT_COMPUTED:
            empty: dict[str, Any] = {name: [] for name in self._sets if known[name] is None}
        if not empty:
            return False
        try:
            # Whoever asks what is in a set, or is not, asks it of one without elements, too.
            return self._program.execute({**known, **empty}) is True
        except _NOT_COMPUTED:
            return False


def _first_line(message: str) -> str:
    """CEL's message begins with the expression and ends with a drawing of it."""
    _, _, rest = message.partition("ERROR: <input>:")
    return " ".join((rest or message).partition("\n")[0].split())
