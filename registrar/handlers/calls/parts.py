"""The dependencies of the handlers of requests between phones, and the functions that these share."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Binding, Callee, Flow, Phone, Process
from registrar.ports import Clock, DialPlan, Location
from registrar.rules.routing import MAX_CARRIED, can_be_carried, dialled, is_on
from registrar.rules.tokens import Seal, Target
from registrar.sip import Request, Response, parse_name_addr

from ..network import Network
from .bridging import Bridge
from .reach import Reach
from .table import CallTable

ORIGIN_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """Dependencies of the handlers of requests between phones."""

    network: Network
    reach: Reach
    seal: Seal
    salt: Callable[[], bytes]
    bridge: Bridge
    calls: CallTable
    dial_plan: DialPlan
    location: Location
    clock: Clock
    process: Process
    ring_seconds: float
    loop_key: bytes
    is_ours: Callable[[str], bool]
    """Whether a host is one of our names or addresses, including the domains of customers."""
    is_our_name: Callable[[str], bool]
    """Whether a host is one of our names or addresses, but not the domain of a customer."""
    may_come: Callable[[Phone, str], bool]
    """Whether the access rule lets a phone connect from an address."""
    start_task: Callable[[Coroutine[None, None, None]], object]
    new_id: Callable[[], str]
    silent_places: Collection[tuple[str, int]]
    """Addresses and ports of phones over UDP that do not answer pings."""
    heard: Callable[[str, Flow], None]
    """Called for a request over UDP that is proven to come from a phone."""


def sender_target(parts: Parts, request: Request, flow: Flow, phone: str) -> Target:
    """Return the target of a request's sender: the flow it came by, and the Contact that it names."""
    contact = str(request.contacts[0].uri) if request.contacts else ""
    binding = _own_binding(parts, contact, flow, phone)
    instance, registered = (binding.instance, binding.contact) if binding is not None else ("", "")
    if binding is None and len(contact) > MAX_CARRIED:
        registered = contact  # through another node: `has_long_contact` found it
    return Target(
        phone,
        contact,
        flow.transport,
        parts.process.node,
        parts.process.generation,
        flow.id,
        flow.remote_ip,
        flow.remote_port,
        instance,
        registered,
    )


def _own_binding(parts: Parts, contact: str, flow: Flow, phone: str) -> Binding | None:
    """Return the binding of a request's sender: by its Contact, else by its flow; None without one."""
    process, found = parts.process, None
    for binding in parts.location.known(phone).live(parts.clock()):
        if binding.contact == contact:
            return binding
        if found is None and is_on(binding, flow, process):
            found = binding
    return found


def is_registered(parts: Parts, flow: Flow, phone: str) -> bool:
    """Return whether a phone is registered on this flow, as far as we know without asking the store."""
    process, now = parts.process, parts.clock()
    return any(is_on(binding, flow, process) for binding in parts.location.known(phone).live(now))


def origin(parts: Parts, flow: Flow, phone: Phone) -> str:
    """Return a word for tokens that says where a phone proved its identity; new credentials change it.

    The place is an address and port, or a connection of this process. The word is only compared, so a digest
    is enough.
    """
    place = f"{flow.remote_ip}:{flow.remote_port}"
    if flow.transport != "udp":
        place = f"{flow.transport} {flow.id} {parts.process}"
    text = f"{place} {phone.secret_version}".encode("utf-8", "replace")
    return urlsafe_b64encode(blake2b(text, digest_size=ORIGIN_BYTES).digest()).decode().rstrip("=")


def response_contact(response: Response, registered: str) -> str:
    """Return the URI of a response's Contact; empty if it is missing, unreadable or too long for a token."""
    value = response.headers.get("contact")
    try:
        contact = str(parse_name_addr(value).uri) if value else ""
    except MalformedMessage:
        return ""
    return contact if can_be_carried(contact, registered) else ""


async def has_long_contact(parts: Parts, request: Request, phone: str) -> bool:
    """Return whether a request's Contact is too long for a token, and no binding of the phone shortens it.

    Raises StoreUnavailable.
    """
    if len(request.headers.get("contact") or "") <= MAX_CARRIED:
        return False  # the usual case: no URI must be built for it
    if not request.contacts:
        return False
    contact = str(request.contacts[0].uri)
    if len(contact) <= MAX_CARRIED:
        return False
    for binding in parts.location.known(phone).live(parts.clock()):
        if can_be_carried(contact, binding.contact):
            return False
    (snapshot,) = await parts.location.load([phone])  # perhaps registered through another node
    return not any(can_be_carried(contact, binding.contact) for binding in snapshot.live(parts.clock()))


async def called(dial_plan: DialPlan, customer: str, user: str) -> Callee | None:
    """Return the callee that the user part of a URI reaches: by all of it, else by the number in it.

    Return None if there is no such callee. Raises StoreUnavailable.
    """
    for word in dialled(user):
        callee = await dial_plan.called(customer, word)
        if callee is not None:
            return callee
    return None
