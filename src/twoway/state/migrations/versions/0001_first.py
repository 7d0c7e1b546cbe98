"""The first schema."""

import sqlalchemy as sa
from alembic import op

from twoway.state.types import Number, Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build every table."""
    op.create_table(
        "account",
        sa.Column("name", Text, nullable=False),
        sa.Column("paused_until", sa.BigInteger(), nullable=True),
        sa.Column("reason", Text, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "conflict",
        sa.Column("id", Number, nullable=False),
        sa.Column("pair", Number, nullable=False),
        sa.Column("link", Number, nullable=False),
        sa.Column("field", Text, nullable=False),
        sa.Column("left_value", Text, nullable=False),
        sa.Column("right_value", Text, nullable=False),
        sa.Column("rule", Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("verdict", Text, nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("earlier", Text, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("link", "field"),
        sqlite_autoincrement=True,
    )
    op.create_index("conflict_pair", "conflict", ["pair", "state"], unique=False)
    op.create_table(
        "cycle",
        sa.Column("id", Number, nullable=False),
        sa.Column("pair", Number, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("status", Text, nullable=False),
        sa.Column("counts", Text, nullable=False),
        sa.Column("message", Text, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("cycle_pair", "cycle", ["pair", "id"], unique=False)
    op.create_table(
        "lease",
        sa.Column("pair", Number, nullable=False),
        sa.Column("token", Number, nullable=False),
        sa.Column("owner", Text, nullable=True),
        sa.Column("heartbeat", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pair"),
    )
    op.create_table(
        "mark",
        sa.Column("pair", Number, nullable=False),
        sa.Column("side", Text, nullable=False),
        sa.Column("record_id", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("fp", sa.BigInteger(), nullable=True),
        sa.Column("reason", Text, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pair", "side", "record_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "match_key",
        sa.Column("pair", Number, nullable=False),
        sa.Column("slot", Number, nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("side", Text, nullable=False),
        sa.Column("record_id", Text, nullable=False),
        sa.PrimaryKeyConstraint("pair", "slot", "key", "side", "record_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("match_key_record", "match_key", ["pair", "side", "record_id"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", Text, nullable=False),
        sa.Column("value", Text, nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "observation",
        sa.Column("pair", Number, nullable=False),
        sa.Column("side", Text, nullable=False),
        sa.Column("record_id", Text, nullable=False),
        sa.Column("rev", Number, nullable=False),
        sa.Column("fp", sa.BigInteger(), nullable=True),
        sa.Column("life", Text, nullable=False),
        sa.Column("into_id", Text, nullable=True),
        sa.Column("vals", Text, nullable=False),
        sa.Column("problems", Text, nullable=True),
        sa.Column("version", Text, nullable=True),
        sa.Column("modified", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=True),
        sa.Column("times", Text, nullable=True),
        sa.Column("marker", Text, nullable=True),
        sa.Column("hint", Number, nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", Number, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("pair", "side", "record_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("observation_due", "observation", ["pair", "due_at"], unique=False)
    op.create_table(
        "operation",
        sa.Column("id", Number, nullable=False),
        sa.Column("pair", Number, nullable=False),
        sa.Column("cycle", Number, nullable=False),
        sa.Column("link", Number, nullable=True),
        sa.Column("side", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("record_id", Text, nullable=True),
        sa.Column("counterpart_id", Text, nullable=True),
        sa.Column("version", Text, nullable=True),
        sa.Column("edit", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("left_rev", Number, nullable=True),
        sa.Column("right_rev", Number, nullable=True),
        sa.Column("left_fp", sa.BigInteger(), nullable=True),
        sa.Column("right_fp", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("lost_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", Text, nullable=True),
        sa.Column("undoes", Number, nullable=True),
        sa.Column("still", Text, nullable=True),
        sa.Column("stored", Text, nullable=True),
        sa.Column("in_doubt", Number, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("operation_cycle", "operation", ["cycle"], unique=False)
    op.create_index(
        "operation_link",
        "operation",
        ["link"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL AND link IS NOT NULL"),
        postgresql_where=sa.text("closed_at IS NULL AND link IS NOT NULL"),
    )
    op.create_index(
        "operation_live",
        "operation",
        ["pair", "state", "side", "kind"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "operation_replaced",
        "operation",
        ["pair", "side", "record_id"],
        unique=False,
        sqlite_where=sa.text("sent_at IS NOT NULL AND kind <> 'create'"),
        postgresql_where=sa.text("sent_at IS NOT NULL AND kind <> 'create'"),
    )
    op.create_table(
        "pair",
        sa.Column("id", Number, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("status", Text, nullable=False),
        sa.Column("reason", Text, nullable=True),
        sa.Column("mapping_hash", Text, nullable=True),
        sa.Column("approved_hash", Text, nullable=True),
        sa.Column("shown", Text, nullable=True),
        sa.Column("allowance", Text, nullable=True),
        sa.Column("left_cursor", Text, nullable=True),
        sa.Column("right_cursor", Text, nullable=True),
        sa.Column("left_midway", Number, nullable=True),
        sa.Column("right_midway", Number, nullable=True),
        sa.Column("snapshot_at", sa.BigInteger(), nullable=True),
        sa.Column("succeeded_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_hash", Text, nullable=True),
        sa.Column("clock_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_under", Text, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "parked",
        sa.Column("pair", Number, nullable=False),
        sa.Column("side", Text, nullable=False),
        sa.Column("record_id", Text, nullable=False),
        sa.Column("code", Text, nullable=False),
        sa.Column("field", Text, nullable=True),
        sa.Column("reason", Text, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("tries", Number, nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("pair", "side", "record_id"),
    )
    op.create_table(
        "link",
        sa.Column("id", Number, nullable=False),
        sa.Column("pair", Number, nullable=False),
        sa.Column("left_id", Text, nullable=False),
        sa.Column("right_id", Text, nullable=False),
        sa.Column("left_fp", sa.BigInteger(), nullable=True),
        sa.Column("right_fp", sa.BigInteger(), nullable=True),
        sa.Column("left_raw", sa.BigInteger(), nullable=True),
        sa.Column("right_raw", sa.BigInteger(), nullable=True),
        sa.Column("left_version", Text, nullable=True),
        sa.Column("right_version", Text, nullable=True),
        sa.Column("left_base", Text, nullable=False),
        sa.Column("right_base", Text, nullable=True),
        sa.Column("left_receipt", Text, nullable=True),
        sa.Column("right_receipt", Text, nullable=True),
        sa.Column("held", Text, nullable=True),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pair"],
            ["pair.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pair", "left_id"),
        sa.UniqueConstraint("pair", "right_id"),
        sqlite_autoincrement=True,
    )
