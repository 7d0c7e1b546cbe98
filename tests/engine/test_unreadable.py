"""A field that cannot be read: shown to people, held back alone, and carried over once it can be read."""

import asyncio
from dataclasses import replace

from twoway.core.rules import Start
from twoway.testing.world import World, plain_spec

PHONE = "+14155552000"
MENDED = "+14155552001"


def _world() -> World:
    spec = plain_spec(start=Start.LEFT)
    fields = tuple(replace(one, type="phone", region="US") if one.name == "phone" else one for one in spec.fields)
    return World(replace(spec, fields=fields))


def _parked(world: World) -> list[tuple[str, str, str | None]]:
    return [(row.record_id, row.code, row.field) for row in world.store.attention.parked()]


def test_the_other_fields_go_on_and_the_record_stays_told_until_it_is_mended() -> None:
    async def story() -> None:
        world = _world()
        linked = world.left.human_create(email="a@example.com", name="A", phone="ask reception")
        there = world.right.human_create(email="a@example.com", name="Old", phone=PHONE)
        told = [(linked, "unreadable", "phone")]
        await world.cycle()
        assert world.right.live()[there] == {"email": "a@example.com", "name": "A", "phone": PHONE}
        assert _parked(world) == told

        world.right.human_update(there, name="B")
        await world.cycle()
        await world.cycle()
        assert world.left.live()[linked]["name"] == "B"
        assert _parked(world) == told, "an edit of the other side has not made the phone readable"

        world.left.human_update(linked, phone=MENDED)
        await world.cycle()
        assert world.right.live()[there]["phone"] == MENDED
        assert _parked(world) == []

    asyncio.run(story())


def test_a_record_that_is_created_without_the_field_gets_it_later() -> None:
    async def story() -> None:
        world = _world()
        here = world.left.human_create(email="a@example.com", name="A", phone="ask reception")
        await world.cycle()
        (there,) = world.right.live()
        assert world.right.live()[there].get("phone") is None
        assert _parked(world) == [(here, "unreadable", "phone")]

        world.left.human_update(here, phone=MENDED)
        await world.cycle()
        assert world.right.live()[there]["phone"] == MENDED
        assert _parked(world) == []

    asyncio.run(story())
