"""One connection to the state, its transactions, and its upgrade at start.

The store is synchronous: a commit is a plain call, so that a simulation is deterministic and a crash can be placed
before and after each one.
"""

import fcntl
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twoway.ports import FaultPoint, no_fault
from twoway.state.errors import StateError, StateNewer, StateReadOnly, explain

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD: Final = "0001"
"""The revision that this code needs: the newest under `migrations/versions`."""

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA temp_store = MEMORY",
)


class Database:
    """The state's connection. `path` is a file, or `:memory:`. Errors of the file become `StateError`.

    `fault` is called with `before commit:NAME` and `after commit:NAME` around each commit.
    """

    def __init__(self, path: str | Path, *, fault: FaultPoint = no_fault, busy_seconds: float = 15.0) -> None:
        self.path = str(path)
        self._fault = fault
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

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or `None`."""
        row = self.run(sql, params).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def transaction(self, name: str, *, durable: bool = False) -> Iterator[None]:
        """All or nothing. `name` is that of the two fault points around the commit.

        Every commit survives the death of the process. One that is `durable` survives a power cut, too, with all that
        were before it: it waits for the disk.
        """
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

    def answers(self) -> bool:
        """Whether the state can be read and written just now: what the watchdog is fed by."""
        try:
            with self.transaction("alive"):
                # A value that stays the same would not be written, and a full disk not be noticed.
                self.run(
                    "INSERT INTO meta (key, value) VALUES ('alive', '0') ON CONFLICT (key) "
                    "DO UPDATE SET value = CASE value WHEN '0' THEN '1' ELSE '0' END"
                )
        except StateError:
            return False
        return True

    def copy_to(self, path: Path) -> None:
        """A consistent copy of the whole state, made while others read and write."""
        _create_private(path)
        target = Database(path)
        try:
            self._connection.backup(target._connection)
        finally:
            target.close()

    def close(self) -> None:
        """Release the file."""
        if hasattr(self, "_connection"):
            self._connection.close()

    def _explained(self, error: BaseException) -> StateError | BaseException:
        if isinstance(error, PermissionError | FileNotFoundError):
            return StateReadOnly(
                f"the state file {self.path} could not be created",
                "Check that its folder exists and that this user may write there",
            )
        return explain(error, self.path) or error

    def _upgrade(self) -> None:
        found = self._revision()
        if found == HEAD:
            return
        with _only_one(Path(f"{self.path}.upgrade")):
            found = self._revision()
            if found == HEAD:
                return
            if found is not None and found > HEAD:
                raise StateNewer(
                    f"the state file {self.path} was written by a later version of twoway (its revision is {found}, "
                    f"this version knows {HEAD})",
                    "Install that version again, or put back the backup from before the upgrade",
                )
            self._migrate()

    def _revision(self) -> str | None:
        tables = self.one("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'")
        return self.one("SELECT version_num FROM alembic_version") if tables else None

    def _migrate(self) -> None:
        # Alembic takes a second to import: only a start that has something to upgrade pays for it.
        from alembic import command  # noqa: PLC0415 - see above
        from alembic.config import Config  # noqa: PLC0415 - see above

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with _in_alchemy(self._connection) as connection:
            config.attributes["connection"] = connection
            # Begun by hand, like every transaction here: killed at any statement, the upgrade has not begun at all.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                command.upgrade(config, "head")
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
