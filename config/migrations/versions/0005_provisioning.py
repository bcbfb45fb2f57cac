"""The tables of provisioning, and an index that finds a device by its token."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0005"
down_revision = "schema_0004"
branch_labels = None
depends_on = None

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MAC: Final = sa.String(12)
DIGEST: Final = sa.String(64)
SEALED: Final = sa.String(255)
ADDRESS: Final = sa.String(45)
NAME: Final = sa.String(128)
MOMENT: Final = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables and the index."""
    make_provisioning()
    make_provisioning_file()
    make_provisioning_link()
    op.create_index("ix_sip_phone_device_token_sha256", "sip_phone", ["device_token_sha256"])


def downgrade() -> None:
    """Remove what `upgrade` has made."""
    op.drop_index("ix_sip_phone_device_token_sha256", "sip_phone")
    for table in ("provisioning_link", "provisioning_file", "provisioning"):
        op.drop_table(table)


def make_provisioning() -> None:
    """Make the table of the secrets."""
    op.create_table(
        "provisioning",
        sa.Column("mac", MAC, nullable=False),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("first_sha256", DIGEST),
        sa.Column("first_enc", SEALED),
        sa.Column("first_until", MOMENT),
        sa.Column("steady_sha256", DIGEST, nullable=False),
        sa.Column("steady_enc", SEALED, nullable=False),
        sa.Column("session_source", ADDRESS),
        sa.Column("session_until", MOMENT),
        sa.Column("expect_until", MOMENT),
        sa.Column("expect_networks", sa.String(1_000)),
        sa.Column("expect_source", ADDRESS),
        sa.Column("admin_password_enc", SEALED, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_provisioning_customer_id"),
        sa.PrimaryKeyConstraint("mac", name="pk_provisioning"),
        sa.UniqueConstraint("first_sha256", name="uq_provisioning_first_sha256"),
        sa.UniqueConstraint("steady_sha256", name="uq_provisioning_steady_sha256"),
    )
    op.create_index("ix_provisioning_customer_id", "provisioning", ["customer_id"])


def make_provisioning_file() -> None:
    """Make the table of the last files."""
    op.create_table(
        "provisioning_file",
        sa.Column("mac", MAC, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("text_masked", sa.Text(), nullable=False),
        sa.Column("sha256", DIGEST, nullable=False),
        sa.Column("served_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["mac"], ["provisioning.mac"], name="fk_provisioning_file_mac", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mac", "name", name="pk_provisioning_file"),
    )


def make_provisioning_link() -> None:
    """Make the table of the one-time links."""
    op.create_table(
        "provisioning_link",
        sa.Column("sha256", DIGEST, nullable=False),
        sa.Column("phone_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["sip_phone.id"], name="fk_provisioning_link_phone_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", name="pk_provisioning_link"),
    )
    op.create_index("ix_provisioning_link_phone_id", "provisioning_link", ["phone_id"])
    op.create_index("ix_provisioning_link_expires_at", "provisioning_link", ["expires_at"])
