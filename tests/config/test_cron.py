"""Cron lines mean what crontab(5) says."""

import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.config.cron import check_cron, cron_trigger
from twoway.daemon.scheduler import PairSchedule, due_after

_BERLIN = ZoneInfo("Europe/Berlin")


def _times(line: str, start: str, count: int, zone: ZoneInfo = _BERLIN) -> list[str]:
    trigger = cron_trigger(line, zone)
    now = datetime.fromisoformat(start).replace(tzinfo=zone)
    found = []
    for _ in range(count):
        following = trigger.get_next_fire_time(None, now)
        assert following is not None
        found.append(following.strftime("%a %d %b %H:%M"))
        now = following + timedelta(seconds=1)
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("0 3 * * *", ["Sun 01 Mar 03:00", "Mon 02 Mar 03:00"], id="every day"),
        pytest.param("0 3 * * 0", ["Sun 01 Mar 03:00", "Sun 08 Mar 03:00"], id="0 is Sunday"),
        pytest.param("0 3 * * 7", ["Sun 01 Mar 03:00", "Sun 08 Mar 03:00"], id="7 is Sunday too"),
        pytest.param("0 3 * * 1", ["Mon 02 Mar 03:00", "Mon 09 Mar 03:00"], id="1 is Monday"),
        pytest.param("0 3 * * 1-5", ["Mon 02 Mar 03:00", "Tue 03 Mar 03:00"], id="working days"),
        pytest.param("0 3 * * 5-7", ["Sun 01 Mar 03:00", "Fri 06 Mar 03:00"], id="a range that ends with 7"),
        pytest.param("0 3 * * Fri-Sun", ["Sun 01 Mar 03:00", "Fri 06 Mar 03:00"], id="a range that ends with Sunday"),
        pytest.param("0 3 * * sun-mon", ["Sun 01 Mar 03:00", "Mon 02 Mar 03:00"], id="a range that begins with Sunday"),
        pytest.param("0 3 * * */3", ["Sun 01 Mar 03:00", "Wed 04 Mar 03:00"], id="a step begins on Sunday"),
        pytest.param(
            "0 3 * * 3/2",
            ["Wed 04 Mar 03:00", "Fri 06 Mar 03:00", "Wed 11 Mar 03:00"],
            id="a step from a day on, until Saturday",
        ),
        pytest.param("0 3 * * mon,4", ["Mon 02 Mar 03:00", "Thu 05 Mar 03:00"], id="a list"),
        pytest.param("0 3 4 * mon", ["Mon 02 Mar 03:00", "Wed 04 Mar 03:00"], id="both days restricted: either"),
        pytest.param("0 3 */2 * mon", ["Mon 09 Mar 03:00", "Mon 23 Mar 03:00"], id="a starred day: both"),
        pytest.param("*/20 12 1 mar *", ["Sun 01 Mar 12:00", "Sun 01 Mar 12:20"], id="minutes and a month's name"),
    ],
)
def test_a_line_means_what_a_crontab_means(line: str, expected: list[str]) -> None:
    assert _times(line, "2026-03-01", len(expected)) == expected


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        pytest.param("0 3 * *", "not five cron fields", id="too short"),
        pytest.param("@daily", "not five cron fields", id="a nickname"),
        pytest.param("0 3 * * 8", "the day of week cannot be read; valid: *, 0 to 7, sun to sat", id="no eighth day"),
        pytest.param("0 3 * * freitag", "the day of week cannot be read", id="another language"),
        pytest.param("0 3 * * 5-2", "the day of week 5-2 runs backwards", id="days backwards"),
        pytest.param("40-20 3 * * *", "the minute 40-20 runs backwards", id="minutes backwards"),
        pytest.param("0 3 * * */0", "the day of week cannot be read", id="a step of nothing"),
        pytest.param("0 3 * * mon-", "the day of week cannot be read", id="half a range"),
        pytest.param("0 3 * * *-5", "the day of week cannot be read", id="a range from a star"),
        pytest.param("60 3 * * *", "the minute cannot be read; valid: *, 0 to 59", id="no 61st minute"),
        pytest.param("0 x * * *", "the hour cannot be read", id="no hour at all"),
        pytest.param("0 3 0 * *", "the day of month cannot be read", id="no day before the first"),
        pytest.param("0 3 last * *", "the day of month cannot be read", id="a word of the library's"),
        pytest.param("0 3 * 13 *", "valid: *, 1 to 12, jan to dec", id="no 13th month"),
        pytest.param("1,,2 3 * * *", "the minute cannot be read", id="a gap in a list"),
        pytest.param("0 3 31 2 *", "a day that never comes", id="the 31st of February"),
        pytest.param("0 3 31 4,6,9,11 *", "a day that never comes", id="the 31st of short months"),
    ],
)
def test_a_wrong_line_is_refused_with_what_is_wrong(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        check_cron(line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("0 3 29 2 *", ["Tue 29 Feb 03:00", "Sun 29 Feb 03:00"], id="only in leap years"),
        pytest.param("0 3 31 2 mon", ["Mon 02 Feb 03:00"], id="no 31st, but Mondays"),
        pytest.param("0 */90 * * *", ["Sun 01 Mar 00:00", "Mon 02 Mar 00:00"], id="a step beyond the end"),
        pytest.param("55/10 12 * * *", ["Sun 01 Mar 12:55", "Mon 02 Mar 12:55"], id="a step from near the end"),
    ],
)
def test_a_rare_line_comes_after_all(line: str, expected: list[str]) -> None:
    start = "2026-03-01" if "Feb" not in expected[0] else "2026-02-01"
    assert _times(check_cron(line), start, len(expected)) == expected


_ANY_FIELD = st.sampled_from(["*", "*/7", "1-5", "5-2", "0", "31", "mon", "feb", "7", "1,2", "3/2", "?", "x"])


@given(st.lists(_ANY_FIELD, min_size=5, max_size=5).map(" ".join))
def test_what_the_check_takes_the_schedule_takes_and_no_other(line: str) -> None:
    try:
        check_cron(line)
    except ValueError:
        with pytest.raises(ValueError, match="The schedule of p has the cron line"):
            PairSchedule(pair="p", cron=line)
    else:
        due = due_after(PairSchedule(pair="p", cron=line), 0)
        assert due is not None


def test_the_night_without_an_hour_still_has_its_cycle() -> None:
    # 29 March 2026: from 02:00 straight to 03:00.
    days = [time[:10] for time in _times("30 2 * * *", "2026-03-28", 3)]
    assert len(days) == 3
    assert days[-1] in {"Mon 30 Mar", "Tue 31 Mar"}


@given(day=st.integers(0, 6), start=st.dates(date(2000, 1, 1), date(2099, 1, 1)))
def test_a_numbered_day_is_the_same_as_its_name(day: int, start: date) -> None:
    names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
    at = start.isoformat()
    assert _times(f"0 3 * * {day}", at, 3) == _times(f"0 3 * * {names[day]}", at, 3)


def test_jitter_only_delays() -> None:
    trigger = cron_trigger("0 * * * *", _BERLIN, jitter=30)
    now = datetime(2026, 3, 1, 12, 30, tzinfo=_BERLIN)
    for _ in range(50):
        following = trigger.get_next_fire_time(None, now)
        assert following is not None
        assert timedelta(0) <= following - datetime(2026, 3, 1, 13, tzinfo=_BERLIN) <= timedelta(seconds=30)


def test_a_jittered_time_is_not_followed_by_the_same_hour_again() -> None:
    trigger = cron_trigger("0 * * * *", _BERLIN, jitter=30)
    times = [datetime(2026, 3, 1, 12, 0, tzinfo=_BERLIN)]
    for _ in range(20):
        following = trigger.get_next_fire_time(times[-1], times[-1])
        assert following is not None
        times.append(following)
    assert all(later.hour != earlier.hour for earlier, later in pairwise(times))
