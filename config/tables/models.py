"""The tables of phone models and of products: what phones are, and what they were bought as.

The model of a phone limits some of its settings, or lacks them; the kinds of these are here too.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

from sqlalchemy import JSON, Integer, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks
from ..checks import Value, Wrong, as_integer
from ..properties import NAMED, TEXT, Kind, stored, string_of, text_of
from .base import NEVER_REUSED, OID_LENGTH, BigId, Revised

CODE_WORD: Final = string_of(32, checks.code_word, "{} must be a word in upper case, at most 32 characters")
_MONEY: Final = "{} must be a number of at most two decimals, not below 0"
PRICE: Final = Kind("number", Numeric(12, 2, asdecimal=False), checks.price, _MONEY)


class Product(Revised):
    """The product as which a phone or a side panel was bought."""

    __tablename__ = "product"
    __table_args__ = (NEVER_REUSED,)

    reseller_id: Mapped[int | None] = mapped_column(BigId, index=True)
    """Id of the customer that owns the product; None: every customer may use it."""
    type: Mapped[str] = stored(
        CODE_WORD,
        "PBX_SIP_PHONE (what a phone refers to), SIDE_PANEL, or a word of your own",
        NAMED,
        required=True,
    )
    product_code: Mapped[str] = stored(text_of(64), "Number in your shop", NAMED, required=True)
    name: Mapped[str] = stored(TEXT, "Name of the product", NAMED, required=True)
    price: Mapped[float | None] = stored(PRICE, "What it costs", NAMED)


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


# Kinds of values that depend on the model


ModelCheck = Callable[[object, str, SipPhoneModel | None], Value | Wrong]
"""A check gets the value as sent (never null), the message, and the model if it is known."""


@dataclass(frozen=True, slots=True)
class PhoneKind(Kind):
    """The values of a setting that the phone's model may limit or lack."""

    of_model: Callable[[SipPhoneModel], bool] | None = None
    """Return whether the model has the setting; if it lacks the setting, the value sent is ignored."""
    by_model: ModelCheck | None = None
    """The check against the model's ranges; the setting is checked again if the model changes."""


def if_model(has: Callable[[SipPhoneModel], bool], kind: Kind) -> PhoneKind:
    """Return the kind of a setting that a model may lack."""
    return PhoneKind(**{one.name: getattr(kind, one.name) for one in fields(kind)}, of_model=has)


def _ranged(by_model: ModelCheck, message: str) -> PhoneKind:
    def check(value: object, message: str) -> Value | Wrong:
        return by_model(value, message, None)

    return PhoneKind("integer", Integer(), check, message, by_model=by_model)


def level(column: str, message: str, outside: str = "") -> PhoneKind:
    """Return the kind of a whole number in the model's range for `column`; without a range it stores None."""

    def check(value: object, message: str, model: SipPhoneModel | None) -> Value | Wrong:
        number = as_integer(value)
        if number is None:
            return Wrong(message)
        if model is None:
            return number
        low, high = getattr(model, f"{column}_min"), getattr(model, f"{column}_max")
        if low is None or high is None:
            return None
        return number if low <= number <= high else Wrong(outside or message, "range")

    return _ranged(check, message)


def _tone(value: object, message: str, model: SipPhoneModel | None) -> Value | Wrong:
    """Check the index of a built-in tone, or the id of a custom one if the model can play it."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{24}", value):
        custom = model is None or model.custom_ringtones
        return value.lower() if custom else Wrong(message, "allowed")
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value):
        value = int(value)
    number = as_integer(value)
    if number is None:
        return Wrong(message)
    if model is None:
        return str(number)
    if model.ringer_tone_max is None:
        return None
    return str(number) if 0 <= number <= model.ringer_tone_max else Wrong(message, "range")


def _panels(value: object, message: str, model: SipPhoneModel | None) -> Value | Wrong:
    """Check a number of side panels, at most the model's; if it takes none, store None."""
    number = as_integer(value)
    if number is None:
        return Wrong(message)
    room = None if model is None else model.max_side_panels
    if room == 0:
        return None
    return number if number >= 0 and (room is None or number <= room) else Wrong(message, "range")


PANEL_COUNT = _ranged(_panels, "{} must be a number from 0 to what the model has room for")
TONE = PhoneKind(
    "string",
    String(OID_LENGTH),
    lambda value, message: _tone(value, message, None),
    "Ringtone is outside the valid range",
    by_model=_tone,
)
