"""Closed lists and opt-outs: what the file spells is recognised in the app, however the app spells it."""

from dataclasses import replace
from typing import Any

import pytest

from tests.core.mappings import at, complaints, field, mapping
from twoway.core.model import Raw
from twoway.core.raw import Invalid
from twoway.core.spec import FieldSpec, Step

OUT: dict[str, Any] = {"opted_out": ("no",)}
COMPOSED, TAKEN_APART = "\u00e9t\u00e9", "e\u0301te\u0301"
LISTS: list[tuple[str, FieldSpec, Raw, Raw]] = [
    ("the app's value ends with a space", field("a", choices={"won": "Won "}, type="choice"), "won", "Won "),
    ("the canonical one does", field("a", choices={"won ": "Won"}, type="choice"), "won ", "Won"),
    ("a list on one side", field("a", "", at("a", choices={"won ": " Won"}), type="choice"), "won ", " Won"),
    ("accents taken apart", field("a", choices={TAKEN_APART: "Summer"}, type="choice"), TAKEN_APART, "Summer"),
    ("accents taken apart opposite", field("a", choices={"summer": TAKEN_APART}, type="choice"), "summer", TAKEN_APART),
]


@pytest.mark.parametrize(("why", "one", "left", "right"), LISTS, ids=[one[0] for one in LISTS])
def test_a_choice_is_read_and_written_as_the_file_spells_it(why: str, one: FieldSpec, left: Raw, right: Raw) -> None:
    both = mapping(one)
    values = both.left.decode({"a": left}).values
    assert both.right.decode({"a": right}).values == values != {}, why
    assert both.right.encode(values, None) == {"a": right}
    assert both.left.encode(values, None) == {"a": left}


def test_a_choice_with_a_space_is_ours_also_beside_others() -> None:
    both = mapping(field("a", type="set", choices={"won": "Won "}, unknown_choice="ignore"))
    assert both.right.encode({"a": None}, {"a": ["Won ", "theirs"]}) == {"a": ["theirs"]}


@pytest.mark.parametrize("raw", ["Unsubscribed", " unsubscribed ", "UNSUBSCRIBED\n", "unsubscribed"])
def test_no_spelling_makes_a_yes_of_a_no(raw: str) -> None:
    out = at("a", opted_out=("Unsubscribed ",))
    both = mapping(field("a", out, out, type="consent"))
    assert both.left.decode({"a": raw}).values == {"a": "out"}
    assert both.left.decode({"a": "subscribed"}).values == {"a": "in"}
    assert both.left.decode({"a": "  "}).values == {"a": None}, "a blank says nothing"


BLANK = "a blank says nothing, and stands for no value: name what the app writes, or leave it out"
REFUSED: list[tuple[str, FieldSpec, str]] = [
    ("no is a blank", field("a", at("x", opted_out=("no", None)), at("y", **OUT), type="consent"), "left.opted_out"),
    ("no is a space", field("a", at("x", opted_out=(" ",)), at("y", **OUT), type="consent"), "left.opted_out"),
    ("yes is a blank", field("a", at("x", **OUT, opted_in=""), at("y", **OUT), type="consent"), "left.opted_in"),
    ("a choice is a blank", field("a", choices={"a": None}, type="choice"), "choices"),
    ("a choice is empty", field("a", choices={"a": ""}, type="choice"), "choices"),
    ("a choice is named by nothing", field("a", choices={" ": "a"}, type="choice"), "choices"),
]


@pytest.mark.parametrize(("why", "one", "where"), REFUSED, ids=[one[0] for one in REFUSED])
def test_a_blank_stands_for_no_value(why: str, one: FieldSpec, where: str) -> None:
    assert complaints(one) == [f"fields.a.{where}: {BLANK}"], why


def test_two_choices_that_differ_by_a_space_are_one() -> None:
    assert complaints(field("a", choices={"a": "x", "b": "x "}, type="choice")) == [
        "fields.a.choices: two choices have the same value, which could not be read back; make them unique"
    ]
    assert complaints(field("a", choices={"a": "x", "a ": "y"}, type="choice")) == [
        "fields.a.choices: two choices have the same name but for spaces; make them unique"
    ]


def test_yes_and_no_that_differ_by_their_case_are_one() -> None:
    one = field("a", at("x", opted_out=("no", "Never"), opted_in="never "), at("y", **OUT), type="consent")
    assert complaints(one) == ["fields.a.left.opted_in: is also named in `opted_out`"]


STRAYS: list[tuple[str, FieldSpec, str]] = [
    (
        "another case",
        field("a", choices={"lead": "Lead"}, type="choice", to_right=(Step("upper"),)),
        "fields.a.to_right: makes 'LEAD' of 'lead', which `choices` does not name; valid: lead",
    ),
    (
        "a default",
        field("a", choices={"lead": "Lead"}, type="choice", to_left=(Step("default", "unknown"),)),
        "fields.a.to_left: makes 'unknown' of a blank, which `choices` does not name; valid: lead",
    ),
    (
        "an element",
        field("a", choices={"a": "A", "b": "B"}, type="set", to_right=(Step("map", {"b": "c"}),)),
        "fields.a.to_right: makes 'c' of 'b', which `choices` does not name; valid: a, b",
    ),
]


@pytest.mark.parametrize(("why", "one", "told"), STRAYS, ids=[one[0] for one in STRAYS])
def test_a_step_does_not_lead_out_of_the_list(why: str, one: FieldSpec, told: str) -> None:
    assert complaints(one) == [told], why
    assert complaints(replace(one, unknown_choice="keep")) == []


def test_a_step_leads_from_one_choice_to_another() -> None:
    steps = (Step("map", {"won": "lead"}), Step("default", "lead"))
    one = field("a", choices={"lead": "Lead", "won": "Won"}, type="choice", to_right=steps)
    both = mapping(one)
    found = [both.left.decode({"a": raw}).values for raw in ("won", None, "lead")]
    assert [both.right.encode(values, None) for values in found] == [{"a": "Lead"}] * 3


def test_elements_that_would_be_read_back_otherwise_are_not_written() -> None:
    both = mapping(field("a", at("a", delimiter="||"), type="set"))
    with pytest.raises(Invalid, match="an element holds the delimiter"):
        both.left.encode({"a": ["a|", "b"]}, None)
    assert both.left.encode({"a": ["a", "b|"]}, None) == {"a": "a||b|"}
    assert both.left.decode({"a": "a||b|"}).values == {"a": ["a", "b|"]}


def test_a_choice_does_not_hold_the_delimiter() -> None:
    one = field("a", at("a", delimiter=";"), choices={"a;b": "c", "d": 1}, type="set")
    what = "is in the choice 'a;b', which would be read as two; valid: one that is in no choice"
    assert complaints(one) == [f"fields.a.left.delimiter: {what}"]
    assert complaints(field("a", "a", at("a", delimiter=";"), choices={"a;b": "c", "d": 1}, type="set")) == []
