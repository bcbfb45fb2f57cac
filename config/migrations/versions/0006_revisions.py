"""A number that grows with each change of a row, for the ETag of the API; phones and extensions have one."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES: Final = (
    "customer",
    "employee",
    "sip_group",
    "queue",
    "queue_member",
    "trusted_network",
    "product",
    "sip_phone_model",
)


def upgrade() -> None:
    """Every row that is there begins with 1."""
    for table in TABLES:
        op.add_column(table, sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"))


def downgrade() -> None:
    """As it was."""
    for table in TABLES:
        op.drop_column(table, "revision")
