"""What the tests of a changed mapping share: mappings that differ in a place, and looks at what came of it."""

from dataclasses import replace
from typing import Any

from tests.engine.found import Down
from twoway.core.model import Page, Side, Value
from twoway.core.spec import Location, MappingSpec
from twoway.testing.memory import MemoryApp, MemoryConnector
from twoway.testing.world import World, plain_spec

LEFT, RIGHT = Side.LEFT, Side.RIGHT
MORE = ("email", "name", "phone", "mobile")


class NoListing(Down):
    """An app of which nothing is listed just now."""

    async def snapshot(self, cursor: str | None) -> Page:
        return await self.changes(cursor)


def at(spec: MappingSpec, name: str, **sides: str | None) -> MappingSpec:
    """The mapping with a field at these places; `None` takes it from a side."""
    places: dict[str, Any] = {side: None if path is None else Location(path=path) for side, path in sides.items()}
    return replace(spec, fields=tuple(replace(one, **places) if one.name == name else one for one in spec.fields))


PHONE_MOVED = at(plain_spec(), "phone", right="mobile")


def reads(world: World, connector: type[MemoryConnector], *apps: MemoryApp) -> None:
    """From now on these apps, or both, are reached by this connector; any other as ever."""
    world._connect = lambda one: connector(one) if one in apps or not apps else MemoryConnector(one)
    world.start()


def bases(world: World) -> dict[Side, dict[str, Value]]:
    """Those of the only link."""
    link = world.store.links.of(world.pair.id, LEFT, "here-1")
    assert link is not None
    return {side: dict(link.bases[side]) for side in Side}


def told(world: World) -> tuple[dict[str, object], dict[str, object], list[object]]:
    """What both apps hold, and what waits for a person."""
    waiting = [(one.field, one.left, one.right) for one in world.store.attention.conflicts()]
    return dict(world.left.live()), dict(world.right.live()), [*waiting]
