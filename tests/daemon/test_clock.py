"""The one clock."""

from datetime import UTC, datetime

import pytest
import time_machine

from tests.daemon.fakes import HandClock, run
from twoway.daemon.clock import ClockWatch, SystemClock, monotonic_usec
from twoway.ports import Clock


def test_now_is_milliseconds_since_the_epoch() -> None:
    with time_machine.travel(datetime(2026, 3, 2, 0, 0, 0, 250_000, tzinfo=UTC), tick=False):
        assert SystemClock().now() == 1_772_409_600_250


def test_it_is_what_the_engine_asks_for() -> None:
    clock: Clock = SystemClock()
    before = monotonic_usec()
    run(clock.sleep(0.001))
    assert monotonic_usec() - before >= 1_000


@pytest.mark.parametrize(
    ("put", "told"),
    [
        pytest.param(0, 0, id="nobody touched it"),
        pytest.param(-1_000, 0, id="a time server's small step"),
        pytest.param(2_000, 0, id="read a moment too late"),
        pytest.param(-3_600_000, -3_600_000, id="put back by an hour"),
        pytest.param(3_600_000, 3_600_000, id="put forward, or the machine slept"),
    ],
)
def test_a_clock_that_was_put_is_noticed_once(put: int, told: int) -> None:
    clock = HandClock()
    watch = ClockWatch(clock, clock.monotonic)
    clock.let_pass(5_000)
    assert watch.put_by() == 0
    clock.put(put)
    clock.let_pass(5_000)
    assert watch.put_by() == told
    clock.let_pass(86_400_000)
    assert watch.put_by() == 0


def test_a_clock_that_runs_a_little_wrong_is_never_taken_for_one_that_was_put() -> None:
    clock = HandClock()
    watch = ClockWatch(clock, clock.monotonic)
    for _ in range(1_000):
        clock.let_pass(5_000)
        clock.put(-50)
        assert watch.put_by() == 0


def test_the_machines_clock_is_not_taken_for_one_that_was_put() -> None:
    assert ClockWatch(SystemClock()).put_by() == 0
