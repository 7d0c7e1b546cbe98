import re
from typing import Any

import pytest

from twoway.core.spec import Step
from twoway.core.steps import STEPS, compile_step

DONE: list[tuple[str, Any, Any, Any]] = [
    ("trim", None, "  a b ", "a b"),
    ("collapse", None, " a \n  b ", "a b"),
    ("lower", None, "AbC", "abc"),
    ("upper", None, "AbC", "ABC"),
    ("title", None, "ada king", "Ada King"),
    ("title", None, "levi's o'neil don\u2019t d'angelo", "Levi's O'Neil Don\u2019t D'Angelo"),
    ("title", None, "HAL\u0130LCAN", "Hali\u0307lcan"),
    ("title", None, "Hali\u0307lcan", "Hali\u0307lcan"),
    ("title", None, "k\u1ecd\u0301l\u00e1", "K\u1ecd\u0301l\u00e1"),
    ("digits", None, "+1 (2) x", "12"),
    ("prefix", "CRM-", "7", "CRM-7"),
    ("prefix", "CRM-", "CRM-7", "CRM-7"),
    ("strip_prefix", "CRM-", "CRM-7", "7"),
    ("truncate", 3, "abcdef", "abc"),
    ("truncate", 1, "abcdef", "a"),
    ("replace", {"a": "b", "c": ""}, "abc", "bb"),
    ("map", {"Dr": "Doctor"}, "Dr", "Doctor"),
    ("map", {"Dr": "Doctor"}, "Mr", "Mr"),
    ("map", {True: "Yes"}, "true", "Yes"),
    ("map", {True: "Yes", 1.5: 2.0}, "1.5", "2"),
    ("map", {"TBD": ""}, "TBD", ""),
    ("map", {"e\u0301": "x"}, "\u00e9", "x"),
    ("prefix", "e\u0301-", "\u00e9-7", "\u00e9-7"),
    ("default", "unknown", None, "unknown"),
    ("default", "unknown", "a", "a"),
    ("upper", None, None, None),
    ("upper", None, ["a", "b"], ["A", "B"]),
]


@pytest.mark.parametrize(("name", "argument", "value", "after"), DONE, ids=[f"{one[0]} {one[2]!r}" for one in DONE])
def test_a_step(name: str, argument: Any, value: Any, after: Any) -> None:
    assert compile_step(Step(name, argument))(value) == after


def test_every_step_is_shown_above() -> None:
    assert {one[0] for one in DONE} == set(STEPS)


@pytest.mark.parametrize(
    ("name", "argument", "words"),
    [
        ("trim", "x", "takes no argument"),
        ("prefix", None, "takes a text, such as `{ prefix: CRM- }`"),
        ("prefix", "", "takes a text, such as `{ prefix: CRM- }`"),
        ("truncate", "3", "takes a number of characters, such as `{ truncate: 255 }`"),
        ("truncate", 0, "takes a number of characters, such as `{ truncate: 255 }`"),
        ("truncate", True, "takes a number of characters, such as `{ truncate: 255 }`"),
        ("map", "x", "takes a table of texts, such as `{ map: { Dr: Doctor } }`"),
        ("map", {"TBD": None}, 'takes single values on both sides of the colon; "" stands for nothing'),
        ("map", {"TBD": ["x"]}, 'takes single values on both sides of the colon; "" stands for nothing'),
        ("replace", {"": "x"}, "takes no empty text to look for; `default` is for records that have none"),
        ("replace", {}, "takes a table of texts, such as `{ map: { Dr: Doctor } }`"),
        ("default", None, "takes the value for records that have none, such as `{ default: unknown }`"),
        (
            "shout",
            None,
            f"unknown step; valid: {', '.join(STEPS)}",
        ),
    ],
)
def test_a_step_that_is_wrong_says_what_would_be_right(name: str, argument: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        compile_step(Step(name, argument))
