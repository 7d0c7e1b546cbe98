"""The store: every table of the state behind one object, and the transactions in which they are written together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twoway.core.model import Instant
from twoway.ports import FaultPoint, no_fault
from twoway.state.attention import Attention
from twoway.state.database import Database
from twoway.state.links import Links
from twoway.state.observations import Observations
from twoway.state.operations import Operations
from twoway.state.pairs import Lease, Pairs


class Store:
    """The state of all pairs.

    `uid` is random and made once by the caller for a new state: together with an operation's number it makes the
    marker by which a create can be found again, also where two installations write into one app.
    """

    def __init__(self, path: str | Path, uid: str, *, fault: FaultPoint = no_fault) -> None:
        self.db = Database(path, fault=fault)
        self.pairs = Pairs(self.db)
        self.links = Links(self.db)
        self.observations = Observations(self.db)
        self.operations = Operations(self.db)
        self.attention = Attention(self.db)
        if self.db.one("SELECT count(*) FROM meta WHERE key IN ('uid', 'rev')") < 2:
            with self.db.transaction("new state"):
                self.db.many("INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)", [("uid", uid), ("rev", "0")])
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
