"""Rules for a party whose connection closed during a call: which bindings and responses show its return."""

from collections.abc import Sequence
from enum import Enum
from typing import Final

from registrar.model import Binding

from .tokens import Target

FORGOTTEN: Final = frozenset({404, 408, 410, 481, 604})
"""Responses to a request inside a dialog that mean that the peer has no such dialog (RFC 5057 section 5.1).
A browser page that was reloaded has another Contact and answers requests to the old one with 404 only."""
UNKNOWN: Final = "?"
"""Stands for a Call-ID: a binding was registered over that connection, but its Call-ID is unknown."""
SLACK_SECONDS: Final = 1
MOVED_SECONDS: Final = 60
"""One ping interval plus the time until a ping counts as unanswered."""


class Return(Enum):
    """The conclusion from a binding about the party whose connection closed."""

    HERE = "here"
    """The party is back and still has its call."""
    ASK = "ask"
    """It may be the party, and the party may have lost the call: ask it."""
    OTHER = "other"
    """It is another device."""


def returned(binding: Binding, lost: Target, registration: str, left_at: float) -> Return:
    """Return what a live binding on another flow says about a party whose flow `lost` closed at `left_at`.

    `registration` is the Call-ID of the party's REGISTER over that connection. It is empty if the connection
    carried only calls and no registration. The same Call-ID means the same running program, which knows its
    calls (RFC 3261 section 10.2).
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
    """Return whether a party over UDP is silent at its last address and has not registered elsewhere since.

    If the party moved, its old binding is found silent only some time after the new registration.
    """
    place = (target.ip, target.port)
    there = [one for one in live if not one.connected and (one.public_ip, one.public_port) == place]
    if not there or any(not one.silent_since for one in there):
        return False
    since = min(one.silent_since for one in there) - MOVED_SECONDS
    return not any(one.refreshed_at >= since and not one.silent_since for one in live)


def knows_dialog(status: int) -> bool:
    """Return whether the peer that sent this final response to our request inside a dialog has the dialog."""
    return status not in FORGOTTEN


def _is_device(binding: Binding, lost: Target) -> bool:
    if lost.instance:
        return binding.instance == lost.instance
    return binding.contact == (lost.registered or lost.contact)
