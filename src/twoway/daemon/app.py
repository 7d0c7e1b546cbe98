"""The daemon: the scheduler's cycles, the alerts, the watchdog and the reload, around one `Service`."""

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from twoway.config.load import Config, load
from twoway.config.problems import ConfigError
from twoway.daemon import freshness, logs
from twoway.daemon.alerts import Alerts, Condition, Deliver, Trouble, by_command, by_post
from twoway.daemon.clock import SystemClock
from twoway.daemon.lifecycle import run_until_stopped
from twoway.daemon.lock import state_lock
from twoway.daemon.scheduler import PairSchedule, Reading, Scheduler, due_after
from twoway.daemon.systemd import Notifier
from twoway.engine.cycle import Kind, Report
from twoway.engine.lease import PairBusy
from twoway.engine.service import Held, NotNow, Service
from twoway.ports import Clock
from twoway.sdk.errors import AccountRefused, ConnectorError
from twoway.sdk.http import make_open_http
from twoway.sdk.registry import find_connector, installed_connectors
from twoway.state.errors import StateError
from twoway.state.store import Store

_log = structlog.get_logger(__name__)

_FRESHNESS_SECONDS = 15.0


def run(path: Path) -> int:
    """Run the daemon until it is told to stop; the exit code. Raises what keeps it from starting."""
    config = read_config(path)
    section = config.settings.logging
    logs.configure(
        level=section.level,
        form="console" if section.format == "text" else section.format,
        secrets=_all_secrets(config),
    )
    state = state_path(config)
    with state_lock(state):
        store = Store(state, secrets.token_hex(4))
        try:
            asyncio.run(Daemon(config, store, SystemClock()).serve())
        finally:
            store.close()
    return 0


def read_config(path: Path) -> Config:
    """The configuration, with the accounts' keys checked against the installed connectors."""
    return load(path, {name: find_connector(name) for name in installed_connectors()})


def state_path(config: Config) -> Path:
    """Where the state is."""
    path = config.settings.state.path
    assert path is not None  # noqa: S101 - loading has filled it in
    return path


def _all_secrets(config: Config) -> Iterable[str]:
    url = config.settings.alerts.webhook_url
    found = [secret for account in config.settings.accounts for secret in config.secrets(account).values()]
    return found if url is None else [*found, url.get_secret_value()]


class Daemon:
    """One process over one state."""

    def __init__(self, config: Config, store: Store, clock: Clock, notifier: Notifier | None = None) -> None:
        self._store = store
        self._clock = clock
        self._notifier = notifier or Notifier.from_environment()
        self._service = Service(config, store, clock)
        self._retired: list[Service] = []
        self._scheduler = Scheduler(self._cycle, clock)
        self._alerts = Alerts(self._deliver(config), clock)
        self._started = clock.now()

    async def serve(self) -> None:
        """Work until a signal comes."""
        config = self._service.config
        await run_until_stopped(
            self._main,
            deadline=config.settings.daemon.grace / 1000,
            reload=self._reload,
            on_stopping=lambda: self._notifier.stopping("finishing what is under way"),
        )

    async def _main(self, stop: asyncio.Event) -> None:
        self._scheduler.start(schedules(self._service.config))
        self._notifier.ready(f"{len(self._service.config.pairs)} pairs")
        _log.info("started", pairs=sorted(self._service.config.pairs), state=self._store.db.path)
        helpers = [
            asyncio.create_task(self._notifier.feed_watchdog(self._healthy, self._clock)),
            asyncio.create_task(self._watch_freshness()),
        ]
        try:
            await stop.wait()
            _log.info("stopping")
            await self._scheduler.stop()
        finally:
            for helper in helpers:
                helper.cancel()
            for service in (*self._retired, self._service):
                with suppress(ConnectorError):
                    await service.close()
        _log.info("stopped")

    async def _healthy(self) -> bool:
        return self._store.db.answers()

    async def _reload(self) -> None:
        """Read the configuration anew. A broken one changes nothing."""
        self._notifier.reloading()
        old = self._service.config
        try:
            config = read_config(old.file)
            wanted = schedules(config)
        except (ConfigError, ValueError) as error:
            problems = [str(one) for one in error.problems] if isinstance(error, ConfigError) else [str(error)]
            _log.error("reload_refused", problems=problems, in_force="the old configuration")
            self._notifier.ready("the new configuration is broken: the old one is in force")
            return
        if state_path(config) != state_path(old):
            _log.warning("state_path_changed", in_force="the old one: another state needs a restart")
        # Cycles under way end on the old clients, which are closed when the daemon ends.
        self._retired.append(self._service)
        self._service = Service(config, self._store, self._clock)
        self._scheduler.reload(wanted)
        if config.settings.alerts != old.settings.alerts:
            self._alerts = Alerts(self._deliver(config), self._clock)
        self._notifier.ready(f"{len(config.pairs)} pairs")
        _log.info("reloaded", pairs=sorted(config.pairs))

    # -- cycles

    async def _cycle(self, pair: str, reading: Reading) -> None:
        kind = Kind.SNAPSHOT if reading is Reading.SNAPSHOT else Kind.INCREMENTAL
        try:
            report = await self._service.cycle(pair, kind)
        except Held as error:
            await self._halted(pair, error.message, error.remedy)
        except NotNow as error:
            _log.info("waiting", pair=pair, reason=error.message)
        except PairBusy as error:
            _log.info("busy", pair=pair, reason=str(error))
        except ConfigError as error:
            _log.error("mapping_refused", pair=pair, problems=[str(one) for one in error.problems])
            await self._halted(
                pair, "; ".join(str(one) for one in error.problems), "Mend the mapping file, then reload"
            )
        except ConnectorError as error:
            await self._failed(pair, error)
        except StateError as error:
            _log.error("state", pair=pair, reason=error.message, remedy=error.remedy)
        else:
            await self._tell(report)

    async def _tell(self, report: Report) -> None:
        """One line a cycle that did something, none for one that found nothing."""
        if report.error is not None:
            await self._failed(report.pair, report.error, report.cycle)
            return
        if report.reasons:
            remedy = f"Look with `twoway plan {report.pair}`, let it pass with `twoway approve {report.pair}`"
            await self._halted(report.pair, "; ".join(report.reasons), remedy)
            return
        self._alerts.clear(Condition(Trouble.HALTED, report.pair))
        self._alerts.clear(Condition(Trouble.STALLED, report.pair))
        mapping = self._service.pair_config(report.pair).mapping
        for account in (mapping.left.account, mapping.right.account):
            self._alerts.clear(Condition(Trouble.ACCOUNT_REFUSED, account))
        did = {name: number for name, number in sorted(report.counts.items()) if number}
        if did:
            _log.info("cycle", pair=report.pair, cycle=report.cycle, **_named(did, self._service, report.pair))
        else:
            _log.debug("nothing_changed", pair=report.pair)

    async def _failed(self, pair: str, error: ConnectorError, cycle: int | None = None) -> None:
        _log.warning("failed", pair=pair, cycle=cycle, account=error.account, reason=error.message, remedy=error.remedy)
        if isinstance(error, AccountRefused) and error.account is not None:
            condition = Condition(Trouble.ACCOUNT_REFUSED, error.account)
            await self._alerts.report(condition, reason=error.message, since=self._clock.now(), remedy=error.remedy)

    async def _halted(self, pair: str, reason: str, remedy: str) -> None:
        condition = Condition(Trouble.HALTED, pair)
        if condition not in self._alerts.told:
            _log.warning("halted", pair=pair, reason=reason, remedy=remedy)
        await self._alerts.report(condition, reason=reason, since=self._clock.now(), remedy=remedy)

    # -- freshness

    async def _watch_freshness(self) -> None:
        while True:
            for schedule in self._scheduler.schedules.values():
                await self._judge_freshness(schedule)
            await self._clock.sleep(_FRESHNESS_SECONDS)

    async def _judge_freshness(self, schedule: PairSchedule) -> None:
        row = self._store.pairs.get(schedule.pair)
        stall = freshness.judge(
            last_success=row.succeeded_at if row else None,
            watched_since=self._started,
            due_after=lambda instant: due_after(schedule, instant),
            now=self._clock.now(),
            misses=self._service.config.settings.alerts.missed_cycles,
        )
        condition = Condition(Trouble.STALLED, schedule.pair)
        if stall is None:
            self._alerts.clear(condition)
        elif condition not in self._alerts.told:
            age = stall.age(self._clock.now()) // 1000
            reason = f"{schedule.pair} has had no successful cycle for {age} s"
            _log.warning("stalled", pair=schedule.pair, seconds=age)
            remedy = f"`twoway status` and `twoway cycles {schedule.pair}` say why"
            await self._alerts.report(condition, reason=reason, since=stall.since, remedy=remedy)

    def _deliver(self, config: Config) -> Deliver:
        section = config.settings.alerts
        if section.command:
            return by_command(section.command)
        if section.webhook_url is None:
            return _to_nobody
        url = section.webhook_url.get_secret_value()
        http = make_open_http(self._clock, account="alerts")(url, rate=1.0, burst=10)

        async def post(_url: str, body: bytes) -> int:
            try:
                answer = await http.request("POST", url, content=body, headers={"content-type": "application/json"})
            except ConnectorError as error:
                if error.status is None:
                    raise OSError(error.message) from error
                return error.status
            return answer.status

        return by_post(url, post)


async def _to_nobody(_alert: bytes) -> None:
    """No alerts are configured. The log is told once all the same, for which `Alerts` remembers what was told."""


def _named(counts: dict[str, int], service: Service, pair: str) -> dict[str, int]:
    """Counts with the accounts' names in place of the sides'."""
    mapping = service.pair_config(pair).mapping
    names = {"left": mapping.left.account, "right": mapping.right.account}
    found = {}
    for name, number in counts.items():
        verb, _, side = name.partition(" ")
        found[f"{verb}_{names[side]}" if side in names else verb] = number
    return found


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
