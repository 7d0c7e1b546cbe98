"""Changes by incremental export; snapshots by cursor, and of tickets by export, too.

An export leaves out the latest minute, so that what it gives is settled: its position never passes over a change that
comes later, and needs no overlap. Users and tickets have a cursor; organizations only the time of the last change on
the page, and the next page begins with what shares that second. Ten exports a minute are allowed: a lane of its own.

The plain list of tickets leaves out those that are archived; an export from the beginning has them all, but for the
changes of the latest minute. So a snapshot of tickets is that export, and after it the plain list from the latest
change back to where the export ended. A ticket that is edited again and again meanwhile can slip through both.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from twoway.sdk import Clock, TellUser
from twoway.sdk.http import HttpClient
from twoway.sdk.paging import after_token, decode_cursor, encode_cursor, require_progress
from twoway.sdk.values import instant_from_iso
from twoway_connectors.zendesk.answers import too_recent
from twoway_connectors.zendesk.catalog import Collection

EXPORTS = "exports"
"""The lane of the incremental exports."""
PAGE = 100
DEEPEST = 100
"""Pages that a list by offset reaches."""
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


async def everything(http: HttpClient, collection: Collection, cursor: str | None) -> Chunk:
    """The next page of all records of a collection that archives some: by export, then the latest by the plain list."""
    feed = f"zendesk.{collection.name}.everything"
    position: Mapping[str, Any] = {"export": _feed_cursor(collection, {"start": 0}), "until": 0}
    if cursor is not None:
        position = decode_cursor(cursor, feed, _VERSION)
    until = int(position["until"])
    if "page" in position:
        number = int(position["page"])
        shown, last = await _latest(http, collection, number)
        over = last or _seconds(shown[-1]["updated_at"]) < until
        behind = [entry for entry in shown if _changed(entry) >= until]
        return Chunk(behind, encode_cursor(feed, _VERSION, {"until": until, "page": number + 1}), over)
    found = await export(http, collection, str(position["export"]))
    until = max([until, *map(_changed, found.shown)])
    following = {"page": 1} if found.last else {"export": found.cursor}
    return Chunk(found.shown, encode_cursor(feed, _VERSION, {"until": until, **following}), False)


async def _latest(http: HttpClient, collection: Collection, number: int) -> tuple[list[Mapping[str, Any]], bool]:
    """A page of the plain list, the latest change first, and whether it is the last.

    By offset, as lists by cursor are not sorted: what is edited meanwhile moves to the front, and nothing is skipped.
    """
    params: dict[str, str | int] = {"sort_by": "updated_at", "sort_order": "desc", "per_page": PAGE, "page": number}
    body = (await http.request("GET", collection.path, params=params)).json()
    shown: list[Mapping[str, Any]] = body[collection.name]
    return shown, not shown or number == DEEPEST or body.get("next_page") is None


def _changed(shown: Mapping[str, Any]) -> int:
    """The time by which exports go, in seconds since the epoch: the system's own changes move a ticket's other not."""
    told = shown.get("generated_timestamp")
    return _seconds(shown["updated_at"]) if told is None else int(told)


def _seconds(told: Any) -> int:
    return instant_from_iso(str(told)) // 1000


async def page(http: HttpClient, collection: Collection, cursor: str | None, **only: str) -> Chunk:
    """The next page of all records, or of those that `only` selects, by id."""
    feed = f"zendesk.{collection.name}.snapshot"
    params: dict[str, str | int] = {"page[size]": PAGE, **only}
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
