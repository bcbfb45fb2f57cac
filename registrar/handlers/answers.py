"""What handlers say: a status and the headers that go with it; the driver makes the message."""

from dataclasses import dataclass, field
from typing import Final

from registrar.rules import session

OUTSIDE: Final = ("INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH")
"""What a phone may begin with another one: challenged with 407, under the same access rule as REGISTER."""
INSIDE: Final = ("ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "NOTIFY")
"""What belongs to a call or subscription that is there."""
SERVED: Final = ("REGISTER", "OPTIONS", *OUTSIDE, *INSIDE)
ALLOW: Final = ("Allow", ", ".join(SERVED))
RETRY_AFTER: Final = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer; an empty reason means the usual words for the status."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    why: str = field(default="", compare=False)
    """What is wrong, where, and what to do: the driver makes a Warning header and `reason=` of the log of it.
    Plain text, safe to show to whoever gets the answer."""


BUSY: Final = Answer(
    503, headers=(("Retry-After", str(RETRY_AFTER)),), why="a store of this service does not answer now"
)
NO_SUCH_CALL: Final = Answer(481, why="Route: no call or subscription of this service is named")
NOT_SERVED: Final = Answer(403, why="the phone is gone, or its customer is blocked")
NOT_FROM_THERE: Final = Answer(403, why="the phone may not come from this address")
NOT_ITS_PHONE: Final = Answer(403, why="Proxy-Authorization: this dialog is of another phone")
NOT_SECURE: Final = Answer(
    480, why="Request-URI: sips is reached by TLS and WSS alone, on the node it came to"
)
UNKNOWN: Final = Answer(404, why="Request-URI: this number reaches nobody here")
OFFLINE: Final = Answer(480, why="Request-URI: no phone of this number is registered")
OUT_OF_HOPS: Final = Answer(483, why="Max-Forwards: 0, and the request is for somebody else")
TOO_BRIEF: Final = Answer(
    422,
    headers=(("Min-SE", str(session.LEAST_SECONDS)),),
    why=f"Session-Expires: {session.LEAST_SECONDS} seconds are the least",
)
NO_EVENTS: Final = Answer(
    489,
    headers=(("Allow-Events", "refer"),),  # RFC 6665 section 7.2.2 wants it, and names at least one package
    why="Event: nothing is published here",
)
CONTACT_TOO_LONG: Final = Answer(
    400, "Contact Too Long", why="Contact: 300 characters are the most for a URI that is not registered"
)
HERE: Final = Answer(200, headers=(ALLOW, ("Accept", "application/sdp"), ("Supported", "outbound, timer")))
"""To OPTIONS: what this service can do (RFC 3261 section 11.2)."""
STALE: Final = Answer(401)
"""A right digest with a nonce that may not be used: replaced by a challenge that says so."""
