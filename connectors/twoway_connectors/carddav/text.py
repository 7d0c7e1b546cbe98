"""Texts of a card's fields: their normal form, and which of several lines is the preferred one."""

import re
from collections.abc import Iterable
from decimal import Decimal

from twoway.sdk import Raw
from twoway_connectors.carddav.lines import Line

_NEWLINES = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_IMPOSSIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff\ufeff]")
"""What neither a vCard nor the XML around it can hold (RFC 6350, 3.3; XML 1.0, 2.2), and the byte order mark."""
_LEAST_PREFERRED = 101


class FieldProblem(Exception):
    """A field cannot hold this value; `why` says what it can hold, without the value."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why


def clean(field: str, value: Raw) -> str | None:
    """The normal form of a text: line breaks are `\\n`, no control characters, no blanks around it; blank is `None`."""
    if value is None:
        return None
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise FieldProblem(field, f"this must be a text, and is {type(value).__name__}")
        value = str(value)
    if value.isprintable():
        return value.strip() or None
    return _IMPOSSIBLE.sub("", _NEWLINES.sub("\n", value)).strip() or None


def rank(line: Line) -> int:
    """How much a line is preferred, from 1 (most): PREF of vCard 4, or the type `pref` of the versions before."""
    for text in line.parameter("PREF"):
        if text.isascii() and text.isdigit():
            return min(max(int(text[:3]), 1), 100)
    return 1 if any(value.lower() == "pref" for value in line.parameter("TYPE")) else _LEAST_PREFERRED


def preferred(lines: Iterable[Line]) -> Line | None:
    """The preferred line, or else the first; None where there is none."""
    some = list(lines)
    return min(some, key=rank) if len(some) > 1 else some[0] if some else None
