"""The state in a PostgreSQL database, where several machines share the work.

What holds of a state in a file holds here as well, and for the same reasons:

- One transaction at a time writes to the state: each begins by taking an advisory lock, and only then does its first
  statement look at anything. So it is under READ COMMITTED, whose statements each see what was committed before them:
  under REPEATABLE READ the snapshot would be older than the lock. A single write outside a transaction is one itself.
- A commit that need not be durable does not wait for the disk (`synchronous_commit`), and one that is has all before
  it written, too: there is one log.
- Rows are found through indexes, also in a table that was empty a minute ago: the server is told to look again when
  what was written has doubled. A plan that it made for an empty table would take any index for as good as any other.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from twoway.ports import FaultPoint, no_fault
from twoway.state.database import Database, Rows, is_current, migrate
from twoway.state.errors import StateError, StateRefused, StateUnreachable, explain_server
from twoway.state.sqlite import SQLite
from twoway.state.wording import for_postgres

_Given = TypeVar("_Given")
_LOCK: Final = "SELECT pg_advisory_xact_lock(1953984377, hashtext(current_schema()))"
"""The number is `twoy` in ASCII: it tells this lock from those of others in the same database."""
_BEGIN: Final = f"BEGIN; {_LOCK}"
_BEGIN_DURABLE: Final = f"BEGIN; SET LOCAL synchronous_commit = on; {_LOCK}"
_SESSION: Final = (
    "SET default_transaction_isolation = 'read committed'; SET synchronous_commit = off; SET jit = off; "
    # One plan for a statement: tables in the order in which they are written, row by row through an index. It is what
    # SQLite does with the same words.
    "SET plan_cache_mode = force_generic_plan; SET join_collapse_limit = 1; SET enable_seqscan = off; "
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; "
    # A process that was stopped in the middle of a transaction must not hold up the others for ever.
    "SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = "
)
_ANALYZED: Final = ("link", "mark", "match_key", "observation", "operation", "parked")
_FEW: Final = 500
"""Rows for which any plan will do."""
_WINDOW: Final = 5_000
"""Rows that are in memory at one time while the state is copied."""


class Postgres(Database):
    """The connection to the state of a database and its schema, named by a URL of libpq's.

    The password comes from the URL, or from where libpq looks for it (`PGPASSWORD`, `PGPASSFILE`, `~/.pgpass`). A
    connection that was lost is opened anew for the next transaction.
    """

    def __init__(self, url: str, *, fault: FaultPoint = no_fault, busy_seconds: float = 15.0) -> None:
        super().__init__(_shown(url), fault)
        self._url = url
        self._busy = f"'{round(busy_seconds * 1000) or 1}ms'"
        self._within = False
        self._written, self._planned_for = 0, _FEW
        self._connection = self._connect()
        try:
            self._upgrade()
        except BaseException:
            self.close()
            raise

    def run(self, sql: str, params: Sequence[Any] = ()) -> Rows:
        """Execute one statement; `params` by position."""
        if self._within:
            return self._execute(for_postgres(sql), params)
        if sql.startswith("SELECT"):
            return self._afresh(lambda: self._execute(for_postgres(sql), params))
        with self._transaction():
            return self._execute(for_postgres(sql), params)

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute one statement for each row."""
        if not rows:
            return
        if not self._within:
            with self._transaction():
                self._execute_many(for_postgres(sql), rows)
        else:
            self._execute_many(for_postgres(sql), rows)

    @contextmanager
    def transaction(self, name: str, *, durable: bool = False) -> Iterator[None]:
        """All or nothing: see `Database.transaction`."""
        with self._transaction(durable=durable):
            yield
            self._fault(f"before commit:{name}")
        self._fault(f"after commit:{name}")

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[None]:
        if self._within:
            # To the server a second BEGIN would be a mere warning, and the first COMMIT the end of both.
            raise RuntimeError("a transaction within a transaction")
        begin = _BEGIN_DURABLE if durable else _BEGIN
        try:
            self._afresh(lambda: self._execute(begin))
            self._within = True
            yield
            # After an error that somebody has passed over, COMMIT is no error but a ROLLBACK.
            if self._execute("COMMIT").statusmessage != "COMMIT":
                raise StateError(
                    f"a transaction in {self.path} was given up after an error in it", "Nothing was lost: try again"
                )
            if self._written > self._planned_for:
                self._plan_anew()
        finally:
            self._within = False
            self._roll_back()

    def _roll_back(self) -> None:
        """End what is left of a transaction, if the connection still stands; where it does not, the server does."""
        with suppress(psycopg.Error):
            if self._connection.info.transaction_status is not TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK", prepare=False)

    def _execute(self, sql: str, params: Sequence[Any] | None = None) -> psycopg.Cursor[tuple[Any, ...]]:
        try:
            # Without parameters there may be several statements, which cannot be prepared.
            return self._connection.execute(sql, params, prepare=None if params else False)
        except psycopg.Error as error:
            raise self._explained(error) from error

    def _execute_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(sql, rows)
        except psycopg.Error as error:
            raise self._explained(error) from error
        self._written += len(rows)

    def _plan_anew(self) -> None:
        """Let the server count what there is now: it drops the plans that it made for less."""
        self._planned_for = 2 * self._written
        # Of no consequence but for speed; another process may be at it.
        with suppress(psycopg.Error):
            self._connection.execute(f"ANALYZE {', '.join(_ANALYZED)}".encode(), prepare=False)

    def _afresh(self, first: Callable[[], _Given]) -> _Given:
        """Do what comes before anything was written; once more where it shows that the connection was lost."""
        if not self._is_lost():
            try:
                return first()
            except StateUnreachable:
                if not self._is_lost():
                    raise
        self._connection = self._connect()
        return first()

    def _is_lost(self) -> bool:
        return self._connection.closed

    def copy_to(self, path: Path) -> None:
        """A consistent copy of the whole state as a SQLite file, made while others read and write."""
        from twoway.state.tables import metadata  # noqa: PLC0415 - imports SQLAlchemy, which a cycle does without

        target = SQLite(path)
        try:
            self._afresh(lambda: self._execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            with target.transaction("copy"):
                for table in metadata.sorted_tables:
                    columns = [column.name for column in table.columns]
                    marks = ", ".join("?" for _ in columns)
                    names = ", ".join(columns)
                    with self._connection.cursor(name="twoway_copy") as rows:
                        rows.execute(f"SELECT {names} FROM {table.name}".encode())
                        while window := rows.fetchmany(_WINDOW):
                            target.many(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", window)
        except psycopg.Error as error:
            raise self._explained(error) from error
        finally:
            self._roll_back()
            target.close()

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()

    def without(self, column: str) -> str:
        """See `Database.without`. What stays is, letter for letter, what it was."""
        return _released(
            "(SELECT '{' || coalesce(string_agg(to_json(e.key)::text || ':' || e.value::text, ',' ORDER BY e.at), '') "
            f"|| '}}' FROM json_each({_guarded(column)}::json) WITH ORDINALITY e (key, value, at) "
            "WHERE e.key NOT IN (SELECT json_object_keys(?::json)))"
        )

    def unlisted(self, column: str) -> str:
        """See `Database.unlisted`."""
        pair = f"{_guarded(column)}::json"
        return _released(
            f"(CASE WHEN {column} IS NULL THEN NULL ELSE '[' || ({pair} -> 0)::text || ',[' || "
            "coalesce((SELECT string_agg(e.value::text, ',' ORDER BY e.at) "
            f"FROM json_array_elements({pair} -> 1) WITH ORDINALITY e (value, at) "
            "WHERE e.value #>> '{}' NOT IN (SELECT jsonb_array_elements_text(?::jsonb))), '') || ']]' END)"
        )

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        try:
            connection = psycopg.connect(
                self._url,
                autocommit=True,  # transactions are begun by hand, with their lock
                application_name="twoway",
                client_encoding="utf8",
                connect_timeout=10,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
            connection.prepared_max = 500
            try:
                connection.execute((_SESSION + self._busy).encode(), prepare=False)
            except BaseException:
                connection.close()
                raise
        except psycopg.Error as error:
            raise self._explained(error) from error
        return connection

    def _explained(self, error: psycopg.Error) -> Exception:
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return explain_server(error.sqlstate, str(error), self.path, lost=lost) or error

    def _upgrade(self) -> None:
        if is_current(self._revision(), self.path):
            return
        # The tables' own words are needed by nobody else, and take a while to import.
        from sqlalchemy import create_engine  # noqa: PLC0415 - see above
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - see above
        from sqlalchemy.pool import NullPool  # noqa: PLC0415 - see above

        def connect() -> psycopg.Connection[tuple[Any, ...]]:
            connection = self._connect()
            connection.autocommit = False
            return connection

        engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(_LOCK)
                # Others may have started at once, and been first.
                if not is_current(self._revision(), self.path):
                    migrate(connection)
        except DBAPIError as error:
            raise (self._explained(error.orig) if isinstance(error.orig, psycopg.Error) else error) from error

    def _revision(self) -> str | None:
        if self.one("SELECT to_regclass('alembic_version')") is None:
            return None
        revision: str | None = self.one("SELECT version_num FROM alembic_version")
        return revision


def _guarded(json: str) -> str:
    """JSON of ours without U+0000, which PostgreSQL decodes in no JSON, in a form that `_released` takes back.

    Both stand-ins are escapes that orjson never writes, as it escapes nothing but control characters. Once no backslash
    is one that stands for itself, nothing else can look like them.
    """
    return rf"replace(replace({json}, '\\', '\uE001'), '\u0000', '\uE002')"


def _released(json: str) -> str:
    return rf"replace(replace({json}, '\uE002', '\u0000'), '\uE001', '\\')"


def _shown(url: str) -> str:
    """The address without its password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        # What libpq says of it repeats it, password and all.
        raise StateRefused(
            "the state's address is none that PostgreSQL knows",
            "Write postgresql://USER@HOST:PORT/DATABASE, with %XX for what is not a letter or a digit",
        ) from None
    user, port = (f"{parts['user']}@" if "user" in parts else ""), (f":{parts['port']}" if "port" in parts else "")
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"
