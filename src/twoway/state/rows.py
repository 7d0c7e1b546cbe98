"""The rows that the engine works with, decoded."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from twoway.core.model import LEFT, NOTHING, RIGHT, Instant, Kind, Side, Value, Values
from twoway.core.reconcile import Edit

_SIDES: Final = {side.value: side for side in Side}
_KINDS: Final = {kind.value: kind for kind in Kind}


def dumps(value: Any) -> str:
    """JSON with sorted keys: the same value is always the same text."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def loads(text: str | None) -> Any:
    """The value of a JSON column; `None` where the column is null."""
    return None if text is None else orjson.loads(text)


class Link(NamedTuple):
    """Two records that are one: what each side was last known to store."""

    id: int
    ids: Mapping[Side, str]
    fps: Mapping[Side, int | None]
    versions: Mapping[Side, str | None]
    bases: Mapping[Side, Values]
    receipts: Mapping[Side, str | None]
    """What our last write to each side made of it, as `receipt_text` has it."""
    held: Mapping[str, list[Value]]


class Observation(NamedTuple):
    """What was seen of a record and is not settled. `rev` counts the sightings of the whole state, upwards."""

    side: Side
    record_id: str
    fp: int | None
    life: str
    into_id: str | None = None
    values: Values = NOTHING
    problems: Mapping[str, str] = NOTHING
    version: str | None = None
    modified: Instant | None = None
    created: Instant | None = None
    times: Mapping[str, Instant] = NOTHING
    marker: str | None = None
    hint: bool = False
    seen_at: Instant = 0
    due_at: Instant | None = None
    rev: int = 0
    tries: int = 0
    overlooked: frozenset[str] = frozenset()


class StagedOperation(NamedTuple):
    """One row of the plan, which is the journal."""

    id: int
    cycle: int
    link: int | None
    side: Side
    record_id: str | None
    counterpart_id: str | None
    version: str | None
    edit: Edit
    state: str
    revs: Mapping[Side, int | None]
    fps: Mapping[Side, int | None]
    sent_at: Instant | None
    lost_at: Instant | None
    undoes: int | None
    stored: Values = NOTHING
    """What the app made of what it was sent, in the fields in which that is something else."""


LINK_COLUMNS = (
    "l.id, l.left_id, l.right_id, l.left_fp, l.right_fp, l.left_version, l.right_version, l.left_base, l.right_base, "
    "l.left_receipt, l.right_receipt, l.held"
)
LINK_WIDTH = 12


def link_row(row: Any) -> Link:
    """A link from `LINK_COLUMNS`."""
    left = orjson.loads(row[7])
    right = left if row[8] is None else orjson.loads(row[8])
    return Link(
        row[0],
        {LEFT: row[1], RIGHT: row[2]},
        {LEFT: row[3], RIGHT: row[4]},
        {LEFT: row[5], RIGHT: row[6]},
        {LEFT: left, RIGHT: right},
        {LEFT: row[9], RIGHT: row[10]},
        loads(row[11]) or {},
    )


def receipt_text(version: str, fields: Iterable[str]) -> str:
    """A version of a record that our own write made, and the fields that it wrote."""
    return dumps([version, sorted(fields)])


def receipt_from(text: str | None) -> tuple[str, tuple[str, ...]] | None:
    """The reverse of `receipt_text`."""
    if text is None:
        return None
    version, fields = orjson.loads(text)
    return version, tuple(fields)


OBSERVATION_COLUMNS = (
    "o.side, o.record_id, o.fp, o.life, o.into_id, o.vals, o.problems, o.version, o.modified, o.created, o.times, "
    "o.marker, o.hint, o.seen_at, o.due_at, o.rev, o.tries"
)
OBSERVATION_WIDTH = 17


def observation_row(row: Any) -> Observation:
    """An observation from `OBSERVATION_COLUMNS`."""
    problems = loads(row[6])
    return Observation(
        _SIDES[row[0]],
        row[1],
        row[2],
        row[3],
        row[4],
        orjson.loads(row[5]),
        {name: why for name, why in problems.items() if why} if problems else {},
        row[7],
        row[8],
        row[9],
        loads(row[10]) or {},
        row[11],
        bool(row[12]),
        row[13],
        row[14],
        row[15],
        row[16],
        frozenset(name for name, why in problems.items() if not why) if problems else frozenset(),
    )


CREATES_IN_FLIGHT = (
    "SELECT CASE p.side WHEN 'left' THEN 'right' ELSE 'left' END, p.counterpart_id FROM operation p WHERE p.pair = ? "
    "AND p.state IN ('sent', 'unknown') AND p.kind = 'create' AND p.closed_at IS NULL"
)
"""(side, id) of the records of which a counterpart may have been created this moment. It takes the pair.

Nothing in it refers to the statement around it, so that it is worked out once."""

OPERATION_COLUMNS = (
    "p.id, p.cycle, p.link, p.side, p.record_id, p.counterpart_id, p.version, coalesce(p.still, p.edit), p.state, "
    "p.left_rev, p.right_rev, p.left_fp, p.right_fp, p.sent_at, p.lost_at, p.undoes, p.stored, p.kind"
)


def operation_row(row: Any) -> StagedOperation:
    """An operation from `OPERATION_COLUMNS`."""
    side = _SIDES[row[3]]
    return StagedOperation(
        row[0],
        row[1],
        row[2],
        side,
        row[4],
        row[5],
        row[6],
        edit_from(row[7], side, _KINDS[row[17]]),
        row[8],
        {LEFT: row[9], RIGHT: row[10]},
        {LEFT: row[11], RIGHT: row[12]},
        row[13],
        row[14],
        row[15],
        loads(row[16]) or NOTHING,
    )


def edit_text(edit: Edit) -> str:
    """An edit as its column holds it; side and kind have columns of their own. What is given as it is sent, as in
    nearly every create, is told once."""
    parts = {"c": edit.changed, "e": edit.expect, "g": edit.given, "d": edit.deltas, "r": edit.rules}
    if edit.given == edit.changed:
        parts["b"] = parts.pop("g")
        del parts["c"]
    return dumps({key: value for key, value in parts.items() if value})


def edit_from(text: str, side: Side, kind: Kind) -> Edit:
    """The reverse of `edit_text`."""
    parts = orjson.loads(text)
    get, both = parts.get, parts.get("b", {})
    deltas = get("d", {})
    if deltas:
        deltas = {name: (added, removed) for name, (added, removed) in deltas.items()}
    return Edit(side, kind, get("c", both), get("e", {}), get("g", both), deltas, get("r", {}))
