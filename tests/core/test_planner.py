"""A link's life: an agreed state, edits on both sides, writes that fail, apps that rewrite; round by round to rest."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.sides import BOTH_SIDES, pair
from tests.core.world import (
    App,
    World,
    agreed,
    as_given,
    assert_nothing_lost,
    conflicts,
    edits,
    failures,
    perturb,
    sets,
    texts,
)
from twoway.core.model import Side, Value
from twoway.core.resolve import Verdict, elements
from twoway.core.rules import Blank, FieldRule, Policy, Shape, Start

L, R = BOTH_SIDES


@given(agreed(), edits, edits, failures)
@settings(max_examples=400, deadline=None)
def test_it_comes_to_rest_and_loses_nothing(
    world: World,
    left: dict[str, Value],
    right: dict[str, Value],
    failing: list[tuple[tuple[Side, ...], tuple[Side, ...]]],
) -> None:
    edited = perturb(world, left, right)
    for sides, order in failing:
        world.round(sides, order)

    after = world.settle()

    assert_nothing_lost(world, edited, after)
    assert all(rule != "agreed" for *_, rule in world.history)


@given(agreed((as_given,)), st.sampled_from(BOTH_SIDES), edits, failures)
@settings(max_examples=200, deadline=None)
def test_what_one_side_alone_changed_arrives(
    world: World,
    side: Side,
    changes: dict[str, Value],
    failing: list[tuple[tuple[Side, ...], tuple[Side, ...]]],
) -> None:
    edited = perturb(world, *((changes, {}) if side is L else ({}, changes)))[side]
    for sides, order in failing:
        world.round(sides, order)

    world.settle()

    here, there = world.apps[side].values, world.apps[side.other].values
    for name, value in edited.items():
        rule = world.rules.fields[name]
        travels = value is not None or rule.blank is Blank.PROPAGATE
        if name != "consent" and rule.direction.writes(side.other) and travels:
            assert (here[name], there[name]) == (value, value), f"{name} did not arrive"
        if name == "consent" and value == "out":
            assert (here[name], there[name]) == ("out", "out")


@given(agreed((as_given,)), sets, sets, failures)
@settings(max_examples=200, deadline=None)
def test_of_a_set_each_element_that_was_added_or_removed_arrives(
    world: World, left: Value, right: Value, failing: list[tuple[tuple[Side, ...], tuple[Side, ...]]]
) -> None:
    world.rules = pair(replace(world.rules.fields["tags"], blank=Blank.PROPAGATE))
    was = set(elements(world.bases[L]["tags"]))
    perturb(world, {"tags": left}, {"tags": right})
    for sides, order in failing:
        world.round(sides, order)

    world.settle()

    added = (set(elements(left)) | set(elements(right))) - was
    removed = (was - set(elements(left))) | (was - set(elements(right)))
    assert world.apps[L].values["tags"] == world.apps[R].values["tags"] == (sorted((was | added) - removed) or None)


@given(agreed(), texts, texts, texts, failures)
@settings(max_examples=200, deadline=None)
def test_what_a_person_decided_is_what_both_sides_hold(
    world: World,
    left: Value,
    right: Value,
    chosen: Value,
    failing: list[tuple[tuple[Side, ...], tuple[Side, ...]]],
) -> None:
    for app in world.apps.values():
        # An app that neither stores what it is given nor tells what it made of it leaves nothing to go by.
        app.tells = True
    world.rules = pair(FieldRule(name="name", policy=Policy.REVIEW))
    perturb(world, {"name": left}, {"name": right})
    for one in world.settle().conflicts:
        world.verdicts[one.field] = Verdict(one.left, one.right, chosen)
    if not world.verdicts:
        return
    for sides, order in failing:
        world.round(sides, order)

    after = world.settle()

    assert after.conflicts == ()
    for app in world.apps.values():
        assert app.values["name"] in (chosen, app.rewrite(chosen))


@given(agreed(), edits, edits, edits, edits, failures)
@settings(max_examples=200, deadline=None)
def test_people_who_go_on_editing_do_not_unsettle_it(
    world: World,
    left: dict[str, Value],
    right: dict[str, Value],
    left_later: dict[str, Value],
    right_later: dict[str, Value],
    failing: list[tuple[tuple[Side, ...], tuple[Side, ...]]],
) -> None:
    perturb(world, left, right)
    for sides, order in failing:
        world.round(sides, order)
    edited = perturb(world, left_later, right_later)

    after = world.settle()

    assert_nothing_lost(world, edited, after)


@pytest.mark.parametrize(
    "failing", [(), (L,), (R,), (L, R)], ids=["all land", "left fails", "right fails", "none lands"]
)
@pytest.mark.parametrize("start", Start)
def test_a_first_link_comes_to_agreement(failing: tuple[Side, ...], start: Start) -> None:
    fields = (
        FieldRule(name="name", start=start),
        FieldRule(name="tags", shape=Shape.SET),
        FieldRule(name="consent", shape=Shape.CONSENT),
    )
    apps = {
        L: App({"name": "a", "tags": ["a"], "consent": "in"}, as_given, tells=False),
        R: App({"name": "b", "tags": ["b"], "consent": "out"}, as_given, tells=False),
    }
    world = World(apps, pair(*fields))
    world.round(failing)

    after = world.settle()

    assert conflicts(after) == ({"name"} if start is Start.REVIEW else set())
    for app in apps.values():
        assert (app.values["tags"], app.values["consent"]) == (["a", "b"], "out")
    winner = {Start.LEFT: "a", Start.RIGHT: "b", Start.NEWEST: "b"}.get(start)
    assert [app.values["name"] for app in apps.values()] == ([winner, winner] if winner else ["a", "b"])
