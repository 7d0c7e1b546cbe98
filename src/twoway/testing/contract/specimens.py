"""Values to try for each type of field."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from twoway.core.model import Raw
from twoway.ports import FieldInfo, FieldType
from twoway.testing.contract.trial import expect

LONG: Final = 180
"""Characters of a long text where the field declares no limit: apps that have one, and do not tell it, begin at 255."""

_TEXTS: Final = (
    "Zoë Ångström-O'Neil",
    "名前 Σωκράτης עברית 😀",
    'a,b;c:d\\e "f" <g> & %20 =h',
    "  between blanks  ",
)
_BY_TYPE: Final[Mapping[FieldType, Sequence[Raw]]] = {
    FieldType.STRING: _TEXTS,
    FieldType.TEXT: (*_TEXTS, "one line\nanother\n\nand a last"),
    FieldType.INTEGER: (7, 0, -12, 2_000_000_000),
    FieldType.NUMBER: (7, 0, Decimal("12.5"), "1234567.25"),
    FieldType.BOOLEAN: (True, False),
    FieldType.DATE: ("2024-02-29", "1999-12-31", "1970-01-01", "1948-05-06"),
    FieldType.DATETIME: ("2024-02-29T23:59:58Z", "2001-01-01T00:00:00Z"),
    FieldType.EMAIL: ("zoe.oneil+tag@mail.test", "second@mail.test"),
    FieldType.PHONE: ("+442079460000", "+16502530000"),
    FieldType.URL: ("https://example.org/a/b?c=d", "https://example.org/%C3%BC"),
    FieldType.SET: (["one", "two"], ["three"]),
}


def specimens(info: FieldInfo, given: Mapping[str, Sequence[Raw]]) -> Sequence[Raw]:
    """The values to try for a field: those that the bench gives, else by its choices, else by its type."""
    if info.name in given:
        return given[info.name]
    if info.choices:
        first, last = info.choices[0], info.choices[-1]
        return ([first], [first, last]) if info.type is FieldType.SET else (first, last)
    found = _BY_TYPE.get(info.type, ())
    expect(
        bool(found),
        f"The bench must give `values` for {info.name}: nobody else can know a valid {info.type.value} of this app.",
    )
    if info.type in {FieldType.STRING, FieldType.TEXT}:
        limit = info.max_length or LONG
        return [*(text for text in found if len(str(text)) <= limit), ("é" + "x" * limit)[:limit]]
    return found


def awkward(info: FieldInfo) -> Sequence[Raw]:
    """Values that an app may refuse, and that many connectors mangle."""
    if info.choices is not None:
        return ()
    match info.type:
        case FieldType.STRING | FieldType.TEXT:
            return ["é" + "x" * 300, "é" + "x" * 5_000, "é" + "x" * 70_000]
        case FieldType.SET:
            return [["semi;colon", "plain"], ["com,ma"], ["two words"], ["Upper", "upper"]]
        case FieldType.NUMBER:
            return [Decimal("0.0000001"), Decimal("-0.5")]
        case _:
            return ()
