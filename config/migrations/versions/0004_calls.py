"""The tables of past calls, and the columns of a phone that is unlocked for a time."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0004"
down_revision = "schema_0002"
branch_labels = None
depends_on = None

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OID: Final = sa.String(24)
TEXT: Final = sa.String(255)
WORD: Final = sa.String(24)
SHORT: Final = sa.String(8)
NUMBERS: Final = ("dialled", "caller_number", "callee_number")
UNLOCK: Final[dict[str, sa.types.TypeEngine[Any]]] = {
    "unlocked_until": sa.DateTime(timezone=True),
    "unlock_mode": SHORT,
    "unlock_address": sa.String(45),
}


def upgrade() -> None:
    """Make the tables, and add the columns."""
    make_call_history()
    make_call_history_person()
    for name, type in UNLOCK.items():
        op.add_column("sip_phone", sa.Column(name, type))
    op.create_index("ix_sip_phone_unlocked_until", "sip_phone", ["unlocked_until"])


def downgrade() -> None:
    """Remove what `upgrade` has made. The views stay: they name no new column."""
    op.drop_index("ix_sip_phone_unlocked_until", "sip_phone")
    for name in UNLOCK:
        op.drop_column("sip_phone", name)
    op.drop_table("call_history_person")
    op.drop_table("call_history")


def make_call_history() -> None:
    op.create_table(
        "call_history",
        sa.Column("id", ID, nullable=False),
        sa.Column("call", sa.String(32), nullable=False),
        sa.Column("customer", OID, nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger()),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.Column("dialled", TEXT, nullable=False),
        *party("caller"),
        *party("callee"),
        sa.Column("via", TEXT, nullable=False),
        sa.Column("via_name", TEXT, nullable=False),
        sa.Column("result", WORD, nullable=False),
        sa.Column("cause", WORD, nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("ended_by", TEXT, nullable=False),
        sa.Column("relayed", sa.Boolean(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("node", TEXT, nullable=False),
        sa.Column("sip_call_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_call_history"),
        sa.UniqueConstraint("call", name="uq_call_history_call"),
        sqlite_autoincrement=True,
    )
    index = "ix_call_history_"
    op.create_index(f"{index}started_ms_id", "call_history", ["started_ms", "id"])
    op.create_index(f"{index}customer_started_ms_id", "call_history", ["customer", "started_ms", "id"])
    for number in NUMBERS:
        op.create_index(f"{index}customer_{number}", "call_history", ["customer", number, "started_ms"])
    for phone in ("caller_phone", "callee_phone"):
        op.create_index(f"{index}{phone}", "call_history", [phone, "started_ms"])


def party(side: str) -> list[sa.Column[str]]:
    """Return the columns of one side of a call."""
    types: dict[str, sa.String] = {
        "phone": OID, "person": OID, "number": TEXT, "name": TEXT, "transport": SHORT
    }  # fmt: skip
    return [sa.Column(f"{side}_{name}", type, nullable=False) for name, type in types.items()]


def make_call_history_person() -> None:
    op.create_table(
        "call_history_person",
        sa.Column("history_id", ID, nullable=False),
        sa.Column("side", SHORT, nullable=False),
        sa.Column("person", OID, nullable=False),
        sa.Column("result", WORD, nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("side IN ('caller', 'callee')", name="ck_call_history_person_side"),
        sa.ForeignKeyConstraint(
            ["history_id"],
            ["call_history.id"],
            name="fk_call_history_person_history_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("history_id", "side", "person", name="pk_call_history_person"),
    )
    op.create_index(
        "ix_call_history_person_person_started_ms",
        "call_history_person",
        ["person", "started_ms", "history_id"],
    )
