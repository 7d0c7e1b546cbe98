"""What a field means on a side: the same for as long as whatever could be read there is read as the same value."""

from itertools import permutations
from typing import Any

import pytest

from tests.core.mappings import at, field, mapping, spec
from twoway.core.mapping import compile_mapping
from twoway.core.meaning import Meaning, altered
from twoway.core.model import Side
from twoway.core.rules import Blank, Direction, Drift, Policy, Start
from twoway.core.spec import FieldSpec, Step

LEFT, RIGHT = Side.LEFT, Side.RIGHT
BOTH, NEITHER = {LEFT, RIGHT}, set[Side]()
STAGES = {"lead": "Lead", "customer": "Customer"}
MORE = {**STAGES, "odd": "Odd"}


def stage(choices: dict[str, Any], **options: Any) -> FieldSpec:
    return field("f", type="choice", choices=choices, **options)


def consent(out: tuple[Any, ...], into: Any = None) -> FieldSpec:
    return field("f", type="consent", left=at("f", opted_out=out, opted_in=into), right=at("f", opted_out=("no",)))


NAME, NUMBER, WHEN = field("f"), field("f", type="number"), field("f", type="datetime")
PHONE, TAGS = field("f", type="phone", region="US"), field("f", type="set")
JOINED = field("f", at(join=("a", "b")), "f")
UP, DOWN = (Step("upper"),), (Step("lower"),)

CHANGES = [
    pytest.param(NAME, NAME, NEITHER, id="nothing"),
    pytest.param(NAME, field("f", "g"), {LEFT}, id="another place on the left"),
    pytest.param(
        stage(STAGES, unknown_choice="keep"),
        stage(dict(reversed(STAGES.items())), unknown_choice="keep"),
        NEITHER,
        id="choices in another order, where others are kept",
    ),
    pytest.param(NAME, field("f", right="g"), {RIGHT}, id="another place on the right"),
    pytest.param(NAME, field("f", right="g[kind=work].value"), {RIGHT}, id="a part of an array"),
    pytest.param(NAME, field("f", right=None), {RIGHT}, id="no place on the right"),
    pytest.param(field("f", left=None), NAME, {LEFT}, id="a place on the left for the first time"),
    pytest.param(NAME, field("f", type="text"), BOTH, id="another type"),
    pytest.param(PHONE, field("f", type="phone", region="DE"), BOTH, id="another region"),
    pytest.param(PHONE, field("f", type="phone"), BOTH, id="no region"),
    pytest.param(WHEN, field("f", type="datetime", resolution="minute"), BOTH, id="another resolution"),
    pytest.param(NUMBER, field("f", type="number", decimals=2), BOTH, id="rounded"),
    pytest.param(NAME, field("f", trim=True), BOTH, id="trimmed"),
    pytest.param(NAME, field("f", case="upper"), BOTH, id="in one case"),
    pytest.param(
        field("f", type="date"), field("f", type="date", left=at("f", format="%d.%m.%Y")), {LEFT}, id="another format"
    ),
    pytest.param(TAGS, field("f", type="set", right=at("f", delimiter=";")), {RIGHT}, id="another delimiter"),
    pytest.param(JOINED, field("f", at(join=("b", "a")), "f"), {LEFT}, id="joined the other way round"),
    pytest.param(JOINED, field("f", at(join=("a", "b", "c")), "f"), {LEFT}, id="joined of more"),
    pytest.param(JOINED, field("f", at(join=("a", "b"), separator=", "), "f"), BOTH, id="joined by something else"),
    pytest.param(JOINED, field("f", at(join=("a", "b"), split="first"), "f"), NEITHER, id="taken apart otherwise"),
    pytest.param(JOINED, NAME, BOTH, id="joined no longer"),
    pytest.param(NAME, field("f", to_right=UP), {LEFT}, id="a step to the right, taken when the left is read"),
    pytest.param(NAME, field("f", to_left=UP), {RIGHT}, id="a step to the left, taken when the right is read"),
    pytest.param(field("f", to_left=UP), field("f", to_left=DOWN), {RIGHT}, id="another step"),
    pytest.param(
        field("f", to_left=(Step("truncate", 5),)), field("f", to_left=(Step("truncate", 6),)), {RIGHT}, id="by more"
    ),
    pytest.param(
        field("f", to_left=UP, to_right=DOWN), field("f", to_right=DOWN), NEITHER, id="a step that only writes"
    ),
    pytest.param(field("f", to_left=UP), field("f", to_left=UP, to_right=DOWN), BOTH, id="steps both ways"),
    pytest.param(stage(STAGES), stage(MORE), NEITHER, id="a choice more"),
    pytest.param(stage(MORE), stage(STAGES), BOTH, id="a choice less"),
    pytest.param(stage(STAGES), stage({**STAGES, "lead": "Prospect"}), {RIGHT}, id="a choice is spelled otherwise"),
    pytest.param(stage(STAGES), stage({"lead": "Customer", "customer": "Lead"}), {RIGHT}, id="choices are swapped"),
    pytest.param(stage(STAGES), field("f", type="choice"), BOTH, id="a list that is open by now"),
    pytest.param(field("f", type="choice"), stage(STAGES), BOTH, id="a list that is closed by now"),
    pytest.param(
        field("f", type="choice", left=at("f", choices=STAGES)),
        field("f", type="choice", left=at("f", choices={**MORE, "lead": "LEAD"})),
        {LEFT},
        id="choices of the left alone",
    ),
    pytest.param(stage(STAGES), stage(STAGES, unknown_choice="ignore"), NEITHER, id="unknown choices are overlooked"),
    pytest.param(stage(STAGES), stage(STAGES, unknown_choice="keep"), BOTH, id="unknown choices are kept"),
    pytest.param(
        stage(STAGES, unknown_choice="keep"), stage(MORE, unknown_choice="keep"), BOTH, id="a choice more than was kept"
    ),
    pytest.param(consent(("no",)), consent(("no", "never")), {LEFT}, id="another way to say no"),
    pytest.param(consent(("no", "never")), consent(("never", "no")), NEITHER, id="another no is written"),
    pytest.param(consent(("no",)), consent(("no",), "yes"), NEITHER, id="yes may be written by now"),
    pytest.param(NAME, field("f", direction=Direction.TO_LEFT, drift=Drift.IGNORE), NEITHER, id="another direction"),
    pytest.param(
        NAME, field("f", conflict=Policy.LEFT, blank=Blank.FILL, start=Start.LEFT), NEITHER, id="other policies"
    ),
]


@pytest.mark.parametrize(("before", "now", "changed"), CHANGES)
def test_a_field_is_altered_where_its_values_are_read_otherwise(
    before: FieldSpec, now: FieldSpec, changed: set[Side]
) -> None:
    was, then = mapping(before), mapping(now)
    assert {side for side in Side if altered(was.meanings[side], then.meanings[side])} == changed


SPECS = list({repr(one): one for param in CHANGES for one in param.values[:2] if isinstance(one, FieldSpec)}.values())
RAW: tuple[Any, ...] = (
    None, "", "Lead", "lead", "Customer", "customer", "Odd", "odd", "no", "never", "yes", " a  b ", "ABCDEFG", "a;b",
    ["Lead", "Odd"], 7, "1.239", "0301234567", "+4930123", "2026-12-31", "31.12.2026", "2026-12-31T23:59:59Z", True,
)  # fmt: skip


def test_what_means_the_same_is_read_as_the_same() -> None:
    """Of every two of the fields above, in either order: for a field that is not altered, what could be read before is
    read as the same value."""
    compiled = [mapping(one) for one in SPECS]
    compared = 0
    for was, now in permutations(compiled, 2):
        for side in Side:
            if "f" in altered(was.meanings[side], now.meanings[side]):
                continue
            for raw in RAW:
                record = {"f": raw, "g": "another", "a": raw, "b": "B", "c": "C"}
                before, after = was.side(side).decode(record), now.side(side).decode(record)
                if "f" in before.values:
                    compared += 1
                    assert after.values.get("f", "unread") == before.values["f"], (was, now, side, raw)
    assert compared > 1_000


def test_fields_come_and_go_each_on_its_own() -> None:
    one, other, third = Meaning("1"), Meaning("2"), Meaning("3", {"Lead": "lead"})
    assert altered({}, {}) == set()
    assert altered({"a": one, "b": other, "c": third}, {"a": one, "b": one, "d": third}) == {"b", "c", "d"}
    assert altered({"a": third}, {"a": Meaning("3", {"Lead": "prospect"})}) == {"a"}


def test_a_side_tells_the_meanings_of_the_fields_that_live_there() -> None:
    both = mapping(NAME, field("owner", right=None))
    assert {side: set(both.meanings[side]) for side in Side} == {LEFT: {"f", "owner"}, RIGHT: {"f"}}


def test_a_place_is_the_one_that_the_live_schema_makes_of_it() -> None:
    one = spec(field("f", "address.city"))
    whole = compile_mapping(one, {LEFT: {"address.city"}, RIGHT: {"f"}})
    part = compile_mapping(one, {LEFT: {"address"}, RIGHT: {"f"}})
    assert altered(whole.meanings[LEFT], part.meanings[LEFT]) == {"f"}
    assert altered(whole.meanings[RIGHT], part.meanings[RIGHT]) == set()


def test_choices_are_told_by_the_apps_own_words() -> None:
    both = mapping(stage({"lead": "Lead", "1": 2}))
    assert both.meanings[LEFT]["f"].choices == {"lead": "lead", "1": "1"}
    assert both.meanings[RIGHT]["f"].choices == {"Lead": "lead", "2": "1"}
    assert mapping(NAME).meanings[LEFT]["f"].choices == {}
