"""The bare loop: the least code that keeps both sides the same, as someone would write it who trusts everything.

httpx, orjson, sqlite3. One statement a window finds what differs; each window is merged field by field against the
values that both sides last had, is written in batches, and is stored in one transaction. There is no retry, no
journal, no history, no policy (the left side wins), no guard, and no second look: a refusal ends it, and a crash
between a write and its transaction makes duplicates. It is no product; it is what a cycle can hardly cost less than.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import orjson
from xxhash import xxh3_64_intdigest

from benchmarks.speed import people, worker

WINDOW = 1_000
BATCH = 100
OTHER = {"left": "right", "right": "left"}
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS cursor (side TEXT PRIMARY KEY, at INTEGER);
CREATE TABLE IF NOT EXISTS link (
    left_id TEXT PRIMARY KEY, right_id TEXT UNIQUE, left_hash INTEGER, right_hash INTEGER,
    left_version INTEGER, right_version INTEGER, base BLOB
) WITHOUT ROWID;
"""


class Seen(NamedTuple):
    """A record as a side shows it; `values` are in the order of `people.NAMES`."""

    version: int
    values: list[str]


class Link(NamedTuple):
    """Two records that are one, and the values that both were last known to hold."""

    ids: Mapping[str, str]
    versions: Mapping[str, int]
    base: list[str]


def merge(base: Sequence[str], left: Sequence[str], right: Sequence[str]) -> tuple[list[str], list[int], list[int]]:
    """The merged values, and at which fields the left and the right side are to be written."""
    merged, to_left, to_right = [], [], []
    for at, (was, here, there) in enumerate(zip(base, left, right, strict=True)):
        if here == there or here != was:
            merged.append(here)
            if here != there:
                to_right.append(at)
        else:
            merged.append(there)
            to_left.append(at)
    return merged, to_left, to_right


class BareLoop:
    """One pass after another over two sides, with its state in one file."""

    def __init__(self, url: str, state: Path) -> None:
        self._http = httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=4), timeout=60)
        self._db = sqlite3.connect(state, isolation_level=None)
        self._db.executescript(SCHEMA)

    @classmethod
    async def open(cls, url: str, state: Path) -> Self:
        """Ready to run."""
        return cls(url, state)

    async def close(self) -> None:
        """Release both."""
        await self._http.aclose()
        self._db.close()

    async def preload(self, count: int) -> None:
        """The state as it is when all contacts are in both apps, linked, and were seen."""
        done = (
            ({side: str(at + 1) for side in OTHER}, dict.fromkeys(OTHER, at + 1), list(people.contact(at).values()))
            for at in range(count)
        )
        cursors = [(side, (await self._get(side, "version"))["version"]) for side in people.SIDES]
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO link VALUES (?, ?, ?, ?, ?, ?, ?)", map(_row, done))
            self._db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", cursors)

    async def cycle(self, *, full: bool) -> None:
        """One pass: the right side's changes are kept, the left side's are worked off window by window."""
        cursors = dict(self._db.execute("SELECT side, at FROM cursor"))
        if full:
            cursors = {side: (await self._get(side, "version"))["version"] for side in people.SIDES}
        held: dict[str, Seen] = {}
        async for window in self._windows("right", cursors, full=full):
            held |= window
        unlinked = held.keys() - self._links("right", held).keys()
        free = {held[one].values[0]: one for one in unlinked}
        async for window in self._windows("left", cursors, full=full):
            await self._settle("left", window, held, free)
        rest = iter(held.items())
        while window := dict(islice(rest, WINDOW)):
            await self._settle("right", window, {}, {})
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", cursors.items())

    async def _windows(self, side: str, cursors: dict[str, int], *, full: bool) -> AsyncIterator[dict[str, Seen]]:
        """What a side shows that differs from what was last seen of it, a page at a time; moves the cursor."""
        names = people.FIELDS[side]
        at: int | None = 0 if full else cursors[side]
        while at is not None:
            if full:
                answer = await self._get(side, "records", after=at, limit=WINDOW)
                at = answer["page"]["next"]
            else:
                answer = await self._get(side, "changes", since=at, limit=WINDOW)
                cursors[side] = answer["page"]["version"]
                at = cursors[side] if answer["page"]["more"] else None
            shown = {
                row["id"]: Seen(row["version"], [row["fields"][name] for name in names]) for row in answer["records"]
            }
            hashes = orjson.dumps({one: _hash(seen.values) for one, seen in shown.items()}).decode()
            differing = self._db.execute(
                f"SELECT shown.key FROM json_each(?) AS shown LEFT JOIN link ON link.{side}_id = shown.key"
                f" WHERE link.{side}_hash IS NOT shown.value",
                (hashes,),
            )
            if found := {one: shown[one] for (one,) in differing}:
                yield found

    def _links(self, side: str, ids: Mapping[str, Seen]) -> dict[str, Link]:
        rows = self._db.execute(
            "SELECT left_id, right_id, left_version, right_version, base FROM link"
            f" WHERE {side}_id IN (SELECT value FROM json_each(?))",
            (orjson.dumps(list(ids)).decode(),),
        )
        links = (
            Link({"left": left, "right": right}, {"left": one, "right": two}, orjson.loads(base))
            for left, right, one, two, base in rows
        )
        return {link.ids[side]: link for link in links}

    async def _settle(self, side: str, window: Mapping[str, Seen], held: dict[str, Seen], free: dict[str, str]) -> None:
        """Merge and write one window of a side; `held` is what is known of the other, `free` its new ones by key."""
        other = OTHER[side]
        links = self._links(side, window)
        done: list[tuple[dict[str, str], dict[str, int], list[str]]] = []
        updates: dict[str, list[tuple[int, list[int]]]] = {"left": [], "right": []}
        creates: list[int] = []
        for one, seen in window.items():
            link = links.get(one)
            opposite = link.ids[other] if link else free.pop(seen.values[0], None)
            if opposite is None:
                creates.append(len(done))
                done.append(({side: one}, {side: seen.version}, seen.values))
                continue
            there = held.pop(opposite, None)
            if there is None:
                assert link is not None
                there = Seen(link.versions[other], link.base)
            pair = {side: seen, other: there}
            base = link.base if link else pair["right"].values
            merged, to_left, to_right = merge(base, pair["left"].values, pair["right"].values)
            for target, fields in (("left", to_left), ("right", to_right)):
                if fields:
                    updates[target].append((len(done), fields))
            done.append(({side: one, other: opposite}, {side: seen.version, other: there.version}, merged))
        await self._create(other, creates, done)
        for target, rows in updates.items():
            await self._update(target, rows, done)
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO link VALUES (?, ?, ?, ?, ?, ?, ?)", map(_row, done))

    async def _create(
        self, side: str, wanted: Sequence[int], done: Sequence[tuple[dict[str, str], dict[str, int], list[str]]]
    ) -> None:
        names = people.FIELDS[side]
        bodies = [dict(zip(names, done[at][2], strict=True)) for at in wanted]
        for at, result in zip(wanted, await self._post(side, "create", bodies), strict=True):
            done[at][0][side], done[at][1][side] = result["id"], result["version"]

    async def _update(
        self,
        side: str,
        rows: Sequence[tuple[int, list[int]]],
        done: Sequence[tuple[dict[str, str], dict[str, int], list[str]]],
    ) -> None:
        names = people.FIELDS[side]
        bodies = [
            {
                "id": done[at][0][side],
                "version": done[at][1][side],
                "fields": {names[field]: done[at][2][field] for field in fields},
            }
            for at, fields in rows
        ]
        for (at, _), result in zip(rows, await self._post(side, "update", bodies), strict=True):
            done[at][1][side] = result["version"]

    async def _get(self, side: str, what: str, **params: int) -> Any:
        answer = await self._http.get(f"/{side}/{what}", params=params)
        return orjson.loads(answer.raise_for_status().content)

    async def _post(self, side: str, what: str, bodies: Sequence[Any]) -> list[Any]:
        answers = await asyncio.gather(
            *(
                self._http.post(f"/{side}/{what}", content=orjson.dumps({"records": bodies[at : at + BATCH]}))
                for at in range(0, len(bodies), BATCH)
            )
        )
        results = [result for one in answers for result in orjson.loads(one.raise_for_status().content)["results"]]
        if any("error" in result for result in results):
            raise RuntimeError(f"{side} refused a write: the bare loop has no answer to that")
        return results


def _hash(values: Sequence[str]) -> int:
    """A signed 64-bit hash, as SQLite stores integers."""
    return xxh3_64_intdigest(orjson.dumps(values)) - (1 << 63)


def _row(done: tuple[dict[str, str], dict[str, int], list[str]]) -> tuple[Any, ...]:
    ids, versions, merged = done
    base = orjson.dumps(merged)
    digest = xxh3_64_intdigest(base) - (1 << 63)
    return ids["left"], ids["right"], digest, digest, versions["left"], versions["right"], base


if __name__ == "__main__":
    worker.main(BareLoop.open)
