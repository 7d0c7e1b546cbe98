"""Pairs, their leases, their cycles, and accounts that are paused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any, NamedTuple

from twoway.core.meaning import Meaning
from twoway.core.model import Instant, Side
from twoway.core.plan import Totals
from twoway.state.database import Database
from twoway.state.errors import LeaseLost
from twoway.state.rows import dumps, loads


class Status(StrEnum):
    """Where a pair is in its life."""

    NEW = "new"
    PLANNED = "planned"
    """A plan was shown; it waits for approval."""
    ACTIVE = "active"
    HALTED = "halted"
    """The guard, or a fault that only a person can mend, stopped it."""
    PAUSED = "paused"
    """A person stopped it."""


class PairRow(NamedTuple):
    """One pair as the state knows it."""

    id: int
    name: str
    status: Status
    reason: str | None
    mapping_hash: str | None
    approved_hash: str | None
    shown: Totals | None
    allowance: Totals | None
    cursors: Mapping[Side, str | None]
    midway: Mapping[Side, bool]
    """Whether a cursor is in the middle of a listing that was broken off."""
    snapshot_at: Instant | None
    succeeded_at: Instant | None
    decided_hash: str | None
    """Of the mapping that was last decided under: see `Pairs.decided_under`."""
    clock_at: Instant | None
    """What our own clock said when the last cycle began."""


class DecidedUnder(NamedTuple):
    """What the state remembers of the mapping that a pair was last decided under.

    `collections` are, for each side, its `account`, `collection` and `options`. `meanings` are what each field meant
    on each side, `since` the cycle that was the first to decide by that meaning, by side and field as well.
    """

    collections: Mapping[Side, Mapping[str, Any]]
    match: Sequence[Sequence[str]]
    meanings: Mapping[Side, Mapping[str, Meaning]]
    since: Mapping[Side, Mapping[str, int]]


class CycleRow(NamedTuple):
    """One cycle that ran, or runs."""

    id: int
    pair: str
    kind: str
    started_at: Instant
    ended_at: Instant | None
    status: str
    counts: Mapping[str, Any]
    message: str | None


class Lease(NamedTuple):
    """The right to work on a pair. `token` grows with each holder: an older one is refused by every commit."""

    pair: int
    token: int


class Holder(NamedTuple):
    """Who has a pair's lease, and when it last said so."""

    owner: str
    heartbeat: Instant


_PAIR = (
    "SELECT id, name, status, reason, mapping_hash, approved_hash, shown, allowance, left_cursor, right_cursor, "
    "left_midway, right_midway, snapshot_at, succeeded_at, decided_hash, clock_at FROM pair"
)


def totals_text(totals: Totals) -> str:
    """Totals as a column holds them."""
    counts = {name: part for name, part in asdict(totals).items() if name != "links"}
    told = {name: {side.value: number for side, number in part.items()} for name, part in counts.items()}
    return dumps({"links": totals.links, **told})


def totals_from(text: str | None) -> Totals | None:
    """The reverse of `totals_text`."""
    parts = loads(text)
    if parts is None:
        return None
    links = parts.pop("links")
    return Totals(links, **{name: {Side(side): n for side, n in counts.items()} for name, counts in parts.items()})


class Pairs:
    """The tables `pair`, `lease`, `cycle` and `account`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def ensure(self, name: str) -> PairRow:
        """The pair's row, made where it is new."""
        if row := self.get(name):
            return row
        self._db.run("INSERT INTO pair (name, status) VALUES (?, 'new') ON CONFLICT (name) DO NOTHING", (name,))
        row = self.get(name)
        assert row is not None  # noqa: S101 - it was just made sure of
        return row

    def get(self, name: str) -> PairRow | None:
        """The pair of this name."""
        row = self._db.run(f"{_PAIR} WHERE name = ?", (name,)).fetchone()
        return None if row is None else _pair_row(row)

    def all(self) -> list[PairRow]:
        """Every pair that the state knows, by name."""
        return [_pair_row(row) for row in self._db.run(f"{_PAIR} ORDER BY name")]

    def set_status(self, pair: int, status: Status, reason: str | None = None) -> None:
        """Move a pair to another status, with the reason that people are shown."""
        self._db.run("UPDATE pair SET status = ?, reason = ? WHERE id = ?", (status.value, reason, pair))

    def show_plan(self, pair: int, mapping_hash: str, totals: Totals) -> None:
        """Remember which plan a person was shown: `approve` approves just this one."""
        self._db.run(
            "UPDATE pair SET mapping_hash = ?, shown = ? WHERE id = ?", (mapping_hash, totals_text(totals), pair)
        )

    def halt(self, pair: int, reason: str) -> None:
        """No cycle before somebody approves; a pair that a person paused stays so."""
        self._db.run(
            "UPDATE pair SET status = 'halted', reason = ? WHERE id = ? AND status <> 'paused'", (reason, pair)
        )

    def approve(self, pair: int) -> None:
        """Let the plan that was shown pass, once, and the pair run, unless a person paused it."""
        self._db.run(
            "UPDATE pair SET approved_hash = mapping_hash, allowance = shown, "
            "reason = CASE status WHEN 'paused' THEN reason END, "
            "status = CASE status WHEN 'paused' THEN status ELSE 'active' END WHERE id = ?",
            (pair,),
        )

    def spend_allowance(self, pair: int) -> None:
        """An approval is for one plan."""
        self._db.run("UPDATE pair SET allowance = NULL WHERE id = ? AND allowance IS NOT NULL", (pair,))

    def set_cursor(self, pair: int, side: Side, cursor: str | None, *, midway: bool = False) -> None:
        """Where the side's change feed is read on from; `midway` says that its listing is not at its end yet."""
        self._db.run(
            f"UPDATE pair SET {side.value}_cursor = ?, {side.value}_midway = ? WHERE id = ?",
            (cursor, int(midway), pair),
        )

    def snapshot_done(self, pair: int, at: Instant) -> None:
        """Both sides were listed completely."""
        self._db.run("UPDATE pair SET snapshot_at = ? WHERE id = ?", (at, pair))

    def succeeded(self, pair: int, at: Instant) -> None:
        """A cycle ended well: what the freshness warning looks at."""
        self._db.run("UPDATE pair SET succeeded_at = ? WHERE id = ?", (at, pair))

    def decided_under(self, pair: int) -> DecidedUnder | None:
        """The mapping that the pair was last decided under; `None` before its first cycle."""
        parts = loads(self._db.one("SELECT decided_under FROM pair WHERE id = ?", (pair,)))
        if parts is None:
            return None
        told = {side: parts["fields"][side.value] for side in Side}
        return DecidedUnder(
            {side: parts["collections"][side.value] for side in Side},
            parts["match"],
            {side: {name: Meaning(*one[:2]) for name, one in fields.items()} for side, fields in told.items()},
            {side: {name: one[2] for name, one in fields.items()} for side, fields in told.items()},
        )

    def decide_under(self, pair: int, mapping_hash: str, mapping: DecidedUnder) -> None:
        """From now on this mapping is decided under. Under it both sides were never listed: each cycle lists them
        completely until one of them has come through."""
        told = {
            "collections": {side.value: one for side, one in mapping.collections.items()},
            "match": mapping.match,
            "fields": {
                side.value: {name: [*one, mapping.since[side][name]] for name, one in meanings.items()}
                for side, meanings in mapping.meanings.items()
            },
        }
        self._db.run(
            "UPDATE pair SET decided_hash = ?, decided_under = ?, snapshot_at = NULL WHERE id = ?",
            (mapping_hash, dumps(told), pair),
        )

    # -- leases

    def holder(self, pair: int) -> Holder | None:
        """Who holds the pair."""
        row = self._db.run(
            "SELECT owner, heartbeat FROM lease WHERE pair = ? AND owner IS NOT NULL", (pair,)
        ).fetchone()
        return None if row is None else Holder(row[0], row[1])

    def take(self, pair: int, owner: str, now: Instant) -> Lease:
        """Take the pair's lease, from whoever had it: the caller has seen to it that this is right."""
        ((token,),) = self._db.run(
            "INSERT INTO lease (pair, token, owner, heartbeat) VALUES (?, 1, ?, ?) ON CONFLICT (pair) DO UPDATE "
            "SET token = lease.token + 1, owner = excluded.owner, heartbeat = excluded.heartbeat RETURNING token",
            (pair, owner, now),
        )
        return Lease(pair, token)

    def beat(self, lease: Lease, now: Instant) -> None:
        """Say that the holder lives; raises `LeaseLost` when another has taken over."""
        done = self._db.run(
            "UPDATE lease SET heartbeat = ? WHERE pair = ? AND token = ? AND owner IS NOT NULL",
            (now, lease.pair, lease.token),
        )
        if done.rowcount == 0:
            raise LeaseLost("another process has taken this pair over", "Nothing to do: that one goes on")

    def release(self, lease: Lease) -> None:
        """Give the lease back."""
        self._db.run("UPDATE lease SET owner = NULL WHERE pair = ? AND token = ?", tuple(lease))

    # -- cycles

    def begin_cycle(self, pair: int, kind: str, now: Instant) -> int:
        """A row for a cycle that starts; those of dead processes are closed."""
        self._db.run("UPDATE pair SET clock_at = ? WHERE id = ?", (now, pair))
        self._db.run(
            "UPDATE cycle SET status = 'interrupted', ended_at = ? WHERE pair = ? AND status = 'running'", (now, pair)
        )
        return int(
            self._db.one(
                "INSERT INTO cycle (pair, kind, started_at, status, counts) VALUES (?, ?, ?, 'running', '{}') "
                "RETURNING id",
                (pair, kind, now),
            )
        )

    def end_cycle(self, cycle: int, status: str, counts: Mapping[str, Any], message: str | None, now: Instant) -> None:
        """Close the row. One that only read leaves no row: they would bury the others."""
        did = any(number for name, number in counts.items() if not name.startswith(("seen", "listed")))
        if status == "done" and not did and not message:
            self._db.run("DELETE FROM cycle WHERE id = ?", (cycle,))
            return
        self._db.run(
            "UPDATE cycle SET status = ?, counts = ?, message = ?, ended_at = ? WHERE id = ?",
            (status, dumps(counts), message, now, cycle),
        )

    def cycles(self, pair: int | None = None, limit: int = 20) -> list[CycleRow]:
        """The latest cycles, newest first."""
        where, params = ("", []) if pair is None else ("WHERE c.pair = ?", [pair])
        rows = self._db.run(
            "SELECT c.id, p.name, c.kind, c.started_at, c.ended_at, c.status, c.counts, c.message FROM cycle c "
            f"JOIN pair p ON p.id = c.pair {where} ORDER BY c.id DESC LIMIT ?",
            (*params, limit),
        )
        return [_cycle_row(row) for row in rows]

    def cycle(self, cycle: int) -> CycleRow | None:
        """One cycle."""
        row = self._db.run(
            "SELECT c.id, p.name, c.kind, c.started_at, c.ended_at, c.status, c.counts, c.message FROM cycle c "
            "JOIN pair p ON p.id = c.pair WHERE c.id = ?",
            (cycle,),
        ).fetchone()
        return None if row is None else _cycle_row(row)

    # -- accounts

    def pause_account(self, name: str, reason: str, now: Instant, until: Instant | None = None) -> None:
        """No request to this account, until then or until a person resumes it."""
        self._db.run(
            "INSERT INTO account (name, paused_until, reason, since) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET paused_until = excluded.paused_until, reason = excluded.reason",
            (name, until, reason, now),
        )

    def resume_account(self, name: str) -> None:
        """Let requests go to this account again."""
        self._db.run("DELETE FROM account WHERE name = ?", (name,))

    def paused_accounts(self) -> dict[str, tuple[str, Instant | None]]:
        """Reason and end of the pause, by account."""
        return {row[0]: (row[1], row[2]) for row in self._db.run("SELECT name, reason, paused_until FROM account")}


def _pair_row(row: Any) -> PairRow:
    return PairRow(
        row[0],
        row[1],
        Status(row[2]),
        row[3],
        row[4],
        row[5],
        totals_from(row[6]),
        totals_from(row[7]),
        {Side.LEFT: row[8], Side.RIGHT: row[9]},
        {Side.LEFT: bool(row[10]), Side.RIGHT: bool(row[11])},
        row[12],
        row[13],
        row[14],
        row[15],
    )


def _cycle_row(row: Any) -> CycleRow:
    return CycleRow(row[0], row[1], row[2], row[3], row[4], row[5], loads(row[6]), row[7])
