"""The tables of phone models: what phones can do, how they look, and which models the program brought."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import JSON, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks
from ..properties import FLAG, NAMED, stored, string_of, text_of, whole_of, word_of
from .base import NEVER_REUSED, OID_LENGTH, Revised, Table

LINES: Final = "\r\n\t"
"""The control characters of a text with several lines."""
WRITERS: Final = (
    *("snom", "snom8", "snom-dect", "mitel", "yealink", "yealink-dect", "gigaset-n510", "gigaset-nx70"),
    *("maxwell", "grandstream", "spa", "mpp", "lg"),
)
"""Names of the ways in which configuration files are written."""
SERVICES: Final = ("snom", "yealink", "gigaset", "gaps", "manual")
"""The vendors' services that tell a new phone where its files are; `manual` has no interface (Mitel)."""
MAX_EXTENSIONS: Final = 1_000
"""The largest DECT system has about as many handsets."""
MAX_KEYS: Final = 500
"""A phone has 68 at most, a panel 84."""
MAX_PANELS: Final = 10

BRAND: Final = string_of(16, checks.brand, "{} must be a word in upper case, at most 16 characters")
NAME: Final = text_of(64)
KEYS: Final = whole_of(0, MAX_KEYS)
_REDIRECT: Final = "The vendor has a service that tells a new phone where its files are"


class SipPhoneModel(Revised):
    """The capabilities of a phone model. If the limit of a range is None, the model lacks that setting."""

    __tablename__ = "sip_phone_model"
    __table_args__ = (UniqueConstraint("brand", "model"), NEVER_REUSED)

    brand: Mapped[str] = stored(BRAND, "Brand, in upper case", NAMED, required=True)
    brand_name: Mapped[str] = stored(NAME, "Brand as it is shown", NAMED, required=True)
    model: Mapped[str] = stored(NAME, "Name of the model; unique in its brand", NAMED, required=True)
    picture_oid: Mapped[str | None] = mapped_column(String(OID_LENGTH))
    description: Mapped[str | None] = stored(text_of(checks.LONG_TEXT), "What it is", NAMED)
    extensions: Mapped[int] = stored(
        whole_of(1, MAX_EXTENSIONS), "How many phones may share one MAC address", NAMED, default=1
    )
    softkeys: Mapped[int] = stored(KEYS, "How many keys the phone itself has", NAMED, default=0)
    softkey_labels: Mapped[bool] = stored(FLAG, "The keys have labels", NAMED)
    softkey_capabilities: Mapped[list[str]] = mapped_column(JSON, default=list)
    multiple_handsets: Mapped[bool] = stored(
        FLAG, "A base: each phone is a handset with its own address", "capabilities.multipleHandsets"
    )
    provision: Mapped[bool] = stored(
        FLAG,
        "Its configuration files are made here, and public sources confirm them",
        "capabilities.provision",
    )
    mac_redirect: Mapped[bool] = stored(FLAG, _REDIRECT, "capabilities.macRedirect")
    custom_ringtones: Mapped[bool] = stored(
        FLAG, "It can play other ringtones", "capabilities.customRingtones"
    )
    sip_config_reload: Mapped[bool] = stored(
        FLAG, "A SIP NOTIFY lets it load its configuration", "capabilities.sipConfigReload"
    )
    requires_serial: Mapped[bool] = stored(FLAG, "Its phones need `serial`", NAMED)
    max_side_panels: Mapped[int] = stored(
        whole_of(0, MAX_PANELS), "How many side panels it takes", NAMED, default=0
    )
    panel_softkeys: Mapped[int] = stored(KEYS, "How many keys each side panel has", NAMED, default=0)
    writer: Mapped[str | None] = stored(
        word_of(WRITERS), "How its configuration files are written; null: they are not made here", NAMED
    )
    legacy_tls: Mapped[bool] = stored(FLAG, "It needs TLS 1.0 or 1.1", NAMED)
    redirect_service: Mapped[str | None] = stored(word_of(SERVICES), f"{_REDIRECT}; null: none", NAMED)
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
    configuration_template: Mapped[str | None] = stored(
        text_of(checks.CONFIG_TEXT, LINES), "Lines that are added to the configuration file", NAMED
    )

    @property
    def experimental(self) -> bool:
        """Return True if its files are made here, but nothing confirms them."""
        return self.writer is not None and not self.provision


class SeededModel(Table):
    """A model that the program brought, and the digest of the values that it wrote (`config/models`).

    It stays when the model is deleted, so that the model does not come back.
    """

    __tablename__ = "seeded_model"

    oid: Mapped[str] = mapped_column(String(OID_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))


class Picture(Table):
    """A picture that was uploaded. Its id is the start of the hash of its content."""

    __tablename__ = "picture"

    oid: Mapped[str] = mapped_column(String(OID_LENGTH), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


PARTS: Final = tuple(
    (part, way) for part in ("handset", "headset", "handsfree") for way in ("mic", "speaker")
)
RANGES: Final[Mapping[str, str]] = {
    "ranges.ringerVolume": "ringer_volume",
    "ranges.ringerTone": "ringer_tone",
    **{f"ranges.volume.{part}.{way}": f"{part}_{way}" for part, way in PARTS},
}
"""Property -> start of the names of the columns with its limits. Tones begin at 0, which is not stored."""
