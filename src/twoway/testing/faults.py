"""What goes wrong between twoway and an app.

Requests and answers are lost, late, doubled or refused; listings lie; another process takes the pair over.

Faults are numbered as they strike: one of a scenario's `without` is left out.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from twoway.core.model import Fetched, Instant, Kind, Outcome, Page, Raw, Receipt, Write
from twoway.sdk.errors import AccountRefused, ConnectorError, QuotaSpent, SnapshotNeeded, TryLater
from twoway.testing.memory import MemoryApp, MemoryConnector
from twoway.testing.scenarios import History

_OUTAGES: Sequence[tuple[str, int, Callable[[], ConnectorError]]] = (
    ("TryLater", 30, lambda: TryLater("out of reach")),
    ("QuotaSpent", 120, lambda: QuotaSpent("the daily budget is used up", after=120)),
    ("AccountRefused", 45, lambda: AccountRefused("the login was refused")),
)
"""What an app says that cannot be reached, and for how many seconds."""


class Weather(Protocol):
    """What a connector needs of the history that it plays in."""

    found: History
    quiet: bool

    def strikes(self, what: str, share: float) -> bool:
        """Whether this fault happens now."""

    def number(self, below: int) -> int:
        """A number from zero."""

    def now(self) -> Instant: ...

    def say(self, what: str) -> None: ...

    def later(self, connector: MemoryConnector, write: Write, until: Instant) -> None:
        """This write lands by then."""

    def leaves(self, connector: MemoryConnector, writes: Sequence[Write]) -> None:
        """These are on their way."""

    async def takes_over(self) -> None:
        """Another process believes that this one is dead, and works on the pair."""


class Unreliable(MemoryConnector):
    """A connector between which and its app all of this happens."""

    def __init__(self, app: MemoryApp, weather: Weather) -> None:
        super().__init__(app)
        self._weather = weather
        self._down: tuple[Instant, ConnectorError] | None = None

    async def changes(self, cursor: str | None) -> Page:
        await self._travel()
        if cursor is not None and self._weather.strikes("EXPIRED cursor", 0.03):
            raise SnapshotNeeded("the cursor has expired")
        return await super().changes(cursor)

    async def snapshot(self, cursor: str | None) -> Page:
        await self._travel()
        page = await super().snapshot(cursor)
        short = False
        if cursor is None and self._weather.strikes("EMPTY listing", 0.03):
            short, page = True, page._replace(records=(), versions=(), cursor=None, last=True)
        elif self._weather.strikes("SHORT listing", 0.05):
            short, half = True, (len(page.records) + len(page.versions)) // 2
            page = page._replace(records=page.records[:half], versions=page.versions[:half], cursor=None, last=True)
        if page.last and (short or self.app.manner.drifts):
            # Whatever this listing did not show, it may have kept back.
            self._weather.found.hidden.setdefault(self.app.name, set()).update(self.app.records)
        return page

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        await self._travel("fetch")
        self._weather.found.read.update(dict.fromkeys(ids, len(self.app.log)))
        return await super().fetch(ids)

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        await self._travel("find")
        return await super().find(field, values)

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        weather = self._weather
        weather.leaves(self, writes)
        left = weather.now()
        await self._travel("apply")
        if weather.now() - left > self.app.manner.request_lifetime:
            # Another process worked on the pair meanwhile; a request that is this old is dropped on its way.
            raise TryLater("no answer", sent=True)
        if weather.strikes("LOST on the way", 0.05):
            raise TryLater("no answer", sent=True)
        if weather.strikes("LOST, to land late", 0.05):
            for write in writes:
                weather.later(self, write, left + self.app.manner.request_lifetime)
            return [Receipt.unknown("no answer")] * len(writes)
        receipts = [self._one(write) for write in writes]
        weather.say("answers " + ", ".join(receipt.outcome for receipt in receipts))
        if weather.strikes("LOST answer", 0.06):
            if weather.number(2):
                raise TryLater("no answer", sent=True)
            return [Receipt.unknown("no answer")] * len(writes)
        if len(writes) > 1 and weather.strikes("LOST half of the answer", 0.1):
            half = weather.number(len(writes))
            return receipts[:half] + [Receipt.unknown("no answer")] * (len(writes) - half)
        return receipts

    def _one(self, write: Write) -> Receipt:
        if self._weather.strikes("REFUSED one for now", 0.03):
            return Receipt.later("busy")
        receipt = self.write(write)
        # Something on the way sends it twice, and gives the second answer. Only an app that knows its own keys can
        # be sent a create twice without a second record.
        twice = write.kind is not Kind.CREATE or self.app.manner.unique
        if twice and receipt.outcome is Outcome.DONE and self._weather.strikes("SENT twice", 0.03):
            return self.write(write)
        return receipt

    async def _travel(self, what: str = "listing") -> None:
        """Let the other side's work go on meanwhile; an app that is out of reach says so."""
        weather = self._weather
        weather.found.tally[what] += 1
        if not weather.quiet:
            for _ in range(weather.number(3)):
                await asyncio.sleep(0)
        if weather.strikes("ANOTHER PROCESS", 0.012):
            await weather.takes_over()
        if self._down is not None:
            until, error = self._down
            if weather.now() < until and not weather.quiet:
                raise error
            self._down = None
        if weather.strikes(f"BUSY {self.app.name}", 0.02):
            raise TryLater("too many requests", after=10)
        for name, seconds, outage in _OUTAGES:
            if weather.strikes(f"{name} in {self.app.name} for {seconds} s", 0.006):
                self._down = (weather.now() + seconds * 1000, outage())
                raise self._down[1]
