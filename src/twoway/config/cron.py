"""Five-field cron lines, with the meaning that crontab(5) gives them.

APScheduler's own reader takes 0 for Monday, joins day of month and day of week by *and*, and has words and limits that
a crontab has not: a line that people copied from a crontab would run on other days than they think. So the fields are
read here, and APScheduler is given plain numbers.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger


class _Field(NamedTuple):
    """One field of a line. `words` are names for the numbers from `least` on."""

    name: str
    least: int
    most: int
    words: Sequence[str] = ()


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    _Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")),
)
_WEEKDAYS: Final = _FIELDS[4].words
_PART = re.compile(r"(?P<first>\w+|\*)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?", re.ASCII)
_EPOCH = datetime.fromtimestamp(0, UTC)


def cron_trigger(line: str, timezone: ZoneInfo, *, jitter: float = 0) -> BaseTrigger:
    """The trigger of a cron line: minute, hour, day of month, month, day of week (0 and 7 are Sunday).

    Where both days are restricted, either suffices. `jitter` delays each time by up to so many seconds. Raises
    `ValueError` with what would be valid; also for a line that never comes, such as the 31st of February.
    """
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise ValueError('not five cron fields; valid: minute, hour, day, month, weekday, such as "0 3 * * *"')
    minute, hour, day, month, weekday = (_numbers(text, field) for text, field in zip(fields, _FIELDS, strict=True))
    if weekday != "*":
        # Names, each by itself: APScheduler's week begins on Monday.
        weekday = ",".join(sorted({_WEEKDAYS[int(number)] for number in weekday.split(",")}))
    # A field that begins with a star restricts nothing, in the words of crontab(5), whatever its step.
    either = [(day, "*"), ("*", weekday)] if "*" not in (fields[2][0], fields[4][0]) else [(day, weekday)]
    triggers = [
        CronTrigger(minute=minute, hour=hour, day=one, month=month, day_of_week=other, timezone=timezone)
        for one, other in either
    ]
    if all(trigger.get_next_fire_time(None, _EPOCH) is None for trigger in triggers):
        raise ValueError("names a day that never comes; valid: one that the calendar has, such as 0 3 29 2 *")
    return OrTrigger(triggers, jitter=jitter or None)


def check_cron(line: str) -> str:
    """The line, if it is one that `cron_trigger` takes. `ValueError` says what is wrong."""
    cron_trigger(line, ZoneInfo("UTC"))
    return line


def _numbers(text: str, field: _Field) -> str:
    """All that a field names, as numbers; `*` where it names everything."""
    if text == "*":
        return text
    found = {number for part in text.split(",") for number in _part(part, field)}
    return ",".join(str(number) for number in sorted(found))


def _part(part: str, field: _Field) -> range:
    """One part of a list: a star, a number or a range, and perhaps its step."""
    match = _PART.fullmatch(part)
    step = int(match["step"] or 1) if match else 0
    if match is None or step == 0 or (match["first"] == "*" and match["last"]):
        raise _unreadable(field)
    # Sunday comes once in a star.
    end = 6 if field.most == 7 else field.most
    if match["first"] == "*":
        return range(field.least, end + 1, step)
    first = _number(match["first"], field)
    if match["last"]:
        last = _number(match["last"], field, at_least=first)
    else:
        last = max(first, end) if match["step"] else first
    if last < first:
        raise ValueError(f"the {field.name} {part} runs backwards; valid: ranges from the lower to the higher, as 1-5")
    return range(first, last + 1, step)


def _number(text: str, field: _Field, *, at_least: int = 0) -> int:
    """The number of a word or number. The second `sun` of a range such as fri-sun is day 7."""
    word = text.lower()
    found = [field.least + index for index, each in enumerate(field.words) if each == word]
    if found:
        return next((number for number in found if number >= at_least), found[0])
    if not text.isdecimal() or not field.least <= int(text) <= field.most:
        raise _unreadable(field)
    return int(text)


def _unreadable(field: _Field) -> ValueError:
    words = f", {field.words[0]} to {field.words[-1]}" if field.name == "month" else ""
    words = ", sun to sat" if field.name == "day of week" else words
    return ValueError(
        f"the {field.name} cannot be read; valid: *, {field.least} to {field.most}{words}, lists 1,2, ranges 1-5, "
        "steps */2"
    )
