"""When a pair counts as stalled."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.daemon.freshness import Recorded, judge
from twoway.daemon.scheduler import PairSchedule, due_after


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


_EVERY_2_MINUTES = PairSchedule(pair="crm-newsletter", every_seconds=120)
_OFFICE_HOURS = PairSchedule(pair="crm-newsletter", cron="0 8-18 * * mon-fri")


@pytest.mark.parametrize(
    ("schedule", "last_success", "now", "stalled"),
    [
        pytest.param(_EVERY_2_MINUTES, "2026-03-06 12:00:00", "2026-03-06 12:07:00", False, id="3 missed, not overdue"),
        pytest.param(_EVERY_2_MINUTES, "2026-03-06 12:00:00", "2026-03-06 12:07:01", True, id="3 missed and overdue"),
        pytest.param(_EVERY_2_MINUTES, "2026-03-06 12:00:00", "2026-03-06 11:00:00", False, id="clock set back"),
        pytest.param(_EVERY_2_MINUTES, None, "2026-03-06 12:07:01", True, id="never succeeded since it is watched"),
        pytest.param(
            _EVERY_2_MINUTES, "2026-03-04 08:00:00", "2026-03-06 12:07:00", False, id="it was off until 12:00"
        ),
        pytest.param(_EVERY_2_MINUTES, "2026-03-04 08:00:00", "2026-03-06 12:07:01", True, id="on for long enough"),
        pytest.param(_OFFICE_HOURS, "2026-03-06 18:00:00", "2026-03-09 09:30:00", False, id="the weekend is no stall"),
        pytest.param(_OFFICE_HOURS, "2026-03-06 18:00:00", "2026-03-09 10:01:01", True, id="Monday's third is missed"),
    ],
)
def test_a_pair_is_stalled_after_three_missed_cycles(
    schedule: PairSchedule, last_success: str | None, now: str, stalled: bool
) -> None:
    stall = judge(
        last_success=None if last_success is None else _ms(last_success),
        watched_since=_ms("2026-03-06 12:00:00"),
        due_after=lambda instant: due_after(schedule, instant),
        now=_ms(now),
    )
    assert (stall is not None) == stalled
    if stall is not None:
        assert stall.since == _ms(last_success or "2026-03-06 12:00:00")
        assert stall.age(_ms(now)) == _ms(now) - stall.since


def test_a_pair_that_is_never_due_is_never_stalled() -> None:
    assert judge(last_success=0, watched_since=0, due_after=lambda _: None, now=10**15) is None


@given(
    since=st.integers(0, 10**13), interval=st.integers(1, 10**8), misses=st.integers(1, 9), later=st.integers(0, 10**9)
)
def test_once_stalled_it_stays_so_until_a_success(since: int, interval: int, misses: int, later: int) -> None:
    def at(now: int) -> bool:
        verdict = judge(
            last_success=since, watched_since=0, due_after=lambda t: t + interval, now=now, misses=misses, allowance=0
        )
        return verdict is not None

    limit = since + misses * interval
    assert not at(limit)
    assert at(limit + 1 + later)


_NOON = _ms("2026-03-06 12:00:00")
_MINUTE = 60_000
_HOUR = 60 * _MINUTE


@pytest.mark.parametrize(
    ("put", "minutes", "stalled"),
    [
        pytest.param(-_HOUR, 6, False, id="put back: two missed"),
        pytest.param(-_HOUR, 8, True, id="put back: three missed, though its last success has yet to come"),
        pytest.param(-_HOUR, 66, True, id="put back: still so when the clock is where it was"),
        pytest.param(_HOUR, 6, False, id="put forward, or slept: two missed"),
        pytest.param(_HOUR, 8, True, id="put forward: three missed"),
    ],
)
def test_a_clock_that_is_put_neither_hides_nor_makes_a_stall(put: int, minutes: int, stalled: bool) -> None:
    successes = Recorded()
    assert successes.at("p", _NOON, _NOON) == _NOON
    successes.shift(put)
    now = _NOON + put + minutes * _MINUTE
    found = judge(
        last_success=successes.at("p", _NOON, now),
        watched_since=_NOON - _HOUR + put,
        due_after=lambda instant: due_after(_EVERY_2_MINUTES, instant),
        now=now,
    )
    assert (found is not None) == stalled


def test_a_success_is_never_taken_for_one_to_come_nor_for_one_before_the_last_look() -> None:
    successes = Recorded()
    assert successes.at("p", None, _NOON) is None
    assert successes.at("p", _NOON + 5, _NOON + 15) == _NOON + 5
    assert successes.at("p", _NOON + _HOUR, _NOON + 30) == _NOON + 30, "the clock was put back since"
    assert successes.at("p", _NOON + _HOUR, _NOON + 45) == _NOON + 30, "and nothing has happened since"
    assert successes.at("p", 7, _NOON + 60) == _NOON + 45, "the clock was put forward since"
    assert successes.at("p", None, _NOON + 75) is None
    successes.forget("p")
    assert successes.at("p", 7, _NOON + 90) == 7
