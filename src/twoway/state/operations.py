"""The plan, which is the journal, and so the history of every value that was ever replaced."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from twoway.core.model import LEFT, RIGHT, Instant, Kind, Side, Value, Values
from twoway.core.plan import State, Totals
from twoway.core.reconcile import Edit
from twoway.state.database import Database
from twoway.state.rows import OPERATION_COLUMNS, StagedOperation, dumps, edit_from, edit_text, operation_row

_WITHDRAWN: Final = "withdrawn by a person"
_OUTDATED: Final = "the mapping has changed since"
_OUTCOME: Final = (
    "CASE WHEN p.state = 'done' THEN 'done' WHEN p.closed_at IS NULL THEN 'sent' "
    "WHEN p.in_doubt = 1 THEN 'unknown' ELSE 'never' END"
)


class Staging(NamedTuple):
    """One operation to be staged. `version` is that of the record to be written; of a create, that of the one carried
    over. `fps` are the link's fingerprints once it is done as sent."""

    edit: Edit
    link: int | None
    record_id: str | None
    counterpart_id: str | None
    version: str | None
    revs: Mapping[Side, int | None]
    fps: Mapping[Side, int | None]
    undoes: int | None = None


class HistoryRow(NamedTuple):
    """A value that was replaced. `state` tells what became of the write that replaced it: `sent` while that is open,
    `done`, `never`, or `unknown` where nobody can tell."""

    pair: str
    cycle: int
    operation: int
    link: int | None
    side: Side
    record_id: str
    field: str
    old: Value
    new: Value
    rule: str
    at: Instant
    state: str


class Operations:
    """The table `operation`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def stage(self, pair: int, cycle: int, rows: Sequence[Staging], state: State) -> None:
        """Add operations to a cycle's plan."""
        self._db.many(
            "INSERT INTO operation (pair, cycle, link, side, kind, record_id, counterpart_id, version, edit, state, "
            "left_rev, right_rev, left_fp, right_fp, undoes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    pair,
                    cycle,
                    row.link,
                    row.edit.side.value,
                    row.edit.kind.value,
                    row.record_id,
                    row.counterpart_id,
                    row.version,
                    edit_text(row.edit),
                    state.value,
                    row.revs[LEFT],
                    row.revs[RIGHT],
                    row.fps[LEFT],
                    row.fps[RIGHT],
                    row.undoes,
                )
                for row in rows
            ],
        )

    def planned(
        self, pair: int, side: Side, kind: Kind, after: int, limit: int, state: State = State.PLANNED
    ) -> list[StagedOperation]:
        """A window of the plan, in the order in which it was staged."""
        rows = self._db.run(
            f"SELECT {OPERATION_COLUMNS} FROM operation p WHERE p.pair = ? AND p.state = ? AND p.side = ? "
            "AND p.closed_at IS NULL "
            "AND p.kind = ? AND p.id > ? ORDER BY p.id LIMIT ?",
            (pair, state.value, side.value, kind.value, after, limit),
        )
        return [operation_row(row) for row in rows]

    def in_state(self, pair: int, *states: State) -> list[StagedOperation]:
        """The pair's operations that are in one of these live states."""
        marks = ", ".join("?" for _ in states)
        rows = self._db.run(
            f"SELECT {OPERATION_COLUMNS} FROM operation p WHERE p.pair = ? AND p.state IN ({marks}) "
            "AND p.closed_at IS NULL ORDER BY p.id",
            (pair, *(state.value for state in states)),
        )
        return [operation_row(row) for row in rows]

    def planned_beside_doubt(self, pair: int) -> list[StagedOperation]:
        """What is staged and not sent, of links of which another write may have taken effect."""
        rows = self._db.run(
            f"SELECT {OPERATION_COLUMNS} FROM operation p WHERE p.pair = ? AND p.state IN ('planned', 'held') "
            "AND p.closed_at IS NULL AND EXISTS (SELECT 1 FROM operation q WHERE q.link = p.link "
            "AND q.closed_at IS NULL AND q.state IN ('sent', 'unknown')) ORDER BY p.id",
            (pair,),
        )
        return [operation_row(row) for row in rows]

    def of_cycle(self, cycle: int) -> list[StagedOperation]:
        """Everything that a cycle staged."""
        rows = self._db.run(f"SELECT {OPERATION_COLUMNS} FROM operation p WHERE p.cycle = ? ORDER BY p.id", (cycle,))
        return [operation_row(row) for row in rows]

    def waiting(self, cycle: int, limit: int) -> tuple[list[StagedOperation], int]:
        """The first of what a cycle staged and has not sent, and how much that is in all."""
        where = "FROM operation p WHERE p.cycle = ? AND p.state IN (?, ?)"
        params = (cycle, State.PLANNED.value, State.HELD.value)
        rows = self._db.run(f"SELECT {OPERATION_COLUMNS} {where} ORDER BY p.id LIMIT ?", (*params, limit))
        return [operation_row(row) for row in rows], int(self._db.one(f"SELECT count(*) {where}", params))

    def kinds(self, pair: int, states: Sequence[State]) -> dict[tuple[Side, Kind], int]:
        """How many writes of each kind are staged for each side, and not sent."""
        return self._kinds(pair, states)

    def _kinds(self, pair: int, states: Sequence[State], but: str = "") -> dict[tuple[Side, Kind], int]:
        marks = ", ".join("?" for _ in states)
        rows = self._db.run(
            f"SELECT side, kind, count(*) FROM operation WHERE pair = ? AND state IN ({marks}) AND closed_at IS NULL "
            f"{but} GROUP BY side, kind",
            (pair, *(state.value for state in states)),
        )
        return {(Side(side), Kind(kind)): number for side, kind, number in rows}

    def totals(self, pair: int, links: int, states: Sequence[State]) -> Totals:
        """The counts of what is staged and not sent, for the guard. Only of updates has the content to be looked at.

        What takes an earlier write back is not among them: a person asked for just that.
        """
        totals = Totals(links=links)
        for (side, kind), number in self._kinds(pair, states, "AND undoes IS NULL").items():
            match kind:
                case Kind.CREATE:
                    totals.creates[side] += number
                    totals.retried[side] += self._retried(pair, side, states)
                case Kind.UPDATE:
                    totals.updates[side] += number
                    totals.blanks[side] += sum(self._blanks(pair, side, state) for state in states)
                case Kind.DELETE | Kind.ARCHIVE:
                    totals.deletes[side] += number
        return totals

    def _retried(self, pair: int, side: Side, states: Sequence[State]) -> int:
        marks = ", ".join("?" for _ in states)
        return int(
            self._db.one(
                # In this order: each operation finds its observation by key.
                "SELECT count(*) FROM operation p CROSS JOIN observation o "
                "ON o.pair = p.pair AND o.side = ? AND o.record_id = p.counterpart_id AND o.tries > 0 "
                "WHERE p.pair = ? AND p.side = ? AND p.kind = 'create' AND p.closed_at IS NULL "
                f"AND p.state IN ({marks})",
                (side.other.value, pair, side.value, *(state.value for state in states)),
            )
        )

    def _blanks(self, pair: int, side: Side, state: State) -> int:
        """Updates that empty a field which is filled; only such as hold a blank at all are read."""
        rows = self._db.run(
            f"SELECT {OPERATION_COLUMNS} FROM operation p WHERE p.pair = ? AND p.state = ? AND p.side = ? "
            "AND p.kind = 'update' AND p.closed_at IS NULL AND p.undoes IS NULL AND instr(p.edit, ':null') > 0",
            (pair, state.value, side.value),
        )
        return sum(operation_row(row).edit.empties for row in rows)

    def live_on_link(self, link: int) -> bool:
        """Whether an operation of the link is not closed."""
        return link in self.live_on([link])

    def live_on(self, links: Iterable[int]) -> set[int]:
        """Those of these links that have an operation which is not closed."""
        rows = self._db.run(
            "SELECT n.value FROM json_each(?) n WHERE EXISTS "
            "(SELECT 1 FROM operation p WHERE p.link = n.value AND p.closed_at IS NULL)",
            (dumps(list(links)),),
        )
        return {row[0] for row in rows}

    def pending_create_of(self, pair: int, side: Side, record_id: str) -> bool:
        """Whether a counterpart of this unlinked record was sent, and may have been made."""
        return bool(
            self._db.one(
                "SELECT 1 FROM operation WHERE pair = ? AND state IN ('sent', 'unknown') AND side = ? "
                "AND closed_at IS NULL "
                "AND kind = 'create' AND counterpart_id = ? LIMIT 1",
                (pair, side.other.value, record_id),
            )
        )

    def close(
        self, ids: Iterable[int], state: State, now: Instant, reason: str | None = None, *, in_doubt: bool = False
    ) -> None:
        """Operations end. The caller sees to it that their records stay observed unless they are done.

        `in_doubt`: they were sent, and whether they took effect nobody can tell.
        """
        self._db.many(
            "UPDATE operation SET state = ?, closed_at = ?, reason = ?, in_doubt = ? WHERE id = ?",
            [(state.value, now, reason, int(in_doubt), operation) for operation in ids],
        )

    def done(self, ids: Iterable[int], now: Instant, reason: str | None = None) -> None:
        """Operations took effect on the records that they were for."""
        self._db.run(
            "UPDATE operation SET state = 'done', closed_at = ?, reason = ? "
            "WHERE id IN (SELECT n.value FROM json_each(?) n)",
            (now, reason, dumps(list(ids))),
        )

    def made(self, rows: Iterable[tuple[int, str]], now: Instant, reason: str | None = None) -> None:
        """Creates took effect: these records are theirs."""
        self._db.many(
            "UPDATE operation SET state = 'done', closed_at = ?, reason = ?, record_id = ? WHERE id = ?",
            [(now, reason, record_id, operation) for operation, record_id in rows],
        )

    def in_flight(self, link: int, *, but: int = 0) -> bool:
        """Whether a write to one of the link's records may take effect yet, other than those of the cycle `but`."""
        return bool(
            self._db.one(
                "SELECT 1 FROM operation WHERE link = ? AND closed_at IS NULL AND state IN ('sent', 'unknown') "
                "AND cycle <> ? LIMIT 1",
                (link, but),
            )
        )

    def undo_waits(self, link: int, operation: int) -> bool:
        """Whether the undo of another cycle than that of `operation` is still to be sent to one of the records."""
        return bool(
            self._db.one(
                "SELECT 1 FROM operation p JOIN operation q ON q.id = p.undoes "
                "WHERE p.link = ? AND p.closed_at IS NULL "
                "AND q.cycle <> (SELECT cycle FROM operation WHERE id = ?) LIMIT 1",
                (link, operation),
            )
        )

    def drop_plan(self, pair: int, now: Instant) -> None:
        """What an earlier cycle staged and did not send is decided anew; an undo that a person asked for stays."""
        self._db.run(
            "UPDATE operation SET state = 'superseded', closed_at = ?, reason = 'decided anew' "
            "WHERE pair = ? AND state IN ('planned', 'held') AND closed_at IS NULL AND undoes IS NULL",
            (now, pair),
        )

    def take_back(self, pair: int, cycle: int, now: Instant) -> None:
        """Updates that a cycle staged by one side alone, and that no longer fit: something else was seen since of that
        side or of the other one, or the link has changed."""
        for side in Side:
            to, giver = side.value, side.other.value
            self._db.run(
                "UPDATE operation SET state = 'superseded', closed_at = ?, reason = 'decided anew' "
                "WHERE pair = ? AND state = 'planned' AND side = ? AND kind = 'update' AND closed_at IS NULL "
                "AND cycle = ? AND undoes IS NULL AND (EXISTS (SELECT 1 FROM observation x "
                f"WHERE x.pair = operation.pair AND x.side = '{to}' AND x.record_id = operation.record_id) "
                "OR NOT EXISTS (SELECT 1 FROM observation o WHERE o.pair = operation.pair "
                f"AND o.side = '{giver}' AND o.record_id = operation.counterpart_id AND o.rev = operation.{giver}_rev) "
                f"OR NOT EXISTS (SELECT 1 FROM link l WHERE l.id = operation.link AND l.{to}_id IS operation.record_id "
                f"AND l.{giver}_id IS operation.counterpart_id AND l.{to}_version IS operation.version))",
                (now, pair, to, cycle),
            )

    def drop_undo(self, pair: int, undone: Iterable[int], now: Instant) -> None:
        """An undo that was begun before is not sent any more: these operations are undone anew."""
        self._db.many(
            "UPDATE operation SET state = 'superseded', closed_at = ?, reason = 'undone anew' "
            "WHERE pair = ? AND state IN ('planned', 'held') AND closed_at IS NULL AND undoes = ?",
            [(now, pair, operation) for operation in undone],
        )

    def withdraw_undo(self, cycle: int, now: Instant) -> int:
        """A person does not want this cycle taken back any more: what of that is not sent yet, and now is not."""
        found = self._db.run(
            f"UPDATE operation SET state = 'superseded', closed_at = ?, reason = '{_WITHDRAWN}' "
            "WHERE pair = (SELECT pair FROM cycle WHERE id = ?) AND state IN ('planned', 'held') AND closed_at IS NULL "
            "AND undoes IN (SELECT id FROM operation WHERE cycle = ?)",
            (now, cycle, cycle),
        )
        self._db.run(
            f"UPDATE operation SET reason = '{_WITHDRAWN}' WHERE state IN ('sent', 'unknown') AND closed_at IS NULL "
            "AND undoes IN (SELECT id FROM operation WHERE cycle = ?)",
            (cycle,),
        )
        return found.rowcount

    def outdate_undos(self, pair: int, now: Instant) -> int:
        """What was asked for by the words of a former mapping is not sent, and what is on its way not again; how much
        there was that is not sent."""
        found = self._db.run(
            f"UPDATE operation SET state = 'superseded', closed_at = ?, reason = '{_OUTDATED}' "
            "WHERE pair = ? AND state IN ('planned', 'held') AND closed_at IS NULL AND undoes IS NOT NULL",
            (now, pair),
        )
        self._db.run(
            f"UPDATE operation SET reason = '{_OUTDATED}' WHERE pair = ? AND state IN ('sent', 'unknown') "
            "AND closed_at IS NULL AND undoes IS NOT NULL",
            (pair,),
        )
        return found.rowcount

    def was_sent_before(self, operation: StagedOperation) -> bool:
        """Whether another try of the same undo has left before: it may have taken effect."""
        return bool(
            self._db.one(
                "SELECT 1 FROM operation WHERE undoes = ? AND id < ? AND sent_at IS NOT NULL LIMIT 1",
                (operation.undoes, operation.id),
            )
        )

    def is_withdrawn(self, operation: int) -> bool:
        """Whether this undo was given up while it was on its way, by a person or by a change of the mapping."""
        reason = self._db.one("SELECT reason FROM operation WHERE id = ?", (operation,))
        return reason in (_WITHDRAWN, _OUTDATED)

    def hold_plan(self, pair: int) -> None:
        """The guard stopped the plan: it waits for a person. An undo was asked for by one, and stays as it is."""
        self._db.run(
            "UPDATE operation SET state = 'held' WHERE pair = ? AND state = 'planned' AND closed_at IS NULL "
            "AND undoes IS NULL",
            (pair,),
        )

    def rewrite(self, rows: Iterable[tuple[int, Edit]]) -> None:
        """Of these more is known by now than when they were planned."""
        self._db.many("UPDATE operation SET edit = ? WHERE id = ?", [(edit_text(edit), one) for one, edit in rows])

    def narrow(self, rows: Iterable[tuple[int, Edit]]) -> None:
        """Of these, which have left, only so much can still be told under another mapping; the history keeps all."""
        self._db.many("UPDATE operation SET still = ? WHERE id = ?", [(edit_text(edit), one) for one, edit in rows])

    def sent(self, ids: Iterable[int], now: Instant) -> None:
        """From now on these may take effect: what they replace is in the history."""
        self._db.run(
            "UPDATE operation SET state = 'sent', sent_at = ? WHERE id IN (SELECT n.value FROM json_each(?) n)",
            (now, dumps(list(ids))),
        )

    def lost(self, ids: Iterable[int], now: Instant) -> None:
        """The answer to these was lost."""
        self._db.many(
            "UPDATE operation SET state = 'unknown', lost_at = coalesce(lost_at, ?) WHERE id = ?",
            [(now, operation) for operation in ids],
        )

    def look_twice(self, rows: Iterable[StagedOperation], cycle: int) -> bool:
        """Whether one of these has not been looked for by an earlier cycle; now it has."""
        ids = dumps([row.id for row in rows])
        first = self._db.run(
            "SELECT p.id FROM json_each(?) n CROSS JOIN operation p ON p.id = n.value "
            "WHERE p.reason IS NULL OR p.reason = ?",
            (ids, f"looked for by cycle {cycle}"),
        ).fetchall()
        self._db.many(
            "UPDATE operation SET reason = ? WHERE id = ?", [(f"looked for by cycle {cycle}", *row) for row in first]
        )
        return bool(first)

    def earliest_pending_create(self, pair: int, side: Side, but: int = 0) -> Instant | None:
        """When the first create on this side was sent of which the outcome is not known; `but` is left out."""
        return self._db.one(  # type: ignore[no-any-return]
            "SELECT min(sent_at) FROM operation WHERE pair = ? AND state IN ('sent', 'unknown') AND side = ? "
            "AND closed_at IS NULL AND kind = 'create' AND id <> ?",
            (pair, side.value, but),
        )

    def stored(self, rows: Iterable[tuple[int, Values]]) -> None:
        """What the app made of what these sent it, in the fields in which that is something else."""
        self._db.many("UPDATE operation SET stored = ? WHERE id = ?", [(dumps(values), one) for one, values in rows])

    def formed(self, pair: int, side: Side, record_id: str, forms: Values) -> None:
        """The same of the last update of a record, as far as it wrote these fields."""
        rows = self._db.run(
            f"SELECT {OPERATION_COLUMNS} FROM operation p WHERE p.pair = ? AND p.side = ? AND p.record_id = ? "
            # In the very words of the index of what was replaced, or it is not used.
            "AND p.sent_at IS NOT NULL AND p.kind <> 'create' AND p.kind = 'update' AND p.state = 'done' "
            "ORDER BY p.id DESC LIMIT 1",
            (pair, side.value, record_id),
        )
        for last in map(operation_row, rows.fetchall()):
            told = {name: value for name, value in forms.items() if name in last.edit.changed}
            self.stored([(last.id, {**last.stored, **told})])

    # -- history

    def history(
        self,
        *,
        pair: int | None = None,
        side: Side | None = None,
        record_id: str | None = None,
        field: str | None = None,
        cycle: int | None = None,
        limit: int | None = 100,
    ) -> list[HistoryRow]:
        """Replaced values, the latest first: what was believed to be stored where a write has left for it."""
        wanted: dict[str, Any] = {
            "p.pair": pair,
            "p.side": None if side is None else side.value,
            "p.record_id": record_id,
            "p.cycle": cycle,
        }
        chosen = {column: value for column, value in wanted.items() if value is not None}
        where = "".join(f" AND {column} = ?" for column in chosen)
        rows = self._db.run(
            f"SELECT n.name, {_OUTCOME}, p.edit, {OPERATION_COLUMNS} FROM operation p JOIN pair n ON n.id = p.pair "
            f"WHERE p.sent_at IS NOT NULL AND p.kind <> 'create'{where} ORDER BY p.id DESC",
            tuple(chosen.values()),
        )
        replaced = (one for row in rows for one in _replaced(row[0], row[1], row[2], operation_row(row[3:])))
        return list(islice((one for one in replaced if field in (None, one.field)), limit))


def _replaced(pair: str, state: str, sent: str, operation: StagedOperation) -> Iterator[HistoryRow]:
    """The values that one write replaced; `sent` is all of it, also what means something else by now."""
    edit = edit_from(sent, operation.side, operation.edit.kind)
    for name, old in edit.expect.items():
        yield HistoryRow(
            pair,
            operation.cycle,
            operation.id,
            operation.link,
            operation.side,
            operation.record_id or "",
            name,
            old,
            operation.stored.get(name, edit.changed.get(name)),
            edit.rules.get(name) or edit.rules.get("*", ""),
            operation.sent_at or 0,
            state,
        )
