"""What holds for raw values of every type: the blanks, and how an unreadable value is told without telling it."""

import re
import unicodedata
from typing import Any, Final

BLANKS: Final[tuple[Any, ...]] = (None, "", [], {})
"""The raw values that say that an app holds nothing."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Invalid(ValueError):
    """A value that its type, or the mapping of its field, cannot read or write.

    `why` is for people and never holds the value; `field` is the canonical field, where it is known.
    """

    def __init__(self, why: str, field: str | None = None) -> None:
        super().__init__(why if field is None else f"{field}: {why}")
        self.why = why
        self.field = field


def kind_of(raw: Any) -> str:
    """What sort of value this is, in a person's words: never the value itself."""
    for kind, name in (
        (bool, "a true/false value"),
        (str, "a text"),
        (int, "a whole number"),
        (float, "a number"),
        (list, "a list"),
        (dict, "an object"),
    ):
        if isinstance(raw, kind):
            return name
    return f"a value of the type {type(raw).__name__}"


def nfc(text: str) -> str:
    """The composed Unicode form: the same name typed on a Mac and on Windows is one name.

    Raises `Invalid` for half a surrogate pair, which no app could be sent.
    """
    if text.isascii():
        return text
    if _SURROGATE.search(text):
        raise Invalid("a text that is not valid Unicode")
    return unicodedata.normalize("NFC", text)
