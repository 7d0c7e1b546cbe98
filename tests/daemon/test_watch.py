"""The daemon and a wall clock that somebody puts while it runs."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
import time_machine

from tests.daemon.fakes import HandClock, run
from tests.daemon.stage import COPY
from tests.daemon.test_scheduler import Cycles
from twoway.daemon.alerts import Condition, Trouble
from twoway.daemon.app import Daemon, read_config, schedules, state_path
from twoway.daemon.clock import SystemClock
from twoway.daemon.logs import configure
from twoway.daemon.scheduler import Reading, Scheduler
from twoway.engine.cycle import Kind
from twoway.state.pairs import Status
from twoway.state.store import Store

_PAIR = "news-copy"
_STALLED = Condition(Trouble.STALLED, _PAIR)
_MINUTE = 60_000
_HOUR = 60 * _MINUTE
_ACCOUNT = """\
accounts:
  newsletter: { app: mailchimp, secrets: { api_key_file: token } }
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / f"{_PAIR}.yaml").write_text(
        COPY.replace("every: 1s", "every: 2m").replace("null", '"0 3 * * *"')
    )
    (tmp_path / "token").write_text("hush9876543210fedcba-us1")
    file = tmp_path / "config.yaml"
    file.write_text(_ACCOUNT)
    return file


@pytest.fixture
def store(config: Path) -> Iterator[Store]:
    with closing(Store(state_path(read_config(config)), "watch")) as store:
        yield store


def _succeeded(store: Store, at: int) -> None:
    with store.commit("as if a cycle had"):
        store.pairs.succeeded(store.pairs.ensure(_PAIR).id, at)


def _taken(store: Store, at: int) -> None:
    with store.commit("as if it had been listed"):
        store.pairs.snapshot_done(store.pairs.ensure(_PAIR).id, at)


class _Desk:
    """A daemon on a clock that is moved by hand, whose cycles are the test's own."""

    def __init__(self, config: Path, store: Store) -> None:
        self.clock = HandClock()
        self.cycles = Cycles()
        read = read_config(config)
        self.daemon = Daemon(read, store, self.clock, monotonic=self.clock.monotonic)
        self.daemon._scheduler = Scheduler(self.cycles, SystemClock())
        self._schedules = schedules(read)

    def work(self, test: Callable[["_Desk"], Awaitable[None]]) -> None:
        async def within() -> None:
            self.daemon._scheduler.start(self._schedules)
            await self.cycles.until_begun(1)
            await test(self)
            await self.daemon._scheduler.stop()

        run(within())

    async def stalled(self) -> bool:
        (schedule,) = self.daemon._scheduler.schedules.values()
        await self.daemon._judge_freshness(schedule)
        return _STALLED in self.daemon._outcomes.alerts.told


@pytest.mark.parametrize(
    "by", [pytest.param(-_HOUR, id="put back"), pytest.param(_HOUR, id="put forward, or the machine slept")]
)
def test_a_clock_that_is_put_neither_hides_nor_makes_a_stall(config: Path, store: Store, by: int) -> None:
    async def test(desk: _Desk) -> None:
        _succeeded(store, desk.clock.now())
        assert not await desk.stalled()
        desk.clock.put(by)
        assert not await desk.stalled()
        desk.clock.let_pass(6 * _MINUTE)
        assert not await desk.stalled()
        desk.clock.let_pass(2 * _MINUTE)
        assert await desk.stalled()
        desk.clock.let_pass(_HOUR - 7 * _MINUTE)
        assert await desk.stalled(), "and its last success, by the old clock, is just now"
        _succeeded(store, desk.clock.now())
        assert not await desk.stalled()

    _Desk(config, store).work(test)


def test_a_pair_that_never_succeeded_is_stalled_whatever_is_done_to_the_clock(config: Path, store: Store) -> None:
    async def test(desk: _Desk) -> None:
        for _ in range(7):
            assert not await desk.stalled()
            desk.clock.let_pass(_MINUTE)
            desk.clock.put(-_HOUR)
        desk.clock.let_pass(1)
        assert await desk.stalled()

    _Desk(config, store).work(test)


def test_a_clock_that_is_put_back_is_told_in_one_line_and_the_pair_is_read_at_once(config: Path, store: Store) -> None:
    log = io.StringIO()
    configure(level="info", stream=log)

    async def test(desk: _Desk) -> None:
        for _ in range(2):
            desk.daemon._look_at_clock()
        wall.shift(-3600)
        desk.clock.put(-_HOUR)
        watching = asyncio.create_task(desk.daemon._watch_clock())
        await desk.cycles.until_begun(2)
        watching.cancel()
        assert desk.cycles.begun == [(_PAIR, Reading.CHANGES)] * 2

    with time_machine.travel(datetime(2026, 3, 2, 12, tzinfo=UTC)) as wall:
        _Desk(config, store).work(test)
    (line,) = [orjson.loads(each) for each in log.getvalue().splitlines()]
    assert (line["event"], line["level"], line["seconds"]) == ("clock_put_back", "warning", 3600)


def test_a_pair_whose_times_a_reload_changed_has_missed_none_of_the_new_ones(config: Path, store: Store) -> None:
    async def test(desk: _Desk) -> None:
        _succeeded(store, desk.clock.now())
        desk.clock.let_pass(5 * _MINUTE)
        file = config.parent / "pairs" / f"{_PAIR}.yaml"
        file.write_text(file.read_text().replace("every: 2m", "every: 1m"))
        await desk.daemon._take_over(desk.daemon._service.config)
        assert not await desk.stalled()
        desk.clock.let_pass(4 * _MINUTE)
        assert not await desk.stalled()
        desk.clock.let_pass(1)
        assert await desk.stalled()

    _Desk(config, store).work(test)


def test_a_pair_that_is_paused_is_left_alone_and_listed_once_it_is_resumed(config: Path, store: Store) -> None:
    async def test(desk: _Desk) -> None:
        _taken(store, desk.clock.now() - 26 * _HOUR)
        with store.commit("as if a person had"):
            store.pairs.set_status(store.pairs.ensure(_PAIR).id, Status.PAUSED)
        (schedule,) = desk.daemon._scheduler.schedules.values()
        await desk.daemon._cycle(_PAIR, Reading.CHANGES)
        assert desk.daemon._outcomes.alerts.told == set()
        assert desk.daemon._kind(schedule, Reading.CHANGES) is Kind.SNAPSHOT
        _taken(store, desk.clock.now())
        assert desk.daemon._kind(schedule, Reading.CHANGES) is Kind.INCREMENTAL
        assert desk.daemon._kind(schedule, Reading.SNAPSHOT) is None

    _Desk(config, store).work(test)


@pytest.mark.parametrize(
    ("by", "hours", "kind"),
    [
        pytest.param(8 * _HOUR, 0, Kind.SNAPSHOT, id="it slept through the night's snapshot"),
        pytest.param(2 * _HOUR, 0, Kind.INCREMENTAL, id="it slept an evening"),
        pytest.param(-_HOUR, 0, Kind.INCREMENTAL, id="put back"),
        pytest.param(-_HOUR, 5, Kind.INCREMENTAL, id="put back, before the night's snapshot"),
        pytest.param(-_HOUR, 6, Kind.SNAPSHOT, id="put back, and the night's snapshot was missed"),
        pytest.param(-9000 * _HOUR, 24, Kind.SNAPSHOT, id="put back from a wrong year, and the next one was missed"),
    ],
)
def test_a_snapshot_is_made_up_for_whatever_is_done_to_the_clock(
    config: Path, store: Store, by: int, hours: int, kind: Kind
) -> None:
    async def test(desk: _Desk) -> None:
        (schedule,) = desk.daemon._scheduler.schedules.values()
        assert datetime.fromtimestamp(desk.clock.now() / 1000, UTC).hour == 22
        _taken(store, desk.clock.now())
        assert desk.daemon._kind(schedule, Reading.CHANGES) is Kind.INCREMENTAL
        desk.clock.put(by)
        desk.clock.let_pass(hours * _HOUR)
        assert desk.daemon._kind(schedule, Reading.CHANGES) is kind

    _Desk(config, store).work(test)
