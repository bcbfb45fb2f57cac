"""The tables of webhooks."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "schema_0003"
down_revision = "schema_0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
POSITION = sa.String(41)


def upgrade() -> None:
    """Make the tables, and the row of the feed, whose lease is free."""
    make_webhook()
    make_webhook_delivery()
    feed = op.create_table(
        "webhook_feed",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("position", POSITION, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_webhook_feed_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_feed"),
    )
    free = {"id": 1, "owner": "", "until": datetime.fromtimestamp(0, UTC), "position": "0-0"}
    op.bulk_insert(feed, [free])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("webhook_feed", "webhook_delivery", "webhook"):
        op.drop_table(table)


def make_webhook() -> None:
    """Make the table of webhooks."""
    op.create_table(
        "webhook",
        sa.Column("id", ID, nullable=False),
        sa.Column("oid", sa.String(24), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(300)),
        sa.Column("secret_enc", sa.String(255), nullable=False),
        sa.Column("after", POSITION, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", MOMENT),
        sa.Column("retry_at", MOMENT),
        sa.CheckConstraint("state IN ('ACTIVE', 'DISABLED')", name="ck_webhook_state"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_webhook_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook"),
        sa.UniqueConstraint("oid", name="uq_webhook_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_customer_id", "webhook", ["customer_id"], unique=False)


def make_webhook_delivery() -> None:
    """Make the table of deliveries."""
    op.create_table(
        "webhook_delivery",
        sa.Column("id", ID, nullable=False),
        sa.Column("webhook_id", ID, nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("lane", sa.String(160), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_at", MOMENT),
        sa.Column("last_at", MOMENT),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.String(300)),
        sa.Column("milliseconds", sa.BigInteger()),
        sa.CheckConstraint("state IN ('PENDING', 'DELIVERED', 'FAILED')", name="ck_webhook_delivery_state"),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name="fk_webhook_delivery_webhook_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_delivery"),
        sqlite_autoincrement=True,
    )
    for columns in (["webhook_id", "state", "id"], ["webhook_id", "state", "lane", "id"]):
        name = "_".join(["ix_webhook_delivery", *columns])
        op.create_index(name, "webhook_delivery", columns, unique=False)
