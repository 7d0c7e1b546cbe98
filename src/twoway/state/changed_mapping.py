"""What the state no longer knows once another mapping is in force: dropped a window at a time, without a row in memory.

All of it within the caller's transaction.
"""

from collections.abc import Collection, Mapping
from typing import Final

from twoway.core.model import Instant, Side
from twoway.state.database import Database
from twoway.state.rows import dumps

_WINDOW: Final = 10_000
"""Links that one statement changes: until its end SQLite keeps in memory what it would take to undo it."""


def forget_values(db: Database, pair: int, fields: Mapping[Side, Collection[str]]) -> None:
    """These fields of each side mean something else, or nothing, by now: their values go out of its bases and receipts.
    So do, where either side's are such, the pairs of values that were left to differ, and the conflicts. And nothing
    that was read under another mapping counts as read: no fingerprint, no raw hash, no version."""
    left, right = (_without(fields[side]) for side in (Side.LEFT, Side.RIGHT))
    names = sorted({*fields[Side.LEFT], *fields[Side.RIGHT]})
    receipts = ", ".join(f"{side.value}_receipt = {db.unlisted(f'{side.value}_receipt')}" for side in Side)
    left_base = db.without("left_base")
    last = db.one("SELECT max(id) FROM link") or 0
    for after in range(0, last, _WINDOW):
        db.run(
            f"UPDATE link SET left_base = {left_base}, "
            f"right_base = nullif({db.without('coalesce(right_base, left_base)')}, {left_base}), "
            f"held = nullif({db.without('held')}, '{{}}'), {receipts}, left_fp = NULL, right_fp = NULL, "
            "left_raw = NULL, right_raw = NULL, left_version = NULL, right_version = NULL "
            # By number, and not by what the index of the pair's ids would offer: else each window were a pass over all.
            "WHERE id > ? AND id <= ? AND +pair = ?",
            (
                left,
                right,
                left,
                _without(names),
                *(dumps(sorted(fields[side])) for side in Side),
                after,
                after + _WINDOW,
                pair,
            ),
        )
    db.run("DELETE FROM conflict WHERE pair = ? AND field IN (SELECT value FROM json_each(?))", (pair, dumps(names)))


def _without(names: Collection[str]) -> str:
    """These keys, as `Database.without` takes them."""
    return dumps(dict.fromkeys(names))


def read_anew(db: Database, pair: int, fields: Mapping[Side, Collection[str]], rev: int, due: Instant) -> None:
    """What waits to be decided is to be read by id where the listings do not show it; without these fields, what was
    seen of it stays."""
    for side in Side:
        db.run(
            f"UPDATE observation SET vals = {db.without('vals')}, fp = NULL, version = NULL, hint = 1, tries = 0, "
            "due_at = ?, rev = ? WHERE pair = ? AND side = ?",
            (_without(fields[side]), due, rev, pair, side.value),
        )


def renew_keys(db: Database, pair: int, rev: int, due: Instant) -> None:
    """What records could be matched by is no key any more. It is renewed by reading them: those that are linked to
    nothing, and were settled, nothing but this would ask for where no listing shows them."""
    for side in Side:
        db.run(
            "INSERT INTO observation (pair, side, record_id, rev, life, vals, hint, seen_at, due_at) "
            "SELECT DISTINCT k.pair, k.side, k.record_id, ?, 'live', '{}', 1, 0, ? FROM match_key k "
            "WHERE k.pair = ? AND k.side = ? AND NOT EXISTS "
            f"  (SELECT 1 FROM link l WHERE l.pair = k.pair AND l.{side.value}_id = k.record_id) "
            "ON CONFLICT (pair, side, record_id) DO NOTHING",
            (rev, due, pair, side.value),
        )
