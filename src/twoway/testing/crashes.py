"""The process dies at each fault point in turn, before and after every remote call and every commit.

    found = every_point("merge", "an app whose listings lag", Subject(spec))
    found.points, found.broken

What it had begun is carried on by the process that starts next on the same state: nothing is doubled, lost or left. A
fault point is one more history, played from its start. The records and edits are made for the mapping that is given.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from twoway.core.model import Raw, Side, Value
from twoway.core.plan import State
from twoway.core.raw import Invalid
from twoway.core.rules import Direction, OnDelete, Shape
from twoway.engine.cycle import Kind
from twoway.engine.undo import plan_undo
from twoway.ports import Consistency, ReceiptShape
from twoway.testing.failures import failure
from twoway.testing.memory import Manner
from twoway.testing.samples import Odd, settled
from twoway.testing.scenarios import Scenario, Subject, like, scenario
from twoway.testing.simulator import Simulator

_TRIES: Final = 40
"""Draws of a value within which one is found that both apps take as it is."""
_MOST: Final = 5_000
"""Fault points beyond which a history is taken for one that never ends."""


class Stage:
    """The two apps of one history, and the people who are known to them by number."""

    def __init__(self, simulator: Simulator, subject: Subject) -> None:
        self._simulator = simulator
        self._samples, self._mapping = subject.samples, simulator.world.pair.mapping
        self.apps = simulator.world.apps
        self._ids: dict[tuple[Side, int], str] = {}
        self._rng = random.Random("stage")  # the same values in every history of one scenario
        self._number = 0

    def enter(self, number: int, *sides: Side, alike: bool = True) -> None:
        """A new person, by number, into one app or both; `alike` says whether they are told the same."""
        values = self._person()
        for side in sides:
            raw: dict[str, Raw] = {}
            for name, value in values.items():
                if name in self._samples.apps[side]:
                    raw |= self._samples.put(side, name, value, raw)
            raw |= self._samples.strays(self._rng, side, number, raw)
            self._ids[side, number] = self.apps[side].create("human", raw).id
            if not alike:
                values = {**self._person(), **{name: values[name] for name in self._samples.keys}}

    def change(self, side: Side, number: int, field: int = 0, *, both_ways: bool = False) -> None:
        """One field of a person: the one of this number among those that are carried over from this side."""
        names = self._carried(side, both_ways=both_ways)
        record = self.apps[side].records[self._ids[side, number]]
        for name in names[field % len(names) :] if names else ():
            now = self._mapping.side(side).decode(record.values).values.get(name)
            for _ in range(_TRIES):
                value = self._value(name, now)
                raw = self._samples.put(side, name, value, record.values)
                if value != now and self._samples.is_in(side, {**record.values, **raw}):
                    self.apps[side].update("human", record.id, raw)
                    return

    def delete(self, side: Side, number: int) -> None:
        self.apps[side].human_delete(self._ids[side, number])

    def merge(self, side: Side, loser: int, survivor: int) -> None:
        """One person into another, who gets a field of theirs."""
        app, ids = self.apps[side], (self._ids[side, loser], self._ids[side, survivor])
        if not app.manner.merges:
            return
        app.human_merge(*ids)
        held = self._samples.apps[side][self._samples.favourite]
        app.update("human", ids[1], {name: app.records[ids[0]].values.get(name) for name in held})

    def deleting(self) -> Side:
        """The side on which a deletion is carried over; the left one, where neither is."""
        spec = self._simulator.world.spec
        to_left = spec.left.delete is not OnDelete.IGNORE and spec.right.delete is OnDelete.IGNORE
        return Side.RIGHT if to_left else Side.LEFT

    def _carried(self, side: Side, *, both_ways: bool) -> list[str]:
        """The fields that are carried over from a side; the keys, and what has but few values, come last."""
        rules = self._mapping.rules.fields
        names = [
            name
            for name in self._samples.mapped
            if (rules[name].direction is Direction.BOTH if both_ways else rules[name].direction.writes(side.other))
        ]
        plain = [name for name in names if name not in self._samples.keys and rules[name].shape is Shape.SCALAR]
        return plain + [name for name in names if name not in plain]

    def _person(self) -> dict[str, Value | Odd]:
        values: dict[str, Value | Odd] = {name: self._value(name) for name in self._samples.mapped}
        for side in Side:
            here = {name: value for name, value in values.items() if name in self._samples.apps[side]}
            into = self._samples.moves(side, into=True)
            if into and not self._in_scope(side, here):
                values |= self._rng.choice(into)
        return values

    def _in_scope(self, side: Side, values: Mapping[str, Value | Odd]) -> bool:
        raw: dict[str, Raw] = {}
        for name, value in values.items():
            raw |= self._samples.put(side, name, value, raw)
        return self._samples.is_in(side, raw)

    def _value(self, name: str, now: Value = None) -> Value:
        """A value that both apps take as it is; a blank, where none was found."""
        for _ in range(_TRIES):
            self._number += 1
            value = self._samples.draw(self._rng, name, self._number, 1_000_000, now)
            try:
                taken = not isinstance(value, Odd) and [self._samples.put(side, name, value, {}) for side in Side]
            except Invalid:
                continue
            if taken and not isinstance(value, Odd) and settled(self._samples, self._mapping, name, value) == value:
                return value
        return None


Step = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario: what there is before, what people then do, and whether the cycle that carried it is taken back.

    The process dies in what follows.
    """

    before: Step
    act: Step
    undone: bool = False


def _nobody(_stage: Stage) -> None:
    """Two apps without records."""


def _newcomers(stage: Stage) -> None:
    stage.enter(1, Side.LEFT)
    stage.enter(2, Side.RIGHT)


def _linked(stage: Stage) -> None:
    stage.enter(1, *Side)


def _two_linked(stage: Stage) -> None:
    stage.enter(1, *Side)
    stage.enter(2, *Side)


def _edits(stage: Stage) -> None:
    stage.change(Side.LEFT, 1)
    stage.change(Side.RIGHT, 1, 1)


def _deletion(stage: Stage) -> None:
    stage.delete(stage.deleting(), 1)


def _deletion_and_edit(stage: Stage) -> None:
    stage.delete(stage.deleting(), 1)
    stage.change(stage.deleting().other, 1)


def _merger(stage: Stage) -> None:
    stage.merge(Side.LEFT, 1, 2)


def _quarrel(stage: Stage) -> None:
    for side in Side:
        stage.change(side, 1, both_ways=True)
    stage.change(Side.LEFT, 1, 1)


def _batch(stage: Stage) -> None:
    for number in (1, 2, 3):
        stage.enter(number, *Side, alike=False)


CASES: Final[Mapping[str, Case]] = {
    "create": Case(_nobody, _newcomers),
    "update on both sides": Case(_linked, _edits),
    "delete": Case(_two_linked, _deletion),
    "delete against edit": Case(_linked, _deletion_and_edit),
    "merge": Case(_two_linked, _merger),
    "conflict": Case(_linked, _quarrel),
    "first link of a batch": Case(_nobody, _batch),
    "undo": Case(_linked, _edits, undone=True),
}

Kinds = Mapping[str, Callable[[AbstractSet[str]], Manner]]

MANNERS: Final[Kinds] = {
    "an app that keeps our marker": lambda _keys: Manner(marker=True, receipt=ReceiptShape.VERSION),
    "an app with a unique key": lambda keys: Manner(unique=frozenset(keys), find=Consistency.NONE),
    "an app that only tells when a record was made": lambda _keys: Manner(
        conditional=False, find=Consistency.NONE, receipt=ReceiptShape.NOTHING
    ),
    "an app whose listings lag": lambda keys: Manner(lag=6_000, find=Consistency.LAGGING, find_fields=frozenset(keys)),
}
"""Kinds of app, given the fields that are match keys there."""

DECLARED: Final = "apps as the connectors declare them"
"""One more kind, where that is known of both."""


def manners(subject: Subject) -> list[str]:
    """The kinds of app that a subject is tried with."""
    return [*MANNERS, DECLARED] if len(subject.capabilities) == len(Side) else [*MANNERS]


@dataclass(frozen=True, slots=True)
class Points:
    """Every fault point of one scenario with one kind of app: how many there are, and at which of them what broke."""

    case: str
    manner: str
    points: int
    broken: Mapping[int, list[str]]


def every_point(case: str, manner: str, subject: Subject) -> Points:
    """Die at each of them in turn; `case` is of `CASES`, `manner` of `manners(subject)`."""
    broken: dict[int, list[str]] = {}
    for number in range(1, _MOST):
        reached, violations = died_at(number, case, manner, subject)
        if violations:
            broken[number] = violations
        if not reached:
            return Points(case, manner, number - 1, broken)
    return Points(case, manner, _MOST, {**broken, _MOST: ["not quiet: it never ends"]})


def died_at(number: int, case: str, manner: str, subject: Subject) -> tuple[bool, list[str]]:
    """Whether there was a fault point of this number, and what the invariants say of the history."""
    simulator = Simulator(_scenario(manner, subject))
    try:
        return asyncio.run(_played(simulator, number, CASES[case], subject))
    except Exception as error:  # noqa: BLE001 - an engine that breaks is what is looked for
        return True, [failure(error)]


def _scenario(manner: str, subject: Subject) -> Scenario:
    nothing = {"edits": 0, "faults": 0, "fault_share": 0.0, "crash_share": 0.0, "edit_share": 0.0, "settle": 0}
    both = {side: _manner(manner, subject, side) for side in Side}
    plain = scenario(1, subject)
    return replace(plain, spec=subject.spec, manners=both, by_hand=False, **nothing)  # type: ignore[arg-type]  # by name


def _manner(manner: str, subject: Subject, side: Side) -> Manner:
    keys = subject.samples.key_fields(side)
    return like(Manner(), subject.capabilities[side], keys) if manner == DECLARED else MANNERS[manner](keys)


async def _played(simulator: Simulator, number: int, case: Case, subject: Subject) -> tuple[bool, list[str]]:
    stage = Stage(simulator, subject)
    case.before(stage)
    await simulator.cycle(Kind.SNAPSHOT, after=20)
    await simulator.cycle(after=20)
    case.act(stage)
    if case.undone:
        await simulator.cycle(after=20)
        await _undone(simulator, number)
    else:
        simulator.crash_at = simulator.points + number
    for _ in range(2):
        await simulator.cycle(after=20)
    reached = simulator.crash_at is not None and simulator.points >= simulator.crash_at
    return reached, (await simulator.judged(rest=4)).violations


async def _undone(simulator: Simulator, number: int) -> None:
    """Take the last cycle that wrote back, as it is shown to a person, and die in it or soon after."""
    world = simulator.world
    cycle = world.store.db.one("SELECT max(cycle) FROM operation WHERE state = ?", (State.DONE.value,))
    staging = plan_undo(world.pair, world.store, cycle).staging if cycle is not None else ()
    simulator.crash_at = simulator.points + number
    if staging:
        await simulator.undo(cycle, staging)
