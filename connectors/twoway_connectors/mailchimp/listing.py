"""The audience, oldest change first, a page at a time: what the feed, snapshots and the archived are read by.

Pages are cut by time, not by place: each asks for what changed *since* the last member of the page before, oldest
first. A member that is edited meanwhile moves to the end, and is met again there; none can slip back over the edge
of a page, as it would with offsets, which shift while records come and go. Only inside one second, the resolution of
Mailchimp's clock, are offsets needed: when a bulk import put more members there than a page holds.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from twoway.sdk import Instant, TryLater
from twoway.sdk.http import HttpClient
from twoway.sdk.values import instant_from_iso, iso_seconds_from_instant
from twoway_connectors.mailchimp.audience import Audience
from twoway_connectors.mailchimp.codec import ARCHIVED, STATUSES

PAGE = 1000
"""Members of a page; Mailchimp gives no more."""
DRIFT = 100
"""Members that each page by offset repeats: as many may leave the second in question between two pages."""
SECOND = 1000
"""The resolution of Mailchimp's clock, in milliseconds."""
TRIES = 3
"""How often a page is read that comes in disorder."""
EVERYBODY = ",".join((*STATUSES, ARCHIVED))
"""All statuses, the archived too. Mailchimp takes such a list, and does not document it: `check` looks whether it does.

Without a status a listing is documented to hold the whole audience, and leaves the archived out all the same."""


class Place(NamedTuple):
    """Where a listing goes on: the members changed at or after `since`, without the first `offset` of them."""

    since: Instant = 0
    offset: int = 0


class Chunk(NamedTuple):
    """One answer: the members as Mailchimp shows them, where to go on, whether these were the last.

    `latest` is the newest change among them, or where the listing stood when there are none.
    """

    members: list[Mapping[str, Any]]
    following: Place
    last: bool
    latest: Instant


class Listing:
    """The members of one audience, oldest change first. `fields` are those of a member that are asked for."""

    def __init__(self, http: HttpClient, audience: Audience, fields: str) -> None:
        self._http = http
        self._audience = audience
        self._fields = f"{fields},total_items"
        self._takes_lists = True

    async def newest(self) -> Instant:
        """The latest change of anybody, by Mailchimp's own clock; 0 where there is nobody."""
        answer = await self._ask({"count": 1, "sort_dir": "DESC", "fields": "members.last_changed"}, EVERYBODY)
        return max((instant_from_iso(member["last_changed"]) for member in answer["members"]), default=0)

    async def count(self, status: str | None = None) -> int:
        """How many members such a listing holds."""
        return int((await self._ask({"count": 1, "fields": "total_items"}, status))["total_items"])

    async def chunk(self, place: Place, status: str | None = None) -> Chunk:
        """The next page. What changed in the second at which the page before ended comes again.

        A page in disorder is read again: what it is sorted by is an index, which may be behind what it shows. The last
        page may be as it likes, since nothing is continued from it.
        """
        for _ in range(TRIES):
            members, reached, found = await self._page(place, status)
            times = [instant_from_iso(member["last_changed"]) for member in members]
            last = reached >= found
            if last or times == sorted(times):
                break
        else:
            raise TryLater("Mailchimp listed members in another order than that of their last changes")
        if not last and len(members) <= DRIFT:
            raise TryLater("Mailchimp's list of members broke off before the end that its own count promised")
        latest = max(place.since, *times) if times else place.since
        inside = not last and latest == place.since
        return Chunk(members, Place(latest, reached - DRIFT if inside else 0), last, latest)

    async def _page(self, place: Place, status: str | None) -> tuple[list[Mapping[str, Any]], int, int]:
        """The members, how many were listed up to here, and how many there are in all."""
        # "Since" leaves out the instant itself, which may hold members that we have not seen.
        since = {"since_last_changed": iso_seconds_from_instant(place.since - SECOND)} if place.since else {}
        answer = await self._ask(
            {"count": PAGE, "offset": place.offset, "sort_dir": "ASC", "fields": self._fields, **since}, status
        )
        return answer["members"], place.offset + len(answer["members"]), int(answer["total_items"])

    async def _ask(self, params: Mapping[str, str | int], status: str | None) -> dict[str, Any]:
        path = f"{await self._audience.path()}/members"
        params = {"sort_field": "last_changed", **params}
        if status is None or (status == EVERYBODY and not self._takes_lists):
            return dict((await self._http.request("GET", path, params=params)).json())
        chosen = {**params, "status": status}
        if status != EVERYBODY:
            return dict((await self._http.request("GET", path, params=chosen)).json())
        answer = await self._http.request("GET", path, params=chosen, expect=(200, 400))
        if answer.status == 200:
            return dict(answer.json())
        # Without it only the archived are missing from the feed, and a snapshot tells of them.
        self._takes_lists = False
        return await self._ask(params, None)
