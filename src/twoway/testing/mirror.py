"""Neither side is privileged: with the sides swapped, the same history comes to the same end.

    asymmetries(7)      # what differs between the history of a seed and its mirror

A quiet history is played twice: people edit both apps between the cycles, decide conflicts, remove links and take
cycles back, and nothing goes wrong. The second time the left app is the right one, and whatever the mapping says of
left and right is said the other way round. What both apps hold, what is linked, what waits for people and what was
written must then be the same, account by account.
"""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from twoway.core.model import Raw, Side, Value
from twoway.core.plan import State
from twoway.core.rules import Direction, Policy, Start
from twoway.core.spec import FieldSpec, MappingSpec
from twoway.engine import byhand
from twoway.engine.cycle import Ending, Kind
from twoway.engine.run import Tuning
from twoway.engine.undo import plan_undo, run_undo
from twoway.state.attention import ConflictRow
from twoway.state.rows import LINK_COLUMNS, OPERATION_COLUMNS, link_row, operation_row
from twoway.testing.memory import DuplicateKey, MemoryApp, RefusedValue
from twoway.testing.scenarios import CONSENT, OUT, SEGMENT, TAGS, TEXTS, Scenario, scenario
from twoway.testing.world import World

UNMAPPED: Final = "note"
_NAMES: Final = (*TEXTS, TAGS, CONSENT, SEGMENT, UNMAPPED)
_ACCOUNTS: Final = ("here", "there")
_ROUNDS: Final = 12
_REST: Final = 8
"""Cycles in which nobody does anything, at the end."""
_POLICY: Final = {Policy.LEFT: Policy.RIGHT, Policy.RIGHT: Policy.LEFT}
_DIRECTION: Final = {Direction.TO_LEFT: Direction.TO_RIGHT, Direction.TO_RIGHT: Direction.TO_LEFT}
_START: Final = {Start.LEFT: Start.RIGHT, Start.RIGHT: Start.LEFT}

Told = Mapping[str, Any]
"""What a history came to, in words that name accounts and no sides."""


def mirrored(spec: MappingSpec) -> MappingSpec:
    """The same mapping with the sides swapped."""
    return replace(
        spec,
        left=spec.right,
        right=spec.left,
        start=_START.get(spec.start, spec.start),
        conflict=_POLICY.get(spec.conflict, spec.conflict),
        fields=tuple(_mirrored(one) for one in spec.fields),
    )


def _mirrored(one: FieldSpec) -> FieldSpec:
    return replace(
        one,
        left=one.right,
        right=one.left,
        direction=_DIRECTION.get(one.direction, one.direction),
        conflict=None if one.conflict is None else _POLICY.get(one.conflict, one.conflict),
        start=None if one.start is None else _START.get(one.start, one.start),
        to_left=one.to_right,
        to_right=one.to_left,
    )


def turned(chosen: Scenario) -> Scenario:
    """The scenario in the mirror."""
    manners = {side: chosen.manners[side.other] for side in Side}
    return replace(chosen, spec=mirrored(chosen.spec), manners=manners)


def asymmetries(seed: int) -> list[str]:
    """What differs between the history of a seed and its mirror; nothing, if neither side is privileged."""
    chosen = scenario(seed)
    one, two = (asyncio.run(Quiet(each).play()) for each in (chosen, turned(chosen)))
    return [f"{what}: {one[what]} and in the mirror {two[what]}" for what in one if one[what] != two[what]]


class Quiet:
    """A history without faults. Whatever people do is drawn by account, never by side."""

    def __init__(self, chosen: Scenario) -> None:
        self._chosen = chosen
        self._rng = random.Random(f"{chosen.seed}-quiet")
        self.world = World(
            chosen.spec,
            manners=chosen.manners,
            fields=_NAMES,
            settle=chosen.settle,
            tuning=Tuning(retry=60_000, duplicate_retry=60_000),
        )
        self._side = {app.name: side for side, app in self.world.apps.items()}
        self._mapped = tuple(one.name for one in chosen.spec.fields if one.left is not None and one.right is not None)
        self._count = 0
        self.trace: list[str] = []

    async def play(self) -> Told:
        """The whole history."""
        for _ in range(_ROUNDS):
            for _ in range(self._rng.choice((0, 1, 2, 4))):
                self._edit()
            await self._at_twoway()
            await self._cycle(self._rng.choice((Kind.INCREMENTAL, Kind.INCREMENTAL, Kind.SNAPSHOT)))
        for _ in range(_REST):
            await self._cycle(Kind.SNAPSHOT)
        told = self._told()
        self.world.store.close()
        return told

    async def _cycle(self, kind: Kind) -> None:
        self.world.clock.advance(30)
        report = await self.world.cycle(kind, after=0)
        self.trace.append(f"cycle {kind} {report.ending}")
        if report.ending is Ending.HELD:
            self.world.approve()

    # -- in the apps

    def _app(self, account: str) -> MemoryApp:
        return self.world.apps[self._side[account]]

    def _edit(self) -> None:
        """One person does one thing in one of the apps, at an instant of their own."""
        self.world.clock.advance(self._rng.choice((0.5, 3, 20)))
        app = self._app(self._rng.choice(_ACCOUNTS))
        dice, live = self._rng.random(), sorted(app.live())
        before = len(app.log)
        with suppress(DuplicateKey, RefusedValue):
            self._act(app, dice, live)
        self.trace += [f"{c.who} {c.kind} {c.id} {dict(c.fields)}" for c in app.log[before:]]

    def _act(self, app: MemoryApp, dice: float, live: list[str]) -> None:
        rng, chosen = self._rng, self._chosen
        if not live or dice < 0.2:
            app.human_create(**{name: self._value(name) for name in self._mapped})
        elif dice < 0.7:
            record, name = rng.choice(live), rng.choice((*self._mapped, "name", UNMAPPED))
            app.human_update(record, **{name: self._value(name)})
        elif dice < 0.78:
            if chosen.deletes:
                app.human_delete(rng.choice(live))
        elif dice < 0.84:
            if chosen.merges and len(live) > 1:
                app.human_merge(*rng.sample(live, 2))
        elif dice < 0.88:
            self._restore(app)
        else:
            record = rng.choice(live)
            app.human_update(record, **{SEGMENT: None if app.records[record].values.get(SEGMENT) else OUT})

    def _restore(self, app: MemoryApp) -> None:
        dead = [record for record in app.records.values() if not record.alive]
        if dead:
            record = self._rng.choice(dead)
            if not app.has_key(record.values, besides=record.id):
                app.human_restore(record.id)

    def _value(self, name: str) -> Raw:
        rng = self._rng
        if name == TAGS:
            return sorted(rng.sample("abcde", rng.choice((1, 2, 3))))
        if name == CONSENT:
            return rng.choice(("in", "out"))
        if name == "email":
            return f"e{rng.randint(1, self._chosen.addresses)}@example.org"
        self._count += 1
        if self._chosen.blanks and rng.random() < 0.2:
            return None
        return f"{name}{self._count}{rng.choice(('', '', '+', '!'))}"

    # -- at twoway

    async def _at_twoway(self) -> None:
        dice, world, now = self._rng.random(), self.world, self.world.clock.now()
        if not self._chosen.by_hand or dice > 0.6:
            return
        if dice < 0.3:
            if rows := sorted(self._open(), key=self._key):
                row = self._rng.choice(rows)
                by_account = self._by_account(row.left, row.right)
                value = self._rng.choice([by_account[account] for account in _ACCOUNTS])
                byhand.resolve(world.store, row, value, now)
                self.trace.append(f"verdict {self._key(row)} {value}")
        elif dice < 0.4:
            byhand.retry(world.store, world.pair.id, now)
        elif dice < 0.45:
            links = sorted(row[0] for row in world.store.db.run(f"SELECT {self._here}_id FROM link"))  # noqa: S608 - a side
            if links:
                # Refused while a write to it is in doubt: in the mirror as here.
                with suppress(byhand.CannotBeDone):
                    byhand.unlink(world.store, world.pair.id, self._side["here"], self._rng.choice(links), now)
        else:
            await self._undo()

    @property
    def _here(self) -> Side:
        return self._side["here"]

    def _open(self) -> list[ConflictRow]:
        return [row for row in self.world.store.attention.conflicts(self.world.pair.id) if row.state == "open"]

    def _key(self, row: ConflictRow) -> tuple[str, str, str]:
        ids = self._by_account(row.left_id, row.right_id)
        return ids["here"], ids["there"], row.field

    async def _undo(self) -> None:
        world = self.world
        rows = world.store.db.run(
            "SELECT DISTINCT cycle FROM operation WHERE state = ? ORDER BY cycle", (State.DONE.value,)
        ).fetchall()
        if not rows:
            return
        number = int(self._rng.choice(rows[-3:])[0])
        staging = plan_undo(world.pair, world.store, number).staging
        if staging:
            lease = world.store.pairs.take(world.pair.id, "person", world.clock.now())
            await run_undo(world.pair, world.store, world.clock, lease, staging)
            self.trace.append(f"undo of {number}")

    # -- what it came to

    def _by_account(self, left: Any, right: Any) -> dict[str, Any]:
        return {self.world.left.name: left, self.world.right.name: right}

    def _rule(self, rule: str) -> str:
        for side, app in self.world.apps.items():
            rule = rule.replace(f": {side}", f": {app.name}")
        return rule

    def _told(self) -> Told:
        world, pair = self.world, self.world.pair.id
        links = list(map(link_row, world.store.db.run(f"SELECT {LINK_COLUMNS} FROM link l ORDER BY l.id")))  # noqa: S608 - a constant
        rows = world.store.db.run(f"SELECT {OPERATION_COLUMNS} FROM operation p")  # noqa: S608 - a constant
        done = [one for one in map(operation_row, rows) if one.state == State.DONE.value]
        return {
            "records": {account: self._app(account).live() for account in _ACCOUNTS},
            "links": sorted(
                self._line(link.ids, {name: self._by_account(*held) for name, held in link.held.items()})
                for link in links
            ),
            "conflicts": sorted(
                f"{self._key(row)} {sorted(self._by_account(row.left, row.right).items())} {self._rule(row.rule)}"
                for row in world.store.attention.conflicts(pair)
            ),
            "set aside": sorted((row.record_id, row.code) for row in world.store.attention.parked(pair)),
            "writes": sorted(
                f"{one.edit.kind} {one.record_id} {_sorted(one.edit.changed)} "
                f"{sorted((name, self._rule(rule)) for name, rule in one.edit.rules.items())}"
                for one in done
            ),
        }

    def _line(self, ids: Mapping[Side, str], held: Mapping[str, Any]) -> str:
        by_account = self._by_account(ids[Side.LEFT], ids[Side.RIGHT])
        return f"{by_account['here']} {by_account['there']} {[(n, _sorted(held[n])) for n in sorted(held)]}"


def _sorted(values: Mapping[str, Value]) -> list[tuple[str, Value]]:
    return sorted(values.items())
