"""A clock of the port's shape that moves only when somebody sleeps."""

import asyncio


class VirtualClock:
    """Each sleep moves the time and is noted; nothing waits for real."""

    def __init__(self, start: int = 1_750_000_000_000) -> None:
        self.at = start
        self.slept: list[float] = []

    def now(self) -> int:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += round(seconds * 1000)
        await asyncio.sleep(0)
