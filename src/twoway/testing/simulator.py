"""Random histories of a whole pair: the real cycle and the real state between two apps in memory, on one clock.

    found = history(7)          # replays exactly, from the seed alone
    found.violations            # what `twoway.testing.invariants` holds against it
    found.trace                 # everything that happened, to read

People edit both sides at any fault point, decide conflicts, and take cycles back; requests and answers get lost, land
late, or are refused for now; listings show the past, or too little; two processes believe that the pair is theirs; the
process dies before and after each remote call and each commit, and starts anew on the same state. Then everybody rests:
the pair must agree before a snapshot, and write nothing after it.

    python -m twoway.testing.simulator --seeds 0:10000 --jobs 2
"""

import asyncio
import random
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from twoway.core.mapping import compile_mapping
from twoway.core.model import Instant, Side, Write
from twoway.core.plan import State
from twoway.engine import byhand
from twoway.engine.cycle import Ending, Kind, Report
from twoway.engine.run import Tuning
from twoway.engine.undo import run_undo
from twoway.state.errors import LeaseLost
from twoway.state.operations import Staging
from twoway.testing import invariants
from twoway.testing.failures import failure
from twoway.testing.faults import Unreliable
from twoway.testing.memory import MemoryConnector
from twoway.testing.people import People
from twoway.testing.samples import Samples
from twoway.testing.scenarios import History, Scenario, Sent, Subject, scenario
from twoway.testing.world import World

REST = 40
"""Seconds between two cycles while everybody rests."""


_SOON, _LATER = 50_000, 200_000
"""Milliseconds: what is due no sooner was set aside, to be tried again; or will hardly be tried again."""


class Crash(BaseException):
    """The process dies here."""


class Simulator:
    """One history at work. `path` is where the state is: a new one."""

    def __init__(self, scenario: Scenario, path: str = ":memory:") -> None:
        self.scenario = scenario
        self.rng = random.Random(scenario.seed)
        self.quiet = self.dead = self._running = self._taken_over = False
        self.points = 0
        """Fault points that were passed."""
        self.crash_at: int | None = None
        """The process dies at the fault point of this number."""
        self._faults = 0
        self._began: Instant = 0
        self._late: list[tuple[Instant, MemoryConnector, Write]] = []
        self._logged = dict.fromkeys(Side, 0)
        self._halted = False
        subject = scenario.subject
        mapping = subject.mapping if subject else compile_mapping(scenario.spec)
        samples = subject.samples if subject else Samples(scenario.spec, mapping)
        world = World(
            scenario.spec,
            manners=scenario.manners,
            fields=samples.names,
            # A scenario changes nothing of somebody's mapping but its guard.
            mapping=replace(mapping, rules=replace(mapping.rules, guard=scenario.spec.guard)),
            fault=self.point,
            tuning=Tuning(retry=60_000, duplicate_retry=60_000),
            settle=scenario.settle,
            connect=lambda app: Unreliable(app, self),
            path=path,
        )
        self.world = world
        self.found = History(scenario, world, samples)
        self.people = People(self.found, self.say)
        for app in world.apps.values():
            app.lateness = lambda app=app: self.rng.randint(0, app.manner.lag)  # type: ignore[misc]  # bound early
        self._start = world.clock.now()

    # -- time and faults

    def say(self, what: str) -> None:
        """Add a line to the trace, after the writes that the apps accepted since the last one."""
        for side in Side:
            app = self.world.apps[side]
            for change in app.log[self._logged[side] :]:
                self._logged[side] = len(app.log)
                values = ", ".join(f"{name}: {old} -> {new}" for name, (old, new) in change.fields.items())
                self.found.trace.append(f"{self._time(change.at)} {change.who} {change.kind} {change.id} {{{values}}}")
        self.found.trace.append(f"{self._time(self.now())} {what}")

    def _time(self, at: Instant) -> str:
        return f"{(at - self._start) / 1000:8.3f}"

    def now(self) -> Instant:
        return self.world.clock.now()

    def number(self, below: int) -> int:
        return self.rng.randrange(below)

    def point(self, name: str) -> None:
        """A fault point: time passes, late requests land, people act, the process may die."""
        if self.dead:
            raise Crash
        if not self._running:
            return
        self.points += 1
        if name in ("after commit:decide", "after commit:match"):
            # What was read before it was decided is no last look before a write.
            self.found.read.clear()
        if self.quiet:
            if self.points == self.crash_at:
                self._die(name)
            return
        self.wait(self.rng.choice((0, 0, 0, 0.5, 1, 2)))
        if self.points == self.crash_at:
            self._die(name)
        while self.people.edits < self.scenario.edits and self.rng.random() < self.scenario.edit_share:
            self.people.edit()
        # Within a transaction nobody else can write to the state.
        if not name.startswith("before commit") and self.scenario.by_hand and self.rng.random() < 0.02:
            self.people.at_any_time(self.rng)
        if self.strikes("CRASH", self.scenario.crash_share):
            self._die(name)

    def _die(self, name: str) -> NoReturn:
        self.say(f"dies {name}")
        self.found.tally["CRASH"] += 1
        self.dead = True
        raise Crash

    def strikes(self, what: str, share: float) -> bool:
        """Whether a fault is to happen; if so the trace tells."""
        if self.quiet or self.rng.random() >= share * self.scenario.fault_share:
            return False
        if self._faults >= self.scenario.faults + 6:
            return False
        self._faults += 1
        if f"f{self._faults}" in self.scenario.without:
            return False
        self.found.tally["faults"] += 1
        self.say(f"{what} (f{self._faults})")
        return True

    def wait(self, seconds: float) -> None:
        """Let time pass; the requests that were given up land when they are due."""
        clock = self.world.clock
        until = clock.now() + round(seconds * 1000)
        for one in sorted((one for one in self._late if one[0] <= until), key=lambda one: one[0]):
            self._late.remove(one)
            clock.advance(max(0, one[0] - clock.now()) / 1000)
            self.say(f"lands late: {one[1].write(one[2]).outcome}")
        clock.advance(max(0, until - clock.now()) / 1000)

    def later(self, connector: MemoryConnector, write: Write, until: Instant) -> None:
        self._late.append((self.rng.randint(self.now(), until), connector, write))

    def leaves(self, connector: MemoryConnector, writes: Sequence[Write]) -> None:
        for write in writes:
            # What was not read by id since it was decided was not looked at: no edit of it excuses us.
            looked = self.found.read.get(write.id or "", len(self.world.left.log) + len(self.world.right.log))
            self.found.sent[write.operation] = Sent(looked, self.now(), self._began)
            self.say(f"sends {write.kind} {write.id or connector.app.name} as {write.operation}")

    async def takes_over(self) -> None:
        if self._taken_over:
            return
        self._taken_over = True
        began = self._began
        self._told(await self.world.cycle(after=0))
        self._began = began
        self._taken_over = False
        self.say("the first process goes on")

    # -- the play

    async def play(self) -> History:
        """The whole history, judged."""
        number = 0
        while number < self.scenario.cycles or (self._unfinished() and number < self.scenario.cycles + 12):
            number += 1
            if number > self.scenario.cycles and self._faults < self.scenario.faults:
                self._faults += 1
                if f"f{self._faults}" not in self.scenario.without:
                    self.found.tally["faults"] += 1
                    self.crash_at = self.points + self.rng.randint(1, 30)
            await self._turn()
            left = self.scenario.edits - self.people.edits
            for _ in range(min(left, self.rng.choice((0, 1, 1, 3)) if number < self.scenario.cycles else 4)):
                self.people.edit()
            if self.scenario.by_hand:
                await self._between()
        return await self.judged()

    def _unfinished(self) -> bool:
        return self.people.edits < self.scenario.edits or self._faults < self.scenario.faults

    async def _turn(self) -> None:
        after = self.rng.choice((0, 1, 5, 20))
        if self._halted and self.rng.random() < 0.5:
            self.wait(after)
            return
        self._approve()
        dice = self.rng.random()
        if dice < 0.15 and self.world.store.pairs.ensure(self.world.pair.name).snapshot_at is not None:
            self._name_records()
            await self.cycle(Kind.RECORD, after=after)
        else:
            await self.cycle(Kind.SNAPSHOT if dice < 0.35 else Kind.INCREMENTAL, after=after)

    def _name_records(self) -> None:
        """A person, or a webhook, names records to look at."""
        world = self.world
        side = self.rng.choice(tuple(Side))
        if known := sorted(world.apps[side].records):
            record = self.rng.choice(known)
            byhand.look_at(world.store, world.pair.id, [(side, record)], self.now())
            self.say(f"names {record}")

    async def _between(self) -> None:
        if self.rng.random() < 0.3:
            self.people.between(self.rng)
        if self.people.undo is not None and self.rng.random() < 0.6:
            number, staging = self.people.undo
            self.people.undo = None
            await self.undo(number, staging)
        if self.rng.random() < 0.3:
            self.people.at_any_time(self.rng)

    async def undo(self, number: int, staging: Sequence[Staging]) -> None:
        """A person takes a cycle back, as it was shown to them; the process may die in it."""
        self.say(f"UNDO of cycle {number}")
        self.found.tally["by hand"] += 1
        world = self.world
        lease = world.store.pairs.take(world.pair.id, "person", self.now())
        await self._run(run_undo(world.pair, world.store, world.clock, lease, staging))

    async def cycle(self, kind: Kind = Kind.INCREMENTAL, *, after: float) -> bool:
        """One cycle of a process that may die in it; whether it came to its end."""
        self.wait(after)
        self._began = self.now()
        self.found.tally["cycles"] += 1
        self.say(f"cycle {kind}")
        return await self._run(self.world.cycle(kind, after=0))

    async def _run(self, work: Coroutine[Any, Any, Report]) -> bool:
        self._running = True
        try:
            return self._told(await work)
        except LeaseLost:
            self.say("the lease is another's")
        except Crash:
            pass
        finally:
            self._running = False
            # Where two things went wrong at once only the first one is told; the process is dead all the same.
            if self.dead:
                self.dead = self._taken_over = False
                self.world.start()
        return False

    def _told(self, report: Report) -> bool:
        """Tell how a cycle ended; whether all of it was done."""
        if report.error is not None:
            self.say(f"failed: {report.error}")
        if report.ending is Ending.HELD:
            self.say(f"held: {report.reasons}")
            self._halted = True
        return report.error is None

    def _approve(self) -> None:
        if self._halted:
            self.say("approves")
            self.world.approve()
            self._halted = False

    # -- the judgement

    async def judged(self, rest: int = 12) -> History:
        """Let everybody rest for at most so many cycles, and judge what came of it."""
        found = self.found
        self.quiet = True
        self.say("REST")
        await self._rest(rest, snapshots=False)
        unseen = not all(manner.feed_deletions and manner.feed_merges for manner in self.scenario.manners.values())
        early = invariants.convergence(found, deletions=not unseen, told=True)
        await self._rest(rest, snapshots=True)
        written = [len(app.log) for app in self.world.apps.values()]
        for kind in (Kind.INCREMENTAL, Kind.SNAPSHOT):
            await self._resting(kind)
        for app, before in zip(self.world.apps.values(), written, strict=True):
            found.violations += [f"not quiet: {change.kind} {change.id}" for change in app.log[before:]]
        self.say("END")
        late = invariants.convergence(found, deletions=True)
        found.violations += late or [f"{one} (before a snapshot)" for one in early]
        found.violations += invariants.safety(found)
        self.world.store.close()
        return found

    async def _rest(self, most: int, *, snapshots: bool) -> None:
        """Cycles until nothing is left to be done, by all that twoway itself knows: but for what was set aside, which
        is tried again for ever, and here once."""
        tried = False
        for number in range(most):
            before = sum(len(app.log) for app in self.world.apps.values())
            kind = Kind.SNAPSHOT if snapshots and number % 2 == 0 else Kind.INCREMENTAL
            ended = await self._resting(kind) and (kind is Kind.SNAPSHOT or not snapshots)
            written = sum(len(app.log) for app in self.world.apps.values()) - before
            if not ended or written or not self._settled(_SOON):
                tried = False
            elif tried or self._settled(_LATER):
                return
            else:
                tried = True
                self.wait(_SOON / 1000)

    async def _resting(self, kind: Kind) -> bool:
        self._approve()
        return await self.cycle(kind, after=REST)

    def _settled(self, ahead: int) -> bool:
        """Whether nothing is under way, and nothing is due for so many milliseconds."""
        store, pair = self.world.store, self.world.pair
        due = store.observations.next_due(pair.id)
        live = store.operations.in_state(pair.id, State.PLANNED, State.HELD, State.SENT, State.UNKNOWN)
        return not (self._late or live or self._halted) and (due is None or due > self.now() + ahead)


def history(seed: int, without: frozenset[str] = frozenset(), subject: Subject | None = None) -> History:
    """Play the history of a seed and judge it; under somebody's mapping, if one is given."""
    chosen = scenario(seed, subject)
    if without:
        chosen = replace(chosen, without=without)
    simulator = Simulator(chosen)
    try:
        return asyncio.run(simulator.play())
    except Exception as error:  # noqa: BLE001 - an engine that breaks is what is looked for
        simulator.say(f"ended by {error!r}")
        simulator.found.violations.append(failure(error))
        return simulator.found


if __name__ == "__main__":
    from twoway.testing.soak import main  # it plays what is defined here

    sys.exit(main())
