"""The value types: how an app's raw value becomes the one canonical value that is compared, hashed, stored and shown.

Every type keeps one law: `parse(render(v)) == v` for each canonical `v`, so that what we write reads back as itself.
A raw value that a type cannot read raises `Invalid`, whose text never holds the value: it goes to logs and to people.

| type | canonical form |
|---|---|
| `string`, `text`, `choice` | text in Unicode form NFC (`text` with bare newlines) |
| `integer` | int of at most 64 bits |
| `number` | decimal string without exponent or trailing zeros: `"1.5"`; computed as `Decimal`, never as a float |
| `boolean` | bool |
| `date`, `datetime` | `YYYY-MM-DD`, `YYYY-MM-DDTHH:MM:SS[.mmm]Z` (see `twoway.core.time_types`) |
| `email`, `phone`, `url` | see `twoway.core.contact_types` |
| `set` | sorted list of unique texts |
| `json` | the JSON value, whole floats as integers |
| `consent` | `"in"` or `"out"` |

Blank is `None` for every type; the raw `""`, `[]`, `{}` and null are blank in all of them.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

from twoway.core.contact_types import parse_email, parse_url, phone_parser
from twoway.core.model import Raw, Value
from twoway.core.raw import BLANKS, Invalid, kind_of, nfc
from twoway.core.rules import Shape
from twoway.core.time_types import RESOLUTIONS, datetime_parser, parse_date

__all__ = ["RESOLUTIONS", "TYPES", "Invalid", "Parse", "ValueType", "make_type", "nfc", "word"]

Parse = Callable[[Raw], Value]

TYPES: Final = (
    "string",
    "text",
    "integer",
    "number",
    "boolean",
    "date",
    "datetime",
    "email",
    "phone",
    "url",
    "choice",
    "set",
    "json",
    "consent",
)

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?", re.ASCII)
_MAX_DIGITS = 100
_INT_LIMIT = 2**63
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class ValueType:
    """One type with its options bound. `fold` gives the text by which match compares; `None` cannot be matched on."""

    name: str
    shape: Shape
    parse: Parse
    render: Callable[[Value], Raw]
    fold: Callable[[Value], str] | None


def make_type(
    name: str, *, region: str | None = None, resolution: str = "second", decimals: int | None = None
) -> ValueType:
    """The type `name` with its options bound.

    `region` is the ISO country in which a phone number without a country code is read; `resolution` one of
    `RESOLUTIONS`, for `datetime`; `decimals` the places that a `number` keeps. `KeyError` for a name not in `TYPES`.
    """
    parsers: Mapping[str, Callable[[], Parse]] = {
        "string": lambda: parse_string,
        "text": lambda: parse_text,
        "integer": lambda: parse_integer,
        "number": lambda: parse_number if decimals is None else _rounded(decimals),
        "boolean": lambda: parse_boolean,
        "date": lambda: parse_date,
        "datetime": lambda: datetime_parser(resolution),
        "email": lambda: parse_email,
        "phone": lambda: phone_parser(region),
        "url": lambda: parse_url,
        "choice": lambda: parse_choice,
        "set": lambda: parse_set,
        "json": lambda: parse_json,
        "consent": lambda: parse_consent,
    }
    return ValueType(name, _SHAPES.get(name, Shape.SCALAR), parsers[name](), as_it_is, _FOLDS.get(name, _fold_text))


_SHAPES: Final[Mapping[str, Shape]] = {
    "integer": Shape.NUMBER,
    "number": Shape.NUMBER,
    "set": Shape.SET,
    "consent": Shape.CONSENT,
}


def as_it_is(value: Value) -> Raw:
    """Canonical values are JSON-native, and connectors take them as they are: a number is its decimal string."""
    return value


def _fold_text(value: Value) -> str:
    """Two people who type one name differ in case and spaces."""
    return " ".join(str(value).casefold().split())


def _fold_exact(value: Value) -> str:
    return str(value)


_FOLDS: Final[Mapping[str, Callable[[Value], str] | None]] = {
    "integer": _fold_exact,
    "number": _fold_exact,
    "date": _fold_exact,
    "datetime": _fold_exact,
    # What is the same in these in whatever case is so in their canonical form. And ß is not ss in an address.
    "email": _fold_exact,
    "url": _fold_exact,
    "phone": _fold_exact,
    "boolean": None,
    "set": None,
    "json": None,
    "consent": None,
}


def word(raw: Raw) -> str:
    """How a raw value of a closed list is spelled, whether the app tells it as text, number or boolean.

    Raises `Invalid` for a list or an object.
    """
    if raw.__class__ is str:
        return nfc(raw)
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str | int | Decimal):
        return nfc(str(raw))
    if isinstance(raw, float) and math.isfinite(raw):
        return parse_number(raw) or ""
    raise Invalid(f"{kind_of(raw)} where a single value is expected")


def parse_string(raw: Raw) -> str | None:
    """Text as it is, spaces included: `trim` and `case` are the mapping's to ask for."""
    if raw.__class__ is str:
        return (raw if raw.isascii() else nfc(raw)) or None
    if raw in BLANKS:
        return None
    return word(raw)


def parse_text(raw: Raw) -> str | None:
    """Text of several lines. Line ends are told apart by no person, and apps rewrite them."""
    text = parse_string(raw)
    if text is not None and "\r" in text:
        return text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def parse_choice(raw: Raw) -> str | None:
    """The app's own name of one of a closed list of values, without the spaces around it."""
    text = parse_string(raw)
    return text and (text.strip() or None)


def parse_number(raw: Raw) -> str | None:
    """A decimal number as `"1.5"`. Digit grouping and decimal commas are refused: they read differently by country."""
    if raw.__class__ is str and _PLAIN_NUMBER.fullmatch(raw):
        return _shortest(raw)
    return None if raw in BLANKS else _shortest(format(_decimal(raw), "f"))


def _shortest(text: str) -> str:
    """A decimal number without the zeros that say nothing."""
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _decimal(raw: Raw) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise Invalid(f"{kind_of(raw)} where a number is expected")
    # A float is read by its shortest decimal form: what the app's JSON said, not the binary fraction nearest to it.
    text = raw.strip() if isinstance(raw, str) else str(raw)
    if not _NUMBER.fullmatch(text):
        raise Invalid("not a decimal number such as 1234.5 (without digit grouping)")
    number = Decimal(text)
    if not -_MAX_DIGITS <= number.adjusted() < _MAX_DIGITS or len(number.as_tuple().digits) > _MAX_DIGITS:
        raise Invalid(f"a number of more than {_MAX_DIGITS} digits")
    return number


def _rounded(decimals: int) -> Parse:
    step = Decimal(1).scaleb(-decimals)

    def parse(raw: Raw) -> Value:
        text = parse_number(raw)
        if text is None:
            return None
        try:
            return _shortest(format(Decimal(text).quantize(step), "f"))
        except InvalidOperation:
            raise Invalid(f"too many digits for a number of {decimals} decimals") from None

    return parse


def parse_integer(raw: Raw) -> int | None:
    """A whole number of at most 64 bits."""
    if raw.__class__ is not int:
        text = parse_number(raw)
        if text is None:
            return None
        if "." in text:
            raise Invalid("a number with decimals where a whole number is expected")
        raw = int(text)
    if not -_INT_LIMIT <= raw < _INT_LIMIT:
        raise Invalid("a whole number of more than 64 bits")
    return int(raw)


def parse_boolean(raw: Raw) -> bool | None:
    """True and false, also as the words and figures that apps use for them."""
    if isinstance(raw, bool):
        return raw
    if raw in BLANKS:
        return None
    text = word(raw).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise Invalid("neither true nor false (valid: true, false, yes, no, on, off, 1, 0)")


def parse_set(raw: Raw) -> list[Any] | None:
    """A set of texts, from a list in any order."""
    if raw in BLANKS:
        return None
    if not isinstance(raw, list | tuple | set | frozenset):
        raise Invalid(f"{kind_of(raw)} where a list is expected; a text with separators needs `delimiter`")
    texts = {parse_choice(one) for one in raw}
    texts.discard(None)
    return sorted(cast("set[str]", texts)) or None


def parse_json(raw: Raw) -> Value:
    """Any JSON value. `1.0` and `1` are one number here, since they are one in JSON."""
    return None if raw in BLANKS else _json(raw, _MAX_DEPTH)


def _json(raw: Raw, depth: int) -> Any:
    if depth == 0:
        raise Invalid(f"JSON nested deeper than {_MAX_DEPTH} levels")
    if raw is None or isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        return nfc(raw)
    if isinstance(raw, int | float | Decimal):
        return _json_number(raw)
    if isinstance(raw, Mapping):
        return {nfc(str(key)): _json(value, depth - 1) for key, value in raw.items()}
    if isinstance(raw, list | tuple):
        return [_json(one, depth - 1) for one in raw]
    raise Invalid(f"{kind_of(raw)} is not JSON")


def _json_number(raw: float | Decimal) -> int | float:
    if not (raw.is_finite() if isinstance(raw, Decimal) else math.isfinite(raw)):
        raise Invalid("a number that is not finite is not JSON")
    number = raw if isinstance(raw, int) else float(raw)
    if number == int(number):
        number = int(number)
    if isinstance(number, int) and not -_INT_LIMIT <= number < _INT_LIMIT:
        raise Invalid("a whole number of more than 64 bits")
    return number


def parse_consent(raw: Raw) -> str | None:
    """`in` or `out`; the mapping's `opted_out` translates an app's own values to these."""
    text = parse_choice(raw)
    if text in {None, "in", "out"}:
        return text
    raise Invalid("neither `in` nor `out`")
