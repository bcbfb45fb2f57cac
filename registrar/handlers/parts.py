"""What requests between phones need, and what they have in common."""

from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Flow, Phone
from registrar.ports import Clock, DialPlan, Location
from registrar.rules.routing import is_on
from registrar.rules.tokens import Seal, Target
from registrar.sip import Request, Response, parse_name_addr

from .bridging import Bridge
from .calls import CallTable
from .network import Network
from .reach import Reach

MAX_CONTACT: Final = 400
"""Of the URI: sealed in the `gr` of a Contact of ours it must fit into a URI, of 1,024 characters."""


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
    node: str
    generation: str
    ring_seconds: float
    loop_key: bytes
    is_ours: Callable[[str], bool]
    """Whether a host is a name or an address of ours, a customer's domain included."""
    is_our_name: Callable[[str], bool]
    """Whether it is one that is no customer's domain."""
    start_task: Callable[[Coroutine[None, None, None]], object]
    new_id: Callable[[], str]
    silent_places: Collection[tuple[str, int]]
    """Addresses and ports of phones over UDP that answer no pings."""
    heard: Callable[[str, Flow], None]
    """Told of a request over UDP that is proven to be of a phone."""


def sender_target(parts: Parts, request: Request, flow: Flow, phone: str) -> Target:
    """The way back to whoever has sent a request: the flow it came by, the Contact that it names."""
    contact = str(request.contacts[0].uri) if request.contacts else ""
    process = (parts.node, parts.generation)
    instance = next(
        (b.instance for b in parts.location.known(phone).bindings if b.instance and is_on(b, flow, process)),
        "",
    )
    return Target(
        phone,
        contact,
        flow.transport,
        parts.node,
        parts.generation,
        flow.id,
        flow.remote_ip,
        flow.remote_port,
        instance,
    )


def is_registered(parts: Parts, flow: Flow, phone: str) -> bool:
    """Whether a phone is registered on this flow, as far as we know without asking."""
    process, now = (parts.node, parts.generation), parts.clock()
    return any(is_on(binding, flow, process) for binding in parts.location.known(phone).live(now))


def origin(parts: Parts, flow: Flow, phone: Phone) -> str:
    """Where a phone has proved who it is, as words of a token: nothing of it holds with other credentials.

    An address, or a connection of this very process.
    """
    place = f"{flow.remote_ip}:{flow.remote_port}"
    if flow.transport != "udp":
        place = f"{flow.transport} {flow.id} {parts.node} {parts.generation}"
    return f"{place} {phone.secret_version}"


def response_contact(response: Response) -> str:
    """The URI of the Contact in a response, empty when there is none that can be read, or kept in a token."""
    value = response.headers.get("contact")
    try:
        contact = str(parse_name_addr(value).uri) if value else ""
    except MalformedMessage:
        return ""
    return contact if len(contact) <= MAX_CONTACT else ""


def has_long_contact(request: Request) -> bool:
    """Whether a request names itself by a URI that we could not give back in one of ours."""
    if len(request.headers.get("contact") or "") <= MAX_CONTACT:
        return False  # as nearly always: no URI need be written for it
    return bool(request.contacts) and len(str(request.contacts[0].uri)) > MAX_CONTACT
