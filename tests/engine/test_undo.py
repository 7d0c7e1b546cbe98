"""Taking a cycle back: three-way, and for good."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from twoway.core.model import Fetched, Side
from twoway.core.spec import Location
from twoway.engine.app import App
from twoway.engine.cycle import Ending
from twoway.engine.undo import plan_undo, run_undo
from twoway.sdk.errors import TryLater
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec

ANN = {"email": "ann@example.org", "name": "Ann", "phone": "1"}


async def _undo(world: World, cycle: int) -> list[str]:
    """Undo a cycle, as a person does; what was left alone, and why."""
    plan = plan_undo(world.pair, world.store, cycle)
    lease = world.store.pairs.take(world.pair.id, "world", world.clock.now())
    report = await run_undo(world.pair, world.store, world.clock, lease, plan.staging)
    assert report.ending is Ending.DONE
    return list(plan.left_alone)


async def _linked() -> tuple[World, str, str]:
    world = World()
    here = world.left.human_create(**ANN)
    await world.cycle()
    (there,) = world.right.live()
    return world, here, there


def test_a_value_is_put_back_and_stays_so() -> None:
    async def story() -> None:
        world, here, there = await _linked()
        world.left.human_update(here, name="Wrong")
        report = await world.cycle()
        assert world.right.live()[there]["name"] == "Wrong"
        await _undo(world, report.cycle)
        for _ in range(3):
            await world.cycle()
        assert world.right.live()[there]["name"] == "Ann"
        assert world.left.live()[here]["name"] == "Wrong", "only what twoway wrote is taken back"
        world.left.human_update(here, name="Right")
        await world.cycle()
        assert world.right.live()[there]["name"] == "Right", "a later edit travels as ever"

    asyncio.run(story())


def test_what_a_person_has_edited_since_stays() -> None:
    async def story() -> None:
        world, here, there = await _linked()
        world.left.human_update(here, name="Wrong", phone="2")
        report = await world.cycle()
        world.right.human_update(there, name="Mended")
        await _undo(world, report.cycle)
        assert world.right.live()[there]["name"] == "Mended"
        await world.cycle()
        assert world.right.live()[there]["name"] == "Mended"
        assert world.left.live()[here]["name"] == "Mended"

    asyncio.run(story())


def test_a_record_that_was_created_is_taken_away_and_not_created_again() -> None:
    async def story() -> None:
        world = World()
        here = world.left.human_create(**ANN)
        report = await world.cycle()
        await _undo(world, report.cycle)
        assert world.right.live() == {}
        for _ in range(3):
            await world.cycle()
        world.left.human_update(here, name="Anna")
        await world.cycle()
        assert world.right.live() == {}
        assert here in world.left.live()
        assert world.store.links.marks(world.pair.id, Side.LEFT, [here])[here].kind == "retired"

    asyncio.run(story())


def test_an_undo_can_be_undone() -> None:
    async def story() -> None:
        world, here, there = await _linked()
        world.left.human_update(here, name="Anna")
        first = await world.cycle()
        await _undo(world, first.cycle)
        (undone, *_) = world.store.pairs.cycles(world.pair.id)
        assert undone.kind == "undo"
        await _undo(world, undone.id)
        await world.cycle()
        assert world.right.live()[there]["name"] == "Anna"

    asyncio.run(story())


class BusyOnce(MemoryConnector):
    """Cannot be read for now, once."""

    asked = False

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        if not self.asked:
            self.asked = True
            raise TryLater("busy")
        return await super().fetch(ids)


def test_an_undo_that_was_held_up_goes_before_what_has_come_since() -> None:
    """Or both are written one upon the other, and the history has a value that was not there."""

    async def story() -> None:
        world = World(manners={Side.RIGHT: Manner(conditional=False)})
        here = world.left.human_create(**ANN)
        await world.cycle()
        (there,) = world.right.live()
        world.left.human_update(here, name="Wrong")
        report = await world.cycle()
        busy = App(BusyOnce(world.right), "there", Side.RIGHT, world.clock, lambda _: None)
        pair = replace(world.pair, apps={**world.pair.apps, Side.RIGHT: busy})
        lease = world.store.pairs.take(pair.id, "world", world.clock.now())
        staging = plan_undo(pair, world.store, report.cycle).staging
        assert (await run_undo(pair, world.store, world.clock, lease, staging)).ending is Ending.FAILED

        world.left.human_update(here, name="Later")
        for _ in range(3):
            await world.cycle()
        assert world.right.live()[there]["name"] == "Later"
        replaced = [change.fields["name"] for change in world.right.written() if "name" in change.fields]
        assert replaced == [(None, "Ann"), ("Ann", "Wrong"), ("Wrong", "Ann"), ("Ann", "Later")]
        told = world.store.operations.history(side=Side.RIGHT, field="name")
        assert [(row.old, row.new) for row in reversed(told)] == replaced[1:]

    asyncio.run(story())


def test_an_opt_out_is_not_taken_back() -> None:
    async def story() -> None:
        spec = plain_spec(("email", "status"))
        fields = tuple(
            replace(
                one,
                type="consent",
                left=Location(path="status", opted_out=("out",), opted_in="in"),
                right=Location(path="status", opted_out=("out",), opted_in="in"),
            )
            if one.name == "status"
            else one
            for one in spec.fields
        )
        world = World(replace(spec, fields=fields), fields=("email", "status"))
        here = world.left.human_create(email="ann@example.org", status="in")
        there = world.right.human_create(email="ann@example.org", status="in")
        await world.cycle()
        world.left.human_update(here, status="out")
        report = await world.cycle()
        assert world.right.live()[there]["status"] == "out"
        (told,) = await _undo(world, report.cycle)
        assert "an opt-out is not taken back" in told
        assert world.right.live()[there]["status"] == "out"

    asyncio.run(story())
