"""The whole schema: the tables of config/tables/, and the views that the SIP side reads.

Before the first release it grew in six steps, `config.database` knows their revisions. A database that was
made by them has the same schema, down to the names of constraints and the defaults of columns.
"""

import logging
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "schema_0001"
down_revision = None
branch_labels = None
depends_on = None

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT: Final = sa.DateTime(timezone=True)
OID: Final = sa.String(24)
TEXT: Final = sa.String(255)

# Each column has one type in both halves, or PostgreSQL would read all rows before it looks at a condition.
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
    COALESCE(phone.instance_id, '') AS instance_id,
    CASE WHEN phone.ip_policy = 'DOMAIN' THEN {networks} ELSE '' END AS networks,
    'phone' AS kind,
    CAST(NULL AS BIGINT) AS user_id,
    COALESCE(extension.name, '') AS name,
    CASE WHEN phone.codec_hd THEN 1 ELSE 0 END AS codec_hd,
    CASE WHEN phone.codec_video THEN 1 ELSE 0 END AS codec_video,
    phone.extension_id AS extension_id
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
"""
# A SIP user has no settings of a device: it gets what a new phone has.
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
    extension.id AS user_id,
    extension.name AS name,
    1 AS codec_hd,
    0 AS codec_video,
    extension.id AS extension_id
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE extension.sip_ha1_md5 IS NOT NULL AND customer.sip_domain IS NOT NULL
"""
NETWORKS: Final = """COALESCE(
        (SELECT {join}(network, ',') FROM trusted_network WHERE customer_id = customer.id), ''
    )"""
# One row for each word that reaches a phone of a customer. `rank`: who is meant when two are alike.
# Each third is found by (customer, dialled) through an index of its own table.
CALLEES: Final = """
CREATE VIEW callee_v1 AS
SELECT
    customer.oid AS customer,
    extension.number AS dialled,
    'extension' AS kind,
    1 AS rank,
    extension.number AS number,
    extension.name AS name,
    extension.id AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE customer.state = 'ACTIVE'
UNION ALL
SELECT
    customer.oid AS customer,
    extension.sip_user AS dialled,
    'user' AS kind,
    2 AS rank,
    extension.number AS number,
    extension.name AS name,
    extension.id AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE customer.state = 'ACTIVE' AND extension.sip_user IS NOT NULL
UNION ALL
SELECT
    customer.oid AS customer,
    phone.username AS dialled,
    'phone' AS kind,
    3 AS rank,
    COALESCE(extension.number, '') AS number,
    COALESCE(extension.name, '') AS name,
    phone.extension_id AS extension_id,
    phone.oid AS phone
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
WHERE customer.state = 'ACTIVE'
"""
DOMAINS: Final = """
CREATE VIEW domain_v1 AS
SELECT sip_domain AS domain FROM customer WHERE sip_domain IS NOT NULL AND state <> 'DELETED'
"""
TRIGRAMS: Final = {
    "sip_phone": ("mac", "ip_address", "handset_address", "notes"),
    "extension": ("number", "direct_number"),
    "employee": ("name",),
}
"""Table -> columns in which the filter of the list of phones searches."""
VIEWS: Final = ("callee_v1", "phone_v1", "domain_v1")

log = logging.getLogger(__name__)


def upgrade() -> None:
    """Make the tables, those that others point to first, then the views."""
    for make in TABLES.values():
        make()
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    networks = NETWORKS.format(join="group_concat" if is_sqlite else "string_agg")
    op.execute("CREATE VIEW phone_v1 AS" + PHONES.format(networks=networks) + USERS.format(networks=networks))
    op.execute(CALLEES)
    op.execute(DOMAINS)
    if not is_sqlite and has_trigrams():
        make_trigrams()


def downgrade() -> None:
    """Drop everything; the extension of PostgreSQL stays, for it may have been there before."""
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")
    for table in reversed(TABLES):
        op.drop_table(table)


def make_trigrams() -> None:
    """Index the trigrams of each searched column in lower case."""
    for table, columns in TRIGRAMS.items():
        for column in columns:
            op.create_index(
                f"ix_{table}_{column}_trigrams",
                table,
                [sa.text(f"lower({column}) gin_trgm_ops")],
                postgresql_using="gin",
            )


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


def identified() -> tuple[sa.Column[object], ...]:
    """The columns that every table of things has."""
    return (
        sa.Column("id", ID, nullable=False),
        sa.Column("oid", OID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
    )


def make_installation() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("secret_fingerprint", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_installation_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )


def make_customer() -> None:
    op.create_table(
        "customer",
        *identified(),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("parent_customer_id", ID),
        sa.Column("is_reseller", sa.Boolean(), nullable=False),
        sa.Column("sip_domain", TEXT),
        sa.Column("sip_display_name", TEXT),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("call_recording", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("features", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.CheckConstraint("state IN ('ACTIVE', 'BLOCKED', 'DELETED')", name="ck_customer_state"),
        sa.ForeignKeyConstraint(
            ["parent_customer_id"], ["customer.id"], name="fk_customer_parent_customer_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_customer"),
        sa.UniqueConstraint("oid", name="uq_customer_oid"),
        sa.UniqueConstraint("sip_domain", name="uq_customer_sip_domain"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_customer_parent_customer_id", "customer", ["parent_customer_id"], unique=False)


def make_employee() -> None:
    op.create_table(
        "employee",
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("access_level", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("login_email", TEXT),
        sa.Column("password_hash", TEXT),
        sa.Column("ip_restriction", sa.String(1000)),
        sa.Column("contact_email", TEXT),
        sa.Column("first_name", TEXT),
        sa.Column("last_name", TEXT),
        sa.Column("title", TEXT),
        sa.Column("department", TEXT),
        sa.Column("company_name", TEXT),
        sa.Column("office_name", TEXT),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_employee_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_employee"),
        sa.UniqueConstraint("oid", name="uq_employee_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_employee_customer_id", "employee", ["customer_id"], unique=False)
    op.create_index("uq_employee_login_email", "employee", ["login_email"], unique=True)


def make_employee_token() -> None:
    op.create_table(
        "employee_token",
        *identified(),
        sa.Column("employee_id", ID, nullable=False),
        sa.Column("token_sha256", sa.String(64), nullable=False),
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
        sa.Column("number", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("ref", OID, nullable=False),
        sa.CheckConstraint("kind IN ('extension', 'group', 'queue')", name="ck_number_kind"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_number_customer_id"),
        sa.PrimaryKeyConstraint("customer_id", "number", name="pk_number"),
        sa.UniqueConstraint("ref", name="uq_number_ref"),
    )


def make_extension() -> None:
    op.create_table(
        "extension",
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("employee_id", ID),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("number", sa.String(32), nullable=False),
        sa.Column("direct_number", sa.String(32)),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sip_user", sa.String(64)),
        sa.Column("sip_ha1_md5", sa.String(64)),
        sa.Column("sip_ha1_sha256", sa.String(64)),
        sa.Column("sip_secret_version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("pin_hash", TEXT),
        sa.Column("hotdesk_allowed", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("uk_caller_id", sa.String(32)),
        sa.Column("us_caller_id", sa.String(32)),
        sa.Column("uk_phone_id", sa.Integer()),
        sa.Column("us_phone_id", sa.Integer()),
        sa.Column("mobile_number", sa.String(32)),
        sa.Column("mobile_follow", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("dashboard", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_extension_customer_id"),
        sa.ForeignKeyConstraint(["employee_id"], ["employee.id"], name="fk_extension_employee_id"),
        sa.PrimaryKeyConstraint("id", name="pk_extension"),
        sa.UniqueConstraint("customer_id", "number", name="uq_extension_customer_id_number"),
        sa.UniqueConstraint("oid", name="uq_extension_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_extension_customer_id", "extension", ["customer_id"], unique=False)
    op.create_index("ix_extension_employee_id", "extension", ["employee_id"], unique=False)
    op.create_index(
        "uq_extension_customer_id_sip_user", "extension", ["customer_id", "sip_user"], unique=True
    )
    op.create_index(
        "uq_extension_primary",
        "extension",
        ["employee_id"],
        unique=True,
        sqlite_where=sa.text("is_primary"),
        postgresql_where=sa.text("is_primary"),
    )


def make_product() -> None:
    op.create_table(
        "product",
        *identified(),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("product_code", sa.String(64), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("reseller_id", ID),
        sa.Column("price", sa.Numeric(12, 2)),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_product"),
        sa.UniqueConstraint("oid", name="uq_product_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_product_reseller_id", "product", ["reseller_id"], unique=False)


def make_sip_phone_model() -> None:
    op.create_table(
        "sip_phone_model",
        *identified(),
        sa.Column("brand", sa.String(16), nullable=False),
        sa.Column("brand_name", sa.String(64), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("picture_oid", OID),
        sa.Column("description", sa.Text()),
        sa.Column("extensions", sa.Integer(), nullable=False),
        sa.Column("softkeys", sa.Integer(), nullable=False),
        sa.Column("softkey_labels", sa.Boolean(), nullable=False),
        sa.Column("softkey_capabilities", sa.JSON(), nullable=False),
        sa.Column("multiple_handsets", sa.Boolean(), nullable=False),
        sa.Column("provision", sa.Boolean(), nullable=False),
        sa.Column("mac_redirect", sa.Boolean(), nullable=False),
        sa.Column("custom_ringtones", sa.Boolean(), nullable=False),
        sa.Column("sip_config_reload", sa.Boolean(), nullable=False),
        sa.Column("requires_serial", sa.Boolean(), nullable=False),
        sa.Column("max_side_panels", sa.Integer(), nullable=False),
        sa.Column("ringer_volume_min", sa.Integer()),
        sa.Column("ringer_volume_max", sa.Integer()),
        sa.Column("ringer_tone_max", sa.Integer()),
        sa.Column("handset_mic_min", sa.Integer()),
        sa.Column("handset_mic_max", sa.Integer()),
        sa.Column("handset_speaker_min", sa.Integer()),
        sa.Column("handset_speaker_max", sa.Integer()),
        sa.Column("headset_mic_min", sa.Integer()),
        sa.Column("headset_mic_max", sa.Integer()),
        sa.Column("headset_speaker_min", sa.Integer()),
        sa.Column("headset_speaker_max", sa.Integer()),
        sa.Column("handsfree_mic_min", sa.Integer()),
        sa.Column("handsfree_mic_max", sa.Integer()),
        sa.Column("handsfree_speaker_min", sa.Integer()),
        sa.Column("handsfree_speaker_max", sa.Integer()),
        sa.Column("configuration_template", sa.Text()),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_sip_phone_model"),
        sa.UniqueConstraint("brand", "model", name="uq_sip_phone_model_brand_model"),
        sa.UniqueConstraint("oid", name="uq_sip_phone_model_oid"),
        sqlite_autoincrement=True,
    )


def make_sip_phone() -> None:
    op.create_table(
        "sip_phone",
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("extension_id", ID),
        sa.Column("model_id", ID, nullable=False),
        sa.Column("product_id", ID),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(32), nullable=False),
        sa.Column("password_enc", TEXT, nullable=False),
        sa.Column("device_name", TEXT),
        sa.Column("pbx_cluster", sa.Integer(), nullable=False),
        sa.Column("webrtc", sa.Boolean(), nullable=False),
        sa.Column("instance_id", TEXT),
        sa.Column("mac", sa.String(12)),
        sa.Column("mac_slot", sa.Integer()),
        sa.Column("serial", TEXT),
        sa.Column("handset_index", sa.Integer()),
        sa.Column("handset_address", TEXT),
        sa.Column("ip_mode", sa.String(8), nullable=False),
        sa.Column("ip_countries", sa.String(1000), nullable=False),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("ip_policy", sa.String(8), nullable=False),
        sa.Column("call_waiting", sa.Boolean()),
        sa.Column("dhsg", sa.Boolean()),
        sa.Column("headset_button", sa.String(16)),
        sa.Column("side_panel", TEXT),
        sa.Column("side_panel_count", sa.Integer()),
        sa.Column("display_brightness", sa.Integer()),
        sa.Column("display_brightness_idle", sa.Integer()),
        sa.Column("display_background", sa.String(2000)),
        sa.Column("display_font_color", sa.String(8)),
        sa.Column("softkey_configuration_on_device", sa.Boolean()),
        sa.Column("softkey_blf_blind_transfer", sa.Boolean()),
        sa.Column("custom_config", sa.Text()),
        sa.Column("notes", sa.Text()),
        sa.Column("ringer_volume", sa.Integer()),
        sa.Column("ringer_tone", OID),
        sa.Column("vol_handset_mic", sa.Integer()),
        sa.Column("vol_handset_speaker", sa.Integer()),
        sa.Column("vol_headset_mic", sa.Integer()),
        sa.Column("vol_headset_speaker", sa.Integer()),
        sa.Column("vol_handsfree_mic", sa.Integer()),
        sa.Column("vol_handsfree_speaker", sa.Integer()),
        sa.Column("codec_hd", sa.Boolean(), nullable=False),
        sa.Column("codec_video", sa.Boolean(), nullable=False),
        sa.Column("net_dhcp", sa.Boolean(), nullable=False),
        sa.Column("net_ip", sa.String(45)),
        sa.Column("net_subnet", sa.String(45)),
        sa.Column("net_gateway", sa.String(45)),
        sa.Column("net_dns1", sa.String(45)),
        sa.Column("net_dns2", sa.String(45)),
        sa.Column("vlan_id", sa.Integer(), nullable=False),
        sa.Column("vlan_priority", sa.Integer(), nullable=False),
        sa.Column("purchase_order_id", TEXT),
        sa.Column("purchase_date", MOMENT),
        sa.Column("purchase_option", sa.String(16)),
        sa.Column("config_loaded_at", MOMENT),
        sa.Column("config_saved_at", MOMENT),
        sa.Column("device_token_sha256", sa.String(64)),
        sa.Column("linked_at", MOMENT),
        sa.CheckConstraint("ip_mode IN ('OPEN', 'LOCKED', 'ROAMING')", name="ck_sip_phone_ip_mode"),
        sa.CheckConstraint("(mac IS NULL) = (mac_slot IS NULL)", name="ck_sip_phone_mac_slot"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_sip_phone_customer_id"),
        sa.ForeignKeyConstraint(["extension_id"], ["extension.id"], name="fk_sip_phone_extension_id"),
        sa.ForeignKeyConstraint(["model_id"], ["sip_phone_model.id"], name="fk_sip_phone_model_id"),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_sip_phone_product_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sip_phone"),
        sa.UniqueConstraint("extension_id", "instance_id", name="uq_sip_phone_extension_id_instance_id"),
        sa.UniqueConstraint("mac", "mac_slot", name="uq_sip_phone_mac_mac_slot"),
        sa.UniqueConstraint("oid", name="uq_sip_phone_oid"),
        sa.UniqueConstraint("username", name="uq_sip_phone_username"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sip_phone_customer_id_id", "sip_phone", ["customer_id", "id"], unique=False)
    op.create_index("ix_sip_phone_model_id", "sip_phone", ["model_id"], unique=False)
    op.create_index("ix_sip_phone_product_id", "sip_phone", ["product_id"], unique=False)


def make_sip_phone_softkey() -> None:
    op.create_table(
        "sip_phone_softkey",
        sa.Column("phone_id", ID, nullable=False),
        sa.Column("key_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("function", sa.String(16), nullable=False),
        sa.Column("value", sa.String(2000)),
        sa.Column("label", TEXT),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["sip_phone.id"], name="fk_sip_phone_softkey_phone_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("phone_id", "key_index", name="pk_sip_phone_softkey"),
    )


def make_sip_phone_side_panel() -> None:
    op.create_table(
        "sip_phone_side_panel",
        sa.Column("phone_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("serial", TEXT, nullable=False),
        sa.Column("payment_option", sa.String(16)),
        sa.Column("order_id", TEXT),
        sa.Column("date", MOMENT),
        sa.Column("product_id", ID),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["sip_phone.id"], name="fk_sip_phone_side_panel_phone_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_sip_phone_side_panel_product_id"),
        sa.PrimaryKeyConstraint("phone_id", "position", name="pk_sip_phone_side_panel"),
        sa.UniqueConstraint("serial", name="uq_sip_phone_side_panel_serial"),
    )


def make_sip_group() -> None:
    op.create_table(
        "sip_group",
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("display_name", TEXT),
        sa.Column("number", sa.String(32), nullable=False),
        sa.Column("caller_name_format", TEXT),
        sa.Column("ring_retry", sa.Boolean(), nullable=False),
        sa.Column("ring_exclusive", sa.Boolean(), nullable=False),
        sa.Column("pickup", sa.Boolean(), nullable=False),
        sa.Column("steal", sa.Boolean(), nullable=False),
        sa.Column("spy", sa.Boolean(), nullable=False),
        sa.Column("set_presence", sa.Boolean(), nullable=False),
        sa.Column("queue_member", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_sip_group_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sip_group"),
        sa.UniqueConstraint("customer_id", "number", name="uq_sip_group_customer_id_number"),
        sa.UniqueConstraint("oid", name="uq_sip_group_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sip_group_customer_id", "sip_group", ["customer_id"], unique=False)


def make_sip_group_member() -> None:
    op.create_table(
        "sip_group_member",
        sa.Column("group_id", ID, nullable=False),
        sa.Column("extension_id", ID, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["extension_id"], ["extension.id"], name="fk_sip_group_member_extension_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["sip_group.id"], name="fk_sip_group_member_group_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "extension_id", name="pk_sip_group_member"),
    )
    op.create_index("ix_sip_group_member_extension_id", "sip_group_member", ["extension_id"], unique=False)


def make_sip_group_controller() -> None:
    op.create_table(
        "sip_group_controller",
        sa.Column("group_id", ID, nullable=False),
        sa.Column("extension_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["extension_id"],
            ["extension.id"],
            name="fk_sip_group_controller_extension_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["sip_group.id"], name="fk_sip_group_controller_group_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "extension_id", name="pk_sip_group_controller"),
    )
    op.create_index(
        "ix_sip_group_controller_extension_id", "sip_group_controller", ["extension_id"], unique=False
    )


def make_queue() -> None:
    op.create_table(
        "queue",
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("display_name", TEXT),
        sa.Column("number", sa.String(32), nullable=False),
        sa.Column("caller_name_format", TEXT),
        sa.Column("strategy", sa.String(32)),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_queue_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_queue"),
        sa.UniqueConstraint("customer_id", "number", name="uq_queue_customer_id_number"),
        sa.UniqueConstraint("oid", name="uq_queue_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queue_customer_id", "queue", ["customer_id"], unique=False)


def make_queue_member() -> None:
    op.create_table(
        "queue_member",
        *identified(),
        sa.Column("queue_id", ID, nullable=False),
        sa.Column("group_id", ID),
        sa.Column("extension_id", ID),
        sa.Column("external_number", sa.String(32)),
        sa.Column("ring_strategy", sa.String(16), nullable=False),
        sa.Column("ring_attempts", sa.Integer(), nullable=False),
        sa.Column("ring_secs", sa.Integer(), nullable=False),
        sa.Column("ring_order", sa.Integer(), nullable=False),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.CheckConstraint(
            "(CASE WHEN group_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN extension_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN external_number IS NULL THEN 0 ELSE 1 END) = 1",
            name="ck_queue_member_one_target",
        ),
        sa.CheckConstraint(
            "ring_strategy IN ('all', 'huntLongestIdle')", name="ck_queue_member_ring_strategy"
        ),
        sa.ForeignKeyConstraint(
            ["extension_id"], ["extension.id"], name="fk_queue_member_extension_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["sip_group.id"], name="fk_queue_member_group_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["queue_id"], ["queue.id"], name="fk_queue_member_queue_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_queue_member"),
        sa.UniqueConstraint("oid", name="uq_queue_member_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queue_member_extension_id", "queue_member", ["extension_id"], unique=False)
    op.create_index("ix_queue_member_group_id", "queue_member", ["group_id"], unique=False)
    op.create_index("ix_queue_member_queue_id", "queue_member", ["queue_id"], unique=False)


def make_trusted_network() -> None:
    op.create_table(
        "trusted_network",
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("network_as_sent", sa.String(64), nullable=False),
        sa.Column("description", TEXT),
        sa.Column("revision", sa.BigInteger(), nullable=False, server_default="1"),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_trusted_network_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_trusted_network"),
        sa.UniqueConstraint("customer_id", "network", name="uq_trusted_network_customer_id_network"),
        sa.UniqueConstraint("oid", name="uq_trusted_network_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_trusted_network_customer_id", "trusted_network", ["customer_id"], unique=False)


def make_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", OID),
        sa.Column("actor_level", sa.String(16), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("table_name", sa.String(64), nullable=False),
        sa.Column("row_oid", OID, nullable=False),
        sa.Column("source_ip", sa.String(45), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"], unique=False)
    op.create_index("ix_audit_log_row_oid_id", "audit_log", ["row_oid", "id"], unique=False)


TABLES: Final = {
    "installation": make_installation,
    "customer": make_customer,
    "employee": make_employee,
    "employee_token": make_employee_token,
    "number": make_number,
    "extension": make_extension,
    "product": make_product,
    "sip_phone_model": make_sip_phone_model,
    "sip_phone": make_sip_phone,
    "sip_phone_softkey": make_sip_phone_softkey,
    "sip_phone_side_panel": make_sip_phone_side_panel,
    "sip_group": make_sip_group,
    "sip_group_member": make_sip_group_member,
    "sip_group_controller": make_sip_group_controller,
    "queue": make_queue,
    "queue_member": make_queue_member,
    "trusted_network": make_trusted_network,
    "audit_log": make_audit_log,
}
"""Table -> function that makes it; those that others point to first."""
