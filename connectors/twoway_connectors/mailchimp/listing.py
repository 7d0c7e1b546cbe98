"""The audience in the order of its members' last changes: the feed of changes, and snapshots.

Pages are cut by time, not by place: each asks for what changed *since* the last member of the page before, oldest
first. A member that is edited meanwhile moves to the end, and is met again there; none can slip back over the edge
of a page, as it would with offsets, which shift while records come and go. Only inside one second, the resolution of
Mailchimp's clock, are offsets needed: when a bulk import put more members there than a page holds.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from twoway.sdk import Instant, TellUser, TryLater
from twoway.sdk.http import HttpClient
from twoway.sdk.paging import decode_cursor, encode_cursor
from twoway.sdk.values import instant_from_iso, iso_seconds_from_instant
from twoway_connectors.mailchimp.codec import Selection

PAGE = 1000
"""Members of a page; Mailchimp gives no more."""
DRIFT = 100
"""Members that each page by offset repeats: as many may leave the second in question between two pages."""
SECOND = 1000
"""The resolution of Mailchimp's clock, in milliseconds."""
_VERSION = 1


class Position(NamedTuple):
    """Where a listing goes on: the members changed at or after `since`, without the first `offset` of them."""

    since: Instant = 0
    offset: int = 0

    def text(self, feed: str) -> str:
        """The cursor."""
        return encode_cursor(feed, _VERSION, {"since": self.since, "offset": self.offset})

    @classmethod
    def of(cls, cursor: str, feed: str) -> "Position":
        """The position that a cursor holds; `SnapshotNeeded` if it holds none."""
        data = decode_cursor(cursor, feed, _VERSION)
        return cls(int(data["since"]), int(data["offset"]))


class Chunk(NamedTuple):
    """One answer: the members as Mailchimp shows them, where to go on, and whether these were the last."""

    members: list[Mapping[str, Any]]
    following: Position
    last: bool


async def newest(http: HttpClient, audience: str) -> Position:
    """The position after everything that has happened so far, by Mailchimp's own clock: its latest change."""
    answer = await _ask(http, audience, {"count": 1, "sort_dir": "DESC", "fields": "members.last_changed"})
    times = [instant_from_iso(member["last_changed"]) for member in answer["members"]]
    return Position(max(times, default=0))


async def chunk(http: HttpClient, audience: str, selection: Selection, position: Position) -> Chunk:
    """The next page. What changed in the second at which the page before ended comes again."""
    answer = await _ask(
        http,
        audience,
        {
            "count": PAGE,
            "offset": position.offset,
            "sort_dir": "ASC",
            # "Since" leaves out the instant itself, which may hold members that we have not seen.
            **({"since_last_changed": iso_seconds_from_instant(position.since - SECOND)} if position.since else {}),
            "fields": f"{selection.query('members.')},total_items",
        },
    )
    members = answer["members"]
    times = [instant_from_iso(member["last_changed"]) for member in members]
    if times != sorted(times):
        raise TellUser(
            "Mailchimp listed members in another order than that of their last changes",
            remedy="Its API has changed, and changes could be missed: please report it",
        )
    latest = max(position.since, times[-1] if times else 0)
    if position.offset + len(members) >= int(answer["total_items"]):
        return Chunk(members, Position(latest), last=True)
    if len(members) <= DRIFT:
        raise TryLater("Mailchimp's list of members broke off: a page is shorter than the number of members promises")
    if latest > position.since:
        return Chunk(members, Position(latest), last=False)
    return Chunk(members, Position(latest, position.offset + len(members) - DRIFT), last=False)


async def _ask(http: HttpClient, audience: str, params: Mapping[str, str | int]) -> dict[str, Any]:
    answer: dict[str, Any] = (
        await http.request("GET", f"{audience}/members", params={"sort_field": "last_changed", **params})
    ).json()
    return answer
