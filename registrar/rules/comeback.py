"""Who comes back to a call after its connection was gone: what a registration, and an answer, say of it."""

from collections.abc import Sequence
from enum import Enum
from typing import Final

from registrar.model import Binding

from .tokens import Target

FORGOTTEN: Final = frozenset({404, 408, 410, 481, 604})
"""Answers to a request inside a dialog that mean: there is none (RFC 5057 section 5.1). A page that was
loaded anew has another Contact, and 404 is all it says to the old one."""
UNKNOWN: Final = "?"
"""In place of a Call-ID: something was registered over that connection, and nobody knows by what."""
SLACK_SECONDS: Final = 1
MOVED_SECONDS: Final = 60
"""An interval of pings, and the time until one of them counts as unanswered."""


class Return(Enum):
    """What a binding says about the party that left."""

    HERE = "here"
    """It is there with its call."""
    ASK = "ask"
    """It may be the party, and may have forgotten the call."""
    OTHER = "other"
    """Another device."""


def returned(binding: Binding, lost: Target, registration: str, left_at: float) -> Return:
    """What a live binding on another flow says of a party that left `lost` at `left_at`.

    `registration` is the Call-ID by which it was registered over that connection; empty: by none, its calls
    alone went there. The same Call-ID is the same program, which knows its calls (RFC 3261 section 10.2).
    """
    is_new = binding.refreshed_at >= int(left_at) - SLACK_SECONDS
    if registration and binding.call_id == registration:
        return Return.HERE
    if not registration and not is_new:
        return Return.HERE
    if is_new or _is_device(binding, lost):
        return Return.ASK
    return Return.OTHER


def has_fallen_silent(live: Sequence[Binding], target: Target) -> bool:
    """Whether a party over UDP answers no pings where it was last, and has not registered elsewhere since.

    What it left behind when it moved is found silent some time after it registered again.
    """
    place = (target.ip, target.port)
    there = [one for one in live if not one.connected and (one.public_ip, one.public_port) == place]
    if not there or any(not one.silent_since for one in there):
        return False
    since = min(one.silent_since for one in there) - MOVED_SECONDS
    return not any(one.refreshed_at >= since and not one.silent_since for one in live)


def knows_dialog(status: int) -> bool:
    """Whether a final answer to our question inside a dialog comes from somebody who has it."""
    return status not in FORGOTTEN


def _is_device(binding: Binding, lost: Target) -> bool:
    if lost.instance:
        return binding.instance == lost.instance
    return binding.contact == (lost.registered or lost.contact)
