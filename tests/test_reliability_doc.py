"""docs/reliability.md names tests that there are, a row for each complaint, and figures that are true."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from tools.mutation.verdict import LISTED, Listed

from tests.acceptance.test_killed import SCENARIOS
from tests.core.test_planner_ends import CONFLICT, DELETED, SHARES
from tests.core.test_reconcile import CASES_OF_ONE_FIELD, CASES_OF_TWO_FIELDS
from tests.core.world import ROUNDS
from tests.engine.test_simulator import REPLAYED, SEEDS
from tests.engine.test_symmetry import SEEDS as MIRRORED
from twoway.testing.crashes import CASES, MANNERS
from twoway.testing.planted import MOST, faults

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
TEXT = (ROOT / "docs" / "reliability.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py::[\w:]+)`", TEXT)))
SURVIVORS = Listed.load(ROOT / LISTED)
ROWS = re.findall(r"^\| (\d+) \|(.*)\|$", TEXT, re.MULTILINE)


@cache
def defined_in(path: Path) -> frozenset[str]:
    """The tests of a file as pytest names them: `test_x`, or `TestClass::test_x`."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            prefix + one.name
            for one in inner
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_")
        }
    return frozenset(found)


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_is_there(name: str) -> None:
    file, _, test = name.removeprefix("tests/").partition("::")
    assert (TESTS / file).is_file(), file
    assert test in defined_in(TESTS / file)


def test_there_is_a_row_for_each_complaint() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 31))


@pytest.mark.parametrize(("number", "row"), ROWS, ids=[number for number, _ in ROWS])
def test_a_row_has_a_complaint_a_cure_and_a_test_or_says_that_there_is_none(number: str, row: str) -> None:
    cells = [cell.strip() for cell in row.split("|")]
    assert len(cells) == 3, f"row {number}"
    assert all(cells)
    complaint, cure, shown = cells
    assert "`" not in complaint
    assert any(f"`{name}`" in shown for name in NAMED) or "not shown yet" in cure + shown


def test_the_commands_name_what_there_is() -> None:
    paths = {path for line in re.findall(r"-m pytest ([^`\n]+)", TEXT) for path in line.split()}
    assert paths
    assert [path for path in paths if not (ROOT / path.partition("::")[0]).exists()] == []
    modules = set(re.findall(r"python -m ([\w.]+)", TEXT)) - {"pytest"}
    assert modules
    assert [name for name in modules if find_spec(name) is None] == []
    targets = set(re.findall(r"`make ([\w-]+)`", TEXT))
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if f"\n{target}:" not in makefile] == []


def test_the_figures_are_those_of_the_tests() -> None:
    assert f"{SEEDS:,} random histories" in TEXT
    assert f"one in {REPLAYED} is played twice" in TEXT
    assert f"makes {CASES_OF_ONE_FIELD:,} cases" in TEXT
    assert f"of two fields side by side {CASES_OF_TWO_FIELDS:,}" in TEXT
    assert f"Within {ROUNDS} rounds" in TEXT
    assert f"in {SHARES[CONFLICT]:.0%} of them or more a field".replace("%", " %") in TEXT
    assert f"in {SHARES[DELETED]:.0%} a record deleted".replace("%", " %") in TEXT
    assert f"changed at {SURVIVORS.mutants} places" in TEXT
    assert f"notice {SURVIVORS.killed / SURVIVORS.mutants:.1%} of the changes".replace("%", " %") in TEXT
    assert f"{len(CASES)} histories with {len(MANNERS)} kinds of app" in TEXT
    places = sum(scenario.deaths for scenario in SCENARIOS.values())
    assert f"{len(SCENARIOS)} histories; " in TEXT
    assert f"at one of {places} places or more" in TEXT
    assert f"{len(faults())} deliberate faults" in TEXT
    assert f"{MIRRORED} quiet histories" in TEXT


PLANTED = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| (\d+) \|$", TEXT, re.MULTILINE)


def test_the_planted_faults_are_those_that_there_are() -> None:
    told = [(name, against, check) for name, against, check, _ in PLANTED]
    assert told == [(fault.name, fault.against, fault.caught_by) for fault in faults()]
    assert all(0 < int(histories) <= MOST for *_, histories in PLANTED)


def test_a_planted_fault_stands_for_each_rule_and_each_complaint_that_is_not_excepted() -> None:
    broken = {what for _, against, *_ in PLANTED for what in against.split(", ")}
    assert {f"rule {number}" for number in range(1, 19)} <= broken
    (excepted,) = re.findall(r"No fault stands for the complaints ([\d, and]+):", TEXT)
    without = {int(number) for number in re.findall(r"\d+", excepted)}
    assert {number for number in range(1, 31) if f"complaint {number}" not in broken} == without
