"""A field that cannot be read: shown to people, held back alone, and carried over once it can be read."""

import asyncio
from dataclasses import replace

import pytest

from tests.engine.found import ANN, cycles
from twoway.core.model import Side
from twoway.core.rules import OnDelete, Start
from twoway.core.spec import FieldSpec, Location, MappingSpec
from twoway.testing.memory import Manner
from twoway.testing.world import World, plain_spec

PHONE = "+14155552000"
MENDED = "+14155552001"
WORDS = "ask reception"
BOTH = [Manner(conditional=True), Manner(conditional=False)]
MANNERS = pytest.mark.parametrize("manner", BOTH, ids=["conditional writes", "unconditional writes"])


def _world() -> World:
    spec = plain_spec(start=Start.LEFT)
    fields = tuple(replace(one, type="phone", region="US") if one.name == "phone" else one for one in spec.fields)
    return World(replace(spec, fields=fields))


def _parked(world: World) -> list[tuple[str, str, str | None]]:
    return [(row.record_id, row.code, row.field) for row in world.store.attention.parked()]


def test_the_other_fields_go_on_and_the_record_stays_told_until_it_is_mended() -> None:
    async def story() -> None:
        world = _world()
        linked = world.left.human_create(email="a@example.com", name="A", phone=WORDS)
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
        here = world.left.human_create(email="a@example.com", name="A", phone=WORDS)
        await world.cycle()
        (there,) = world.right.live()
        assert world.right.live()[there].get("phone") is None
        assert _parked(world) == [(here, "unreadable", "phone")]

        world.left.human_update(here, phone=MENDED)
        await world.cycle()
        assert world.right.live()[there]["phone"] == MENDED
        assert _parked(world) == []

    asyncio.run(story())


def _linked(manner: Manner, phone: str | None = PHONE, spec: MappingSpec | None = None) -> World:
    """Ann on both sides, with this phone."""
    world = World(spec or _world().spec, manners=dict.fromkeys(Side, manner))
    for app in world.apps.values():
        app.human_create(**{**ANN, "phone": phone})
    cycles(world, 2)
    return world


@MANNERS
def test_what_cannot_be_read_is_not_written_over(manner: Manner) -> None:
    world = _linked(manner)
    world.right.human_update("there-1", phone=WORDS)
    cycles(world, 2)
    world.left.human_update("here-1", phone=MENDED)
    cycles(world, 3)
    assert world.right.live()["there-1"]["phone"] == WORDS


@MANNERS
def test_an_edit_that_was_held_back_arrives_once_the_other_side_can_be_read(manner: Manner) -> None:
    world = _linked(manner)
    world.right.human_update("there-1", phone=WORDS)
    world.left.human_update("here-1", phone=MENDED)
    cycles(world, 3)
    assert world.right.live()["there-1"]["phone"] == WORDS
    world.right.human_update("there-1", phone=PHONE)
    cycles(world, 3)
    assert {app.live()[one]["phone"] for app, one in ((world.left, "here-1"), (world.right, "there-1"))} == {MENDED}


@MANNERS
def test_an_edit_that_was_held_back_and_what_came_instead_of_the_words_are_in_conflict(manner: Manner) -> None:
    world = _linked(manner)
    world.right.human_update("there-1", phone=WORDS)
    world.left.human_update("here-1", phone=MENDED)
    cycles(world, 3)
    world.right.human_update("there-1", phone="+14155552002")
    cycles(world, 3)
    (conflict,) = world.store.attention.conflicts()
    assert (conflict.left, conflict.right) == (MENDED, "+14155552002")


def test_after_a_write_of_another_field_the_one_that_cannot_be_read_is_still_not_known() -> None:
    world = _linked(Manner(conditional=True))
    world.right.human_update("there-1", phone=WORDS)
    cycles(world, 2)
    world.left.human_update("here-1", name="Anna")
    cycles(world, 2)
    world.left.human_update("here-1", phone=MENDED)
    cycles(world, 3)
    assert world.right.live()["there-1"] == {**ANN, "name": "Anna", "phone": WORDS}


def test_a_record_is_not_deleted_over_an_edit_that_cannot_be_read() -> None:
    spec = _world().spec
    world = _linked(Manner(), None, replace(spec, left=replace(spec.left, delete=OnDelete.DELETE)))
    world.left.human_update("here-1", phone=WORDS)
    cycles(world, 2)
    world.right.human_delete("there-1")
    cycles(world, 3)
    assert "here-1" in world.left.live()


@MANNERS
def test_a_choice_that_is_overlooked_is_not_written_over_and_its_place_is_synced_again_afterwards(
    manner: Manner,
) -> None:
    plain = plain_spec()
    stage = replace(plain.fields[-1], type="choice", choices={"lead": "Lead", "won": "Won"}, unknown_choice="ignore")
    world = World(replace(plain, fields=(*plain.fields[:-1], stage)), manners=dict.fromkeys(Side, manner))
    world.left.human_create(**{**ANN, "phone": "lead"})
    cycles(world, 2)
    world.right.human_update("there-1", phone="Odd")
    cycles(world, 2)
    world.left.human_update("here-1", phone="won", name="Anna")
    cycles(world, 3)
    assert world.right.live()["there-1"] == {**ANN, "phone": "Odd", "name": "Anna"}
    assert world.store.attention.parked() == []
    world.right.human_update("there-1", phone="Lead")
    cycles(world, 3)
    assert world.right.live()["there-1"]["phone"] == "Won"


@MANNERS
def test_a_scope_that_cannot_be_read_is_not_left(manner: Manner) -> None:
    plain = plain_spec()
    stage = FieldSpec(name="stage", type="phone", region="US", left=Location(path="segment"))
    spec = replace(plain, left=replace(plain.left, scope=f'stage == "{PHONE}"'), fields=(*plain.fields, stage))
    world = World(spec, fields=("email", "name", "phone", "segment"), manners=dict.fromkeys(Side, manner))
    world.left.human_create(**ANN, segment=PHONE)
    cycles(world, 2)
    world.left.human_update("here-1", segment=WORDS)
    cycles(world, 1)
    world.right.human_update("there-1", name="Anna")
    cycles(world, 3)
    assert world.left.live()["here-1"]["name"] == "Anna"
    assert _parked(world) == [("here-1", "unreadable", "stage")]


def _by_address(match: tuple[tuple[str, ...], ...]) -> World:
    spec = plain_spec()
    fields = tuple(replace(one, type="email") if one.name == "email" else one for one in spec.fields)
    return World(replace(spec, fields=fields, match=match))


def _is_linked(world: World) -> bool:
    link = world.store.links.of(1, Side.LEFT, "here-1")
    return link is not None and link.ids[Side.RIGHT] == "there-1"


def test_who_cannot_be_recognised_is_not_new() -> None:
    """Otherwise whoever is in both apps with an address that cannot be read would be doubled in both."""
    world = _by_address((("email",),))
    odd = {**ANN, "email": "a..b@carrier.example"}
    world.left.human_create(**odd)
    world.right.human_create(**odd)
    cycles(world, 3)
    assert (len(world.left.live()), len(world.right.live())) == (1, 1)
    assert _parked(world) == [("here-1", "unreadable", "email"), ("there-1", "unreadable", "email")]
    assert {row.reason for row in world.store.attention.parked()} == {
        f"not an e-mail address; it cannot be told whether {app} has this record already" for app in ("here", "there")
    }
    world.left.human_update("here-1", email="ann@example.org")
    world.right.human_update("there-1", email="ann@example.org")
    cycles(world, 3)
    assert (len(world.left.live()), len(world.right.live())) == (1, 1)
    assert _is_linked(world)
    assert _parked(world) == []


def test_another_key_recognises_whom_the_first_one_cannot() -> None:
    world = _by_address((("email",), ("name",)))
    odd = {**ANN, "email": "a..b@carrier.example"}
    world.left.human_create(**odd)
    world.right.human_create(**odd)
    cycles(world, 3)
    assert _is_linked(world)


def test_who_is_told_apart_by_an_earlier_key_is_new_whatever_the_later_ones_hold() -> None:
    world = _by_address((("name",), ("email",)))
    world.left.human_create(**{**ANN, "email": "a..b@carrier.example"})
    cycles(world, 3)
    assert list(world.right.live().values()) == [{"name": ANN["name"], "phone": ANN["phone"]}]
