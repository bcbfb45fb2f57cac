"""The table `change`, which the SIP side follows, and its view."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0012"
down_revision = "schema_0011"
branch_labels = None
depends_on = None

VIEW: Final = "CREATE VIEW change_v1 AS SELECT seq, what, id, at FROM change"


def upgrade() -> None:
    """Make both. The table is never empty: the newest row shows a reader that it has missed none."""
    change = op.create_table(
        "change",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("id", sa.String(24), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_change"),
        sqlite_autoincrement=True,
    )
    op.bulk_insert(change, [{"what": "everybody", "id": "", "at": 0}])
    op.execute(VIEW)


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP VIEW change_v1")
    op.drop_table("change")
