"""When each pair has its cycles: a job for the changes and, where the mapping asks for one, a job for the snapshot.

The jobs live in memory and are rebuilt from the configuration at each start: a job store shared by two processes fires
jobs twice, and knows nothing that the configuration does not.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from twoway.config.cron import check_cron, cron_trigger
from twoway.core.model import Instant
from twoway.ports import Clock


class Reading(StrEnum):
    """How a cycle reads the apps."""

    CHANGES = "changes"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSchedule:
    """When one pair has its cycles: either `every_seconds` or `cron`, and perhaps a `snapshot_cron` besides.

    `timezone` is an IANA name, in which the cron lines are read. `jitter` delays each cycle by up to so many seconds,
    so that many pairs do not begin in the same instant. Raises `ValueError` for what cannot be scheduled.
    """

    pair: str
    every_seconds: float | None = None
    cron: str | None = None
    snapshot_cron: str | None = None
    timezone: str = "UTC"
    jitter: float = 0

    def __post_init__(self) -> None:
        if (self.every_seconds is None) == (self.cron is None):
            raise ValueError(f"The schedule of {self.pair} needs one of `every` and `cron`, and not both")
        if self.every_seconds is not None and self.every_seconds <= 0:
            raise ValueError(f"The schedule of {self.pair} has every: {self.every_seconds} s; valid is more than zero")
        try:
            ZoneInfo(self.timezone)
        except (ValueError, KeyError, OSError):
            raise ValueError(
                f"The schedule of {self.pair} names the time zone {self.timezone!r}, which is unknown. "
                "Valid are names such as Europe/Berlin, or UTC"
            ) from None
        for line in (self.cron, self.snapshot_cron):
            if line is None:
                continue
            try:
                check_cron(line)
            except ValueError as error:
                raise ValueError(f"The schedule of {self.pair} has the cron line {line!r}: {error}") from None

    @property
    def readings(self) -> tuple[Reading, ...]:
        return (Reading.CHANGES,) if self.snapshot_cron is None else (Reading.CHANGES, Reading.SNAPSHOT)


def due_after(schedule: PairSchedule, instant: Instant, reading: Reading = Reading.CHANGES) -> Instant | None:
    """When the schedule asks for the first cycle after `instant`, without jitter; `None` if it never does."""
    if reading is Reading.CHANGES and schedule.every_seconds is not None:
        return instant + round(schedule.every_seconds * 1000)
    line = schedule.cron if reading is Reading.CHANGES else schedule.snapshot_cron
    if line is None:
        return None
    after = datetime.fromtimestamp((instant + 1) / 1000, tz=UTC)
    zone = ZoneInfo(schedule.timezone)
    following: datetime | None = cron_trigger(line, zone).get_next_fire_time(None, after.astimezone(zone))
    return None if following is None else round(following.timestamp() * 1000)


Cycle = Callable[[str, Reading], Awaitable[None]]
"""Runs one cycle of the pair. It deals with its own failures: what it raises is logged, and the schedule goes on."""


class Scheduler:
    """Runs `cycle(pair, reading)` on schedule, in the running event loop.

    A pair has one cycle at a time: a snapshot waits for the changes under way, and the other way round. A cycle that
    came due while its forerunner was still running is dropped; times that were missed (the machine slept) are made up
    for by one cycle, however late.
    """

    def __init__(self, cycle: Cycle, clock: Clock) -> None:
        self._cycle = cycle
        self._clock = clock
        self._schedules: dict[str, PairSchedule] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._jobs = AsyncIOScheduler(
            timezone=UTC,
            jobstores={"default": MemoryJobStore()},
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    @property
    def schedules(self) -> dict[str, PairSchedule]:
        """The schedules in force, by pair."""
        return dict(self._schedules)

    def start(self, schedules: Iterable[PairSchedule]) -> None:
        """Begin. The first changes of each pair are read at once, within its jitter."""
        self._jobs.start(paused=True)
        self.reload(schedules)
        self._jobs.resume()

    def reload(self, schedules: Iterable[PairSchedule]) -> None:
        """Put these schedules in force. A pair whose schedule stays the same keeps its place in time.

        A cycle under way is left to finish, also that of a pair which is no longer there.
        """
        wanted = {schedule.pair: schedule for schedule in schedules}
        for pair, old in self._schedules.items():
            if wanted.get(pair) != old:
                for reading in old.readings:
                    self._jobs.remove_job(_job(pair, reading))
        for pair, schedule in wanted.items():
            if self._schedules.get(pair) != schedule:
                self._add(schedule)
        self._schedules = wanted

    def next_run(self, pair: str, reading: Reading = Reading.CHANGES) -> Instant | None:
        """When the pair's next cycle is due; `None` if it has none."""
        job = self._jobs.get_job(_job(pair, reading))
        return None if job is None else round(job.next_run_time.timestamp() * 1000)

    def hurry(self, pair: str) -> None:
        """Read the pair's changes now (a webhook came, or a person asked).

        Unknown pairs are ignored. While the pair's changes are being read already, its next time on schedule will do.
        """
        job = self._jobs.get_job(_job(pair, Reading.CHANGES))
        if job is not None:
            job.modify(next_run_time=self._now())

    def clock_was_put(self, by: int) -> None:
        """Mend the schedule after the wall clock was put by `by` milliseconds: forward, or back if negative.

        What is overdue is made up for by one cycle. Where the clock was put back, a pair with an interval is read at
        once, within its jitter: by the old times nothing would be due before the clock is where it was. The next times
        of cron lines are computed anew.
        """
        now = self._now()
        for schedule in self._schedules.values():
            for reading in schedule.readings:
                job = self._jobs.get_job(_job(schedule.pair, reading))
                if job is None:
                    continue
                if job.next_run_time <= now:
                    # Else APScheduler counts through every time that was missed, and there may be years of them.
                    job.modify(next_run_time=now)
                elif by < 0:
                    job.modify(next_run_time=_first(schedule, job.trigger, now))
        # The event loop counts the seconds to the next job by monotonic time, and would wake up too late.
        self._jobs.wakeup()

    async def stop(self) -> None:
        """Begin no more cycles, and wait for those under way. If that wait is cancelled, they are cancelled too."""
        self._stopping = True
        self._jobs.pause()
        try:
            await self._idle.wait()
        finally:
            unfinished = list(self._running)
            for task in unfinished:
                task.cancel()
            self._jobs.shutdown(wait=False)
            await asyncio.gather(*unfinished, return_exceptions=True)

    def _add(self, schedule: PairSchedule) -> None:
        for reading in schedule.readings:
            trigger = _trigger(schedule, reading)
            self._jobs.add_job(
                self._run,
                trigger,
                args=(schedule.pair, reading),
                id=_job(schedule.pair, reading),
                next_run_time=_first(schedule, trigger, self._now()),
            )

    async def _run(self, pair: str, reading: Reading) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio's own type is wider: a coroutine always runs in a task
        self._running.add(task)
        self._idle.clear()
        try:
            async with self._turns[pair]:
                if not self._stopping:
                    await self._cycle(pair, reading)
        except asyncio.CancelledError:
            # APScheduler would log our own cancellation as a failed job.
            if not self._stopping:
                raise
        finally:
            self._running.discard(task)
            if not self._running:
                self._idle.set()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now() / 1000, tz=UTC)


def _trigger(schedule: PairSchedule, reading: Reading) -> BaseTrigger:
    line = schedule.cron if reading is Reading.CHANGES else schedule.snapshot_cron
    if line is not None:
        return cron_trigger(line, ZoneInfo(schedule.timezone), jitter=schedule.jitter)
    return IntervalTrigger(seconds=schedule.every_seconds, timezone=UTC, jitter=schedule.jitter or None)


def _first(schedule: PairSchedule, trigger: BaseTrigger, now: datetime) -> datetime | None:
    """When a job that knows of no earlier time is due: by an interval at once, within the jitter."""
    if isinstance(trigger, IntervalTrigger):
        return now + timedelta(seconds=random.uniform(0, schedule.jitter))
    first: datetime | None = trigger.get_next_fire_time(None, now)
    return first


def _job(pair: str, reading: Reading) -> str:
    return f"{pair}:{reading.value}"
