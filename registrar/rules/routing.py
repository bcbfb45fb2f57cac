"""The target set of a request: devices of the called phones, each with its flows, best first.

Later features (groups, queues, trunks, forwarding) are further kinds of target for the same lists.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from registrar.model import Binding, Epoch, Flow, Process, Snapshot
from registrar.sip import unescape

from .tokens import Named, Target, contact_mark, instance_mark, target_of

NUMBER: Final = re.compile(r"[-.()]*+[0-9*#+][-.()0-9*#+]*+")
"""A telephone number with visual separators (RFC 3966 section 5.1.1)."""
SEPARATORS: Final = str.maketrans("", "", "-.()")

SIPS: Final = "sips:"
SECURE: Final = frozenset({"tls", "wss"})
"""Transports by which a `sips:` URI is reached."""
MAX_CARRIED: Final = 300
"""Maximum length of a URI, or of the rest of one, that no binding has, so that our tokens carry it."""


def dialled(user: str) -> tuple[str, ...]:
    """Return the possible names in the user part of a URI, likeliest first: all of it, then its number.

    A telephone-subscriber has parameters such as `;phone-context` and `;isub`, and visual separators
    (RFC 3261 section 19.1.6).
    """
    whole = unescape(user)
    number = whole.partition(";")[0]
    if NUMBER.fullmatch(number):
        number = number.translate(SEPARATORS)
    return (whole,) if number in ("", whole) else (whole, number)


def devices(found: Iterable[tuple[str, Snapshot]], now: Epoch, caller: Target | None) -> list[list[Target]]:
    """Return the devices to ring, each as its flows from the youngest to the oldest (RFC 5626 section 7).

    Silent flows come last in their device. Several flows of one `+sip.instance` are one device: only one of
    them is tried at a time. The caller's own device is left out.
    """
    order: dict[tuple[str, str], list[Binding]] = {}
    phones: dict[tuple[str, str], str] = {}
    for phone, snapshot in found:
        for binding in snapshot.live(now):
            key = (phone, binding.instance or binding.contact)
            order.setdefault(key, []).append(binding)
            phones[key] = phone
    rows = []
    for key, bindings in order.items():
        targets = [target_of(phones[key], binding) for binding in sorted(bindings, key=_youngest_first)]
        if caller is None or not any(_is_same_device(target, caller) for target in targets):
            rows.append(targets)
    return rows


def _is_same_device(one: Target, other: Target) -> bool:
    """Return whether two targets are the same device.

    A phone may call on another flow than that of its binding: a large INVITE goes over TCP.
    """
    if one.phone == other.phone and other.registered and one.contact == other.registered:
        return True
    return is_same_flow(one, other)


def allowed(rows: list[list[Target]], nodes: Collection[str], *, is_secure: bool) -> list[list[Target]]:
    """Return the devices with only their allowed flows; a device without one is left out.

    If `is_secure` is true, the request is for a `sips:` URI. Otherwise only flows of a phone with a `sips:`
    Contact are restricted. The flow must be on one of `nodes`: this node, and those that it reaches over TLS.
    """
    kept = []
    for row in rows:
        ways = [target for target in row if is_allowed(target, nodes, is_secure=is_secure)]
        if ways:
            kept.append(ways)
    return kept


def is_sips(uri: str) -> bool:
    """Return whether a URI requires TLS on every hop."""
    return uri[:5].lower() == SIPS


def is_allowed(target: Target, nodes: Collection[str], *, is_secure: bool) -> bool:
    """Return whether a request may be sent to this target (RFC 3261 section 26.2.2). See `allowed`."""
    if not is_secure and not is_sips(target.contact):
        return True
    return target.transport in SECURE and target.node in nodes


def same_device(rows: list[list[Target]], named: Named) -> list[list[Target]]:
    """Return the devices in `rows` that a token names, by instance if there is one, else by Contact."""

    def is_it(target: Target) -> bool:
        if target.instance or any(named.instance):
            return instance_mark(target.instance) == named.instance
        return contact_mark(target.contact) == named.contact

    return [row for row in rows if any(map(is_it, row))]


def is_same_flow(one: Target, other: Target) -> bool:
    """Return whether two targets are the same phone on the same flow."""
    return _place(one) == _place(other)


def named_by(live: Sequence[Binding], named: Named) -> Binding | None:
    """Return the binding that a token names, or None if it no longer exists."""
    for binding in live:
        if contact_mark(binding.contact) == named.contact:
            return binding
    return None


def reroute(live: Sequence[Binding], lost: Named) -> list[Target]:
    """Return the targets for a phone whose binding is gone: its live bindings, the same device first."""

    def likeness(binding: Binding) -> tuple[bool, bool, bool, int]:
        same_device = bool(binding.instance) and instance_mark(binding.instance) == lost.instance
        same_contact = contact_mark(binding.contact) == lost.contact
        return not same_device, not same_contact, binding.silent_since > 0, -binding.refreshed_at

    return [target_of(lost.phone, binding) for binding in sorted(live, key=likeness)]


def named_of(target: Target) -> Named:
    """Return the part of a target that a token names."""
    contact = contact_mark(target.registered or target.contact)
    return Named(target.phone, contact, instance_mark(target.instance))


def folded_contact(target: Target) -> str:
    """Return a dialog Contact as its difference from the registered one; empty if they are equal."""
    contact, registered = target.contact, target.registered
    if contact == registered:
        return ""
    same = _shared(contact, registered)
    return f"{same} {contact[same:]}"


def can_be_carried(contact: str, registered: str) -> bool:
    """Return whether the difference of a Contact from that of a binding fits into a token."""
    return len(contact) <= MAX_CARRIED or len(contact) - _shared(contact, registered) <= MAX_CARRIED


def _shared(one: str, other: str) -> int:
    """Return the length of the common prefix of two texts."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))


def unfolded_contact(folded: str, registered: str) -> str:
    """Return the dialog Contact of a text from `folded_contact`."""
    if not folded:
        return registered
    same, _, rest = folded.partition(" ")
    return registered[: int(same)] + rest


def way_of(target: Target) -> str:
    """Return the flow of a target without binding, as words of a token.

    Return an empty text if it has a binding, or is behind an edge: then only the call knows its way.
    """
    if target.registered or target.path:  # a Path is too long for a token
        return ""
    words = (target.transport, target.flow, target.ip, target.port, target.generation, target.node)
    return " ".join(map(str, words))


def target_by(way: str, named: Named, contact: str) -> Target | None:
    """Return the target of a text from `way_of`, or None if the text is empty."""
    if not way:
        return None
    transport, flow, ip, port, generation, node = way.split(" ", 5)
    return Target(named.phone, contact, transport, node, generation, int(flow), ip, int(port))


def has_moved(live: Sequence[Binding], target: Target) -> bool:
    """Return whether a device on UDP has registered from another address and no longer from its old one."""
    if target.transport != "udp":
        return False
    place = (target.ip, target.port)
    if any(not binding.connected and (binding.public_ip, binding.public_port) == place for binding in live):
        return False
    contact = target.registered or target.contact
    return any(
        binding.instance == target.instance if target.instance else binding.contact == contact
        for binding in live
    )


def is_on(binding: Binding, flow: Flow, process: Process) -> bool:
    """Return whether a binding was made over this flow of this process."""
    if binding.connected != (flow.transport != "udp"):
        return False
    if binding.connected:
        return binding.flow == flow.id and process.holds(binding)
    return (binding.public_ip, binding.public_port) == (flow.remote_ip, flow.remote_port)


def _youngest_first(binding: Binding) -> tuple[bool, int, int]:
    return binding.silent_since > 0, -binding.refreshed_at, -binding.flow


def _place(target: Target) -> tuple[str, str, str, int, str, int]:
    if target.transport == "udp":
        return target.phone, "", "", 0, target.ip, target.port
    return target.phone, target.node, target.generation, target.flow, "", 0
