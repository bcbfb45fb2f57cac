"""How a forwarded request and its responses are rewritten: the interface between forwarding and its users."""

from typing import Protocol

from registrar.model import Devices
from registrar.rules.tokens import Target
from registrar.sip import Request, Response

from .reach import Way


class RingingCall(Protocol):
    """A call that is not answered yet."""

    def end(self, status: int) -> None:
        """Give it up with this status."""

    def pick_up(self, person: Devices, target: Target) -> bool:
        """Let the device of another person ring, which answers by itself; return False if it is too late."""


class Ringing(Protocol):
    """A request that is not answered yet."""

    def end(self, status: int) -> None:
        """Give it up with this status."""

    def add_later(self, target: Target) -> int | None:
        """Add a device that rings in a moment, and return its branch; None if it is too late."""


class Plans(Protocol):
    """The owner of a forwarding to which devices are added while it rings."""

    hides_ringing: bool
    """Whether the provisional responses of phones stay here: then the owner makes its own."""

    def rings(self, number: int) -> None:
        """Note a provisional response of a branch."""

    def failed(self, number: int, status: int) -> None:
        """Note that a branch has ended without success; others may still ring."""

    def over(self, number: int | None) -> None:
        """Note that nothing more may be added: this branch has the call, or None has. It may come twice."""


class MessageRewriter(Protocol):
    """The particular part of a request: its form for the other side, and the meaning of its answers."""

    def begin(self, ringing: Ringing) -> None:
        """Note that the request goes out; until a final answer it may be given up by `ringing.end`."""

    async def request(self, number: int, way: Way) -> Request:
        """Return the request for one branch. Raises MediaRefused and StoreUnavailable."""

    def takes_time(self, number: int, response: Response) -> bool:
        """Return whether another service must be asked before the response can go back."""

    async def body(self, number: int, response: Response) -> bytes:
        """Return the body of the response. Raises MediaRefused, RedirectionRefused, StoreUnavailable."""

    def offers_again(self, number: int, response: Response) -> float | None:
        """Return in how many seconds a phone that refused gets the request with another body; None: never."""

    def response(self, number: int, response: Response, body: bytes | None) -> Response:
        """Return the response as the caller gets it; if `body` is None, the response keeps its own body."""

    def relayed(self, number: int, response: Response) -> None:
        """Note that a 2xx or a provisional response has gone back."""

    def refused(self, status: int, why: str = "") -> None:
        """Note that a final answer other than 2xx has gone back; 0: the caller was gone.

        `why` says what was wrong, as text for people.
        """

    def unwanted(self, number: int) -> None:
        """Note that a branch has ended without success."""
