"""One side's app, as the engine calls it: every remote call passes two named fault points and is counted."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from twoway.core.model import Absence, Fetched, Kind, Page, Presence, Raw, RawValues, Receipt, Record, Side, Write
from twoway.ports import Capabilities, Clock, Connector, FaultPoint
from twoway.sdk.errors import ConnectorError, TellUser

T = TypeVar("T")


class App:
    """A connector under its account's name. What the contract leaves to the caller is seen to here: sizes of batches,
    an answer for every id, a listing that must get on.

    `overrides` are the capabilities that a person knows better than the connector (`lag`, `request_lifetime`).
    With `read_only` no write ever leaves, whatever was planned.
    """

    def __init__(
        self,
        connector: Connector,
        account: str,
        side: Side,
        clock: Clock,
        fault: FaultPoint,
        overrides: Mapping[str, Any] | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self.account = account
        self.side = side
        self.calls = 0
        self._connector = connector
        self._clock = clock
        self._fault = fault
        self._overrides = dict(overrides or {})
        self._declared: Capabilities | None = None
        self._believed = connector.capabilities
        self.read_only = read_only

    @property
    def capabilities(self) -> Capabilities:
        declared = self._connector.capabilities
        if declared is not self._declared:
            # A connector may find out later what its app can do.
            self._declared = declared
            self._believed = replace(declared, **self._overrides) if self._overrides else declared
        return self._believed

    def normal(self, values: RawValues) -> RawValues:
        """The form in which the app is known to store these values."""
        return self._connector.normal(values)

    async def changes(self, cursor: str | None) -> Page:
        """The next page of the change feed."""
        page = await self._call("changes", lambda: self._connector.changes(cursor))
        if not page.last and page.cursor == cursor:
            raise self._stuck("change feed")
        return page

    async def snapshot(self, cursor: str | None) -> Page:
        """The next page of the complete listing."""
        page = await self._call("snapshot", lambda: self._connector.snapshot(cursor))
        if not page.last and (page.cursor is None or page.cursor == cursor):
            raise self._stuck("listing")
        return page

    async def fetch(self, ids: Iterable[str]) -> dict[str, Fetched]:
        """What each of these records is now; `unknown` where the app left one out of its answer.

        An app may answer with a record of another id: it has become that one, or was asked for by another of its names.
        """
        wanted = sorted(set(ids))
        found: dict[str, Fetched] = {}
        size = max(1, self.capabilities.fetch_batch)
        for start in range(0, len(wanted), size):
            batch = wanted[start : start + size]
            answer = await self._call("fetch", lambda batch=batch: self._connector.fetch(batch))  # type: ignore[misc]
            for record_id in batch:
                found[record_id] = _as_asked(record_id, answer.get(record_id))
        return found

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        """The ids of the records that hold these values."""
        return await self._call("find", lambda: self._connector.find(field, values))

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Carry out one batch."""
        if self.read_only:
            # No plan has such a write. An undo that was begun before has: it is over, and people are told so.
            why = "the account is `access: read`, and nothing is written to it. An undo that was to do so is over"
            return [Receipt.refused(why)] * len(writes)
        receipts = await self._call(f"apply:{writes[0].kind}", lambda: self._connector.apply(writes))
        if len(receipts) != len(writes):
            return [Receipt.unknown("the connector gave no receipt for each write")] * len(writes)
        return receipts

    def batch_size(self, kind: Kind) -> int:
        """How many writes of this kind go into one call."""
        return max(1, self.capabilities.write_batch.get(kind, 1))

    async def _call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        self._fault(f"before {self.account}.{name}")
        self.calls += 1
        try:
            answer = await call()
        except ConnectorError as error:
            error.account = self.account
            raise
        self._fault(f"after {self.account}.{name}")
        return answer

    def _stuck(self, what: str) -> TellUser:
        return TellUser(
            f"the {what} of {self.account} does not get on: a page that was not the last left the cursor where it was",
            remedy="This is a fault of the connector or of the app; nothing was concluded from it",
        )


def _as_asked(record_id: str, answer: Fetched | None) -> Fetched:
    if answer is None:
        return Absence(record_id, Presence.UNKNOWN)
    if answer.id == record_id:
        return answer
    if isinstance(answer, Record):
        return Absence(record_id, Presence.MERGED, answer.id)
    return replace(answer, id=record_id)
