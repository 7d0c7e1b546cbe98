"""A person's verdict on a conflict, where it has to be written on both sides and one of the writes fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from twoway.core.model import Receipt, Side, Write
from twoway.engine import byhand
from twoway.engine.app import App
from twoway.testing.memory import MemoryConnector
from twoway.testing.world import World

ANN = {"email": "ann@example.org", "name": "Ann", "phone": "1"}


class BusyOnce(MemoryConnector):
    """Refuses its first batch for now."""

    refused = False

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if not self.refused:
            self.refused = True
            return [Receipt.later("come again")] * len(writes)
        return await super().apply(writes)


@pytest.mark.parametrize("busy", list(Side))
def test_it_holds_until_both_sides_have_taken_it(busy: Side) -> None:
    async def story() -> None:
        world = World()
        here = world.left.human_create(**ANN)
        await world.cycle()
        (there,) = world.right.live()
        world.left.human_update(here, name="Left")
        world.right.human_update(there, name="Right")
        await world.cycle()
        (conflict,) = world.store.attention.conflicts()
        byhand.resolve(world.store, conflict, "Third", world.clock.now())

        account = world.apps[busy].name
        failing = App(BusyOnce(world.apps[busy]), account, busy, world.clock, lambda _: None)
        world.pair = replace(world.pair, apps={**world.pair.apps, busy: failing})
        for _ in range(4):
            await world.cycle()
        assert world.left.live()[here]["name"] == "Third"
        assert world.right.live()[there]["name"] == "Third"
        assert world.store.attention.conflicts() == []
        before = len(world.left.log) + len(world.right.log)
        await world.cycle()
        assert len(world.left.log) + len(world.right.log) == before

    asyncio.run(story())
