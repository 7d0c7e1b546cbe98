"""Durations, shares and times as people write them: `2m`, `1h30m`, `20%`, `0 3 * * *`."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhd]))+", re.ASCII)
_PART = re.compile(r"(\d+)(ms|[smhd])", re.ASCII)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)


def parse_duration(raw: Any) -> int:
    """Milliseconds. `ValueError` for what is no duration."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw == 0:
        return 0
    if not isinstance(raw, str) or not _DURATION.fullmatch(raw.strip()):
        raise ValueError("not a duration; valid: 500ms, 10s, 2m, 1h30m, 7d")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(raw))


def parse_share(raw: Any) -> float:
    """A part of the whole, 0 to 1. `ValueError` for what is none."""
    if isinstance(raw, str) and (found := _SHARE.fullmatch(raw.strip())):
        share = float(found[1]) / 100
    elif isinstance(raw, int | float) and not isinstance(raw, bool):
        share = float(raw)
    else:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError("not a share; valid: 0% to 100%")
    return share


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^(\d+(ms|[smhd]))+$", "examples": ["10s", "2m", "7d"]}),
]
Share = Annotated[
    float, BeforeValidator(parse_share), WithJsonSchema({"type": ["string", "number"], "examples": ["20%"]})
]


def span(default: str, description: str) -> Any:
    """A field for a duration whose default is shown as a person would write it."""
    return Field(
        default_factory=lambda: parse_duration(default),
        description=description,
        json_schema_extra={"default": default},
    )


_CRON: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_CRON_PART = re.compile(r"(?P<first>\w+|\*)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?", re.ASCII)


def check_cron(line: str) -> str:
    """The line, if it is five cron fields as in a crontab (0 and 7 are Sunday). `ValueError` says what is wrong."""
    fields = line.split()
    if len(fields) != len(_CRON):
        raise ValueError('not five cron fields; valid: minute, hour, day, month, weekday, such as "0 3 * * *"')
    for field, (name, least, most, words) in zip(fields, _CRON, strict=True):
        for part in field.split(","):
            found = _CRON_PART.fullmatch(part)
            ends = [_cron_number(one, least, words) for one in (found["first"], found["last"]) if one] if found else []
            if not found or found["step"] == "0" or not all(least <= one <= most for one in ends):
                raise ValueError(
                    f"the {name} cannot be read; valid: *, {least} to {most}, lists 1,2, ranges 1-5, steps */2"
                )
    return line


def _cron_number(text: str, least: int, words: Sequence[str]) -> int:
    """The number of a name or number; one that is never valid for anything else."""
    if text == "*":
        return least
    if text.isdecimal():
        return int(text)
    return words.index(text.lower()) + least if text.lower() in words else -1
