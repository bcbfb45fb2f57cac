"""Requests inside a dialog: they carry our token and come from the phone that has it, or are challenged.

A request goes to the device whose Contact it names. No store is read while the flow of that device is open
(RFC 3261 section 16.4, RFC 5626).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from registrar.errors import MalformedMessage, MediaRefused, StoreUnavailable
from registrar.model import Binding, Flow, Phone
from registrar.ports import DialPlan, Location
from registrar.rules import forward, session
from registrar.rules import legs as leg_rules
from registrar.rules.hold import direction
from registrar.rules.identity import (
    ANONYMOUS_HOST,
    SIPS,
    WITHHELD_IDENTITY,
    PresentedHeaders,
    hops_left,
    scheme_of,
    secret_of,
    shown_response,
    unfolded,
)
from registrar.rules.legs import Legs, is_browser
from registrar.rules.routing import (
    SECURE,
    has_moved,
    is_allowed,
    named_by,
    reroute,
    target_by,
    unfolded_contact,
)
from registrar.rules.sdp import is_encrypted
from registrar.rules.tokens import DialogHandle, Named, RouteToken, Target, target_of
from registrar.sip import Request, Response, param, parse_name_addr

from ..answers import (
    BUSY,
    CONTACT_TOO_LONG,
    NO_SUCH_CALL,
    NOT_FROM_THERE,
    NOT_SECURE,
    NOT_SERVED,
    OUT_OF_HOPS,
    TOO_BRIEF,
    Answer,
)
from ..method import Method
from ..network import ServerRequest, SilentPhones
from .bridging import NOT_ENCRYPTED, Bridge, has_sdp, other_body, packed, quick_sdp, sdp_of
from .destinations import Destinations
from .forwarding import Forwarder
from .offers import is_reliable
from .reach import Reach, Way
from .rewriter import Ringing
from .senders import Senders, response_contact
from .speech import Speech, nowhere
from .table import CallTable

TRICKLE: Final = "application/trickle-ice-sdpfrag"
MAX_PROVEN: Final = 20_000

log = logging.getLogger(__name__)


class Dialogs:
    """Handler of requests that carry one of our tokens."""

    def __init__(
        self,
        dial_plan: DialPlan,
        location: Location,
        destinations: Destinations,
        senders: Senders,
        forwarder: Forwarder,
        bridge: Bridge,
        calls: CallTable,
        silent: SilentPhones,
        *,
        may_come: Callable[[Phone, Flow], bool],
    ) -> None:
        """Create the handler; `may_come` tells whether the access rule lets a phone send by a flow."""
        self._dial_plan = dial_plan
        self._location = location
        self._destinations = destinations
        self._senders = senders
        self._forwarder = forwarder
        self._reach = forwarder.reach
        self._bridge = bridge
        self._calls = calls
        self._silent = silent
        self._silent_places = silent.silent_places
        self._may_come = may_come
        self._proven: dict[tuple[str, str], str] = {}
        """Call and sender -> where the sender proved its identity, since its requests came another way."""

    async def serve(self, incoming: ServerRequest, route: RouteToken) -> bool:
        """Forward or refuse a request; return False if its sender must first prove its identity.

        An ACK is never answered.
        """
        if incoming.method.is_invite and not incoming.accept():
            return True  # the transaction absorbs the ACK of a refusal
        sender = await self._let_in(incoming, route)
        if sender is None:
            return False
        if isinstance(sender, Phone):
            await self._pass(incoming, route, sender)
        elif incoming.method.is_answered:
            incoming.reply(sender)
        else:
            incoming.drop("ack", sender.why)
        return True

    async def go_on(self, incoming: ServerRequest, route: RouteToken, sender: Phone) -> None:
        """Forward a request whose sender has proved its identity: the dialog is on this flow from now on."""
        self._proven.pop(_way_of_dialog(incoming.request, route), None)
        self._proven[_way_of_dialog(incoming.request, route)] = self._senders.origin(incoming.flow, sender)
        while len(self._proven) > MAX_PROVEN:
            del self._proven[next(iter(self._proven))]
        await self._pass(incoming, route, sender)

    async def _pass(self, incoming: ServerRequest, route: RouteToken, sender: Phone) -> None:
        request = incoming.request
        incoming.phone = sender
        if self._silent_places and incoming.flow.transport == "udp":
            self._silent.heard(sender.id, incoming.flow)
        route = self._calls.leg_of_answer(route, request.to.tag or "")
        receiver, refused = await self._receiver(incoming.method, route, sender)
        refused = refused or await self._refused(incoming, route)
        if refused is not None:
            if incoming.method.is_answered:
                incoming.reply(refused)
            else:
                incoming.drop("ack", refused.why)
            return
        message = InDialog(
            self._reach,
            self._senders,
            self._destinations,
            self._bridge,
            self._calls,
            incoming,
            route,
            sender,
            receiver,
        )
        if not incoming.method.is_answered:
            await self._acknowledge(message)
        elif not incoming.accept(None if incoming.method.ends else sender):
            return
        elif route.relay and incoming.method.trickles and _is_trickle(request):
            incoming.reply(Answer(200))  # the relay's own candidates are complete, and it finds the browser's
        else:
            await self._forward(incoming, message)

    async def _let_in(self, incoming: ServerRequest, route: RouteToken) -> Phone | Answer | None:
        """Return the sender, or the answer that refuses it, or None if the sender is not proven yet."""
        request, flow = incoming.request, incoming.flow
        try:
            sender = await self._dial_plan.phone(route.sender)
            if sender is None or not sender.active:
                return NOT_SERVED
            if not await self._calls.lifetimes.lives(route, request):
                return NO_SUCH_CALL
            if incoming.method.is_answered and await self._senders.is_registered_anywhere(flow, route.sender):
                return sender
        except StoreUnavailable:
            return BUSY
        here = self._senders.origin(flow, sender)
        if incoming.method.is_answered and here not in (
            route.origin,
            self._proven.get(_way_of_dialog(request, route)),
        ):
            return None
        return sender if self._may_come(sender, flow) else NOT_FROM_THERE

    async def _refused(self, incoming: ServerRequest, route: RouteToken) -> Answer | None:
        """Return the answer that refuses a request of any sender, or None."""
        request = incoming.request
        if route.secure and incoming.flow.transport not in SECURE:
            return NOT_SECURE
        if hops_left(request) < 1:
            return OUT_OF_HOPS
        if incoming.method.has_timer and session.is_too_brief(request):
            return TOO_BRIEF
        try:
            return CONTACT_TOO_LONG if await self._senders.has_long_contact(request, route.sender) else None
        except StoreUnavailable:
            return BUSY

    async def _forward(self, incoming: ServerRequest, message: "InDialog") -> None:
        request = incoming.request
        targets = await self._targets(message)
        if targets:
            targets = [
                way
                for way in targets
                if is_allowed(way, self._reach.secure_nodes, is_secure=message.route.secure)
            ]
            if not targets:
                incoming.reply(NOT_SECURE)
                return
        await self._forwarder.forward(incoming, message, message.route.sender, [targets])
        if incoming.method.hangs_up and message.route.call:
            self._calls.hung_up(message.route, message.callee_tag)
        elif not message.route.call:
            self._calls.lifetimes.passed(request, incoming.method)

    async def _acknowledge(self, message: "InDialog") -> None:
        """Forward the ACK of a 2xx once; an ACK has no answer."""
        for target in await self._targets(message):
            way = self._reach.way(target)
            if way is not None:
                try:
                    ack = await message.request(0, way)
                except (MediaRefused, StoreUnavailable) as error:
                    log.warning("the answer in an ACK: %s", error)
                    message.drop("its session description was refused")
                    return
                self._forwarder.network.send(ack, way.flow)
                if message.answers:
                    message.note_answer()
                return
        message.drop("no way leads to the other side")

    async def _receiver(
        self, method: Method, route: RouteToken, sender: Phone
    ) -> tuple[Phone | None, Answer | None]:
        """Return the phone that answers the request, and the answer that refuses the request, or None.

        If that phone is unknown, its username is unknown and cannot be removed from its answers. A BYE or an
        ACK passes nevertheless.
        """
        ends = method.ends
        try:
            receiver = await self._dial_plan.phone(route.receiver)
        except StoreUnavailable:
            return None, None if ends else BUSY
        is_there = receiver is not None and receiver.active and receiver.customer == sender.customer
        return receiver, None if ends or is_there else NO_SUCH_CALL

    async def _targets(self, message: "InDialog") -> list[Target]:
        """Return the targets of a request, the best one first.

        They come from the binding that the Request-URI names, else from the flow that the call knows, else
        from the current bindings of the phone.
        """
        route, named = message.route, message.named
        live = self._location.known(route.receiver).live(self._calls.clock())
        here = self._way_here(route, named, live)
        if here is not None:
            return [here]
        try:
            (snapshot,) = await self._location.load([route.receiver])
        except StoreUnavailable:
            return []
        live = snapshot.live(self._calls.clock())
        here = self._way_here(route, named, live) or await self._way_of_call(route, named, live)
        if here is not None:
            return [here]
        # A browser that came back has another connection, but its dialog knows it by the Contact it gave.
        kept = self._calls.other_party(route)
        targets = reroute(live, named)
        return [replace(target, contact=kept.contact) for target in targets] if kept is not None else targets

    def _way_here(self, route: RouteToken, named: Named, live: Sequence[Binding]) -> Target | None:
        """Return the target that is known without reading the store, or None."""
        kept = self._calls.other_party(route)
        binding = named_by(live, named)
        if binding is not None:
            target = target_of(route.receiver, binding)
            is_known = kept is not None and kept.registered == binding.contact
            contact = (
                kept.contact
                if is_known and kept is not None
                else unfolded_contact(route.contact, binding.contact)
            )
            if contact != binding.contact:
                target = replace(target, contact=contact)
            if self._reach.way(target) is not None:
                return target
        carried = target_by(route.way, named, unfolded_contact(route.contact, ""))
        for other in (kept, carried):
            if other is not None and self._leads_there(other, live):
                return other
        return None

    async def _way_of_call(self, route: RouteToken, named: Named, live: Sequence[Binding]) -> Target | None:
        """Return the target that the node with the call has stored, or None.

        This takes one read, and no read if this process has the call.
        """
        target = await self._calls.other_party_elsewhere(route)
        return target if target is not None and self._leads_there(target, live) else None

    def _leads_there(self, target: Target, live: Sequence[Binding]) -> bool:
        """Return whether a target can still be reached.

        A datagram can be sent to any address. Only a later registration shows that the phone has left it.
        """
        return not has_moved(live, target) and self._reach.way(target) is not None


class InDialog:
    """The particular part of one request inside a dialog; implements rewriter.MessageRewriter."""

    def __init__(
        self,
        reach: Reach,
        senders: Senders,
        destinations: Destinations,
        bridge: Bridge,
        calls: CallTable,
        incoming: ServerRequest,
        route: RouteToken,
        sender: Phone,
        receiver: Phone | None,
    ) -> None:
        self._reach = reach
        self._destinations = destinations
        self._bridge = bridge
        self._calls = calls
        self._incoming = incoming
        self._asked = incoming.request
        self.route = route
        self._sender = sender
        self._receiver = receiver
        self._from, self._to = unfolded(route.from_, sender), unfolded(route.to, receiver)
        self._sender_secret = secret_of(sender)
        self._receiver_secret = secret_of(receiver)
        self.named = self._named_target()
        self._legs = _legs(route)
        self._extra = session.asked(self._asked) if incoming.method.has_timer else ()
        self._described = incoming.method.describes and has_sdp(self._asked)
        self.answers = self._described and bridge.offers.is_answer(
            self._asked, late=self._legs is not None and self._legs.late
        )
        """Whether its session description answers an offer of the other side; else it is an offer."""
        self._offers = self._described and not self.answers
        self._settled: bytes | None = None
        """The description of a reliable response, as the sender was shown it; later responses repeat it."""
        self._own = senders.target(self._asked, incoming.flow, route.sender) if self._asked.contacts else None
        """The target of the sender, if the request has a Contact."""
        self._reached: Target | None = None
        self._redirected: tuple[tuple[str, str], ...] = ()
        self._has_answer = False
        self._relay = route.relay
        self._shift = int(route.shift) if route.shift else 0

    def drop(self, why: str) -> None:
        """Drop an ACK."""
        self._incoming.drop("ack", why)

    @property
    def callee_tag(self) -> str:
        """Return the tag that names the dialog within its call: several phones may have answered."""
        asked = self._asked
        return (asked.to.tag if self.route.is_caller else asked.from_.tag) or ""

    def begin(self, ringing: Ringing) -> None:
        """Record the CSeq number and the target of the sender in the call. See rewriter.MessageRewriter."""
        if not self.route.call:
            return
        asked = self._asked
        self._calls.seen(self.route, self.callee_tag, asked.cseq[0] + self._shift, self._own)

    async def request(self, number: int, way: Way) -> Request:
        """See rewriter.MessageRewriter."""
        reach, asked = self._reach, self._asked
        self._reached = way.target
        is_private = self._from == WITHHELD_IDENTITY
        gr = reach.gr(self._own, is_private=is_private) if self._own is not None else ""
        presented = PresentedHeaders(
            from_=self._from,
            to=self._to,
            place=reach.place(way),
            contact=_user(self._from),
            gr=gr,
            secret=self._sender_secret,
            is_private=is_private,
            scheme=SIPS if self.route.secure else scheme_of(way.target.contact),
        )
        body, typed = await self._request_body(presented.contact, way)
        uri = way.target.contact or asked.target
        extra = (*self._extra, *typed, *forward.shifted(asked, self._shift))
        return reach.show(asked, uri, way, presented, body, extra, caller=self.route.sender)

    async def _request_body(self, shown: str, way: Way) -> tuple[bytes, session.Extra]:
        """Return the body for the other side, and the headers that go with it."""
        asked, secret = self._asked, self._sender_secret
        if not self._described:
            return other_body(asked.body, secret, shown), ()
        sdp = sdp_of(asked)
        _refuse_plain(self._sender, sdp)
        made = await self._described_again(sdp)
        _refuse_plain(self._receiver, made)
        return packed(asked, made, secret, shown, alone=is_browser(way.target.transport))

    async def _described_again(self, sdp: bytes) -> bytes:
        asked, relay, secret, bridge = self._asked, self._relay, self._sender_secret, self._bridge
        mine, theirs = asked.from_.tag or "", asked.to.tag or ""
        if self.answers:
            return await bridge.answer(sdp, relay, from_tag=theirs, to_tag=mine, secret=secret)
        if self._legs is None:
            return quick_sdp(sdp, None, secret, is_offer=True)
        made, moved = await bridge.offer(sdp, self._legs, relay, from_tag=mine, to_tag=theirs, secret=secret)
        self._note_relay(moved)
        return made

    def takes_time(self, number: int, response: Response) -> bool:
        """See rewriter.MessageRewriter."""
        if 300 <= response.status < 400:
            return True
        return bool(self.route.relay) and self._settled is None and self._is_negotiating(response)

    def _is_negotiating(self, response: Response) -> bool:
        """Return whether a response has a session description that answers this request, or is an offer.

        Only a response to an INVITE without an offer makes an offer.
        """
        if not 100 < response.status < 300 or not has_sdp(response):
            return False
        return self._offers or self._incoming.method.is_invite

    async def body(self, number: int, response: Response) -> bytes:
        """See rewriter.MessageRewriter."""
        if 300 <= response.status < 400:
            self._redirected = await self._destinations.redirected(self._sender, response)
            return response.body
        asked, relay, bridge = self._asked, self._relay, self._bridge
        mine, theirs, text = asked.from_.tag or "", asked.to.tag or "", sdp_of(response)
        if self._settled is not None:
            return self._settled
        if self._offers or self._legs is None:
            return await bridge.answer(
                text, relay, from_tag=mine, to_tag=theirs, secret=self._receiver_secret
            )
        made, moved = await bridge.offer(
            text,
            leg_rules.turned(self._legs),
            relay,
            from_tag=theirs,
            to_tag=mine,
            secret=self._receiver_secret,
        )
        self._note_relay(moved)
        return made

    def offers_again(self, number: int, response: Response) -> float | None:
        """Return None: the dialog goes on as it was agreed. See rewriter.MessageRewriter."""
        return None

    def _note_relay(self, relay: str) -> None:
        """Note a changed relay session: the earlier engine may be dead, and another one has it now."""
        if relay != self._relay:
            self._relay = relay
            self._calls.relayed_by(self.route, self.callee_tag, relay)

    def response(self, number: int, response: Response, body: bytes | None) -> Response:
        """See rewriter.MessageRewriter."""
        reach, asked = self._reach, self._asked
        self._has_answer = True
        user = asked.to.uri.user or "anonymous"
        reached = self._reached
        is_private = asked.to.uri.host == ANONYMOUS_HOST
        gr = ""
        if reached is not None and "contact" in response.headers:
            gr = reach.gr(reached, is_private=is_private)
        presented = PresentedHeaders(
            from_=self._to,
            to=self._from,
            place=reach.place_on(self._incoming.flow),
            contact=user,
            gr=gr,
            secret=self._receiver_secret,
            is_private=is_private,
            scheme=scheme_of(asked.target),
        )
        body, typed = self._response_body(response, body, user)
        extra = session.granted(asked, response)[0] if self._incoming.method.has_timer else ()
        extra = (*extra, *typed, *self._redirected)
        return shown_response(asked, response, presented, body, extra)

    def _response_body(
        self, response: Response, made: bytes | None, shown: str
    ) -> tuple[bytes, session.Extra]:
        """Return the body that goes back, and its headers; `made` is the description from the relay."""
        secret = self._receiver_secret
        if not has_sdp(response):
            return other_body(response.body, secret, shown), ()
        if made is None:
            made = self._settled
        if made is None:
            turned = leg_rules.turned(self._legs) if self._legs is not None else None
            made = quick_sdp(sdp_of(response), turned, secret, is_offer=not self._offers)
        if self._incoming.method.is_invite and is_reliable(response):
            is_first = self._settled is None
            self._bridge.offers.note(self._asked, response, is_offer=is_first and not self._offers)
            self._settled = made
        return packed(response, made, secret, shown, alone=is_browser(self._incoming.flow.transport))

    def relayed(self, number: int, response: Response) -> None:
        """See rewriter.MessageRewriter."""
        if self._incoming.method.has_timer and 200 <= response.status < 300 and self.route.call:
            _, seconds = session.granted(self._asked, response)
            said = direction(sdp_of(self._asked)) if self._offers else None
            self._calls.refreshed(self.route, self.callee_tag, seconds, said)
            self._note_contact(response)

    def note_answer(self) -> None:
        """Note whether the answer in an ACK puts the call on hold."""
        if self.route.call:
            self._calls.described(self.route, self.callee_tag, direction(sdp_of(self._asked)))

    def _note_contact(self, response: Response) -> None:
        """Note a new Contact of the party that answers (RFC 3261 section 12.2.1.2)."""
        reached = self._reached
        contact = response_contact(response, reached.contact) if reached is not None else ""
        if reached is not None and contact and contact != reached.contact:
            self._calls.moved(self.route, self.callee_tag, replace(reached, contact=contact))

    def refused(self, status: int, why: str = "") -> None:
        """Note a BYE that was lost: it is delivered later. See rewriter.MessageRewriter.

        After any other refused request the dialog goes on without it.
        """
        if self._incoming.method.hangs_up and not self._has_answer and self.route.call:
            asked, route = self._asked, self.route
            target = self._reached or self._calls.other_party(route) or nowhere(route.receiver)
            tags = asked.to.tag or "", asked.from_.tag or ""
            handle = DialogHandle(target, self._from, self._to)
            speech = Speech(asked.call_id, handle, *tags, route.sender, asked.cseq[0] + self._shift)
            self._calls.undelivered(speech, "")

    def unwanted(self, number: int) -> None:
        """Do nothing: the session of the relay belongs to the dialog. See rewriter.MessageRewriter."""

    def _named_target(self) -> Named:
        """Return the binding that the Request-URI names, if it is one of the other party of this dialog."""
        gr = param(self._asked.uri.params, "gr")
        named = self._reach.read_gr(gr) if gr else None
        return (
            named
            if named is not None and named.phone == self.route.receiver
            else Named(self.route.receiver, b"", b"")
        )


def _legs(route: RouteToken) -> Legs | None:
    return leg_rules.parse_legs(route.media) if route.media else None


def _way_of_dialog(request: Request, route: RouteToken) -> tuple[str, str]:
    """Return the call, or the dialog outside a call, and the phone that sends in it."""
    return route.call or request.call_id, route.sender


def _user(address: str) -> str:
    """Return the user part of an address that we made."""
    try:
        return parse_name_addr(address).uri.user or "anonymous"
    except MalformedMessage:
        return "anonymous"


def _is_trickle(request: Request) -> bool:
    media_type = request.headers.get("content-type") or ""
    return media_type.partition(";")[0].strip().lower() == TRICKLE


def _refuse_plain(phone: Phone | None, sdp: bytes) -> None:
    """Raise MediaRefused for a description without encryption that a phone must neither send nor get."""
    if phone is not None and phone.terms.srtp and not is_encrypted(sdp):
        raise MediaRefused(NOT_ENCRYPTED)
