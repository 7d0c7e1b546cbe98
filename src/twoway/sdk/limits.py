"""The rate limit of one account in one process."""

import asyncio

from twoway.ports import Clock, Limiter
from twoway.sdk.errors import TryLater

SCARCE = 0.2
"""Below this part of what an app's window allows we slow down: others use the account's budget, too."""


class RateLimiter:
    """At most `rate` requests a second and `burst` at once, by the generic cell rate algorithm (ITU-T I.371).

    Requests go in the order in which they asked. A wait is checked again after each sleep, since an answer may have
    blocked the account meanwhile. What `learn` is told only ever slows down, until the app's window starts anew.

    A limit `within` another takes a turn at that one, too: an app's search may be slower than its other requests.

    A block of more than `patience` seconds is not waited for: `turn` raises `TryLater` with the seconds left.
    """

    def __init__(
        self,
        clock: Clock,
        rate: float,
        burst: int = 1,
        *,
        name: str = "",
        within: Limiter | None = None,
        patience: float = 60.0,
    ) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"a rate above 0 and a burst of at least 1 are needed, not {rate} and {burst}")
        self._clock = clock
        self._interval = 1000 / rate
        self._burst = burst
        self._name = name
        self._within = within
        self._patience = patience
        self._full = 0.0
        """When the bucket will be empty again (the algorithm's theoretical arrival time), in milliseconds."""
        self._blocked_until = 0.0
        self._slow_until = 0.0
        self._slow_interval = self._interval
        self._seen = clock.now()
        """What the clock said last."""
        self._queue = asyncio.Lock()  # first come, first served

    def __repr__(self) -> str:
        return f"RateLimiter({self._name!r}, {1000 / self._interval:g}/s, burst {self._burst})"

    @property
    def blocked_for(self) -> float:
        """Seconds for which the app has asked for no requests; 0 where it has not."""
        now = self._now()
        return max(0.0, (self._blocked_until - now) / 1000)

    async def turn(self) -> None:
        """Wait until a request may be sent."""
        async with self._queue:
            while (wait := self._wait()) > 0:
                await self._clock.sleep(wait / 1000)
            if self._within is not None:
                await self._within.turn()
            now = self._now()
            self._full = max(now, self._full) + self._pace(now)

    def _now(self) -> float:
        """The time: to be asked before anything that was noted by it is looked at. Where the clock was put back, that
        goes back as far: else nobody would have a turn until it is as late again."""
        now = self._clock.now()
        back = max(0, self._seen - now)
        self._full -= back
        self._blocked_until -= back
        self._slow_until -= back
        self._seen = now
        return now

    def _pace(self, now: float) -> float:
        return self._slow_interval if now < self._slow_until else self._interval

    def _wait(self) -> float:
        now = self._now()
        blocked = self._blocked_until - now
        if blocked > self._patience * 1000:
            raise TryLater(
                f"{self._name or 'the account'}: the app asked for no requests for another {blocked / 1000:.0f} s",
                after=blocked / 1000,
            )
        # While the app's budget is scarce there is no burst: a slow pace that starts with a burst is not slow.
        burst = 1 if now < self._slow_until else self._burst
        turn_at = self._full - (burst - 1) * self._interval
        # Clocks tick in whole milliseconds: round up, or a wait of a fraction would be asked for again and again.
        return float(-(-max(blocked, turn_at - now) // 1))

    def block(self, seconds: float) -> None:
        """No request for so long; a shorter block never ends a longer one."""
        now = self._now()
        self._blocked_until = max(self._blocked_until, now + seconds * 1000)

    def learn(self, *, limit: int | None, remaining: int | None, reset: float | None) -> None:
        """What the app's headers told: requests a window, how many are left in it, seconds until it starts anew."""
        if remaining is None or reset is None or reset <= 0:
            return
        now = self._now()
        if remaining <= 0:
            self.block(reset)
        elif limit is not None and remaining < limit * SCARCE:
            self._slow_interval = max(self._interval, reset * 1000 / remaining)
            self._slow_until = now + reset * 1000
        else:
            self._slow_until = now
