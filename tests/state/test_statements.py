"""How SQLite carries out what a cycle asks: through indexes, whatever the state has grown to."""

import asyncio
import re
import sys
from typing import Any

import pytest

from twoway.state.sqlite import SQLite
from twoway.testing.scenarios import scenario
from twoway.testing.simulator import Simulator

SEEDS = range(20)
WHOLE = re.compile(r"SCAN (?![jnw]\b|json_each|CONSTANT|sqlite_master|alembic_version)")
"""A step of a plan that reads a whole table. `j`, `n` and `w` are windows that the caller asks about."""
WINDOW = re.compile(r"json_each\(\?\) ([jnw]) ")


@pytest.fixture(scope="module")
def plans() -> dict[str, list[str]]:
    """Every statement that the cycles of some histories run, with its plan; not what people and judges ask besides."""
    found: dict[str, list[str]] = {}
    plain = SQLite.run

    def run(self: SQLite, sql: str, params: Any = ()) -> Any:
        asked_by = sys._getframe(1).f_code.co_filename
        if (
            sql not in found
            and "/twoway/state/" in asked_by
            and sql.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "DELETE"}
        ):
            found[sql] = [row[3] for row in plain(self, f"EXPLAIN QUERY PLAN {sql}", params)]
        return plain(self, sql, params)

    patch = pytest.MonkeyPatch()
    patch.setattr(SQLite, "run", run)
    for seed in SEEDS:
        asyncio.run(Simulator(scenario(seed)).play())
    patch.undo()
    return found


def test_nothing_reads_a_whole_table(plans: dict[str, list[str]]) -> None:
    assert len(plans) > 60
    assert {sql: plan for sql, plan in plans.items() if any(WHOLE.match(step) for step in plan)} == {}


def test_a_window_is_looked_up_record_by_record_and_not_searched_through_for_each_row(
    plans: dict[str, list[str]],
) -> None:
    """Once SQLite read all links of the pair, and the whole window of a listing again for each of them."""
    windows = {sql: (found[1], plan) for sql, plan in plans.items() if (found := WINDOW.search(sql))}
    assert len(windows) >= 5
    assert {sql: plan for sql, (name, plan) in windows.items() if not plan[0].startswith(f"SCAN {name}")} == {}
