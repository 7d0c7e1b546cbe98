"""How PostgreSQL carries out what a cycle asks: as SQLite does, through indexes, whatever the state has grown to."""

import asyncio
import re
import sys
from typing import Any

import psycopg
import pytest

from tests.servers.postgres_server import PostgresServer
from twoway.core.model import Kind, Side, Values
from twoway.core.plan import State
from twoway.core.reconcile import Edit
from twoway.state import wording
from twoway.state.attention import Parking
from twoway.state.database import Database
from twoway.state.links import Mark, NewLink
from twoway.state.operations import Staging
from twoway.state.postgres import Postgres
from twoway.state.rows import Observation
from twoway.state.sqlite import SQLite
from twoway.state.store import Store
from twoway.testing.scenarios import scenario
from twoway.testing.simulator import Simulator

SEEDS = range(20)
_PLANNED = {"SELECT", "INSERT", "UPDATE", "DELETE"}


@pytest.fixture(scope="module")
def plans(postgres: PostgresServer) -> dict[str, str]:
    """Every statement that the cycles of some histories run, with its plan in a state that has grown since."""
    asked: dict[str, None] = {}
    run, many = SQLite.run, SQLite.many

    def note(sql: str, asked_by: str) -> None:
        if "/twoway/state/" in asked_by and sql.split(maxsplit=1)[0] in _PLANNED and "sqlite_master" not in sql:
            asked[sql] = None

    def noted(self: SQLite, sql: str, params: Any = ()) -> Any:
        note(sql, sys._getframe(1).f_code.co_filename)
        return run(self, sql, params)

    def noted_many(self: SQLite, sql: str, rows: Any) -> None:
        note(sql, sys._getframe(1).f_code.co_filename)
        many(self, sql, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLite, "run", noted)
        patch.setattr(SQLite, "many", noted_many)
        for seed in SEEDS:
            asyncio.run(Simulator(scenario(seed)).play())
    store = _grown(postgres.state())
    found = {}
    for sql in asked:
        first, *others = wording.for_postgres(sql).split("%s")
        numbered = first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))
        found[sql] = "\n".join(row[0] for row in _plan(store.db, numbered))
    store.close()
    return found


def _grown(url: str) -> Store:
    """A state that was empty a moment ago, and now has some rows of everything."""
    store = Store(url, "uid")
    pair = store.pairs.ensure("a-b").id
    ids = [f"{number:04}" for number in range(1_000)]
    nothing: dict[Side, None] = dict.fromkeys(Side)
    values: dict[Side, Values] = {side: {} for side in Side}
    edit = Edit(Side.LEFT, Kind.UPDATE, {"name": "x"})
    with store.commit("grow"):
        store.links.add_all(
            pair, [NewLink(dict.fromkeys(Side, one), values, nothing, nothing, nothing) for one in ids], 1
        )
        store.operations.stage(
            pair, 1, [Staging(edit, at, one, one, None, nothing, nothing) for at, one in enumerate(ids)], State.PLANNED
        )
        staged = store.operations.in_state(pair, State.PLANNED)
        store.operations.sent([one.id for one in staged[::2]], 1)
        for side in Side:
            store.links.mark(pair, [Mark(side, f"gone {one}", "tombstone", "gone") for one in ids], 1)
            store.links.set_keys(pair, side, [(one, (int(one), int(one))) for one in ids])
            store.observations.put(pair, [Observation(side, one, 1, "live", due_at=1) for one in ids])
            store.attention.park(pair, [Parking(side, one, "refused", "why") for one in ids], 1)
    return store


def _plan(database: Database, sql: str) -> list[tuple[str]]:
    assert isinstance(database, Postgres)
    connection: psycopg.Connection[Any] = database._connection
    return connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql}".encode(), prepare=False).fetchall()


def test_every_statement_is_known_to_both(plans: dict[str, str]) -> None:
    assert len(plans) > 80
    assert all(plans.values())


def test_nothing_reads_a_whole_table(plans: dict[str, str]) -> None:
    whole = re.compile(r"Seq Scan|Hash Join|Merge Join")
    assert {sql: plan for sql, plan in plans.items() if whole.search(plan)} == {}


def test_a_window_is_looked_up_record_by_record_and_not_searched_through_for_each_row(plans: dict[str, str]) -> None:
    """What is compared only after rows were paired is no look-up."""
    searched = re.compile(r"(?:Join Filter|Filter: \().*\b(?:value|record_id|left_id|right_id|link) = ")
    found = {sql: plan.replace("(record_id = (hashed SubPlan", "") for sql, plan in plans.items()}
    assert {sql: plan for sql, plan in found.items() if searched.search(plan)} == {}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        pytest.param("SELECT a FROM t WHERE b = ?", "SELECT a FROM t WHERE b = %s", id="a parameter"),
        pytest.param("SELECT 5 % 3", "SELECT 5 %% 3", id="a sign that psycopg would take for a parameter"),
        pytest.param("SELECT instr(a, 'b') > 0", "SELECT strpos(a, 'b') > 0", id="a text in a text"),
        pytest.param(
            "SET hint = observation.fp IS excluded.fp",
            "SET hint = observation.fp IS NOT DISTINCT FROM excluded.fp",
            id="the same, or both NULL",
        ),
        pytest.param(
            "NOT EXISTS (SELECT 1 FROM a WHERE (b) IN (1) AND EXISTS (SELECT 2)) AND (c)",
            "NOT EXISTS (SELECT 1 FROM a WHERE (b) IN (1) AND EXISTS (SELECT 2 OFFSET 0) OFFSET 0) AND (c)",
            id="whether there is one",
        ),
        pytest.param("a IS NULL AND b IS NOT NULL", "a IS NULL AND b IS NOT NULL", id="NULL"),
        pytest.param(
            "FROM a x LEFT JOIN b y ON y.i = x.i JOIN c z ON z.i = ? LEFT JOIN d w ON w.i = z.i WHERE x.i = ?",
            "FROM a x LEFT JOIN b y ON y.i = x.i CROSS JOIN LATERAL (SELECT * FROM c z WHERE z.i = %s OFFSET 0) z "
            "LEFT JOIN d w ON w.i = z.i WHERE x.i = %s",
            id="a join, but no outer one",
        ),
    ],
)
def test_a_statement_in_the_words_of_postgresql(sql: str, told: str) -> None:
    assert wording.for_postgres(sql) == told
