"""Sessions, and the second factor of logins."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0009"
down_revision = "schema_0008"
branch_labels = None
depends_on = None

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT: Final = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and the flag of customers that require a second factor."""
    required: sa.Column[bool] = sa.Column(
        "totp_required", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("customer", required)
    make_session()
    make_totp()
    make_recovery_code()


def downgrade() -> None:
    """Drop what was made."""
    for table in ("recovery_code", "employee_totp", "login_session"):
        op.drop_table(table)
    op.drop_column("customer", "totp_required")


def make_session() -> None:
    """Make the table of sessions."""
    op.create_table(
        "login_session",
        sa.Column("id", ID, nullable=False),
        sa.Column("oid", sa.String(24), nullable=False),
        sa.Column("employee_id", ID, nullable=False),
        sa.Column("source_ip", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(256), nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        of_employee("login_session"),
        sa.PrimaryKeyConstraint("id", name="pk_login_session"),
        sa.UniqueConstraint("oid", name="uq_login_session_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_login_session_employee_id", "login_session", ["employee_id"])
    op.create_index("ix_login_session_expires_at", "login_session", ["expires_at"])


def make_totp() -> None:
    """Make the table of the secrets of authenticators."""
    op.create_table(
        "employee_totp",
        sa.Column("employee_id", ID, autoincrement=False, nullable=False),
        sa.Column("secret_enc", sa.String(255), nullable=False),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("held_until", MOMENT),
        of_employee("employee_totp"),
        sa.PrimaryKeyConstraint("employee_id", name="pk_employee_totp"),
    )


def make_recovery_code() -> None:
    """Make the table of recovery codes."""
    op.create_table(
        "recovery_code",
        sa.Column("id", ID, nullable=False),
        sa.Column("employee_id", ID, nullable=False),
        sa.Column("code_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        of_employee("recovery_code"),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_code"),
    )
    op.create_index("ix_recovery_code_employee_id", "recovery_code", ["employee_id"])


def of_employee(table: str) -> sa.ForeignKeyConstraint:
    """Return the reference to the employee, whose rows go with it."""
    name = f"fk_{table}_employee_id"
    return sa.ForeignKeyConstraint(["employee_id"], ["employee.id"], name=name, ondelete="CASCADE")
