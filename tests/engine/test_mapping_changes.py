"""A mapping file that is edited between two cycles: what means the same goes on, the rest begins anew."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.engine.found import ANN, Down, cycles, linked, undo
from tests.engine.remapped import LEFT, MORE, PHONE_MOVED, RIGHT, NoListing, at, bases, reads, told
from twoway.core.model import Page, Side
from twoway.core.rules import GuardRules, OnDelete, OnLeave, Policy, Start
from twoway.core.spec import FieldSpec, Location, MappingSpec
from twoway.engine import byhand
from twoway.engine.cycle import Ending, Kind
from twoway.testing.memory import Manner, MemoryApp, MemoryConnector
from twoway.testing.world import World, plain_spec

BOB = {"email": "bob@example.org", "name": "Bob", "phone": "2"}
KINDS = pytest.mark.parametrize("kind", list(Kind))


class Counts(MemoryConnector):
    """A connector that counts its complete listings."""

    snapshots = 0

    async def snapshot(self, cursor: str | None) -> Page:
        type(self).snapshots += cursor is None
        return await super().snapshot(cursor)


@pytest.fixture(autouse=True)
def _anew() -> None:
    Counts.snapshots = 0


# -- a field that means something else


@KINDS
@pytest.mark.parametrize(
    ("there", "mobile", "open_"),
    [(None, "1", False), ("1", "1", False), ("7", "7", True)],
    ids=["is filled", "agrees", "is for a person to decide"],
)
def test_a_field_at_another_place_begins_without_a_base(
    kind: Kind, there: str | None, mobile: str, open_: bool
) -> None:
    world = World(plain_spec(), fields=MORE)
    world.left.human_create(**ANN)
    world.right.human_create(**ANN, mobile=there)
    cycles(world, 2)
    world.start(PHONE_MOVED)
    cycles(world, 3, kind=kind)
    assert world.left.live()["here-1"]["phone"] == "1"
    assert world.right.live()["there-1"] == {**ANN, "mobile": mobile}
    assert bool(world.store.attention.conflicts()) is open_


def test_a_field_at_another_place_keeps_the_other_sides_base_and_the_other_fields() -> None:
    world = World(plain_spec(), fields=MORE)
    linked(world)
    world.right.human_update("there-1", mobile="7")
    world.start(PHONE_MOVED)
    cycles(world, 1)
    assert bases(world) == {LEFT: ANN, RIGHT: {"email": ANN["email"], "name": "Ann"}}
    world.right.human_update("there-1", name="Anna", mobile="1")
    cycles(world, 2)
    assert bases(world) == {LEFT: {**ANN, "name": "Anna"}, RIGHT: {**ANN, "name": "Anna"}}
    assert world.left.live()["here-1"]["name"] == "Anna"


def test_an_edit_of_a_field_that_means_the_same_is_carried_over() -> None:
    world = World(plain_spec(), fields=MORE)
    linked(world)
    world.left.human_update("here-1", name="Anna")
    world.start(PHONE_MOVED)
    cycles(world, 2)
    assert world.right.live()["there-1"] == {**ANN, "name": "Anna", "mobile": "1"}


def test_another_type_begins_without_a_base_on_either_side() -> None:
    """Nobody edited anything, and yet both sides read otherwise."""
    plain = plain_spec(start=Start.REVIEW)
    world = World(plain)
    linked(world)
    fields = tuple(replace(one, type="phone", region="US") if one.name == "phone" else one for one in plain.fields)
    world.left.human_update("here-1", phone="+1 415 555 2000")
    cycles(world, 1)
    world.right.human_update("there-1", phone="(415) 555-2001")
    world.start(replace(plain, fields=fields))
    cycles(world, 2)
    assert told(world)[2] == [("phone", "+14155552000", "+14155552001")]


def test_a_field_that_was_out_of_the_mapping_for_a_while_begins_without_a_base() -> None:
    world = World()
    linked(world)
    world.start(at(plain_spec(), "phone", right=None))
    cycles(world, 1)
    world.left.human_update("here-1", phone="5")
    cycles(world, 2)
    world.start(plain_spec())
    cycles(world, 3)
    assert told(world)[2] == [("phone", "5", "1")]


def test_a_choice_that_is_added_says_what_the_value_stands_for_that_could_not_be_read() -> None:
    def spec(**choices: str) -> MappingSpec:
        plain = plain_spec()
        phone = replace(plain.fields[-1], type="choice", choices=choices)
        return replace(plain, fields=(*plain.fields[:-1], phone))

    world = World(spec(lead="Lead"))
    world.left.human_create(**{**ANN, "phone": "lead"})
    world.right.human_create(**{**ANN, "phone": "Lead"})
    cycles(world, 2)
    world.right.human_update("there-1", phone="Customer")
    cycles(world, 2)
    assert [one.code for one in world.store.attention.parked()] == ["unreadable"]
    world.start(spec(lead="Lead", customer="Customer"))
    cycles(world, 2)
    assert world.left.live()["here-1"]["phone"] == "customer"
    assert world.store.attention.parked() == []
    assert world.store.attention.conflicts() == []


def test_conflicts_of_the_field_end_and_those_of_others_go_on() -> None:
    """What was decided of the field was decided of another place, though that may hold the same value."""
    world = World(plain_spec(), fields=MORE)
    linked(world)
    world.left.human_update("here-1", name="Anna", phone="2")
    world.right.human_update("there-1", name="Annie", phone="3", mobile="3")
    cycles(world, 1)
    shown = {one.field: one for one in world.store.attention.conflicts()}
    assert shown.keys() == {"name", "phone"}
    for field, value in (("name", "Anne"), ("phone", "4")):
        byhand.resolve(world.store, shown[field], value, world.clock.now())
    world.start(PHONE_MOVED)
    cycles(world, 3)
    assert told(world) == (
        {"here-1": {**ANN, "name": "Anne", "phone": "2"}},
        {"there-1": {**ANN, "name": "Anne", "phone": "3", "mobile": "3"}},
        [("phone", "2", "3")],
    )
    assert [one.state for one in world.store.attention.conflicts()] == ["open"]


def test_what_our_own_write_made_of_the_former_place_is_no_base_of_the_new_one() -> None:
    """The version is the one that our write made; what the record holds in the new place is not what we wrote."""
    world = World(plain_spec(), fields=MORE)
    world.left.human_create(**ANN)
    world.right.human_create(**ANN, mobile="7")
    cycles(world, 2)
    world.left.human_update("here-1", phone="2")
    cycles(world, 1)
    world.start(PHONE_MOVED)
    cycles(world, 3)
    assert told(world)[2] == [("phone", "2", "7")]


def test_what_an_undo_left_to_differ_in_the_field_is_forgotten() -> None:
    world = World(plain_spec(), fields=MORE)
    linked(world)
    world.left.human_update("here-1", name="Anna", phone="2")
    cycles(world, 1)
    undo(world, world.store.pairs.cycles(world.pair.id, limit=1)[0].id)
    link = world.store.links.of(world.pair.id, LEFT, "here-1")
    assert link is not None
    assert link.held.keys() == {"name", "phone"}
    world.start(PHONE_MOVED)
    cycles(world, 3)
    link = world.store.links.of(world.pair.id, LEFT, "here-1")
    assert link is not None
    assert link.held == {"name": ["Anna", "Ann"]}
    assert world.right.live()["there-1"] == {**ANN, "mobile": "2"}
    assert world.left.live()["here-1"]["name"] == "Anna"


# -- match, scope, and what was read before


@KINDS
def test_another_key_finds_who_is_there_already(kind: Kind) -> None:
    world = World()
    linked(world)
    world.start(replace(plain_spec(), match=(("phone",),)))
    world.right.human_create(email="other@example.org", name="Ann", phone="1")
    cycles(world, 3, kind=kind)
    assert list(world.left.live()) == ["here-1"]


def test_another_key_finds_a_record_that_was_set_aside() -> None:
    """Nobody's counterpart by the old key; by the new one it is, and is to get no double."""
    world = World(replace(plain_spec(), left=replace(plain_spec().left, scope='name == "Ann"')))
    linked(world)
    world.left.human_create(**BOB)
    cycles(world, 2)
    world.start(replace(plain_spec(), match=(("phone",),)))
    world.right.human_create(email="robert@example.org", name="Robert", phone="2")
    cycles(world, 2)
    assert len(world.left.live()) == len(world.right.live()) == 2
    assert world.store.links.count(world.pair.id) == 2


class _Overlooks(MemoryConnector):
    """An app whose complete listing overlooks Bob."""

    async def snapshot(self, cursor: str | None) -> Page:
        page = await super().snapshot(cursor)
        return page._replace(records=[one for one in page.records if one.values.get("name") != "Bob"])


@pytest.mark.parametrize(
    ("before", "now", "robert"),
    [
        pytest.param(
            plain_spec(), replace(plain_spec(), match=(("phone",),)), {"email": "r", "phone": "2"}, id="another key"
        ),
        pytest.param(
            at(plain_spec(), "email", left="mobile"), plain_spec(), {"email": "new"}, id="a key at another place"
        ),
    ],
)
def test_a_record_that_was_unlinked_is_found_by_a_new_key_though_it_is_not_listed(
    before: MappingSpec, now: MappingSpec, robert: dict[str, str]
) -> None:
    world = World(before, fields=MORE)
    old = next(one.left for one in before.fields if one.name == "email")
    world.left.human_create(name="Bob", phone="2", **{"email": "new", str(old and old.path): "bob@example.org"})
    world.right.human_create(**BOB)
    cycles(world, 2)
    byhand.unlink(world.store, world.pair.id, LEFT, "here-1", world.clock.now())
    cycles(world, 1)
    reads(world, _Overlooks, world.left)
    world.start(now)
    world.right.human_create(name="Robert", **robert)
    cycles(world, 3)
    assert list(world.left.live()) == ["here-1"]


@KINDS
def test_a_new_scope_ends_no_link_of_a_record_that_it_takes_in(kind: Kind) -> None:
    plain = plain_spec()
    world = World(plain, fields=(*MORE, "stage"))
    world.left.human_create(**ANN, stage="customer")
    world.right.human_create(**ANN)
    cycles(world, 2)
    stage = FieldSpec(name="stage", left=Location(path="stage"))
    left = replace(plain.left, scope='stage == "customer"')
    world.start(replace(plain, left=left, on_leave=OnLeave.UNLINK, fields=(*plain.fields, stage)))
    world.right.human_update("there-1", name="Anna")
    cycles(world, 3, kind=kind)
    assert world.store.links.count(world.pair.id) == 1
    assert world.left.live()["here-1"]["name"] == "Anna"


@pytest.mark.parametrize("shown", [True, False], ids=["listed once more", "not listed again"])
def test_what_was_read_under_the_former_mapping_is_not_written(shown: bool) -> None:
    world = World(at(plain_spec(), "name", left="nick"), fields=(*MORE, "nick"))
    world.left.human_create(**ANN, nick="Ann")
    world.right.human_create(**ANN)
    cycles(world, 2)
    world.left.human_update("here-1", nick="Nicky")
    if not shown:
        world.clock.advance(10)
    world.left.human_create(email="bob@example.org", nick="Bob", name="Robert")
    reads(world, Down, world.right)
    assert cycles(world, 1) == [Ending.FAILED]
    reads(world, MemoryConnector)
    world.start(plain_spec())
    cycles(world, 3)
    assert {one["name"] for one in world.right.live().values()} == {"Ann", "Robert"}


def test_a_record_that_is_listed_at_the_version_it_had_is_read_all_the_same() -> None:
    world = World(plain_spec(), fields=MORE, manners=dict.fromkeys(Side, Manner(by_version=True)))
    world.left.human_create(**ANN)
    cycles(world, 2)
    world.right.human_update("there-1", mobile="7")
    cycles(world, 2)
    world.start(PHONE_MOVED)
    cycles(world, 2)
    assert told(world)[2] == [("phone", "1", "7")]


def test_a_record_that_is_gone_since_is_believed_gone() -> None:
    plain = plain_spec()
    world = World(replace(plain, left=replace(plain.left, delete=OnDelete.DELETE)), fields=MORE)
    linked(world)
    for number in range(9):
        world.left.human_create(email=f"{number}@example.org", name="N", phone="1")
    cycles(world, 2)
    world.right.human_delete("there-1")
    world.start(replace(at(plain, "phone", left="mobile"), left=replace(plain.left, delete=OnDelete.DELETE)))
    cycles(world, 2)
    assert "here-1" not in world.left.live()
    assert len(world.left.live()) == len(world.right.live()) == 9


# -- another collection


def _another(world: World) -> MemoryApp:
    """The list that people write to from now on: it knows none of the old ids."""
    other = MemoryApp("there", world.right.fields, world.clock, world.right.manner)
    other._number = 100
    other.human_create(**ANN)
    world.apps[RIGHT] = world.right = other
    return other


@KINDS
@pytest.mark.parametrize("part", [{"account": "elsewhere"}, {"collection": "other"}, {"options": {"list": "B"}}])
def test_another_collection_is_refused_and_nothing_is_done(kind: Kind, part: dict[str, Any]) -> None:
    plain = plain_spec()
    spec = replace(plain, left=replace(plain.left, delete=OnDelete.DELETE))
    world = World(spec)
    linked(world)
    former, old = world.right, world.pair
    _another(world)
    world.start(replace(spec, right=replace(spec.right, **part)))
    reports = [asyncio.run(world.cycle(kind)) for _ in range(2)]
    (name,) = part
    for report in reports:
        assert report.ending is Ending.FAILED
        assert report.requests == {LEFT: 0, RIGHT: 0}
        assert f"right.{name} was" in str(report.error)
    assert list(world.left.live()) == ["here-1"]
    world.apps[RIGHT] = world.right = former
    world.start(spec)
    assert world.pair.id == old.id
    world.left.human_update("here-1", name="Anna")
    assert cycles(world, 1) == [Ending.DONE]
    assert former.live()["there-1"]["name"] == "Anna"


def test_another_name_begins_with_a_first_link() -> None:
    plain = plain_spec()
    world = World(plain)
    linked(world)
    _another(world)
    world.start(replace(plain, pair="here-other", right=replace(plain.right, collection="other")))
    cycles(world, 2)
    assert [(row.left_id, row.right_id) for row in world.store.attention.conflicts()] == []
    assert world.store.links.of(world.pair.id, LEFT, "here-1") is not None


# -- what drops nothing


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(plain_spec(), id="the same"),
        pytest.param(replace(plain_spec(), guard=GuardRules(creates=0.5, floor=1)), id="another guard"),
        pytest.param(replace(plain_spec(), fields=plain_spec().fields[::-1]), id="fields in another order"),
    ],
)
def test_a_mapping_that_means_the_same_drops_nothing_and_lists_nothing(spec: MappingSpec) -> None:
    world = World(connect=Counts)
    linked(world)
    cycles(world, 2)
    before = world.store.db.run("SELECT * FROM link").fetchall(), world.store.pairs.get(world.pair.name)
    Counts.snapshots = 0
    world.start(spec)
    cycles(world, 2)
    after = world.store.db.run("SELECT * FROM link").fetchall(), world.store.pairs.get(world.pair.name)
    assert Counts.snapshots == 0
    assert after[0] == before[0]
    assert before[1] is not None
    assert after[1] is not None
    assert after[1]._replace(succeeded_at=None, clock_at=None) == before[1]._replace(succeeded_at=None, clock_at=None)


def test_another_policy_lists_both_sides_once_and_drops_no_base() -> None:
    world = World(connect=Counts)
    linked(world)
    Counts.snapshots = 0
    world.left.human_update("here-1", name="Anna")
    world.start(replace(plain_spec(), conflict=Policy.LEFT))
    cycles(world, 3)
    assert Counts.snapshots == 2
    assert world.right.live()["there-1"]["name"] == "Anna"
    assert world.store.attention.conflicts() == []


@KINDS
def test_both_sides_are_listed_by_the_first_cycle_that_can(kind: Kind) -> None:
    world = World(plain_spec(), fields=MORE)
    linked(world)
    world.right.human_update("there-1", mobile="7")
    reads(world, NoListing)
    world.start(PHONE_MOVED)
    assert cycles(world, 2) == [Ending.FAILED, Ending.FAILED]
    reads(world, MemoryConnector)
    cycles(world, 1, kind=kind)
    assert told(world)[2] == [("phone", "1", "7")]
