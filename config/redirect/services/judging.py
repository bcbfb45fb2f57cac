"""How the words of the services are understood."""

from typing import Final

from ..outcome import Outcome, foreign, refused

FOREIGN: Final = (
    "owned_by_other_user",
    "taken_mac_or_forbidden",
    "lacks permission to endpoint",
    "mac_already_in_use",
    "800004",
    "already managed by another organization",
)
"""Parts of the messages that say that the MAC address is another provider's."""
UNKNOWN: Final = (
    "mac_not_exist",
    "not_found",
    "not found",
    "not exist",
    "not_exist",
    "900404",
)
"""Parts of the messages that say that the service does not know the MAC address."""


def judge(text: str) -> Outcome:
    """Return what a refusal means that came with these words."""
    return foreign(text) if _has(text, FOREIGN) else refused(text or "refused without a reason")


def is_unknown(text: str) -> bool:
    """Return whether the service does not know the MAC address."""
    return _has(text, UNKNOWN)


def _has(text: str, parts: tuple[str, ...]) -> bool:
    folded = text.lower()
    return any(part in folded for part in parts)
