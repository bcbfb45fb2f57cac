"""The interface between handlers and the driver: the requests that we send, and those that we receive."""

from collections.abc import Callable, Collection
from typing import Protocol

from registrar.model import Called, CallResult, Flow, Mono, Phone
from registrar.sip import Request, Response
from registrar.transaction import Key

from .answers import Answer
from .method import Method


class ClientTransactionUser(Protocol):
    """The sender of a request, which is told about the responses."""

    def receive_response(self, key: Key, response: Response) -> None:
        """Handle a response, provisional or final; a 2xx to an INVITE may come several times."""

    def request_failed(self, key: Key, *, timed_out: bool) -> None:
        """Handle the end without a final response: it did not come in time, or the flow is gone."""


class Network(Protocol):
    """The part of the driver that sends messages."""

    def request(
        self, request: Request, flow: Flow, user: ClientTransactionUser | None, customer: str = ""
    ) -> Key:
        """Send a request in a client transaction, and return its key. Raises TableFull.

        `user` is told about the responses; None: nothing is told. The transaction is one of `customer`.
        """

    def send(self, message: Request | Response, flow: Flow) -> None:
        """Send a message once, without a transaction: an ACK."""

    def forget(self, key: Key) -> None:
        """End one of our client transactions whose responses are not needed any more."""

    def entrust(self, key: Key, user: ClientTransactionUser | None) -> None:
        """Tell `user` about the responses to our request from now on; None: nothing is told."""

    def original(self, key: Key) -> Request | None:
        """Return our request as it was sent, or None if its transaction is over."""


class ServerTransactionUser(Protocol):
    """The handler of an INVITE, which must know what the caller does meanwhile."""

    def cancel(self, reason: str) -> None:
        """Handle a CANCEL, which is already answered; `reason` is its Reason (RFC 3326) or empty."""

    def caller_gone(self) -> None:
        """Handle that the caller's connection is closed: no response can reach the caller."""


class ServerRequest(Protocol):
    """One request while it is served, as the driver sees it."""

    request: Request
    flow: Flow
    method: Method
    """The facts about its method in its place: outside or inside a dialog."""
    phone: Phone | None
    """The phone that sent it, once that is proven."""
    called: Called | None
    """The destination of an INVITE outside a dialog, once that is found."""
    call: str
    """Id of the call that it has begun; empty before that."""
    result: CallResult | None
    """What an INVITE without a call has come to, if its status does not tell."""
    started: Mono
    """When the work on it began."""

    def accept(self, phone: Phone | None = None) -> bool:
        """Make the server transaction unless it exists, and return True.

        It is one of the customer of `phone`. Raises TableFull if that, or all together, has too many.
        Return False if a duplicate of this request is being served: then send no answer.
        """

    def attach(self, user: ServerTransactionUser) -> None:
        """Tell `user` from now on what the caller does."""

    def drop(self, reason: str, why: str) -> None:
        """Send no answer; `reason` is a metric label, `why` a text for the debug log."""

    def reply(self, answer: Answer) -> None:
        """Send our own answer: in the server transaction if there is one, else statelessly."""

    def respond(self, response: Response) -> None:
        """Send the response of another party in the server transaction."""

    def repeater(self) -> Callable[[], None]:
        """Return a function that sends the 2xx of an INVITE once more, without a reference to the request."""


class SilentPhones(Protocol):
    """The phones over UDP that do not answer pings."""

    @property
    def silent_places(self) -> Collection[tuple[str, int]]:
        """Return the addresses and ports of silent phones, now and later: it is asked once."""

    def heard(self, phone: str, flow: Flow) -> None:
        """Note that a request over UDP is proven to come from a phone."""

    def hurry(self, phone: str, ip: str, port: int) -> bool:
        """Ping a phone soon, and return whether it is silent."""
