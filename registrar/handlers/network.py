"""What handlers may ask of the driver, and what it tells them: requests of ours, and requests to us."""

from collections.abc import Callable
from typing import Protocol

from registrar.model import Flow, Mono, Phone
from registrar.sip import Request, Response
from registrar.transaction import Key

from .answers import Answer


class Asker(Protocol):
    """Whoever has sent a request and waits for what becomes of it."""

    def answered(self, key: Key, response: Response) -> None:
        """A response came, provisional or final; of a 2xx to INVITE several, as it is sent again."""

    def gave_up(self, key: Key, *, timed_out: bool) -> None:
        """None will come: nobody answered in time, or the flow is gone."""


class Network(Protocol):
    """Sending."""

    def request(self, request: Request, flow: Flow, asker: Asker | None) -> Key:
        """Send a request by a transaction; None: nobody wants to hear of it. Raises TableFull."""

    def send(self, message: Request | Response, flow: Flow) -> None:
        """Send once, without a transaction: an ACK."""

    def forget(self, key: Key) -> None:
        """End a transaction of ours that waits for nothing any more."""

    def entrust(self, key: Key, asker: Asker | None) -> None:
        """From now on `asker` hears what becomes of a request of ours; None: nobody."""

    def original(self, key: Key) -> Request | None:
        """A request of ours as it was sent; None when its transaction is over."""


class Served(Protocol):
    """Whoever serves an INVITE, and must know what its caller does meanwhile."""

    def cancel(self, reason: str) -> None:
        """The caller has cancelled it, for this Reason (RFC 3326) if any; the CANCEL is answered already."""

    def caller_gone(self) -> None:
        """The caller's connection is closed: no answer reaches it."""


class Exchange(Protocol):
    """One request on its way, as the driver sees it."""

    request: Request
    flow: Flow
    phone: Phone | None
    """Whose it is, once that is proven."""
    started: Mono
    """When its work began."""

    def accept(self) -> bool:
        """Make the server transaction, if it is not made. False: a twin of this request is being served, say
        nothing."""

    def serve(self, served: Served) -> None:
        """From now on tell `served` what the caller does."""

    def drop(self, reason: str, why: str) -> None:
        """Give no answer; `reason` is a metric label, `why` a text for the debug log."""

    def reply(self, answer: Answer) -> None:
        """Send an answer of ours: by the transaction when there is one, else statelessly."""

    def respond(self, response: Response) -> None:
        """Send a response that somebody else gave, by the transaction."""

    def repeater(self) -> Callable[[], None]:
        """What sends the 2xx of an INVITE once more; it keeps nothing of the request."""
