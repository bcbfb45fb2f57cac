"""Customers, employees, extensions, phones and what belongs to them; the views that the SIP side reads."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT: Final = sa.DateTime(timezone=True)

PHONE_VIEW: Final = """
CREATE VIEW phone_v1 AS
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
    CASE WHEN phone.webrtc THEN 1 ELSE 0 END AS webrtc
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
"""

DOMAIN_VIEW: Final = """
CREATE VIEW domain_v1 AS
SELECT sip_domain AS domain FROM customer WHERE sip_domain IS NOT NULL AND state <> 'DELETED'
"""


TABLES: Final = (
    "audit_log",
    "sip_phone_side_panel",
    "sip_phone_softkey",
    "sip_phone",
    "sip_phone_model",
    "product",
    "extension",
    "employee",
    "customer",
    "installation",
)


def upgrade() -> None:
    """Make the tables, those that others point to first, then the views."""
    make_installation()
    make_customer()
    make_employee()
    make_extension()
    make_product()
    make_sip_phone_model()
    make_sip_phone()
    make_sip_phone_softkey()
    make_sip_phone_side_panel()
    make_audit_log()
    op.execute(PHONE_VIEW)
    op.execute(DOMAIN_VIEW)


def downgrade() -> None:
    """Drop everything."""
    op.execute("DROP VIEW domain_v1")
    op.execute("DROP VIEW phone_v1")
    for table in TABLES:
        op.drop_table(table)


def identified() -> tuple[sa.Column[object], ...]:
    """The columns that every table of things has."""
    return (
        sa.Column("id", ID, nullable=False),
        sa.Column("oid", sa.String(length=24), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
    )


def make_installation() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("secret_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_installation_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )


def make_customer() -> None:
    op.create_table(
        "customer",
        *identified(),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("parent_customer_id", ID),
        sa.Column("is_reseller", sa.Boolean(), nullable=False),
        sa.Column("sip_domain", sa.String(length=255)),
        sa.Column("sip_display_name", sa.String(length=255)),
        sa.Column("version", sa.BigInteger(), nullable=False),
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
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("access_level", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_employee_customer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_employee"),
        sa.UniqueConstraint("oid", name="uq_employee_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_employee_customer_id", "employee", ["customer_id"], unique=False)


def make_extension() -> None:
    op.create_table(
        "extension",
        *identified(),
        sa.Column("customer_id", ID, nullable=False),
        sa.Column("employee_id", ID),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("direct_number", sa.String(length=32)),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_extension_customer_id"),
        sa.ForeignKeyConstraint(["employee_id"], ["employee.id"], name="fk_extension_employee_id"),
        sa.PrimaryKeyConstraint("id", name="pk_extension"),
        sa.UniqueConstraint("customer_id", "number", name="uq_extension_customer_id_number"),
        sa.UniqueConstraint("oid", name="uq_extension_oid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_extension_customer_id", "extension", ["customer_id"], unique=False)
    op.create_index("ix_extension_employee_id", "extension", ["employee_id"], unique=False)


def make_product() -> None:
    op.create_table(
        "product",
        *identified(),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("product_code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_product"),
        sa.UniqueConstraint("oid", name="uq_product_oid"),
        sqlite_autoincrement=True,
    )


def make_sip_phone_model() -> None:
    op.create_table(
        "sip_phone_model",
        *identified(),
        sa.Column("brand", sa.String(length=16), nullable=False),
        sa.Column("brand_name", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("picture_oid", sa.String(length=24)),
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
        sa.Column("username", sa.String(length=32), nullable=False),
        sa.Column("password_enc", sa.String(length=255), nullable=False),
        sa.Column("device_name", sa.String(length=255)),
        sa.Column("pbx_cluster", sa.Integer(), nullable=False),
        sa.Column("webrtc", sa.Boolean(), nullable=False),
        sa.Column("instance_id", sa.String(length=255)),
        sa.Column("mac", sa.String(length=12)),
        sa.Column("mac_slot", sa.Integer()),
        sa.Column("serial", sa.String(length=255)),
        sa.Column("handset_index", sa.Integer()),
        sa.Column("handset_address", sa.String(length=255)),
        sa.Column("ip_mode", sa.String(length=8), nullable=False),
        sa.Column("ip_countries", sa.String(length=1000), nullable=False),
        sa.Column("ip_address", sa.String(length=45)),
        sa.Column("ip_policy", sa.String(length=8), nullable=False),
        sa.Column("call_waiting", sa.Boolean()),
        sa.Column("dhsg", sa.Boolean()),
        sa.Column("headset_button", sa.String(length=16)),
        sa.Column("side_panel", sa.String(length=255)),
        sa.Column("side_panel_count", sa.Integer()),
        sa.Column("display_brightness", sa.Integer()),
        sa.Column("display_brightness_idle", sa.Integer()),
        sa.Column("display_background", sa.String(length=2000)),
        sa.Column("display_font_color", sa.String(length=8)),
        sa.Column("softkey_configuration_on_device", sa.Boolean()),
        sa.Column("softkey_blf_blind_transfer", sa.Boolean()),
        sa.Column("custom_config", sa.Text()),
        sa.Column("notes", sa.Text()),
        sa.Column("ringer_volume", sa.Integer()),
        sa.Column("ringer_tone", sa.String(length=24)),
        sa.Column("vol_handset_mic", sa.Integer()),
        sa.Column("vol_handset_speaker", sa.Integer()),
        sa.Column("vol_headset_mic", sa.Integer()),
        sa.Column("vol_headset_speaker", sa.Integer()),
        sa.Column("vol_handsfree_mic", sa.Integer()),
        sa.Column("vol_handsfree_speaker", sa.Integer()),
        sa.Column("codec_hd", sa.Boolean(), nullable=False),
        sa.Column("codec_video", sa.Boolean(), nullable=False),
        sa.Column("net_dhcp", sa.Boolean(), nullable=False),
        sa.Column("net_ip", sa.String(length=45)),
        sa.Column("net_subnet", sa.String(length=45)),
        sa.Column("net_gateway", sa.String(length=45)),
        sa.Column("net_dns1", sa.String(length=45)),
        sa.Column("net_dns2", sa.String(length=45)),
        sa.Column("vlan_id", sa.Integer(), nullable=False),
        sa.Column("vlan_priority", sa.Integer(), nullable=False),
        sa.Column("purchase_order_id", sa.String(length=255)),
        sa.Column("purchase_date", MOMENT),
        sa.Column("purchase_option", sa.String(length=16)),
        sa.Column("config_loaded_at", MOMENT),
        sa.Column("config_saved_at", MOMENT),
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
        sa.Column("function", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=2000)),
        sa.Column("label", sa.String(length=255)),
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
        sa.Column("serial", sa.String(length=255), nullable=False),
        sa.Column("payment_option", sa.String(length=16)),
        sa.Column("order_id", sa.String(length=255)),
        sa.Column("date", MOMENT),
        sa.Column("product_id", ID),
        sa.ForeignKeyConstraint(
            ["phone_id"], ["sip_phone.id"], name="fk_sip_phone_side_panel_phone_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name="fk_sip_phone_side_panel_product_id"),
        sa.PrimaryKeyConstraint("phone_id", "position", name="pk_sip_phone_side_panel"),
        sa.UniqueConstraint("serial", name="uq_sip_phone_side_panel_serial"),
    )


def make_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(length=24)),
        sa.Column("actor_level", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("table_name", sa.String(length=64), nullable=False),
        sa.Column("row_oid", sa.String(length=24), nullable=False),
        sa.Column("source_ip", sa.String(length=45), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"], unique=False)
    op.create_index("ix_audit_log_row_oid", "audit_log", ["row_oid"], unique=False)
