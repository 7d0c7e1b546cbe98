"""A state in PostgreSQL: its schema, its transactions, who may write to it, and what can be wrong with it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.servers.postgres_server import PostgresServer
from twoway.core.model import Side, Values
from twoway.state.database import HEAD
from twoway.state.errors import (
    LeaseLost,
    StateError,
    StateLocked,
    StateNewer,
    StateReadOnly,
    StateRefused,
    StateUnreachable,
)
from twoway.state.links import NewLink
from twoway.state.postgres import Postgres
from twoway.state.sqlite import SQLite
from twoway.state.store import Store
from twoway.state.tables import metadata


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """A new state."""
    return postgres.state()


@pytest.fixture
def database(url: str) -> Iterator[Postgres]:
    database = Postgres(url, busy_seconds=0.02)
    yield database
    database.close()


def asked(url: str, sql: str) -> list[tuple[object, ...]]:
    """What another connection gets to see."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(sql.encode())
        return found.fetchall() if found.description else []


# -- the schema


def test_nothing_is_left_for_a_migration_to_do(url: str) -> None:
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_texts_are_compared_byte_by_byte_and_numbers_have_64_bits(url: str) -> None:
    columns = "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
    assert set(asked(url, f"SELECT DISTINCT data_type, collation_name {columns}")) == {("text", "C"), ("bigint", None)}


_OPEN = "import sys; from twoway.state.store import Store; Store(sys.argv[1], 'uid').close()"


def test_processes_that_start_at_once_upgrade_once(postgres: PostgresServer) -> None:
    url = postgres.empty()
    command = [sys.executable, "-c", _OPEN, url]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(process.communicate()[1], process.returncode) for process in running] == [("", 0)] * 3
    assert asked(url, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert asked(url, "SELECT key, value FROM meta ORDER BY key") == [("rev", "0"), ("uid", "uid")]


def test_a_state_of_a_later_version_is_refused(url: str) -> None:
    asked(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StateNewer, match=r"written by a later version of twoway.*9999.*Install that version"):
        Postgres(url)


# -- transactions


def test_a_transaction_is_all_or_nothing_and_seen_when_it_is_over(url: str, database: Postgres) -> None:
    def fails() -> None:
        with database.transaction("fails"):
            database.run("INSERT INTO meta (key, value) VALUES ('a', '1')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with database.transaction("works"):
        database.run("INSERT INTO meta (key, value) VALUES ('b', '1')")
        assert asked(url, "SELECT key FROM meta WHERE key = 'b'") == []
    assert asked(url, "SELECT key FROM meta WHERE key IN ('a', 'b')") == [("b",)]


def test_the_process_may_die_on_either_side_of_a_commit(url: str) -> None:
    class Died(BaseException):
        pass

    def die(name: str) -> None:
        if name == at:
            raise Died

    at = ""
    store = Store(url, "uid", fault=die)
    for at, kept in (("before commit:x", False), ("after commit:x", True)):
        with pytest.raises(Died), store.commit("x"):
            store.db.run("INSERT INTO meta (key, value) VALUES (?, '')", (at,))
        assert asked(url, f"SELECT count(*) FROM meta WHERE key = '{at}'") == [(int(kept),)]
    store.close()


def test_a_durable_commit_waits_for_the_disk_and_the_next_one_does_not(database: Postgres) -> None:
    with database.transaction("sent", durable=True):
        assert database.one("SELECT current_setting('synchronous_commit')") == "on"
    with database.transaction("decide"):
        assert database.one("SELECT current_setting('synchronous_commit')") == "off"


def test_what_was_given_up_after_an_error_is_not_taken_for_committed(database: Postgres) -> None:
    def passes_over() -> None:
        with database.transaction("x"):
            database.run("INSERT INTO meta (key, value) VALUES ('a', '')")
            with pytest.raises(psycopg.errors.DivisionByZero):
                database.run("SELECT 1 / 0")

    with pytest.raises(StateError, match="was given up after an error"):
        passes_over()
    assert database.one("SELECT count(*) FROM meta WHERE key = 'a'") == 0
    assert database.answers()


def test_a_transaction_within_another_is_refused(database: Postgres) -> None:
    with database.transaction("x"):
        with pytest.raises(RuntimeError, match="within a transaction"), database.transaction("y"):
            pytest.fail("the transaction must not begin")
        database.run("INSERT INTO meta (key, value) VALUES ('a', '')")
    assert database.one("SELECT count(*) FROM meta WHERE key = 'a'") == 1


def test_a_single_write_waits_for_a_transaction_and_reading_does_not(url: str, database: Postgres) -> None:
    store = Store(url, "uid")
    with store.commit("x"):
        with pytest.raises(StateLocked, match=r"locked by another process.*pg_stat_activity"):
            database.run("INSERT INTO meta (key, value) VALUES ('a', '')")
        with pytest.raises(StateLocked):
            database.many("DELETE FROM meta WHERE key = ?", [("uid",)])
        assert not database.answers()
        assert database.one("SELECT value FROM meta WHERE key = 'uid'") == "uid"
    assert database.answers()
    store.close()


def test_whoever_has_lost_the_lease_writes_nothing(url: str) -> None:
    first, second = Store(url, "uid"), Store(url, "uid")
    pair = first.pairs.ensure("a-b").id
    lease = first.pairs.take(pair, "first", 1)
    later = second.pairs.take(pair, "second", 2)
    with pytest.raises(LeaseLost), first.commit("late", lease, 3):
        pytest.fail("the transaction must not begin")
    with second.commit("on", later, 4):
        second.pairs.set_status(pair, second.pairs.all()[0].status, "worked on")
    assert later.token > lease.token
    assert asked(url, "SELECT heartbeat, owner FROM lease") == [(4, "second")]
    first.close()
    second.close()


_WORK = """
import sys
from twoway.state.errors import LeaseLost
from twoway.state.store import Store

store, name, done = Store(sys.argv[1], "uid"), sys.argv[2], 0
pair = store.pairs.ensure("a-b").id
print("ready", flush=True)
sys.stdin.readline()
while done < int(sys.argv[3]):
    lease = store.pairs.take(pair, name, 1)
    try:
        for _ in range(3):
            with store.commit("work", lease, 1):
                number = 1 + store.db.one("SELECT count(*) FROM account")
                store.pairs.pause_account(f"{number:06}", str(lease.token), 1)
            done += 1
    except LeaseLost:
        pass
print(done)
"""


def test_processes_that_contend_for_a_lease_write_one_after_the_other(url: str) -> None:
    """Each reads how many rows there are and adds the next: none is written twice, and none with an older token."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _WORK, url, name, "150"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [int(process.communicate()[0]) for process in running]
    rows = asked(url, "SELECT name, reason FROM account ORDER BY name")
    assert [name for name, _ in rows] == [f"{number:06}" for number in range(1, sum(told) + 1)]
    tokens = [int(str(token)) for _, token in rows]
    assert tokens == sorted(tokens)


_DIE = """
import sys
from twoway.state.store import Store

store = Store(sys.argv[1], "uid")
with store.commit("before"):
    store.pairs.ensure("before")
with store.commit("in the middle"):
    store.pairs.ensure("in the middle")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_process_that_is_killed_in_mid_transaction_leaves_nothing_of_it(url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _DIE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = Store(url, "uid")
    with store.commit("the lock is free"):
        store.pairs.ensure("after")
    assert [row.name for row in store.pairs.all()] == ["after", "before"]
    store.close()


# -- what can be wrong


def test_a_lost_connection_is_told_and_opened_anew(url: str) -> None:
    store = Store(url, "uid")

    def lose() -> None:
        asked(
            url,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'twoway' "
            "AND datname = current_database()",
        )

    def in_the_middle() -> None:
        with store.commit("x"):
            store.pairs.ensure("in the middle")
            lose()
            store.pairs.ensure("after it was lost")

    with pytest.raises(StateUnreachable, match=r"does not answer.*nothing was lost"):
        in_the_middle()
    assert store.pairs.all() == []
    lose()
    assert store.db.answers()
    lose()
    store.pairs.ensure("a-b")
    lose()
    assert [row.name for row in store.pairs.all()] == ["a-b"]
    store.close()


@pytest.mark.parametrize(
    ("database", "user", "password", "kind", "told"),
    [
        pytest.param("migrated", "guest", "wr0ng", StateRefused, "does not accept this login.*PGPASSFILE", id="wrong"),
        pytest.param("migrated", "guest", "", StateRefused, "does not accept this login.*PGPASSWORD", id="none"),
        pytest.param("migrated", "nobody", "", StateRefused, "does not accept this login", id="no such user"),
        pytest.param("missing", "guest", "s3cret", StateRefused, "there is no database.*createdb", id="no database"),
        pytest.param("bare", "guest", "s3cret", StateReadOnly, "may not write.*OWNER TO", id="no right to make tables"),
        pytest.param("still", "guest", "s3cret", StateReadOnly, "cannot be written.*primary", id="read-only"),
    ],
)
def test_a_login_that_does_not_do_is_told_without_its_password(
    postgres: PostgresServer, database: str, user: str, password: str, kind: type[StateError], told: str
) -> None:
    _guest(postgres)
    with pytest.raises(kind, match=told) as raised:
        Store(postgres.url(database, user, password), "uid")
    assert f"{user}@" in str(raised.value)
    assert not password or password not in str(raised.value)


def _guest(server: PostgresServer) -> None:
    """A user with a password, a database in which they may not make a table, and one in which nobody may write."""
    rules = server.folder / "pg_hba.conf"
    if rules.read_text().startswith("local all guest"):
        return
    rules.write_text(f"local all guest scram-sha-256\n{rules.read_text()}")
    server.run("CREATE ROLE guest LOGIN PASSWORD 's3cret'")
    server.run("CREATE DATABASE bare")
    server.run("CREATE DATABASE still OWNER guest")
    server.run("ALTER DATABASE still SET default_transaction_read_only = on")
    # The server reads its rules again when it comes to it; a busy one has been seen to let a first request pass.
    until = time.monotonic() + 30
    while True:
        server.run("SELECT pg_reload_conf()")
        try:
            psycopg.connect(server.url("migrated", "guest", "an0ther")).close()
        except psycopg.OperationalError:
            return
        assert time.monotonic() < until


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("postgresql://me:s3cret@/db?host=/nowhere", StateUnreachable, id="no server"),
        pytest.param("postgresql://me:s3cret@/db?hots=here", StateRefused, id="a misspelt parameter"),
        pytest.param("postgresql://me:s3cret%@host/db", StateRefused, id="a lone %"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_without_its_password(url: str, kind: type[StateError]) -> None:
    with pytest.raises(kind) as raised:
        Store(url, "uid")
    assert "s3cret" not in str(raised.value)


# -- the copy


def test_a_copy_is_a_private_file_with_every_row(url: str, tmp_path: Path) -> None:
    store = Store(url, "uid")
    pair = store.pairs.ensure("a-b").id
    value: Values = {"name": 'Ä"\\n\u0000', "size": -(2**63)}
    bases: dict[Side, Values] = {Side.LEFT: value, Side.RIGHT: {}}
    store.links.add(pair, NewLink({Side.LEFT: "l", Side.RIGHT: "r"}, bases, *[dict.fromkeys(Side)] * 3), 7)
    store.links.set_keys(pair, Side.LEFT, [("l", (-(2**63), 2**63 - 1))])
    store.pairs.begin_cycle(pair, "snapshot", 7)
    store.db.copy_to(tmp_path / "copy.db")
    copy = SQLite(tmp_path / "copy.db")
    for table in metadata.sorted_tables:
        names = ", ".join(column.name for column in table.columns)
        rows = {tuple(row) for row in store.db.run(f"SELECT {names} FROM {table.name}")}
        assert {tuple(row) for row in copy.run(f"SELECT {names} FROM {table.name}")} == rows, table.name
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    copy.close()
    assert Store(tmp_path / "copy.db", "another").uid == "uid"
    assert store.db.answers()
    store.close()
