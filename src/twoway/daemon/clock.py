"""The one module that reads a clock: everything else is given a `twoway.ports.Clock`."""

import asyncio
import time

from twoway.core.model import Instant


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
