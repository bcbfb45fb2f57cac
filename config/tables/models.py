"""The tables of phone models and of products: what phones are, and what they were bought as."""

from typing import Final

from sqlalchemy import JSON, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks
from ..properties import TEXT, Kind, stored, text_of
from .base import NEVER_REUSED, OID_LENGTH, BigId, Revised

CODE_WORD: Final = Kind(
    "string", String(32), checks.code_word, "{} must be a word in upper case, at most 32 characters"
)
PRICE: Final = Kind(
    "number",
    Numeric(12, 2, asdecimal=False),
    checks.price,
    "{} must be a number of at most two decimals, not below 0",
)


class Product(Revised):
    """The product as which a phone or a side panel was bought."""

    __tablename__ = "product"
    __table_args__ = (NEVER_REUSED,)

    reseller_id: Mapped[int | None] = mapped_column(BigId, index=True)
    """Id of the customer that owns the product; None: every customer may use it."""
    type: Mapped[str] = stored(
        CODE_WORD,
        "PBX_SIP_PHONE (what a phone refers to), SIDE_PANEL, or a word of your own",
        "type",
        required=True,
    )
    product_code: Mapped[str] = stored(text_of(64), "Number in your shop", "productCode", required=True)
    name: Mapped[str] = stored(TEXT, "Name of the product", "name", required=True)
    price: Mapped[float | None] = stored(PRICE, "What it costs", "price")


class SipPhoneModel(Revised):
    """The capabilities of a phone model. If the limit of a range is None, the model lacks that setting."""

    __tablename__ = "sip_phone_model"
    __table_args__ = (UniqueConstraint("brand", "model"), NEVER_REUSED)

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
