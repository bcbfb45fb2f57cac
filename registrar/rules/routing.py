"""Where a request goes: from the bindings of the called phones to devices, each with its flows, best first.

What follows later (groups, queues, trunks, forwarding) are further kinds of target for the same lists.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from registrar.model import Binding, Epoch, Flow, Snapshot
from registrar.sip import unescape

from .tokens import Target, target_of

DIALOG_MAKERS = frozenset({"INVITE", "SUBSCRIBE", "REFER"})
"""Methods that make a dialog, or an implicit subscription (RFC 3515): they are recorded."""
NUMBER: Final = re.compile(r"[-.()]*+[0-9*#+][-.()0-9*#+]*+")
"""A telephone number with visual separators (RFC 3966 section 5.1.1)."""
SEPARATORS: Final = str.maketrans("", "", "-.()")

ROUTED = DIALOG_MAKERS | {"MESSAGE"}
"""What goes from phone to phone outside a dialog."""


def dialled(user: str) -> tuple[str, ...]:
    """Return what the user part of a URI may name, the likeliest first: all of it, then the number in it.

    A telephone-subscriber has parameters such as `;phone-context` and `;isub`, and visual separators
    (RFC 3261 section 19.1.6).
    """
    whole = unescape(user)
    number = whole.partition(";")[0]
    if NUMBER.fullmatch(number):
        number = number.translate(SEPARATORS)
    return (whole,) if number in ("", whole) else (whole, number)


def devices(found: Iterable[tuple[str, Snapshot]], now: Epoch, caller: Target | None) -> list[list[Target]]:
    """The devices to ring, each as its flows from the youngest to the oldest (RFC 5626 section 6).

    Those of which nothing is heard come last. Several flows of one `+sip.instance` are one device: only one
    of them is tried at a time. The caller's own device is none.
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
        if caller is None or not any(is_same_flow(target, caller) for target in targets):
            rows.append(targets)
    return rows


def is_same_flow(one: Target, other: Target) -> bool:
    """Whether two targets are one phone on one flow."""
    return _place(one) == _place(other)


def again(targets: Sequence[Binding], phone: str, lost: Target) -> list[Target]:
    """The ways to a phone whose flow is gone: where it has registered since, the same device first."""

    def likeness(binding: Binding) -> tuple[bool, bool, bool, int]:
        same_device = bool(lost.instance) and binding.instance == lost.instance
        same_contact = binding.contact == lost.contact
        return not same_device, not same_contact, binding.silent_since > 0, -binding.refreshed_at

    return [target_of(phone, binding) for binding in sorted(targets, key=likeness)]


def has_moved(live: Sequence[Binding], target: Target) -> bool:
    """Whether a device on UDP has registered from elsewhere since, and from there no more."""
    if target.transport != "udp":
        return False
    place = (target.ip, target.port)
    if any(not binding.connected and (binding.public_ip, binding.public_port) == place for binding in live):
        return False
    return any(
        binding.instance == target.instance if target.instance else binding.contact == target.contact
        for binding in live
    )


def is_on(binding: Binding, flow: Flow, process: tuple[str, str]) -> bool:
    """Whether a binding was made over this flow of this process."""
    if binding.connected != (flow.transport != "udp"):
        return False
    if binding.connected:
        return (binding.node, binding.generation) == process and binding.flow == flow.id
    return (binding.public_ip, binding.public_port) == (flow.remote_ip, flow.remote_port)


def _youngest_first(binding: Binding) -> tuple[bool, int, int]:
    return binding.silent_since > 0, -binding.refreshed_at, -binding.flow


def _place(target: Target) -> tuple[str, str, str, int, str, int]:
    if target.transport == "udp":
        return target.phone, "", "", 0, target.ip, target.port
    return target.phone, target.node, target.generation, target.flow, "", 0
