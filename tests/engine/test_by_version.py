"""Apps whose listings tell no more of a record than its version: it is read only where that is a new one."""

from collections.abc import Mapping, Sequence

import pytest

from tests.engine.found import ANN, cycles
from twoway.core.model import Absence, Fetched, Page, Presence, Side
from twoway.engine.cycle import Kind
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World

BOB = {"email": "bob@example.org", "name": "Bob", "phone": "2"}
BY_VERSION = Manner(by_version=True)


class Watched(MemoryConnector):
    """A connector whose calls are written down."""

    calls: list[str]
    silent: frozenset[str] = frozenset()

    async def changes(self, cursor: str | None) -> Page:
        self.calls.append(f"{self.app.name}.{'now' if cursor is None else 'changes'}")
        return await super().changes(cursor)

    async def snapshot(self, cursor: str | None) -> Page:
        self.calls.append(f"{self.app.name}.snapshot")
        return await super().snapshot(cursor)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        self.calls.append(f"{self.app.name}.fetch {' '.join(ids)}")
        found = await super().fetch(ids)
        return {one: Absence(one, Presence.UNKNOWN) if one in self.silent else found[one] for one in ids}


@pytest.fixture
def world() -> World:
    """Ann and Bob, on both sides; the left app lists by version."""
    Watched.calls, Watched.silent = [], frozenset()
    world = World(manners={Side.LEFT: BY_VERSION}, connect=Watched)
    for person in (ANN, BOB):
        world.left.human_create(**person)
    cycles(world, 3)
    assert len(world.right.live()) == 2
    Watched.calls.clear()
    return world


def _asked(world: World, kind: Kind = Kind.INCREMENTAL) -> list[str]:
    """What a cycle asks of the left app."""
    Watched.calls.clear()
    cycles(world, 1, kind=kind)
    return [call.removeprefix("here.") for call in Watched.calls if call.startswith("here.")]


@pytest.mark.parametrize(
    ("kind", "listing"),
    [(Kind.INCREMENTAL, "changes"), (Kind.SNAPSHOT, "snapshot")],
    ids=["a feed, which shows the latest once more", "a snapshot, whose page tells where the feed goes on"],
)
def test_what_stands_at_the_version_that_was_read_is_not_read_again(world: World, kind: Kind, listing: str) -> None:
    assert _asked(world, kind) == [listing]


@pytest.mark.parametrize("kind", [Kind.INCREMENTAL, Kind.SNAPSHOT])
def test_what_stands_at_another_version_is_read_and_carried_over(world: World, kind: Kind) -> None:
    world.left.human_update("here-2", name="Robert")
    assert "fetch here-2" in _asked(world, kind)
    assert [record["name"] for record in world.right.live().values()] == ["Ann", "Robert"]


def test_what_we_wrote_ourselves_is_read_once(world: World) -> None:
    """Before that it is not known how the app stored it."""
    world.right.human_update("there-1", name="Anna")
    cycles(world, 1)
    assert world.left.live()["here-1"]["name"] == "Anna"
    assert _asked(world, Kind.SNAPSHOT) == ["snapshot", "fetch here-1"]
    assert _asked(world, Kind.SNAPSHOT) == ["snapshot"]


def test_what_is_listed_and_cannot_be_read_is_asked_for_until_it_can(world: World) -> None:
    world.left.human_update("here-2", name="Robert")
    Watched.silent = frozenset({"here-2"})
    cycles(world, 2, after=100)
    assert [record["name"] for record in world.right.live().values()] == ["Ann", "Bob"]
    Watched.silent = frozenset()
    cycles(world, 2, after=100)
    assert [record["name"] for record in world.right.live().values()] == ["Ann", "Robert"]


def test_a_record_that_a_listing_by_version_no_longer_shows_is_looked_for(world: World) -> None:
    world.left.human_delete("here-2")
    assert _asked(world, Kind.SNAPSHOT)[:2] == ["snapshot", "fetch here-2"]
    assert world.store.links.of(world.pair.id, Side.LEFT, "here-2") is None or world.store.attention.parked(
        world.pair.id
    )
