from typing import Any

import pytest

from tests.core.mappings import at, complaints, field
from twoway.core.rules import Direction, Policy
from twoway.core.spec import FieldSpec, Step

OUT = {"opted_out": ("no",)}

WRONG: list[tuple[str, FieldSpec, str]] = [
    ("a name that no condition could hold", field("full-name", "a", "b"), "full-name: a field's name takes letters"),
    ("a type that does not exist", field("a", type="strng"), "a.type: unknown type; valid: string, text"),
    ("a type that is not there yet", field("a", type="reference"), "a.type: `reference` is reserved"),
    ("a field that lives nowhere", field("a", None, None), "a: says neither `left` nor `right`"),
    ("an option of another type", field("a", region="DE"), "a.region: `region` is for the types phone, and this field"),
    ("a case for numbers", field("a", type="number", case="upper"), "a.case: `case` is for"),
    ("decimals of a text", field("a", decimals=2), "a.decimals: `decimals` is for the types number"),
    ("choices of a number", field("a", type="number", choices={"1": 2}), "a.choices: `choices` is for"),
    ("a resolution that does not exist", field("a", type="datetime", resolution="hour"), "valid: millisecond, second"),
    ("a case that does not exist", field("a", case="camel"), "a.case: valid: lower, upper, title"),
    ("an unknown way with unknown choices", field("a", unknown_choice="skip"), "valid: park, ignore, keep"),
    ("a case beside choices", field("a", type="choice", choices={"a": "A"}, case="upper"), "leave `case` out"),
    ("a place without a path", field("a", at(), "b"), "a.left: needs either `path` or `join`"),
    ("a place with two", field("a", at("x", join=("y", "z")), "b"), "a.left: needs either `path` or `join`"),
    ("one field joined", field("a", at(join=("x",)), "b"), "a.left.join: takes two different paths"),
    ("a field joined with itself", field("a", at(join=("x", "x")), "b"), "a.left.join: takes two different paths"),
    ("joined by nothing", field("a", at(join=("x", "y"), separator=""), "b"), "a.left.with: needs at least one"),
    ("split nowhere", field("a", at(join=("x", "y"), split="middle"), "b"), "a.left.split: valid: last, first"),
    (
        "numbers joined",
        field("a", at(join=("x", "y")), "b", type="number"),
        "a.left.join: `join` is for the types string",
    ),
    (
        "a delimiter of spaces",
        field("a", at("x", delimiter=" "), "b", type="set"),
        "needs a character other than a space",
    ),
    (
        "a delimiter in a text",
        field("a", at("x", delimiter=";"), "b"),
        "a.left.delimiter: `delimiter` is for the types set",
    ),
    (
        "a format of a text",
        field("a", at("x", format="%Y"), "b"),
        "a.left.format: `format` is for the types date, datetime",
    ),
    ("a format that loses", field("a", at("x", format="%Y"), "b", type="date"), "a.left.format: must name each of"),
    (
        "consent without a no",
        field("a", at("x"), at("y", **OUT), type="consent"),
        "a.left: a consent needs `opted_out`",
    ),
    (
        "a no that is a list",
        field("a", at("x", opted_out=([1],)), at("y", **OUT), type="consent"),
        "a.left.opted_out: a list where",
    ),
    (
        "a yes that is a no",
        field("a", at("x", opted_in="no", **OUT), at("y", **OUT), type="consent"),
        "a.left.opted_in: is also named in `opted_out`",
    ),
    ("a no in a text", field("a", at("x", **OUT), "b"), "a.left.opted_out: `opted_out` is for the types consent"),
    (
        "steps of a consent",
        field("a", at("x", **OUT), at("y", **OUT), type="consent", to_left=(Step("default", "in"),)),
        "a.to_left: a consent takes no steps",
    ),
    (
        "a way to a side that is not there",
        field("a", "x", None, direction=Direction.TO_RIGHT),
        "lives on one side only",
    ),
    (
        "steps to a side that is not written",
        field("a", direction=Direction.TO_RIGHT, to_left=(Step("trim"),)),
        "a.to_left: has no effect: the field's direction is `to_right`",
    ),
    ("steps of a number", field("a", type="number", to_left=(Step("trim"),)), "a.to_left: `to_left` is for the types"),
    (
        "a step that does not exist",
        field("a", to_left=(Step("trim"), Step("shout"))),
        "a.to_left.1: shout: unknown step",
    ),
    (
        "a default of another type",
        field("a", type="integer", to_left=(Step("default", "many"),)),
        "a.to_left.0: default: no value of the type: not a decimal number",
    ),
    ("no choices at all", field("a", type="choice", choices={}), "a.choices: is empty"),
    ("choices that are lists", field("a", type="choice", choices={"a": [1]}), "a.choices: a list where"),
    (
        "two choices that are one",
        field("a", type="choice", choices={"a": "x", "b": "x"}),
        "a.choices: two choices have",
    ),
    (
        "choices twice",
        field("a", "x", at("y", choices={"a": "b"}), type="choice", choices={"a": "b"}),
        "a.right.choices: the field's own `choices` say this already",
    ),
    (
        "choices that do not agree",
        field("a", at("x", choices={"a": "b"}), at("y", choices={"c": "d"}), type="choice"),
        "a.right.choices: must name the same values as the other side: a",
    ),
    (
        "the longest number",
        field("a", type="number", conflict=Policy.LONGEST),
        "a.conflict: `longest` is for the types",
    ),
    ("the greatest text", field("a", conflict=Policy.MAX), "a.conflict: `max` is for the types date, datetime"),
    ("a path that is none", field("a", "phones[", "b"), "a.left: not a path; valid: field, field.key"),
    ("a path among joined ones", field("a", at(join=("x", "y[")), "b"), "a.left: not a path"),
]


@pytest.mark.parametrize(("why", "one", "complaint"), WRONG, ids=[one[0] for one in WRONG])
def test_a_field_that_is_wrong_is_told_with_what_would_be_right(why: str, one: FieldSpec, complaint: str) -> None:
    told = complaints(one)
    assert any(f"fields.{complaint}" in line or complaint in line for line in told), (why, told)
    assert len(told) == 1, "one mistake is told once"


PAIRS: list[tuple[str, tuple[FieldSpec, ...], dict[str, Any], str]] = [
    ("a key of nothing", (field("a"),), {"match": (("b",),)}, "match.0: unknown field b; valid: a"),
    (
        "a key of one side",
        (field("a"), field("b", "b", None)),
        {"match": (("a", "b"),)},
        "match.0: cannot match by b, which lives",
    ),
    (
        "a key that is a set",
        (field("a", type="set"),),
        {"match": (("a",),)},
        "match.0: cannot match by a, which is a `set`",
    ),
    (
        "a pair that takes the longest",
        (field("a"),),
        {"conflict": Policy.LONGEST},
        "conflict: `longest` is for single fields",
    ),
    ("a scope over nothing", (field("a"),), {"left": {"scope": "b == 1"}}, "scope.left: unknown field b; valid: a"),
    (
        "a scope over the other side's field",
        (field("a"), field("b", None, "b")),
        {"left": {"scope": 'b == "1"'}},
        "scope.left: unknown field b; valid: a",
    ),
    (
        "two fields at one place",
        (field("a", "x"), field("b", "x")),
        {},
        "fields.b.left: writes x, which the field a writes",
    ),
    (
        "a field over another's part",
        (field("a", "x", "y", type="json"), field("b", "x[t=w].v")),
        {},
        "fields.b.left: writes x[t=w].v, which the field a writes already",
    ),
]


@pytest.mark.parametrize(("why", "fields", "options", "complaint"), PAIRS, ids=[one[0] for one in PAIRS])
def test_what_does_not_go_together_is_told(why: str, fields: Any, options: dict[str, Any], complaint: str) -> None:
    told = complaints(*fields, **options)
    assert [line for line in told if line.startswith(complaint)] == told != [], why


def test_fields_may_share_what_none_of_them_writes_twice() -> None:
    shared = (
        field("a", "x", "a"),
        field("b", "x", "b", direction=Direction.TO_RIGHT),
        field("c", "x", None),
        field("d", "phones[type=work].value", "d"),
        field("e", "phones[type=home].value", "e"),
        field("f", "g[t=w].a", at(join=("f1", "f2"))),
        field("g", "g[t=w].b", "g"),
    )
    assert complaints(*shared) == []


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = complaints(field("a", type="no"), field("b", region="DE"), match=(("c",),), left={"scope": "d"})
    assert [line.partition(":")[0] for line in told] == ["fields.a.type", "fields.b.region", "match.0", "scope.left"]


def test_a_wrong_field_is_not_told_again_as_a_wrong_key() -> None:
    assert [line.partition(":")[0] for line in complaints(field("a", type="no"), match=(("a",),))] == ["fields.a.type"]
