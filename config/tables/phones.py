"""The tables of phones, their keys and their side panels."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from registrar.model import IpMode

from .. import checks
from ..properties import FLAG, NAMED, TEXT, InRows, Kind, stored, string_of, text_of, whole_of, word_of
from .base import CREDENTIAL_LENGTH, NEVER_REUSED, Identified, Table, UtcDateTime
from .limits import PANEL_COUNT, TONE, if_model, level
from .models import LINES
from .people import MAX_CONTACTS

PAYMENT_OPTIONS: Final = ("NONE", "BOUGHT", "RENTED", "SELF_OWNED")

CLUSTER: Final = replace(whole_of(1, 2), message="PBX cluster id not valid, only 1 or 2 is permitted")
HEADSET_BUTTON: Final = word_of(("speaker", "headset", "speaker-headset", "headset-speaker"))
_PICTURE: Final = "{} must be a URL that begins with http: or https:"
PICTURE: Final = string_of(checks.MAX_URL, checks.url, _PICTURE, maxLength=checks.MAX_URL)
DATE: Final = Kind("string", UtcDateTime(), checks.moment, "{} is not a valid date", {"format": "date-time"})
BARE_MAC: Final = string_of(
    12, checks.bare_mac, "MAC address is invalid", pattern="^[0-9A-Fa-f]{12}$", example="4EE8A34B56F3"
)
MAC: Final = string_of(12, checks.mac, "{} must be a MAC address such as 10:20:30:1A:2B:3C")
MODE: Final = replace(word_of(tuple(IpMode.__members__), 8), message="Mode is invalid")
POLICY: Final = word_of(("PHONE", "DOMAIN"), 8)
POLICY_FLAG: Final = replace(FLAG, default=None)
"""A policy that a phone has from its customer unless it says otherwise."""
COUNTRIES: Final = string_of(1_000, checks.countries, "Country codes must be a comma separated text")
HANDSET_TEXT: Final = if_model(lambda model: model.multiple_handsets, TEXT)
PANEL_TEXT: Final = if_model(lambda model: model.max_side_panels > 0, TEXT)
SOFTKEY_FLAG: Final = if_model(lambda model: model.softkeys > 0, FLAG)
VOLUME: Final = level("ringer_volume", "Ringer volume is invalid", "Ringer volume is outside the valid range")


def _address(
    path: str, message: str, about: str = "Needed without DHCP", check: checks.Check = checks.ip
) -> MappedColumn[str | None]:
    return stored(string_of(45, check, message), about, path, dependent=True)


def _vlan(high: int, message: str) -> Kind:
    kind = whole_of(0, high)
    return replace(kind, check=checks.integer(0, high, as_text=True), message=message, default=0)


def _level(part: str, way: str) -> MappedColumn[int | None]:
    noun = "microphone" if way == "mic" else way
    kind = level(f"{part}_{way}", f"{part.capitalize()} {noun} level is invalid")
    about = f"{part.capitalize()} {way} level, inside the model's range"
    return stored(kind, about, f"volume.{part}.{way}")


class SipPhone(Identified):
    """One phone: one credential that may register, and the settings of the device."""

    __tablename__ = "sip_phone"
    __table_args__ = (
        UniqueConstraint("mac", "mac_slot"),
        UniqueConstraint("extension_id", "instance_id"),
        CheckConstraint("ip_mode IN ('OPEN', 'LOCKED', 'ROAMING')", name="ip_mode"),
        CheckConstraint("(mac IS NULL) = (mac_slot IS NULL)", name="mac_slot"),
        Index("ix_sip_phone_customer_id_id", "customer_id", "id"),
        NEVER_REUSED,
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
    password_enc: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    device_name: Mapped[str | None] = stored(
        TEXT, "Name of the device", row=InRows("pbxDeviceName", required=True)
    )
    webrtc: Mapped[bool] = mapped_column(default=False)
    mac: Mapped[str | None] = stored(
        BARE_MAC,
        "12 hexadecimal digits",
        "macAddress",
        InRows(
            "deviceMacAddress",
            "MAC address; no other device has it",
            "MAC address; null: it has none",
            required=True,
            fixed=True,
            kind=MAC,
        ),
        dependent=True,
    )
    mac_slot: Mapped[int | None]
    """Position of this phone among those with the same MAC address; a constraint makes it unique there."""
    handset_index: Mapped[int | None]
    device_token_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    """Hash of the `pbxDeviceToken`; None: the device has none."""
    linked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the device was linked to its extension."""
    config_loaded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    config_saved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    pbx_cluster: Mapped[int] = stored(CLUSTER, "1 production, 2 development", NAMED, default=1)
    serial: Mapped[str | None] = stored(TEXT, "Serial number; some models need it", NAMED)
    handset_address: Mapped[str | None] = stored(
        HANDSET_TEXT, "Id of the handset; needed where a model has several, and null where it has not", NAMED
    )
    call_waiting: Mapped[bool | None] = stored(FLAG, "Call waiting", NAMED)
    side_panel: Mapped[str | None] = stored(PANEL_TEXT, "Model of the side panels", NAMED)
    side_panel_count: Mapped[int | None] = stored(PANEL_COUNT, "How many side panels are attached", NAMED)
    softkey_configuration_on_device: Mapped[bool | None] = stored(
        SOFTKEY_FLAG, "true: keys per device, false: keys per user", NAMED
    )
    softkey_blf_blind_transfer: Mapped[bool | None] = stored(
        SOFTKEY_FLAG, "true: a BLF key transfers blindly, false: attended", NAMED
    )
    headset_button: Mapped[str | None] = stored(HEADSET_BUTTON, "What the headset button does", NAMED)
    dhsg: Mapped[bool | None] = stored(FLAG, "A DHSG headset is in use", NAMED)
    display_brightness: Mapped[int | None] = stored(whole_of(0, 15), "Brightness of the display", NAMED)
    display_brightness_idle: Mapped[int | None] = stored(whole_of(0, 15), "Brightness when idle", NAMED)
    display_background: Mapped[str | None] = stored(PICTURE, "URL of a picture", NAMED)
    display_font_color: Mapped[str | None] = stored(
        word_of(("LIGHT", "DARK"), 8), "Colour of the font", NAMED
    )
    instance_id: Mapped[str | None] = stored(TEXT, "WebRTC instance that the phone belongs to", NAMED)
    custom_config: Mapped[str | None] = stored(
        text_of(checks.CONFIG_TEXT, LINES), "Piece of configuration, put in as it is", NAMED
    )
    notes: Mapped[str | None] = stored(text_of(checks.LONG_TEXT, LINES), "Free text, with line breaks", NAMED)

    ringer_volume: Mapped[int | None] = stored(VOLUME, "Volume, inside the model's range", "ringer.volume")
    ringer_tone: Mapped[str | None] = stored(
        TONE, "Index of a built-in tone, or id of a custom one", "ringer.tone"
    )
    vol_handset_mic: Mapped[int | None] = _level("handset", "mic")
    vol_handset_speaker: Mapped[int | None] = _level("handset", "speaker")
    vol_headset_mic: Mapped[int | None] = _level("headset", "mic")
    vol_headset_speaker: Mapped[int | None] = _level("headset", "speaker")
    vol_handsfree_mic: Mapped[int | None] = _level("handsfree", "mic")
    vol_handsfree_speaker: Mapped[int | None] = _level("handsfree", "speaker")
    codec_hd: Mapped[bool] = stored(FLAG, "HD audio codecs allowed", "codec.hdAudio", default=True)
    codec_video: Mapped[bool] = stored(FLAG, "Video codecs allowed", "codec.video")

    require_tls: Mapped[bool | None] = stored(
        POLICY_FLAG, "TLS or WSS only; null: as the customer", "policy.tls"
    )
    require_srtp: Mapped[bool | None] = stored(
        POLICY_FLAG, "Encrypted media only; null: as the customer", "policy.srtp"
    )
    require_sha256: Mapped[bool | None] = stored(
        POLICY_FLAG, "No digest of MD5; null: as the customer", "policy.sha256"
    )
    max_contacts: Mapped[int | None] = stored(
        whole_of(1, MAX_CONTACTS),
        "The most contacts, if that is less than the customer allows; null: as the customer",
        "policy.maxContacts",
    )

    ip_mode: Mapped[str] = stored(
        MODE,
        "OPEN: the next registration locks; LOCKED: only from ip.address; ROAMING: only from ip.countries",
        "ip.mode",
        default="OPEN",
        dependent=True,
    )
    ip_countries: Mapped[str] = stored(
        COUNTRIES,
        "Comma list of ISO 3166-1 alpha-2 codes; needed for ROAMING",
        "ip.countries",
        default="",
        dependent=True,
    )
    ip_address: Mapped[str | None] = _address("ip.address", "IP address is invalid", "Needed for LOCKED")
    ip_policy: Mapped[str] = stored(
        POLICY,
        "PHONE: the three above decide from where it registers; DOMAIN: the trusted networks of its domain",
        "ip.policy",
        default="PHONE",
        dependent=True,
    )
    """PHONE: `ip_*` decide; DOMAIN: the customer's trusted networks decide (decision 3)."""

    unlocked_until: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When the phone is locked again as it was before; None: it was not unlocked for a time."""
    unlock_mode: Mapped[str | None] = mapped_column(String(8))
    """The mode that it has again then."""
    unlock_address: Mapped[str | None] = mapped_column(String(45))
    """The address that it has again then."""

    locked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a first contact locked it. A trigger of the database then writes a row to the audit log."""

    net_dhcp: Mapped[bool] = stored(FLAG, "", "network.dhcp", default=True, dependent=True)
    net_ip: Mapped[str | None] = _address("network.ipAddress", "IP address is invalid or missing")
    net_subnet: Mapped[str | None] = _address(
        "network.subnet", "Subnet mask is invalid or missing", check=checks.netmask
    )
    net_gateway: Mapped[str | None] = _address("network.gateway", "Default gateway is invalid or missing")
    net_dns1: Mapped[str | None] = _address("network.dns1", "Primary DNS server is invalid or missing")
    net_dns2: Mapped[str | None] = _address("network.dns2", "Secondary DNS server is invalid", "")
    vlan_id: Mapped[int] = stored(_vlan(4094, "Vlan ID is invalid"), "VLAN, 0 to 4094", "network.vlanId")
    vlan_priority: Mapped[int] = stored(
        _vlan(7, "Vlan priority is invalid"), "VLAN priority, 0 to 7", "network.vlanPriority"
    )

    purchase_order_id: Mapped[str | None] = stored(TEXT, "Order id; RESELLER and up", "purchaseInfo.orderId")
    purchase_date: Mapped[datetime | None] = stored(
        DATE, "When the phone was bought; RESELLER and up", "purchaseInfo.date"
    )
    purchase_option: Mapped[str | None] = stored(
        word_of(PAYMENT_OPTIONS), "How the phone is paid for; RESELLER and up", "purchaseInfo.paymentOption"
    )


class SipPhoneSoftkey(Table):
    """One key of a phone."""

    __tablename__ = "sip_phone_softkey"

    phone_id: Mapped[int] = mapped_column(ForeignKey("sip_phone.id", ondelete="CASCADE"), primary_key=True)
    key_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    function: Mapped[str] = mapped_column(String(16))
    value: Mapped[str | None] = mapped_column(String(2_000))
    label: Mapped[str | None] = mapped_column(String(checks.SHORT_TEXT))


class SipPhoneSidePanel(Table):
    """One side panel of a phone, and how it was bought."""

    __tablename__ = "sip_phone_side_panel"

    phone_id: Mapped[int] = mapped_column(ForeignKey("sip_phone.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    serial: Mapped[str] = mapped_column(String(checks.SHORT_TEXT), unique=True)
    payment_option: Mapped[str | None] = stored(word_of(PAYMENT_OPTIONS), "", NAMED)
    order_id: Mapped[str | None] = stored(TEXT, "", NAMED)
    date: Mapped[datetime | None] = stored(DATE, "", NAMED)
    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id"))
