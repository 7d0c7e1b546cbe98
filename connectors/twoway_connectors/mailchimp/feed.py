"""Where the feed of changes stands, from one cycle to the next.

Nothing says that Mailchimp's listing knows a change at once. So a cycle begins `LAG` before the newest change that was
seen, and what it shows anew is only a hint. Once that overlap was read again so late that nothing can still be missing
from it, the position is *settled*, and an idle cycle asks only for what is newer: a bulk import would else be listed
again in every cycle up to the next change.
"""

from dataclasses import asdict, dataclass, replace

from twoway.sdk import Instant, SnapshotNeeded, overlap_start
from twoway.sdk.paging import decode_cursor, encode_cursor
from twoway_connectors.mailchimp.listing import Chunk, Place

LAG = 60_000
"""Milliseconds by which a listing may be behind. Mailchimp states none; others who read it by time allow as much."""
SETTLED_AFTER = 4 * LAG
"""Milliseconds, by our clock, from the first sight of the newest change to a read that settles it."""
_FEED, _VERSION = "mailchimp.changes", 2


@dataclass(frozen=True, slots=True)
class Position:
    """`high` is the newest change seen, `seen` our time at its first sight.

    While a cycle is under way, `since` and `offset` are the place to go on from; `began` is our time and `start` the
    `high` at its beginning.
    """

    high: Instant
    seen: Instant
    settled: bool = False
    since: Instant | None = None
    offset: int = 0
    began: Instant = 0
    start: Instant = 0

    @classmethod
    def read(cls, cursor: str) -> "Position":
        """The position that a cursor holds; `SnapshotNeeded` if it holds none."""
        try:
            return cls(**decode_cursor(cursor, _FEED, _VERSION))
        except TypeError:
            raise SnapshotNeeded("the stored position lacks a part") from None

    def text(self) -> str:
        """The cursor."""
        return encode_cursor(_FEED, _VERSION, asdict(self))

    def under_way(self, now: Instant) -> "Position":
        """The position with a place to read from: that of a cycle's first page, unless the cycle has begun."""
        if self.since is not None:
            return self
        since = self.high if self.settled else overlap_start(self.high, lag=LAG)
        return replace(self, since=since, offset=0, began=now, start=self.high)

    def has_told(self, changed: Instant) -> bool:
        """Whether a change at this instant was told for good by an earlier cycle, and only comes along again."""
        return self.settled and changed <= self.start

    @property
    def place(self) -> Place:
        """Where to read, in a cycle that is under way."""
        return Place(self.since or 0, self.offset)

    def after(self, chunk: Chunk, now: Instant) -> "Position":
        """The position after a page, at rest when it was the last."""
        high = max(self.high, chunk.latest)
        seen = now if high > self.high else self.seen
        if not chunk.last:
            return replace(self, high=high, seen=seen, since=chunk.following.since, offset=chunk.following.offset)
        quiet = high == self.start and (self.settled or self.began >= seen + SETTLED_AFTER)
        return Position(high, seen, settled=quiet)
