"""What is known of the sender of a request: its flow, its Contact, and its binding, if it has one."""

from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Binding, Flow, Phone, Process
from registrar.ports import Clock, Location
from registrar.rules.edges import route_to
from registrar.rules.routing import MAX_CARRIED, can_be_carried, is_on
from registrar.rules.tokens import Target
from registrar.sip import Request, Response, parse_name_addr

ORIGIN_BYTES: Final = 8


class Senders:
    """The senders of requests, as far as this process knows them."""

    def __init__(self, location: Location, clock: Clock, process: Process) -> None:
        self._location = location
        self._clock = clock
        self._process = process

    def target(self, request: Request, flow: Flow, phone: str) -> Target:
        """Return the target of a request's sender: the flow it came by, and the Contact that it names."""
        contact = str(request.contacts[0].uri) if request.contacts else ""
        binding = self._binding(contact, flow, phone)
        instance, registered = (binding.instance, binding.contact) if binding is not None else ("", "")
        path = binding.path if binding is not None else ""
        if binding is None and flow.hop_ip:
            path = route_to(flow)
        if binding is None and len(contact) > MAX_CARRIED:
            registered = contact  # through another node: `has_long_contact` found it
        return Target(
            phone,
            contact,
            flow.transport,
            self._process.node,
            self._process.generation,
            flow.id,
            flow.remote_ip,
            flow.remote_port,
            instance,
            registered,
            path,
        )

    def is_registered(self, flow: Flow, phone: str) -> bool:
        """Return whether a phone is registered on this flow, as far as we know without asking the store."""
        process, now = self._process, self._clock()
        return any(is_on(binding, flow, process) for binding in self._location.known(phone).live(now))

    async def is_registered_anywhere(self, flow: Flow, phone: str) -> bool:
        """Return whether a phone is registered on this flow. Raises StoreUnavailable."""
        if self.is_registered(flow, phone):
            return True
        if flow.transport != "udp":
            return False  # the connection is here, so its bindings are known
        (snapshot,) = await self._location.load([phone])  # it may have registered through another node
        return any(is_on(binding, flow, self._process) for binding in snapshot.live(self._clock()))

    def origin(self, flow: Flow, phone: Phone) -> str:
        """Return a word for tokens that says where a phone proved its identity.

        The place is an address and port, or a connection of this process. New credentials change the word. It
        is only compared, so a digest is enough.
        """
        place = f"{flow.remote_ip}:{flow.remote_port}"
        if flow.transport != "udp":
            place = f"{flow.transport} {flow.id} {self._process}"
        text = f"{place} {phone.secret_version}".encode("utf-8", "replace")
        return urlsafe_b64encode(blake2b(text, digest_size=ORIGIN_BYTES).digest()).decode().rstrip("=")

    async def has_long_contact(self, request: Request, phone: str) -> bool:
        """Return whether a Contact is too long for a token, and no binding of the phone shortens it.

        Raises StoreUnavailable.
        """
        if len(request.headers.get("contact") or "") <= MAX_CARRIED:
            return False  # the usual case: no URI must be built for it
        if not request.contacts:
            return False
        contact = str(request.contacts[0].uri)
        if len(contact) <= MAX_CARRIED:
            return False
        for binding in self._location.known(phone).live(self._clock()):
            if can_be_carried(contact, binding.contact):
                return False
        (snapshot,) = await self._location.load([phone])  # perhaps registered through another node
        now = self._clock()
        return not any(can_be_carried(contact, binding.contact) for binding in snapshot.live(now))

    def _binding(self, contact: str, flow: Flow, phone: str) -> Binding | None:
        """Return the binding of a request's sender: by its Contact, else by its flow; None without one."""
        process, found = self._process, None
        for binding in self._location.known(phone).live(self._clock()):
            if binding.contact == contact:
                return binding
            if found is None and is_on(binding, flow, process):
                found = binding
        return found


def response_contact(response: Response, registered: str) -> str:
    """Return the URI of a response's Contact; empty if it is missing, unreadable or too long for a token."""
    value = response.headers.get("contact")
    try:
        contact = str(parse_name_addr(value).uri) if value else ""
    except MalformedMessage:
        return ""
    return contact if can_be_carried(contact, registered) else ""
