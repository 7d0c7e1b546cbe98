"""The audience in the order of its members' last changes: the feed of changes, and snapshots.

Pages are cut by time, not by place: each asks for what changed *since* the last member of the page before, oldest
first. A member that is edited meanwhile moves to the end, and is met again there; none can slip back over the edge
of a page, as it would with offsets, which shift while records come and go. Only inside one second, the resolution of
Mailchimp's clock, are offsets needed: when a bulk import put more members there than a page holds.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from twoway.sdk import Instant, TellUser, TryLater
from twoway.sdk.http import HttpClient
from twoway.sdk.paging import decode_cursor, encode_cursor
from twoway.sdk.values import instant_from_iso, iso_seconds_from_instant
from twoway_connectors.mailchimp.audience import Audience
from twoway_connectors.mailchimp.codec import ARCHIVED, STATUSES, Selection

PAGE = 1000
"""Members of a page; Mailchimp gives no more."""
DRIFT = 100
"""Members that each page by offset repeats: as many may leave the second in question between two pages."""
SECOND = 1000
"""The resolution of Mailchimp's clock, in milliseconds."""
LIVE = STATUSES
EVERY = (*STATUSES, ARCHIVED)
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


BEGINNING = Position()


class Chunk(NamedTuple):
    """One answer: the members as Mailchimp shows them, where to go on, whether these were the last.

    `total` is how many there are in all, where the chunk began at the beginning and Mailchimp counted just these.
    """

    members: list[Mapping[str, Any]]
    following: Position
    last: bool
    total: int | None


class Listing:
    """The members of one audience, oldest change first."""

    def __init__(self, http: HttpClient, audience: Audience, selection: Selection) -> None:
        self._http = http
        self._audience = audience
        self._selection = selection
        self._by_status = True
        """Mailchimp takes a list of statuses, and does not promise to: were it refused, archived members would only
        be missing from the feed, and a snapshot would tell."""

    async def newest(self) -> Position:
        """The position after everything that has happened so far, by Mailchimp's own clock: its latest change."""
        answer = await self._ask({"count": 1, "sort_dir": "DESC", "fields": "members.last_changed"}, EVERY)
        times = [instant_from_iso(member["last_changed"]) for member in answer["members"]]
        return Position(max(times, default=0))

    async def chunk(self, position: Position, statuses: Iterable[str]) -> Chunk:
        """The next page. What changed in the second at which the page before ended comes again."""
        # "Since" leaves out the instant itself, which may hold members that we have not seen.
        since = {"since_last_changed": iso_seconds_from_instant(position.since - SECOND)} if position.since else {}
        fields = f"{self._selection.query('members.')},total_items"
        answer = await self._ask(
            {"count": PAGE, "offset": position.offset, "sort_dir": "ASC", "fields": fields, **since}, statuses
        )
        members, found = answer["members"], int(answer["total_items"])
        times = [instant_from_iso(member["last_changed"]) for member in members]
        if times != sorted(times):
            raise TellUser(
                "Mailchimp listed members in another order than that of their last changes",
                remedy="Its API has changed, and changes could be missed: please report it",
            )
        reached = position.offset + len(members)
        latest = max(position.since, times[-1] if times else 0)
        last = reached >= found
        if not last and len(members) <= DRIFT:
            raise TryLater("Mailchimp's list of members broke off before the end that its own count promised")
        inside = not last and latest == position.since
        return Chunk(
            members,
            Position(latest, reached - DRIFT if inside else 0),
            last,
            found if position == BEGINNING and self._by_status else None,
        )

    async def _ask(self, params: Mapping[str, str | int], statuses: Iterable[str]) -> dict[str, Any]:
        path = f"{await self._audience.path()}/members"
        params = {"sort_field": "last_changed", **params}
        if self._by_status:
            chosen = {**params, "status": ",".join(statuses)}
            answer = await self._http.request("GET", path, params=chosen, expect=(200, 400))
            if answer.status == 200:
                return dict(answer.json())
            self._by_status = False
        return dict((await self._http.request("GET", path, params=params)).json())
