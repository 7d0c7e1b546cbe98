"""The one module that reads a clock: everything else is given a `twoway.ports.Clock`."""

import asyncio
import time
from collections.abc import Callable

from twoway.core.model import Instant
from twoway.ports import Clock

_TOLERANCE = 3_000
"""Milliseconds. A clock that is kept right by small steps, or read a moment too late, was not put."""


class SystemClock:
    """The machine's own time, as `twoway.ports.Clock` asks for it."""

    def now(self) -> Instant:
        """Milliseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def monotonic_usec() -> int:
    """Microseconds of CLOCK_MONOTONIC, in which systemd counts."""
    return time.monotonic_ns() // 1_000


class ClockWatch:
    """Notices that the wall clock was put: it has then advanced otherwise than monotonic time, in microseconds."""

    def __init__(self, clock: Clock, monotonic: Callable[[], int] = monotonic_usec) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._ahead = self._difference()

    def put_by(self) -> int:
        """Milliseconds by which the clock was put since this was last asked: forward, or back if negative; else 0.

        A machine that slept looks like a clock that was put forward: monotonic time rests meanwhile.
        """
        before, self._ahead = self._ahead, self._difference()
        by = self._ahead - before
        return by if abs(by) > _TOLERANCE else 0

    def _difference(self) -> int:
        return self._clock.now() - self._monotonic() // 1_000
