"""The daemon: the scheduler's cycles, the alerts, the watchdog and the reload, around one `Service`."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from twoway.config.load import Config, load
from twoway.config.problems import ConfigError
from twoway.core.model import Instant
from twoway.daemon import freshness, logs
from twoway.daemon.alerts import Alerts, Condition, Deliver, Trouble, by_command
from twoway.daemon.clock import ClockWatch, SystemClock, monotonic_usec
from twoway.daemon.freshness import Recorded
from twoway.daemon.lifecycle import Ended, run_until_stopped
from twoway.daemon.lock import state_lock
from twoway.daemon.outcomes import Outcomes
from twoway.daemon.scheduler import PairSchedule, Reading, Scheduler, due_after
from twoway.daemon.snapshots import Snapshots
from twoway.daemon.systemd import Notifier
from twoway.daemon.webhook import by_webhook, secret_parts
from twoway.engine.cycle import Ending, Kind
from twoway.engine.lease import PairBusy
from twoway.engine.service import NotNow, Service
from twoway.ports import Clock
from twoway.sdk.errors import ConnectorError
from twoway.sdk.registry import Connectors
from twoway.state.pairs import Status
from twoway.state.store import Store

_log = structlog.get_logger(__name__)

_FRESHNESS_SECONDS = 15.0
_CLOCK_SECONDS = 5.0
_CANCELLING = 10.0
"""Seconds, beyond the grace, for cycles that are cut short."""


def run(path: Path, clock: Clock | None = None, monotonic: Callable[[], int] = monotonic_usec) -> int:
    """Run the daemon until it is told to stop; the exit code. Raises what keeps it from starting.

    `monotonic` counts microseconds that nobody can put; by it the clock is watched.
    """
    config = read_config(path)
    _configure_logs(config)
    state = state_path(config)
    with state_lock(state):
        store = Store(state, secrets.token_hex(4))
        try:
            asyncio.run(Daemon(config, store, clock or SystemClock(), monotonic=monotonic).serve())
        finally:
            store.close()
    return 0


def read_config(path: Path) -> Config:
    """The configuration, with the accounts' keys checked against the installed connectors."""
    return load(path, Connectors())


def state_path(config: Config) -> Path:
    """Where the state is."""
    path = config.settings.state.path
    assert path is not None  # noqa: S101 - loading has filled it in
    return path


def _configure_logs(config: Config, *earlier: Config) -> None:
    """Log as `config` says; the secrets of configurations that were in force earlier stay hidden, too."""
    section = config.settings.logging
    logs.configure(
        level=section.level,
        form="console" if section.format == "text" else section.format,
        secrets=[secret for one in (config, *earlier) for secret in _all_secrets(one)],
    )


def _all_secrets(config: Config) -> Iterable[str]:
    for account in config.settings.accounts:
        yield from config.secrets(account).values()
    url = config.settings.alerts.webhook_url
    if url is not None:
        yield from secret_parts(url.get_secret_value())


def _deliver(config: Config, clock: Clock) -> Deliver | None:
    section = config.settings.alerts
    if section.command:
        return by_command(section.command)
    return None if section.webhook_url is None else by_webhook(section.webhook_url.get_secret_value(), clock)


class Daemon:
    """One process over one state."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Clock,
        notifier: Notifier | None = None,
        *,
        monotonic: Callable[[], int] = monotonic_usec,
    ) -> None:
        self._store = store
        self._clock = clock
        self._notifier = notifier or Notifier.from_environment()
        self._service = Service(config, store, clock)
        self._users: Counter[Service] = Counter()
        self._scheduler = Scheduler(self._cycle, clock)
        self._outcomes = Outcomes(Alerts(_deliver(config, clock)), clock)
        self._started = clock.now()
        self._watched: dict[str, Instant] = {}
        """Since when a pair is expected to succeed, where that is later than the daemon's start."""
        self._clock_watch = ClockWatch(clock, monotonic)
        self._successes = Recorded()
        self._taken = Recorded()
        """When the pairs' last snapshots were."""
        self._snapshots = Snapshots()
        self._answering = True

    async def serve(self) -> None:
        """Work until a signal comes."""
        grace = self._service.config.settings.daemon.grace / 1000
        ended = await run_until_stopped(
            self._main,
            deadline=grace,
            reload=self._reload,
            on_stopping=lambda: self._notifier.stopping("finishing what is under way", within=grace + _CANCELLING),
        )
        if ended is Ended.CUT_SHORT:
            _log.warning("cut_short", remedy="What was sent and not yet answered is looked up at the next start")

    async def _main(self, stop: asyncio.Event) -> None:
        config = self._service.config
        self._scheduler.start(schedules(config))
        self._notifier.ready(self._status())
        _log.info("started", pairs=sorted(config.pairs), state=self._store.db.path)
        helpers = [
            asyncio.create_task(self._notifier.feed_watchdog(self._healthy, self._clock)),
            asyncio.create_task(self._watch_clock()),
            asyncio.create_task(self._watch_freshness()),
        ]
        try:
            await stop.wait()
            _log.info("stopping")
            await self._scheduler.stop()
        finally:
            for helper in helpers:
                helper.cancel()
            await _close(self._service)
        _log.info("stopped")

    def _status(self) -> str:
        return f"{len(self._service.config.pairs)} pairs"

    async def _healthy(self) -> bool:
        """Whether the state answers: what the watchdog is fed by."""
        try:
            answers = self._store.db.answers()
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it does not answer
            answers = False
        if answers != self._answering:
            self._answering = answers
            if answers:
                _log.info("state_answers")
            else:
                _log.error("state_does_not_answer", remedy="Look at the disk, and for who else holds the state's file")
            self._notifier.status(self._status() if answers else "the state does not answer")
        return answers

    # -- reload

    async def _reload(self) -> None:
        """Read the configuration anew. A broken one changes nothing."""
        self._notifier.reloading()
        status = "the new configuration is broken: the old one is in force"
        try:
            await self._take_over(self._service.config)
            status = self._status()
        except (ConfigError, ConnectorError) as error:
            problems = [str(one) for one in error.problems] if isinstance(error, ConfigError) else [str(error)]
            _log.error("reload_refused", problems=problems, in_force="the old configuration")
        finally:
            # systemd waits for this word, however it went.
            self._notifier.ready(status)

    async def _take_over(self, old: Config) -> None:
        config = read_config(old.file)
        wanted = schedules(config)
        deliver = _deliver(config, self._clock)
        # From here on nothing can fail.
        _configure_logs(config, old)
        if state_path(config) != state_path(old):
            _log.warning("state_path_changed", in_force="the old one: another state needs a restart")
        retired, self._service = self._service, Service(config, self._store, self._clock)
        for pair in old.pairs.keys() - config.pairs.keys():
            self._outcomes.forget(pair)
            self._watched.pop(pair, None)
            for memory in (self._successes, self._taken, self._snapshots):
                memory.forget(pair)
        for pair, found in config.pairs.items():
            if pair not in old.pairs or found.schedule != old.pairs[pair].schedule:
                # It had other times, or none, until now: by the new ones nothing was missed yet.
                self._watched[pair] = self._clock.now()
        if config.settings.alerts != old.settings.alerts:
            self._outcomes.alerts = Alerts(deliver)
        self._scheduler.reload(wanted)
        _log.info("reloaded", pairs=sorted(config.pairs))
        await self._let_go(retired)

    @asynccontextmanager
    async def _in_use(self) -> AsyncIterator[Service]:
        """The service in force, which stays open for its user when a reload retires it meanwhile."""
        service = self._service
        self._users[service] += 1
        try:
            yield service
        finally:
            self._users[service] -= 1
            await self._let_go(service)

    async def _let_go(self, service: Service) -> None:
        """Close the clients of a service that is no longer in force, once nobody works with them."""
        if service is not self._service and not self._users[service]:
            del self._users[service]
            await _close(service)

    # -- cycles

    async def _cycle(self, pair: str, reading: Reading) -> None:
        with logs.pair_context(pair):
            async with self._in_use() as service:
                found, schedule = service.config.pairs.get(pair), self._scheduler.schedules.get(pair)
                if found is None or schedule is None:
                    # It came due in the instant in which a reload took it away.
                    return
                snapshot = False
                try:
                    kind = self._kind(schedule, reading)
                    if kind is None:
                        return
                    snapshot = kind is Kind.SNAPSHOT
                    report = await service.cycle(pair, kind)
                except Exception as error:  # noqa: BLE001 - the other pairs go on, and a person is told
                    if snapshot and not isinstance(error, NotNow | PairBusy):
                        self._snapshots.tried(pair, self._clock.now())
                    await self._outcomes.raised(pair, error, snapshot=snapshot)
                else:
                    if snapshot and report.ending is Ending.DONE:
                        self._snapshots.forget(pair)
                    elif snapshot:
                        self._snapshots.tried(pair, self._clock.now())
                    await self._outcomes.ran(report, found.mapping, snapshot=snapshot)

    def _kind(self, schedule: PairSchedule, reading: Reading) -> Kind | None:
        """How the cycle that begins now reads the apps; `None` if what it came due for has been done meanwhile."""
        self._look_at_clock()
        row, now = self._store.pairs.get(schedule.pair), self._clock.now()
        taken = self._taken.at(schedule.pair, row.snapshot_at if row else None, now)
        if not self._snapshots.wanted(schedule, reading, taken, now):
            return Kind.INCREMENTAL if reading is Reading.CHANGES else None
        return Kind.SNAPSHOT

    # -- the clock

    async def _watch_clock(self) -> None:
        while True:
            await self._clock.sleep(_CLOCK_SECONDS)
            self._look_at_clock()

    def _look_at_clock(self) -> None:
        """Where somebody put the clock, put all that is remembered by it likewise, and mend the schedule."""
        by = self._clock_watch.put_by()
        if by == 0:
            return
        if by < 0:
            _log.warning("clock_put_back", seconds=-by // 1000)
        else:
            _log.info("clock_put_forward", seconds=by // 1000, remedy="none is needed, also if the machine slept")
        self._started += by
        self._watched = {pair: since + by for pair, since in self._watched.items()}
        self._successes.shift(by)
        # If the machine slept, its time has passed: a snapshot that was due meanwhile is missed.
        self._taken.shift(min(by, 0))
        self._snapshots.shift(min(by, 0))
        self._scheduler.clock_was_put(by)

    # -- freshness

    async def _watch_freshness(self) -> None:
        while True:
            try:
                for schedule in self._scheduler.schedules.values():
                    await self._judge_freshness(schedule)
            except Exception as error:  # noqa: BLE001 - the watch over the pairs must never end
                _log.error("freshness_unknown", kind=type(error).__name__)
            await self._clock.sleep(_FRESHNESS_SECONDS)

    async def _judge_freshness(self, schedule: PairSchedule) -> None:
        self._look_at_clock()
        pair, now = schedule.pair, self._clock.now()
        found, row = self._service.config.pairs.get(pair), self._store.pairs.get(pair)
        last_success = self._successes.at(pair, row.succeeded_at if row else None, now)
        taken = self._taken.at(pair, row.snapshot_at if row else None, now)
        misses = self._service.config.settings.alerts.missed_cycles
        paused = found is None or (row is not None and row.status is Status.PAUSED)
        if paused:
            self._snapshots.forget(pair)
        if found is None or paused or self._outcomes.told(pair, found.mapping):
            # Nobody expects it to succeed, or a person knows already why it does not.
            self._watched[pair] = now
        elif late := self._snapshots.stalled(schedule, taken, now, misses):
            await self._outcomes.snapshot_stalled(pair, late.since)
        else:
            self._outcomes.snapshot_is_fresh(pair)
        stall = freshness.judge(
            last_success=last_success,
            watched_since=self._watched.get(pair, self._started),
            due_after=lambda instant: due_after(schedule, instant),
            now=now,
            misses=misses,
        )
        if stall is None:
            self._outcomes.alerts.clear(Condition(Trouble.STALLED, pair))
        else:
            await self._outcomes.stalled(pair, stall.since)


async def _close(service: Service) -> None:
    with suppress(ConnectorError):
        await service.close()


def schedules(config: Config) -> list[PairSchedule]:
    """When each pair is to run."""
    return [
        PairSchedule(
            pair=name,
            every_seconds=None if pair.schedule.every is None else pair.schedule.every / 1000,
            cron=pair.schedule.cron,
            snapshot_cron=pair.schedule.snapshot,
            timezone=pair.schedule.timezone,
            jitter=pair.schedule.jitter / 1000,
        )
        for name, pair in sorted(config.pairs.items())
    ]
