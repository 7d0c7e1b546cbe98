"""The schema, as SQLAlchemy Core tables. Migrations build it; this is what they build.

Values, bases and edits are JSON text. Sides are stored as `left` and `right`. Instants are milliseconds since the
Unix epoch, UTC. In PostgreSQL, too, texts are compared byte by byte, and numbers have 64 bits.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from twoway.state.types import Number, Text

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

pair = Table(
    "pair",
    metadata,
    Column("id", Number, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),  # new | planned | active | halted | paused
    Column("reason", Text),
    Column("mapping_hash", Text),  # of the last plan that was shown
    Column("approved_hash", Text),  # of the mapping that a person approved
    Column("shown", Text),  # the totals of that plan
    Column("allowance", Text),  # the totals that a person approved for one cycle
    Column("left_cursor", Text),
    Column("right_cursor", Text),
    Column("left_midway", Number),  # 1: the cursor is in the middle of a listing that was broken off
    Column("right_midway", Number),
    Column("snapshot_at", BigInteger),
    Column("succeeded_at", BigInteger),
    Column("decided_hash", Text),  # of the mapping that was last decided under
    Column("clock_at", BigInteger),  # our own clock when the last cycle began
    Column("decided_under", Text),  # what of that mapping tells whether the bases still say something
)

link = Table(
    "link",
    metadata,
    Column("id", Number, primary_key=True),
    Column("pair", Number, ForeignKey("pair.id"), nullable=False),
    Column("left_id", Text, nullable=False),
    Column("right_id", Text, nullable=False),
    Column("left_fp", BigInteger),
    Column("right_fp", BigInteger),
    Column("left_raw", BigInteger),  # the hash of raw values that are known to have this very fingerprint
    Column("right_raw", BigInteger),
    Column("left_version", Text),
    Column("right_version", Text),
    Column("left_base", Text, nullable=False),
    Column("right_base", Text),  # null where it equals the left one
    Column("left_receipt", Text),  # [version, [fields]] of our own last write there
    Column("right_receipt", Text),
    Column("held", Text),  # {field: [left, right]}: pairs of values that an undo left to differ
    Column("linked_at", BigInteger, nullable=False),
    UniqueConstraint("pair", "left_id"),
    UniqueConstraint("pair", "right_id"),
    sqlite_autoincrement=True,
)

observation = Table(
    "observation",
    metadata,
    Column("pair", Number, primary_key=True),
    Column("side", Text, primary_key=True),
    Column("record_id", Text, primary_key=True),
    Column("rev", Number, nullable=False),
    Column("fp", BigInteger),
    Column("life", Text, nullable=False),  # live | gone | merged
    Column("into_id", Text),
    Column("vals", Text, nullable=False),
    Column("problems", Text),
    Column("version", Text),
    Column("modified", BigInteger),
    Column("created", BigInteger),
    Column("times", Text),
    Column("marker", Text),
    Column("hint", Number, nullable=False),  # 1: only heard of; to be fetched by id before it is decided
    Column("seen_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),  # null: waits for an event (a verdict, a new read)
    Column("tries", Number, nullable=False, server_default=text("0")),
    sqlite_with_rowid=False,
)
Index("observation_due", observation.c.pair, observation.c.due_at)

match_key = Table(
    "match_key",
    metadata,
    Column("pair", Number, primary_key=True),
    Column("slot", Number, primary_key=True),
    Column("key", BigInteger, primary_key=True),
    Column("side", Text, primary_key=True),
    Column("record_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)
Index("match_key_record", match_key.c.pair, match_key.c.side, match_key.c.record_id)

mark = Table(
    "mark",
    metadata,
    Column("pair", Number, primary_key=True),
    Column("side", Text, primary_key=True),
    Column("record_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # tombstone | retired | left_out
    Column("fp", BigInteger),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

operation = Table(
    "operation",
    metadata,
    Column("id", Number, primary_key=True),
    Column("pair", Number, nullable=False),
    Column("cycle", Number, nullable=False),
    Column("link", Number),
    Column("side", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("record_id", Text),
    Column("counterpart_id", Text),
    Column("version", Text),  # of the record to be written; of a create, of the record carried over
    Column("edit", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("left_rev", Number),
    Column("right_rev", Number),
    Column("left_fp", BigInteger),  # what the link's fingerprints are once it is done as sent
    Column("right_fp", BigInteger),
    Column("sent_at", BigInteger),
    Column("lost_at", BigInteger),
    Column("closed_at", BigInteger),
    Column("reason", Text),
    Column("undoes", Number),
    Column("still", Text),  # what of the edit means the same under a mapping that came after it was sent
    Column("stored", Text),  # {field: value}: what the app made of what it was sent, where that is something else
    Column("in_doubt", Number),  # 1: it was closed without its being known whether it took effect
    sqlite_autoincrement=True,
)
Index(
    "operation_live",
    operation.c.pair,
    operation.c.state,
    operation.c.side,
    operation.c.kind,
    sqlite_where=text("closed_at IS NULL"),
    postgresql_where=text("closed_at IS NULL"),
)
Index(
    "operation_link",
    operation.c.link,
    sqlite_where=text("closed_at IS NULL AND link IS NOT NULL"),
    postgresql_where=text("closed_at IS NULL AND link IS NOT NULL"),
)
Index("operation_cycle", operation.c.cycle)
# What has left for a record that was there: the history of what it held.
Index(
    "operation_replaced",
    operation.c.pair,
    operation.c.side,
    operation.c.record_id,
    sqlite_where=text("sent_at IS NOT NULL AND kind <> 'create'"),
    postgresql_where=text("sent_at IS NOT NULL AND kind <> 'create'"),
)

conflict = Table(
    "conflict",
    metadata,
    Column("id", Number, primary_key=True),
    Column("pair", Number, nullable=False),
    Column("link", Number, nullable=False),
    Column("field", Text, nullable=False),
    Column("left_value", Text, nullable=False),
    Column("right_value", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # open | decided
    Column("verdict", Text),
    Column("decided_at", BigInteger),
    Column("earlier", Text),  # [id]: the last numbers that it had, with other values
    UniqueConstraint("link", "field"),
    sqlite_autoincrement=True,
)
Index("conflict_pair", conflict.c.pair, conflict.c.state)

parked = Table(
    "parked",
    metadata,
    Column("pair", Number, primary_key=True),
    Column("side", Text, primary_key=True),
    Column("record_id", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("field", Text),
    Column("reason", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("tries", Number, nullable=False),
    Column("retry_at", BigInteger),
)

cycle = Table(
    "cycle",
    metadata,
    Column("id", Number, primary_key=True),
    Column("pair", Number, nullable=False),
    Column("kind", Text, nullable=False),  # incremental | snapshot | record | undo
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("status", Text, nullable=False),  # running | done | held | failed | interrupted
    Column("counts", Text, nullable=False),
    Column("message", Text),
    sqlite_autoincrement=True,
)
Index("cycle_pair", cycle.c.pair, cycle.c.id)

lease = Table(
    "lease",
    metadata,
    Column("pair", Number, primary_key=True),
    Column("token", Number, nullable=False),
    Column("owner", Text),  # null when free
    Column("heartbeat", BigInteger, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused_until", BigInteger),  # null: until a person resumes it
    Column("reason", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
)
