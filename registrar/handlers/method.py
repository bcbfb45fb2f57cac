"""The facts about one method in one place, as a row of the table in `methods.py` states them."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class RequestUri(Enum):
    """What the Request-URI must name, so that the row applies."""

    ANYTHING = auto()
    THE_SERVER = auto()
    """It has no user part."""
    A_USER = auto()


class Tags(Enum):
    """The headers whose option tags this service must support."""

    OF_PROXIES = auto()
    """Proxy-Require alone, because the request is passed on (RFC 3261 section 16.3 step 5)."""
    ALL = auto()
    """Require and Proxy-Require."""


OTHER: Final = "*"
"""The name of a row for every method that has no row of its own."""


@dataclass(frozen=True, slots=True)
class Method:
    """What holds for a method outside or inside a dialog."""

    name: str
    inside: bool = False
    """Whether the row is about requests inside a dialog, which carry a token of this service."""
    uri: RequestUri = RequestUri.ANYTHING
    challenge: int = 0
    """The status that asks for credentials: 401, or 407 for a request to another phone; 0: none is asked."""
    tags: Tags = Tags.ALL
    is_for_server: bool = False
    """Whether it asks this server itself: then neither a To-tag nor Max-Forwards: 0 has a meaning in it.

    Any other request outside a dialog is answered 481 if it has a To-tag.
    """
    needs_number: bool = False
    """Whether the phone must have an extension: it is shown to the other side."""
    may_lock: bool = False
    """Whether it may be the first contact of an OPEN phone (decision 2)."""
    records_route: bool = False
    """Whether it makes a dialog or an implicit subscription (RFC 3515): later requests shall come by here."""
    needs_contact: bool = False
    """Whether it must have a Contact (section 8.1.1.8)."""
    supports: tuple[str, ...] = ()
    """Option tags that this service understands in it."""
    describes: bool = False
    """Whether its session description is an offer or an answer (RFC 6337); else it is only a body."""
    is_answered: bool = True
    is_hop_by_hop: bool = False
    """Whether it goes to the next server alone, so that no Route has a meaning in it."""
    ends: bool = False
    """Whether it ends something: it passes if the other party is unknown, and while the service stops."""
    hangs_up: bool = False
    """Whether it ends the dialog."""
    notifies: bool = False
    """Whether it may end a subscription by its Subscription-State (RFC 6665)."""
    subscribes: bool = False
    """Whether it begins or refreshes a subscription (RFC 6665)."""
    is_invite: bool = False
    trickles: bool = False
    """Whether it may carry ICE candidates (RFC 8840)."""

    @property
    def has_timer(self) -> bool:
        """Return whether Session-Expires has a meaning in it (RFC 4028)."""
        return "timer" in self.supports

    @property
    def is_proxied(self) -> bool:
        """Return whether the request is for another phone."""
        return self.challenge == 407


UNKNOWN: Final = Method("")
"""The facts about a request before its row is found."""
