"""Dialogs that a phone has with this service itself: how the phone is reached, and what it must prove."""

from collections.abc import Callable
from dataclasses import replace

from registrar.model import Flow, Phone
from registrar.ports import Clock, Location
from registrar.rules.identity import SIP, SIPS, without_tls
from registrar.rules.routing import is_allowed, is_sips
from registrar.rules.tokens import Target, target_of
from registrar.sip import Request
from registrar.transaction import Key

from ..network import ClientTransactionUser, Network
from .reach import Reach
from .senders import Senders


class OwnDialogs:
    """Sender of requests to one phone in our own name; implements events.line.OwnDialogs and reloads.Line."""

    def __init__(
        self, reach: Reach, senders: Senders, network: Network, location: Location, clock: Clock
    ) -> None:
        self._reach = reach
        self._senders = senders
        self._network = network
        self._location = location
        self._clock = clock

    def target(self, request: Request, flow: Flow, phone: str) -> Target:
        """Return the target of the sender of a request."""
        return self._senders.target(request, flow, phone)

    def origin(self, flow: Flow, phone: Phone) -> str:
        """Return a word that says where a phone proved its identity."""
        return self._senders.origin(flow, phone)

    async def is_registered(self, flow: Flow, phone: str) -> bool:
        """Return whether a phone is registered on this flow. Raises StoreUnavailable."""
        return await self._senders.is_registered_anywhere(flow, phone)

    def contact(self, user: str, flow: Flow, *, is_secure: bool) -> str:
        """Return our Contact for the phone at the other end of a flow."""
        return _contact(user, self._reach.place_on(flow), is_secure=is_secure)

    def is_reachable(self, target: Target) -> bool:
        """Return whether there is a way to a target; over UDP there always is one."""
        return self._reach.way(target) is not None

    def send(
        self, target: Target, user: str, draft: Callable[[str, str], Request], sender: ClientTransactionUser
    ) -> Key | None:
        """Send a request, over another node if that has the flow; return its key, or None without a way.

        `draft` returns the request with the given Via and Contact; `user` is the user part of our Contact.
        Raises TableFull.
        """
        reach, is_secure = self._reach, is_sips(target.contact)
        way = reach.way(target) if is_allowed(target, reach.secure_nodes, is_secure=is_secure) else None
        if way is None:
            return None
        request = draft(reach.via(way), _contact(user, reach.place(way), is_secure=is_secure))
        for name, value in reach.permit(way, target.phone, request):
            request.headers.add(name, value)
        return self._network.request(request, way.flow, sender)

    async def moved(self, target: Target) -> Target | None:
        """Return where the same device is registered now, or None if it is not. Raises StoreUnavailable.

        The dialog still knows the device by the Contact that it gave.
        """
        (snapshot,) = await self._location.load([target.phone])
        for binding in sorted(snapshot.live(self._clock()), key=lambda one: -one.refreshed_at):
            is_same = binding.contact == (target.registered or target.contact)
            if is_same or (target.instance and binding.instance == target.instance):
                found = target_of(target.phone, binding)
                if self._reach.way(found) is not None:
                    return replace(found, contact=target.contact)
        return None


def _contact(user: str, place: str, *, is_secure: bool) -> str:
    return f"<{SIPS}:{user}@{without_tls(place)}>" if is_secure else f"<{SIP}:{user}@{place}>"
