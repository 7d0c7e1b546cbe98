"""Which cycles are snapshots: those that the cron line asks for, and those that make up for one that failed.

A snapshot may fail, find the pair busy, or be due while the daemon is down. Where an app's feed tells no deletions,
they are not seen before one succeeds, and that is not to wait for the next night.
"""

from collections.abc import Iterable

from twoway.core.model import Instant
from twoway.daemon import freshness
from twoway.daemon.freshness import Stall
from twoway.daemon.scheduler import PairSchedule, Reading, due_after

PAUSE = 3_600_000
"""Milliseconds between two tries: a complete listing is dear, and the app may be in trouble."""
_OWN_TURN = 60_000
"""Milliseconds, beyond the jitter, in which a snapshot has its own turn, before it counts as missed."""


def missed(schedule: PairSchedule, taken: Instant | None, tried: Iterable[Instant], now: Instant) -> bool:
    """Whether a cycle that runs without a daemon is to list both sides completely: a snapshot came due since the last
    one, and none was `tried` within the pause."""
    due = None if taken is None else due_after(schedule, taken, Reading.SNAPSHOT)
    return due is not None and due <= now and all(at + PAUSE <= now for at in tried)


class Snapshots:
    """Pure but for what it remembers: when a snapshot of a pair was last tried in vain.

    `taken` is when both sides of the pair were last listed completely under its mapping; `None` if they never were, and
    then each cycle lists them anyway.
    """

    def __init__(self) -> None:
        self._tried: dict[str, Instant] = {}

    def wanted(self, schedule: PairSchedule, reading: Reading, taken: Instant | None, now: Instant) -> bool:
        """Whether the pair's cycle that begins now for `reading` is to list both sides completely.

        One that came due for the snapshot does so unless that was made up for meanwhile; one that came due for the
        changes does where a snapshot was missed, and none was tried within the pause.
        """
        if taken is None:
            return reading is Reading.SNAPSHOT
        due = due_after(schedule, taken, Reading.SNAPSHOT)
        if due is None:
            return False
        if reading is Reading.SNAPSHOT:
            return due <= now
        tried = self._tried.get(schedule.pair)
        rested = tried is None or tried + PAUSE <= now
        return rested and due + round(schedule.jitter * 1000) + _OWN_TURN <= now

    def stalled(self, schedule: PairSchedule, taken: Instant | None, now: Instant, misses: int) -> Stall | None:
        """A `Stall` if `misses` snapshots in a row came due, none has succeeded, and one was tried in vain.

        Those that came due while the daemon was down count, too: but it has its try first.
        """
        if taken is None or schedule.pair not in self._tried:
            return None
        return freshness.judge(
            last_success=taken,
            watched_since=taken,
            due_after=lambda instant: due_after(schedule, instant, Reading.SNAPSHOT),
            now=now,
            misses=misses,
        )

    def tried(self, pair: str, now: Instant) -> None:
        """A snapshot was tried, and did not come through."""
        self._tried[pair] = now

    def forget(self, pair: str) -> None:
        """One came through; or the pair is no longer there, or is not meant to run: then the next try is the first."""
        self._tried.pop(pair, None)

    def shift(self, by: int) -> None:
        """The clock was put by so many milliseconds."""
        self._tried = {pair: tried + by for pair, tried in self._tried.items()}
