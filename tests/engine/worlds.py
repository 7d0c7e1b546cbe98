"""What the engine's scenario tests share: a world, people, and cycles that run."""

import asyncio
from dataclasses import replace

from twoway.core.model import Side
from twoway.core.rules import OnDelete
from twoway.core.spec import MappingSpec
from twoway.engine.cycle import Kind, Report
from twoway.testing.world import World, plain_spec

ANN = {"email": "ann@example.org", "name": "Ann", "phone": "1"}
BOB = {"email": "bob@example.org", "name": "Bob", "phone": "2"}


def cycle(world: World, kind: Kind = Kind.INCREMENTAL, *, after: float = 5.0) -> Report:
    """One cycle, some seconds later."""
    return asyncio.run(world.cycle(kind, after=after))


def cycles(world: World, count: int, *, after: float = 15.0) -> None:
    """Some cycles, each some seconds after the other."""
    for _ in range(count):
        cycle(world, after=after)


def linked(world: World) -> World:
    """Ann on both sides, linked and in agreement."""
    world.left.human_create(**ANN)
    world.right.human_create(**ANN)
    cycles(world, 2)
    assert world.store.links.count(world.pair.id) == 1
    return world


def deleting(delete: OnDelete = OnDelete.DELETE) -> MappingSpec:
    """A mapping under which a deletion on the left does this on the right."""
    plain = plain_spec()
    return replace(plain, right=replace(plain.right, delete=delete))


def written(world: World) -> list[tuple[Side, str, str]]:
    """What the engine wrote, by the apps' own logs: side, kind, record."""
    return [(side, change.kind, change.id) for side, app in world.apps.items() for change in app.written()]
