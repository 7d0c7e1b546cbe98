"""Time that a test owns."""

from twoway.core.model import Instant


class VirtualClock:
    """A clock that moves only when told to, or when somebody sleeps by it. `start` is in milliseconds."""

    def __init__(self, start: Instant = 1_700_000_000_000) -> None:
        self._now = start

    def now(self) -> Instant:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += round(seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        """Return at once, so much later."""
        self.advance(max(0.0, seconds))
