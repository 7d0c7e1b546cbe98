"""What is left in the state by a clock of ours that was ahead, and has been put right.

Instants are by our own clock, or are held against it. Those that lie ahead would hold up whatever waits for them for as
long as the clock was ahead: a year, if it was wrong by that.
"""

from typing import Final

from twoway.core.model import Instant
from twoway.state.database import Database

_UNCERTAIN: Final = 86_400_000
"""Milliseconds by which a request may have left earlier than the shift tells: the time between two cycles is not known
where it is the clock that told it."""


def put_right(db: Database, pair: int, now: Instant, ahead: int) -> None:
    """Let nothing of the pair lie in the future, since the clock has gone back by `ahead` milliseconds or more.

    What waited is due now: it is decided, or tried, once too early rather than never. What was seen counts as old, so
    that it is read again before it is carried over. What was sent counts as sent earlier: more records may then be what
    it made, never fewer. All of it within the caller's transaction.
    """
    db.run("UPDATE observation SET seen_at = 0 WHERE pair = ? AND seen_at > ?", (pair, now))
    for table, column in (("observation", "due_at"), ("parked", "retry_at"), ("link", "linked_at")):
        db.run(f"UPDATE {table} SET {column} = ? WHERE pair = ? AND {column} > ?", (now, pair, now))
    for column in ("succeeded_at", "snapshot_at"):
        db.run(f"UPDATE pair SET {column} = ? WHERE id = ? AND {column} > ?", (now, pair, now))
    db.run("UPDATE operation SET lost_at = ? WHERE pair = ? AND closed_at IS NULL AND lost_at > ?", (now, pair, now))
    db.run(
        "UPDATE operation SET sent_at = sent_at - ? WHERE pair = ? AND closed_at IS NULL AND sent_at > ?",
        (ahead + _UNCERTAIN, pair, now),
    )
    # Accounts are shared by pairs: the first one to notice lets them be tried again.
    db.run("UPDATE account SET paused_until = ? WHERE paused_until > ?", (now, now))
