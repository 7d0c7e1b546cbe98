"""Cron lines mean what crontab(5) says."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.daemon.cron import cron_trigger

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
        pytest.param("0 3 * *", "has 4 fields", id="too short"),
        pytest.param("@daily", "has 1 fields", id="a nickname"),
        pytest.param("0 3 * * 8", "'8' is no day of the week", id="no eighth day"),
        pytest.param("0 3 * * freitag", "'freitag' is no day of the week", id="another language"),
        pytest.param("0 3 * * 5-2", "'5-2' holds no day", id="backwards"),
        pytest.param("0 3 * * */0", "holds no day", id="a step of nothing"),
        pytest.param("0 3 * * mon-", "'mon-' is no day", id="half a range"),
        pytest.param("61 3 * * *", "cannot be read", id="no 61st minute"),
        pytest.param("0 x * * *", "cannot be read", id="no hour at all"),
    ],
)
def test_a_wrong_line_is_refused_with_what_is_wrong(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as error:
        cron_trigger(line, _BERLIN)
    assert repr(line) in str(error.value)


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
