"""A link's life in which records are deleted, merged into others, and leave the scope; also side by side with edits."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.core.sides import BOTH_SIDES
from tests.core.world import (
    World,
    agreed,
    as_given,
    assert_nothing_lost,
    edits,
    failures,
    perturb,
    states,
)
from twoway.core.diff import Life
from twoway.core.model import Side, Value
from twoway.core.reconcile import Action
from twoway.core.resolve import MERGED
from twoway.core.rules import Direction, Drift, OnDelete, OnEditedDelete, OnLeave, Shape, Start

L, R = BOTH_SIDES


class Fate(Enum):
    """What becomes of a record between two cycles."""

    EDITED = "edited"
    """By a person, or not at all."""
    DELETED = "deleted"
    LEFT = "left the scope"
    MERGED = "merged"
    """Into a record that nobody had linked: the link leads to that one, with no base there."""


@dataclass(frozen=True)
class Event:
    """What happened on one side. `values` are what a person typed, or what the surviving record holds."""

    fate: Fate
    values: Mapping[str, Value]


events = st.sampled_from((Fate.EDITED, Fate.EDITED, Fate.DELETED, Fate.LEFT, Fate.MERGED)).flatmap(
    lambda fate: st.builds(Event, st.just(fate), states if fate is Fate.MERGED else edits)
)


@st.composite
def lives(draw: st.DrawFn) -> World:
    """A link at rest, under any rules for deletions and the scope."""
    world = draw(agreed((as_given,)))
    world.rules = replace(
        world.rules,
        delete={side: draw(st.sampled_from(OnDelete)) for side in BOTH_SIDES},
        create={side: draw(st.booleans()) for side in BOTH_SIDES},
        edited_delete=draw(st.sampled_from(OnEditedDelete)),
        on_leave=draw(st.sampled_from(OnLeave)),
    )
    return world


Edited = dict[Side, dict[str, Value]]


def befall(world: World, left: Event, right: Event) -> Edited:
    """Let it happen: whoever deletes a record or takes it out of the scope may have edited it right before."""
    edited = perturb(world, *({} if one.fate is Fate.MERGED else one.values for one in (left, right)))
    for side, event in ((L, left), (R, right)):
        app = world.apps[side]
        match event.fate:
            case Fate.DELETED:
                app.life = Life.GONE
                # Nobody read it any more: it went with the record.
                edited[side] = {}
            case Fate.LEFT:
                app.in_scope = False
            case Fate.MERGED:
                app.values = dict(event.values)
                app.version += 1
                world.bases[side], world.receipts[side] = {}, None
                edited[side] = dict(event.values)
    return edited


def snapshot(world: World) -> dict[Side, dict[str, Value]]:
    return {side: dict(app.values) for side, app in world.apps.items()}


Failing = list[tuple[tuple[Side, ...], tuple[Side, ...]]]


@given(lives(), events, events, failures)
@settings(max_examples=200, deadline=None)
def test_whatever_becomes_of_the_records_it_comes_to_rest_and_loses_nothing(
    world: World, left: Event, right: Event, failing: Failing
) -> None:
    edited = befall(world, left, right)
    fates = {left.fate, right.fate}
    for sides, order in failing:
        world.round(sides, order)

    after = world.come_to_rest()

    if after.action is Action.KEEP and all(app.life is Life.LIVE for app in world.apps.values()):
        if Fate.MERGED in fates:
            edited = {side: without_left_alone(world, values) for side, values in edited.items()}
        assert_nothing_lost(world, edited, after)
    removed = {(side, name): value for side, name, value, rule in world.history if rule in REMOVALS}
    for side, event in ((L, left), (R, right)):
        app = world.apps[side]
        if app.life is Life.GONE and event.fate is not Fate.DELETED:
            assert fates & {Fate.DELETED, Fate.LEFT}, "removed, though nothing was deleted or left the scope"
            assert removed == {(side, name): value for name, value in app.values.items()}, "removed without a history"


def without_left_alone(world: World, values: Mapping[str, Value]) -> dict[str, Value]:
    """What a one-way field held on both sides before it had a base stays as it is, under `drift: ignore`."""
    rules = world.rules.fields
    return {
        name: value
        for name, value in values.items()
        if rules[name].direction is Direction.BOTH or rules[name].drift is Drift.REVERT
    }


REMOVALS: Final = {"deleted opposite", "left the scope"}


@given(lives(), st.sampled_from(BOTH_SIDES), edits, failures)
@settings(max_examples=100, deadline=None)
def test_a_deletion_ends_as_the_rules_say(
    world: World, side: Side, changes: dict[str, Value], failing: Failing
) -> None:
    deleted, other = Event(Fate.DELETED, {}), Event(Fate.EDITED, changes)
    edited = befall(world, *((deleted, other) if side is L else (other, deleted)))[side.other]
    before = snapshot(world)[side.other]
    for sides, order in failing:
        world.round(sides, order)

    after = world.come_to_rest()

    survivor, rules = world.apps[side.other], world.rules
    assert survivor.values == before, "the record that was not deleted was written"
    if edited and rules.edited_delete is not OnEditedDelete.DELETE:
        survives = rules.edited_delete is OnEditedDelete.EDIT and rules.create[side]
        assert survivor.life is Life.LIVE, "an edit was deleted"
        assert after.action is (Action.KEEP if survives else Action.PARK)
        assert world.apps[side].life is (Life.LIVE if survives else Life.GONE)
        if survives:
            assert_made_anew(world, side)
        return
    assert world.apps[side].life is Life.GONE, "a deleted record came back"
    assert survivor.life is (Life.GONE if rules.delete[side.other] in REMOVE else Life.LIVE)
    assert after.action is (Action.PARK if rules.delete[side.other] is OnDelete.REVIEW else Action.UNLINK)


REMOVE: Final = {OnDelete.DELETE, OnDelete.ARCHIVE}


def assert_made_anew(world: World, side: Side) -> None:
    """The record that was made holds what its counterpart does, as far as the directions go; of consent only "out"."""
    for name, rule in world.rules.fields.items():
        value = world.apps[side.other].values[name]
        told = rule.direction.writes(side) and (rule.shape is not Shape.CONSENT or value == "out")
        assert world.apps[side].values[name] == (value if told else None)


@given(lives(), st.sampled_from(BOTH_SIDES), edits, edits, edits, failures)
@settings(max_examples=100, deadline=None)
def test_out_of_scope_nothing_moves_and_back_in_scope_nothing_is_lost(
    world: World,
    side: Side,
    left: dict[str, Value],
    right: dict[str, Value],
    later: dict[str, Value],
    failing: Failing,
) -> None:
    world.rules = replace(world.rules, on_leave=OnLeave.KEEP)
    bases = {one: dict(base) for one, base in world.bases.items()}
    world.apps[side].in_scope = False
    perturb(world, left, right)
    there = snapshot(world)

    assert world.come_to_rest().action is Action.FREEZE
    assert (snapshot(world), world.bases) == (there, bases)

    world.apps[side].in_scope = True
    perturb(world, *((later, {}) if side is L else ({}, later)))
    edited = {
        one: {name: value for name, value in app.values.items() if value != bases[one][name]}
        for one, app in world.apps.items()
    }
    for sides, order in failing:
        world.round(sides, order)
    assert_nothing_lost(world, edited, world.settle())


@given(lives(), st.sampled_from(BOTH_SIDES), states, edits, failures)
@settings(max_examples=100, deadline=None)
def test_the_survivor_of_a_merge_and_its_counterpart_come_to_agree(
    world: World, side: Side, survivor: dict[str, Value], changes: dict[str, Value], failing: Failing
) -> None:
    merged, other = Event(Fate.MERGED, survivor), Event(Fate.EDITED, changes)
    befall(world, *((merged, other) if side is L else (other, merged)))
    before = snapshot(world)
    for sides, order in failing:
        world.round(sides, order)

    after = world.settle()

    now = snapshot(world)
    open_fields = {one.field for one in after.conflicts}
    for name, rule in world.rules.fields.items():
        if rule.shape is Shape.CONSENT or rule.direction.receiver is not None:
            continue
        was = {before[one][name] for one in BOTH_SIDES} if rule.shape is not Shape.SET else set()
        if name in open_fields:
            assert rule.start in (Start.REVIEW, Start.NEWEST)
            assert [now[one][name] for one in BOTH_SIDES] == [before[one][name] for one in BOTH_SIDES]
        else:
            assert now[L][name] == now[R][name], f"{name} differs, and is no conflict"
            assert rule.shape is Shape.SET or now[L][name] in was


# -- what the histories above are about: a property of histories in which nothing happens would hold, too

CONFLICT: Final = "a field changed on both sides, and differently"
DELETED: Final = "deleted"
SHARES: Final = {
    CONFLICT: 0.20,
    "changed on one side alone": 0.10,
    "a set merged element by element": 0.15,
    "a write that fails": 0.30,
    DELETED: 0.15,
    "deleted, and edited on the other side": 0.03,
    "left the scope": 0.15,
    "merged into another record": 0.20,
}
"""The least part of the histories that is of a kind; they may be of several."""


def test_the_histories_are_of_every_kind() -> None:
    """In one fixed sample of just the histories that the properties are tried on."""
    told: Counter[str] = Counter()
    count = 150
    sample = settings(max_examples=count, derandomize=True, database=None, deadline=None, phases=(Phase.generate,))

    @sample
    @given(agreed(), edits, edits, failures)
    def edited_only(world: World, left: dict[str, Value], right: dict[str, Value], failing: Failing) -> None:
        edited = perturb(world, left, right)
        both = edited[L].keys() & edited[R].keys()
        told["edited"] += 1
        told[CONFLICT] += any(edited[L][f] != edited[R][f] for f in both)
        told["changed on one side alone"] += bool(edited[L]) is not bool(edited[R])
        rules = {rule for edit in world.decide().edits for rule in edit.rules.values()}
        told["a set merged element by element"] += MERGED in rules
        told["a write that fails"] += bool(failing)

    @sample
    @given(lives(), events, events)
    def of_all_fates(world: World, left: Event, right: Event) -> None:
        edited = befall(world, left, right)
        fates = {left.fate, right.fate}
        told["of all fates"] += 1
        told[DELETED] += Fate.DELETED in fates
        told["deleted, and edited on the other side"] += fates == {Fate.DELETED, Fate.EDITED} and any(edited.values())
        told["left the scope"] += Fate.LEFT in fates
        told["merged into another record"] += Fate.MERGED in fates

    edited_only()
    of_all_fates()
    assert min(told["edited"], told["of all fates"]) >= count
    assert {kind: told[kind] / count for kind, least in SHARES.items() if told[kind] < least * count} == {}
