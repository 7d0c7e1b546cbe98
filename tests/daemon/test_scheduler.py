"""The schedule: what is due when, one cycle a pair, and reloading."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.fakes import run
from twoway.daemon.clock import SystemClock
from twoway.daemon.scheduler import PairSchedule, Reading, Scheduler, due_after

_HOUR = 3_600_000
_DAY = 24 * _HOUR
_MONDAY = 1_772_409_600_000
"""2026-03-02, midnight UTC."""


class Cycles:
    """Stands for the engine: notes what was asked of it, and can be held up."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Reading]] = []
        self.ended: list[tuple[str, Reading]] = []
        self.at_once: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.open = asyncio.Event()
        self.open.set()
        self.news = asyncio.Condition()

    async def __call__(self, pair: str, reading: Reading) -> None:
        self.begun.append((pair, reading))
        self.at_once[pair] += 1
        self.most_at_once[pair] = max(self.most_at_once[pair], self.at_once[pair])
        try:
            await self._tell()
            await self.open.wait()
            self.ended.append((pair, reading))
        finally:
            self.at_once[pair] -= 1
            await self._tell()

    async def until_begun(self, count: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: len(self.begun) >= count)

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()


def _scheduler(cycles: Cycles, schedules: Iterable[PairSchedule]) -> Scheduler:
    scheduler = Scheduler(cycles, SystemClock())
    scheduler.start(schedules)
    return scheduler


@pytest.mark.parametrize(
    ("schedule", "reading", "after", "expected"),
    [
        pytest.param(PairSchedule(pair="p", every_seconds=90), Reading.CHANGES, 5, 90_005, id="an interval"),
        pytest.param(PairSchedule(pair="p", every_seconds=90), Reading.SNAPSHOT, 5, None, id="no snapshots asked for"),
        pytest.param(
            PairSchedule(pair="p", every_seconds=90, snapshot_cron="0 3 * * *", timezone="Europe/Berlin"),
            Reading.SNAPSHOT,
            _MONDAY,
            _MONDAY + 2 * _HOUR,
            id="three in the morning, in Berlin",
        ),
        pytest.param(
            PairSchedule(pair="p", cron="0 0 * * 1"), Reading.CHANGES, _MONDAY - 1, _MONDAY, id="about to be due"
        ),
        pytest.param(
            PairSchedule(pair="p", cron="0 0 * * 1"), Reading.CHANGES, _MONDAY, _MONDAY + 7 * _DAY, id="just was due"
        ),
    ],
)
def test_what_is_due_when(schedule: PairSchedule, reading: Reading, after: int, expected: int | None) -> None:
    assert due_after(schedule, after, reading) == expected


@given(after=st.integers(0, 4 * 10**12), line=st.sampled_from(["0 3 * * *", "*/7 * * * *", "15 6 1 * mon"]))
def test_the_next_time_is_always_later(after: int, line: str) -> None:
    due = due_after(PairSchedule(pair="p", cron=line, timezone="America/St_Johns"), after)
    assert due is not None
    assert due > after


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        pytest.param({}, "needs one of `every` and `cron`", id="no time at all"),
        pytest.param({"every_seconds": 60, "cron": "0 3 * * *"}, "not both", id="two times"),
        pytest.param({"every_seconds": 0}, "more than zero", id="without a pause"),
        pytest.param({"cron": "0 3 * *"}, "not five cron fields", id="a short line"),
        pytest.param({"every_seconds": 60, "snapshot_cron": "0 0 31 2 *"}, "a day that never comes", id="never"),
        pytest.param({"cron": "0 3 * * *", "timezone": "Europe/Bärlin"}, "which is unknown", id="no such zone"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        PairSchedule(pair="p", **wrong)  # type: ignore[arg-type]  # a row of the table holds any of them


def test_pairs_are_read_at_once_and_again_by_interval() -> None:
    async def test() -> None:
        cycles = Cycles()
        scheduler = _scheduler(cycles, [PairSchedule(pair=pair, every_seconds=0.01) for pair in ("a", "b")])
        await cycles.until_begun(6)
        await scheduler.stop()
        assert {("a", Reading.CHANGES), ("b", Reading.CHANGES)} == set(cycles.begun)
        assert cycles.ended == cycles.begun

    run(test())


def test_one_pair_never_has_two_cycles_at_a_time_and_does_not_hold_up_another() -> None:
    async def test() -> None:
        cycles = Cycles()
        cycles.open.clear()
        scheduler = _scheduler(
            cycles,
            [
                PairSchedule(pair="slow", every_seconds=0.01, snapshot_cron="* * * * *"),
                PairSchedule(pair="quick", every_seconds=0.01),
            ],
        )
        await cycles.until_begun(2)
        assert sorted(cycles.begun) == [("quick", Reading.CHANGES), ("slow", Reading.CHANGES)]
        snapshot = asyncio.create_task(scheduler._run("slow", Reading.SNAPSHOT))
        cycles.open.set()
        await snapshot
        await cycles.until_begun(8)
        await scheduler.stop()
        assert ("slow", Reading.SNAPSHOT) in cycles.ended
        assert cycles.most_at_once == {"slow": 1, "quick": 1}

    run(test())


def test_a_cycle_that_is_cancelled_from_outside_stays_cancelled() -> None:
    async def test() -> None:
        cycles = Cycles()
        cycles.open.clear()
        scheduler = Scheduler(cycles, SystemClock())
        cycle = asyncio.create_task(scheduler._run("p", Reading.CHANGES))
        await cycles.until_begun(1)
        cycle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cycle

    run(test())


def test_a_cycle_that_raises_does_not_end_the_schedule() -> None:
    async def test() -> None:
        calls = 0
        third = asyncio.Event()

        async def cycle(_pair: str, _reading: Reading) -> None:
            nonlocal calls
            calls += 1
            if calls == 3:
                third.set()
            raise RuntimeError

        scheduler = Scheduler(cycle, SystemClock())
        scheduler.start([PairSchedule(pair="p", every_seconds=0.01)])
        await third.wait()
        await scheduler.stop()

    run(test())


def test_reloading_keeps_what_is_unchanged_and_replaces_what_is_not() -> None:
    async def test() -> None:
        cycles = Cycles()
        hourly = {pair: PairSchedule(pair=pair, every_seconds=3600) for pair in ("kept", "changed", "removed")}
        snapshots = PairSchedule(pair="changed", every_seconds=7200, snapshot_cron="0 3 * * *")
        scheduler = _scheduler(cycles, hourly.values())
        await cycles.until_begun(3)
        kept = scheduler.next_run("kept")
        assert kept is not None
        assert scheduler.next_run("changed", Reading.SNAPSHOT) is None

        scheduler.reload([hourly["kept"], snapshots, PairSchedule(pair="new", every_seconds=3600)])
        assert scheduler.next_run("kept") == kept
        assert scheduler.next_run("removed") is None
        assert scheduler.next_run("changed", Reading.SNAPSHOT) is not None
        assert set(scheduler.schedules) == {"kept", "changed", "new"}
        await cycles.until_begun(5)
        assert Counter(pair for pair, _ in cycles.begun) == {"kept": 1, "removed": 1, "changed": 2, "new": 1}

        scheduler.reload([hourly["kept"], hourly["changed"]])
        assert scheduler.next_run("changed", Reading.SNAPSHOT) is None
        await scheduler.stop()

    run(test())


def test_a_cycle_of_a_removed_pair_is_left_to_finish() -> None:
    async def test() -> None:
        cycles = Cycles()
        cycles.open.clear()
        scheduler = _scheduler(cycles, [PairSchedule(pair="p", every_seconds=3600)])
        await cycles.until_begun(1)
        scheduler.reload([])
        cycles.open.set()
        await scheduler.stop()
        assert cycles.ended == [("p", Reading.CHANGES)]

    run(test())


def test_hurry_reads_a_pair_before_its_time() -> None:
    async def test() -> None:
        cycles = Cycles()
        scheduler = _scheduler(cycles, [PairSchedule(pair="p", cron="0 0 1 1 *")])
        scheduler.hurry("p")
        scheduler.hurry("of no configuration")
        await cycles.until_begun(1)
        await scheduler.stop()
        assert cycles.begun == [("p", Reading.CHANGES)]

    run(test())


def test_stopping_waits_for_the_cycle_under_way_and_begins_none_that_waits() -> None:
    async def test() -> None:
        cycles = Cycles()
        cycles.open.clear()
        scheduler = _scheduler(cycles, [PairSchedule(pair="p", every_seconds=3600)])
        await cycles.until_begun(1)
        waiting = asyncio.create_task(scheduler._run("p", Reading.SNAPSHOT))
        stopping = asyncio.create_task(scheduler.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        cycles.open.set()
        await asyncio.gather(stopping, waiting)
        assert cycles.begun == cycles.ended == [("p", Reading.CHANGES)]

    run(test())


def test_a_stop_that_is_cancelled_cancels_the_cycles(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        cycles = Cycles()
        cycles.open.clear()
        scheduler = _scheduler(cycles, [PairSchedule(pair="p", every_seconds=3600)])
        await cycles.until_begun(1)
        stopping = asyncio.create_task(scheduler.stop())
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert cycles.ended == []
        assert cycles.at_once["p"] == 0

    run(test())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@given(jitter=st.integers(1, 600))
def test_jitter_spreads_the_first_cycles(jitter: int) -> None:
    async def test() -> None:
        clock = SystemClock()
        scheduler = Scheduler(Cycles(), clock)
        before = clock.now()
        scheduler._jobs.start(paused=True)
        scheduler.reload([PairSchedule(pair="p", every_seconds=60, jitter=jitter)])
        due = scheduler.next_run("p")
        assert due is not None
        assert before <= due <= clock.now() + jitter * 1000
        await scheduler.stop()

    run(test())


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("back_to", "nightly"),
    [
        pytest.param("2026-03-02 11:00:00", "2026-03-03 03:00:00", id="by an hour"),
        pytest.param("2026-03-02 02:00:00", "2026-03-02 03:00:00", id="to before the night's snapshot"),
        pytest.param("2024-03-02 12:00:00", "2024-03-03 03:00:00", id="by two years"),
    ],
)
@pytest.mark.parametrize("jitter", [0, 30])
def test_a_clock_that_is_put_back_delays_no_cycle(back_to: str, nightly: str, jitter: int) -> None:
    schedule = PairSchedule(pair="p", every_seconds=3600, snapshot_cron="0 3 * * *", jitter=jitter)

    async def test(wall: time_machine.Traveller) -> None:
        cycles = Cycles()
        scheduler = _scheduler(cycles, [schedule])
        scheduler.hurry("p")
        await cycles.until_begun(1)
        before = SystemClock().now()
        wall.move_to(_at(back_to))
        scheduler.clock_was_put(SystemClock().now() - before)
        changes, snapshot = scheduler.next_run("p"), scheduler.next_run("p", Reading.SNAPSHOT)
        now, due = _at(back_to).timestamp() * 1000, _at(nightly).timestamp() * 1000
        assert changes is not None
        assert now <= changes <= now + jitter * 1000
        assert snapshot is not None
        assert due <= snapshot <= due + jitter * 1000
        if not jitter:
            await cycles.until_begun(2)
        await scheduler.stop()

    with time_machine.travel(_at("2026-03-02 12:00:00"), tick=False) as wall:
        run(test(wall))


@pytest.mark.parametrize(
    ("forward_to", "begun"),
    [
        pytest.param("2026-03-03 03:30:00", [Reading.SNAPSHOT], id="over a night"),
        pytest.param("2026-03-10 03:30:00", [Reading.CHANGES, Reading.SNAPSHOT], id="over a week of nights"),
        pytest.param("2086-03-10 03:30:00", [Reading.CHANGES, Reading.SNAPSHOT], id="from a wrong year"),
        pytest.param("2026-03-03 02:59:59.950", [Reading.SNAPSHOT], id="to just before a night's"),
        pytest.param("2026-03-02 12:30:00", [], id="over nothing that was due"),
    ],
)
def test_a_clock_that_is_put_forward_makes_up_for_what_was_due_at_once_and_once(
    forward_to: str, begun: list[Reading]
) -> None:
    """The event loop does not see the clock: by its own time the next job is hours away."""
    schedule = PairSchedule(pair="p", cron="0 0 * * 1", snapshot_cron="0 3 * * *")
    mark = PairSchedule(pair="mark", cron="0 0 1 1 *")

    async def test(wall: time_machine.Traveller) -> None:
        cycles = Cycles()
        scheduler = _scheduler(cycles, [schedule, mark])
        scheduler.hurry("mark")
        await cycles.until_begun(1)
        before = SystemClock().now()
        wall.move_to(_at(forward_to))
        scheduler.clock_was_put(SystemClock().now() - before)
        for reading in schedule.readings:
            due = scheduler.next_run("p", reading)
            assert due is not None
            assert due >= _at(forward_to).timestamp() * 1000, "there may be years of times to count through"
        await cycles.until_begun(1 + len(begun))
        scheduler.hurry("mark")
        await cycles.until_begun(2 + len(begun))
        await scheduler.stop()
        assert sorted(reading for pair, reading in cycles.begun if pair == "p") == sorted(begun)

    with time_machine.travel(_at("2026-03-02 12:00:00")) as wall:
        run(test(wall))
