"""The store: every table of the state behind one object, and the transactions in which they are written together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twoway.core.model import Instant
from twoway.ports import FaultPoint, no_fault
from twoway.state.attention import Attention
from twoway.state.database import Database
from twoway.state.errors import StateRefused
from twoway.state.links import Links
from twoway.state.observations import Observations
from twoway.state.operations import Operations
from twoway.state.pairs import Lease, Pairs
from twoway.state.sqlite import SQLite


class Store:
    """The state of all pairs. `path` is a file, `:memory:`, or the URL of a PostgreSQL database.

    `uid` is random and made once by the caller for a new state: together with an operation's number it makes the
    marker by which a create can be found again, also where two installations write into one app.
    """

    def __init__(self, path: str | Path, uid: str, *, fault: FaultPoint = no_fault) -> None:
        self.db = _opened(path, fault)
        self.pairs = Pairs(self.db)
        self.links = Links(self.db)
        self.observations = Observations(self.db)
        self.operations = Operations(self.db)
        self.attention = Attention(self.db)
        if self.db.one("SELECT count(*) FROM meta WHERE key IN ('uid', 'rev')") < 2:
            with self.db.transaction("new state"):
                self.db.many(
                    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
                    [("uid", uid), ("rev", "0")],
                )
        self.uid: str = self.db.one("SELECT value FROM meta WHERE key = 'uid'")

    @contextmanager
    def commit(
        self, name: str, lease: Lease | None = None, now: Instant = 0, *, durable: bool = False
    ) -> Iterator[None]:
        """One transaction. With a lease it begins by making sure that it is still ours, and says that we live."""
        with self.db.transaction(name, durable=durable):
            if lease is not None:
                self.pairs.beat(lease, now)
            yield

    def marker(self, operation: int) -> str:
        """What is sent along with a create, to find it again by."""
        return f"tw-{self.uid}-{operation}"

    def close(self) -> None:
        """Release the file."""
        self.db.close()


def _opened(path: str | Path, fault: FaultPoint) -> Database:
    if not str(path).startswith(("postgresql://", "postgres://")):
        return SQLite(path, fault=fault)
    try:
        from twoway.state.postgres import Postgres  # noqa: PLC0415 - an extra, which a state in a file does without
    except ImportError as error:
        raise StateRefused(
            "a state in PostgreSQL needs psycopg, which is not installed", "Install it: pip install 'twoway[postgres]'"
        ) from error
    return Postgres(str(path), fault=fault)
