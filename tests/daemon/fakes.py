"""What the daemon's tests share: a clock that is moved by hand, and the end of a test's patience."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds after which a test that waits for an event has failed. No test waits for time to pass."""


def run(work: Awaitable[T]) -> T:
    """Run one test's work to its end, or fail when that does not come."""

    async def in_time() -> T:
        async with asyncio.timeout(PATIENCE):
            return await work

    return asyncio.run(in_time())


class HandClock:
    """A clock that stands still until a test moves it; `sleep` moves it, and lets the others run.

    `put` moves it without any time passing, as a person or a time server does.
    """

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self.time = now
        self.passed = 0
        self.slept: list[float] = []

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        """Microseconds."""
        return self.passed * 1000

    def put(self, by: int) -> None:
        self.time += by

    def let_pass(self, milliseconds: int) -> None:
        self.time += milliseconds
        self.passed += milliseconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.let_pass(round(seconds * 1000))
        await asyncio.sleep(0)
