"""A create of which the answer was lost, in an app that keeps no marker: told from what others made meanwhile."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from twoway.core.model import Receipt, Side, Write
from twoway.engine.app import App
from twoway.testing.memory import Manner, MemoryApp, MemoryConnector
from twoway.testing.world import World

ANN = {"email": "ann@example.org", "name": "Ann", "phone": "1"}
BOB = {"email": "bob@example.org", "name": "Bob", "phone": "2"}


class LosesOnce(MemoryConnector):
    """Loses the answer to its first batch; with `lands`, what was asked for is done all the same."""

    def __init__(self, app: MemoryApp, *, lands: bool) -> None:
        super().__init__(app)
        self.lost = False
        self.lands = lands

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if self.lost:
            return await super().apply(writes)
        self.lost = True
        if self.lands:
            await super().apply(writes)
        return [Receipt.unknown("no answer")] * len(writes)


async def _lost(*, lands: bool) -> World:
    """A world in which the first create on the right was sent, and nobody knows what became of it."""
    world = World(manners={Side.RIGHT: Manner(marker=False, resolution=1)})
    await world.cycle()
    losing = LosesOnce(world.right, lands=lands)
    app = App(losing, "there", Side.RIGHT, world.clock, lambda _: None)
    world.pair = replace(world.pair, apps={**world.pair.apps, Side.RIGHT: app})
    world.left.human_create(**ANN)
    await world.cycle()
    assert losing.lost
    return world


async def _settle(world: World) -> None:
    for _ in range(4):
        await world.cycle(after=30.0)


def test_somebody_elses_new_record_is_no_reason_to_set_ours_aside() -> None:
    async def story() -> None:
        world = await _lost(lands=False)
        world.right.human_create(**BOB)
        await _settle(world)
        assert world.store.attention.parked() == []
        names = sorted(record["name"] for record in world.right.live().values())
        assert names == ["Ann", "Bob"], "ours did not land, and was sent again"
        assert sorted(record["name"] for record in world.left.live().values()) == ["Ann", "Bob"]

    asyncio.run(story())


def test_ours_is_found_among_others() -> None:
    async def story() -> None:
        world = await _lost(lands=True)
        world.right.human_create(**BOB)
        await _settle(world)
        assert sorted(record["name"] for record in world.right.live().values()) == ["Ann", "Bob"]
        assert world.store.attention.parked() == []

    asyncio.run(story())


def test_one_that_was_edited_since_may_be_ours_and_is_left_to_a_person() -> None:
    async def story() -> None:
        world = await _lost(lands=True)
        (ours,) = world.right.live()
        world.clock.advance(5)
        world.right.human_update(ours, email="anna@example.org")
        await _settle(world)
        assert len(world.right.live()) == 1, "it was not sent again"
        assert {row.code for row in world.store.attention.parked()} == {"in doubt"}

    asyncio.run(story())
