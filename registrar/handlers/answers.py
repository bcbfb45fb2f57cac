"""Answers of handlers: a status and its headers, of which the driver makes the message."""

from dataclasses import dataclass, field
from typing import Final

from registrar.rules import session
from registrar.sip import REASONS

RETRY_AFTER: Final = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer; if the reason is empty, the default phrase of the status is used."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    why: str = field(default="", compare=False)
    """A text that says what is wrong, where, and what to do.

    The driver writes it into a Warning header and into `reason=` of the log. It is plain text, safe to show
    to the receiver of the answer.
    """

    @property
    def text(self) -> str:
        """Return what is wrong, as text for people."""
        return self.why or self.reason or REASONS.get(self.status, "")


BUSY: Final = Answer(
    503, headers=(("Retry-After", str(RETRY_AFTER)),), why="a store of this service does not answer now"
)
TOO_MANY: Final = Answer(
    503, headers=(("Retry-After", str(RETRY_AFTER)),), why="this phone sends more requests than its limit"
)
CROWDED: Final = Answer(
    503, headers=(("Retry-After", str(RETRY_AFTER)),), why="the customer has too many requests under way"
)
NO_SUCH_CALL: Final = Answer(481, why="Route: no call or subscription of this service is named")
NOT_SERVED: Final = Answer(403, why="the phone is gone, or its customer is blocked")
NOT_FROM_THERE: Final = Answer(403, why="the phone may not connect from this address")
NOT_ITS_PHONE: Final = Answer(403, why="Proxy-Authorization: this dialog is of another phone")
NOT_SECURE: Final = Answer(
    480, why="Request-URI: sips is reached by TLS and WSS alone, on the node it came to"
)
UNKNOWN: Final = Answer(404, why="Request-URI: no such number here")
OFFLINE: Final = Answer(480, why="Request-URI: no phone of this number is registered")
OUT_OF_HOPS: Final = Answer(483, why="Max-Forwards: 0, and the request is not for this server")
TOO_BRIEF: Final = Answer(
    422,
    headers=(("Min-SE", str(session.LEAST_SECONDS)),),
    why=f"Session-Expires: {session.LEAST_SECONDS} seconds are the least",
)
CONTACT_TOO_LONG: Final = Answer(
    400, "Contact Too Long", why="Contact: 300 characters are the most for a URI that is not registered"
)
NO_RELIABLE_RESPONSES: Final = Answer(
    420, headers=(("Unsupported", "100rel"),), why="Require: a group or queue sends no reliable responses"
)
