"""What a softkey dials, watches or opens, and whether anything answers it: 18 functions for each writer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .draft import Draft, Unwritable
from .view import PHONE, Key, Provisioned, Services

NOTHING: Final = ""
"""The function of a key that does nothing."""
LAMP: Final = frozenset({"BLF", "QUEUE", "SWITCH"})
"""Functions whose key shows a state: the phone subscribes to the number."""
_NUMBER: Final = re.compile(r"\+?[0-9A-Za-z*#._-]{1,64}")
"""What a key may dial: no blank, no separator of any format."""
_PICKUP: Final = "**"

_DIALLED: Final = frozenset(
    "SPEEDDIAL BLF DNDOTHER VOICEMAIL RECORD PICKUP PICKUPGROUP QUEUE SWITCH PRESENCE".split()
)
"""Functions with a number that must be known."""


@dataclass(frozen=True, slots=True)
class Function:
    """What one key does, with its number."""

    position: int
    """0-based, counted through the phone and then its panels."""
    panel: int
    index: int
    """0-based, on the phone or on its panel."""
    name: str = NOTHING
    """One of the 18 functions, or NOTHING."""
    number: str = ""
    label: str = ""
    pickup: str = ""
    """The feature code that picks up a call that rings at a watched number; the phone adds the number."""

    @property
    def source(self) -> str:
        """Return the name of this key in the API."""
        return f"softkeys[{self.position}]"


@dataclass(frozen=True, slots=True)
class Types:
    """The functions that the keys of a brand have."""

    of: Mapping[str, str]
    """Function -> the brand's word for it."""
    dials_dnd: bool = False
    """Whether do-not-disturb is a feature code that the key dials, because the phone has no such key."""


def functions(phone: Provisioned, types: Types, draft: Draft) -> Iterator[Function]:
    """Return each key of the phone and its panels.

    A key that cannot do its function does nothing, and `draft` says why. Without any stored key the first
    one is a line key, as phones come from their vendor.
    """
    stored = {(key.panel, key.index): key for key in phone.keys}
    for key in phone.keys:
        if not _exists(phone, key):
            draft.leave(f"softkeys[{phone.position(key)}]", "the phone has no key at this position")
    places = [(PHONE, index) for index in range(phone.softkeys)]
    places += [(panel + 1, index) for panel in range(phone.panels) for index in range(phone.panel_softkeys)]
    for panel, index in places:
        default = (
            Key(index, "LINE") if not stored and (panel, index) == (PHONE, 0) else Key(index, NOTHING, panel)
        )
        yield _function(phone, stored.get((panel, index), default), types, draft)


def _exists(phone: Provisioned, key: Key) -> bool:
    if key.panel == PHONE:
        return 0 <= key.index < phone.softkeys
    return 1 <= key.panel <= phone.panels and 0 <= key.index < phone.panel_softkeys


def _function(phone: Provisioned, key: Key, types: Types, draft: Draft) -> Function:
    position = phone.position(key)
    nothing = Function(position, key.panel, key.index)
    if key.function == NOTHING:
        return nothing
    reason = key.problem or ("" if key.function in types.of else "this phone has no key for it")
    dials = key.function in _DIALLED or (key.function == "DND" and types.dials_dnd)
    number = dialled(key, phone.services) if dials or key.function == "URL" else ""
    if not reason and dials and not number:
        reason = _unanswered(key, phone.services)
    if reason:
        draft.leave(nothing.source, f"{key.function}: {reason}")
        return nothing
    if dials and not _NUMBER.fullmatch(number):
        raise Unwritable(f"{nothing.source}.value", "a key cannot dial this number")
    pickup = _PICKUP if key.function == "BLF" and "pickup" in phone.services.features else ""
    return Function(position, key.panel, key.index, key.function, number, key.label.strip(), pickup)


def dialled(key: Key, services: Services) -> str:
    """Return what a key dials or opens; empty if nothing answers it, or if it needs no number."""
    features = services.features
    match key.function:
        case "SPEEDDIAL" | "BLF" | "URL":
            return key.number
        case "PICKUP":
            own = "*8" if not key.number else _PICKUP + key.number
            return services.pickup or (own if "pickup" in features else "")
        case "PICKUPGROUP":
            return f"*8{key.number}" if key.number and "pickup" in features else ""
        case "QUEUE":
            code = services.queue or ("*45" if "queue" in features else "")
            return code + key.number if code and key.number else ""
        case "DND":
            return "*76" if "dnd" in features else ""
        case _:
            return _beside(key, services)


def _beside(key: Key, services: Services) -> str:
    """Return what a key dials if a service beside this server answers it."""
    match key.function:
        case "VOICEMAIL":
            return services.voicemail
        case "RECORD":
            return services.record
        case "SWITCH":
            return services.switch and services.switch + key.number
        case "PRESENCE":
            return services.presence and services.presence + key.number
        case "DNDOTHER":
            return services.dndother and services.dndother + key.number
        case _:
            return ""


def _unanswered(key: Key, services: Services) -> str:
    """Return why a key has no number."""
    family = {"PICKUP": "pickup", "PICKUPGROUP": "pickup", "QUEUE": "queue", "DND": "dnd"}.get(key.function)
    if key.function in ("SPEEDDIAL", "BLF"):
        return "it has no number"
    if family is None:
        return f"no service answers it; REGISTRAR_SERVICE_{key.function} names one"
    if family not in services.features:
        return f"the feature codes of the family {family} are disabled (REGISTRAR_FEATURES)"
    return "its target has no number"
