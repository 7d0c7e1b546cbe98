"""The state's connection: what every database of it has in common.

The store is synchronous: a commit is a plain call, so that a simulation is deterministic and a crash can be placed
before and after each one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from twoway.ports import FaultPoint
from twoway.state.errors import StateError, StateNewer

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD: Final = "0001"
"""The revision that this code needs: the newest under `migrations/versions`."""


class Rows(Protocol):
    """What a statement gave: rows of as many columns as were asked for."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Database(ABC):
    """One connection. Errors of the database become `StateError`.

    Statements are written once, with `?` for each parameter, in words that SQLite has; `twoway.state.wording` tells
    them to PostgreSQL. `path` names the state to people: a file, or an address without its password. `fault` is called
    with `before commit:NAME` and `after commit:NAME` around each commit.
    """

    def __init__(self, path: str, fault: FaultPoint) -> None:
        self.path = path
        self._fault = fault

    @abstractmethod
    def run(self, sql: str, params: Sequence[Any] = ()) -> Rows:
        """Execute one statement; `params` by position."""

    @abstractmethod
    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute one statement for each row."""

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or `None`."""
        row = self.run(sql, params).fetchone()
        return None if row is None else row[0]

    @abstractmethod
    def transaction(self, name: str, *, durable: bool = False) -> AbstractContextManager[None]:
        """All or nothing, and nobody else writes to the state meanwhile. `name` is that of the two fault points around
        the commit.

        Every commit survives the death of the process. One that is `durable` survives a power cut, too, with all that
        were before it: it waits for the disk.
        """

    def answers(self) -> bool:
        """Whether the state can be read and written just now: what the watchdog is fed by."""
        try:
            with self.transaction("alive"):
                # A value that stays the same would not be written, and a full disk not be noticed.
                self.run(
                    "INSERT INTO meta (key, value) VALUES ('alive', '0') ON CONFLICT (key) "
                    "DO UPDATE SET value = CASE meta.value WHEN '0' THEN '1' ELSE '0' END"
                )
        except StateError:
            return False
        return True

    @abstractmethod
    def copy_to(self, path: Path) -> None:
        """A consistent copy of the whole state as a SQLite file, made while others read and write."""

    @abstractmethod
    def close(self) -> None:
        """Release the connection."""

    @abstractmethod
    def without(self, column: str) -> str:
        """The words for a JSON object of a column without some keys; they take one parameter, an object of just these
        keys. Gives `{}` or NULL for NULL."""

    @abstractmethod
    def unlisted(self, column: str) -> str:
        """The words for a column's `[version, [fields]]` without some fields; they take one parameter, a list of these.
        Gives NULL for NULL."""


def is_current(found: str | None, path: str) -> bool:
    """Whether a state of this revision needs no migration. Raises `StateNewer` where it is none that we know."""
    if found is not None and found > HEAD:
        raise StateNewer(
            f"the state {path} was written by a later version of twoway (its revision is {found}, "
            f"this version knows {HEAD})",
            "Install that version again, or put back the backup from before the upgrade",
        )
    return found == HEAD


def migrate(connection: "Connection") -> None:
    """Bring the schema up to date, within the caller's transaction."""
    # Alembic takes a second to import: only a start that has something to upgrade pays for it.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
