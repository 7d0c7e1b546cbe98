"""What people ask of the state: read-only, and of no use to a cycle."""

from typing import Any, NamedTuple

from twoway.core.model import Instant, Side
from twoway.state.attention import ParkedRow
from twoway.state.database import Database
from twoway.state.links import Mark
from twoway.state.rows import OPERATION_COLUMNS, StagedOperation, operation_row


class Counts(NamedTuple):
    """How many rows of each kind a pair has. `waiting` counts records that were seen and are not settled."""

    links: int
    conflicts: int
    parked: int
    waiting: int
    held: int
    unknown: int


class WaitingUndo(NamedTuple):
    """The undo of a cycle that is not done: how many writes are still to be sent, and how many have no answer."""

    cycle: int
    to_send: int
    unknown: int


class Marked(NamedTuple):
    """A mark, and since when it is there."""

    mark: Mark
    at: Instant


class Written(NamedTuple):
    """An operation, when it ended, and why it ended otherwise than done."""

    operation: StagedOperation
    closed_at: Instant | None
    reason: str | None


def counts(db: Database, pair: int) -> Counts:
    """What there is of a pair."""

    def number(sql: str) -> int:
        return int(db.one(f"SELECT count(*) FROM {sql}", (pair,)))

    return Counts(
        number("link WHERE pair = ?"),
        number("conflict WHERE pair = ? AND state = 'open'"),
        number("parked WHERE pair = ?"),
        number("observation WHERE pair = ?"),
        number("operation WHERE pair = ? AND state = 'held' AND closed_at IS NULL"),
        number("operation WHERE pair = ? AND state IN ('sent', 'unknown') AND closed_at IS NULL"),
    )


def waiting_undos(db: Database, pair: int) -> list[WaitingUndo]:
    """The cycles that a person is having taken back, of which not all is written yet."""
    rows = db.run(
        "SELECT q.cycle, count(*) FILTER (WHERE p.state IN ('planned', 'held')), "
        "count(*) FILTER (WHERE p.state IN ('sent', 'unknown')) "
        "FROM operation p JOIN operation q ON q.id = p.undoes WHERE p.pair = ? AND p.closed_at IS NULL "
        "AND p.state IN ('planned', 'held', 'sent', 'unknown') GROUP BY q.cycle ORDER BY q.cycle",
        (pair,),
    )
    return [WaitingUndo(*row) for row in rows]


def linked_at(db: Database, link: int) -> Instant | None:
    """When two records were linked."""
    at: Instant | None = db.one("SELECT linked_at FROM link WHERE id = ?", (link,))
    return at


def mark(db: Database, pair: int, side: Side, record_id: str) -> Marked | None:
    """Why an unlinked record is not taken for new."""
    row = db.run(
        "SELECT kind, reason, fp, at FROM mark WHERE pair = ? AND side = ? AND record_id = ?",
        (pair, side.value, record_id),
    ).fetchone()
    return None if row is None else Marked(Mark(side, record_id, row[0], row[1], row[2]), row[3])


def parked(db: Database, pair: int, side: Side, record_id: str) -> ParkedRow | None:
    """Why a record was set aside."""
    row = db.run(
        "SELECT p.name, k.side, k.record_id, k.code, k.field, k.reason, k.since, k.tries, k.retry_at FROM parked k "
        "JOIN pair p ON p.id = k.pair WHERE k.pair = ? AND k.side = ? AND k.record_id = ?",
        (pair, side.value, record_id),
    ).fetchone()
    return None if row is None else ParkedRow(row[0], Side(row[1]), *row[2:])


def unfinished(db: Database, pair: int, link: int | None, side: Side, record_id: str) -> list[Written]:
    """The writes that are staged or under way for a record, its link, or the counterpart that is to be made of it."""
    return _written(
        db,
        "p.pair = ? AND p.state IN ('planned', 'held', 'sent', 'unknown') AND (p.link = ? "
        "OR (p.side = ? AND p.record_id = ?) OR (p.side <> ? AND p.counterpart_id = ?)) ORDER BY p.id",
        (pair, link, side.value, record_id, side.value, record_id),
    )


def staged(db: Database, cycle: int) -> list[Written]:
    """What a cycle staged, and what became of it."""
    return _written(db, "p.cycle = ? ORDER BY p.id", (cycle,))


def creation(db: Database, pair: int, side: Side, counterpart: str) -> Written | None:
    """The write that made the record on `side` that `counterpart` is linked to."""
    found = _written(
        db,
        "p.pair = ? AND p.kind = 'create' AND p.state = 'done' AND p.side = ? AND p.counterpart_id = ? "
        "ORDER BY p.id DESC LIMIT 1",
        (pair, side.value, counterpart),
    )
    return found[0] if found else None


def _written(db: Database, where: str, params: tuple[Any, ...]) -> list[Written]:
    rows = db.run(f"SELECT {OPERATION_COLUMNS}, p.closed_at, p.reason FROM operation p WHERE {where}", params)
    return [Written(operation_row(row), row[-2], row[-1]) for row in rows]
