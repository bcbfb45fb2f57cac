"""What handlers say: a status and the headers that go with it; the driver makes the message."""

from dataclasses import dataclass
from typing import Final

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


BUSY: Final = Answer(503, headers=(("Retry-After", str(RETRY_AFTER)),))
FORBIDDEN: Final = Answer(403)
NO_SUCH_CALL: Final = Answer(481)
CONTACT_TOO_LONG: Final = Answer(400, "Contact Too Long")
HERE: Final = Answer(200, headers=(ALLOW, ("Accept", "application/sdp"), ("Supported", "outbound, timer")))
"""To OPTIONS: what this service can do (RFC 3261 section 11.2)."""
STALE: Final = Answer(401)
"""A right digest with a nonce that may not be used: replaced by a challenge that says so."""
