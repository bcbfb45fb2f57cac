"""What subscriptions need of the other handlers and of the stores, as interfaces."""

from collections.abc import Callable, Sequence
from typing import Protocol

from registrar.model import Flow, PersonState, Phone, Publication
from registrar.rules.tokens import Target
from registrar.sip import Request
from registrar.transaction import Key

from ..network import ClientTransactionUser


class OwnDialogs(Protocol):
    """The dialogs that a phone has with this service itself."""

    def target(self, request: Request, flow: Flow, phone: str) -> Target:
        """Return the target of the sender of a request."""

    def origin(self, flow: Flow, phone: Phone) -> str:
        """Return a word that says where a phone proved its identity."""

    async def is_registered(self, flow: Flow, phone: str) -> bool:
        """Return whether a phone is registered on this flow. Raises StoreUnavailable."""

    def contact(self, user: str, flow: Flow, *, is_secure: bool) -> str:
        """Return our Contact for the phone at the other end of a flow."""

    def is_reachable(self, target: Target) -> bool:
        """Return whether there is a way to a target; over UDP there always is one."""

    def send(
        self, target: Target, user: str, draft: Callable[[str, str], Request], sender: ClientTransactionUser
    ) -> Key | None:
        """Send a request, and return its key, or None if there is no way to the target.

        `draft` returns the request with the given Via and Contact; `user` is the user part of our Contact.
        Raises TableFull.
        """

    async def moved(self, target: Target) -> Target | None:
        """Return where the same device is registered now, or None if it is not. Raises StoreUnavailable."""


class States(Protocol):
    """The part of ports.People that subscriptions read."""

    async def states(self, people: Sequence[str]) -> list[PersonState]:
        """Return the state of each person now. Raises StoreUnavailable."""


class Publications(Protocol):
    """The part of ports.People that publications write."""

    async def publish(self, person: str, publication: Publication) -> bool:
        """Return False if it changes another state than the present one. Raises StoreUnavailable."""
