"""Dates and instants, and the formats in which apps write them.

Canonical dates are `YYYY-MM-DD`. Canonical instants are UTC, cut (never rounded) to the field's resolution: of two
apps that keep different resolutions the coarser one's is configured, or each read would show a change.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from twoway.core.model import Raw
from twoway.core.raw import BLANKS, Invalid, kind_of

RESOLUTIONS: Final = ("millisecond", "second", "minute")
EPOCHS: Final[Mapping[str, int]] = {"epoch": 1000, "epoch_ms": 1}
"""The formats of an instant as a whole number, with the milliseconds of one unit."""

_DIRECTIVES: Final[Mapping[str, tuple[str, str]]] = {
    "Y": ("year", r"\d{4}"),
    "m": ("month", r"\d{1,2}"),
    "d": ("day", r"\d{1,2}"),
    "H": ("hour", r"\d{1,2}"),
    "M": ("minute", r"\d{1,2}"),
    "S": ("second", r"\d{1,2}"),
}
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date(raw: Raw) -> str | None:
    """A day. An app that has only instants shows a day as its midnight: the day is taken as it is written there."""
    if raw in BLANKS:
        return None
    if not isinstance(raw, str):
        raise Invalid(f"{kind_of(raw)} where a date is expected")
    text = raw.strip()
    if not text:
        return None
    if len(text) > 10 and text[10] in "T ":
        return _instant(text).date().isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise Invalid("not a date such as 2026-12-31; another form needs `format`") from None


def datetime_parser(resolution: str) -> Callable[[Raw], str | None]:
    """Reads instants in ISO 8601 to UTC at `resolution`. Without an offset an instant is taken to be UTC."""
    spec = {"millisecond": "milliseconds", "second": "seconds", "minute": "seconds"}[resolution]
    to_minute = resolution == "minute"
    length = 24 if resolution == "millisecond" else 20

    def parse(raw: Raw) -> str | None:
        if raw.__class__ is str and len(raw) == length and not to_minute and _CANONICAL.fullmatch(raw):
            _instant(raw)
            return str(raw)
        if raw in BLANKS:
            return None
        if not isinstance(raw, str):
            raise Invalid(f"{kind_of(raw)} where a date and time is expected; epochs need `format: epoch`")
        text = raw.strip()
        if not text:
            return None
        moment = _instant(text)
        try:
            moment = moment.astimezone(UTC) if moment.tzinfo else moment
        except OverflowError:
            raise Invalid("a date and time beyond the years 1 to 9999") from None
        if to_minute:
            moment = moment.replace(second=0)
        return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"

    return parse


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("not a date and time such as 2026-12-31T23:59:00Z; another form needs `format`") from None


def date_format(pattern: str, *, instant: bool) -> tuple[Callable[[Raw], Raw], Callable[[Raw], Raw]]:
    """A format's reader (to ISO 8601) and writer (from it), for dates or, with `instant`, for dates with a time in UTC.

    Patterns take `%Y %m %d`, for instants also `%H %M %S`, each exactly once, and `%%`. Instants may be `epoch`
    (seconds) or `epoch_ms` instead. `ValueError` says what is wrong with a pattern.
    """
    if instant and pattern in EPOCHS:
        return _epoch(EPOCHS[pattern])
    needed = "YmdHMS" if instant else "Ymd"
    pieces = re.split(r"%(.)", pattern)
    names = [one for one in pieces[1::2] if one != "%"]
    if sorted(names) != sorted(needed) or pieces[-1].endswith("%"):
        epochs = f", or {' or '.join(EPOCHS)}" if instant else ""
        raise ValueError(f"must name each of {' '.join('%' + one for one in needed)} once{epochs}")
    regex, template = "", ""
    for index, piece in enumerate(pieces):
        if index % 2 == 0 or piece == "%":
            regex += re.escape(piece)
            template += piece.replace("{", "{{").replace("}", "}}")
        else:
            name, digits = _DIRECTIVES[piece]
            regex += f"(?P<{name}>{digits})"
            template += f"{{0.{name}:0{4 if piece == 'Y' else 2}d}}"
    matcher = re.compile(regex, re.ASCII)

    def read(raw: Raw) -> Raw:
        if not isinstance(raw, str) or not raw.strip():
            return raw
        found = matcher.fullmatch(raw.strip())
        if not found:
            raise Invalid(f"not written as `{pattern}`")
        try:
            moment = datetime(**{name: int(digits) for name, digits in found.groupdict().items()})  # type: ignore[arg-type]  # noqa: DTZ001 - names are the constructor's; the zone follows
        except ValueError:
            raise Invalid("a day or time that does not exist") from None
        return moment.isoformat() + "Z" if instant else moment.date().isoformat()

    def write(raw: Raw) -> Raw:
        return None if raw is None else template.format(datetime.fromisoformat(raw))

    return read, write


def _epoch(unit: int) -> tuple[Callable[[Raw], Raw], Callable[[Raw], Raw]]:
    def read(raw: Raw) -> Raw:
        if raw is None or raw == "":
            return None
        try:
            whole = int(raw)
            moment = _ORIGIN + timedelta(milliseconds=whole * unit)
        except (TypeError, ValueError, OverflowError):
            raise Invalid("not a whole number of time since 1970") from None
        return moment.isoformat()

    def write(raw: Raw) -> Raw:
        return None if raw is None else (datetime.fromisoformat(raw) - _ORIGIN) // timedelta(milliseconds=unit)

    return read, write
