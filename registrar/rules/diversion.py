"""Where a call goes that a person has forwarded: unconditionally, when busy, or when it is not answered."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registrar.model import PersonState

MAX_HOPS: Final = 5
"""How often one call is forwarded; one time more is a loop."""
BUSY: Final = frozenset({486, 600})
"""The answers of a phone that call forwarding on busy is about; 603 is a wish not to take the call."""


class DiversionReason(StrEnum):
    """Why a call is forwarded, in the words of the Diversion header (RFC 5806)."""

    UNCONDITIONAL = "unconditional"
    BUSY = "user-busy"
    NO_ANSWER = "no-answer"
    UNAVAILABLE = "unavailable"
    DEFLECTION = "deflection"
    """The phone itself has answered with 3xx."""


@dataclass(frozen=True, slots=True)
class Forward:
    """One forwarding that is due."""

    to: str
    """The number, as the person dials it."""
    reason: DiversionReason


def at_once(wishes: PersonState, *, has_devices: bool) -> Forward | None:
    """Return the forwarding of a call before any phone rings, or None if the phones ring."""
    if wishes.cfu:
        return Forward(wishes.cfu, DiversionReason.UNCONDITIONAL)
    if wishes.cfnr and not has_devices:
        return Forward(wishes.cfnr, DiversionReason.UNAVAILABLE)
    return None


def after(wishes: PersonState, statuses: set[int]) -> Forward | None:
    """Return the forwarding after all phones have refused with these statuses, or None if the call ends."""
    if 603 in statuses:
        return None
    if statuses & BUSY:
        return Forward(wishes.cfb, DiversionReason.BUSY) if wishes.cfb else None
    return Forward(wishes.cfnr, DiversionReason.UNAVAILABLE) if wishes.cfnr else None


def diversion(number: str, domain: str, reason: DiversionReason, counter: int) -> tuple[str, str]:
    """Return the Diversion header that says who has forwarded the call, and why (RFC 5806)."""
    return "Diversion", f"<sip:{number}@{domain}>;reason={reason};counter={counter};privacy=off"
