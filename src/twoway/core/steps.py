"""One-way steps: what `to_left` and `to_right` may do to a value on its way to one side.

Unlike a transform a step need not be undone, so it may lose something (`truncate`). The law that remains: a step is
pure, and what it gives is read by the field's type once more.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from twoway.core.model import Value
from twoway.core.raw import Invalid
from twoway.core.spec import Step
from twoway.core.types import nfc, word

Change = Callable[[Value], Value]


def each(change: Callable[[str], str]) -> Change:
    """Texts are changed one by one, also within a set; a blank stays blank."""

    def apply(value: Value) -> Value:
        if value is None:
            return None
        return [change(str(one)) for one in value] if isinstance(value, list) else change(str(value))

    return apply


def _text(argument: Any) -> str:
    if not isinstance(argument, str) or not argument:
        raise ValueError("takes a text, such as `{ prefix: CRM- }`")
    return nfc(argument)


def _prefix(argument: Any) -> Change:
    prefix = _text(argument)
    return each(lambda text: text if text.startswith(prefix) else prefix + text)


def _strip_prefix(argument: Any) -> Change:
    prefix = _text(argument)
    return each(lambda text: text.removeprefix(prefix))


def _truncate(argument: Any) -> Change:
    if isinstance(argument, bool) or not isinstance(argument, int) or argument < 1:
        raise ValueError("takes a number of characters, such as `{ truncate: 255 }`")
    return each(lambda text: text[:argument])


def _words(argument: Any) -> dict[str, str]:
    if not isinstance(argument, Mapping) or not argument:
        raise ValueError("takes a table of texts, such as `{ map: { Dr: Doctor } }`")
    try:
        words = {word(old): word(new) for old, new in argument.items()}
    except Invalid:
        raise ValueError('takes single values on both sides of the colon; "" stands for nothing') from None
    if "" in words:
        raise ValueError("takes no empty text to look for; `default` is for records that have none")
    return words


def _map(argument: Any) -> Change:
    words = _words(argument)
    return each(lambda text: words.get(text, text))


def _replace(argument: Any) -> Change:
    words = _words(argument)

    def change(text: str) -> str:
        for old, new in words.items():
            text = text.replace(old, new)
        return text

    return each(change)


def _default(argument: Any) -> Change:
    if argument is None or isinstance(argument, Mapping):
        raise ValueError("takes the value for records that have none, such as `{ default: unknown }`")
    return lambda value: argument if value is None else value


_AFTER_MARK = re.compile("(?<=[\u0300-\u036f])[^\\W\\d_]")
_LONE_AFTER_APOSTROPHE = re.compile(r"(?<=\w['\u2019])\w(?!\w)")


def _lowered(found: re.Match[str]) -> str:
    return found[0].lower()


def title(text: str) -> str:
    """Each word with a capital. `str.title` begins a word after each accent that stands alone, and makes "Levi'S"."""
    return _LONE_AFTER_APOSTROPHE.sub(_lowered, _AFTER_MARK.sub(_lowered, text.title()))


_PLAIN: Final[Mapping[str, Callable[[str], str]]] = {
    "trim": str.strip,
    "collapse": lambda text: " ".join(text.split()),
    "lower": str.lower,
    "upper": str.upper,
    "title": title,
    "digits": lambda text: "".join(one for one in text if one.isdecimal()),
}
"""The steps that take no argument."""

_BUILT: Final[Mapping[str, Callable[[Any], Change]]] = {
    "prefix": _prefix,
    "strip_prefix": _strip_prefix,
    "truncate": _truncate,
    "replace": _replace,
    "map": _map,
    "default": _default,
}
"""What builds each of the others of its argument (`ValueError` says what the argument must be)."""

STEPS: Final = (*_PLAIN, *_BUILT)
"""The names of all steps."""


def compile_step(step: Step) -> Change:
    """The function of one step. `ValueError` says what is wrong with it, and what would be valid."""
    if step.name in _BUILT:
        return _BUILT[step.name](step.argument)
    if step.name not in _PLAIN:
        raise ValueError(f"unknown step; valid: {', '.join(STEPS)}")
    if step.argument is not None:
        raise ValueError("takes no argument")
    return each(_PLAIN[step.name])
