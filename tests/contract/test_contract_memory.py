"""The app in memory, in several manners."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from twoway.sdk import Connector, Consistency, Instant, Raw, RawValues, ReceiptShape
from twoway.testing.clock import VirtualClock
from twoway.testing.contract import Bench, ConnectorContract, Setup, Trouble
from twoway.testing.memory import Manner, MemoryApp, MemoryConnector

NAMES = ("email", "name", "note", "phone")


class MemoryBench(Bench):
    """An app in memory; `connect` makes its connector."""

    collection: ClassVar[str] = "records"
    merges: ClassVar[bool] = True
    troubles: ClassVar[frozenset[Trouble]] = frozenset()
    setups: ClassVar[frozenset[Setup]] = frozenset({Setup.RIGHT})

    def __init__(self, manner: Manner, connect: type[MemoryConnector] = MemoryConnector) -> None:
        self.clock = VirtualClock()
        self.app = MemoryApp("memory", NAMES, self.clock, manner)
        late = itertools.cycle((manner.lag, manner.lag // 2, 0))
        self.app.lateness = lambda: next(late)
        self.connect = connect

    def open(self, setup: Setup = Setup.RIGHT, *, times: bool = False) -> Connector:
        del setup, times
        return self.connect(self.app)

    def now(self) -> Instant:
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def sample(self, number: int) -> dict[str, Raw]:
        return {"email": f"person{number}@mail.test", "name": f"Person {number}"}

    def create(self, values: RawValues) -> str:
        return self.app.human_create(**values)

    def update(self, id: str, values: RawValues) -> None:
        self.app.human_update(id, **values)

    def delete(self, id: str) -> None:
        self.app.human_delete(id)

    def merge(self, loser: str, survivor: str) -> None:
        self.app.human_merge(loser, survivor)

    def live(self) -> set[str]:
        return set(self.app.live())

    def stored(self, id: str) -> Mapping[str, Any]:
        return self.app.records[id].values

    def missing_id(self) -> str:
        return "memory-999999"


def _shortened(name: str, value: Raw) -> Raw:
    return value[:20].strip() or None if isinstance(value, str) and name != "email" else value


MANNERS: Sequence[tuple[str, Manner]] = (
    ("plain", Manner(page=100)),
    ("coarse", Manner(page=7, resolution=1000, receipt=ReceiptShape.VERSION, feed_merges=False)),
    ("lagging", Manner(page=20, lag=30_000, find=Consistency.LAGGING, find_fields=frozenset({"email"}))),
    ("keyed", Manner(unique=frozenset({"email"}), marker=True, find_fields=frozenset({"email"}), field_times=True)),
    ("blind", Manner(feed=False, feed_deletions=False, conditional=False, receipt=ReceiptShape.NOTHING)),
    ("rewriting", Manner(stores=_shortened, find=Consistency.NONE)),
    ("rewriting unforeseen", Manner(stores=_shortened, declares_form=False, resolution=1, created_times=False)),
    ("alone", Manner(batch=1, page=3, feed_deletions=False, field_times=True)),
    ("by version", Manner(by_version=True, page=20, receipt=ReceiptShape.VERSION)),
    ("by version, on one page", Manner(by_version=True, page=1_000, resolution=1)),
    ("by version, lagging", Manner(by_version=True, page=20, lag=30_000, find=Consistency.NONE)),
    ("by version, blind", Manner(by_version=True, feed=False, feed_deletions=False, conditional=False)),
)


class TestMemory(ConnectorContract):
    @pytest.fixture(params=MANNERS, ids=lambda row: str(row[0]))
    def bench(self, request: pytest.FixtureRequest) -> Bench:
        return MemoryBench(request.param[1])
