"""The keys of the installation by name, and the ends of the tokens of machines."""

from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0010"
down_revision = "schema_0009"
branch_labels = None
depends_on = None

MOMENT: Final = sa.DateTime(timezone=True)
GRACE: Final = timedelta(days=365)
"""How long the tokens stay good that were made before tokens had an end."""


def upgrade() -> None:
    """Add the columns; tokens that are there end a year from now."""
    with op.batch_alter_table("installation") as installation:
        installation.add_column(sa.Column("secret_since", MOMENT))
        installation.add_column(sa.Column("jwt_fingerprint", sa.String(64)))
        installation.add_column(sa.Column("jwt_since", MOMENT))
        installation.add_column(sa.Column("media_sessions", sa.String(64)))
    with op.batch_alter_table("employee_token") as tokens:
        tokens.add_column(sa.Column("expires_at", MOMENT))
        tokens.add_column(sa.Column("warned_at", MOMENT))
    table = sa.table("employee_token", sa.column("expires_at", MOMENT))
    op.execute(table.update().values(expires_at=datetime.now(UTC) + GRACE))
    op.create_index("ix_employee_token_expires_at", "employee_token", ["expires_at"])


def downgrade() -> None:
    """Drop the columns: all tokens are good without an end again."""
    op.drop_index("ix_employee_token_expires_at", "employee_token")
    with op.batch_alter_table("employee_token") as tokens:
        tokens.drop_column("warned_at")
        tokens.drop_column("expires_at")
    with op.batch_alter_table("installation") as installation:
        for name in ("media_sessions", "jwt_since", "jwt_fingerprint", "secret_since"):
            installation.drop_column(name)
