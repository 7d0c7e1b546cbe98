"""Small domains, enumerated completely: whatever the values, the bases and the rules, the invariants hold."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Final, NamedTuple

import pytest

from tests.core.conftest import ENUMERATED
from tests.core.sides import BOTH_SIDES, mirrored_decision, mirrored_rules, pair, seen
from twoway.core.diff import MISSING, Missing, Seen
from twoway.core.model import Kind, Side, Value, Values
from twoway.core.reconcile import Action, Decision, Edit, creation, moved_bases, reconcile
from twoway.core.resolve import DECIDED, MERGED, Verdict, elements
from twoway.core.rules import Blank, Direction, Drift, FieldRule, Policy, Shape, Start

L, R = Side.LEFT, Side.RIGHT
Known = Value | Missing

VALUES: Final[dict[Shape, tuple[Value, ...]]] = {
    Shape.SCALAR: (None, "a", "bb"),
    Shape.NUMBER: (None, "9", "10"),
    Shape.SET: (None, ["a"], ["a", "b"]),
    Shape.CONSENT: (None, "in", "out"),
}
WAYS: Final = (
    (Direction.BOTH, Drift.REVERT),
    *product((Direction.TO_LEFT, Direction.TO_RIGHT), Drift),
)


class Case(NamedTuple):
    """One field of one link: (base, value) of each side."""

    left: tuple[Known, Known]
    right: tuple[Known, Known]

    def seen(self, side: Side) -> Seen:
        base, value = self.left if side is L else self.right
        return side_of({"f": base}, {"f": value}, time=1_000 if side is L else 5_000)

    def value(self, side: Side) -> Known:
        base, value = self.left if side is L else self.right
        return base if value is MISSING else value

    def changed(self, side: Side) -> bool:
        base, value = self.left if side is L else self.right
        return value not in (MISSING, base)

    @property
    def based(self) -> bool:
        return MISSING not in (self.left[0], self.right[0])


def side_of(base: dict[str, Known], values: dict[str, Known], time: int | None = None) -> Seen:
    return seen(known(values), known(base), modified=time)


def known(values: dict[str, Known]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if not isinstance(value, Missing)}


def cases(shape: Shape) -> Iterator[Case]:
    """Every value and base of both sides, absent and blank among them."""
    domain: tuple[Known, ...] = (MISSING, *VALUES[shape])
    for left_base, left, right_base, right in product(domain, repeat=4):
        yield Case((left_base, left), (right_base, right))


def ruled(shape: Shape, policy: Policy) -> Iterator[FieldRule]:
    """Every blank policy, direction and drift; each policy with one of the start policies in turn."""
    start = list(Start)[list(Policy).index(policy) % len(Start)]
    for blank, (direction, drift) in product(Blank, WAYS):
        yield FieldRule(
            name="f", shape=shape, policy=policy, start=start, blank=blank, direction=direction, drift=drift
        )


def written(decision: Decision, side: Side) -> Known:
    return next((edit.changed["f"] for edit in decision.edits if edit.side is side), MISSING)


def rule_of(decision: Decision) -> str:
    return decision.edits[0].rules["f"] if decision.edits else ""


def apply(decision: Decision, left: Seen, right: Seen) -> tuple[Seen, Seen]:
    """Both sides once everything was written, each app storing what it is given."""
    values = {L: dict(left.values), R: dict(right.values)}
    bases = {side: {**one.base, **decision.bases.get(side, {})} for side, one in ((L, left), (R, right))}
    for edit in decision.edits:
        values[edit.side] |= edit.changed
        for side, moved in moved_bases(edit, edit.changed, bases).items():
            bases[side] |= moved
    return seen(values[L], bases[L], modified=left.modified), seen(values[R], bases[R], modified=right.modified)


def elements_or_value(shape: Shape, *values: Known) -> set[str | None]:
    if shape is Shape.SET:
        return {None, *(element for value in values for element in elements(value))}
    return {str(value) if value is not None else None for value in values if value is not MISSING}


def assert_sound(case: Case, rule: FieldRule, decision: Decision) -> None:
    values = {side: case.value(side) for side in BOTH_SIDES}
    writes = {side: written(decision, side) for side in BOTH_SIDES}
    assert decision.action is Action.KEEP
    assert all(edit.kind is Kind.UPDATE for edit in decision.edits), "deleted without a deletion"
    if MISSING in values.values() or values[L] == values[R]:
        assert decision.edits == (), "wrote where there is nothing to say"
        assert decision.conflicts == ()
        return
    assert not (decision.edits and decision.conflicts)
    for edit in decision.edits:
        side = edit.side
        assert edit.changed["f"] != values[side], "wrote what is there already"
        assert edit.expect == {"f": values[side]}
        assert edit.given in ({}, {"f": values[side.other]})
        assert rule.direction.writes(side), "wrote against the direction"
        base = (case.left if side is L else case.right)[0]
        source = (values[L], values[R], *([base] if rule_of(decision) == "drift" else []))
        assert elements_or_value(rule.shape, edit.changed["f"]) <= elements_or_value(rule.shape, *source), "invented"
        assert rule.shape is not Shape.CONSENT or (edit.changed["f"] == "out" and "out" in values.values()), "opted in"
    if not case.based:
        return
    for side in BOTH_SIDES:
        if case.changed(side) and not case.changed(side.other) and writes[side] is not MISSING:
            assert rule_of(decision) in {"filled", "drift", "opt-out"}, (
                "the side that did not change overwrote the other"
            )
            assert rule_of(decision) != "filled" or (values[side] is None and rule.blank is Blank.FILL)
            assert rule_of(decision) != "drift" or rule.direction.receiver is side
            assert rule_of(decision) != "opt-out" or values[side.other] == "out"
    if not case.changed(L) and not case.changed(R):
        assert (decision.edits, decision.conflicts) == ((), ()), "acted where nobody did"


def assert_arrives(case: Case, rule: FieldRule, decision: Decision) -> None:
    """A change of one side alone arrives on the other one, unless a rule keeps it."""
    if not case.based or rule.shape is Shape.CONSENT or rule.direction is not Direction.BOTH:
        return
    for side in BOTH_SIDES:
        value = case.value(side)
        if case.changed(side) and not case.changed(side.other) and value != case.value(side.other):
            if value is None and rule.blank is not Blank.PROPAGATE:
                continue
            if rule.shape is Shape.SET:
                base = set(elements((case.left if side is L else case.right)[0]))
                there, now = set(elements(case.value(side.other))), set(elements(value))
                assert written(decision, side) is MISSING
                wanted = sorted((there | (now - base)) - (base - now)) or None
                assert written(decision, side.other) == (MISSING if wanted == case.value(side.other) else wanted)
            else:
                assert (written(decision, side), written(decision, side.other)) == (MISSING, value)


CASES_OF_ONE_FIELD: Final = 4 * 7 * 3 * 5 * 4**4
"""By hand: shapes, policies, blank policies, ways to go; two sides, with a base and a value each, of four: three values
(a blank among them) or none."""


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("shape", Shape)
def test_every_case_of_one_field(shape: Shape, policy: Policy, record_property: Callable[[str, object], None]) -> None:
    counted = arrived = 0
    for rule in ruled(shape, policy):
        rules = pair(rule)
        mirror = mirrored_rules(rules)
        for case in cases(shape):
            left, right = case.seen(L), case.seen(R)
            decision = reconcile(left, right, rules)
            assert_sound(case, rule, decision)
            assert_arrives(case, rule, decision)
            assert mirrored_decision(reconcile(right, left, mirror)) == decision, (rule, case)
            after = reconcile(*apply(decision, left, right), rules)
            assert after.edits == (), f"not at rest: {rule}, {case}"
            assert after.conflicts == decision.conflicts
            assert after.bases == {}
            counted += 1
            arrived += bool(decision.edits)
    assert counted * len(Shape) * len(Policy) == CASES_OF_ONE_FIELD
    assert arrived > 100
    record_property(ENUMERATED, counted)


CASES_OF_TWO_FIELDS: Final = (7 + 2) * (4**4) ** 2
"""By hand: each policy of two two-way fields, and each direction of a one-way field, which knows no policy, beside a
two-way one; all the cases of the one field with all those of the other."""


@pytest.mark.no_cover  # the tests of one field cover the same lines, and the tracer takes as long as the test does
@pytest.mark.parametrize(
    ("policy", "direction"),
    [
        *((policy, Direction.BOTH) for policy in Policy),
        (Policy.REVIEW, Direction.TO_LEFT),
        (Policy.REVIEW, Direction.TO_RIGHT),
    ],
)
def test_two_fields_are_decided_each_for_itself(
    policy: Policy, direction: Direction, record_property: Callable[[str, object], None]
) -> None:
    """Every case of two fields is the two cases of one field, side by side: no field's trouble is another's."""
    first = FieldRule(name="f", policy=policy, direction=direction, start=Start.LEFT)
    second = FieldRule(name="g", policy=policy, start=Start.REVIEW)
    rules = pair(first, second)
    # What a side can be: its base and its value of a field, and those of both fields at once.
    single = [(base, value) for base, value in product((MISSING, *VALUES[Shape.SCALAR]), repeat=2)]
    double = list(product(single, repeat=2))
    lefts, rights = (
        [(f, g, side_of({"f": f[0], "g": g[0]}, {"f": f[1], "g": g[1]}, time)) for f, g in double]
        for time in (1_000, 5_000)
    )
    alone = {
        (rule.name, left, right): decide_alone(rule, left, right)
        for rule in (first, second)
        for left, right in product(single, repeat=2)
    }
    wrong = [
        (f, g, left, right)
        for (f, g, left), (f_right, g_right, right) in product(lefts, rights)
        if parts(reconcile(left, right, rules)) != alone["f", f, f_right] | alone["g", g, g_right]
    ]
    assert wrong[:1] == []
    counted = len(lefts) * len(rights)
    assert counted * 9 == CASES_OF_TWO_FIELDS
    record_property(ENUMERATED, counted)


def decide_alone(
    rule: FieldRule, left: tuple[Known, Known], right: tuple[Known, Known]
) -> set[tuple[Known | Side, ...]]:
    one, two = (
        side_of({rule.name: base}, {rule.name: value}, time) for (base, value), time in ((left, 1_000), (right, 5_000))
    )
    return parts(reconcile(one, two, pair(rule)))


def parts(decision: Decision) -> set[tuple[Known | Side, ...]]:
    """All that a decision says of fields with plain values, field by field."""
    said: set[tuple[Known | Side, ...]] = set()
    for edit in decision.edits:
        for name, value in edit.changed.items():
            said.add((name, edit.side, value, edit.expect[name], edit.given.get(name, MISSING), edit.rules[name]))
    for side, moved in decision.bases.items():
        said.update((name, side, value) for name, value in moved.items())
    for one in decision.conflicts:
        said.add((one.field, one.rule, one.left, one.right))
    return said


# -- what a write that is done does to the bases


def test_only_the_written_fields_move_and_what_was_carried_over() -> None:
    edit = Edit(R, Kind.UPDATE, changed={"f": "b"}, expect={"f": "a"}, given={"f": "b"})

    assert moved_bases(edit, {"f": "B", "g": "y"}, {L: {}, R: {}}) == {R: {"f": "B"}, L: {"f": "b"}}


def test_without_an_answer_the_app_is_taken_to_store_what_was_sent() -> None:
    values = {"f": None, "g": "b"}
    edit = Edit(L, Kind.UPDATE, changed=values, expect={"f": "a", "g": "a"}, given=values)

    assert moved_bases(edit, {}, {L: {}, R: {}}) == {L: values, R: values}


def test_a_set_that_is_merged_and_another_field_move_each_in_its_own_way() -> None:
    edit = Edit(
        L,
        Kind.UPDATE,
        changed={"f": ["a", "r"], "g": "b"},
        expect={"f": ["a"], "g": "a"},
        given={"g": "b"},
        deltas={"f": (["r"], [])},
    )

    assert moved_bases(edit, {}, {L: {"f": [], "g": "a"}, R: {"f": [], "g": "a"}}) == {
        L: {"f": ["r"], "g": "b"},
        R: {"f": ["r"], "g": "b"},
    }


MERGE: Final = pair(FieldRule(name="f", shape=Shape.SET))


def merged_both_ways(left: list[str], right: list[str], base: list[str]) -> tuple[Edit, Edit, dict[Side, Values]]:
    decision = reconcile(seen({"f": left}, {"f": base}), seen({"f": right}, {"f": base}), MERGE)
    one, two = decision.edits
    assert (one.side, two.side, one.rules["f"], two.rules["f"]) == (L, R, MERGED, MERGED)
    assert (one.given, two.given) == ({}, {})
    return one, two, {L: {"f": base}, R: {"f": base}}


@pytest.mark.parametrize("failing", BOTH_SIDES)
def test_of_a_set_merged_both_ways_one_write_fails(failing: Side) -> None:
    one, two, bases = merged_both_ways(["a", "l"], ["b", "r"], ["a", "b"])
    landed = two if failing is L else one
    values: dict[Side, Value] = {L: ["a", "l"], R: ["b", "r"]}

    moved = moved_bases(landed, landed.changed, bases)
    values[landed.side] = landed.changed["f"]
    again = reconcile(seen({"f": values[L]}, moved[L]), seen({"f": values[R]}, moved[R]), MERGE)

    assert [(edit.side, edit.changed) for edit in again.edits] == [(failing, {"f": ["l", "r"]})]


@pytest.mark.parametrize("based", BOTH_SIDES)
@pytest.mark.parametrize("failing", BOTH_SIDES)
def test_of_a_set_with_a_base_on_one_side_only_one_write_fails(based: Side, failing: Side) -> None:
    """As after a merge of records: what either side has, based or not, is still to be given to the other one."""
    values: dict[Side, Value] = {L: ["a", "l"], R: ["b", "r"]}
    bases: dict[Side, Values] = {L: {}, R: {}, based: {"f": values[based]}}
    edits = reconcile(seen({"f": values[L]}, bases[L]), seen({"f": values[R]}, bases[R]), MERGE).edits
    landed = next(edit for edit in edits if edit.side is not failing)

    moved = moved_bases(landed, {}, bases)
    values[landed.side] = landed.changed["f"]
    again = reconcile(seen({"f": values[L]}, moved[L]), seen({"f": values[R]}, moved[R]), MERGE)

    assert [(edit.side, edit.changed) for edit in again.edits] == [(failing, {"f": ["a", "b", "l", "r"]})]


@pytest.mark.parametrize("order", [BOTH_SIDES, BOTH_SIDES[::-1]], ids=["left first", "right first"])
def test_of_a_set_merged_both_ways_both_writes_land_in_either_order(order: tuple[Side, Side]) -> None:
    one, two, bases = merged_both_ways(["a", "l"], ["b", "r"], ["a", "b"])
    by_side = {L: one, R: two}
    for side in order:
        bases = {**bases, **moved_bases(by_side[side], by_side[side].changed, bases)}

    assert bases == {L: {"f": ["l", "r"]}, R: {"f": ["l", "r"]}}


@pytest.mark.parametrize("order", [BOTH_SIDES, BOTH_SIDES[::-1]], ids=["left first", "right first"])
@pytest.mark.parametrize("landing", [1, 2])
def test_an_app_that_rewrites_elements_is_not_taken_to_have_edited_them(order: tuple[Side, Side], landing: int) -> None:
    """The right app keeps its tags in lower case: what it makes of ours is its base, and nothing goes back."""
    values: dict[Side, Value] = {L: ["Gold", "a"], R: ["a", "r"]}
    edits = reconcile(seen({"f": values[L]}, {"f": ["a"]}), seen({"f": values[R]}, {"f": ["a"]}), MERGE).edits
    bases: dict[Side, Values] = {L: {"f": ["a"]}, R: {"f": ["a"]}}
    by_side = {edit.side: edit for edit in edits}
    for side in order[:landing]:
        stored = by_side[side].changed["f"]
        if side is R:
            stored = sorted(element.lower() for element in elements(stored))
        bases = {**bases, **moved_bases(by_side[side], {"f": stored}, bases)}
        values[side] = stored

    after = reconcile(seen({"f": values[L]}, bases[L]), seen({"f": values[R]}, bases[R]), MERGE)

    assert {edit.side for edit in after.edits} == {side for side in BOTH_SIDES if side not in order[:landing]}
    assert all("gold" not in elements(edit.changed["f"]) for edit in after.edits)


def test_of_a_set_that_was_never_agreed_on_only_what_was_carried_over_is_known() -> None:
    """The left base tells of another counterpart, one that has been merged away, say."""
    edit = Edit(R, Kind.UPDATE, {"f": ["a", "r"]}, expect={"f": ["r"]}, deltas={"f": (["a"], [])})

    assert moved_bases(edit, {}, {L: {"f": ["a", "x"]}, R: {}}) == {L: {"f": ["a"]}, R: {"f": ["a"]}}


@pytest.mark.parametrize("failing", BOTH_SIDES)
def test_of_a_third_value_that_a_person_chose_one_write_fails(failing: Side) -> None:
    rules = pair(FieldRule(name="f"))
    values, bases = {L: "b", R: "c"}, {L: {"f": "a"}, R: {"f": "a"}}
    verdicts = {"f": Verdict("b", "c", "v")}
    first = reconcile(seen({"f": "b"}, bases[L]), seen({"f": "c"}, bases[R]), rules, verdicts)
    landed = next(edit for edit in first.edits if edit.side is not failing)
    assert (landed.changed, landed.rules, landed.given) == ({"f": "v"}, {"f": DECIDED}, {})

    values[landed.side] = "v"
    for side, moved in moved_bases(landed, landed.changed, bases).items():
        bases[side] |= {name: str(value) for name, value in moved.items()}
    again = reconcile(seen({"f": values[L]}, bases[L]), seen({"f": values[R]}, bases[R]), rules, verdicts)

    assert [(edit.side, edit.changed, edit.given) for edit in again.edits] == [(failing, {"f": "v"}, {"f": "v"})]


def test_what_an_undo_holds_goes_on_until_somebody_edits_it() -> None:
    rules = pair(FieldRule(name="f"))
    left, right = seen({"f": "b"}), seen({"f": "a"})

    assert reconcile(left, right, rules) == Decision()
    later = reconcile(left, seen({"f": "c"}, right.base), rules)

    assert [(edit.side, edit.changed) for edit in later.edits] == [(L, {"f": "c"})]


# -- what a new record is told

CREATED: list[tuple[str, FieldRule, Value, bool]] = [
    ("a value", FieldRule(name="f"), "a", True),
    ("a false is a value", FieldRule(name="f"), False, True),
    ("a zero is a value", FieldRule(name="f", shape=Shape.NUMBER), 0, True),
    ("no blank", FieldRule(name="f"), None, False),
    ("one way, to it", FieldRule(name="f", direction=Direction.TO_RIGHT), "a", True),
    ("one way, from it", FieldRule(name="f", direction=Direction.TO_LEFT), "a", False),
    ("of one side only", FieldRule(name="f", direction=Direction.ONE_SIDE), "a", False),
    ("that a person opted out", FieldRule(name="f", shape=Shape.CONSENT), "out", True),
    ("no consent", FieldRule(name="f", shape=Shape.CONSENT), "in", False),
    (
        "no opting out against the direction",
        FieldRule(name="f", shape=Shape.CONSENT, direction=Direction.TO_LEFT),
        "out",
        False,
    ),
]


@pytest.mark.parametrize(("why", "rule", "value", "sent"), CREATED, ids=[one[0] for one in CREATED])
def test_a_new_record_is_told(why: str, rule: FieldRule, value: Value, sent: bool) -> None:
    values = {"f": value, "g": "x"}

    edit = creation(R, values, pair(rule, FieldRule(name="g"), FieldRule(name="h")), "new")

    assert edit == Edit(R, Kind.CREATE, values if sent else {"g": "x"}, given=values, rules={"*": "new"}), why
