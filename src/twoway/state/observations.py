"""What was seen and is not settled. A row leaves only when its record agrees: nothing else makes twoway forget."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from twoway.core.model import LEFT, RIGHT, Instant, Side
from twoway.state.database import Database
from twoway.state.rows import (
    CREATES_IN_FLIGHT,
    LINK_COLUMNS,
    LINK_WIDTH,
    OBSERVATION_COLUMNS,
    OBSERVATION_WIDTH,
    Link,
    Observation,
    dumps,
    link_row,
    observation_row,
)

_COLUMNS = (
    "pair, side, record_id, rev, fp, life, into_id, vals, problems, version, modified, created, times, marker, hint, "
    "seen_at, due_at"
)
_SAME = (
    "(observation.fp IS excluded.fp AND observation.life = excluded.life "
    "AND observation.into_id IS excluded.into_id AND (observation.fp IS NOT NULL OR observation.life <> 'live'))"
)
_MERGED = "observation.life = 'merged' AND excluded.life = 'gone'"
_UPSERT = (
    f"INSERT INTO observation ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (pair, side, record_id) DO UPDATE SET rev = excluded.rev, "
    # Whoever was merged is gone, too. An app may tell only once that it was a merge.
    f"life = CASE WHEN {_MERGED} THEN 'merged' ELSE excluded.life END, "
    f"into_id = CASE WHEN {_MERGED} THEN observation.into_id ELSE excluded.into_id END, "
    # What a record held when it was last seen tells whether it was one of ours.
    "vals = CASE WHEN excluded.life = 'live' THEN excluded.vals ELSE observation.vals END, "
    "problems = excluded.problems, version = excluded.version, modified = excluded.modified, "
    "created = coalesce(excluded.created, observation.created), times = excluded.times, "
    "marker = coalesce(excluded.marker, observation.marker), seen_at = excluded.seen_at, "
    # The same content again wakes nothing: a conflict goes on waiting, a parked record keeps its time.
    f"hint = CASE WHEN {_SAME} THEN observation.hint & excluded.hint ELSE excluded.hint END, "
    f"due_at = CASE WHEN {_SAME} THEN observation.due_at ELSE excluded.due_at END, "
    f"tries = CASE WHEN {_SAME} THEN observation.tries ELSE 0 END, fp = excluded.fp"
)


class Pending(NamedTuple):
    """A link with something to decide: the link and what was seen of either side."""

    link: Link
    seen: Mapping[Side, Observation | None]


class Sighting(NamedTuple):
    """An observation without what the record holds."""

    rev: int
    fp: int | None
    version: str | None
    seen_at: Instant


class Listed:
    """The links whose records a complete listing has shown: a byte each, however many there are."""

    def __init__(self) -> None:
        self._flags = bytearray()

    def add(self, links: Sequence[int]) -> None:
        """Note these; one that is listed twice counts once."""
        if not links:
            return
        flags, beyond = self._flags, max(links) + 1 - len(self._flags)
        if beyond > 0:
            flags.extend(bytes(beyond + (len(flags) >> 3)))
        for link in links:
            flags[link] = 1

    def count(self) -> int:
        """How many there are."""
        return self._flags.count(1)

    def __contains__(self, link: int) -> bool:
        return link < len(self._flags) and bool(self._flags[link])


class Observations:
    """The table `observation`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def next_rev(self) -> int:
        """A revision for a window of sightings: greater than all before."""
        return int(
            self._db.one(
                "UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE key = 'rev' "
                "RETURNING CAST(value AS BIGINT)"
            )
        )

    def known(self, pair: int, side: Side, record_ids: Iterable[str]) -> list[tuple[Any, ...]]:
        """What is known of each of these records: its id, its link, fingerprint, version and raw hash as last seen of
        it, the revision of what waits to be decided about it, and what our last write made of it."""
        one = side.value
        return self._db.run(
            f"SELECT j.value, l.id, l.{one}_fp, l.{one}_version, l.{one}_raw, o.rev, l.{one}_receipt "
            f"FROM json_each(?) j LEFT JOIN link l ON l.pair = ? AND l.{one}_id = j.value "
            f"LEFT JOIN observation o ON o.pair = ? AND o.side = '{one}' AND o.record_id = j.value",
            (dumps(list(record_ids)), pair, pair),
        ).fetchall()

    def put(self, pair: int, rows: Iterable[Observation]) -> None:
        """Store sightings. The same content again keeps its row's time to be decided."""
        self._db.many(
            _UPSERT,
            [
                (
                    pair,
                    row.side.value,
                    row.record_id,
                    row.rev,
                    row.fp,
                    row.life,
                    row.into_id,
                    dumps(row.values) if row.values else "{}",
                    _problems_text(row),
                    row.version,
                    row.modified,
                    row.created,
                    dumps(dict(row.times)) if row.times else None,
                    row.marker,
                    int(row.hint),
                    row.seen_at,
                    row.due_at,
                )
                for row in rows
            ],
        )

    def look_again(self, pair: int, side: Side, record_ids: Iterable[str], due: Instant, rev: int) -> None:
        """These records are to be fetched by id and decided, no sooner than `due`. What was seen of them stays."""
        self._db.many(
            "INSERT INTO observation (pair, side, record_id, rev, life, vals, hint, seen_at, due_at) "
            "VALUES (?, ?, ?, ?, 'live', '{}', 1, 0, ?) ON CONFLICT (pair, side, record_id) DO UPDATE SET "
            "hint = 1, due_at = excluded.due_at, rev = excluded.rev",
            [(pair, side.value, record_id, rev, due) for record_id in sorted(set(record_ids))],
        )

    def outdated(self, pair: int, side: Side, record_id: str) -> None:
        """We have written the record since it was seen: when it is seen so again, somebody has put it back."""
        self._db.run(
            "UPDATE observation SET fp = NULL WHERE pair = ? AND side = ? AND record_id = ?",
            (pair, side.value, record_id),
        )

    def get(self, pair: int, side: Side, record_id: str) -> Observation | None:
        """What waits to be settled of one record."""
        row = self._db.run(
            f"SELECT {OBSERVATION_COLUMNS} FROM observation o WHERE o.pair = ? AND o.side = ? AND o.record_id = ?",
            (pair, side.value, record_id),
        ).fetchone()
        return None if row is None else observation_row(row)

    def beside(self, links: Iterable[int]) -> dict[int, tuple[Link, dict[Side, Sighting]]]:
        """The links that still live, by id, with what waits to be settled of either record."""
        rows = self._db.run(
            f"SELECT {LINK_COLUMNS}, o.rev, o.fp, o.version, o.seen_at, x.rev, x.fp, x.version, x.seen_at "
            "FROM json_each(?) n CROSS JOIN link l ON l.id = n.value "
            "LEFT JOIN observation o ON o.pair = l.pair AND o.side = 'left' AND o.record_id = l.left_id "
            "LEFT JOIN observation x ON x.pair = l.pair AND x.side = 'right' AND x.record_id = l.right_id",
            (dumps(sorted(links)),),
        )
        return {row[0]: (link_row(row), _sighted(row[LINK_WIDTH:])) for row in rows}

    def sightings(self, pair: int, side: Side, record_ids: Iterable[str]) -> dict[str, Sighting]:
        """What waits to be settled of these records, without their values, by id."""
        rows = self._db.run(
            "SELECT o.record_id, o.rev, o.fp, o.version, o.seen_at FROM json_each(?) j CROSS JOIN observation o "
            "ON o.pair = ? AND o.side = ? AND o.record_id = j.value",
            (dumps(list(record_ids)), pair, side.value),
        )
        return {row[0]: Sighting(*row[1:]) for row in rows}

    def hints(self, pair: int, side: Side, now: Instant, limit: int, settle: int) -> list[str]:
        """Ids that were only heard of, and are due themselves or by the other side of their link.

        `settle` are the milliseconds for which a record must have rested: only for these does the other side wait.
        """
        other = side.other
        rows = self._db.run(
            "SELECT o.record_id FROM observation o WHERE o.pair = ? AND o.side = ? AND o.hint = 1 AND (o.due_at <= ? "
            f"OR EXISTS (SELECT 1 FROM link l JOIN observation x ON x.pair = l.pair AND x.side = '{other.value}' "
            f"  AND x.record_id = l.{other.value}_id WHERE l.pair = o.pair AND l.{side.value}_id = o.record_id "
            "  AND (o.due_at IS NULL OR o.due_at > o.seen_at + ?) AND x.due_at <= ?)) ORDER BY o.record_id LIMIT ?",
            (pair, side.value, now, settle, now, limit),
        )
        return [row[0] for row in rows]

    def linked(
        self, pair: int, side: Side, now: Instant, after: str, limit: int, settle: int, cycle: int
    ) -> list[Pending]:
        """A window of links that are due by what was seen on `side`, in the order of its ids.

        Left out: links with a write in flight, or with an undo that is still to be sent; those of which `cycle` has
        staged a write already; links of which the other side has not rested for `settle` milliseconds yet, or was only
        heard of; and, for the right side, links that are due by their left side as well. A side that waits for longer
        was set aside: news of the other one is news of both.
        """
        other = side.other
        rows = self._db.run(
            f"SELECT {LINK_COLUMNS}, {OBSERVATION_COLUMNS}, "
            f"{OBSERVATION_COLUMNS.replace('o.', 'x.')} "
            f"FROM observation o JOIN link l ON l.pair = o.pair AND l.{side.value}_id = o.record_id "
            f"LEFT JOIN observation x ON x.pair = o.pair AND x.side = '{other.value}' "
            f"  AND x.record_id = l.{other.value}_id "
            "WHERE o.pair = ? AND o.side = ? AND o.due_at <= ? AND o.hint = 0 AND o.record_id > ? "
            "AND (x.due_at IS NULL OR x.due_at <= ? OR x.due_at > x.seen_at + ?) AND coalesce(x.hint, 0) = 0 "
            "AND (? OR x.due_at IS NULL OR x.due_at > ?) "
            "AND NOT EXISTS (SELECT 1 FROM operation p WHERE p.link = l.id AND p.closed_at IS NULL "
            "  AND (p.state IN ('sent', 'unknown') OR p.undoes IS NOT NULL OR p.cycle = ?)) "
            "ORDER BY o.record_id LIMIT ?",
            (pair, side.value, now, after, now, settle, side is LEFT, now, cycle, limit),
        )
        pending = []
        for row in rows:
            mine = observation_row(row[LINK_WIDTH : LINK_WIDTH + OBSERVATION_WIDTH])
            theirs = row[LINK_WIDTH + OBSERVATION_WIDTH :]
            pending.append(
                Pending(
                    link_row(row[:LINK_WIDTH]),
                    {side: mine, other: None if theirs[0] is None else observation_row(theirs)},
                )
            )
        return pending

    def seen_alone(self, pair: int, side: Side, now: Instant, seen: Iterable[Observation]) -> list[Pending]:
        """Of these observations of `side` those that still stand, are due, and linked, while nothing waits to be
        settled of the other record, neither is set aside, and no write to either is staged or sent. In the order of
        their ids."""
        other, mine = side.other, {row.record_id: row for row in seen}
        rows = self._db.run(
            f"SELECT {LINK_COLUMNS}, o.record_id, o.rev FROM json_each(?) j CROSS JOIN observation o "
            f"ON o.pair = ? AND o.side = '{side.value}' AND o.record_id = j.value "
            f"CROSS JOIN link l ON l.pair = o.pair AND l.{side.value}_id = o.record_id "
            "WHERE o.due_at <= ? AND o.hint = 0 AND NOT EXISTS (SELECT 1 FROM observation x "
            f"WHERE x.pair = o.pair AND x.side = '{other.value}' AND x.record_id = l.{other.value}_id) "
            "AND NOT EXISTS (SELECT 1 FROM operation p WHERE p.link = l.id AND p.closed_at IS NULL) "
            "AND NOT EXISTS (SELECT 1 FROM parked k WHERE k.pair = o.pair AND k.side = o.side "
            "  AND k.record_id = o.record_id) "
            f"AND NOT EXISTS (SELECT 1 FROM parked k WHERE k.pair = o.pair AND k.side = '{other.value}' "
            f"  AND k.record_id = l.{other.value}_id)",
            (dumps(sorted(mine)), pair, now),
        )
        return [
            Pending(link_row(row), {side: mine[row[LINK_WIDTH]], other: None})
            for row in rows
            if mine[row[LINK_WIDTH]].rev == row[LINK_WIDTH + 1]
        ]

    def unlinked(self, pair: int, side: Side, now: Instant, after: str, limit: int) -> list[Observation]:
        """A window of unlinked live records that are due, in the order of their ids; none with a create in flight."""
        rows = self._db.run(
            f"SELECT {OBSERVATION_COLUMNS} FROM observation o WHERE o.pair = ? AND o.side = ? AND o.due_at <= ? "
            "AND o.hint = 0 AND o.life = 'live' AND o.record_id > ? "
            f"AND NOT EXISTS (SELECT 1 FROM link l WHERE l.pair = o.pair AND l.{side.value}_id = o.record_id) "
            f"AND (o.side, o.record_id) NOT IN ({CREATES_IN_FLIGHT}) "
            "ORDER BY o.record_id LIMIT ?",
            (pair, side.value, now, after, pair, limit),
        )
        return [observation_row(row) for row in rows]

    def dead(self, pair: int, side: Side, now: Instant) -> list[str]:
        """Unlinked records that are gone, and are due; none with a create in flight."""
        rows = self._db.run(
            "SELECT o.record_id FROM observation o WHERE o.pair = ? AND o.side = ? AND o.due_at <= ? "
            "AND o.hint = 0 AND o.life <> 'live' "
            f"AND NOT EXISTS (SELECT 1 FROM link l WHERE l.pair = o.pair AND l.{side.value}_id = o.record_id) "
            f"AND (o.side, o.record_id) NOT IN ({CREATES_IN_FLIGHT}) ORDER BY o.record_id",
            (pair, side.value, now, pair),
        )
        return [row[0] for row in rows]

    def born_since(self, pair: int, side: Side, since: Instant) -> list[Observation]:
        """Unlinked records that may have been created since then, by the app's clock; some may be gone by now."""
        rows = self._db.run(
            f"SELECT {OBSERVATION_COLUMNS} FROM observation o WHERE o.pair = ? AND o.side = ? "
            "AND o.hint = 0 AND (o.created IS NULL OR o.created >= ?) "
            f"AND NOT EXISTS (SELECT 1 FROM link l WHERE l.pair = o.pair AND l.{side.value}_id = o.record_id) "
            "ORDER BY o.record_id",
            (pair, side.value, since),
        )
        return [observation_row(row) for row in rows]

    def with_marker(self, pair: int, side: Side, marker: str) -> list[str]:
        """The records that were seen with this marker of ours."""
        rows = self._db.run(
            "SELECT record_id FROM observation WHERE pair = ? AND side = ? AND marker = ? ORDER BY record_id",
            (pair, side.value, marker),
        )
        return [row[0] for row in rows]

    def heard_of(self, pair: int, side: Side, since: Instant) -> bool:
        """Whether an unlinked record that may have been created since then is still to be read by id."""
        return bool(
            self._db.one(
                "SELECT EXISTS (SELECT 1 FROM observation o WHERE o.pair = ? AND o.side = ? AND o.life = 'live' "
                "AND o.hint = 1 AND o.due_at IS NOT NULL AND (o.created IS NULL OR o.created >= ?) "
                f"AND NOT EXISTS (SELECT 1 FROM link l WHERE l.pair = o.pair AND l.{side.value}_id = o.record_id))",
                (pair, side.value, since),
            )
        )

    def settle(self, pair: int, rows: Iterable[tuple[Side, str, int | None]]) -> None:
        """These sightings, as (side, id, rev), are settled: forget them, unless something newer was seen since."""
        self._db.many(
            "DELETE FROM observation WHERE pair = ? AND side = ? AND record_id = ? AND rev <= ?",
            [(pair, side.value, record_id, rev) for side, record_id, rev in rows if rev is not None],
        )

    def forget(self, pair: int, side: Side, record_id: str) -> None:
        """There is no such record any more, and nothing was linked to it."""
        self._db.run(
            "DELETE FROM observation WHERE pair = ? AND side = ? AND record_id = ?", (pair, side.value, record_id)
        )

    def wait(self, pair: int, records: Iterable[tuple[Side, str]], until: Instant | None = None) -> None:
        """Decide these no sooner than `until`, or not before something happens."""
        self._db.many(
            "UPDATE observation SET due_at = ? WHERE pair = ? AND side = ? AND record_id = ?",
            [(until, pair, side.value, record_id) for side, record_id in records],
        )

    def tried(self, pair: int, side: Side, record_id: str) -> int:
        """Count one more decision about this record that came to nothing; how many there were with this content."""
        return int(
            self._db.one(
                "UPDATE observation SET tries = tries + 1 WHERE pair = ? AND side = ? AND record_id = ? "
                "RETURNING tries",
                (pair, side.value, record_id),
            )
            or 0
        )

    def next_due(self, pair: int) -> Instant | None:
        """When the earliest of them is due."""
        return self._db.one("SELECT min(due_at) FROM observation WHERE pair = ?", (pair,))  # type: ignore[no-any-return]

    # -- snapshots

    def not_shown(self, pair: int, side: Side, before: Instant, listed: Listed | None) -> list[str]:
        """Records that a complete listing, begun at `before`, should have shown: those of links from before it, and
        what waits to be settled. `listed` are the links whose records it did show; `None` where it showed all of them.
        """
        waiting = self._db.run(
            "SELECT record_id FROM observation WHERE pair = ? AND side = ? AND seen_at < ?", (pair, side.value, before)
        )
        missing = {row[0] for row in waiting}
        if listed is not None:
            linked = self._db.run(
                f"SELECT id, {side.value}_id FROM link WHERE pair = ? AND linked_at < ?", (pair, before)
            )
            missing.update(record_id for number, record_id in linked if number not in listed)
        return sorted(missing)


def _sighted(row: Sequence[Any]) -> dict[Side, Sighting]:
    """What was seen of either side, from the columns of a sighting twice."""
    return {side: Sighting(*row[at : at + 4]) for side, at in ((LEFT, 0), (RIGHT, 4)) if row[at] is not None}


def _problems_text(row: Observation) -> str | None:
    """What was overlooked is told from what cannot be read by having no reason."""
    if not row.problems and not row.overlooked:
        return None
    return dumps({**dict.fromkeys(row.overlooked, ""), **row.problems})
