"""The phone models that every installation has."""

import hashlib
from collections.abc import Mapping
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .tables import OID_LENGTH, SipPhoneModel

FUNCTIONS: Final = tuple(
    "SPEEDDIAL BLF LINE DND DNDOTHER ADDRESSBOOK REDIAL VOICEMAIL TRANSFER URL HOLD "
    "RECORD MENU PICKUP PICKUPGROUP QUEUE SWITCH PRESENCE".split()
)
"""All functions that a softkey can have."""

SPEAKING_PARTS: Final = ("handset", "headset", "handsfree")

Columns = Mapping[str, object]


def model_oid(brand: str, model: str) -> str:
    """Return the id of a built-in model; it is the same in every installation."""
    return hashlib.sha256(f"registrar model {brand}/{model}".encode()).hexdigest()[:OID_LENGTH]


def _sound(volume_max: int, tone_max: int) -> Columns:
    levels = {f"{part}_{way}" for part in SPEAKING_PARTS for way in ("mic", "speaker")} | {"ringer_volume"}
    ranges = {f"{level}_min": 0 for level in levels} | {f"{level}_max": volume_max for level in levels}
    return ranges | {"ringer_tone_max": tone_max}


def _keys(count: int, *lacking: str) -> Columns:
    capable = [function for function in FUNCTIONS if function not in lacking]
    return {"softkeys": count, "softkey_labels": True, "softkey_capabilities": capable}


def _model(brand: str, brand_name: str, model: str, description: str, *traits: Columns) -> Columns:
    row: dict[str, object] = {"oid": model_oid(brand, model), "brand": brand, "brand_name": brand_name}
    row |= {"model": model, "description": description, "softkey_capabilities": []}
    for trait in traits:
        row |= trait
    return row


_DESK: Final[Columns] = {"provision": True, "mac_redirect": True, "sip_config_reload": True}
_RINGTONES: Final[Columns] = {"custom_ringtones": True}
_DECT: Final[Columns] = {"extensions": 6, "multiple_handsets": True}

GENERIC: Final = model_oid("GENERIC", "SIP device")
WEBRTC: Final = model_oid("GENERIC", "WebRTC")
PANELS: Final[Columns] = {"max_side_panels": 3}

MODELS: Final[Mapping[str, Columns]] = {
    "generic": _model(
        "GENERIC", "Generic", "SIP device", "Any SIP phone", _keys(128), _sound(15, 31), _RINGTONES, PANELS
    ),
    "webrtc": _model("GENERIC", "Generic", "WebRTC", "A browser softphone", _sound(15, 31), _RINGTONES),
    "snom": _model(
        "SNOM", "Snom", "D785", "Desk phone", _DESK, _keys(24), _sound(15, 10), _RINGTONES, PANELS
    ),
    "yealink": _model("YEALINK", "Yealink", "T46U", "Desk phone", _DESK, _keys(27), _sound(15, 8), PANELS),
    "grandstream": _model(
        "GRANDSTREAM",
        "Grandstream",
        "GXP2170",
        "Desk phone",
        _DESK,
        _keys(12),
        _sound(8, 3),
        {"requires_serial": True, "max_side_panels": 4},
    ),
    "dect": _model("GIGASET", "Gigaset", "N510 IP PRO", "DECT base for six handsets", _DESK, _DECT),
    "gateway": _model("CISCO", "Cisco", "SPA112", "Adapter for two analogue phones", {"extensions": 2}),
}
"""Short name -> row."""


async def add_missing_models(connection: AsyncConnection) -> None:
    """Insert the built-in models that are missing in the database."""
    there = set(await connection.scalars(select(SipPhoneModel.oid)))
    missing = [row for row in MODELS.values() if row["oid"] not in there]
    for row in missing:
        await connection.execute(insert(SipPhoneModel).values(**row))
