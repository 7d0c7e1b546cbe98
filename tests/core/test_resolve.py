"""One field: sizes, clocks, verdicts, consent, sets; what the table of outcomes does not say."""

from dataclasses import replace

import pytest

from tests.core.sides import mirrored_resolution, mirrored_rule, mirrored_verdict, view
from twoway.core.diff import MISSING, Missing
from twoway.core.model import Side, Value
from twoway.core.resolve import DECIDED, MERGED, FieldView, Resolution, Verdict, elements, resolve
from twoway.core.rules import Blank, Direction, Drift, FieldRule, Policy, Shape, Start


def settle(
    rule: FieldRule, left: FieldView, right: FieldView, verdict: Verdict | None = None, tolerance: int = 0
) -> Resolution:
    """The resolution; that of the same field with its sides swapped must be its mirror."""
    answer = resolve(rule, left, right, verdict=verdict, tolerance=tolerance)
    swapped = resolve(
        mirrored_rule(rule), right, left, verdict=verdict and mirrored_verdict(verdict), tolerance=tolerance
    )
    assert mirrored_resolution(swapped) == answer, "swapping the sides does not mirror the resolution"
    return answer


# -- sizes

SIZES: list[tuple[str, Policy, Shape, Value, Value, Side | None]] = [
    ("the longer text", Policy.LONGEST, Shape.SCALAR, "abc", "z", Side.LEFT),
    ("as long", Policy.LONGEST, Shape.SCALAR, "abc", "xyz", None),
    ("the earlier text", Policy.MIN, Shape.SCALAR, "abc", "z", Side.LEFT),
    ("the later text", Policy.MAX, Shape.SCALAR, "abc", "z", Side.RIGHT),
    ("texts of digits are texts", Policy.MAX, Shape.SCALAR, "10", "9", Side.RIGHT),
    ("numbers are not", Policy.MAX, Shape.NUMBER, "10", "9", Side.LEFT),
    ("the smaller number", Policy.MIN, Shape.NUMBER, "-10.5", "-9", Side.LEFT),
    ("beyond what a float tells apart", Policy.MAX, Shape.NUMBER, "9007199254740993", "9007199254740992", Side.LEFT),
    ("integers", Policy.MIN, Shape.NUMBER, 10, 9, Side.RIGHT),
    ("numbers of one magnitude", Policy.MAX, Shape.NUMBER, "1", 1, None),
    ("days", Policy.MAX, Shape.SCALAR, "2026-02-01", "2025-12-31", Side.LEFT),
    ("a blank has no size", Policy.MAX, Shape.NUMBER, None, "9", None),
    ("nor has it the least", Policy.MIN, Shape.SCALAR, None, "z", None),
    ("nor a length", Policy.LONGEST, Shape.SCALAR, None, "z", None),
]


@pytest.mark.parametrize(("why", "policy", "shape", "left", "right", "winner"), SIZES, ids=[one[0] for one in SIZES])
def test_policies_by_size(
    why: str, policy: Policy, shape: Shape, left: Value, right: Value, winner: Side | None
) -> None:
    answer = settle(FieldRule(name="f", policy=policy, shape=shape), view(left, "0"), view(right, "0"))

    if winner is None:
        assert answer == Resolution(rule=f"conflict: {policy}, neither wins", conflict=True), why
    else:
        value = left if winner is Side.LEFT else right
        assert (answer.on(winner), answer.on(winner.other)) == (MISSING, value), why
        assert answer.rule == f"conflict: {policy}"


# -- clocks

CLOCKS: list[tuple[str, int | None, int | None, Side | None]] = [
    ("the later one", 10_000, 20_000, Side.RIGHT),
    ("the later one, on the left", 20_000, 10_000, Side.LEFT),
    ("later by more than the tolerance", 10_000, 12_001, Side.RIGHT),
    ("later by no more than the tolerance", 10_000, 12_000, None),
    ("at once", 10_000, 10_000, None),
    ("one unknown", 10_000, None, None),
    ("the other unknown", None, 10_000, None),
    ("both unknown", None, None, None),
    ("the epoch is a time", 0, 10_000, Side.RIGHT),
]


@pytest.mark.parametrize("base", ["a", MISSING], ids=["a conflict", "a first link"])
@pytest.mark.parametrize(("why", "left", "right", "winner"), CLOCKS, ids=[one[0] for one in CLOCKS])
def test_the_newest(why: str, left: int | None, right: int | None, winner: Side | None, base: Value | Missing) -> None:
    rule = FieldRule(name="f", policy=Policy.NEWEST, start=Start.NEWEST)
    name = "start: newest" if base is MISSING else "conflict: newest"

    answer = settle(rule, view("b", base, left), view("c", base, right), tolerance=2_000)

    if winner is None:
        assert answer == Resolution(rule=f"{name}, times too close or unknown", conflict=True), why
    else:
        value = "b" if winner is Side.LEFT else "c"
        assert (answer.on(winner), answer.on(winner.other), answer.rule) == (MISSING, value, name), why


def test_a_clock_decides_nothing_that_the_bases_can() -> None:
    rule = FieldRule(name="f", policy=Policy.NEWEST)

    answer = settle(rule, view("b", "a", 1), view("a", "a", 9_999_999))

    assert (answer.right, answer.rule) == ("b", "changed")


# -- verdicts

VERDICTS: list[tuple[str, Value, Value, tuple[Value | Missing, Value | Missing]]] = [
    ("both sides are as they were: a third value goes to both", "b", "c", ("v", "v")),
    ("the left one is written, the right one failed", "v", "c", (MISSING, "v")),
    ("the right one is written, the left one failed", "b", "v", ("v", MISSING)),
]


@pytest.mark.parametrize("base", ["a", "b", "c", "v", MISSING])
@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(("why", "left", "right", "written"), VERDICTS, ids=[one[0] for one in VERDICTS])
def test_a_verdict_wins_over_every_policy(
    why: str,
    left: Value,
    right: Value,
    written: tuple[Value | Missing, Value | Missing],
    policy: Policy,
    base: Value | Missing,
) -> None:
    rule = FieldRule(name="f", policy=policy, start=Start.LEFT)

    answer = settle(rule, view(left, base), view(right, base), Verdict("b", "c", "v"))

    assert answer == Resolution(*written, DECIDED), why


def test_a_verdict_for_one_sides_value_writes_the_other_alone() -> None:
    answer = settle(FieldRule(name="f"), view("b", "a"), view("c", "a"), Verdict("b", "c", "b"))

    assert answer == Resolution(right="b", rule=DECIDED)


def test_a_verdict_may_empty_a_field_that_never_blanks_by_itself() -> None:
    rule = FieldRule(name="f", blank=Blank.FILL)

    assert settle(rule, view("b", "a"), view("c", "a"), Verdict("b", "c", None)) == Resolution(None, None, DECIDED)


def test_a_verdict_is_void_once_a_person_changed_a_value_that_it_was_made_on() -> None:
    rule, verdict = FieldRule(name="f"), Verdict("b", "c", "v")

    assert settle(rule, view("x", "a"), view("c", "a"), verdict) == Resolution(rule="conflict: review", conflict=True)
    assert settle(rule, view("a", "a"), view("c", "a"), verdict) == Resolution(left="c", rule="changed")


def test_a_verdict_writes_no_side_that_the_direction_spares() -> None:
    rule = FieldRule(name="f", direction=Direction.TO_RIGHT)

    assert settle(rule, view("b", "a"), view("c", "a"), Verdict("b", "c", "v")) == Resolution(right="v", rule=DECIDED)


# -- consent

IN, OUT = "in", "out"
REVIEW = Resolution(rule="opt-in", conflict=True)
BOTH_WAYS, TO_RIGHT, TO_LEFT = Direction.BOTH, Direction.TO_RIGHT, Direction.TO_LEFT

CONSENTS: list[tuple[str, tuple[Value | Missing, Value], tuple[Value | Missing, Value], Direction, Resolution]] = [
    ("opting out travels", (IN, OUT), (IN, IN), BOTH_WAYS, Resolution(right=OUT, rule="opt-out")),
    (
        "opting out goes where nothing was said",
        (IN, OUT),
        (None, None),
        BOTH_WAYS,
        Resolution(right=OUT, rule="opt-out"),
    ),
    ("opting out wins over a later opting in", (IN, OUT), (OUT, IN), BOTH_WAYS, Resolution(right=OUT, rule="opt-out")),
    (
        "opting out wins over a consent just given",
        (None, OUT),
        (None, IN),
        BOTH_WAYS,
        Resolution(right=OUT, rule="opt-out"),
    ),
    ("opting in is for a person to confirm", (OUT, IN), (OUT, OUT), BOTH_WAYS, REVIEW),
    ("consent given where nothing was said likewise", (None, IN), (OUT, OUT), BOTH_WAYS, REVIEW),
    ("an opting out cannot be blanked away", (OUT, None), (OUT, OUT), BOTH_WAYS, Resolution(left=OUT, rule="opt-out")),
    ("a consent goes nowhere by itself", (None, IN), (None, None), BOTH_WAYS, Resolution()),
    ("a consent that was blanked is no opting out", (IN, None), (IN, IN), BOTH_WAYS, Resolution()),
    ("an app that keeps saying in", (OUT, OUT), (IN, IN), BOTH_WAYS, Resolution(rule="held")),
    ("first link: opting out wins", (MISSING, OUT), (MISSING, IN), BOTH_WAYS, Resolution(right=OUT, rule="opt-out")),
    ("first link: opting out fills", (MISSING, OUT), (MISSING, None), BOTH_WAYS, Resolution(right=OUT, rule="opt-out")),
    ("first link: consent fills nothing", (MISSING, IN), (MISSING, None), BOTH_WAYS, Resolution()),
    (
        "no base on one side: opting out wins",
        (OUT, OUT),
        (MISSING, IN),
        BOTH_WAYS,
        Resolution(right=OUT, rule="opt-out"),
    ),
    (
        "no base, one way: the giver says out",
        (MISSING, OUT),
        (MISSING, IN),
        TO_RIGHT,
        Resolution(right=OUT, rule="opt-out"),
    ),
    (
        "no base, one way: the giver is never written",
        (MISSING, OUT),
        (MISSING, IN),
        TO_LEFT,
        Resolution(rule="opt-out"),
    ),
    ("one way: the giver opts out", (IN, OUT), (IN, IN), TO_RIGHT, Resolution(right=OUT, rule="opt-out")),
    (
        "one way: the taker opts out, the giver is never written",
        (IN, OUT),
        (IN, IN),
        TO_LEFT,
        Resolution(rule="opt-out"),
    ),
    ("one way: the giver opts in", (OUT, IN), (OUT, OUT), TO_RIGHT, REVIEW),
    (
        "one way: the taker opts in, and cannot carry it over",
        (OUT, IN),
        (OUT, OUT),
        TO_LEFT,
        Resolution(left=OUT, rule="opt-out"),
    ),
]


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("blank", Blank)
@pytest.mark.parametrize(("why", "left", "right", "direction", "expected"), CONSENTS, ids=[one[0] for one in CONSENTS])
def test_consent(
    why: str,
    left: tuple[Value | Missing, Value],
    right: tuple[Value | Missing, Value],
    direction: Direction,
    expected: Resolution,
    policy: Policy,
    blank: Blank,
) -> None:
    rule = FieldRule(name="f", shape=Shape.CONSENT, direction=direction, policy=policy, blank=blank)
    for start in Start:
        for drift in Drift:
            answer = settle(
                replace(rule, start=start, drift=drift), view(left[1], left[0], 1), view(right[1], right[0], 90_000)
            )
            assert answer == expected, why


def test_a_person_may_confirm_an_opting_in() -> None:
    rule = FieldRule(name="f", shape=Shape.CONSENT)

    assert settle(rule, view(IN, OUT), view(OUT, OUT), Verdict(IN, OUT, IN)) == Resolution(right=IN, rule=DECIDED)


# -- sets: base and value in letters, a blank set as "-"

SETS: list[tuple[str, tuple[str, str], tuple[str, str], Blank, tuple[str, str], str]] = [
    ("an element more", ("a", "ab"), ("a", "a"), Blank.PROPAGATE, ("", "ab"), MERGED),
    ("an element less", ("ab", "b"), ("ab", "ab"), Blank.PROPAGATE, ("", "b"), MERGED),
    ("one more on each side", ("a", "ab"), ("a", "ac"), Blank.PROPAGATE, ("abc", "abc"), MERGED),
    ("the same one more on each side", ("a", "abc"), ("a", "ab"), Blank.PROPAGATE, ("", "abc"), MERGED),
    ("one more here, one less there", ("a", "ab"), ("a", "-"), Blank.PROPAGATE, ("b", "b"), MERGED),
    ("one less on each side", ("ab", "b"), ("ab", "a"), Blank.PROPAGATE, ("-", "-"), MERGED),
    ("the last one less", ("a", "-"), ("a", "a"), Blank.PROPAGATE, ("", "-"), MERGED),
    ("the first one", ("-", "a"), ("-", "-"), Blank.PROPAGATE, ("", "a"), MERGED),
    ("what only one side ever held stays there", ("a", "ab"), ("ax", "ax"), Blank.PROPAGATE, ("", "abx"), MERGED),
    ("and is no reason to write", ("ab", "abx"), ("ax", "ax"), Blank.PROPAGATE, ("", ""), "agreed"),
    ("taken away where only the other side lacked it", ("a", "a"), ("ax", "a"), Blank.PROPAGATE, ("", ""), "agreed"),
    (
        "added here and removed there, of bases that differ: it stays",
        ("a", "ax"),
        ("ax", "a"),
        Blank.PROPAGATE,
        ("", "ax"),
        MERGED,
    ),
    ("no base: united", ("?", "a"), ("?", "b"), Blank.PROPAGATE, ("ab", "ab"), "union"),
    ("no base: one holds the other", ("?", "ab"), ("?", "b"), Blank.PROPAGATE, ("", "ab"), "union"),
    ("no base on one side: united", ("a", "a"), ("?", "b"), Blank.PROPAGATE, ("ab", "ab"), "union"),
    ("no base: one blank", ("?", "-"), ("?", "b"), Blank.IGNORE, ("b", ""), "filled"),
    ("emptied, and filled again", ("ab", "-"), ("ab", "ab"), Blank.FILL, ("ab", ""), "filled"),
    ("emptied, and left so", ("ab", "-"), ("ab", "ab"), Blank.IGNORE, ("", ""), "agreed"),
    ("emptied, and one more there: filled", ("ab", "-"), ("ab", "abc"), Blank.IGNORE, ("abc", ""), "filled"),
    ("was empty, and one more there: just that one", ("-", "-"), ("ab", "abc"), Blank.IGNORE, ("c", ""), MERGED),
    ("one less is no blank", ("ab", "a"), ("ab", "ab"), Blank.IGNORE, ("", "a"), MERGED),
]


def letters(text: str) -> Value:
    return None if text == "-" else list(text)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(("why", "left", "right", "blank", "written", "name"), SETS, ids=[one[0] for one in SETS])
def test_sets(
    why: str,
    left: tuple[str, str],
    right: tuple[str, str],
    blank: Blank,
    written: tuple[str, str],
    name: str,
    policy: Policy,
) -> None:
    def shown(base: str, value: str) -> FieldView:
        return view(letters(value), MISSING if base == "?" else letters(base))

    answer = settle(
        FieldRule(name="f", shape=Shape.SET, policy=policy, blank=blank, start=Start.LEFT),
        shown(*left),
        shown(*right),
    )

    wanted = [MISSING if text == "" else letters(text) for text in written]
    assert answer == Resolution(wanted[0], wanted[1], name), why


def test_elements_of_what_is_no_set() -> None:
    assert (elements(["a"]), elements(None), elements(MISSING)) == (["a"], [], [])
