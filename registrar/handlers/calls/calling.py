"""Requests from one phone to another outside a dialog: INVITE, MESSAGE, SUBSCRIBE, REFER (section 16)."""

import logging
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Callee, Phone
from registrar.rules import forward, session
from registrar.rules.identity import (
    SIPS,
    hops_left,
    person,
    plain,
    secret_of,
)
from registrar.rules.routing import SECURE, allowed, devices, same_device
from registrar.rules.tokens import Target, octets
from registrar.sip import Request, param

from ..answers import (
    BUSY,
    CONTACT_TOO_LONG,
    NOT_SECURE,
    OFFLINE,
    OUT_OF_HOPS,
    TOO_BRIEF,
    UNKNOWN,
    Answer,
)
from ..method import Method
from ..network import ServerRequest
from .forwarding import Forwarding
from .new_dialog import Invitation
from .parts import Parts, called, has_long_contact, sender_target

DEVICES: Final = 20
"""The most devices that ring at once; more would be a flood, not an extension."""
MAX_NAMES: Final = 640
"""Octets of From and To together: our tokens hold both, and phones must return them in a header."""

log = logging.getLogger(__name__)


class Calling:
    """Routing of requests outside a dialog: finds the callee and forwards the request."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def serve(self, exchange: ServerRequest, caller: Phone) -> None:
        """Forward or refuse a request whose digest is right and whose phone may send from its address."""
        parts = self._parts
        request = exchange.request
        mark = forward.loop_mark(parts.loop_key, request)
        refused = _refused(request, exchange.method, mark, secret_of(caller))
        if refused is not None:
            exchange.reply(refused)
            return
        try:
            if await has_long_contact(parts, request, caller.id):
                exchange.reply(CONTACT_TOO_LONG)
                return
            here = sender_target(parts, request, exchange.flow, caller.id)
            callee, targets = await self._find(request, caller, here)
        except StoreUnavailable:
            exchange.reply(BUSY)
            return
        if callee is None or not targets:
            exchange.reply(UNKNOWN if callee is None else OFFLINE)
            return
        is_secure = request.uri.scheme == SIPS
        targets = allowed(targets, parts.process.node, is_secure=is_secure)
        if not targets or (is_secure and exchange.flow.transport not in SECURE):
            exchange.reply(NOT_SECURE)
            return
        case = Invitation(parts, exchange, caller, callee, here, mark)
        forwarding = Forwarding(
            parts,
            exchange,
            case,
            caller.id,
        )
        case.begin(forwarding)
        exchange.serve(forwarding)  # this may end it at once: the CANCEL may have come first
        await forwarding.start(targets[:DEVICES])

    async def look(self, exchange: ServerRequest, asker: Phone, capabilities: Answer) -> None:
        """Answer an OPTIONS about a number: 404 if unknown, 480 if offline, else with our `capabilities`.

        Call it only for a phone that has proved its identity (RFC 3261 section 11.2).
        """
        try:
            callee, targets = await self._find(exchange.request, asker, None)
        except StoreUnavailable:
            exchange.reply(BUSY)
            return
        if callee is None:
            exchange.reply(UNKNOWN)
        else:
            exchange.reply(capabilities if targets else OFFLINE)

    async def _find(
        self, request: Request, caller: Phone, here: Target | None
    ) -> tuple[Callee | None, list[list[Target]]]:
        """Return the callee, or None if it is unknown, and the devices to ring. Raises StoreUnavailable."""
        parts = self._parts
        uri = request.uri
        gr = param(uri.params, "gr")
        if gr and parts.is_ours(uri.host_key):
            return await self._device(gr, caller)
        host = uri.host_key
        if uri.user is None or not (host == caller.domain or parts.is_our_name(host)):
            return None, []
        callee = await called(parts.dial_plan, caller.customer, uri.user)
        if callee is None or not callee.number:
            return None, []
        phones = [phone.id for phone in callee.phones if phone.active]
        snapshots = await parts.location.load(phones) if phones else []
        return callee, devices(zip(phones, snapshots, strict=True), parts.clock(), here)

    async def _device(self, gr: str, caller: Phone) -> tuple[Callee | None, list[list[Target]]]:
        """Return one device by the address that its peer in a call was shown: for transfers (RFC 5627).

        If that device is gone, all devices of its phone are returned. Raises StoreUnavailable.
        """
        parts = self._parts
        named = parts.seal.read_target(gr)
        phone = await parts.dial_plan.phone(named.phone) if named is not None else None
        if named is None or phone is None or phone.customer != caller.customer or not person(phone).number:
            return None, []
        if not phone.active:
            return Callee("", "", (phone,)), []
        (snapshot,) = await parts.location.load([phone.id])
        shown = person(phone)
        live = devices([(phone.id, snapshot)], parts.clock(), None)
        return Callee(shown.number, shown.name, (phone,)), same_device(live, named) or live


def _refused(request: Request, method: Method, mark: str, secret: str) -> Answer | None:
    """Return the answer that refuses a request for any callee, or None.

    `mark` is the loop mark of our branches for it, `secret` the caller's username. Call-ID and tag identify
    the dialog and pass unchanged, so they must not contain the username.
    """
    if forward.is_loop(mark, request):
        return Answer(482, why="Via: this request has been here before")
    if hops_left(request) < 1:
        return OUT_OF_HOPS
    if method.has_timer and session.is_too_brief(request):
        return TOO_BRIEF
    if octets(plain(request.from_)) + octets(plain(request.to)) > MAX_NAMES:
        return Answer(400, "Names Too Long", why=f"From and To: together more than {MAX_NAMES} octets")
    if secret and (secret in request.call_id or secret in (request.from_.tag or "")):
        why = "Call-ID and the tag of From: they reach the other side, and must not hold the username"
        return Answer(400, "Username In Call-ID Or Tag", why=why)
    if method.needs_contact and not request.contacts:
        return Answer(
            400, "Contact Is Missing", why=f"Contact: a {request.method} needs one"
        )  # section 8.1.1.8
    return None
