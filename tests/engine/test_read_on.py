"""A listing that was broken off is read on by the next cycle: it says how things were when it began, not now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.engine.found import ANN, cycles
from twoway.core.model import Fetched, Page, Side
from twoway.engine.cycle import Ending
from twoway.sdk.errors import TryLater
from twoway.testing.memory import Manner, MemoryConnector
from twoway.testing.world import World, plain_spec

BOB = {"email": "bob@example.org", "name": "Bob", "phone": "2"}
COARSE = Manner(page=1, resolution=300_000)
"""An app in which five minutes look like one instant: what is edited again in them may keep its place in the list."""


class Interrupted(MemoryConnector):
    """A connector that answers so many more pages of the left app's feed, and is then out of reach."""

    answers = 1_000
    read: list[str]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        self.read.extend(ids)
        return await super().fetch(ids)

    async def changes(self, cursor: str | None) -> Page:
        if self.app.name == "here":
            if not type(self).answers:
                raise TryLater("out of reach")
            type(self).answers -= 1
        return await super().changes(cursor)


def _broken_off(world: World) -> None:
    """Ann was listed when the listing was broken off before Bob, and is edited after it."""
    cycles(world, 1)
    world.left.human_create(**ANN)
    world.left.human_create(**BOB)
    Interrupted.answers, Interrupted.read = 1, []
    assert cycles(world, 1) == [Ending.FAILED]
    Interrupted.answers = 1_000


@pytest.mark.parametrize(
    ("edit", "made"),
    [
        ({"name": "Anna"}, {"Anna", "Bob"}),
        ({"phone": "out"}, {"Bob"}),
    ],
    ids=["what was edited since is made as it is now", "what has left the scope since is not made"],
)
def test_what_a_listing_showed_before_it_was_broken_off_is_looked_at_again(
    edit: dict[str, str], made: set[str]
) -> None:
    plain = plain_spec()
    scoped = replace(plain, left=replace(plain.left, scope='phone != "out"'))
    world = World(scoped, manners={Side.LEFT: COARSE}, connect=Interrupted)
    _broken_off(world)
    world.left.human_update("here-1", **edit)
    cycles(world, 1, after=100)
    assert {change.fields["name"][1] for change in world.right.written()} == made


def test_a_listing_that_began_in_its_own_cycle_is_looked_at_once() -> None:
    """Only what is read on is old: of the listing that follows nothing is read by id once more."""
    world = World(manners={Side.LEFT: COARSE}, connect=Interrupted)
    _broken_off(world)
    cycles(world, 1, after=100)
    assert Interrupted.read == ["here-1"]
    world.left.human_update("here-1", name="Anna")
    cycles(world, 1, after=100)
    assert world.right.live()["there-1"]["name"] == "Anna"
    assert Interrupted.read == ["here-1"]
