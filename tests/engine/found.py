"""What the histories that once went wrong are played with."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from twoway.core.model import Page, Receipt, Write
from twoway.engine.cycle import Ending, Kind
from twoway.engine.undo import UndoPlan, plan_undo, run_undo
from twoway.sdk.errors import TryLater
from twoway.testing.memory import MemoryConnector
from twoway.testing.world import World

ANN = {"email": "ann@example.org", "name": "Ann", "phone": "1"}


class Loses(MemoryConnector):
    """A connector that carries the next batch out and loses its answer, as often as it is told to."""

    lost = 0

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        receipts = await super().apply(writes)
        if type(self).lost > 0 and self.app.name == "there":
            type(self).lost -= 1
            return [Receipt.unknown("no answer")] * len(writes)
        return receipts


class Busy(MemoryConnector):
    """A connector that refuses the next batch for now, as often as it is told to."""

    refused = 0

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if type(self).refused > 0 and self.app.name == "here":
            type(self).refused -= 1
            return [Receipt.later("busy")] * len(writes)
        return await super().apply(writes)


class Down(MemoryConnector):
    """An app that is out of reach."""

    async def changes(self, cursor: str | None) -> Page:  # noqa: ARG002 - the contract's name
        raise TryLater("out of reach")


def cycles(world: World, count: int = 3, *, after: float = 5.0, kind: Kind = Kind.INCREMENTAL) -> list[Ending]:
    async def run() -> list[Ending]:
        return [(await world.cycle(kind, after=after)).ending for _ in range(count)]

    return asyncio.run(run())


def linked(world: World) -> None:
    """Ann on both sides, linked and in agreement."""
    world.left.human_create(**ANN)
    world.right.human_create(**ANN)
    cycles(world, 2)


def dying(world: World, where: str, what: Callable[[], object] | None = None) -> None:
    """A cycle, or something else, that dies at this fault point."""

    def dies(name: str) -> None:
        if name == where:
            raise KeyboardInterrupt

    world.fault = dies
    with pytest.raises(KeyboardInterrupt):
        what() if what else cycles(world, 1)
    world.fault = lambda _name: None


def undo(world: World, cycle: int, shown: UndoPlan | None = None) -> None:
    """A person takes a cycle back, by the plan that they were shown."""

    async def run() -> None:
        lease = world.store.pairs.take(world.pair.id, "person", world.clock.now())
        plan = shown or plan_undo(world.pair, world.store, cycle)
        await run_undo(world.pair, world.store, world.clock, lease, plan.staging)

    asyncio.run(run())


def written_by_one_cycle(world: World, first: str, second: str, between: Callable[[], object] = lambda: None) -> int:
    """A cycle that carries two names of Ann over to there-1, since she is edited just before a write; its number."""
    world.left.human_update("here-1", name=first)
    world.right.human_update("there-1", phone="2")
    left = [second]

    def edits(point: str) -> None:
        if point == "before here.apply:update" and left:
            world.left.human_update("here-1", name=left.pop())
            between()

    world.fault = edits
    cycles(world, 1)
    world.fault = lambda _name: None
    return max(row.id for row in world.store.pairs.cycles(world.pair.id))
