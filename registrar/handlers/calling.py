"""A request from one phone to another outside a dialog: INVITE, MESSAGE, SUBSCRIBE, REFER (section 16)."""

import logging
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Callee, Phone
from registrar.rules import forward, session
from registrar.rules.identity import (
    hops_left,
    person,
    plain,
    secret_of,
)
from registrar.rules.routing import ROUTED, devices
from registrar.rules.tokens import Target, octets
from registrar.sip import Request, param, unescape

from .answers import BUSY, CONTACT_TOO_LONG, Answer
from .forwarding import Forwarding
from .invitation import Invitation
from .network import Exchange
from .parts import Parts, has_long_contact, sender_target

DEVICES: Final = 20
"""So many devices ring at once; more is no extension but a flood."""
MAX_NAMES: Final = 640
"""Octets of From and To: our tokens hold both, and must come back in a header of a phone."""

log = logging.getLogger(__name__)


class Calling:
    """Finds out who is called, and forwards."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def serve(self, exchange: Exchange, caller: Phone) -> None:
        """A request whose digest is right and whose phone may come from where it came."""
        parts = self._parts
        request = exchange.request
        if request.method not in ROUTED:  # PUBLISH: no event package is kept here (RFC 3903 section 6)
            exchange.reply(Answer(489))
            return
        mark = forward.loop_mark(parts.loop_key, request)
        refused = _refused(request, mark, secret_of(caller))
        if refused is not None:
            exchange.reply(refused)
            return
        try:
            here = sender_target(self._parts, request, exchange.flow, caller.id)
            callee, targets = await self._find(request, caller, here)
        except StoreUnavailable:
            exchange.reply(BUSY)
            return
        if callee is None or not targets:
            exchange.reply(Answer(404 if callee is None else 480))
            return
        case = Invitation(parts, exchange, caller, callee, here, mark)
        forwarding = Forwarding(
            parts,
            exchange,
            case,
            caller.id,
        )
        case.begin(forwarding)
        exchange.serve(forwarding)  # which may end it at once: its CANCEL may have been faster
        await forwarding.start(targets[:DEVICES])

    async def _find(
        self, request: Request, caller: Phone, here: Target
    ) -> tuple[Callee | None, list[list[Target]]]:
        """Who is called, and the devices to ring. Raises StoreUnavailable."""
        parts = self._parts
        uri = request.uri
        gr = param(uri.params, "gr")
        if gr and parts.is_ours(uri.host_key):
            return await self._device(gr, caller)
        host = uri.host_key
        if uri.user is None or not (host == caller.domain or parts.is_our_name(host)):
            return None, []
        callee = await parts.dial_plan.called(caller.customer, unescape(uri.user))
        if callee is None:
            return None, []
        phones = [phone.id for phone in callee.phones if phone.active]
        snapshots = await parts.location.load(phones) if phones else []
        return callee, devices(zip(phones, snapshots, strict=True), parts.clock(), here)

    async def _device(self, gr: str, caller: Phone) -> tuple[Callee | None, list[list[Target]]]:
        """One device, by the address that a call with it was shown: for transfers (RFC 5627)."""
        parts = self._parts
        target = parts.seal.read_target(gr)
        phone = await parts.dial_plan.phone(target.phone) if target is not None else None
        if target is None or phone is None or phone.customer != caller.customer:
            return None, []
        if not phone.active:
            return Callee("", "", (phone,)), []
        (snapshot,) = await parts.location.load([phone.id])
        live = devices([(phone.id, snapshot)], parts.clock(), None)
        same = [row for row in live if any(_is_device(one, target) for one in row)]
        shown = person(phone)
        return Callee(shown.number, shown.name, (phone,)), same or live


def _refused(request: Request, mark: str, secret: str) -> Answer | None:
    """What is wrong with a request whoever it is for.

    `mark` is that of our branches for it, `secret` the caller's username: what holds a dialog together passes
    as it is, so it must not stand there.
    """
    if forward.is_loop(mark, request):
        return Answer(482)
    if hops_left(request) < 1:
        return Answer(483)
    if session.is_too_brief(request):
        return Answer(422, headers=(("Min-SE", str(session.LEAST_SECONDS)),))
    if octets(plain(request.from_)) + octets(plain(request.to)) > MAX_NAMES:
        return Answer(400, "Names Too Long")
    if secret and (secret in request.call_id or secret in (request.from_.tag or "")):
        return Answer(400, "Username In Call-ID Or Tag")
    if has_long_contact(request):
        return CONTACT_TOO_LONG
    if request.method != "MESSAGE" and not request.contacts:
        return Answer(400, "Contact Is Missing")  # section 8.1.1.8
    return None


def _is_device(one: Target, other: Target) -> bool:
    if one.instance or other.instance:
        return one.instance == other.instance
    return one.contact == other.contact
