"""Durations and shares as people write them: `2m`, `1h30m`, `20%`."""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST: Final = 3_650 * _UNITS["d"]
_DURATION = re.compile(r"(?:\d+(?:ms|[smhd]))+", re.ASCII)
_PART = re.compile(r"(\d+)(ms|[smhd])", re.ASCII)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)


def parse_duration(raw: Any) -> int:
    """Milliseconds. `ValueError` for what is no duration, or one that nobody lives to see the end of."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw == 0:
        return 0
    if not isinstance(raw, str) or not _DURATION.fullmatch(raw.strip()):
        raise ValueError("not a duration; valid: 500ms, 10s, 2m, 1h30m, 7d")
    milliseconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(raw))
    if milliseconds > _LONGEST:
        raise ValueError(f"too long; valid: up to {_LONGEST // _UNITS['d']}d")
    return milliseconds


def parse_share(raw: Any) -> float:
    """A part of the whole, 0 to 1. `ValueError` for what is none, and for `1`, with which a person may mean 1%: read as
    the whole it would let everything pass."""
    if isinstance(raw, str) and (found := _SHARE.fullmatch(raw.strip())):
        share = float(found[1]) / 100
    elif isinstance(raw, float) or (isinstance(raw, int) and not isinstance(raw, bool) and raw == 0):
        share = float(raw)
    else:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError("not a share; valid: 0% to 100%, with the sign")
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
