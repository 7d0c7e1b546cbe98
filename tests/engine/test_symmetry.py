"""Neither side is privileged: a history and its mirror come to the same end, and the comparison would see if not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from twoway.core import reconcile
from twoway.core.model import Side
from twoway.core.reconcile import Edit
from twoway.core.resolve import Resolution
from twoway.core.rules import Direction, Policy, Start
from twoway.engine import decide
from twoway.testing.mirror import asymmetries, mirrored
from twoway.testing.planted import Plant
from twoway.testing.planted_ways import around
from twoway.testing.scenarios import scenario

SEEDS = 250
CHUNK = 50


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_a_history_and_its_mirror_come_to_the_same_end(start: int) -> None:
    assert {seed: found for seed in range(start, start + CHUNK) if (found := asymmetries(seed))} == {}


def left_wins(
    before: Callable[..., Resolution], rule: object, left: object, right: object, **more: object
) -> Resolution:
    """Where the outcome is a conflict for a person, the left side's value is taken."""
    found = before(rule, left, right, **more)
    return Resolution(right=left.value, rule="changed") if found.conflict else found  # type: ignore[attr-defined]  # a view


def never_to_the_left(before: Callable[..., object], edit: Edit, *more: object) -> object:
    """Nothing is written to the left side."""
    return None if edit.side is Side.LEFT else before(edit, *more)


@pytest.mark.parametrize(
    ("where", "name", "wrong"),
    [(reconcile, "resolve", left_wins), (decide, "_stage", never_to_the_left)],
    ids=["the left side wins what a person is to decide", "the left side only gives"],
)
def test_a_side_that_is_privileged_is_seen(where: object, name: str, wrong: Callable[..., object]) -> None:
    plant = Plant()
    around(where, name, wrong)(plant)
    try:
        assert any(asymmetries(seed) for seed in range(60))
    finally:
        plant.pull()


@pytest.mark.parametrize("seed", range(20))
def test_a_mirror_of_the_mirror_is_the_mapping(seed: int) -> None:
    spec = scenario(seed).spec
    assert mirrored(mirrored(spec)) == spec
    assert mirrored(spec) != spec


def test_what_a_mapping_says_of_one_side_its_mirror_says_of_the_other() -> None:
    spec = replace(scenario(0).spec, conflict=Policy.LEFT, start=Start.RIGHT)
    name = replace(spec.fields[0], direction=Direction.TO_RIGHT, conflict=Policy.RIGHT, start=Start.LEFT)
    turned = mirrored(replace(spec, fields=(name,)))
    assert (turned.left, turned.right, turned.conflict, turned.start) == (spec.right, spec.left, "right", "left")
    (field,) = turned.fields
    assert (field.direction, field.conflict, field.start) == ("to_left", "left", "right")
