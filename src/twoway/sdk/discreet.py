"""An app's words of refusal without the customer's values: many apps repeat what they were sent."""

import re
from collections.abc import Mapping
from decimal import Decimal

from twoway.core.model import Raw, Write

_ADDRESS = re.compile(r"[^\s@<>\"':]+@[^\s@<>\"']+")


def discreet(text: str, write: Write) -> str:
    """`text` without the texts and numbers that `write` carries, in whatever case, and without any e-mail address."""
    for value in _texts(write.changed):
        text = re.sub(re.escape(value), "…", text, flags=re.IGNORECASE)
    return _ADDRESS.sub("…", text)


def _texts(value: Raw) -> list[str]:
    """The texts and numbers in a value that are long enough to be told from common words, the longest first."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return sorted({text for entry in value for text in _texts(entry)}, key=len, reverse=True)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        value = str(value)
    return [value] if isinstance(value, str) and len(value) > 2 else []
