"""The functions of softkeys. A model has those that its writer can write."""

from collections.abc import Mapping
from typing import Final

FUNCTIONS: Final = tuple(
    "SPEEDDIAL BLF LINE DND DNDOTHER ADDRESSBOOK REDIAL VOICEMAIL TRANSFER URL HOLD "
    "RECORD MENU PICKUP PICKUPGROUP QUEUE SWITCH PRESENCE".split()
)
"""All functions that a softkey can have."""

DIALLED: Final = tuple("SPEEDDIAL BLF LINE DNDOTHER PICKUP PICKUPGROUP QUEUE SWITCH PRESENCE".split())
"""The functions that are a line, or a number to dial, with or without a lamp."""


def _but(*lacking: str) -> tuple[str, ...]:
    return tuple(function for function in FUNCTIONS if function not in lacking)


def _dialled_and(*more: str) -> tuple[str, ...]:
    return tuple(function for function in FUNCTIONS if function in DIALLED + more)


WRITTEN: Final[Mapping[str, tuple[str, ...]]] = {
    "snom": FUNCTIONS,
    "snom8": FUNCTIONS,
    "mitel": _but("HOLD"),
    "yealink": _but("MENU"),
    "maxwell": _but("ADDRESSBOOK", "REDIAL", "TRANSFER", "HOLD", "MENU"),
    "grandstream": _dialled_and("DND", "RECORD", "VOICEMAIL"),
    "spa": _dialled_and("DND", "VOICEMAIL"),
    "mpp": _dialled_and("DND", "VOICEMAIL"),
    "lg": _dialled_and("DND", "VOICEMAIL"),
}
"""Writer -> the functions of a key in its files. Writers of bases and adapters have no keys."""
