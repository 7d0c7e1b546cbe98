"""How things are put to people."""

import ast
import re
from pathlib import Path

import pytest

import twoway.cli
from twoway.cli import words
from twoway.cli.errors import Code, worst
from twoway.cli.progress import Line
from twoway.core.model import Side, Value

NAMES = {Side.LEFT: "crm", Side.RIGHT: "newsletter"}
SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, "(blank)", id="blank"),
        pytest.param("Ada", '"Ada"', id="text"),
        pytest.param("Zoë 東京", '"Zoë 東京"', id="other scripts as they are"),
        pytest.param("(blank)", '"(blank)"', id="a text that looks like a blank"),
        pytest.param("a\nb", '"a\\nb"', id="a line end stays on the line"),
        pytest.param("\x1b[31mred", '"\\u001b[31mred"', id="an escape sequence colours nothing"),
        pytest.param("\x9b31m", '"\\x9b31m"', id="an eight-bit escape neither"),
        pytest.param("a\u202eb", '"a\\u202eb"', id="nor is the line turned round"),
        pytest.param("[bold]x[/]", '"[bold]x[/]"', id="markup is text"),
        pytest.param(True, "true", id="boolean"),
        pytest.param(["a", "b"], '["a", "b"]', id="set"),
        pytest.param("x" * 100, '"' + "x" * 58 + "…", id="a long one is cut"),
    ],
)
def test_a_value_on_one_line(value: Value, expected: str) -> None:
    assert words.value(value) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("changed", "changed"),
        ("conflict: left", "conflict: crm wins"),
        ("conflict: right", "conflict: newsletter wins"),
        ("start: left", "first link: crm wins"),
        ("start: review", "first link: a person decides"),
        ("left the scope", "no longer in scope"),
        ("both left the scope", "no longer in scope"),
        ("what no table knows", "what no table knows"),
    ],
)
def test_a_rule(rule: str, expected: str) -> None:
    assert words.rule(rule, NAMES) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("changed", "it was changed in crm, and carried over"),
        ("drift", "it had been edited in newsletter, which only receives this field, and was put back"),
        ("conflict: left", "both had changed it, and crm wins by the pair's `conflict`"),
        ("start: right", "the two differed when they were linked, and newsletter wins by the pair's `start`"),
        ("conflict: longest", "conflict: longest"),
    ],
)
def test_why_a_value_was_written(rule: str, expected: str) -> None:
    assert words.why(rule, Side.RIGHT, NAMES) == expected


def test_a_direction_says_where_a_write_goes() -> None:
    assert words.direction(Side.RIGHT, NAMES) == "crm → newsletter"
    assert words.direction(Side.LEFT, NAMES) == "newsletter → crm"


def test_counts_name_accounts_and_begin_with_what_was_written() -> None:
    found = {"listed left": 9, "seen right": 2, "created right": 1, "conflicts": 1, "updated left": 3, "parked": 0}
    assert words.counted(found, NAMES) == (
        "1 created in newsletter, 3 updated in crm, 1 in conflict, 2 seen in newsletter, 9 listed in crm"
    )
    assert words.counted({}, NAMES) == "nothing to do"
    assert words.counted({"seen left": 1, "linked": 0}, NAMES) == "nothing to do, 1 seen in crm"
    assert words.counts({"created right": 1, "linked": 2}, NAMES) == {"created": {"newsletter": 1}, "linked": 2}


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(-5, "0s"), (59_999, "59s"), (60_000, "1m"), (7_199_000, "1h"), (86_400_000, "1d"), (900_000_000, "10d")],
)
def test_a_length_of_time(milliseconds: int, expected: str) -> None:
    assert words.span(milliseconds) == expected


def test_an_instant_in_json_is_utc() -> None:
    assert words.iso(1_772_409_600_000) == "2026-03-02T00:00:00Z"
    assert words.iso(None) is None


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], Code.FINE),
        ([Code.FINE, Code.PENDING], Code.PENDING),
        ([Code.ATTENTION, Code.HELD], Code.HELD),
        ([Code.HELD, Code.UNREACHABLE, Code.BUSY], Code.UNREACHABLE),
        ([Code.USAGE, Code.FAILED], Code.FAILED),
    ],
)
def test_the_worst_of_several_outcomes(codes: list[Code], expected: Code) -> None:
    assert worst(codes) is expected


def test_the_line_of_progress_says_what_each_account_is_asked_for() -> None:
    line = Line("sync")
    for name in ("before crm.snapshot", "after crm.snapshot", "before newsletter.apply:create", "before crm.snapshot"):
        line.heard(name)
    assert str(line) == "sync  crm: listing (2)  newsletter: writing (1)"


def _texts(path: Path) -> list[str]:
    """The texts of a module that a person may be shown: all but those that are code to it."""
    tree = ast.parse(path.read_text())
    silent = {id(node) for each in ast.walk(tree) if isinstance(each, ast.Dict) for node in each.keys}
    silent |= {id(each.args[0]) for each in ast.walk(tree) if isinstance(each, ast.Call) and _is_pattern(each)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent
    ]


def _is_pattern(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "compile"


COMMAND_LINE = Path(twoway.cli.__file__).parent
MODULES = [path for path in sorted(COMMAND_LINE.rglob("*.py")) if "demo" not in path.relative_to(COMMAND_LINE).parts]


@pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])
def test_no_message_names_a_side(path: Path) -> None:
    assert [text for text in _texts(path) if SIDES.search(text)] == []
