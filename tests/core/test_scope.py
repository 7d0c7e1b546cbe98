from typing import Any

import pytest

from twoway.core.scope import Scope

FIELDS = ("lifecycle", "revenue", "tags", "seats", "since", "vip")

JUDGED: list[tuple[str, str, dict[str, Any], bool]] = [
    ("one of a list", 'lifecycle in ["lead", "customer"]', {"lifecycle": "lead"}, True),
    ("none of a list", 'lifecycle in ["lead", "customer"]', {"lifecycle": "other"}, False),
    ("a blank is none of a list", 'lifecycle in ["lead"]', {"lifecycle": None}, False),
    ("an absent field is blank", 'lifecycle == "lead"', {}, False),
    ("a blank equals nothing but null", 'lifecycle != "lead"', {"lifecycle": None}, True),
    ("a blank is null", "lifecycle == null", {"lifecycle": None}, True),
    ("a blank cannot be compared", "revenue > 1000.0", {"revenue": None}, False),
    ("nor its opposite", "!(revenue > 1000.0)", {"revenue": None}, False),
    ("a decimal is a number", "revenue > 1000.5", {"revenue": "1000.75"}, True),
    ("whole numbers compare with decimals", "revenue > 1000", {"revenue": "1000.75"}, True),
    ("an integer", "seats >= 3", {"seats": 3}, True),
    ("a truth value by itself", "vip", {"vip": True}, True),
    ("a text is no truth value", "lifecycle", {"lifecycle": "lead"}, False),
    ("an element of a set", '"vip" in tags', {"tags": ["a", "vip"]}, True),
    ("a blank set has no elements to look for", '"vip" in tags', {"tags": None}, False),
    ("which is to say that they are not there", '!("vip" in tags)', {"tags": None}, True),
    ("none of its elements", 'tags.all(t, t != "vip")', {}, True),
    ("and it has none", "size(tags) == 0", {"tags": None}, True),
    ("a blank set is null all the same", "tags == null", {"tags": None}, True),
    ("a blank beside it is no list", '!("vip" in tags) && size(lifecycle) == 0', {"tags": None}, False),
    ("some element of a set", 'tags.exists(t, t.startsWith("v"))', {"tags": ["a", "vip"]}, True),
    ("one known side of an `or` suffices", 'revenue > 1.0 || lifecycle == "lead"', {"lifecycle": "lead"}, True),
    ("texts in lower case", 'lower(lifecycle) == "lead"', {"lifecycle": "LEAD"}, True),
    ("a blank in lower case is blank", "lower(lifecycle) == null", {"lifecycle": None}, True),
    ("a text taken apart", '"b" in split(lifecycle, ",")', {"lifecycle": "a, b"}, True),
    ("a blank taken apart", "size(split(lifecycle, ',')) == 0", {"lifecycle": None}, True),
    (
        "taken apart at the separator, not at spaces",
        'split(lifecycle, ",") == ["a b", "c"]',
        {"lifecycle": "a b,c"},
        True,
    ),
    (
        "taken apart from the start, not without end",
        'split(lifecycle, ",")[0] == "a" && size(split(lifecycle, ",")) == 10001',
        {"lifecycle": "a," * 10_050},
        True,
    ),
    ("nothing to take apart at", "size(split(lifecycle, '')) == 0", {"lifecycle": "a"}, True),
    ("days sort as texts", 'since >= "2024-01-01"', {"since": "2024-02-01"}, True),
    ("division by zero", "1 / seats > 0", {"seats": 0}, False),
    ("beyond a list", 'tags[3] == "a"', {"tags": ["a"]}, False),
    ("a text that is no number", "double(lifecycle) > 1.0", {"lifecycle": "lead"}, False),
    ("not a regular expression", "lifecycle.matches(since)", {"lifecycle": "a", "since": "("}, False),
]


@pytest.mark.parametrize(("why", "text", "values", "within"), JUDGED, ids=[one[0] for one in JUDGED])
def test_what_is_in_scope(why: str, text: str, values: dict[str, Any], within: bool) -> None:
    assert Scope(text, FIELDS, ["revenue"], ["tags"]).accepts(values) is within, why


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lifecycle in [", "not a CEL expression: 1:15: Syntax error: .* IDENTIFIER}"),
        ("lifecycle = 3", "not a CEL expression: 1:11.*"),
        ("stage == 'lead'", "unknown field stage; valid: lifecycle, revenue, seats, since, tags, vip"),
        ("stage == origin", "unknown field origin, stage; valid: lifecycle, revenue, seats, since, tags, vip"),
        (
            "shout(lifecycle) == 'A'",
            "unknown function shout; valid: bool, contains, double, .*, lower, .*, split, .*, uint",
        ),
        ("shout(lifecycle) == whisper('A')", "unknown function shout, whisper; valid: bool, .*"),
        ("1 == 1", "names no field, so that it is the same for every record"),
        ("lifecycle == '" + "x" * (4001 - 15) + "'", "longer than 4000 characters"),
        ("'tags.all(t, ' == lifecycle && t == 1", "unknown field t; valid: lifecycle, .*"),
    ],
)
def test_a_scope_that_cannot_be_judged_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}$"):
        Scope(text, FIELDS)


def test_a_scope_knows_its_fields() -> None:
    assert Scope("tags.exists(t, t == lifecycle) && type(vip) == bool", FIELDS).fields == {"tags", "lifecycle", "vip"}


def test_a_scope_may_be_as_long_as_it_says() -> None:
    text = "lifecycle == '" + "x" * (4000 - 15) + "'"
    assert len(text) == 4000
    assert Scope(text, FIELDS).accepts({"lifecycle": "x" * (4000 - 15)})
