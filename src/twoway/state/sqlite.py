"""The state in a SQLite file: one connection, its transactions, and its upgrade at start."""

import fcntl
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twoway.ports import FaultPoint, no_fault
from twoway.state.database import HEAD, Database, is_current, migrate
from twoway.state.errors import StateError, StateReadOnly, explain

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -12288",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA temp_store = MEMORY",
)


class SQLite(Database):
    """The state's connection to a file, or to `:memory:`."""

    def __init__(self, path: str | Path, *, fault: FaultPoint = no_fault, busy_seconds: float = 15.0) -> None:
        super().__init__(str(path), fault)
        fresh = self.path != ":memory:" and not Path(self.path).exists()
        try:
            if fresh:
                _create_private(Path(self.path))
            self._connection = sqlite3.connect(
                self.path,
                timeout=busy_seconds,
                # Transactions are begun by hand, so that every one of them is IMMEDIATE: it never waits at its end.
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
            if self.path == ":memory:":
                self._connection.deserialize(_empty())
            for pragma in _PRAGMAS:
                self._connection.execute(pragma)
            self._upgrade()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise self._explained(error) from error
        except StateError:
            self.close()
            raise

    def run(self, sql: str, params: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute one statement; `params` by position."""
        try:
            return self._connection.execute(sql, params)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute one statement for each row."""
        if not rows:
            return
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    @contextmanager
    def transaction(self, name: str, *, durable: bool = False) -> Iterator[None]:
        """All or nothing: see `Database.transaction`."""
        if durable:
            self.run("PRAGMA synchronous = FULL")
        try:
            with self._transaction(name):
                yield
        finally:
            if durable:
                self.run("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _transaction(self, name: str) -> Iterator[None]:
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self._fault(f"before commit:{name}")
            self.run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._fault(f"after commit:{name}")

    def copy_to(self, path: Path) -> None:
        """A consistent copy of the whole state as a file, made while others read and write."""
        _create_private(path)
        target = SQLite(path)
        try:
            self._connection.backup(target._connection)
        finally:
            target.close()

    def close(self) -> None:
        """Release the file."""
        if hasattr(self, "_connection"):
            self._connection.close()

    def without(self, column: str) -> str:
        """See `Database.without`: a patch (RFC 7396); what is null in the object itself stays there."""
        return f"json_patch({column}, ?)"

    def unlisted(self, column: str) -> str:
        """See `Database.unlisted`."""
        return (
            f"json_set({column}, '$[1]', json((SELECT json_group_array(f.value) "
            f"FROM json_each({column}, '$[1]') f WHERE f.value NOT IN (SELECT value FROM json_each(?)))))"
        )

    def _explained(self, error: BaseException) -> StateError | BaseException:
        if isinstance(error, PermissionError | FileNotFoundError):
            return StateReadOnly(
                f"the state file {self.path} could not be created",
                "Check that its folder exists and that this user may write there",
            )
        return explain(error, self.path) or error

    def _upgrade(self) -> None:
        if is_current(self._revision(), self.path):
            return
        with _only_one(Path(f"{self.path}.upgrade")):
            if not is_current(self._revision(), self.path):
                self._migrate()

    def _revision(self) -> str | None:
        tables = self.one("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'")
        return self.one("SELECT version_num FROM alembic_version") if tables else None

    def _migrate(self) -> None:
        with _in_alchemy(self._connection) as connection:
            # Begun by hand, like every transaction here: killed at any statement, the upgrade has not begun at all.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                migrate(connection)
                self._connection.commit()
            finally:
                self._connection.rollback()


@contextmanager
def _in_alchemy(connection: sqlite3.Connection) -> Iterator["Connection"]:
    """The same connection, as those want it who know the tables by SQLAlchemy's words: the migrations."""
    # The tables' own words are needed by nobody else, and take a while to import.
    from sqlalchemy import create_engine  # noqa: PLC0415 - see above
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415 - see above

    with create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool).connect() as wrapped:
        yield wrapped


@cache
def _empty() -> bytes:
    """The same schema without its migrations, for a state that lives in memory: built once, then copied."""
    from twoway.state.tables import metadata  # noqa: PLC0415 - imports SQLAlchemy, which a file does without

    connection = sqlite3.connect(":memory:", isolation_level=None)
    with _in_alchemy(connection) as wrapped:
        metadata.create_all(wrapped)
    connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD,))
    try:
        return connection.serialize()
    finally:
        connection.close()


def _create_private(path: Path) -> None:
    """Make the file before SQLite does, so that it is never readable by others."""
    path.touch(mode=0o600, exist_ok=True)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Two processes that start at once must not both upgrade."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    path.unlink(missing_ok=True)
