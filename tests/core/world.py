"""A link's life, to be played: two apps with a record each, people who edit them, writes that fail.

Each app is a value by field. What a write does to the bases is `moved_bases`, and a read at the version of our own
write moves them once more, as in the engine.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

from hypothesis import strategies as st

from tests.core.sides import BOTH_SIDES, pair
from twoway.core.diff import Life, Seen, absorb_receipt
from twoway.core.model import Kind, Side, Value
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
    life: Life = Life.LIVE
    in_scope: bool = True

    def write(self, changed: Mapping[str, Value]) -> None:
        self.values |= {name: self.rewrite(value) if name != "consent" else value for name, value in changed.items()}
        self.version += 1

    def create(self, fields: Iterable[str], changed: Mapping[str, Value]) -> None:
        self.values = dict.fromkeys(fields)
        self.life = Life.LIVE
        self.write(changed)

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
        side_seen = Seen(
            values=dict(app.values),
            base=self.bases[side],
            life=app.life,
            in_scope=app.in_scope,
            modified=1_000 if side is L else 9_000,
        )
        return absorb_receipt(side_seen, str(app.version), self.receipts[side])

    def decide(self) -> Decision:
        left, right = self.seen(L), self.seen(R)
        decision = reconcile(left, right, self.rules, self.verdicts)
        assert decision.action is Action.KEEP or not (decision.edits or decision.bases or decision.conflicts)
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
        if edit.kind is Kind.CREATE:
            app.create(self.rules.fields, edit.changed)
            # What was read back of a new record is what it is known to hold.
            self.bases = {edit.side: dict(app.values), edit.side.other: dict(edit.given)}
            self.receipts[edit.side] = None
            return
        if edit.kind is not Kind.UPDATE:
            assert edit.expect == app.values
            self.history += [(edit.side, name, value, edit.rules["*"]) for name, value in app.values.items()]
            app.life = Life.GONE
            return
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
        """Rounds without a failure, to rest; both records are there, and stay."""
        after = self.come_to_rest()
        assert after.action is Action.KEEP
        return after

    def come_to_rest(self) -> Decision:
        """Rounds without a failure, until nothing is left to write: whatever became of the records."""
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
kinds: Final = {"name": texts, "tags": sets, "size": numbers, "consent": consents, "stage": texts}
states = st.fixed_dictionaries(kinds)
# Any of the 32 choices of fields is as likely as the others: else most people would edit next to nothing.
edits = st.sampled_from([names for count in range(6) for names in combinations(kinds, count)]).flatmap(
    lambda names: st.fixed_dictionaries({name: kinds[name] for name in names})
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
