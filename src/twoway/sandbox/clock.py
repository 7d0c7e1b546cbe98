"""The time of a look-alike app: real for a demo, virtual for a test. Times are epoch seconds (float)."""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What an app needs of time. Every stamp, delay, lag and limit of a sandbox app goes through it."""

    def now(self) -> float:
        """Epoch seconds."""

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` of this clock have passed."""


class RealClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class VirtualClock:
    """A clock that moves only when it is told to.

    With `auto=True` (the default) a sleeper moves the clock itself, so a request with a latency returns at once
    and finds the time advanced. With `auto=False` sleepers wait for `advance`, which lets a test hold several
    requests open at the same instant.
    """

    def __init__(self, start: float = 1_750_000_000.0, *, auto: bool = True) -> None:
        self._now = start
        self._auto = auto
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move time forward and wake whoever's time has come, in order."""
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    @property
    def sleeping(self) -> int:
        """How many requests wait for `advance`."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if self._auto:
            self.advance(seconds)
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future


def floor_to(at: float, resolution: float) -> float:
    """The instant as a clock with that resolution (seconds) shows it; 0 keeps it as it is."""
    if resolution <= 0:
        return at
    # Whole ticks first: `at - at % 0.001` would leave the float noise of the remainder behind.
    ticks = round(at / resolution, 6) // 1
    return float(ticks * resolution) if resolution >= 1 else float(round(ticks * resolution, 6))


def iso_ms(at: float) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    stamp = datetime.fromtimestamp(round(at * 1000) / 1000, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03d}Z"


def iso_seconds(at: float, *, zone: str = "Z") -> str:
    """`2026-01-02T03:04:05Z`, or with `zone="+00:00"` the same instant in the other spelling."""
    return f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%dT%H:%M:%S}{zone}"


def parse_time(text: str) -> float:
    """Epoch seconds of an ISO 8601 time (a bare date is midnight UTC, no zone is UTC). ValueError if it is none."""
    # A `+` that a client forgot to escape arrives as a space in a query.
    stamp = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
