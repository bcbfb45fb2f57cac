"""Indexes: of texts inside texts, for the filter of the list of phones; of the newest deeds about a row."""

import logging
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SEARCHED: Final = {
    "sip_phone": ("mac", "ip_address", "handset_address", "notes"),
    "extension": ("number", "direct_number"),
    "employee": ("name",),
}

log = logging.getLogger(__name__)


def upgrade() -> None:
    """Trigrams of each searched column in lower case, where PostgreSQL has the extension pg_trgm."""
    op.create_index("ix_audit_log_row_oid_id", "audit_log", ["row_oid", "id"], unique=False)
    op.drop_index("ix_audit_log_row_oid", "audit_log")
    if op.get_bind().dialect.name != "postgresql" or not has_trigrams():
        return
    for table, columns in SEARCHED.items():
        for column in columns:
            op.create_index(
                f"ix_{table}_{column}_trigrams",
                table,
                [sa.text(f"lower({column}) gin_trgm_ops")],
                postgresql_using="gin",
            )


def downgrade() -> None:
    """As it was; the extension stays, for it may have been there before."""
    op.create_index("ix_audit_log_row_oid", "audit_log", ["row_oid"], unique=False)
    op.drop_index("ix_audit_log_row_oid_id", "audit_log")
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in SEARCHED.items():
            for column in columns:
                op.execute(f"DROP INDEX IF EXISTS ix_{table}_{column}_trigrams")


def has_trigrams() -> bool:
    """Whether pg_trgm is there or could be made; without it the filter works, by reading whole tables."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
    except sa.exc.DBAPIError as error:
        log.warning(
            "filters of lists have no index: the database has no extension pg_trgm, and %s", error.orig
        )
        return False
    return True
