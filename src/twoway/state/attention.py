"""What waits for a person, or for another try: conflicts, and records that were set aside."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from twoway.core.model import Instant, Side, Value
from twoway.core.reconcile import FieldConflict
from twoway.core.resolve import Verdict
from twoway.state.database import Database
from twoway.state.rows import dumps, loads

UNREADABLE: Final = "unreadable"
"""The code of a record with a field that cannot be read: it stays until that very record is read without."""
_NUMBERS: Final = 20
"""Earlier numbers of a conflict that are remembered, to tell whoever was shown one of them which it has now."""


class ConflictRow(NamedTuple):
    """One field of one link of which both sides' values wait for a person. The number stands for just these values."""

    id: int
    pair: str
    link: int
    left_id: str
    right_id: str
    field: str
    left: Value
    right: Value
    rule: str
    opened_at: Instant
    state: str


class ParkedRow(NamedTuple):
    """A record that was set aside: why, and when it is tried again (`None`: when it changes, or a person says so)."""

    pair: str
    side: Side
    record_id: str
    code: str
    field: str | None
    reason: str
    since: Instant
    tries: int
    retry_at: Instant | None


class Parking(NamedTuple):
    """A record to be set aside."""

    side: Side
    record_id: str
    code: str
    reason: str
    field: str | None = None
    retry_at: Instant | None = None


class Attention:
    """The tables `conflict` and `parked`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # -- conflicts

    def set_conflicts(
        self, pair: int, link: int, conflicts: Iterable[FieldConflict], *, keep: Iterable[str], now: Instant
    ) -> None:
        """The link's open conflicts are these; one whose values are as before keeps its age and its number.

        One with other values gets a new number: whoever decides by the old one was shown something else. `keep` are
        the fields of which a verdict is being carried out: theirs stay until that is done.
        """
        before = {
            field: (number, (left, right), loads(earlier) or [])
            for number, field, left, right, earlier in self._db.run(
                "SELECT id, field, left_value, right_value, earlier FROM conflict WHERE link = ?", (link,)
            )
        }
        rows = {conflict.field: conflict for conflict in conflicts}
        as_before: list[tuple[Any, ...]] = []
        new: list[tuple[Any, ...]] = []
        dropped = [(number,) for field, (number, *_) in before.items() if field not in rows and field not in {*keep}]
        for field, conflict in rows.items():
            values, earlier = (dumps(conflict.left), dumps(conflict.right)), None
            if field in before:
                number, held, numbers = before[field]
                if held == values:
                    as_before.append((conflict.rule, number))
                    continue
                dropped.append((number,))
                earlier = dumps([*numbers, number][-_NUMBERS:])
            new.append((pair, link, field, *values, conflict.rule, now, earlier))
        self._db.many("DELETE FROM conflict WHERE id = ?", dropped)
        self._db.many(
            "UPDATE conflict SET rule = ?, state = 'open', verdict = NULL, decided_at = NULL WHERE id = ?", as_before
        )
        self._db.many(
            "INSERT INTO conflict (pair, link, field, left_value, right_value, rule, opened_at, earlier, state) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open')",
            new,
        )

    def verdicts(self, links: Iterable[int]) -> dict[int, dict[str, Verdict]]:
        """People's decisions that are still to be carried out, by link and field."""
        found: dict[int, dict[str, Verdict]] = {}
        for link, field, left, right, verdict in self._db.run(
            "SELECT c.link, c.field, c.left_value, c.right_value, c.verdict FROM json_each(?) n "
            "CROSS JOIN conflict c ON c.link = n.value AND c.state = 'decided'",
            (dumps(sorted(links)),),
        ):
            found.setdefault(link, {})[field] = Verdict(loads(left), loads(right), loads(verdict))
        return found

    def decide(self, shown: ConflictRow, value: Value, now: Instant) -> bool:
        """A person chose the value that both sides are to hold; whether the conflict still is what they were shown."""
        found = self._db.run(
            "UPDATE conflict SET state = 'decided', verdict = ?, decided_at = ? "
            "WHERE id = ? AND link = ? AND field = ? AND left_value = ? AND right_value = ?",
            (dumps(value), now, shown.id, shown.link, shown.field, dumps(shown.left), dumps(shown.right)),
        )
        return found.rowcount > 0

    def number_now(self, link: int, field: str) -> int | None:
        """The number of the conflict of this field; `None` where there is none."""
        number: int | None = self._db.one("SELECT id FROM conflict WHERE link = ? AND field = ?", (link, field))
        return number

    def renumbered(self, number: int) -> int | None:
        """The number that a conflict has by now which once had this one, with other values."""
        now: int | None = self._db.one(
            "SELECT id FROM conflict WHERE earlier IS NOT NULL AND ? IN (SELECT n.value FROM json_each(earlier) n)",
            (number,),
        )
        return now

    def carried_out(self, link: int, fields: Iterable[str]) -> None:
        """These fields of the link agree again."""
        self._db.many("DELETE FROM conflict WHERE link = ? AND field = ?", [(link, field) for field in fields])

    def took(self, link: int, side: Side, values: Mapping[str, Value]) -> None:
        """One side now stores these, by a verdict of which the other side's write is not done yet."""
        self._db.many(
            f"UPDATE conflict SET {side.value}_value = ? WHERE link = ? AND field = ?",
            [(dumps(value), link, field) for field, value in values.items()],
        )

    def values(self, link: int, side: Side) -> dict[str, Value]:
        """What one side held of each field in conflict when that was opened, or holds by a verdict."""
        rows = self._db.run(f"SELECT field, {side.value}_value FROM conflict WHERE link = ?", (link,))
        return {field: loads(value) for field, value in rows}

    def unsettled(self, links: Iterable[int]) -> dict[int, bool]:
        """Those of these links of which a field waits for a person, or for a verdict to be carried out; and whether
        there is such a verdict."""
        rows = self._db.run(
            "SELECT c.link, max(CASE c.state WHEN 'decided' THEN 1 ELSE 0 END) FROM json_each(?) n "
            "CROSS JOIN conflict c ON c.link = n.value "
            "GROUP BY c.link",
            (dumps(list(links)),),
        )
        return {link: bool(decided) for link, decided in rows}

    def conflicts(self, pair: int | None = None, conflict: int | None = None) -> list[ConflictRow]:
        """The conflicts that are open, or decided and not yet carried out; the oldest first."""
        wanted: dict[str, Any] = {"c.pair": pair, "c.id": conflict}
        chosen = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in chosen) or "TRUE"
        rows = self._db.run(
            "SELECT c.id, p.name, c.link, l.left_id, l.right_id, c.field, c.left_value, c.right_value, c.rule, "
            f"c.opened_at, c.state FROM conflict c JOIN link l ON l.id = c.link JOIN pair p ON p.id = c.pair "
            f"WHERE {where} ORDER BY c.id",
            tuple(chosen.values()),
        )
        return [
            ConflictRow(r[0], r[1], r[2], r[3], r[4], r[5], loads(r[6]), loads(r[7]), r[8], r[9], r[10]) for r in rows
        ]

    # -- parked records

    def park(self, pair: int, rows: Iterable[Parking], now: Instant) -> None:
        """Set records aside; one that was set aside before counts another try.

        A record is taken out of here for every try to write it, and counts as no longer set aside while that is under
        way. How often that came to nothing is known from its observation, for as long as its content is the same.
        """
        self._db.many(
            "INSERT INTO parked (pair, side, record_id, code, field, reason, since, retry_at, tries) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, coalesce((SELECT nullif(o.tries, 0) FROM observation o "
            "WHERE o.pair = ? AND o.side = ? AND o.record_id = ?), 1)) "
            "ON CONFLICT (pair, side, record_id) DO UPDATE SET "
            "code = excluded.code, field = excluded.field, reason = excluded.reason, "
            "tries = CASE WHEN parked.tries < excluded.tries THEN excluded.tries ELSE parked.tries + 1 END, "
            "retry_at = excluded.retry_at",
            [
                (*(key := (pair, r.side.value, r.record_id)), r.code, r.field, r.reason, now, r.retry_at, *key)
                for r in rows
            ],
        )

    def unpark(self, pair: int, records: Iterable[tuple[Side, str]], *, but: str = "") -> None:
        """These are in order again; those that were set aside with the code `but` are not."""
        if not self._db.one("SELECT EXISTS (SELECT 1 FROM parked WHERE pair = ?)", (pair,)):
            return
        ids: dict[Side, list[str]] = {side: [] for side in Side}
        for side, record_id in records:
            ids[side].append(record_id)
        for side, wanted in ids.items():
            if wanted:
                self._db.run(
                    "DELETE FROM parked WHERE pair = ? AND side = ? AND code <> ? "
                    "AND record_id IN (SELECT value FROM json_each(?))",
                    (pair, side.value, but, dumps(wanted)),
                )

    def parked(self, pair: int | None = None) -> list[ParkedRow]:
        """Every record that is set aside, the oldest first."""
        where, params = ("", ()) if pair is None else ("WHERE k.pair = ?", (pair,))
        rows = self._db.run(
            "SELECT p.name, k.side, k.record_id, k.code, k.field, k.reason, k.since, k.tries, k.retry_at "
            f"FROM parked k JOIN pair p ON p.id = k.pair {where} ORDER BY k.since, k.side, k.record_id",
            params,
        )
        return [ParkedRow(row[0], Side(row[1]), *row[2:]) for row in rows]
