"""What requests between phones need, and what they have in common."""

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

from .bridging import Bridge
from .calls import CallTable
from .network import Network
from .reach import Reach

ORIGIN_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """What requests between phones need."""

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
    """Whether a host is a name or an address of ours, a customer's domain included."""
    is_our_name: Callable[[str], bool]
    """Whether it is one that is no customer's domain."""
    may_come: Callable[[Phone, str], bool]
    """Whether the access rule lets a phone come from an address."""
    start_task: Callable[[Coroutine[None, None, None]], object]
    new_id: Callable[[], str]
    silent_places: Collection[tuple[str, int]]
    """Addresses and ports of phones over UDP that answer no pings."""
    heard: Callable[[str, Flow], None]
    """Told of a request over UDP that is proven to be of a phone."""


def sender_target(parts: Parts, request: Request, flow: Flow, phone: str) -> Target:
    """The way back to whoever has sent a request: the flow it came by, the Contact that it names."""
    contact = str(request.contacts[0].uri) if request.contacts else ""
    binding = _own_binding(parts, contact, flow, phone)
    instance, registered = (binding.instance, binding.contact) if binding is not None else ("", "")
    if binding is None and len(contact) > MAX_CARRIED:
        registered = contact  # by another node: `has_long_contact` has seen it
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
    """The binding of the device that has sent a request: that of its Contact, else that of its flow."""
    process, found = parts.process, None
    for binding in parts.location.known(phone).live(parts.clock()):
        if binding.contact == contact:
            return binding
        if found is None and is_on(binding, flow, process):
            found = binding
    return found


def is_registered(parts: Parts, flow: Flow, phone: str) -> bool:
    """Whether a phone is registered on this flow, as far as we know without asking."""
    process, now = parts.process, parts.clock()
    return any(is_on(binding, flow, process) for binding in parts.location.known(phone).live(now))


def origin(parts: Parts, flow: Flow, phone: Phone) -> str:
    """Where a phone has proved who it is, as a word of a token: nothing of it holds with other credentials.

    An address, or a connection of this very process. It is only ever compared, so a digest of it is enough.
    """
    place = f"{flow.remote_ip}:{flow.remote_port}"
    if flow.transport != "udp":
        place = f"{flow.transport} {flow.id} {parts.process}"
    text = f"{place} {phone.secret_version}".encode("utf-8", "replace")
    return urlsafe_b64encode(blake2b(text, digest_size=ORIGIN_BYTES).digest()).decode().rstrip("=")


def response_contact(response: Response, registered: str) -> str:
    """The URI of the Contact in a response, empty when there is none that can be read, or carried."""
    value = response.headers.get("contact")
    try:
        contact = str(parse_name_addr(value).uri) if value else ""
    except MalformedMessage:
        return ""
    return contact if can_be_carried(contact, registered) else ""


async def has_long_contact(parts: Parts, request: Request, phone: str) -> bool:
    """Whether a request names itself by a URI that no binding has, and that is too long to be carried.

    Raises StoreUnavailable.
    """
    if len(request.headers.get("contact") or "") <= MAX_CARRIED:
        return False  # as nearly always: no URI need be written for it
    if not request.contacts:
        return False
    contact = str(request.contacts[0].uri)
    if len(contact) <= MAX_CARRIED:
        return False
    for binding in parts.location.known(phone).live(parts.clock()):
        if can_be_carried(contact, binding.contact):
            return False
    (snapshot,) = await parts.location.load([phone])  # it may have registered by another node
    return not any(can_be_carried(contact, binding.contact) for binding in snapshot.live(parts.clock()))


async def called(dial_plan: DialPlan, customer: str, user: str) -> Callee | None:
    """Who is reached by the user part of a URI: by all of it, else by the number in it.

    Raises StoreUnavailable.
    """
    for word in dialled(user):
        callee = await dial_plan.called(customer, word)
        if callee is not None:
            return callee
    return None
