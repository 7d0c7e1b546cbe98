"""The process that is killed: the real product over a configuration, as `twoway.daemon.app` puts it together.

`python -m tests.acceptance.victim CONFIG CLOCK` imports everything, and then forks a process of its own for each order
that it reads: one line of JSON, `{"tasks": [[name, argument...], ...], "die": [name, count] | null}`. It tells the new
process's id, and the process begins at the word `go`; at the fault point `name`, when that is passed for the `count`th
time, it sends itself signal 9. `["statement", count]` is the `count`th statement that SQLite is given.
"""

import asyncio
import gc
import itertools
import json
import mmap
import os
import secrets
import signal
import sqlite3
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from twoway.config.load import Config
from twoway.core.model import Instant, Side
from twoway.core.plan import State
from twoway.daemon.app import read_config, state_path
from twoway.daemon.clock import SystemClock
from twoway.daemon.lock import state_lock
from twoway.engine import byhand
from twoway.engine.accounts import Accounts
from twoway.engine.cycle import Kind, Report
from twoway.engine.service import Service
from twoway.state.attention import Parking
from twoway.state.links import Mark
from twoway.state.rows import Observation
from twoway.state.store import Store

PAIR = "crm-newsletter"
STATEMENT = "statement"
BETWEEN_CYCLES = 660.0
"""Seconds between two cycles of a recovery: longer than any request lives, any index lags or any retry waits."""
ENOUGH = 10
"""Cycles in which everything must have come to rest."""
HUGE = "x" * 100_000

Answer = dict[str, Any]


class Ahead:
    """How many seconds the clocks of the apps and of the product are ahead of the machine's, in a file that all share:
    what takes minutes is over at once."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    @property
    def seconds(self) -> float:
        return float(struct.unpack("d", self._memory[:8])[0])

    def add(self, seconds: float) -> None:
        """Let so much time pass."""
        self._memory[:8] = struct.pack("d", self.seconds + seconds)


class Clock(SystemClock):
    """The product's clock: the machine's, ahead by what is over already. Whoever sleeps on it moves it."""

    def __init__(self, ahead: Ahead) -> None:
        self._ahead = ahead

    def now(self) -> Instant:
        return super().now() + round(self._ahead.seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        self._ahead.add(seconds)
        await asyncio.sleep(0)


class Points:
    """The fault point of a real process: it counts, and one of them is its last."""

    def __init__(self, last: tuple[str, int] | None) -> None:
        self._last = last
        self._counts: Counter[str] = Counter()
        self.passed: list[tuple[str, int]] = []

    def __call__(self, name: str) -> None:
        self._counts[name] += 1
        point = (name, self._counts[name])
        if point == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed.append(point)

    def count_statements(self) -> None:
        """Every statement that SQLite is given from now on is a point, too."""
        connect = sqlite3.connect

        def counting(*arguments: Any, **more: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **more)
            connection.set_trace_callback(lambda _: self(STATEMENT))
            return connection

        sqlite3.connect = counting  # type: ignore[assignment]  # in this process, which is thrown away


class Product:
    """The product in this process."""

    def __init__(self, config: Config, store: Store, clock: Clock, ahead: Ahead, points: Points) -> None:
        self.store = store
        self._clock = clock
        self._ahead = ahead
        self.service = Service(config, store, clock, fault=points)

    async def approve(self) -> Answer:
        """`twoway plan`, `twoway approve`."""
        plan = await self.service.plan(PAIR)
        if plan.report.error is not None:
            raise plan.report.error
        await self.service.approve(PAIR)
        return {}

    async def cycle(self, kind: str = "incremental") -> Answer:
        """One cycle, as the schedule asks for it."""
        return _told(await self.service.cycle(PAIR, Kind(kind)))

    async def undo(self, cycle: int) -> Answer:
        """`twoway undo CYCLE`."""
        pair, plan = await self.service.plan_undo(cycle)
        return {"begun": len(plan.staging), **_told(await self.service.undo(pair, plan))} if plan.staging else {}

    async def decide(self, side: str) -> Answer:
        """`twoway conflicts resolve`, for every open one, with the value of one side."""
        for row in self.store.attention.conflicts(self._pair):
            byhand.resolve(self.store, row, row.left if side == "left" else row.right, self._clock.now())
        return {}

    async def settle(self) -> Answer:
        """Cycles by day and complete ones by night, until nothing is in flight and nothing waits to be decided."""
        for number in range(ENOUGH):
            self._ahead.add(BETWEEN_CYCLES)
            told = await self.cycle("snapshot" if number % 2 else "incremental")
            if told["ending"] != "done":
                return {"settled": False, **told}
            if number and not self._in_flight() and self.store.observations.next_due(self._pair) is None:
                return {"settled": True, **told}
        return {"settled": False}

    async def whole(self) -> Answer:
        """Whether the state file is sound, as SQLite sees it. RuntimeError if it is not."""
        found = [row[0] for row in self.store.db.run("PRAGMA integrity_check")]
        found += self.store.db.run("PRAGMA foreign_key_check").fetchall()
        if found != ["ok"]:
            raise RuntimeError(f"the state file is damaged: {found}")
        return {}

    async def look(self) -> Answer:
        """What the state says, for the judge."""
        pair, attention = self._pair, self.store.attention
        links = self.store.db.run("SELECT left_id, right_id FROM link WHERE pair = ?", (pair,)).fetchall()
        conflicts = attention.conflicts(pair)
        return {
            "links": [list(row) for row in links],
            "conflicts": [[row.left_id, row.right_id, row.field, row.left, row.right] for row in conflicts],
            "parked": [[row.side.value, row.record_id, row.code] for row in attention.parked(pair)],
            "history": [
                [row.side.value, row.record_id, row.field, row.old]
                for row in self.store.operations.history(pair=pair, limit=None)
            ],
            "in_flight": self._in_flight(),
            "written": await _asked("written"),
            "cycles": [row.id for row in self.store.pairs.cycles(pair, limit=100)],
        }

    async def fill(self) -> Answer:
        """One transaction that is larger than SQLite's cache: what is not committed is in the files all the same."""
        rows = [Observation(Side.LEFT, str(number), number, "live", values={"given": HUGE}) for number in range(500)]
        with self.store.commit("fill"):
            self.store.observations.put(self._pair, rows)
        return {}

    async def commit(self) -> Answer:
        """Commits without end, each to two tables; the number of each is told once it is through."""
        for number in itertools.count(1):
            with self.store.commit("both", durable=True):
                self.store.links.mark(self._pair, [Mark(Side.LEFT, str(number), "retired", "for a test")], number)
                self.store.attention.park(self._pair, [Parking(Side.LEFT, str(number), "test", "for a test")], number)
            _say({"committed": number})
        return {}

    async def count(self) -> Answer:
        """How many rows `fill` and `commit` left."""
        return {
            table: self.store.db.one(f"SELECT count(*) FROM {table}") for table in ("observation", "mark", "parked")
        }

    @property
    def _pair(self) -> int:
        return self.store.pairs.ensure(PAIR).id

    def _in_flight(self) -> int:
        return len(self.store.operations.in_state(self._pair, State.PLANNED, State.HELD, State.SENT, State.UNKNOWN))


async def _asked(what: str) -> Any:
    """Something that the one who forked us knows."""
    _say({"ask": what})
    return json.loads(sys.stdin.buffer.readline())


def _told(report: Report) -> Answer:
    return {
        "cycle": report.cycle,
        "ending": report.ending.value,
        "counts": dict(report.counts),
        "why": [*report.reasons, *([str(report.error)] if report.error else [])],
    }


async def _carry_out(product: Product, tasks: list[list[Any]]) -> Answer:
    answer: Answer = {}
    cycles = (product.approve, product.cycle, product.undo, product.decide, product.settle)
    state = (product.whole, product.look, product.fill, product.commit, product.count)
    known: Mapping[str, Callable[..., Awaitable[Answer]]] = {task.__name__: task for task in (*cycles, *state)}
    try:
        for name, *arguments in tasks:
            answer |= await known[name](*arguments)
    finally:
        await product.service.close()
    return answer


def work(config: Config, ahead: Ahead, order: Mapping[str, Any]) -> Answer:
    """What one process does, from the lock to the end: what its tasks told, and the fault points that it passed."""
    last = order["die"]
    points = Points(None if last is None else (last[0], last[1]))
    if order.get("statements") or (last is not None and last[0] == STATEMENT):
        points.count_statements()
    path = state_path(config)
    with state_lock(path):
        store = Store(path, secrets.token_hex(4), fault=points)
        try:
            answer = asyncio.run(_carry_out(Product(config, store, Clock(ahead), ahead, points), order["tasks"]))
        finally:
            store.close()
    return {**answer, "points": points.passed}


def _say(what: Answer) -> None:
    sys.stdout.buffer.write(json.dumps(what).encode() + b"\n")
    sys.stdout.buffer.flush()


def _child(config: Config, ahead: Ahead, order: Mapping[str, Any]) -> None:
    """Never returns: what the parent has yet to do is not for a copy of it to do again."""
    code = 1
    try:
        if sys.stdin.buffer.readline():
            _say({"answer": work(config, ahead, order)})
            code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told, and this process ends
        _say({"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(code)


async def _warm(config: Config, clock: Clock) -> None:
    """Import and build all that is the same for every process: a new state and one request to each account do it."""
    with tempfile.TemporaryDirectory() as folder:
        Store(Path(folder) / "state.db", "warm").close()
    accounts, pair = Accounts(config, clock), config.pairs[PAIR]
    for side in Side:
        connector = accounts.side(pair.mapping.side(side), pair.spec)
        await connector.check()
        await connector.close()


def main() -> None:
    """Fork a process for each order, until there are no more."""
    config = read_config(Path(sys.argv[1]))
    ahead = Ahead(Path(sys.argv[2]))
    asyncio.run(_warm(config, Clock(ahead)))
    gc.collect()
    gc.freeze()
    while line := sys.stdin.buffer.readline():
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(config, ahead, order)
        _say({"pid": child})
        _, status = os.waitpid(child, 0)
        _say({"ended": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main()
