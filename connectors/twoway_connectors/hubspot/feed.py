"""Listings: what changed, by search; everything, by the list endpoint.

Search is the only feed that HubSpot has by time, and its index is late. So a cycle begins `LAG` before the newest
change that was seen. Once that overlap was read again long enough after, so that nothing can still be missing from it,
the position is *settled*, and an idle cycle asks only for what is newer: one request, with an empty answer.

Within a cycle the records come in the order of their ids, which nobody can change: by the time of their change HubSpot
sorts them wrong now and then, by seconds as by an hour, and what went on from a page's newest change would pass by
those that are yet to come. Each page goes on after the last one's id, never by an offset: offsets end at 10,000, and
records that come and go would shift the others past us.
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
_CHANGES, _CHANGES_VERSION = "hubspot.changes", 2
_SNAPSHOT, _VERSION = "hubspot.snapshot", 1


@dataclass(frozen=True, slots=True)
class Position:
    """Where the feed stands. `high` is the newest change seen, `seen` our time at its first sight.

    In mid-cycle `key` is the instant since which records are listed, `above` the id after which, and `began` our time
    at its beginning. A record that changes while further pages are read may have been passed by already. So of a cycle
    of several pages no more counts as seen than `until`: the newest change that search knew when it began.
    """

    high: Instant
    seen: Instant
    settled: bool = False
    key: Instant | None = None
    above: int = 0
    began: Instant = 0
    until: Instant | None = None

    def begin(self, now: Instant) -> "Position":
        """The position of the cycle's first request."""
        key = self.high + 1 if self.settled else overlap_start(self.high, lag=LAG)
        return replace(self, key=key, began=now)

    def end(self, newest: Instant, now: Instant) -> "Position":
        """The position after the last page, at rest: `newest` is the newest change on it."""
        high = max(self.high, newest if self.until is None else self.until)
        seen = now if high > self.high else self.seen
        quiet = high == self.high and (self.settled or self.began >= seen + SETTLED_AFTER)
        return Position(high, seen, settled=quiet)


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
        body = await self._search(self._filters(position), ("ASCENDING", "hs_object_id"))
        results = list_of(body, "results", self._wire.account)
        last = not results or (len(results) < PAGE and after_token(body, "paging", "next", "after") is None)
        if last:
            newest = max(map(self._wire.modified, results), default=position.high)
            after = position.end(newest, self._wire.clock.now())
        else:
            until = (await self._now()).high if position.until is None else position.until
            after = replace(position, above=max(int(each["id"]) for each in results), until=until)
            require_progress(_encode(position), _encode(after), where=f"{self._wire.account}: {self._wire.type.name}")
        return Page(
            records=[] if self._named else await self._wire.records(results),
            ids=[str(each["id"]) for each in results] if self._named else [],
            merged=[(loser, str(each["id"])) for each in results for loser in merged_ids(each)],
            cursor=_encode(after),
            last=last,
        )

    async def _now(self) -> Position:
        """The newest change that search knows: HubSpot's own idea of now, which our clock is not."""
        body = await self._search([], ("DESCENDING", self._wire.type.modified), limit=1)
        results = list_of(body, "results", self._wire.account)
        newest = self._wire.modified(results[0]) if results else 0
        return Position(newest, self._wire.clock.now())

    def _filters(self, position: Position) -> list[dict[str, str]]:
        filters = [_filter(self._wire.type.modified, "GTE", position.key)]
        return [*filters, _filter("hs_object_id", "GT", position.above)] if position.above else filters

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
    return encode_cursor(_CHANGES, _CHANGES_VERSION, asdict(position))


def _decode(cursor: str) -> Position:
    data: Mapping[str, Any] = decode_cursor(cursor, _CHANGES, _CHANGES_VERSION)
    try:
        return Position(**data)
    except TypeError:
        raise SnapshotNeeded("the stored position lacks a part") from None
