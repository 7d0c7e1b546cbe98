"""Is a pair stalled? A sync that silently stopped looks like one with nothing to do, until a customer notices.

Pure: the instants are arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass

from twoway.core.model import Instant


@dataclass(frozen=True, slots=True)
class Stall:
    """A pair without a successful cycle. `since` is its last success (or when it began to be watched)."""

    since: Instant
    missed: Instant
    """When the last of the cycles that were allowed to fail was due."""

    def age(self, now: Instant) -> int:
        """Milliseconds since the last success."""
        return now - self.since


def judge(
    *,
    last_success: Instant | None,
    watched_since: Instant,
    due_after: Callable[[Instant], Instant | None],
    now: Instant,
    misses: int = 3,
    allowance: int = 60_000,
) -> Stall | None:
    """A `Stall` if `misses` cycles in a row were due since the last success and none has succeeded.

    `due_after(t)` is when the schedule asks for the first cycle after `t` (`twoway.daemon.scheduler.due_after`); so an
    interval, and a cron line that rests over the weekend, are judged alike. `allowance` is the milliseconds that are
    granted beyond the last of them: a cycle takes its time. Nothing is missed before `watched_since`: the daemon was
    not there, or the pair was not meant to run. Both instants are by the clock as it stands now (see `Recorded`): one
    that lies ahead is no stall.
    """
    since = watched_since if last_success is None else last_success
    due = max(since, watched_since)
    for _ in range(misses):
        following = due_after(due)
        if following is None:
            return None
        due = following
    return Stall(since=since, missed=due) if now > due + allowance else None


@dataclass(slots=True)
class _Look:
    recorded: Instant | None
    at: Instant | None
    looked: Instant


class Recorded:
    """When each pair's last success was, by the clock as it stands now.

    The state holds what the clock said when it happened. Where the clock has been put since, that is another instant:
    it is kept here, beside what the state said, and moved with the clock.
    """

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}

    def at(self, pair: str, recorded: Instant | None, now: Instant) -> Instant | None:
        """The instant that the state tells of as `recorded`; never one that is yet to come."""
        look = self._looks.get(pair)
        if look is None:
            look = self._looks[pair] = _Look(recorded, None if recorded is None else min(recorded, now), now)
        elif look.recorded != recorded:
            # It happened between the last look and this one, whatever the clock said then.
            look.recorded, look.at = recorded, None if recorded is None else min(max(recorded, look.looked), now)
        look.looked = now
        return look.at

    def shift(self, by: int) -> None:
        """The clock was put by so many milliseconds."""
        for look in self._looks.values():
            look.looked += by
            if look.at is not None:
                look.at += by

    def forget(self, pair: str) -> None:
        """The pair is no longer there."""
        self._looks.pop(pair, None)
