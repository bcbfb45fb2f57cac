"""The audit log gets what was there before and after, the token, the customer, and its place in a chain."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0008"
down_revision = "schema_0007"
branch_labels = None
depends_on = None

WAITS: Final = sa.text("seq IS NULL")
NEW: Final = ("via", "customer_id", "named", "changes", "seq", "hash")


def upgrade() -> None:
    """Add the columns, their indexes, and the head of the chain; the rows of before are chained first."""
    op.add_column("audit_log", sa.Column("via", sa.String(64), nullable=False, server_default=""))
    op.add_column("audit_log", sa.Column("customer_id", sa.BigInteger()))
    op.add_column("audit_log", sa.Column("named", sa.String(320)))
    op.add_column("audit_log", sa.Column("changes", sa.Text()))
    op.add_column("audit_log", sa.Column("seq", sa.BigInteger()))
    op.add_column("audit_log", sa.Column("hash", sa.String(64)))
    op.create_index("ix_audit_log_customer_id_id", "audit_log", ["customer_id", "id"])
    op.create_index("ix_audit_log_waits", "audit_log", ["id"], sqlite_where=WAITS, postgresql_where=WAITS)
    op.create_index("uq_audit_log_seq", "audit_log", ["seq"], unique=True)
    name_customers()
    make_head()
    op.add_column("sip_phone", sa.Column("locked_at", sa.DateTime(timezone=True)))
    tell_first_contacts()


def downgrade() -> None:
    """Drop what was added."""
    forget_first_contacts()
    op.drop_column("sip_phone", "locked_at")
    op.drop_table("audit_head")
    for index in ("ix_audit_log_customer_id_id", "ix_audit_log_waits", "uq_audit_log_seq"):
        op.drop_index(index, table_name="audit_log")
    for column in reversed(NEW):
        op.drop_column("audit_log", column)


def name_customers() -> None:
    """Note the customer of the rows of before, as far as their objects still exist."""
    for table in ("sip_phone", "extension", "employee", "sip_group", "queue", "trusted_network", "webhook"):
        op.execute(
            f"UPDATE audit_log SET customer_id = (SELECT customer_id FROM {table} "  # noqa: S608
            f"WHERE oid = row_oid) WHERE table_name = '{table}'"
        )
    op.execute(
        "UPDATE audit_log SET customer_id = (SELECT id FROM customer WHERE oid = row_oid) "
        "WHERE table_name = 'customer'"
    )


def make_head() -> None:
    """Make the table of the head, without a row: the first writer makes it, because it is sealed."""
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("base_seq", sa.BigInteger(), nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("seal", sa.String(512), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_audit_head_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )


# The UPDATE that locks a phone is on the way of a REGISTER: a trigger costs it no statement.
TOLD: Final = (
    "INSERT INTO audit_log "
    "(at, actor_level, action, table_name, row_oid, source_ip, via, customer_id, changes) "
    "VALUES (CURRENT_TIMESTAMP, 'SYSTEM', 'first-contact', 'sip_phone', NEW.oid, NEW.ip_address, '', "
    """NEW.customer_id, '{"after":{"ip_address":"' || NEW.ip_address || '","ip_mode":"LOCKED"},"""
    """"before":{"ip_mode":"OPEN"}}'); """
)


def tell_first_contacts() -> None:
    """Let the database write to the audit log that a first contact has locked a phone."""
    trigger = "CREATE TRIGGER sip_phone_first_contact AFTER UPDATE OF locked_at ON sip_phone FOR EACH ROW "
    if op.get_bind().dialect.name == "sqlite":
        op.execute(sa.text(f"{trigger} BEGIN {TOLD} END"))
        return
    body = f"BEGIN {TOLD} RETURN NULL; END"
    op.execute(
        sa.text(f"CREATE FUNCTION audit_first_contact() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    )
    op.execute(sa.text(f"{trigger} EXECUTE FUNCTION audit_first_contact()"))


def forget_first_contacts() -> None:
    """Drop the trigger."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER sip_phone_first_contact")
        return
    op.execute("DROP TRIGGER sip_phone_first_contact ON sip_phone")
    op.execute("DROP FUNCTION audit_first_contact()")
