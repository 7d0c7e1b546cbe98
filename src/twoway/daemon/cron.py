"""Five-field cron lines, with the meaning that crontab(5) gives them.

APScheduler's own reader takes 0 for Monday and joins day of month and day of week by *and*: a line that people copied
from a crontab would run on other days than they think.
"""

import re
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PART = re.compile(r"(?P<first>\w+|\*)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?", re.ASCII)


def cron_trigger(line: str, timezone: ZoneInfo, *, jitter: float = 0) -> BaseTrigger:
    """The trigger of a cron line: minute, hour, day of month, month, day of week (0 and 7 are Sunday).

    Where both days are restricted, either suffices. `jitter` delays each time by up to so many seconds. Raises
    `ValueError` with what would be valid.
    """
    fields = line.split()
    if len(fields) != 5:
        raise ValueError(
            f"The cron line {line!r} has {len(fields)} fields. Valid are five: minute, hour, day of month, month, "
            'day of week; for example "0 3 * * *" for every day at 03:00'
        )
    minute, hour, day, month, weekday = fields
    either = [(day, "*"), ("*", weekday)] if "*" not in (day[0], weekday[0]) else [(day, weekday)]
    try:
        triggers = [
            CronTrigger(
                minute=minute,
                hour=hour,
                day=day_of_month,
                month=month,
                day_of_week=_weekdays(day_of_week),
                timezone=timezone,
            )
            for day_of_month, day_of_week in either
        ]
    except ValueError as error:
        raise ValueError(f"The cron line {line!r} cannot be read: {error}") from None
    return OrTrigger(triggers, jitter=jitter or None)


def _weekdays(field: str) -> str:
    """A crontab's day of week in APScheduler's words: names, each one by itself, since its week begins on Monday."""
    if field == "*":
        return field
    days: set[str] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no day of the week; valid are 0-7, sun-sat, ranges and steps of them")
        if match["first"] == "*":
            first, last = 0, 6
        else:
            first = _weekday(match["first"])
            last = _weekday(match["last"], at_least=first) if match["last"] else first
            if match["step"] and not match["last"]:
                last = 6
        step = int(match["step"] or 1)
        if step < 1 or last < first:
            raise ValueError(f"{part!r} holds no day of the week")
        days.update(_WEEKDAYS[first : last + 1 : step])
    return ",".join(sorted(days))


def _weekday(text: str, *, at_least: int = 0) -> int:
    """The number of a day, 0 to 7. The second `sun` of a range such as fri-sun is day 7."""
    name = text.lower()
    if name in _WEEKDAYS:
        return _WEEKDAYS.index(name, at_least) if name in _WEEKDAYS[at_least:] else _WEEKDAYS.index(name)
    if name.isdecimal() and int(name) <= 7:
        return int(name)
    raise ValueError(f"{text!r} is no day of the week; valid are 0-7 and sun, mon, tue, wed, thu, fri, sat")
