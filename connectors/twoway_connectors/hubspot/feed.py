"""Listings: what changed, by search; everything, by the list endpoint.

Search is the only feed that HubSpot has by time, and its index is late. So a cycle begins `LAG` before the newest
change that was seen. Once that overlap was read again long enough after, so that nothing can still be missing from it,
the position is *settled*, and an idle cycle asks only for what is newer: one request, with an empty answer.

Within a cycle each page is keyed by the last one's newest time, never by an offset: records that change meanwhile move
to the end of the listing and would shift the others past us, and offsets end at 10,000. Where one instant fills a page
(an import), its records are read in the order of their ids.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from twoway.sdk import (
    Instant,
    Page,
    SnapshotNeeded,
    after_token,
    decode_cursor,
    encode_cursor,
    overlap_start,
    require_progress,
)
from twoway_connectors.hubspot.objects import MERGED
from twoway_connectors.hubspot.wire import SEARCH, SEARCH_ROOM, Wire, list_of, merged_ids

LAG = 300_000
"""Milliseconds by which the index may be late. HubSpot states no bound; mostly it is a matter of seconds. Others who
read by it lost records, and go back by minutes: five is the most that one of them found to be needed."""
SETTLED_AFTER = 2 * LAG
"""Milliseconds, by our clock, from the first sight of the newest change to a read that settles it.

A length of time, not an instant: our clock may be wrong by any amount. It must not leap forward meanwhile."""
PAGE = 200
LIST_PAGE = 100
LIST_PAGE_WITH_HISTORY = 50
_CHANGES, _SNAPSHOT, _VERSION = "hubspot.changes", "hubspot.snapshot", 1


@dataclass(frozen=True, slots=True)
class Position:
    """Where the feed stands. `high` is the newest change seen, `seen` our time at its first sight.

    In mid-cycle `key` is the instant to go on from, `tie` the id to go on from within it, where it fills pages of its
    own; `began` is our time and `start` the `high` at the beginning of the cycle.
    """

    high: Instant
    seen: Instant
    settled: bool = False
    key: Instant | None = None
    tie: int | None = None
    began: Instant = 0
    start: Instant = 0

    def begin(self, now: Instant) -> "Position":
        """The position of the cycle's first request."""
        key = self.high + 1 if self.settled else overlap_start(self.high, lag=LAG)
        return replace(self, key=key, began=now, start=self.high)

    def after(self, newest: Instant, full: bool, last_id: int, now: Instant) -> "Position":
        """The position after a page whose newest change is `newest`; at rest (no `key`) when it was the last."""
        high = max(self.high, newest)
        moved = replace(self, high=high, seen=now if high > self.high else self.seen)
        key = self.key or 0
        if self.tie is not None:
            return replace(moved, tie=last_id) if full else replace(moved, key=key + 1, tie=None)
        if full:
            return replace(moved, key=newest) if newest > key else replace(moved, tie=0)
        quiet = high == self.start and (self.settled or self.began >= self.seen + SETTLED_AFTER)
        return Position(high, moved.seen, settled=quiet)


class Feed:
    """The listings of one object type."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._asked = wire.properties()
        # More properties than a search can hold: it then names the records, which are fetched.
        self._named = len(orjson.dumps(self._asked)) > SEARCH_ROOM
        if self._named:
            self._asked = [wire.type.modified, MERGED]

    async def changes(self, cursor: str | None) -> Page:
        """One page of what changed; see `Connector.changes`."""
        if cursor is None:
            return Page(cursor=_encode(await self._now()), last=True)
        position = _decode(cursor)
        if position.key is None:
            position = position.begin(self._wire.clock.now())
        body = await self._search(*self._filters(position))
        results = list_of(body, "results", self._wire.account)
        newest = max(map(self._wire.modified, results), default=position.key or 0)
        last_id = max((int(each["id"]) for each in results), default=0)
        now = self._wire.clock.now()
        # An empty page tells nothing of a newer change.
        after = position.after(newest if results else position.high, len(results) >= PAGE, last_id, now)
        encoded = _encode(after)
        if after.key is not None:
            require_progress(_encode(position), encoded, where=f"{self._wire.account}: {self._wire.type.name}")
        return Page(
            records=[] if self._named else await self._wire.records(results),
            ids=[str(each["id"]) for each in results] if self._named else [],
            merged=[(loser, str(each["id"])) for each in results for loser in merged_ids(each)],
            cursor=encoded,
            last=after.key is None,
        )

    async def _now(self) -> Position:
        """The newest change that search knows: HubSpot's own idea of now, which our clock is not."""
        body = await self._search([], ("DESCENDING", self._wire.type.modified), limit=1)
        results = list_of(body, "results", self._wire.account)
        newest = self._wire.modified(results[0]) if results else 0
        return Position(newest, self._wire.clock.now())

    def _filters(self, position: Position) -> tuple[list[dict[str, str]], tuple[str, str]]:
        modified = self._wire.type.modified
        if position.tie is None:
            return [_filter(modified, "GTE", position.key)], ("ASCENDING", modified)
        return (
            [_filter(modified, "EQ", position.key), _filter("hs_object_id", "GT", position.tie)],
            ("ASCENDING", "hs_object_id"),
        )

    async def _search(self, filters: list[dict[str, str]], sort: tuple[str, str], limit: int = PAGE) -> Any:
        request = {
            "filterGroups": [{"filters": filters}] if filters else [],
            "sorts": [{"propertyName": sort[1], "direction": sort[0]}],
            "properties": self._asked,
            "limit": limit,
            "after": "0",
        }
        response = await self._wire.http.request(
            "POST", f"{self._wire.path}/search", json=request, reads=True, lane=SEARCH
        )
        return response.json()

    async def snapshot(self, cursor: str | None) -> Page:
        """One page of all live records, in the order of their ids; see `Connector.snapshot`."""
        after = None if cursor is None else str(decode_cursor(cursor, _SNAPSHOT, _VERSION).get("after"))
        names = self._wire.properties()
        params: dict[str, str | int] = {
            "limit": LIST_PAGE_WITH_HISTORY if self._wire.times else LIST_PAGE,
            "properties": ",".join(names),
            "archived": "false",
        }
        if self._wire.times and self._wire.fields:
            params["propertiesWithHistory"] = ",".join(sorted(self._wire.fields))
        if after is not None:
            params["after"] = after
        body = (await self._wire.http.request("GET", self._wire.path, params=params)).json()
        results = list_of(body, "results", self._wire.account)
        next_after = after_token(body, "paging", "next", "after")
        if next_after is not None:
            require_progress(after, next_after, where=f"{self._wire.account}: {self._wire.type.name}")
        return Page(
            records=await self._wire.records(results),
            merged=[(loser, str(each["id"])) for each in results for loser in merged_ids(each)],
            cursor=None if next_after is None else encode_cursor(_SNAPSHOT, _VERSION, {"after": next_after}),
            last=next_after is None,
        )


def _filter(name: str, operator: str, value: object) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _encode(position: Position) -> str:
    return encode_cursor(_CHANGES, _VERSION, asdict(position))


def _decode(cursor: str) -> Position:
    data: Mapping[str, Any] = decode_cursor(cursor, _CHANGES, _VERSION)
    try:
        return Position(**data)
    except TypeError:
        raise SnapshotNeeded("the stored position lacks a part") from None
