"""Of a set the mapping may name some elements and leave the others out on purpose: these are nobody's to take off."""

from dataclasses import replace

from tests.engine.found import ANN, cycles, undo
from twoway.core.spec import FieldSpec, Location
from twoway.testing.world import World, plain_spec

CHOICES = {"lead": "lead", "vip": "vip"}


def _world() -> World:
    plain, place = plain_spec(), Location(path="tags")
    tags = FieldSpec(name="tags", type="set", left=place, right=place, choices=CHOICES, unknown_choice="ignore")
    return World(replace(plain, fields=(*plain.fields, tags)), fields=("email", "name", "phone", "tags"))


def _tagged(world: World, left: list[str], right: list[str]) -> None:
    world.left.human_create(**ANN, tags=left)
    world.right.human_create(**ANN, tags=right)
    cycles(world, 3)


def test_an_element_that_the_mapping_overlooks_is_not_taken_off() -> None:
    world = _world()
    _tagged(world, ["lead"], ["lead", "internal"])
    world.left.human_update("here-1", tags=["lead", "vip"])
    cycles(world, 2)
    assert sorted(world.right.live()["there-1"]["tags"]) == ["internal", "lead", "vip"]
    world.left.human_update("here-1", tags=[])
    cycles(world, 2)
    assert world.right.live()["there-1"]["tags"] == ["internal"]


def test_a_first_link_takes_no_overlooked_element_off() -> None:
    world = _world()
    _tagged(world, ["vip", "mine"], ["lead", "internal"])
    assert sorted(world.left.live()["here-1"]["tags"]) == ["lead", "mine", "vip"]
    assert sorted(world.right.live()["there-1"]["tags"]) == ["internal", "lead", "vip"]


def test_an_undo_leaves_the_overlooked_element_alone() -> None:
    world = _world()
    _tagged(world, ["lead"], ["lead", "internal"])
    world.left.human_update("here-1", tags=["lead", "vip"])
    cycles(world, 1)
    undo(world, world.store.pairs.cycles(world.pair.id, limit=1)[0].id)
    assert sorted(world.right.live()["there-1"]["tags"]) == ["internal", "lead"]


def test_an_element_that_comes_to_be_overlooked_meanwhile_stays() -> None:
    world = _world()
    _tagged(world, ["lead"], ["lead"])
    world.left.human_update("here-1", tags=["lead", "vip"])
    world.right.human_update("there-1", tags=["lead", "new"])
    cycles(world, 3)
    assert sorted(world.right.live()["there-1"]["tags"]) == ["lead", "new", "vip"]
    assert sorted(world.left.live()["here-1"]["tags"]) == ["lead", "vip"]
