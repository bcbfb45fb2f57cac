"""All tables of the database. The migrations create the views for the SIP side (docs/architecture.md)."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from . import clock

OID_LENGTH: Final = 24
CREDENTIAL_LENGTH: Final = 32
SHORT_TEXT: Final = 255

BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite generates ids only in a column whose type is exactly INTEGER."""


_NEVER_REUSED: Final = {"sqlite_autoincrement": True}
"""The id of a deleted row is not given to another row."""


class UtcDateTime(TypeDecorator[datetime]):
    """Times in UTC. SQLite stores no time zone, so it is removed on write and added on read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """The base of all tables. One rule gives the names of constraints, so that migrations can use them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Identified:
    """The columns of every resource: our number, the public id of 24 hex digits, creation and update time."""

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    oid: Mapped[str] = mapped_column(String(OID_LENGTH), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now, onupdate=clock.utc_now)


class Revised(Identified):
    """A column for the ETag of a row, unless the row has a version already."""

    revision: Mapped[int] = mapped_column(
        BigInteger, default=1, server_default="1", onupdate=text("revision + 1")
    )
    """Grows with each change of the row; `operations.revisions` raises it for changes of its members."""


class Installation(Table):
    """One row: the fingerprint of the secret key with which this database was made."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    secret_fingerprint: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now)


class Customer(Revised, Table):
    """A tenant. If it has a SIP domain, its phones can register."""

    __tablename__ = "customer"
    __table_args__ = (
        CheckConstraint("state IN ('ACTIVE', 'BLOCKED', 'DELETED')", name="state"),
        _NEVER_REUSED,
    )

    name: Mapped[str] = mapped_column(String(SHORT_TEXT))
    state: Mapped[str] = mapped_column(String(16), default="ACTIVE")
    parent_customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"), index=True)
    is_reseller: Mapped[bool] = mapped_column(default=False)
    sip_domain: Mapped[str | None] = mapped_column(String(SHORT_TEXT), unique=True)
    sip_display_name: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    call_recording: Mapped[bool] = mapped_column(default=False)
    features: Mapped[list[str]] = mapped_column(JSON, default=list)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    """Grows with the state, the domain and the trusted networks: everything that the view `phone_v1`
    shows."""


class Employee(Revised, Table):
    """A person, who may call the API with a login or a token."""

    __tablename__ = "employee"
    __table_args__ = (
        Index("uq_employee_login_email", "login_email", unique=True),
        _NEVER_REUSED,
    )

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    name: Mapped[str] = mapped_column(String(SHORT_TEXT))
    access_level: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), default="ACTIVE")
    """ACTIVE, BLOCKED or DELETED"""
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    """Tokens contain it: a new password, level, state or login invalidates earlier tokens."""
    login_email: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    """In lower case."""
    password_hash: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    """argon2id"""
    ip_restriction: Mapped[str | None] = mapped_column(String(1_000))
    """Comma-separated networks from which the person may call the API; None: from anywhere."""
    contact_email: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    first_name: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    last_name: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    title: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    department: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    company_name: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    office_name: Mapped[str | None] = mapped_column(String(SHORT_TEXT))


class EmployeeToken(Identified, Table):
    """A token of a machine, with the rights of the person for whom it was made."""

    __tablename__ = "employee_token"
    __table_args__ = (_NEVER_REUSED,)

    employee_id: Mapped[int] = mapped_column(ForeignKey("employee.id", ondelete="CASCADE"), index=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    note: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Number(Table):
    """The owner of a number in a customer's dial plan, which extensions, groups and queues share.

    Every row of those three tables has a row here, which `operations.numbers` writes in the same transaction.
    """

    __tablename__ = "number"
    __table_args__ = (CheckConstraint("kind IN ('extension', 'group', 'queue')", name="kind"),)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    number: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    ref: Mapped[str] = mapped_column(String(OID_LENGTH), unique=True)
    """The `oid` of the row that has the number."""


class Extension(Identified, Table):
    """A number of a customer's dial plan; with `sip_user` and a password also a SIP user that registers."""

    __tablename__ = "extension"
    __table_args__ = (
        UniqueConstraint("customer_id", "number"),
        Index("uq_extension_customer_id_sip_user", "customer_id", "sip_user", unique=True),
        Index(
            "uq_extension_primary",
            "employee_id",
            unique=True,
            sqlite_where=text("is_primary"),
            postgresql_where=text("is_primary"),
        ),
        _NEVER_REUSED,
    )

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    employee_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"), index=True)
    is_primary: Mapped[bool] = mapped_column(default=False)
    name: Mapped[str] = mapped_column(String(SHORT_TEXT))
    number: Mapped[str] = mapped_column(String(32))
    direct_number: Mapped[str | None] = mapped_column(String(32))
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    """Grows with every change."""
    sip_user: Mapped[str | None] = mapped_column(String(64))
    sip_ha1_md5: Mapped[str | None] = mapped_column(String(64))
    """HA1 of (sip_user, SIP domain, password). The password itself is not stored."""
    sip_ha1_sha256: Mapped[str | None] = mapped_column(String(64))
    sip_secret_version: Mapped[int] = mapped_column(default=1)
    pin_hash: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    """argon2id"""
    hotdesk_allowed: Mapped[bool] = mapped_column(default=False)
    uk_caller_id: Mapped[str | None] = mapped_column(String(32))
    us_caller_id: Mapped[str | None] = mapped_column(String(32))
    uk_phone_id: Mapped[int | None]
    us_phone_id: Mapped[int | None]
    mobile_number: Mapped[str | None] = mapped_column(String(32))
    mobile_follow: Mapped[bool] = mapped_column(default=False)
    dashboard: Mapped[bool] = mapped_column(default=False)


class SipGroup(Revised, Table):
    """Extensions that ring together, and what the members may do with each other's calls."""

    __tablename__ = "sip_group"
    __table_args__ = (UniqueConstraint("customer_id", "number"), _NEVER_REUSED)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    name: Mapped[str] = mapped_column(String(SHORT_TEXT))
    display_name: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    number: Mapped[str] = mapped_column(String(32))
    ring_retry: Mapped[bool] = mapped_column(default=False)
    ring_exclusive: Mapped[bool] = mapped_column(default=False)
    caller_name_format: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    pickup: Mapped[bool] = mapped_column(default=False)
    steal: Mapped[bool] = mapped_column(default=False)
    spy: Mapped[bool] = mapped_column(default=False)
    set_presence: Mapped[bool] = mapped_column(default=False)
    queue_member: Mapped[bool] = mapped_column(default=False)


class SipGroupMember(Table):
    """An extension of a group."""

    __tablename__ = "sip_group_member"

    group_id: Mapped[int] = mapped_column(ForeignKey("sip_group.id", ondelete="CASCADE"), primary_key=True)
    extension_id: Mapped[int] = mapped_column(
        ForeignKey("extension.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now)


class SipGroupController(Table):
    """An extension that may pick up the calls of a group."""

    __tablename__ = "sip_group_controller"

    group_id: Mapped[int] = mapped_column(ForeignKey("sip_group.id", ondelete="CASCADE"), primary_key=True)
    extension_id: Mapped[int] = mapped_column(
        ForeignKey("extension.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Queue(Revised, Table):
    """A queue of calls that wait for a member."""

    __tablename__ = "queue"
    __table_args__ = (UniqueConstraint("customer_id", "number"), _NEVER_REUSED)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    name: Mapped[str] = mapped_column(String(SHORT_TEXT))
    display_name: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    number: Mapped[str] = mapped_column(String(32))
    caller_name_format: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    strategy: Mapped[str | None] = mapped_column(String(32))


class QueueMember(Revised, Table):
    """The target of a queue's calls: a group, an extension, or an external number."""

    __tablename__ = "queue_member"
    __table_args__ = (
        CheckConstraint(
            "(CASE WHEN group_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN extension_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN external_number IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_target",
        ),
        CheckConstraint("ring_strategy IN ('all', 'huntLongestIdle')", name="ring_strategy"),
        _NEVER_REUSED,
    )

    queue_id: Mapped[int] = mapped_column(ForeignKey("queue.id", ondelete="CASCADE"), index=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("sip_group.id", ondelete="CASCADE"), index=True)
    extension_id: Mapped[int | None] = mapped_column(
        ForeignKey("extension.id", ondelete="CASCADE"), index=True
    )
    external_number: Mapped[str | None] = mapped_column(String(32))
    ring_strategy: Mapped[str] = mapped_column(String(16), default="all")
    ring_attempts: Mapped[int] = mapped_column(default=1)
    ring_secs: Mapped[int] = mapped_column(default=20)
    ring_order: Mapped[int] = mapped_column(default=0)
    permanent: Mapped[bool] = mapped_column(default=False)


class TrustedNetwork(Revised, Table):
    """A network from which the SIP users of a customer may register (decision 3)."""

    __tablename__ = "trusted_network"
    __table_args__ = (UniqueConstraint("customer_id", "network"), _NEVER_REUSED)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    network: Mapped[str] = mapped_column(String(64))
    """CIDR in canonical form: the host bits are zero."""
    network_as_sent: Mapped[str] = mapped_column(String(64))
    description: Mapped[str | None] = mapped_column(String(SHORT_TEXT))


class Product(Revised, Table):
    """The product as which a phone or a side panel was bought."""

    __tablename__ = "product"
    __table_args__ = (_NEVER_REUSED,)

    reseller_id: Mapped[int | None] = mapped_column(BigId, index=True)
    """Id of the customer that owns the product; None: every customer may use it."""
    price: Mapped[float | None] = mapped_column(Numeric(12, 2, asdecimal=False))
    type: Mapped[str] = mapped_column(String(32))
    product_code: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(SHORT_TEXT))


class SipPhoneModel(Revised, Table):
    """The capabilities of a phone model. If the limit of a range is None, the model lacks that setting."""

    __tablename__ = "sip_phone_model"
    __table_args__ = (UniqueConstraint("brand", "model"), _NEVER_REUSED)

    brand: Mapped[str] = mapped_column(String(16))
    brand_name: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(64))
    picture_oid: Mapped[str | None] = mapped_column(String(OID_LENGTH))
    description: Mapped[str | None] = mapped_column(Text)
    extensions: Mapped[int] = mapped_column(default=1)
    """How many phones may share one MAC address."""
    softkeys: Mapped[int] = mapped_column(default=0)
    softkey_labels: Mapped[bool] = mapped_column(default=False)
    softkey_capabilities: Mapped[list[str]] = mapped_column(JSON, default=list)
    multiple_handsets: Mapped[bool] = mapped_column(default=False)
    provision: Mapped[bool] = mapped_column(default=False)
    mac_redirect: Mapped[bool] = mapped_column(default=False)
    custom_ringtones: Mapped[bool] = mapped_column(default=False)
    sip_config_reload: Mapped[bool] = mapped_column(default=False)
    requires_serial: Mapped[bool] = mapped_column(default=False)
    max_side_panels: Mapped[int] = mapped_column(default=0)
    ringer_volume_min: Mapped[int | None]
    ringer_volume_max: Mapped[int | None]
    ringer_tone_max: Mapped[int | None]
    handset_mic_min: Mapped[int | None]
    handset_mic_max: Mapped[int | None]
    handset_speaker_min: Mapped[int | None]
    handset_speaker_max: Mapped[int | None]
    headset_mic_min: Mapped[int | None]
    headset_mic_max: Mapped[int | None]
    headset_speaker_min: Mapped[int | None]
    headset_speaker_max: Mapped[int | None]
    handsfree_mic_min: Mapped[int | None]
    handsfree_mic_max: Mapped[int | None]
    handsfree_speaker_min: Mapped[int | None]
    handsfree_speaker_max: Mapped[int | None]
    configuration_template: Mapped[str | None] = mapped_column(Text)


class SipPhone(Identified, Table):
    """One phone: one credential that may register, and the settings of the device."""

    __tablename__ = "sip_phone"
    __table_args__ = (
        UniqueConstraint("mac", "mac_slot"),
        UniqueConstraint("extension_id", "instance_id"),
        CheckConstraint("ip_mode IN ('OPEN', 'LOCKED', 'ROAMING')", name="ip_mode"),
        CheckConstraint("(mac IS NULL) = (mac_slot IS NULL)", name="mac_slot"),
        Index("ix_sip_phone_customer_id_id", "customer_id", "id"),
        _NEVER_REUSED,
    )

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    extension_id: Mapped[int | None] = mapped_column(ForeignKey("extension.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("sip_phone_model.id"), index=True)
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"), index=True)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    """Grows with every change; see `phones.write.leave_extension` for why it sometimes grows by more than
    one."""
    secret_version: Mapped[int] = mapped_column(default=1)
    username: Mapped[str] = mapped_column(String(CREDENTIAL_LENGTH), unique=True)
    password_enc: Mapped[str] = mapped_column(String(SHORT_TEXT))
    device_name: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    pbx_cluster: Mapped[int] = mapped_column(default=1)
    webrtc: Mapped[bool] = mapped_column(default=False)
    instance_id: Mapped[str | None] = mapped_column(String(SHORT_TEXT))

    mac: Mapped[str | None] = mapped_column(String(12))
    mac_slot: Mapped[int | None]
    """Position of this phone among those with the same MAC address; a constraint makes it unique there."""
    serial: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    handset_index: Mapped[int | None]
    handset_address: Mapped[str | None] = mapped_column(String(SHORT_TEXT))

    ip_mode: Mapped[str] = mapped_column(String(8), default="OPEN")
    ip_countries: Mapped[str] = mapped_column(String(1_000), default="")
    ip_address: Mapped[str | None] = mapped_column(String(45))
    ip_policy: Mapped[str] = mapped_column(String(8), default="PHONE")
    """PHONE: `ip_*` decide; DOMAIN: the customer's trusted networks decide (decision 3)."""
    device_token_sha256: Mapped[str | None] = mapped_column(String(64))
    """Hash of the `pbxDeviceToken`; None: the device has none."""
    linked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the device was linked to its extension."""

    call_waiting: Mapped[bool | None] = mapped_column(default=False)
    dhsg: Mapped[bool | None] = mapped_column(default=False)
    headset_button: Mapped[str | None] = mapped_column(String(16))
    side_panel: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    side_panel_count: Mapped[int | None]
    display_brightness: Mapped[int | None]
    display_brightness_idle: Mapped[int | None]
    display_background: Mapped[str | None] = mapped_column(String(2_000))
    display_font_color: Mapped[str | None] = mapped_column(String(8))
    softkey_configuration_on_device: Mapped[bool | None] = mapped_column(default=False)
    softkey_blf_blind_transfer: Mapped[bool | None] = mapped_column(default=False)
    custom_config: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[str | None] = mapped_column(Text)

    ringer_volume: Mapped[int | None]
    ringer_tone: Mapped[str | None] = mapped_column(String(OID_LENGTH))
    """Index of a built-in tone, or the id of a custom one."""
    vol_handset_mic: Mapped[int | None]
    vol_handset_speaker: Mapped[int | None]
    vol_headset_mic: Mapped[int | None]
    vol_headset_speaker: Mapped[int | None]
    vol_handsfree_mic: Mapped[int | None]
    vol_handsfree_speaker: Mapped[int | None]
    codec_hd: Mapped[bool] = mapped_column(default=True)
    codec_video: Mapped[bool] = mapped_column(default=False)

    net_dhcp: Mapped[bool] = mapped_column(default=True)
    net_ip: Mapped[str | None] = mapped_column(String(45))
    net_subnet: Mapped[str | None] = mapped_column(String(45))
    net_gateway: Mapped[str | None] = mapped_column(String(45))
    net_dns1: Mapped[str | None] = mapped_column(String(45))
    net_dns2: Mapped[str | None] = mapped_column(String(45))
    vlan_id: Mapped[int] = mapped_column(default=0)
    vlan_priority: Mapped[int] = mapped_column(default=0)

    purchase_order_id: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    purchase_date: Mapped[datetime | None] = mapped_column(UtcDateTime)
    purchase_option: Mapped[str | None] = mapped_column(String(16))
    config_loaded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    config_saved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SipPhoneSoftkey(Table):
    """One key of a phone."""

    __tablename__ = "sip_phone_softkey"

    phone_id: Mapped[int] = mapped_column(ForeignKey("sip_phone.id", ondelete="CASCADE"), primary_key=True)
    key_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    function: Mapped[str] = mapped_column(String(16))
    value: Mapped[str | None] = mapped_column(String(2_000))
    label: Mapped[str | None] = mapped_column(String(SHORT_TEXT))


class SipPhoneSidePanel(Table):
    """One side panel of a phone, and how it was bought."""

    __tablename__ = "sip_phone_side_panel"

    phone_id: Mapped[int] = mapped_column(ForeignKey("sip_phone.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    serial: Mapped[str] = mapped_column(String(SHORT_TEXT), unique=True)
    payment_option: Mapped[str | None] = mapped_column(String(16))
    order_id: Mapped[str | None] = mapped_column(String(SHORT_TEXT))
    date: Mapped[datetime | None] = mapped_column(UtcDateTime)
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))


class AuditLog(Table):
    """The log of changes: who changed what, and from which address."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_row_oid_id", "row_oid", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.exact_now, index=True)
    """Finer than a second, because these entries are shown together with the journal of a phone."""
    actor: Mapped[str | None] = mapped_column(String(OID_LENGTH))
    """Id of the employee; None: the token belongs to no person."""
    actor_level: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(32))
    table_name: Mapped[str] = mapped_column(String(64))
    row_oid: Mapped[str] = mapped_column(String(OID_LENGTH))
    source_ip: Mapped[str] = mapped_column(String(45))
