"""The schema that the migrations build is the schema that the code was written for."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import twoway.state
from twoway.state.database import HEAD
from twoway.state.sqlite import SQLite
from twoway.state.tables import metadata


def _schema(connection: sqlite3.Connection) -> dict[str, str]:
    """Name → normalised SQL of every table and index, without Alembic's own; the order of a table's parts is free."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: _normal(sql) for name, sql in rows if not name.startswith(("alembic", "sqlite"))}


def _normal(sql: str) -> str:
    text = re.sub(r"\s+", " ", sql.replace('"', "")).strip()
    head, _, body = text.partition("(")
    parts = sorted(part.strip() for part in re.split(r",(?![^(]*\))", body.rpartition(")")[0]))
    return f"{head}({', '.join(parts)}){text.rpartition(')')[2]}"


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    SQLite(path).close()
    return path


def test_the_migrations_build_what_the_tables_say(migrated: Path) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        wanted = _schema(driver)
    engine.dispose()
    found = sqlite3.connect(migrated)
    assert _schema(found) == wanted
    found.close()


def test_nothing_is_left_for_a_migration_to_do(migrated: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


@pytest.mark.parametrize("table", ["observation", "match_key", "mark"])
def test_the_tables_that_are_read_by_key_are_stored_by_it(migrated: Path, table: str) -> None:
    connection = sqlite3.connect(migrated)
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        connection.execute(f"SELECT rowid FROM {table}")
    connection.close()


@pytest.mark.parametrize(
    ("index", "holds"),
    [("operation_live", "closed_at IS NULL"), ("operation_link", "closed_at IS NULL AND link IS NOT NULL")],
)
def test_the_indexes_of_what_is_in_flight_hold_nothing_else(migrated: Path, index: str, holds: str) -> None:
    connection = sqlite3.connect(migrated)
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (index,)).fetchone()
    connection.close()
    assert sql.endswith(f"WHERE {holds}")


def test_the_code_needs_the_newest_revision() -> None:
    scripts = ScriptDirectory(str(Path(twoway.state.__file__).parent / "migrations"))
    assert scripts.get_current_head() == HEAD


_OPEN = "import sys; from twoway.state.store import Store; Store(sys.argv[1], 'uid').close()"


def test_two_processes_that_start_at_once_upgrade_once(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    command = [sys.executable, "-c", _OPEN, str(path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ended = [(process.communicate()[1], process.returncode) for process in running]
    assert ended == [("", 0)] * 3
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    connection.close()
