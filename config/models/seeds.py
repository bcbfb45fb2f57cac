"""The models that the program brings: brand, keys, panels, ranges, and how they are provisioned.

`provision` is true if public sources confirm what is written for the model; otherwise it is experimental.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from .. import pictures
from ..tables import OID_LENGTH, SipPhoneModel
from . import ranges
from .functions import FUNCTIONS, WRITTEN
from .ranges import Columns

NOT_SEEDED: Final = ("id", "oid", "created_at", "updated_at", "revision")
"""The columns that the database fills, and the id."""
VALUES: Final = tuple(
    column.key for column in SipPhoneModel.__table__.columns if column.key not in NOT_SEEDED
)
"""The columns with the capabilities of a model."""


def model_oid(brand: str, model: str) -> str:
    """Return the id of a built-in model; it is the same in every installation."""
    return hashlib.sha256(f"registrar model {brand}/{model}".encode()).hexdigest()[:OID_LENGTH]


def _empty(column: str) -> object:
    kept = SipPhoneModel.__table__.columns[column]
    if kept.nullable:
        return None
    return [] if column == "softkey_capabilities" else kept.type.python_type()


def _model(brand_name: str, model: str, description: str, *traits: Columns, brand: str = "") -> Columns:
    brand = brand or brand_name.upper()
    row: dict[str, object] = {column: _empty(column) for column in VALUES} | {"extensions": 1}
    row |= {"oid": model_oid(brand, model), "brand": brand, "brand_name": brand_name, "model": model}
    row["description"] = description
    for trait in traits:
        row |= trait
    return row


# Traits


def _written(writer: str, redirect: str | None = None) -> Columns:
    """Return how a model is provisioned; its vendor has this service."""
    served = {"redirect_service": redirect, "mac_redirect": redirect is not None}
    return {"writer": writer, "provision": True, "sip_config_reload": True, **served}


def _keys(writer: str, count: int) -> Columns:
    functions = list(WRITTEN[writer])
    return {"softkeys": count, "softkey_labels": True, "softkey_capabilities": functions}


def _panels(count: int, keys: int) -> Columns:
    return {"max_side_panels": count, "panel_softkeys": keys}


def _handsets(count: int) -> Columns:
    return {"extensions": count, "multiple_handsets": True, **_DECT}


def _drawn(name: str) -> Columns:
    return {"picture_oid": pictures.drawing_oid(name)}


_EXPERIMENTAL: Final[Columns] = {"provision": False}
"""A number of keys, panels or handsets, or a name in the file, is not confirmed."""
_OLD: Final[Columns] = {"legacy_tls": True}
_RINGTONES: Final[Columns] = {"custom_ringtones": True}
_SERIAL: Final[Columns] = {"requires_serial": True}
_DESK: Final = _drawn("desk-colour")
_SMALL: Final = _drawn("desk-small")
_DECT: Final = _drawn("dect-base")
_ADAPTER: Final[Columns] = {"extensions": 2, **_drawn("adapter")}

_ALL: Final[Columns] = {"softkeys": 128, "softkey_labels": True, "softkey_capabilities": list(FUNCTIONS)}
_SNOM: Final[Columns] = {**_written("snom", "snom"), **ranges.SNOM, **_RINGTONES}
_SNOM8: Final[Columns] = {**_SNOM, "writer": "snom8"}
_SNOM_DECT: Final = _written("snom-dect", "snom")
_D7: Final = _panels(3, 18)
_MITEL: Final[Columns] = {**_written("mitel", "manual"), **ranges.MITEL, **_RINGTONES}
_M685: Final = _panels(3, 84)
_YEALINK: Final[Columns] = {**_written("yealink", "yealink"), **ranges.YEALINK}
_YEALINK_DECT: Final = _written("yealink-dect", "yealink")
_EXP43: Final = _panels(3, 60)
_N510: Final[Columns] = {**_written("gigaset-n510", "gigaset"), **_EXPERIMENTAL}
_NX70: Final = _written("gigaset-nx70", "gigaset")
_MAXWELL: Final[Columns] = {**_written("maxwell", "gigaset"), **ranges.MAXWELL, **_EXPERIMENTAL}
_GRANDSTREAM: Final[Columns] = {**_written("grandstream", "gaps"), **ranges.GRANDSTREAM, **_SERIAL}
_GXP2200EXT: Final = _panels(4, 40)
_SPA: Final = _written("spa")
_SPA_DESK: Final[Columns] = {**_SPA, **ranges.CISCO}
_SPA500S: Final = _panels(2, 32)

DESK: Final = "Desk phone"
DECT: Final = "DECT base"
ADAPTER: Final = "Adapter for two analogue phones"

GENERIC: Final = model_oid("GENERIC", "SIP device")
WEBRTC: Final = model_oid("GENERIC", "WebRTC")

_FIRST: Final[Mapping[str, Columns]] = {
    "generic": _model(
        "Generic",
        "SIP device",
        "Any SIP phone",
        *(_ALL, ranges.ANY, _RINGTONES, _panels(3, 0), _drawn("generic")),
    ),
    "webrtc": _model("Generic", "WebRTC", "A browser softphone", ranges.ANY, _RINGTONES, _drawn("softphone")),
    "snom": _model("Snom", "D785", DESK, _SNOM, _keys("snom", 24), _panels(4, 18), _DESK),
    "yealink": _model("Yealink", "T46U", DESK, _YEALINK, _keys("yealink", 27), _EXP43, _DESK),
    "grandstream": _model(
        "Grandstream",
        "GXP2170",
        DESK,
        *(_GRANDSTREAM, _keys("grandstream", 48), _GXP2200EXT, _DESK, _EXPERIMENTAL),
    ),
    "dect": _model("Gigaset", "N510 IP PRO", "DECT base for six handsets", _N510, _handsets(6)),
    "gateway": _model("Cisco", "SPA112", ADAPTER, _SPA, _ADAPTER),
}
"""The models of the first list, by their short names."""

_SNOMS: Final = (
    _model("Snom", "D735", DESK, _SNOM, _keys("snom", 32), _D7, _DESK),
    _model("Snom", "D717", DESK, _SNOM, _keys("snom", 3), _D7, _DESK),
    _model("Snom", "D865", DESK, _SNOM8, _keys("snom8", 36), _panels(3, 60), _DESK),
    _model("Snom", "D812", DESK, _SNOM8, _keys("snom8", 28), _panels(3, 60), _DESK),
    _model("Snom", "370", DESK, _SNOM, _keys("snom", 12), _panels(3, 42), _SMALL, _OLD, _EXPERIMENTAL),
    _model("Snom", "M400", DECT, _SNOM_DECT, _handsets(20)),
    _model("Snom", "M900", DECT, _SNOM_DECT, _handsets(1_000), _EXPERIMENTAL),
)
_MITELS: Final = (
    _model("Mitel", "6867i", DESK, _MITEL, _keys("mitel", 38), _M685, _DESK),
    _model("Mitel", "6869i", DESK, _MITEL, _keys("mitel", 68), _M685, _DESK),
    _model("Mitel", "6863i", DESK, _MITEL, _keys("mitel", 3), _SMALL),
    _model("Mitel", "6865i", DESK, _MITEL, _keys("mitel", 8), _M685, _SMALL),
    _model("Mitel", "6920", DESK, _MITEL, _keys("mitel", 10), _M685, _DESK, _EXPERIMENTAL),
    _model("Mitel", "6930", DESK, _MITEL, _keys("mitel", 22), _M685, _DESK, _EXPERIMENTAL),
    _model("Mitel", "6940", DESK, _MITEL, _keys("mitel", 24), _M685, _DESK, _EXPERIMENTAL),
    _model("Mitel", "6731i", "Desk phone, once of Aastra", _MITEL, _keys("mitel", 8), _SMALL, _OLD),
)
_YEALINKS: Final = (
    _model("Yealink", "T54W", DESK, _YEALINK, _keys("yealink", 27), _EXP43, _DESK),
    _model("Yealink", "T57W", DESK, _YEALINK, _keys("yealink", 29), _EXP43, _DESK),
    _model("Yealink", "T43U", DESK, _YEALINK, _keys("yealink", 21), _EXP43, _SMALL, _EXPERIMENTAL),
    _model("Yealink", "T33G", DESK, _YEALINK, _keys("yealink", 12), _DESK),
    _model("Yealink", "T31P", DESK, _YEALINK, ranges.YEALINK_SMALL, _keys("yealink", 2), _SMALL),
    _model("Yealink", "W60B", DECT, _YEALINK_DECT, _handsets(8)),
    _model("Yealink", "W70B", DECT, _YEALINK_DECT, _handsets(10), _EXPERIMENTAL),
)
_GIGASETS: Final = (
    _model("Gigaset", "N670 IP PRO", DECT, _NX70, _handsets(20), _EXPERIMENTAL),
    _model("Gigaset", "N870 IP PRO", DECT, _NX70, _handsets(250), _EXPERIMENTAL),
    _model("Gigaset", "Maxwell 3", DESK, _MAXWELL, _keys("maxwell", 8), _DESK),
    _model(
        "Gigaset",
        "P850",
        DESK,
        *(_written("snom", "gigaset"), {"ringer_tone_max": 9}, _EXPERIMENTAL),
        *(_keys("snom", 36), _panels(3, 60), _DESK),
    ),
)
_GRANDSTREAMS: Final = (
    _model("Grandstream", "GRP2612", DESK, _GRANDSTREAM, _keys("grandstream", 16), _DESK),
    _model(
        "Grandstream",
        "GRP2614",
        DESK,
        *(_GRANDSTREAM, _keys("grandstream", 40), _GXP2200EXT, _DESK, _EXPERIMENTAL),
    ),
)
_CISCOS: Final = (
    _model("Cisco", "SPA504G", DESK, _SPA_DESK, _keys("spa", 4), _SPA500S, _SMALL),
    _model("Cisco", "SPA508G", DESK, _SPA_DESK, _keys("spa", 8), _SPA500S, _SMALL),
    _model("Cisco", "SPA525G2", DESK, _SPA_DESK, _keys("spa", 5), _SPA500S, _DESK),
    _model("Cisco", "ATA191", ADAPTER, _SPA, _ADAPTER, _EXPERIMENTAL),
    _model(
        "Cisco",
        "8841 MPP",
        DESK,
        *(_written("mpp"), ranges.CISCO, _keys("mpp", 10), _DESK, _EXPERIMENTAL),
    ),
    _model("Linksys", "PAP2T", ADAPTER, _SPA, _ADAPTER, _OLD, _EXPERIMENTAL, brand="CISCO"),
    _model("Linksys", "SPA942", DESK, _SPA_DESK, _keys("spa", 4), _SMALL, _OLD, _EXPERIMENTAL, brand="CISCO"),
)
_LGS: Final = (
    _model(
        "LG-Ericsson", "LIP-8002", DESK, _written("lg"), _keys("lg", 4), _SMALL, _EXPERIMENTAL, brand="LG"
    ),
)


def _short(row: Columns) -> str:
    """Return a short name such as `snom-d735`."""
    return f"{row['brand']}-{row['model']}".lower().replace(" ", "-")


_LATER: Final = (*_SNOMS, *_MITELS, *_YEALINKS, *_GIGASETS, *_GRANDSTREAMS, *_CISCOS, *_LGS)
MODELS: Final[Mapping[str, Columns]] = {**_FIRST, **{_short(row): row for row in _LATER}}
"""Short name -> row."""
