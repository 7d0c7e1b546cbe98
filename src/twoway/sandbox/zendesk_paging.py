"""Lists of the Zendesk look-alike: by cursor, by offset, and the incremental exports."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from typing import Any, TypeVar
from urllib.parse import urlencode

from twoway.sandbox.kit import Call, Collection, Record
from twoway.sandbox.zendesk_errors import bad_attribute, bad_request, invalid_value

PAGE = 100
"""Records of a page, by default and at most."""
OFFSET_DEPTH = 10_000
"""Records that offset paging reaches."""
EXPORT = 1000
"""Records of a page of an export, by default and at most."""

T = TypeVar("T")
Render = Callable[[Record], dict[str, Any]]


def cursor_of(text: str) -> str:
    """An opaque cursor that carries `text`."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def cursor_text(cursor: str) -> str:
    """What `cursor_of` put into it; 400 if it is not one of ours."""
    try:
        return base64.urlsafe_b64decode(cursor).decode()
    except (binascii.Error, ValueError):
        raise bad_request("InvalidCursor", "the cursor is not valid") from None


def place(call: Call) -> int:
    """The id after which `page[after]` reads on, 0 without it; 400 if it is not one of our cursors."""
    after = call.query.get("page[after]")
    if not after:
        return 0
    text = cursor_text(after)
    if not text.isdigit():
        raise bad_request("InvalidCursor", "the cursor is not valid")
    return int(text)


def whole(call: Call, name: str, default: int, most: int | None = None) -> int:
    """A whole number of the query, from 1 to `most`; 400 if it is no number."""
    text = call.query.get(name, "")
    if not text:
        return default
    try:
        number = max(1, int(text))
    except ValueError:
        raise bad_attribute(name, "an integer", call.path.rpartition("/")[2]) from None
    return number if most is None else min(number, most)


def link(call: Call, **changes: Any) -> str:
    """The URL of this request with other arguments; the name `page_after` stands for `page[after]`."""
    named = {"page[after]" if name == "page_after" else name: value for name, value in changes.items()}
    return f"{call.base_url}{call.path}?{urlencode({**call.query, **named})}"


def listing(call: Call, name: str, collection: Collection, keep: Callable[[Record], bool], render: Render) -> Any:
    """A page of `name`: by cursor if the query has `page[size]` or `page[after]`, else by offset.

    By cursor: {name: [...], meta: {has_more, after_cursor, before_cursor}, links: {next, prev}}; `page[size]` is 100
    by default and at most. By offset: see `offset_page`.
    """
    if "page[size]" in call.query or "page[after]" in call.query:
        return cursor_page(call, name, filter(keep, collection.after(place(call))), render, most=PAGE)
    return offset_page(call, name, filter(keep, collection), render)


def cursor_page(call: Call, name: str, records: Iterator[Record], render: Render, *, most: int) -> dict[str, Any]:
    """The next page of `records`, which start after the cursor, in the shape of cursor paging."""
    size = whole(call, "page[size]", min(PAGE, most), most)
    found = list(islice(records, size + 1))
    page = found[:size]
    more = len(found) > size
    after = cursor_of(str(page[-1].id)) if page else None
    before = cursor_of(str(page[0].id)) if page else None
    return {
        name: [render(record) for record in page],
        "meta": {"has_more": more, "after_cursor": after, "before_cursor": before},
        "links": {"prev": None, "next": link(call, page_after=after) if more else None},
    }


def offset_page(
    call: Call, name: str, records: Iterable[T], render: Callable[[T], Any], *, depth: int = OFFSET_DEPTH
) -> dict[str, Any]:
    """{name: [...], count, next_page, previous_page}, by `page` (from 1) and `per_page` (100 at most).

    400 beyond the first `depth` records.
    """
    page, size = whole(call, "page", 1), whole(call, "per_page", PAGE, PAGE)
    if page * size > depth:
        raise bad_request("InvalidPaginationDepth", f"offset paging ends at record {depth}: use cursor paging")
    found = list(records)
    return {
        name: [render(record) for record in found[(page - 1) * size : page * size]],
        "count": len(found),
        "next_page": link(call, page=page + 1) if page * size < len(found) else None,
        "previous_page": link(call, page=page - 1) if page > 1 else None,
    }


class Table(Collection):
    """A collection that can be read on from a place within a second, which may hold a whole import."""

    def changed_after(self, modified: float, record_id: int) -> Iterator[Record]:
        """The records after (modified, id), by (modified, id) ascending."""
        order = self._order
        for n in range(bisect_right(order, (modified, record_id)), len(order)):
            stamp, number = order[n]
            record = self._records.get(number)
            if record is not None and record.modified == stamp:
                yield record


class Exports:
    """Incremental exports: what changed since a time, by (time of change, id), the deleted records too.

    `now` gives seconds since the epoch; `settings` gives the age in seconds that `start_time` must have, and how many
    of the latest seconds are left out.
    """

    def __init__(self, now: Callable[[], float], settings: Callable[[], tuple[float, float]]) -> None:
        self._now = now
        self._settings = settings

    def by_cursor(self, call: Call, name: str, collection: Table, render: Render) -> dict[str, Any]:
        """One page from `start_time`, or after `cursor`: {name, after_url, after_cursor, end_of_stream, ...}.

        422 for a start that is too recent, 400 for neither or a bad cursor. The last page has a cursor too: it is
        what the next export starts from.
        """
        if "cursor" in call.query:
            stamp, _, number = cursor_text(call.query["cursor"]).partition("||")
            try:
                position = (int(float(stamp)), int(number))
            except ValueError:
                raise bad_request("InvalidCursor", "the cursor is not valid") from None
        else:
            position = (self._start(call), -1)
        size = whole(call, "per_page", EXPORT, EXPORT)
        found = list(islice(self._settled(collection, *position), size + 1))
        page = found[:size]
        last = (int(page[-1].modified), page[-1].id) if page else position
        after = cursor_of(f"{last[0]}.0||{last[1]}")
        rest = {key: value for key, value in call.query.items() if key not in {"start_time", "cursor"}}
        return {
            name: [render(record) for record in page],
            "after_url": f"{call.base_url}{call.path}?{urlencode({**rest, 'cursor': after})}",
            "after_cursor": after,
            "before_url": None,
            "before_cursor": None,
            "end_of_stream": len(found) <= size,
        }

    def by_time(self, call: Call, name: str, collection: Table, render: Render) -> dict[str, Any]:
        """One page from `start_time`: {name, count, end_time, next_page, end_of_stream}.

        `end_time` is the time of the page's last change, so that the next page repeats the records of that second.
        It is null where nothing changed: the next export then starts where this one did.
        """
        start = self._start(call)
        size = whole(call, "per_page", EXPORT, EXPORT)
        page: list[Record] = []
        more = False
        for record in self._settled(collection, start, -1):
            # A page never ends within a second: a next page that starts there would not get on.
            if len(page) >= size and record.modified != page[-1].modified:
                more = True
                break
            page.append(record)
        end = int(page[-1].modified) if page else None
        if more and end == start:
            end += 1
        return {
            name: [render(record) for record in page],
            "count": len(page),
            "end_time": end,
            "next_page": None if end is None else link(call, start_time=end),
            "end_of_stream": not more,
        }

    def _settled(self, collection: Table, modified: int, record_id: int) -> Iterator[Record]:
        changed = collection.changed_after(modified, record_id)
        left_out = self._settings()[1]
        if not left_out:
            return changed
        # Whole seconds only: within one, a record with a lower id could change after the cursor has passed it.
        edge = int(self._now() - left_out)
        return takewhile(lambda record: record.modified < edge, changed)

    def _start(self, call: Call) -> int:
        age = self._settings()[0]
        try:
            start = int(call.query["start_time"])
        except (KeyError, ValueError):
            raise bad_request("StartTimeMissing", "start_time is missing, or is no number") from None
        if start > self._now() - age:
            raise invalid_value(f"Too recent start_time. Use a start_time older than {age:g} seconds")
        return start
