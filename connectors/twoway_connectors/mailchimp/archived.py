"""Who is archived: nobody may be made whom a person archived.

`POST /lists/{id}/members` with an archived address answers 200 and subscribes it again, with what it held before. No
document says that the batch endpoint does otherwise, and who was archived would be mailed again. So each address is
looked up before it is created. By its hash that is one request, and exact; many at once are first held against a list
of the archived, a thousand of them a request, which is read once and then kept up to date by the time of their last
change. It only says whom to look up: where many are archived, that is still fewer requests than new members.
"""

import asyncio
from collections.abc import Iterable

from twoway.sdk import Clock, Instant
from twoway_connectors.mailchimp.codec import ARCHIVED
from twoway_connectors.mailchimp.feed import Position
from twoway_connectors.mailchimp.listing import Listing

FIELDS = "members.id,members.last_changed"
FRESH = 30_000
"""Milliseconds for which the list is taken as it is: half of what a record may be old that a write is founded on."""


class Archived:
    """The hashes of the addresses that are archived in one audience, or were: read when it is first asked for.

    It is a cache that spares requests, and no part of what is known of the audience.
    """

    def __init__(self, listing: Listing, clock: Clock) -> None:
        self._listing = listing
        self._clock = clock
        self._hashes: set[bytes] = set()
        self._position = Position(high=0, seen=0)
        self._read: Instant | None = None
        self._reading = asyncio.Lock()

    async def among(self, hashes: Iterable[str]) -> set[str]:
        """Those of these hashes that may be archived."""
        async with self._reading:
            now = self._clock.now()
            if self._read is None or not 0 <= now - self._read < FRESH:
                await self._refresh()
                self._read = now
        return {each for each in hashes if bytes.fromhex(each) in self._hashes}

    async def _refresh(self) -> None:
        last = False
        while not last:
            position = self._position.under_way(self._clock.now())
            chunk = await self._listing.chunk(position.place, ARCHIVED)
            self._hashes.update(bytes.fromhex(member["id"]) for member in chunk.members)
            self._position, last = position.after(chunk, self._clock.now()), chunk.last
