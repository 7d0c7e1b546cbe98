"""A link's life: an agreed state, edits on both sides, writes that fail, apps that rewrite; round by round to rest.

The two apps are a value by field each. What a write does to the bases is `moved_bases`, and a read at the version of
our own write moves them once more, as in the engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.sides import BOTH_SIDES, pair
from twoway.core.diff import Seen, absorb_receipt
from twoway.core.model import Side, Value
from twoway.core.reconcile import Action, Decision, Edit, moved_bases, reconcile
from twoway.core.resolve import DECIDED, Verdict, elements
from twoway.core.rules import Blank, Direction, Drift, FieldRule, PairRules, Policy, Shape, Start

L, R = Side.LEFT, Side.RIGHT
ROUNDS: Final = 3
"""Within so many rounds of which every write lands, nothing is left to write."""

Rewrite = Callable[[Value], Value]


def as_given(value: Value) -> Value:
    return value


def in_lower_case(value: Value) -> Value:
    if isinstance(value, list):
        return sorted({element.lower() for element in value})
    return value.lower() if isinstance(value, str) else value


def cut(value: Value) -> Value:
    """Keeps two letters of a text, and the whole of a set."""
    return value[:2] if isinstance(value, str) else value


REWRITES: Final[tuple[Rewrite, ...]] = (as_given, in_lower_case, cut)


@dataclass
class App:
    """One record of an app. `tells` is whether a write's answer shows what was stored; the version always does."""

    values: dict[str, Value]
    rewrite: Rewrite
    tells: bool
    version: int = 0

    def write(self, changed: Mapping[str, Value]) -> None:
        self.values |= {name: self.rewrite(value) if name != "consent" else value for name, value in changed.items()}
        self.version += 1

    def edit(self, changed: Mapping[str, Value]) -> None:
        """A person's edit: the app rewrites what people type as well."""
        self.write(changed)


@dataclass
class World:
    """Both apps, and what is remembered of them."""

    apps: dict[Side, App]
    rules: PairRules
    bases: dict[Side, dict[str, Value]] = field(default_factory=lambda: {L: {}, R: {}})
    receipts: dict[Side, tuple[str, tuple[str, ...]] | None] = field(default_factory=lambda: dict.fromkeys(BOTH_SIDES))
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    carried: set[tuple[str, Side]] = field(default_factory=set)
    """The sides that hold already what a verdict says, while the other side's write is still to be done."""
    history: list[tuple[Side, str, Value, str]] = field(default_factory=list)
    """What was overwritten: side, field, the value before, the rule."""

    def seen(self, side: Side) -> Seen:
        app = self.apps[side]
        side_seen = Seen(values=dict(app.values), base=self.bases[side], modified=1_000 if side is L else 9_000)
        return absorb_receipt(side_seen, str(app.version), self.receipts[side])

    def decide(self) -> Decision:
        left, right = self.seen(L), self.seen(R)
        decision = reconcile(left, right, self.rules, self.verdicts)
        assert decision.action is Action.KEEP
        for side, one in ((L, left), (R, right)):
            self.bases[side] = {**one.base, **decision.bases.get(side, {})}
        return decision

    def round(self, failing: tuple[Side, ...] = (), order: tuple[Side, ...] = BOTH_SIDES) -> Decision:
        """Decide, and write what does not fail."""
        decision = self.decide()
        edits = {edit.side: edit for edit in decision.edits}
        for side in order:
            if side in edits and side not in failing:
                self.carry_out(edits[side])
        return decision

    def carry_out(self, edit: Edit) -> None:
        app = self.apps[edit.side]
        assert edit.expect == {name: app.values[name] for name in edit.changed}
        self.history += [(edit.side, name, app.values[name], edit.rules[name]) for name in edit.changed]
        app.write(edit.changed)
        stored = {name: app.values[name] if app.tells else value for name, value in edit.changed.items()}
        for side, moved in moved_bases(edit, stored, self.bases).items():
            self.bases[side] |= moved
        # A set merged on both sides has something left to give until the other write is done.
        self.receipts[edit.side] = (str(app.version), tuple(sorted(edit.changed.keys() - edit.deltas.keys())))
        self.note_verdicts(edit, stored)

    def note_verdicts(self, edit: Edit, stored: Mapping[str, Value]) -> None:
        """A verdict is carried out by its last write; until then it goes by what the first one left."""
        for name, rule in edit.rules.items():
            if rule != DECIDED or name not in self.verdicts:
                continue
            if name in edit.given or (name, edit.side.other) in self.carried:
                del self.verdicts[name]
                continue
            self.carried.add((name, edit.side))
            verdict = self.verdicts[name]
            self.verdicts[name] = (
                replace(verdict, left=stored[name]) if edit.side is L else replace(verdict, right=stored[name])
            )

    def settle(self) -> Decision:
        """Rounds without a failure, to rest."""
        for _ in range(ROUNDS):
            if not self.round().edits:
                break
        after = self.decide()
        assert after.edits == (), "not at rest"
        assert after.bases == {}, "bases that go on moving"
        return after


def one_of(*values: Value) -> st.SearchStrategy[Value]:
    return st.sampled_from(values)


def as_set(letters: set[str]) -> Value:
    return sorted(letters) or None


texts = one_of(None, "a", "b", "Bcd", "bce")
sets = st.sets(st.sampled_from("abCd")).map(as_set)
numbers = one_of(None, "9", "10", "-1")
consents = one_of(None, "in", "out")
states = st.fixed_dictionaries({"name": texts, "tags": sets, "size": numbers, "consent": consents, "stage": texts})
edits = st.fixed_dictionaries(
    {}, optional={"name": texts, "tags": sets, "size": numbers, "consent": consents, "stage": texts}
)
failures = st.lists(
    st.tuples(st.sampled_from(((L,), (R,), (L, R))), st.permutations(BOTH_SIDES).map(tuple)), max_size=3
)


@st.composite
def rules_of(draw: st.DrawFn) -> PairRules:
    def two_way(name: str, shape: Shape) -> FieldRule:
        return FieldRule(
            name=name,
            shape=shape,
            policy=draw(st.sampled_from(Policy)),
            blank=draw(st.sampled_from(Blank)),
            start=draw(st.sampled_from(Start)),
        )

    return pair(
        two_way("name", Shape.SCALAR),
        two_way("tags", Shape.SET),
        two_way("size", Shape.NUMBER),
        FieldRule(name="consent", shape=Shape.CONSENT),
        FieldRule(
            name="stage",
            direction=draw(st.sampled_from((Direction.TO_LEFT, Direction.TO_RIGHT))),
            drift=draw(st.sampled_from(Drift)),
            blank=draw(st.sampled_from(Blank)),
        ),
    )


@st.composite
def agreed(draw: st.DrawFn, rewrites: tuple[Rewrite, ...] = REWRITES) -> World:
    """A link at rest: left's values carried over to the right one, each app having made of them what it does."""
    apps = {side: App({}, draw(st.sampled_from(rewrites)), draw(st.booleans())) for side in BOTH_SIDES}
    state: dict[str, Value] = draw(states)
    apps[L].write(state)
    apps[R].write(apps[L].values)
    world = World(apps, draw(rules_of()), bases={side: dict(app.values) for side, app in apps.items()})
    assert world.decide() == Decision()
    return world


def perturb(world: World, left: Mapping[str, Value], right: Mapping[str, Value]) -> dict[Side, dict[str, Value]]:
    """People edit. What changed of what was last known, by side: to and fro between two reads is no change."""
    before = {side: dict(app.values) for side, app in world.apps.items()}
    world.apps[L].edit(left)
    world.apps[R].edit(right)
    return {
        side: {
            name: value
            for name, value in app.values.items()
            if value not in (before[side][name], world.bases[side][name])
        }
        for side, app in world.apps.items()
    }


def conflicts(decision: Decision) -> set[str]:
    return {one.field for one in decision.conflicts}


def assert_nothing_lost(world: World, edited: Mapping[Side, Mapping[str, Value]], after: Decision) -> None:
    """Each person's value is on both sides, as far as the app there keeps it, or in the history, or in a conflict."""
    for side, changes in edited.items():
        for name, value in changes.items():
            rule = world.rules.fields[name]
            if name in conflicts(after) or value is None or not rule.direction.writes(side.other):
                continue
            overwritten = [old for of, what, old, _ in world.history if (of, what) == (side, name)]
            if rule.shape is Shape.SET:
                kept = {*elements(world.apps[side].values[name]), *(e for old in overwritten for e in elements(old))}
                assert kept >= set(elements(value)), f"an element of {name} was lost on its own side"
                continue
            here, there = world.apps[side].values[name], world.apps[side.other].values[name]
            arrived = here == value and (there == value or there == world.apps[side.other].rewrite(value))
            by_itself = rule.shape is Shape.CONSENT and value == "in" and here == value and there is None
            assert arrived or by_itself or value in overwritten, f"{name} of {side} was lost"


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
