"""Connectors whose listings do not keep what they promise, each in one thing."""

import json
from dataclasses import replace
from typing import Any

from twoway.sdk import Page, SnapshotNeeded
from twoway.testing.memory import MemoryConnector


class SkipsTheEdge(MemoryConnector):
    """Goes on after the last instant of a page, and not after its last record."""

    async def changes(self, cursor: str | None) -> Page:
        page = await super().changes(cursor)
        if page.last or page.cursor is None:
            return page
        at, _, began = json.loads(page.cursor)
        return page._replace(cursor=json.dumps([at, "~", began]))


class PagesByOffset(MemoryConnector):
    """Cuts its snapshot by places, which shift."""

    async def snapshot(self, cursor: str | None) -> Page:
        start, size = int(cursor or 0), self.app.manner.page
        live = [record for record in self.app.shown() if record.alive]
        last = start + size >= len(live)
        shown = live[start : start + size]
        following = None if last else str(start + size)
        return Page(records=self._records(shown), versions=self._versions(shown), cursor=following, last=last)


class EndsAtADeletion(MemoryConnector):
    """Lists the newest first, and takes a page that has lost a record to the bin for the last."""

    async def snapshot(self, cursor: str | None) -> Page:
        start, size = int(cursor or 0), self.app.manner.page
        page = [record for record in self.app.shown()[::-1] if not cursor or int(record.id[7:]) < start][:size]
        live = [record for record in page if record.alive]
        following = page[-1].id[7:] if page else None
        return Page(records=self._records(live), versions=(), cursor=following, last=len(live) < size)


class StandsStill(MemoryConnector):
    """Gives a page that is not the last, with the cursor that it was given."""

    async def changes(self, cursor: str | None) -> Page:
        page = await super().changes(cursor)
        return page._replace(last=False, cursor=cursor) if cursor else page


class ReadsNoOverlap(MemoryConnector):
    """Takes the end of its last read for the beginning of the next."""

    async def changes(self, cursor: str | None) -> Page:
        page = await super().changes(cursor)
        fresh = [
            each for each in page.records if cursor is None or (each.modified or 0) > int(cursor[1:].split(",")[0])
        ]
        return page._replace(records=fresh)


class ReadsNoOverlapOfTheLag(MemoryConnector):
    """Reads again what shares the last instant, and nothing of what the index may show late."""

    async def changes(self, cursor: str | None) -> Page:
        page = await super().changes(cursor)
        since = json.loads(cursor)[0] - self.app.manner.resolution if cursor else 0
        return page._replace(records=[each for each in page.records if (each.modified or 0) >= since])


class PagesTheFeedByOffset(MemoryConnector):
    """Cuts its feed by places, from which records move away that are edited."""

    async def changes(self, cursor: str | None) -> Page:
        size = self.app.manner.page
        at, place = json.loads(cursor)[:2] if cursor else (0, "")
        self.app.manner = replace(self.app.manner, page=10_000)
        page = await super().changes(json.dumps([at, "", None]) if cursor else None)
        self.app.manner = replace(self.app.manner, page=size)
        start = int(place or 0)
        if cursor is None or start + size >= len(page.records):
            return page._replace(records=page.records[start:])
        following = json.dumps([at, str(start + size), None])
        return page._replace(records=page.records[start : start + size], gone=(), cursor=following, last=False)


class ClaimsAShortLag(MemoryConnector):
    """Declares a lag that is half of its app's."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, lag=self.app.manner.lag // 2)


class PrefersItsOwnPlace(MemoryConnector):
    """Goes on from where it stands, and looks at the cursor only when it is new."""

    _place: str | None = None

    async def changes(self, cursor: str | None) -> Page:
        page = await super().changes(cursor if cursor is None else self._place or cursor)
        self._place = page.cursor if cursor else None
        return page


class RemembersItsPlace(MemoryConnector):
    """Knows where its feed stands by itself, and does not look at the cursor."""

    _place: str | None = None

    async def changes(self, cursor: str | None) -> Page:
        page = await super().changes(cursor if cursor is None else self._place)
        self._place = page.cursor
        return page


class GuessesAPosition(MemoryConnector):
    """Begins anew where it does not understand the cursor."""

    async def changes(self, cursor: str | None) -> Page:
        try:
            return await super().changes(cursor)
        except SnapshotNeeded:
            return await super().changes(None)


class HidesDeletions(MemoryConnector):
    """Declares that its feed tells deletions, and leaves them out."""

    async def changes(self, cursor: str | None) -> Page:
        return (await super().changes(cursor))._replace(gone=())
