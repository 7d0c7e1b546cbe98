"""Between the spellings of apps and ours: times, dates, lists, versions."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from twoway.core.model import Instant, RawValues

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def instant_from_iso(text: str) -> Instant:
    """Milliseconds since the epoch of an ISO 8601 time; ValueError if it is none.

    No zone means UTC, a bare date its midnight. What is finer than a millisecond is cut off, so that an
    instant never lies after the time that it stands for.
    """
    stamp = datetime.fromisoformat(text.strip())
    return (_aware(stamp) - _EPOCH) // _MILLISECOND


def _aware(stamp: datetime) -> datetime:
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def iso_from_instant(at: Instant) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    stamp = _EPOCH + timedelta(milliseconds=at)
    return stamp.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def iso_seconds_from_instant(at: Instant) -> str:
    """`2026-01-02T03:04:05Z`, for apps whose clock shows whole seconds. What is finer is cut off."""
    return (_EPOCH + timedelta(seconds=at // 1000)).replace(tzinfo=None).isoformat() + "Z"


def instant_from_seconds(seconds: float) -> Instant:
    """Milliseconds from unix seconds."""
    return round(seconds * 1000)


def date_from_epoch_ms(at: Instant) -> str:
    """The ISO date (UTC) in which an instant lies."""
    return (_EPOCH + timedelta(milliseconds=at)).date().isoformat()


def epoch_ms_from_date(text: str) -> Instant:
    """Midnight (UTC) of an ISO date; ValueError if it is none."""
    day = date.fromisoformat(text)
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) - _EPOCH) // _MILLISECOND


def split_list(text: str, separator: str = ";") -> list[str]:
    """The parts of `a;b`, without blanks around them, none empty, each once, in their order."""
    return list(dict.fromkeys(part.strip() for part in text.split(separator) if part.strip()))


def join_list(parts: Iterable[object], separator: str = ";") -> str:
    """`a;b`. A part that holds the separator cannot be told from two: ValueError."""
    texts = [str(part) for part in parts]
    if any(separator in text for text in texts):
        raise ValueError(f"a value of the list holds {separator!r}, which separates the values")
    return separator.join(texts)


def revision(changed: str, values: RawValues) -> str:
    """A version for a record whose app keeps none: its time of change as the app tells it, and a digest of its values.

    Where the app's clock has whole seconds, the digest keeps an edit apart that follows ours within the second.
    """
    told = json.dumps(values, sort_keys=True, default=str).encode()
    return f"{changed} {hashlib.blake2b(told, digest_size=6).hexdigest()}"
