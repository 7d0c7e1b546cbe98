"""Links, the match keys of every record that was seen, and the marks of records that are not to be taken for new."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from twoway.core.match import Holder, Slots, Standing
from twoway.core.model import LEFT, RIGHT, Instant, Side, Value, Values
from twoway.state.database import Database
from twoway.state.rows import CREATES_IN_FLIGHT, LINK_COLUMNS, Link, dumps, link_row


class Mark(NamedTuple):
    """Why an unlinked record is not taken for new. A `left_out` one is looked at again when its content changes."""

    side: Side
    record_id: str
    kind: str  # tombstone | retired | left_out
    reason: str
    fp: int | None = None


class NewLink(NamedTuple):
    """What a link starts with."""

    ids: Mapping[Side, str]
    bases: Mapping[Side, Values]
    fps: Mapping[Side, int | None]
    versions: Mapping[Side, str | None]
    receipts: Mapping[Side, str | None]


class LinkWritten(NamedTuple):
    """What a write to one side leaves of a link: both bases, and of the side that was written fingerprint and version
    as last seen, and what the write made of it."""

    link: int
    bases: Mapping[Side, Values]
    fp: int | None
    version: str | None
    receipt: str


class Links:
    """The tables `link`, `match_key` and `mark`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # -- links

    def get(self, link: int) -> Link | None:
        """The link of this id, while it lives."""
        row = self._db.run(f"SELECT {LINK_COLUMNS} FROM link l WHERE l.id = ?", (link,)).fetchone()
        return None if row is None else link_row(row)

    def of(self, pair: int, side: Side, record_id: str) -> Link | None:
        """The link of a record."""
        row = self._db.run(
            f"SELECT {LINK_COLUMNS} FROM link l WHERE l.pair = ? AND l.{side.value}_id = ?", (pair, record_id)
        ).fetchone()
        return None if row is None else link_row(row)

    def linked(self, pair: int, side: Side, record_ids: Iterable[str]) -> set[str]:
        """Those of these records that are linked."""
        rows = self._db.run(
            f"SELECT j.value FROM json_each(?) j CROSS JOIN link l ON l.pair = ? AND l.{side.value}_id = j.value",
            (dumps(list(record_ids)), pair),
        )
        return {row[0] for row in rows}

    def count(self, pair: int) -> int:
        """Live links of the pair."""
        return int(self._db.one("SELECT count(*) FROM link WHERE pair = ?", (pair,)))

    def add(self, pair: int, new: NewLink, now: Instant) -> int:
        """Link two records. Their marks and parkings end."""
        self.add_all(pair, [new], now)
        return int(self._db.one("SELECT id FROM link WHERE pair = ? AND left_id = ?", (pair, new.ids[LEFT])))

    def add_all(self, pair: int, news: Sequence[NewLink], now: Instant) -> None:
        """The same for many."""
        self._db.many(
            "INSERT INTO link (left_id, right_id, left_fp, right_fp, left_version, right_version, left_base, "
            "right_base, left_receipt, right_receipt, pair, linked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*_columns(new), pair, now) for new in news],
        )
        for side in Side:
            ids = dumps([new.ids[side] for new in news])
            for table, but in (("mark", ""), ("parked", "AND code <> 'unreadable'")):
                self._db.run(
                    f"DELETE FROM {table} WHERE pair = ? AND side = ? {but} "
                    "AND record_id IN (SELECT value FROM json_each(?))",
                    (pair, side.value, ids),
                )

    def relink(self, link: int, new: NewLink) -> None:
        """Give a link other records or bases, as after a merge or a record that was created anew."""
        self._db.run(
            "UPDATE link SET left_id = ?, right_id = ?, left_fp = ?, right_fp = ?, left_version = ?, "
            "right_version = ?, left_base = ?, right_base = ?, left_receipt = ?, right_receipt = ?, left_raw = NULL, "
            "right_raw = NULL WHERE id = ?",
            (*_columns(new), link),
        )

    def remove(self, link: int) -> None:
        """End a link; its open conflicts end with it. The caller marks the records."""
        self._db.run("DELETE FROM conflict WHERE link = ?", (link,))
        self._db.run("DELETE FROM link WHERE id = ?", (link,))

    def set_bases(self, rows: Iterable[tuple[int, Mapping[Side, Values]]]) -> None:
        """What each side was last known to store, by link."""
        self._db.many(
            "UPDATE link SET left_base = ?, right_base = ? WHERE id = ?",
            [(*_bases(bases), link) for link, bases in rows],
        )

    def wrote(self, side: Side, rows: Iterable[LinkWritten], gave: Mapping[int, tuple[int | None, str | None]]) -> None:
        """What writes to one side, of a link each, leave of both sides. `gave` are fingerprint and version of the other
        side, by link, where what was seen of it is settled."""
        one, other = side.value, side.other.value
        self._db.many(
            f"UPDATE link SET left_base = ?, right_base = ?, {one}_fp = ?, {one}_version = ?, {one}_receipt = ?, "
            f"{one}_raw = NULL, {other}_fp = CASE WHEN ? THEN ? ELSE {other}_fp END, "
            f"{other}_version = coalesce(?, {other}_version), {other}_raw = CASE WHEN ? THEN NULL ELSE {other}_raw END "
            "WHERE id = ?",
            [
                (
                    *_bases(row.bases),
                    row.fp,
                    row.version,
                    row.receipt,
                    row.link in gave,
                    *gave.get(row.link, (None, None)),
                    row.link in gave,
                    row.link,
                )
                for row in rows
            ],
        )

    def set_seen(self, rows: Sequence[tuple[int, Side, int | None, str | None]]) -> None:
        """Fingerprint and version that were last seen, for (link, side)."""
        for side in Side:
            self._db.many(
                f"UPDATE link SET {side.value}_fp = ?, {side.value}_version = coalesce(?, {side.value}_version), "
                f"{side.value}_raw = NULL WHERE id = ?",
                [(fp, version, link) for link, of, fp, version in rows if of is side],
            )

    def touched(self, side: Side, rows: Iterable[tuple[int, str | None, int | None]]) -> None:
        """Records whose content did not change, as (link, version, hash of their raw values): remember the version for
        conditional writes, if one is given, and the hash, by which the same content is recognised unread."""
        self._db.many(
            f"UPDATE link SET {side.value}_version = coalesce(?, {side.value}_version), {side.value}_raw = ? "
            "WHERE id = ?",
            [(version, raw, link) for link, version, raw in rows],
        )

    def hold(self, link: int, held: Mapping[str, list[Value]]) -> None:
        """The pairs of values that an undo left to differ, by field."""
        self._db.run("UPDATE link SET held = ? WHERE id = ?", (dumps(held) if held else None, link))

    # -- match keys

    def set_keys(self, pair: int, side: Side, records: Sequence[tuple[str, Slots]]) -> None:
        """Replace what these records can be matched by. What stays as it is costs no write."""
        wanted = {
            (record_id, slot, key) for record_id, slots in records for slot, key in enumerate(slots) if key is not None
        }
        known = set(
            self._db.run(
                "SELECT k.record_id, k.slot, k.key FROM json_each(?) j CROSS JOIN match_key k "
                "ON k.pair = ? AND k.side = ? AND k.record_id = j.value",
                (dumps([record_id for record_id, _ in records]), pair, side.value),
            )
        )
        self._db.many(
            "DELETE FROM match_key WHERE pair = ? AND slot = ? AND key = ? AND side = ? AND record_id = ?",
            [(pair, slot, key, side.value, record_id) for record_id, slot, key in sorted(known - wanted)],
        )
        self._db.many(
            "INSERT INTO match_key (pair, slot, key, side, record_id) VALUES (?, ?, ?, ?, ?)",
            [(pair, slot, key, side.value, record_id) for record_id, slot, key in sorted(wanted - known)],
        )

    def holders(self, pair: int, keys: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Holder]]:
        """Who holds each (slot, hash), and whether it may be matched."""
        wanted = dumps([list(key) for key in sorted(set(keys))])
        rows = self._db.run(
            "SELECT k.slot, k.key, k.side, k.record_id, "
            "CASE WHEN ll.id IS NOT NULL OR lr.id IS NOT NULL THEN 'linked' "
            "WHEN EXISTS (SELECT 1 FROM mark m WHERE m.pair = k.pair AND m.side = k.side "
            "  AND m.record_id = k.record_id AND m.kind <> 'left_out') "
            f"OR (k.side, k.record_id) IN ({CREATES_IN_FLIGHT}) THEN 'aside' ELSE 'free' END "
            "FROM json_each(?) w CROSS JOIN match_key k "
            "ON k.pair = ? AND k.slot = w.value ->> 0 AND k.key = w.value ->> 1 "
            "LEFT JOIN link ll ON k.side = 'left' AND ll.pair = k.pair AND ll.left_id = k.record_id "
            "LEFT JOIN link lr ON k.side = 'right' AND lr.pair = k.pair AND lr.right_id = k.record_id "
            "ORDER BY k.side, k.record_id",
            (pair, wanted, pair),
        )
        found: dict[tuple[int, int], list[Holder]] = {}
        for slot, key, side, record_id, standing in rows:
            found.setdefault((slot, key), []).append(Holder(Side(side), record_id, Standing(standing)))
        return found

    def keys_of(self, pair: int, records: Iterable[Holder]) -> dict[Holder, list[int | None]]:
        """The slots of these records."""
        found: dict[Holder, list[int | None]] = {}
        for holder in records:
            slots: list[int | None] = []
            for slot, key in self._db.run(
                "SELECT slot, key FROM match_key WHERE pair = ? AND side = ? AND record_id = ? ORDER BY slot",
                (pair, holder.side.value, holder.id),
            ):
                slots.extend([None] * (slot - len(slots)))
                slots.append(key)
            found[holder] = slots
        return found

    def drop_keys(self, pair: int, side: Side, record_id: str) -> None:
        """The record is no more."""
        self._db.run(
            "DELETE FROM match_key WHERE pair = ? AND side = ? AND record_id = ?", (pair, side.value, record_id)
        )

    # -- marks

    def mark(self, pair: int, marks: Iterable[Mark], now: Instant) -> None:
        """Note why these records are not to be taken for new."""
        self._db.many(
            "INSERT INTO mark (pair, side, record_id, kind, fp, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (pair, side, record_id) DO UPDATE SET kind = excluded.kind, fp = excluded.fp, "
            "reason = excluded.reason, at = excluded.at",
            [(pair, m.side.value, m.record_id, m.kind, m.fp, m.reason, now) for m in marks],
        )

    def saw_marked(self, pair: int, side: Side, record_id: str, fp: int | None) -> None:
        """If the record is marked: it is not looked at again before its content differs from this."""
        self._db.run(
            "UPDATE mark SET fp = ? WHERE pair = ? AND side = ? AND record_id = ?", (fp, pair, side.value, record_id)
        )

    def unmark(self, pair: int, side: Side, record_id: str) -> None:
        """Let the record be looked at like any other."""
        self._db.run("DELETE FROM mark WHERE pair = ? AND side = ? AND record_id = ?", (pair, side.value, record_id))

    def marks(self, pair: int, side: Side, record_ids: Iterable[str]) -> dict[str, Mark]:
        """The marks of these records, by id."""
        rows = self._db.run(
            "SELECT m.record_id, m.kind, m.reason, m.fp FROM json_each(?) j CROSS JOIN mark m "
            "ON m.pair = ? AND m.side = ? AND m.record_id = j.value",
            (dumps(sorted(record_ids)), pair, side.value),
        )
        return {row[0]: Mark(side, row[0], row[1], row[2], row[3]) for row in rows}


def _columns(new: NewLink) -> tuple[Any, ...]:
    left, right = LEFT, RIGHT
    return (
        new.ids[left],
        new.ids[right],
        new.fps[left],
        new.fps[right],
        new.versions[left],
        new.versions[right],
        *_bases(new.bases),
        new.receipts[left],
        new.receipts[right],
    )


def _bases(bases: Mapping[Side, Values]) -> tuple[str, str | None]:
    """The two columns: the right one is null where both sides are the same."""
    left, right = dumps(bases[LEFT]), dumps(bases[RIGHT])
    return left, None if right == left else right
