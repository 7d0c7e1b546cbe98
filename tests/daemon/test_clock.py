"""The one clock."""

from datetime import UTC, datetime

import time_machine

from tests.daemon.fakes import run
from twoway.daemon.clock import SystemClock, monotonic_usec
from twoway.ports import Clock


def test_now_is_milliseconds_since_the_epoch() -> None:
    with time_machine.travel(datetime(2026, 3, 2, 0, 0, 0, 250_000, tzinfo=UTC), tick=False):
        assert SystemClock().now() == 1_772_409_600_250


def test_it_is_what_the_engine_asks_for() -> None:
    clock: Clock = SystemClock()
    before = monotonic_usec()
    run(clock.sleep(0.001))
    assert monotonic_usec() - before >= 1_000
