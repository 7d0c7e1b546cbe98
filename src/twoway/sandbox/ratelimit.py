"""Request limits on an app's own clock."""

from collections import deque


class SlidingWindow:
    """At most `limit` requests in any `seconds`; 0 = no limit. A refused request does not count."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._taken: deque[float] = deque()

    def _forget(self, now: float) -> None:
        edge = now - self.seconds
        while self._taken and self._taken[0] <= edge:
            self._taken.popleft()

    def take(self, now: float) -> bool:
        """Count one request; False if it is one too many."""
        if not self.limit:
            return True
        self._forget(now)
        if len(self._taken) >= self.limit:
            return False
        self._taken.append(now)
        return True

    def remaining(self, now: float) -> int:
        """How many requests are left at this instant."""
        self._forget(now)
        return max(0, self.limit - len(self._taken))

    def reset_in(self, now: float) -> float:
        """Seconds until one more request is allowed (0 = now)."""
        self._forget(now)
        if not self.limit or len(self._taken) < self.limit:
            return 0.0
        return self._taken[len(self._taken) - self.limit] + self.seconds - now
