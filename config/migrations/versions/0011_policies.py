"""Policies and quotas of customers, policies of phones, and the view `phone_v1` with both."""

from datetime import UTC, datetime
from importlib import import_module
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0011"
down_revision = "schema_0010"
branch_labels = None
depends_on = None

DESTINATIONS: Final = import_module("config.migrations.versions.0002_destinations")
FLAGS: Final = ("require_tls", "require_srtp", "require_sha256", "require_networks")
NUMBERS: Final = (
    *("max_contacts", "max_calls", "max_call_rate", "max_phone_calls", "max_extension_calls"),
    *("max_transactions", "max_phones", "max_logins", "max_webhooks", "max_streams"),
)
OF_PHONE: Final = ("require_tls", "require_srtp", "require_sha256")
SHOWN: Final = NUMBERS[1:6]
"""The quotas that the SIP side reads; see registrar/rules/terms.py for the order."""
PERSON: Final = "extension.oid AS person\nFROM"
DOMAINS: Final = """
CREATE VIEW domain_v1 AS
SELECT sip_domain AS domain, CASE WHEN require_sha256 THEN 1 ELSE 0 END AS sha256
FROM customer WHERE sip_domain IS NOT NULL AND state <> 'DELETED'
"""


def upgrade() -> None:
    """Add the columns, which leave everything as it was, and show them."""
    for name in FLAGS:
        flag: sa.Column[bool] = sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
        op.add_column("customer", flag)
    for name in NUMBERS:
        op.add_column("customer", sa.Column(name, sa.Integer()))
    for name in OF_PHONE:
        op.add_column("sip_phone", sa.Column(name, sa.Boolean()))
    op.add_column("sip_phone", sa.Column("max_contacts", sa.Integer()))
    _make_views(_phones(), DOMAINS)
    _make_seen()


def downgrade() -> None:
    """Make the views as they were, and drop the tables and columns."""
    for table in ("seen_feed", "account_seen"):
        op.drop_table(table)
    _make_views(_former_phones(), DESTINATIONS.FORMER.DOMAINS)
    op.drop_column("sip_phone", "max_contacts")
    for name in OF_PHONE:
        op.drop_column("sip_phone", name)
    for name in (*NUMBERS, *FLAGS):
        op.drop_column("customer", name)


def _make_views(phones: str, domains: str) -> None:
    for view in ("phone_v1", "domain_v1"):
        op.execute(f"DROP VIEW {view}")
    op.execute(phones)
    op.execute(domains)


def _make_seen() -> None:
    """Make the tables of what accounts were used with."""
    op.create_table(
        "account_seen",
        sa.Column("phone_oid", sa.String(24), nullable=False),
        sa.Column("countries", sa.String(640), nullable=False),
        sa.Column("brands", sa.String(640), nullable=False),
        sa.PrimaryKeyConstraint("phone_oid", name="pk_account_seen"),
    )
    feed = op.create_table(
        "seen_feed",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.String(41), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_seen_feed_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_seen_feed"),
    )
    free = {"id": 1, "owner": "", "until": datetime.fromtimestamp(0, UTC), "position": "0-0"}
    op.bulk_insert(feed, [free])


def _former_phones() -> str:
    """Return the view `phone_v1` as it was."""
    persons = (DESTINATIONS._with_person(f"{table}.{column}") for table, column in PERSON_COLUMNS)
    phones = str(DESTINATIONS._phones())
    for before, after in persons:
        phones = phones.replace(before, after)
    return phones


PERSON_COLUMNS: Final = (("phone", "extension_id"), ("extension", "id"))


def _phones() -> str:
    """Return the view with the column `terms`, first of phones, then of SIP users."""
    before = _former_phones()
    of_phone = _terms(
        {name: f"COALESCE(phone.{name}, customer.{name})" for name in OF_PHONE}, "phone.max_contacts"
    )
    of_user = _terms({name: f"customer.{name}" for name in OF_PHONE}, "")
    head, middle, tail = before.split(PERSON)
    return f"{head}{_with(of_phone)}{middle}{_with(of_user)}{tail}"


def _with(terms: str) -> str:
    return f"extension.oid AS person,\n    {terms} AS terms\nFROM"


def _terms(flags: dict[str, str], own_contacts: str) -> str:
    """Return the expression for the text that registrar/rules/terms.py reads."""
    letters = zip("tsdn", (*flags.values(), "customer.require_networks"), strict=True)
    parts = [f"CASE WHEN {flag} THEN '{letter}' ELSE '' END" for letter, flag in letters]
    numbers = ["customer.max_contacts", own_contacts, *(f"customer.{name}" for name in SHOWN)]
    parts += [f"'/' || {_text(number)}" for number in numbers]
    return f"CAST({' || '.join(parts)} AS VARCHAR(128))"


def _text(number: str) -> str:
    return f"COALESCE(CAST({number} AS VARCHAR(11)), '')" if number else "''"
