"""The tables of the redirect outbox."""

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0007"
down_revision = "schema_0006"
branch_labels = None
depends_on = None

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT: Final = sa.DateTime(timezone=True)
STATES: Final = "'pending', 'registered', 'foreign', 'failed', 'manual'"


def upgrade() -> None:
    """Make the tables, and the row of the lease, which is free."""
    make_redirect()
    lease = op.create_table(
        "redirect_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_redirect_lease_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_redirect_lease"),
    )
    op.bulk_insert(lease, [{"id": 1, "owner": "", "until": datetime.fromtimestamp(0, UTC)}])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("redirect_lease")
    op.drop_table("redirect")


def make_redirect() -> None:
    """Make the table of what the services are to know."""
    op.create_table(
        "redirect",
        sa.Column("id", ID, nullable=False),
        sa.Column("mac", sa.String(12), nullable=False),
        sa.Column("service", sa.String(16), nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("url_enc", sa.Text()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("was_sent", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.Column("last_error", sa.String(300)),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"state IN ({STATES})", name="ck_redirect_state"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_redirect_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_redirect"),
        sa.UniqueConstraint("mac", "service", name="uq_redirect_mac_service"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_redirect_customer_id", "redirect", ["customer_id"])
    op.create_index("ix_redirect_service_state_next_at", "redirect", ["service", "state", "next_at"])
