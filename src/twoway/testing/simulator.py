"""Random histories of a whole pair: the real cycle and the real state between two apps in memory, on one clock.

    found = history(7)          # replays exactly, from the seed alone
    found.violations            # what `twoway.testing.invariants` holds against it
    found.trace                 # everything that happened, to read

People edit both sides at any fault point; requests and answers get lost, land late, or are refused for now; listings
show the past; the process dies before and after each remote call and each commit, and starts anew on the same state.
Then everybody rests: the pair must agree before a snapshot, and write nothing after it.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import NoReturn

from twoway.core.model import Fetched, Instant, Page, Raw, Receipt, Side, Write
from twoway.engine import cycle
from twoway.engine.cycle import Ending
from twoway.engine.run import Tuning
from twoway.sdk.errors import TryLater
from twoway.testing import invariants
from twoway.testing.memory import DuplicateKey, MemoryApp, MemoryConnector
from twoway.testing.scenarios import FIELDS, MAPPED, UNMAPPED, History, Scenario, Sent, scenario
from twoway.testing.world import World


class Crash(BaseException):
    """The process dies here."""


class Simulator:
    """One history at work."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rng = random.Random(scenario.seed)
        self.trace: list[str] = []
        self.sent: dict[str, Sent] = {}
        self.edits, self.faults = scenario.edits, scenario.faults
        self.quiet = self.dead = self._running = False
        self.points = 0
        """Fault points that were passed."""
        self.crash_at: int | None = None
        """The process dies at the fault point of this number."""
        self._count = 0
        self._began: Instant = 0
        self._late: list[tuple[Instant, MemoryConnector, Write]] = []
        self._logged = dict.fromkeys(Side, 0)
        self.world = World(
            scenario.spec,
            manners=scenario.manners,
            fields=FIELDS,
            fault=self.point,
            tuning=Tuning(retry=60_000, duplicate_retry=60_000),
            connect=lambda app: Unreliable(app, self),
        )
        for app in self.world.apps.values():
            app.lateness = lambda app=app: self.rng.randint(0, app.manner.lag)  # type: ignore[misc]  # bound early
        self._start = self.world.clock.now()

    # -- time, faults and people

    def say(self, what: str) -> None:
        """Add a line to the trace, after the writes that the apps accepted since the last one."""
        for side in Side:
            app = self.world.apps[side]
            for change in app.log[self._logged[side] :]:
                self._logged[side] = len(app.log)
                values = ", ".join(f"{name}: {old} -> {new}" for name, (old, new) in change.fields.items())
                self.trace.append(f"{self._time(change.at)} {change.who} {change.kind} {change.id} {{{values}}}")
        self.trace.append(f"{self._time(self.world.clock.now())} {what}")

    def _time(self, at: Instant) -> str:
        return f"{(at - self._start) / 1000:8.3f}"

    def point(self, name: str) -> None:
        """A fault point: time passes, late requests land, people edit, the process may die."""
        if self.dead:
            raise Crash
        if not self._running:
            return
        self.wait(self.rng.choice((0, 0, 0, 0.5, 1, 2)))
        self.points += 1
        if self.points == self.crash_at:
            self._die(name)
        if self.quiet:
            return
        while self.edits > 0 and self.rng.random() < self.scenario.edit_share:
            self.edit()
        if self.faults > 0 and self.rng.random() < self.scenario.crash_share:
            self.faults -= 1
            self._die(name)

    def _die(self, name: str) -> NoReturn:
        self.say(f"CRASH {name}")
        self.dead = True
        raise Crash

    def strikes(self, share: float) -> bool:
        """Whether a fault is to happen."""
        if self.quiet or self.faults <= 0 or self.rng.random() >= share:
            return False
        self.faults -= 1
        return True

    def wait(self, seconds: float) -> None:
        """Let time pass; the requests that were given up land when they are due."""
        clock = self.world.clock
        until = clock.now() + round(seconds * 1000)
        for one in sorted((one for one in self._late if one[0] <= until), key=lambda one: one[0]):
            self._late.remove(one)
            clock.advance(max(0, one[0] - clock.now()) / 1000)
            self.say(f"lands late: {one[1].write(one[2]).outcome}")
        clock.advance((until - clock.now()) / 1000)

    def later(self, connector: MemoryConnector, write: Write) -> None:
        """This write lands within the request's lifetime."""
        delay = self.rng.randint(0, connector.app.manner.request_lifetime)
        self._late.append((self.world.clock.now() + delay, connector, write))

    def leaves(self, connector: MemoryConnector, writes: Sequence[Write], read: Mapping[str, int]) -> None:
        """Note what was known when these left."""
        for write in writes:
            self.sent[write.operation] = Sent(read.get(write.id or "", 0), self.world.clock.now(), self._began)
            self.say(f"sends {write.kind} {write.id or connector.app.name} as {write.operation}")

    def edit(self) -> None:
        """A person does something in one of the apps."""
        self.edits -= 1
        app = self.world.apps[self.rng.choice(tuple(Side))]
        live = sorted(app.live())
        dice = self.rng.random()
        try:
            if not live or dice < 0.2:
                app.human_create(**{name: self._value(name) for name in MAPPED})
            elif dice < 0.68:
                self._change(app, self.rng.choice(live))
            elif dice < 0.78:
                if self.scenario.deletes:
                    app.human_delete(self.rng.choice(live))
            elif dice < 0.84:
                if self.scenario.merges and len(live) > 1:
                    self._merge(app, *self.rng.sample(live, 2))
            elif dice < 0.88:
                self._restore(app)
            else:
                record = self.rng.choice(live)
                app.human_update(record, segment=None if app.records[record].values.get("segment") else "out")
        except DuplicateKey:
            return

    def _change(self, app: MemoryApp, record_id: str) -> None:
        name = self.rng.choice(("name", "name", "phone", "email", UNMAPPED))
        old = [c.fields[name][0] for c in app.log if c.id == record_id and name in c.fields and c.fields[name][0]]
        if old and self.rng.random() < 0.2:
            app.human_update(record_id, **{name: self.rng.choice(old)})
        elif self.scenario.blanks and name != "email" and self.rng.random() < 0.2:
            app.human_update(record_id, **{name: None})
        else:
            app.human_update(record_id, **{name: self._value(name)})

    def _value(self, name: str) -> str:
        self._count += 1
        if name == "email":
            return f"e{self.rng.randint(1, self.scenario.addresses)}@example.org"
        return f"{name}{self._count}{'+' if self.rng.random() < 0.3 else ''}"

    def _merge(self, app: MemoryApp, loser: str, survivor: str) -> None:
        app.human_merge(loser, survivor)
        app.human_update(survivor, name=app.records[loser].values.get("name"))

    def _restore(self, app: MemoryApp) -> None:
        dead = [record for record in app.records.values() if not record.alive]
        if not dead:
            return
        record = self.rng.choice(dead)
        if not app.has_key(record.values, besides=record.id):
            app.human_restore(record.id)

    def _decide(self) -> None:
        """A person decides a conflict, if there is one."""
        store, pair = self.world.store, self.world.pair
        rows = [row for row in store.attention.conflicts(pair.id) if row.state == "open"]
        if not rows:
            return
        row = self.rng.choice(rows)
        value = self.rng.choice((row.left, row.right))
        self.world.decide(row.id, value)
        self.say(f"decides conflict of {row.left_id} {row.right_id}: {row.field} = {value}")

    # -- the play

    async def play(self) -> History:
        """The whole history, judged."""
        for _ in range(self.scenario.cycles):
            await self.cycle(snapshot=self.rng.random() < 0.2, after=self.rng.choice((0, 1, 5, 20)))
            if self.edits > 0 and self.rng.random() < 0.7:
                self.edit()
            if self.rng.random() < 0.3:
                self._decide()
        return await self.judged()

    async def judged(self, rest: int = 9) -> History:
        """Let everybody rest for so many cycles, and judge what came of it."""
        found = History(self.scenario, self.world, self.trace, self.sent)
        self.quiet = True
        self.say("REST")
        for _ in range(rest):
            await self.cycle(snapshot=False, after=40)
        unseen = not all(manner.feed_deletions and manner.feed_merges for manner in self.scenario.manners.values())
        early = invariants.convergence(found, deletions=not unseen)
        for number in range(rest * 2 // 3):
            await self.cycle(snapshot=number % 2 == 0, after=40)
        written = [len(app.log) for app in self.world.apps.values()]
        for _ in range(2):
            await self.cycle(snapshot=True, after=40)
        for app, before in zip(self.world.apps.values(), written, strict=True):
            found.violations += [f"not quiet: {change.kind} {change.id}" for change in app.log[before:]]
        self.say("END")
        late = invariants.convergence(found, deletions=True)
        found.violations += late or [f"{one} (before a snapshot)" for one in early]
        found.violations += invariants.safety(found)
        self.world.store.close()
        return found

    async def cycle(self, *, snapshot: bool, after: float) -> None:
        """One cycle of a process that may die in it; whoever holds a plan approves it."""
        self.wait(after)
        self._began = self.world.clock.now()
        kind = cycle.Kind.SNAPSHOT if snapshot else cycle.Kind.INCREMENTAL
        self.say(f"cycle {kind}")
        self._running = True
        try:
            report = await self.world.cycle(kind, after=0)
        except Crash:
            self.dead = self._running = False
            self.world.start()
            return
        self._running = False
        if report.error is not None:
            self.say(f"failed: {report.error}")
        if report.ending is Ending.HELD:
            self.say(f"approves: {report.reasons}")
            self.world.approve()


class Unreliable(MemoryConnector):
    """A connector between which and its app requests and answers get lost."""

    def __init__(self, app: MemoryApp, simulator: Simulator) -> None:
        super().__init__(app)
        self._simulator = simulator
        self._read: dict[str, int] = {}

    async def changes(self, cursor: str | None) -> Page:
        await self._travel()
        return await super().changes(cursor)

    async def snapshot(self, cursor: str | None) -> Page:
        await self._travel()
        return await super().snapshot(cursor)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        await self._travel()
        self._read.update(dict.fromkeys(ids, len(self.app.log)))
        return await super().fetch(ids)

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        await self._travel()
        return await super().find(field, values)

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        simulator = self._simulator
        simulator.leaves(self, writes, self._read)
        await self._travel()
        if simulator.strikes(0.06):
            simulator.say("LOST on the way")
            raise TryLater("no answer", sent=True)
        if simulator.strikes(0.06):
            simulator.say("LOST, to land late")
            for write in writes:
                simulator.later(self, write)
            return [Receipt.unknown("no answer")] * len(writes)
        refused = [simulator.strikes(0.03) for _ in writes]
        receipts = [
            Receipt.later("busy") if no else self.write(write) for write, no in zip(writes, refused, strict=True)
        ]
        simulator.say("answers " + ", ".join(receipt.outcome for receipt in receipts))
        if simulator.strikes(0.1):
            simulator.say("LOST answer")
            return [Receipt.unknown("no answer")] * len(writes)
        return receipts

    async def _travel(self) -> None:
        """Let the other side's work go on meanwhile; an app that is busy says so."""
        for _ in range(self._simulator.rng.choice((0, 0, 1, 3))):
            await asyncio.sleep(0)
        if self._simulator.strikes(0.03):
            self._simulator.say(f"BUSY {self.app.name}")
            raise TryLater("busy")


def history(seed: int) -> History:
    """Play the history of a seed and judge it."""
    return asyncio.run(Simulator(scenario(seed)).play())
