"""Changes by incremental export, snapshots by cursor.

An export leaves out the latest minute, so that what it gives is settled: its position never passes over a change that
comes later, and needs no overlap. Users and tickets have a cursor; organizations only the time of the last change on
the page, and the next page begins with what shares that second. Ten exports a minute are allowed: a lane of its own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from twoway.sdk import Clock, TellUser
from twoway.sdk.http import HttpClient
from twoway.sdk.paging import after_token, decode_cursor, encode_cursor, require_progress
from twoway_connectors.zendesk.answers import too_recent
from twoway_connectors.zendesk.catalog import Collection

EXPORTS = "exports"
"""The lane of the incremental exports."""
PAGE = 100
EXPORT_PAGE = 1000
EARLIER = 300
"""Seconds before now at which the feed starts: more than the minute that Zendesk asks for, as clocks differ."""
_VERSION = 1


class Chunk(NamedTuple):
    """One answer: records as Zendesk shows them, the cursor to go on from, and whether these were the last."""

    shown: list[Mapping[str, Any]]
    cursor: str
    last: bool


async def beginning(http: HttpClient, collection: Collection, clock: Clock) -> str:
    """The cursor of the feed that starts now; `TryLater` where by Zendesk's clock it is not that late yet.

    The start is of our clock, which may be wrong. Zendesk is asked for the first page at once, for it refuses a start
    in its last minute or later: from there, changes before the start would be missed. Behind, we only read more.
    """
    cursor = _feed_cursor(collection, {"start": clock.now() // 1000 - EARLIER})
    await export(http, collection, cursor)
    return cursor


async def export(http: HttpClient, collection: Collection, cursor: str) -> Chunk:
    """The next page of changes."""
    position = decode_cursor(cursor, f"zendesk.{collection.name}.changes", _VERSION)
    params: dict[str, str | int] = {"per_page": EXPORT_PAGE}
    params |= {"cursor": position["cursor"]} if "cursor" in position else {"start_time": position["start"]}
    path = f"/incremental/{collection.name}" + ("/cursor" if collection.by_cursor else "")
    answer = await http.request("GET", path, params=params, expect=(200, 422), lane=EXPORTS)
    if answer.status == 422:
        raise too_recent(answer)
    body = answer.json()
    last = bool(body["end_of_stream"])
    if collection.by_cursor:
        following = {"cursor": str(body["after_cursor"])}
    else:
        # Where nothing changed there is no time to go on from: the next export starts where this one did.
        following = {"start": body["end_time"] or position["start"]}
    after = _feed_cursor(collection, following)
    if not last:
        require_progress(cursor, after, where=answer.where)
    return Chunk(body[collection.name], after, last)


async def page(http: HttpClient, collection: Collection, cursor: str | None) -> Chunk:
    """The next page of all records, by id."""
    feed = f"zendesk.{collection.name}.snapshot"
    params: dict[str, str | int] = {"page[size]": PAGE}
    if cursor is not None:
        params["page[after]"] = str(decode_cursor(cursor, feed, _VERSION)["after"])
    answer = await http.request("GET", collection.path, params=params)
    body = answer.json()
    after = after_token(body, "meta", "after_cursor")
    last = not body["meta"]["has_more"]
    if not last and after is None:
        raise TellUser(f"{answer.where}: Zendesk promises more records and does not say where")
    following = encode_cursor(feed, _VERSION, {"after": after or ""})
    if not last:
        require_progress(cursor, following, where=answer.where)
    return Chunk(body[collection.name], following, last)


def _feed_cursor(collection: Collection, position: Mapping[str, Any]) -> str:
    return encode_cursor(f"zendesk.{collection.name}.changes", _VERSION, position)
