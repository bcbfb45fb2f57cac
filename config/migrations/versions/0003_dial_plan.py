"""Logins, SIP users, groups, queues, trusted networks: the rest of the data model."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT: Final = sa.DateTime(timezone=True)
OID: Final = sa.String(length=24)
TEXT: Final = sa.String(length=255)
NUMBER: Final = sa.String(length=32)

NEW_TABLES: Final = (
    "trusted_network",
    "queue_member",
    "queue",
    "sip_group_controller",
    "sip_group_member",
    "sip_group",
    "number",
    "employee_token",
)
NEW_COLUMNS: Final = {
    "customer": ("call_recording", "features"),
    "employee": (
        "login_email",
        "password_hash",
        "ip_restriction",
        "contact_email",
        "first_name",
        "last_name",
        "title",
        "department",
        "company_name",
        "office_name",
    ),
    "extension": (
        "sip_user",
        "sip_ha1_md5",
        "sip_ha1_sha256",
        "sip_secret_version",
        "pin_hash",
        "hotdesk_allowed",
        "uk_caller_id",
        "us_caller_id",
        "uk_phone_id",
        "us_phone_id",
        "mobile_number",
        "mobile_follow",
        "dashboard",
    ),
    "product": ("reseller_id", "price"),
    "sip_phone": ("device_token_sha256", "linked_at"),
}

PHONES: Final = """
SELECT
    phone.oid AS id,
    phone.version + customer.version + COALESCE(extension.version, 0) AS version,
    phone.username AS username,
    customer.sip_domain AS domain,
    phone.password_enc AS password_enc,
    CAST(NULL AS VARCHAR(64)) AS ha1_md5,
    CAST(NULL AS VARCHAR(64)) AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    COALESCE(extension.number, '') AS extension,
    phone.secret_version AS secret_version,
    phone.ip_mode AS ip_mode,
    phone.ip_countries AS ip_countries,
    COALESCE(phone.ip_address, '') AS ip_address,
    phone.ip_policy AS ip_policy,
    phone.pbx_cluster AS pbx_cluster,
    CASE WHEN phone.webrtc THEN 1 ELSE 0 END AS webrtc,
    COALESCE(phone.instance_id, '') AS instance_id{more}
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
"""
# Each column has the type it has above, or PostgreSQL would read all rows before it looks at a condition.
USERS: Final = """
UNION ALL
SELECT
    CAST('u' || CAST(extension.id AS VARCHAR(20)) AS VARCHAR(24)) AS id,
    extension.version + customer.version AS version,
    extension.sip_user AS username,
    customer.sip_domain AS domain,
    CAST(NULL AS VARCHAR(255)) AS password_enc,
    extension.sip_ha1_md5 AS ha1_md5,
    extension.sip_ha1_sha256 AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    extension.number AS extension,
    extension.sip_secret_version AS secret_version,
    CAST('OPEN' AS VARCHAR(8)) AS ip_mode,
    CAST('' AS VARCHAR(1000)) AS ip_countries,
    CAST('' AS VARCHAR(45)) AS ip_address,
    CAST('DOMAIN' AS VARCHAR(8)) AS ip_policy,
    1 AS pbx_cluster,
    0 AS webrtc,
    CAST('' AS VARCHAR(255)) AS instance_id,
    {networks} AS networks,
    'user' AS kind,
    extension.id AS user_id
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE extension.sip_ha1_md5 IS NOT NULL AND customer.sip_domain IS NOT NULL
"""
NETWORKS: Final = """COALESCE(
        (SELECT {join}(network, ',') FROM trusted_network WHERE customer_id = customer.id), ''
    )"""


def upgrade() -> None:
    """Add columns, make tables, reserve the numbers that are in use, and show SIP users in the view."""
    op.execute("DROP VIEW phone_v1")
    extend_customer()
    extend_employee()
    extend_extension()
    extend_product_and_phone()
    make_employee_token()
    make_number()
    make_groups()
    make_queues()
    make_trusted_network()
    op.execute(
        "INSERT INTO number (customer_id, number, kind, ref) "
        "SELECT customer_id, number, 'extension', oid FROM extension"
    )
    join = "group_concat" if op.get_bind().dialect.name == "sqlite" else "string_agg"
    networks = NETWORKS.format(join=join)
    more = (
        f",\n    CASE WHEN phone.ip_policy = 'DOMAIN' THEN {networks} ELSE '' END AS networks"
        ",\n    'phone' AS kind,\n    CAST(NULL AS BIGINT) AS user_id"
    )
    op.execute("CREATE VIEW phone_v1 AS" + PHONES.format(more=more) + USERS.format(networks=networks))


def downgrade() -> None:
    """As it was, without what was kept in the new tables and columns."""
    op.execute("DROP VIEW phone_v1")
    for table in NEW_TABLES:
        op.drop_table(table)
    op.drop_index("uq_employee_login_email", "employee")
    op.drop_index("uq_extension_customer_id_sip_user", "extension")
    op.drop_index("uq_extension_primary", "extension")
    op.drop_index("ix_product_reseller_id", "product")
    for table, columns in NEW_COLUMNS.items():
        for column in columns:
            op.drop_column(table, column)
    op.execute("CREATE VIEW phone_v1 AS" + PHONES.format(more=""))


def add(table: str, name: str, type_: sa.types.TypeEngine[Any], default: str | None = None) -> None:
    """One column more; rows that exist get `default`, which new ones must say themselves."""
    column: sa.Column[Any] = sa.Column(name, type_, nullable=default is None, server_default=default)
    op.add_column(table, column)


def flag(table: str, name: str) -> None:
    add(table, name, sa.Boolean(), "0" if op.get_bind().dialect.name == "sqlite" else "false")


def identified() -> tuple[sa.Column[object], ...]:
    """The columns that every table of things has."""
    return (
        sa.Column("id", ID, nullable=False),
        sa.Column("oid", OID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
    )


def extend_customer() -> None:
    flag("customer", "call_recording")
    add("customer", "features", sa.JSON(), "[]")


def extend_employee() -> None:
    add("employee", "login_email", TEXT)
    add("employee", "password_hash", TEXT)
    add("employee", "ip_restriction", sa.String(length=1_000))
    for name in ("contact_email", "first_name", "last_name", "title", "department"):
        add("employee", name, TEXT)
    add("employee", "company_name", TEXT)
    add("employee", "office_name", TEXT)
    op.create_index("uq_employee_login_email", "employee", ["login_email"], unique=True)


def extend_extension() -> None:
    add("extension", "sip_user", sa.String(length=64))
    add("extension", "sip_ha1_md5", sa.String(length=64))
    add("extension", "sip_ha1_sha256", sa.String(length=64))
    add("extension", "sip_secret_version", sa.Integer(), "1")
    add("extension", "pin_hash", TEXT)
    flag("extension", "hotdesk_allowed")
    add("extension", "uk_caller_id", NUMBER)
    add("extension", "us_caller_id", NUMBER)
    add("extension", "uk_phone_id", sa.Integer())
    add("extension", "us_phone_id", sa.Integer())
    add("extension", "mobile_number", NUMBER)
    flag("extension", "mobile_follow")
    flag("extension", "dashboard")
    op.create_index(
        "uq_extension_customer_id_sip_user", "extension", ["customer_id", "sip_user"], unique=True
    )
    # A person has one primary extension; of several the oldest stays.
    op.execute(
        "UPDATE extension SET is_primary = false WHERE is_primary AND id NOT IN "
        "(SELECT MIN(id) FROM extension WHERE is_primary AND employee_id IS NOT NULL GROUP BY employee_id)"
    )
    primary = sa.text("is_primary")
    op.create_index(
        "uq_extension_primary",
        "extension",
        ["employee_id"],
        unique=True,
        sqlite_where=primary,
        postgresql_where=primary,
    )


def extend_product_and_phone() -> None:
    add("product", "reseller_id", ID)
    op.create_index("ix_product_reseller_id", "product", ["reseller_id"], unique=False)
    add("product", "price", sa.Numeric(12, 2))
    add("sip_phone", "device_token_sha256", sa.String(length=64))
    add("sip_phone", "linked_at", MOMENT)


def make_employee_token() -> None:
    op.create_table(
        "employee_token",
        *identified(),
        sa.Column("employee_id", ID, nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("note", TEXT),
        sa.Column("revoked_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["employee_id"], ["employee.id"], name="fk_employee_token_employee_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_employee_token"),
        sa.UniqueConstraint("oid", name="uq_employee_token_oid"),
        sa.UniqueConstraint("token_sha256", name="uq_employee_token_token_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_employee_token_employee_id", "employee_token", ["employee_id"], unique=False)


def make_number() -> None:
    op.create_table(
        "number",
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ref", OID, nullable=False),
        sa.CheckConstraint("kind IN ('extension', 'group', 'queue')", name="ck_number_kind"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_number_customer_id"),
        sa.PrimaryKeyConstraint("customer_id", "number", name="pk_number"),
        sa.UniqueConstraint("ref", name="uq_number_ref"),
    )


def numbered(table: str) -> tuple[sa.Column[object] | sa.Constraint, ...]:
    """What groups and queues have alike."""
    return (
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("display_name", TEXT),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("caller_name_format", TEXT),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=f"fk_{table}_customer_id"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("oid", name=f"uq_{table}_oid"),
        sa.UniqueConstraint("customer_id", "number", name=f"uq_{table}_customer_id_number"),
    )


def make_groups() -> None:
    flags = ("ring_retry", "ring_exclusive", "pickup", "steal", "spy", "set_presence", "queue_member")
    op.create_table(
        "sip_group",
        *numbered("sip_group"),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in flags),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sip_group_customer_id", "sip_group", ["customer_id"], unique=False)
    for table, more in (
        ("sip_group_member", (sa.Column("updated_at", MOMENT, nullable=False),)),
        ("sip_group_controller", ()),
    ):
        op.create_table(
            table,
            sa.Column("group_id", ID, nullable=False),
            sa.Column("extension_id", ID, nullable=False),
            *more,
            sa.ForeignKeyConstraint(
                ["group_id"], ["sip_group.id"], name=f"fk_{table}_group_id", ondelete="CASCADE"
            ),
            sa.ForeignKeyConstraint(
                ["extension_id"], ["extension.id"], name=f"fk_{table}_extension_id", ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint("group_id", "extension_id", name=f"pk_{table}"),
        )
        op.create_index(f"ix_{table}_extension_id", table, ["extension_id"], unique=False)


def make_queues() -> None:
    op.create_table(
        "queue",
        *numbered("queue"),
        sa.Column("strategy", sa.String(length=32)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queue_customer_id", "queue", ["customer_id"], unique=False)
    op.create_table(
        "queue_member",
        *identified(),
        sa.Column("queue_id", ID, nullable=False),
        sa.Column("group_id", ID),
        sa.Column("extension_id", ID),
        sa.Column("external_number", NUMBER),
        sa.Column("ring_strategy", sa.String(length=16), nullable=False),
        sa.Column("ring_attempts", sa.Integer(), nullable=False),
        sa.Column("ring_secs", sa.Integer(), nullable=False),
        sa.Column("ring_order", sa.Integer(), nullable=False),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(CASE WHEN group_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN extension_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN external_number IS NULL THEN 0 ELSE 1 END) = 1",
            name="ck_queue_member_one_target",
        ),
        sa.CheckConstraint(
            "ring_strategy IN ('all', 'huntLongestIdle')", name="ck_queue_member_ring_strategy"
        ),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=f"fk_queue_member_{column}", ondelete="CASCADE"
            )
            for column, table in (
                ("queue_id", "queue"),
                ("group_id", "sip_group"),
                ("extension_id", "extension"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name="pk_queue_member"),
        sa.UniqueConstraint("oid", name="uq_queue_member_oid"),
        sqlite_autoincrement=True,
    )
    for column in ("queue_id", "group_id", "extension_id"):
        op.create_index(f"ix_queue_member_{column}", "queue_member", [column], unique=False)


def make_trusted_network() -> None:
    op.create_table(
        "trusted_network",
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("network", sa.String(length=64), nullable=False),
        sa.Column("network_as_sent", sa.String(length=64), nullable=False),
        sa.Column("description", TEXT),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_trusted_network_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_trusted_network"),
        sa.UniqueConstraint("oid", name="uq_trusted_network_oid"),
        sa.UniqueConstraint("customer_id", "network", name="uq_trusted_network_customer_id_network"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_trusted_network_customer_id", "trusted_network", ["customer_id"], unique=False)
