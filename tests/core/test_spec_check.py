from typing import Any

import pytest

from tests.core.mappings import at, complaints, field, mapping, spec
from twoway.core.mapping import compile_mapping
from twoway.core.model import Side
from twoway.core.rules import Direction, Policy
from twoway.core.spec import FieldSpec, MappingError, Step
from twoway.core.steps import STEPS
from twoway.core.types import TYPES

OUT = {"opted_out": ("no",)}

WRONG: list[tuple[str, FieldSpec, str]] = [
    (
        "a name that no condition could hold",
        field("full-name", "a", "b"),
        "full-name: a field's name takes letters, digits and underscores only, and begins with no digit",
    ),
    (
        "a type that does not exist",
        field("a", type="strng"),
        f"a.type: unknown type; valid: {', '.join(TYPES)}",
    ),
    (
        "a type that is not there yet",
        field("a", type="reference"),
        "a.type: `reference` is reserved: links between records of several collections are not kept yet",
    ),
    (
        "a field that lives nowhere",
        field("a", None, None),
        "a: says neither `left` nor `right`: where does the field live?",
    ),
    (
        "an option of another type",
        field("a", region="DE"),
        "a.region: `region` is for the types phone, and this field is a `string`",
    ),
    (
        "a case for numbers",
        field("a", type="number", case="upper"),
        "a.case: `case` is for the types choice, set, string, text, and this field is a `number`",
    ),
    (
        "decimals of a text",
        field("a", decimals=2),
        "a.decimals: `decimals` is for the types number, and this field is a `string`",
    ),
    (
        "choices of a number",
        field("a", type="number", choices={"1": 2}),
        "a.choices: `choices` is for the types choice, set, and this field is a `number`",
    ),
    (
        "a resolution that does not exist",
        field("a", type="datetime", resolution="hour"),
        "a.resolution: valid: millisecond, second, minute",
    ),
    ("a case that does not exist", field("a", case="camel"), "a.case: valid: lower, upper, title"),
    (
        "an unknown way with unknown choices",
        field("a", unknown_choice="skip"),
        "a.unknown_choice: valid: park, ignore, keep",
    ),
    (
        "a case beside choices",
        field("a", type="choice", choices={"a": "A"}, case="upper"),
        "a.case: a field with `choices` has its spelling from them; leave `case` out",
    ),
    ("a place without a path", field("a", at(), "b"), "a.left: needs either `path` or `join`"),
    ("a place with two", field("a", at("x", join=("y", "z")), "b"), "a.left: needs either `path` or `join`"),
    ("one field joined", field("a", at(join=("x",)), "b"), "a.left.join: takes two different paths or more"),
    (
        "a field joined with itself",
        field("a", at(join=("x", "x")), "b"),
        "a.left.join: takes two different paths or more",
    ),
    (
        "joined by nothing",
        field("a", at(join=("x", "y"), separator=""), "b"),
        "a.left.with: needs at least one character, so that the text can be split again",
    ),
    ("split nowhere", field("a", at(join=("x", "y"), split="middle"), "b"), "a.left.split: valid: last, first"),
    (
        "numbers joined",
        field("a", at(join=("x", "y")), "b", type="number"),
        "a.left.join: `join` is for the types string, text, and this field is a `number`",
    ),
    (
        "words between joined fields that the case rewrites",
        field("a", at(join=("x", "y"), separator=" and "), "b", case="upper"),
        "a.left.with: is not in upper case, by which it could not be found again",
    ),
    (
        "milliseconds that a format has no room for",
        field("a", at("x", format="epoch"), "b", type="datetime", resolution="millisecond"),
        "a.left.format: keeps no milliseconds; valid: `epoch_ms`, or a `resolution` of second, minute",
    ),
    (
        "a delimiter of spaces",
        field("a", at("x", delimiter=" "), "b", type="set"),
        "a.left.delimiter: needs a character other than a space",
    ),
    (
        "a delimiter in a text",
        field("a", at("x", delimiter=";"), "b"),
        "a.left.delimiter: `delimiter` is for the types set, and this field is a `string`",
    ),
    (
        "a format of a text",
        field("a", at("x", format="%Y"), "b"),
        "a.left.format: `format` is for the types date, datetime, and this field is a `string`",
    ),
    (
        "a format that loses",
        field("a", at("x", format="%Y"), "b", type="date"),
        "a.left.format: must name each of %Y %m %d once",
    ),
    (
        "consent without a no",
        field("a", at("x"), at("y", **OUT), type="consent"),
        "a.left: a consent needs `opted_out`: the values that mean no, the one to write first",
    ),
    (
        "a no that is a list",
        field("a", at("x", opted_out=([1],)), at("y", **OUT), type="consent"),
        "a.left.opted_out: a list where a single value is expected",
    ),
    (
        "a yes that is a no",
        field("a", at("x", opted_in="no", **OUT), at("y", **OUT), type="consent"),
        "a.left.opted_in: is also named in `opted_out`",
    ),
    (
        "a yes that is a no further down",
        field("a", at("x", opted_out=("no", "never"), opted_in="never"), at("y", **OUT), type="consent"),
        "a.left.opted_in: is also named in `opted_out`",
    ),
    (
        "a no in a text",
        field("a", at("x", **OUT), "b"),
        "a.left.opted_out: `opted_out` is for the types consent, and this field is a `string`",
    ),
    (
        "steps of a consent",
        field("a", at("x", **OUT), at("y", **OUT), type="consent", to_left=(Step("default", "in"),)),
        "a.to_left: a consent takes no steps: nothing may be made of it",
    ),
    (
        "steps of a consent, to the right",
        field("a", at("x", **OUT), at("y", **OUT), type="consent", to_right=(Step("default", "in"),)),
        "a.to_right: a consent takes no steps: nothing may be made of it",
    ),
    (
        "a way to a side that is not there",
        field("a", "x", None, direction=Direction.TO_RIGHT),
        "a.direction: the field lives on one side only; name its place on the other one, too",
    ),
    (
        "steps to a side that is not written",
        field("a", direction=Direction.TO_RIGHT, to_left=(Step("trim"),)),
        "a.to_left: has no effect: the field's direction is `to_right`",
    ),
    (
        "steps of a number",
        field("a", type="number", to_left=(Step("trim"),)),
        "a.to_left: `to_left` is for the types choice, email, set, string, text, url, and this field is a `number`",
    ),
    (
        "steps of a number, to the right",
        field("a", type="number", to_right=(Step("trim"),)),
        "a.to_right: `to_right` is for the types choice, email, set, string, text, url, and this field is a `number`",
    ),
    (
        "steps to the right where only the left is written",
        field("a", direction=Direction.TO_LEFT, to_right=(Step("trim"),)),
        "a.to_right: has no effect: the field's direction is `to_left`",
    ),
    (
        "a step that does not exist",
        field("a", to_left=(Step("trim"), Step("shout"))),
        f"a.to_left.1: shout: unknown step; valid: {', '.join(STEPS)}",
    ),
    (
        "a default of another type",
        field("a", type="integer", to_left=(Step("default", "many"),)),
        "a.to_left.0: default: no value of the type: not a decimal number such as 1234.5 (without digit grouping)",
    ),
    (
        "no choices at all",
        field("a", type="choice", choices={}),
        "a.choices: is empty; name each value, such as `{ lead: Lead }`",
    ),
    (
        "choices that are lists",
        field("a", type="choice", choices={"a": [1]}),
        "a.choices: a list where a single value is expected",
    ),
    (
        "two choices that are one",
        field("a", type="choice", choices={"a": "x", "b": "x"}),
        "a.choices: two choices have the same value, which could not be read back; make them unique",
    ),
    (
        "choices twice",
        field("a", "x", at("y", choices={"a": "b"}), type="choice", choices={"a": "b"}),
        "a.right.choices: the field's own `choices` say this already; leave one out",
    ),
    (
        "choices that do not agree",
        field("a", at("x", choices={"b": 1, "a": 2}), at("y", choices={"a": 1, "c": 2}), type="choice"),
        "a.right.choices: must name the same values as the other side: a, b",
    ),
    (
        "the longest number",
        field("a", type="number", conflict=Policy.LONGEST),
        "a.conflict: `longest` is for the types string, text, and this field is a `number`",
    ),
    (
        "the greatest text",
        field("a", conflict=Policy.MAX),
        "a.conflict: `max` is for the types date, datetime, integer, number, and this field is a `string`",
    ),
    (
        "a path that is none",
        field("a", "phones[", "b"),
        "a.left: not a path; valid: field, field.key, field[key=value].key",
    ),
    (
        "a path among joined ones",
        field("a", at(join=("x", "y[")), "b"),
        "a.left: not a path; valid: field, field.key, field[key=value].key",
    ),
]


@pytest.mark.parametrize(("why", "one", "complaint"), WRONG, ids=[one[0] for one in WRONG])
def test_a_field_that_is_wrong_is_told_with_what_would_be_right(why: str, one: FieldSpec, complaint: str) -> None:
    assert complaints(one) == [f"fields.{complaint}"], why


PAIRS: list[tuple[str, tuple[FieldSpec, ...], dict[str, Any], str]] = [
    ("a key of nothing", (field("a"), field("c")), {"match": (("b",),)}, "match.0: unknown field b; valid: a, c"),
    (
        "a key of one side",
        (field("a"), field("b", "b", None)),
        {"match": (("a", "b"),)},
        "match.0: cannot match by b, which lives on one side only; valid: a",
    ),
    (
        "a key that is a set",
        (field("a", type="set"), field("c"), field("b")),
        {"match": (("b",), ("a",))},
        "match.1: cannot match by a, which is a `set`; valid: b, c",
    ),
    (
        "a pair that takes the longest",
        (field("a"),),
        {"conflict": Policy.LONGEST},
        "conflict: `longest` is for single fields; valid: left, right, newest, review",
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
        "fields.b.left: writes x, which the field a writes already",
    ),
    (
        "two one-way fields at one place, beside one that does not live there",
        (
            field("c", "z", None),
            field("a", "x", "y", direction=Direction.TO_RIGHT),
            field("b", "w", "y", direction=Direction.TO_RIGHT),
        ),
        {},
        "fields.b.right: writes y, which the field a writes already",
    ),
    (
        "two fields at one place, beside one that does not live there",
        (field("c", None, "z"), field("a", "x"), field("b", "x")),
        {},
        "fields.b.left: writes x, which the field a writes already",
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
    assert complaints(*fields, **options) == [complaint], why


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


RIGHT: list[tuple[str, FieldSpec]] = [
    ("a default for a number", field("a", type="number", to_left=(Step("default", "1"),))),
    ("a default for a number, to the right", field("a", type="number", to_right=(Step("default", "1"),))),
    (
        "a default is read as the field is",
        field("a", type="phone", region="DE", to_left=(Step("default", "030 123456"),)),
    ),
    ("the argument of another step is no value of the field", field("a", type="email", to_left=(Step("truncate", 9),))),
    ("a delimiter of a line's end", field("a", at("x", delimiter="\n"), "b", type="set")),
    ("a letter as the delimiter", field("a", at("x", delimiter="X"), "b", type="set")),
    (
        "two words that mean no, and another that means yes",
        field("a", at("x", opted_out=("no", "never"), opted_in="yes"), at("y", **OUT), type="consent"),
    ),
]


@pytest.mark.parametrize(("why", "one"), RIGHT, ids=[one[0] for one in RIGHT])
def test_what_is_right_is_not_complained_of(why: str, one: FieldSpec) -> None:
    assert complaints(one) == [], why


def test_each_side_of_a_field_is_told_of() -> None:
    step = (Step("default", "in"),)
    consent = field("a", at("x", **OUT), at("y", **OUT), type="consent", to_left=step, to_right=step)
    assert [line.partition(":")[0] for line in complaints(consent)] == ["fields.a.to_left", "fields.a.to_right"]
    choice = field("a", at("x", choices={"a": [1]}), at("y", choices={"a": [2]}), type="choice")
    assert [line.partition(":")[0] for line in complaints(choice)] == [
        "fields.a.left.choices",
        "fields.a.right.choices",
    ]


def test_the_error_tells_all_of_it() -> None:
    with pytest.raises(
        MappingError, match=r"^fields\.a\.left\.split: valid: last, first; match\.0: unknown field b; valid: a$"
    ):
        mapping(field("a", at(join=("x", "y"), split="middle")), match=(("b",),))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = complaints(field("a", type="no"), field("b", region="DE"), match=(("c",),), left={"scope": "d"})
    assert [line.partition(":")[0] for line in told] == ["fields.a.type", "fields.b.region", "match.0", "scope.left"]


def test_a_wrong_field_is_not_told_again_as_a_wrong_key() -> None:
    assert [line.partition(":")[0] for line in complaints(field("a", type="no"), match=(("a",),))] == ["fields.a.type"]


def test_milliseconds_have_room_in_some_formats() -> None:
    one = field("a", at("x", format="epoch_ms"), "b", type="datetime", resolution="millisecond")
    assert complaints(one, field("c", at("y", format="epoch"), "c", type="datetime")) == []


def test_a_field_and_a_part_of_it_are_one_place_once_the_app_is_known() -> None:
    both = spec(field("city", "address.city", "city"), field("whole", "address", "blob", type="json"))
    compile_mapping(both, {Side.LEFT: ["address", "address.city"], Side.RIGHT: ["city", "blob"]})
    with pytest.raises(
        MappingError, match=r"^fields\.whole\.left: writes address, which the field city writes already$"
    ):
        compile_mapping(both, {Side.LEFT: ["address"], Side.RIGHT: ["city", "blob"]})


def test_an_element_is_the_same_place_in_whatever_case_it_is_chosen() -> None:
    assert complaints(field("a", "p[type=work].v", "a"), field("b", "p[Type=work].v", "b")) == []
    assert complaints(field("a", "p[type=work].v", "a"), field("b", "p[type=Work].v", "b")) == [
        "fields.b.left: writes p[type=Work].v, which the field a writes already"
    ]
