"""What is not promised, as docs/reliability.md has it: each limit shown, so that it is known when it moves."""

from dataclasses import replace

import pytest

from tests.engine.found import ANN, Loses, cycles, linked
from twoway.core.model import Raw, Side
from twoway.core.rules import OnDelete, Policy
from twoway.engine.run import Tuning
from twoway.testing.memory import Manner
from twoway.testing.world import World, plain_spec


@pytest.fixture(autouse=True)
def reset() -> None:
    Loses.lost = 0


def _trimmed(_: str, value: Raw) -> Raw:
    return value.rstrip("+") if isinstance(value, str) else value


def test_an_unknown_form_after_a_lost_answer_is_taken_for_an_edit() -> None:
    manner = Manner(stores=_trimmed, declares_form=False)
    world = World(replace(plain_spec(), conflict=Policy.REVIEW), manners={Side.RIGHT: manner}, connect=Loses)
    linked(world)
    world.left.human_update("here-1", name="Anna+")
    Loses.lost = 1
    cycles(world, 6, after=15)
    (conflict,) = world.store.attention.conflicts()
    assert (conflict.left, conflict.right) == ("Anna+", "Anna")


def test_a_record_that_is_restored_while_its_deletion_is_in_doubt_is_deleted_again() -> None:
    plain = plain_spec()
    world = World(replace(plain, right=replace(plain.right, delete=OnDelete.DELETE)), connect=Loses)
    linked(world)
    world.left.human_delete("here-1")
    Loses.lost = 1
    cycles(world, 1)
    assert world.right.live() == {}
    world.right.human_restore("there-1")
    cycles(world, 6, after=15)
    assert world.right.live() == {}
    told = world.store.operations.history(side=Side.RIGHT, record_id="there-1")
    assert {row.field: row.old for row in told} == ANN, "what it held is in the history"


@pytest.mark.parametrize(("behind", "people"), [(300_000, 2), (30_000, 1)])
def test_a_clock_that_is_minutes_behind_can_hide_what_was_made_unheard(behind: int, people: int) -> None:
    world = World(connect=Loses, manners={Side.RIGHT: Manner(skew=-behind)}, tuning=Tuning())
    world.left.human_create(**ANN)
    Loses.lost = 1
    cycles(world, 1)
    world.right.human_update("there-1", email="anna@example.org")
    cycles(world, 6, after=30)
    assert len(world.right.live()) == people
