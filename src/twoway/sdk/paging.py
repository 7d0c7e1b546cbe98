"""Cursors, and the small rules of the paging styles that apps have.

A cursor is JSON text that only its connector reads: `{"feed": …, "v": …, …}`. A connector that changes what its
cursors hold raises its version, and old ones lead to a snapshot instead of a wrong guess.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from twoway.core.model import Instant
from twoway.sdk.errors import SnapshotNeeded, TellUser
from twoway.sdk.origin import stay


def encode_cursor(feed: str, version: int, data: Mapping[str, Any]) -> str:
    """The cursor's text: the same data gives the same text. `feed` names the listing, e.g. `hubspot.changes`."""
    return orjson.dumps({**data, "feed": feed, "v": version}, option=orjson.OPT_SORT_KEYS).decode()


def decode_cursor(text: str, feed: str, version: int) -> dict[str, Any]:
    """What `encode_cursor` was given; `SnapshotNeeded` where it is another listing's, another version's or damaged."""
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict) or data.get("feed") != feed or data.get("v") != version:
        raise SnapshotNeeded(f"the stored position is not one of {feed}, version {version}")
    return {key: value for key, value in data.items() if key not in {"feed", "v"}}


def overlap_start(at: Instant, *, lag: int, resolution: int = 1, least: Instant = 0) -> Instant:
    """The instant from which to read again, so that nothing is missed that an index showed late; at least `least`.

    `lag` is how late a listing may be, `resolution` how coarse the app's clock is, both in milliseconds.
    """
    return max(least, at - lag - resolution)


@dataclass(frozen=True, slots=True)
class OffsetWindow:
    """A page of a listing by offset. Each page repeats the last `overlap` rows of the one before it.

    Such listings shift while records come and go; the overlap catches as many removals as it has rows.
    """

    offset: int = 0
    size: int = 100
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.offset < 0 or not 0 <= self.overlap < self.size:
            raise ValueError(f"an offset of at least 0 and an overlap below the size are needed, not {self}")

    def after(self, count: int, total: int | None = None) -> "OffsetWindow | None":
        """The next page, when this one held `count` rows; None at the end.

        `total` is the app's own count, where it tells one: then a short page in mid-listing is not taken for the end.
        """
        reached = self.offset + count
        ended = reached >= total if total is not None else count < self.size
        if ended:
            return None
        if count <= self.overlap:
            raise TellUser(
                f"a page of {count} rows came where more were promised, so the listing cannot go on",
                remedy="Run the cycle again; if it stays so, the app's paging is broken: please report it",
            )
        return OffsetWindow(reached - self.overlap, self.size, self.overlap)


def after_token(payload: Mapping[str, Any], *path: str) -> str | None:
    """The token for the next page, found along `path`; None where any step of it is missing: the last page."""
    found: Any = payload
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return None if found is None or found == "" else str(found)


def next_link(base_url: str, link: str | None, *, name: str) -> str | None:
    """The full address of the next page; None where there is none. It must stay on the origin of `base_url`."""
    return stay(base_url, link, name=name, what="a next-page link") if link else None


def require_progress(before: str | None, after: str | None, *, where: str) -> None:
    """Raise `TellUser` when a page that is not the last does not move the cursor: it would be read for ever."""
    if after is None or after == before:
        raise TellUser(
            f"{where}: the listing does not move on",
            remedy="The app gives the same page again and again: please report it, with the app's name",
        )
