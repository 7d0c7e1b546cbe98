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
@pytest.mark.parametrize("after", [20, 100])
def test_what_a_listing_showed_before_it_was_broken_off_is_looked_at_again(
    edit: dict[str, str], made: set[str], after: float
) -> None:
    plain = plain_spec()
    scoped = replace(plain, left=replace(plain.left, scope='phone != "out"'))
    world = World(scoped, manners={Side.LEFT: COARSE}, connect=Interrupted)
    _broken_off(world)
    world.left.human_update("here-1", **edit)
    cycles(world, 1, after=after)
    assert {change.fields["name"][1] for change in world.right.written()} == made


def test_what_was_read_on_is_listed_once_more_and_not_read_one_by_one() -> None:
    world = World(manners={Side.LEFT: COARSE}, connect=Interrupted)
    _broken_off(world)
    cycles(world, 1, after=100)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 1, after=100)
    assert world.right.live()["there-1"]["name"] == "Anna"
    assert Interrupted.read == []


def test_who_was_made_behind_a_page_that_was_read_is_matched_before_the_double_opposite_is_made() -> None:
    """By the app's coarse clock the new record comes before the page at which the listing was broken off."""
    manners = {Side.LEFT: Manner(page=1, resolution=4_000)}
    world = World(manners=manners, connect=Interrupted)
    for number in range(7):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 2)
    cycles(world, 2, after=20)
    world.left.human_create(email="x@example.org", name="X", phone="1")
    world.left.human_create(email="y@example.org", name="Y", phone="1")
    Interrupted.answers, Interrupted.read = 8, []
    assert cycles(world, 1, after=1) == [Ending.FAILED]
    Interrupted.answers = 1_000
    # The tenth record: by its id it is sorted before the second.
    world.left.human_create(**ANN)
    world.right.human_create(**ANN)
    cycles(world, 1, after=70)
    assert [record["email"] for record in world.left.live().values()].count(ANN["email"]) == 1
