"""Deliberate faults of reading: cursors, listings, deletions, merges, the scope."""

# ruff: noqa: SLF001 - a fault is planted just where the engine keeps things to itself

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from twoway.core import reconcile as heart
from twoway.core.diff import Seen
from twoway.core.mapping import SideMapping
from twoway.core.model import Page, Side
from twoway.core.rules import OnDelete, OnEditedDelete
from twoway.engine import apply, observe
from twoway.engine.app import App
from twoway.engine.run import Run
from twoway.ports import ReceiptShape
from twoway.state.links import Links
from twoway.state.observations import Observations
from twoway.testing.memory import MemoryConnector
from twoway.testing.planted import Fault
from twoway.testing.planted_ways import (
    DYING,
    MERGING,
    all_of,
    answering,
    answering_later,
    any_history,
    around,
    capabilities,
    instead,
    lively,
    narrow,
    shaped,
)
from twoway.testing.scenarios import trimmed

UNEDITED: Final[Mapping[str, Any]] = {"edited_delete": OnEditedDelete.EDIT}


async def cursor_first(run: Run, side: Side, cursor: str, meanwhile: Any, *, midway: bool) -> str:  # noqa: ARG001 - the engine's
    app = run.app(side)
    while True:
        page = await app.changes(cursor)
        with run.commit("cursor"):
            run.store.pairs.set_cursor(run.pair.id, side, page.cursor, midway=not page.last)
        news = observe._news(run, side, page.records, hint=False)
        with run.commit("observe"):
            observe._store(run, side, news, hint=False, settle=0)
            observe._absences(run, side, page, lagging=False)
        cursor = page.cursor or cursor
        if page.last:
            return cursor


async def no_overlap(before: Any, self: MemoryConnector, cursor: str | None) -> Page:
    if cursor is not None:
        since, after, began = json.loads(cursor)
        manner = self.app.manner
        cursor = json.dumps([since + (0 if after else manner.lag + manner.resolution), after, began])
    page: Page = await before(self, cursor)
    if cursor is None or page.cursor is None:
        return page
    since, after, began = json.loads(page.cursor)
    return page._replace(cursor=json.dumps([max(since, 0), after, began]))


async def our_clock(before: Any, self: MemoryConnector, cursor: str | None) -> Page:
    page: Page = await before(self, cursor)
    if not page.last:
        return page
    return page._replace(cursor=json.dumps([self.app.clock.now(), "", None]))


async def by_time_alone(before: Any, self: MemoryConnector, cursor: str | None) -> Page:
    """The next page begins after this one's last instant, and not after its last record."""
    page: Page = await before(self, cursor)
    if page.last or page.cursor is None:
        return page
    since, _, began = json.loads(page.cursor)
    return page._replace(cursor=json.dumps([since, "~", began]))


async def not_by_us(before: Any, self: MemoryConnector, cursor: str | None) -> Page:
    """What our user modified last is left out, as many a query for changes has it."""
    page: Page = await before(self, cursor)
    last = {change.id: change.who for change in self.app.log}
    return page._replace(records=[record for record in page.records if last[record.id] != "engine"])


def no_hint(before: Any, *args: Any, **more: Any) -> Any:
    return before(*args, **{**more, "hint": False})


def no_lag(before: Any, *args: Any, **_more: Any) -> Any:
    return before(*args, lagging=False)


def gone_at_once(before: Any, self: Observations, pair: int, side: Side, since: int, listed: Any) -> list[str]:
    missing: list[str] = before(self, pair, side, since, listed)
    self.put(pair, [observe._absence(side, one, None, since, self.next_rev(), hint=False) for one in missing])
    return []


def still_recognised(before: Any, self: Links, side: Side, rows: Any, gave: Any) -> None:
    """What was recognised before our write is taken for nothing new after it."""
    kept = [(row[0], self._db.one(f"SELECT {side.value}_raw FROM link WHERE id = ?", (row[0],))) for row in rows]  # noqa: S608 - a column
    before(self, side, rows, gave)
    self._db.many(f"UPDATE link SET {side.value}_raw = ? WHERE id = ?", [(raw, link) for link, raw in kept])  # noqa: S608 - a column


def unhidden(before: Any, self: App) -> Any:
    return replace(before.fget(self), hides_merges=False)


def marks_nothing(_before: Any, self: Links, pair: int, marks: Any, _now: int) -> None:
    for mark in marks:
        self.unmark(pair, mark.side, mark.record_id)


def never_edited(before: Any, side: Side, gone: Seen, survivor: Seen, rules: Any) -> Any:
    return before(side, gone, survivor._replace(base=survivor.values), rules)


READING: Final = (
    Fault(
        "the cursor moves before its page is stored",
        "rule 4, complaint 22",
        "left alone",
        instead(observe, "_changes", cursor_first),
        DYING,
    ),
    Fault(
        "no overlap",
        "rule 9, complaint 22",
        "left alone",
        around(MemoryConnector, "changes", no_overlap),
        lively("name", manner_lag=30_000),
    ),
    Fault(
        "the cursor is our own clock",
        "rule 9, complaint 20",
        "left alone",
        around(MemoryConnector, "changes", our_clock),
        shaped(manner_skew=-45_000),
    ),
    Fault(
        "the cursor is a time alone",
        "complaint 23",
        "left alone",
        around(MemoryConnector, "changes", by_time_alone),
        narrow("name", addresses=30, manner_page=1, manner_resolution=4000, manner_lag=0),
    ),
    Fault(
        "a listing that lags is believed",
        "rule 9",
        "echo",
        all_of(around(observe, "_observation", no_hint), around(observe, "_absences", no_lag)),
        lively("name", manner_lag=30_000, manner_conditional=False),
    ),
    Fault(
        "what was there before our write is recognised after it",
        "rule 17",
        "diverged",
        around(Links, "wrote", still_recognised),
        lively("name", "phone", edits=60, cycles=20, manner_lag=0),
    ),
    Fault(
        "the version that our own write made is taken for one that was read",
        "rule 2, rule 3",
        "diverged",
        answering(observe, "_is_ours", False),
        lively(
            "name",
            "phone",
            edits=60,
            cycles=20,
            manner_by_version=True,
            manner_receipt=ReceiptShape.VERSION,
            manner_stores=trimmed,
            manner_declares_form=False,
        ),
    ),
    Fault(
        "what our user modified last is taken for an echo",
        "rule 17",
        "diverged",
        around(MemoryConnector, "changes", not_by_us),
        lively("name", "phone", edits=60, cycles=20),
    ),
    Fault(
        "what a complete listing lacks is not looked for",
        "complaint 22",
        "deletion stuck",
        answering(Observations, "not_shown", []),
        shaped(deletes=True, manner_feed_deletions=False),
    ),
    Fault(
        "what a listing lacks is gone",
        "rule 13, complaint 6, complaint 10",
        "deleted without proof",
        all_of(around(Observations, "not_shown", gone_at_once), answering_later(apply, "_read_sources", {})),
        lively("name", manner_lag=30_000, right={"delete": OnDelete.DELETE}),
    ),
    Fault(
        "a merge is read as a deletion",
        "rule 12, complaint 14",
        "deleted for a merge",
        capabilities(unhidden),
        MERGING,
    ),
    Fault(
        "a deletion wins over an edit",
        "rule 13, complaint 11",
        "deleted over an edit",
        around(heart, "_deleted", never_edited),
        shaped(deletes=True, addresses=30, right={"delete": OnDelete.DELETE}, spec=UNEDITED),
    ),
    Fault(
        "a tombstone is no tombstone",
        "complaint 12",
        "came back",
        around(Links, "mark", marks_nothing),
        shaped(deletes=True, addresses=30, right={"delete": OnDelete.IGNORE}),
    ),
    Fault(
        "out of scope does not freeze",
        "rule 15, complaint 13",
        "out of scope",
        answering(SideMapping, "in_scope", True),
        any_history,
    ),
)
