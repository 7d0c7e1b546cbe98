"""Tags that an app keeps in its own spelling, as Zendesk keeps `VIP Customer` as `vip_customer`."""

from dataclasses import replace

from tests.engine.found import ANN, cycles
from tests.engine.remapped import RIGHT
from twoway.core.model import Raw
from twoway.core.spec import FieldSpec, Location
from twoway.engine.cycle import Kind
from twoway.testing.memory import Manner
from twoway.testing.world import World, plain_spec


def _slug(name: str, value: Raw) -> Raw:
    return sorted("_".join(one.lower().split()) for one in value) if name == "tags" and value else value


def _world(left: list[str], right: list[str] | None = None) -> World:
    plain, place = plain_spec(), Location(path="tags")
    spec = replace(plain, fields=(*plain.fields, FieldSpec(name="tags", type="set", left=place, right=place)))
    world = World(spec, fields=("email", "name", "phone", "tags"), manners={RIGHT: Manner(stores=_slug)})
    world.left.human_create(**ANN, tags=left)
    if right is not None:
        world.right.human_create(**ANN, tags=right)
    cycles(world, 3)
    return world


def _tags(world: World) -> tuple[list[str], list[str]]:
    return world.left.live()["here-1"]["tags"], world.right.live()["there-1"]["tags"]


def _at_rest(world: World) -> bool:
    writes = len(world.left.log) + len(world.right.log)
    cycles(world, 2, kind=Kind.SNAPSHOT)
    return len(world.left.log) + len(world.right.log) == writes


def test_a_tag_in_the_apps_own_spelling_is_taken_off_from_the_other_side() -> None:
    world = _world(["VIP Customer", "b"])
    assert _tags(world) == (["VIP Customer", "b"], ["b", "vip_customer"])
    world.left.human_update("here-1", tags=["b"])
    cycles(world, 3)
    assert _tags(world) == (["b"], ["b"])
    assert _at_rest(world)


def test_a_tag_in_the_apps_own_spelling_is_taken_off_there() -> None:
    world = _world(["VIP Customer", "b"])
    world.right.human_update("there-1", tags=["b"])
    cycles(world, 3)
    assert _tags(world) == (["b"], ["b"])
    assert _at_rest(world)


def test_a_tag_that_both_had_in_their_own_spelling_is_not_doubled_by_the_first_link() -> None:
    world = _world(["VIP Customer"], ["vip_customer"])
    assert _tags(world) == (["VIP Customer"], ["vip_customer"])
    assert _at_rest(world)


def test_both_sides_edit_at_once() -> None:
    world = _world(["VIP Customer", "b"])
    world.left.human_update("here-1", tags=["b", "New One"])
    world.right.human_update("there-1", tags=["b", "vip_customer", "theirs"])
    cycles(world, 4)
    assert [sorted(one) for one in _tags(world)] == [["New One", "b", "theirs"], ["b", "new_one", "theirs"]]
    assert _at_rest(world)
