"""A request inside a dialog: not challenged, but it carries our token and comes from the phone that has it.

It goes to where its Contact leads; no store is asked while that flow lives (RFC 3261 section 16.4, RFC 5626).
"""

import logging
from dataclasses import replace
from typing import Final

from registrar.errors import MalformedMessage, MediaRefused, StoreUnavailable
from registrar.model import Flow, Phone
from registrar.rules import legs as leg_rules
from registrar.rules import session
from registrar.rules.identity import (
    ANONYMOUS_HOST,
    WITHHELD_IDENTITY,
    View,
    hops_left,
    secret_of,
    shown_request,
    shown_response,
)
from registrar.rules.legs import Legs
from registrar.rules.routing import again, has_moved, is_on
from registrar.rules.tokens import Leg, Target
from registrar.sip import Request, Response, param, parse_name_addr

from .answers import BUSY, CONTACT_TOO_LONG, NO_SUCH_CALL, OUT_OF_HOPS, TOO_BRIEF, Answer
from .bridging import has_sdp, other_body, quick_sdp
from .forwarding import Forwarding
from .network import Exchange
from .parts import Parts, has_long_contact, is_registered, origin, response_contact, sender_target
from .reach import Way
from .redirecting import redirected

TRICKLE: Final = "application/trickle-ice-sdpfrag"
MAX_MOVED: Final = 4_096
ENDING: Final = frozenset({"ACK", "BYE"})

log = logging.getLogger(__name__)


class Dialogs:
    """Serves requests that carry a token of ours."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._moved: dict[Target, Target] = {}
        """Where phones are now whose flow is gone."""

    async def serve(self, exchange: Exchange, leg: Leg) -> None:
        """Forward it, or refuse it statelessly; an ACK is never answered."""
        request = exchange.request
        sender, refused = await self._let_in(exchange, leg)
        if sender is None or refused is not None:
            if request.method != "ACK" and refused is not None:
                exchange.reply(refused)
            return
        exchange.phone = sender
        if self._parts.silent_places and exchange.flow.transport == "udp":
            self._parts.heard(sender.id, exchange.flow)
        leg = self._parts.calls.leg_of_answer(leg, request.to.tag or "")
        receiver, refused = await self._receiver(request, leg, sender)
        if refused is not None:
            exchange.reply(refused)
            return
        message = InDialog(self._parts, exchange, leg, sender, receiver)
        if request.method == "ACK":
            await self._acknowledge(message)
        elif not exchange.accept():
            return
        elif leg.relay and request.method == "INFO" and _is_trickle(request):
            exchange.reply(Answer(200))  # the relay's own candidates are complete, and it finds the browser's
        else:
            await self._forward(exchange, message)

    async def _let_in(self, exchange: Exchange, leg: Leg) -> tuple[Phone | None, Answer | None]:
        """Whose request it is, and why it is refused if it is."""
        request = exchange.request
        try:
            sender = await self._sender(exchange.flow, leg)
        except StoreUnavailable:
            return None, BUSY
        if sender is None:
            log.debug("a request of a dialog came over a flow that is not its phone's: %s", request.call_id)
            return None, Answer(
                403, why="the request did not come over the flow on which its phone is registered"
            )
        if hops_left(request) < 1:
            return sender, OUT_OF_HOPS
        if has_long_contact(request):
            return sender, CONTACT_TOO_LONG
        if request.method in session.METHODS and session.is_too_brief(request):
            return sender, TOO_BRIEF
        return sender, None

    async def _forward(self, exchange: Exchange, message: "InDialog") -> None:
        parts, request = self._parts, exchange.request
        targets = await self._targets(message)
        message.note()
        forwarding = Forwarding(
            parts,
            exchange,
            message,
            message.leg.sender,
        )
        exchange.serve(forwarding)
        await forwarding.start([targets])
        if request.method == "BYE" and message.leg.call:
            parts.calls.hung_up(message.leg, message.callee_tag)

    async def _acknowledge(self, message: "InDialog") -> None:
        """The ACK of a 2xx: forwarded once, answered by nobody."""
        for target in await self._targets(message):
            way = self._parts.reach.way(target)
            if way is not None:
                try:
                    ack = await message.request(0, way)
                except (MediaRefused, StoreUnavailable) as error:
                    log.warning("the answer in an ACK: %s", error)
                    return
                self._parts.network.send(ack, way.flow)
                return

    async def _sender(self, flow: Flow, leg: Leg) -> Phone | None:
        """The phone that the token was given to, when this is its flow. Raises StoreUnavailable."""
        parts = self._parts
        phone = await parts.dial_plan.phone(leg.sender)
        if phone is None or not phone.active:
            return None
        if is_registered(parts, flow, leg.sender) or leg.origin == origin(parts, flow, phone):
            return phone
        if flow.transport != "udp":
            return None  # its connection is ours, and so we know
        process, now = (parts.node, parts.generation), parts.clock()
        (snapshot,) = await parts.location.load([leg.sender])  # it may have registered by another node
        return phone if any(is_on(binding, flow, process) for binding in snapshot.live(now)) else None

    async def _receiver(
        self, request: Request, leg: Leg, sender: Phone
    ) -> tuple[Phone | None, Answer | None]:
        """Whose answers will be passed back, and why there shall be none: what it says cannot be cleaned of a
        name that we do not know. What ends a dialog, or acknowledges, passes all the same."""
        ends = request.method in ENDING
        try:
            receiver = await self._parts.dial_plan.phone(leg.receiver)
        except StoreUnavailable:
            return None, None if ends else BUSY
        is_there = receiver is not None and receiver.active and receiver.customer == sender.customer
        return receiver, None if ends or is_there else NO_SUCH_CALL

    async def _targets(self, message: "InDialog") -> list[Target]:
        """Where it goes: the flow in the Request-URI's token, else where that phone is now."""
        parts = self._parts
        lost = message.target
        for known in (lost, self._moved.get(lost)) if lost is not None else ():
            if known is not None and not self._has_left(known) and parts.reach.way(known) is not None:
                return [known]
        try:
            (snapshot,) = await parts.location.load([message.leg.receiver])
        except StoreUnavailable:
            return [lost] if lost is not None else []
        live = snapshot.live(parts.clock())
        if lost is None:
            lost = Target(message.leg.receiver, "", "", "", "", 0, "", 0)
        # A browser that came back is another connection, but its dialog knows it by the Contact it gave.
        found = again(live, message.leg.receiver, lost)
        targets = [replace(target, contact=lost.contact or target.contact) for target in found]
        if targets:
            self._moved[lost] = targets[0]
            while len(self._moved) > MAX_MOVED:
                del self._moved[next(iter(self._moved))]
        return targets

    def _has_left(self, target: Target) -> bool:
        """A datagram goes anywhere; that nobody is there any more only a later registration can tell."""
        parts = self._parts
        return has_moved(parts.location.known(target.phone).live(parts.clock()), target)


class InDialog:
    """What is particular to one request inside a dialog; implements forwarding.Case."""

    def __init__(
        self, parts: Parts, exchange: Exchange, leg: Leg, sender: Phone, receiver: Phone | None
    ) -> None:
        self._parts = parts
        self._exchange = exchange
        self._asked = exchange.request
        self.leg = leg
        self._sender = sender
        self._sender_secret = secret_of(sender)
        self._receiver_secret = secret_of(receiver)
        self.target = self._named_target()
        self._legs = _legs(leg)
        self._extra = session.asked(self._asked)
        self._offers = has_sdp(self._asked)
        self._own = (
            sender_target(parts, self._asked, exchange.flow, leg.sender) if self._asked.contacts else None
        )
        """The way back to the sender, when it names itself in a Contact."""
        self._reached: Target | None = None
        self._redirected: tuple[tuple[str, str], ...] = ()
        self._relay = leg.relay

    @property
    def callee_tag(self) -> str:
        """Which dialog of its call it belongs to: several phones may have answered."""
        asked = self._asked
        return (asked.to.tag if self.leg.is_caller else asked.from_.tag) or ""

    def note(self) -> None:
        """The call is told how far its parties have counted, and where they are."""
        if not self.leg.call:
            return
        asked = self._asked
        self._parts.calls.seen(self.leg, self.callee_tag, asked.cseq[0], self._own)

    async def request(self, number: int, way: Way) -> Request:
        """See forwarding.Case."""
        parts, asked = self._parts, self._asked
        self._reached = way.target
        gr = parts.seal.target(self._own, parts.salt()) if self._own is not None else ""
        view = View(
            from_=self.leg.from_,
            to=self.leg.to,
            place=parts.reach.place(way),
            contact=_user(self.leg.from_),
            gr=gr,
            secret=self._sender_secret,
            is_private=self.leg.from_ == WITHHELD_IDENTITY,
        )
        extra = (*self._extra, *parts.reach.leave(way, self.leg.sender, asked))
        body = await self._request_body(view.contact)
        uri = way.target.contact or asked.target
        return shown_request(asked, uri, parts.reach.via(way), view, body, parts.is_ours, extra)

    async def _request_body(self, shown: str) -> bytes:
        asked, relay = self._asked, self._relay
        if not self._offers:
            return other_body(asked.body, self._sender_secret, shown)
        mine, theirs = asked.from_.tag or "", asked.to.tag or ""
        bridge = self._parts.bridge
        if asked.method == "ACK":
            return await bridge.answer(
                asked.body, relay, from_tag=theirs, to_tag=mine, secret=self._sender_secret
            )
        if self._legs is None:
            return quick_sdp(asked.body, None, self._sender_secret, is_offer=True)
        body, moved = await bridge.offer(
            asked.body, self._legs, relay, from_tag=mine, to_tag=theirs, secret=self._sender_secret
        )
        self._note_relay(moved)
        return body

    def takes_time(self, number: int, response: Response) -> bool:
        """See forwarding.Case."""
        if 300 <= response.status < 400:
            return True
        return bool(self.leg.relay) and has_sdp(response) and 100 < response.status < 300

    async def body(self, number: int, response: Response) -> bytes:
        """See forwarding.Case."""
        if 300 <= response.status < 400:
            self._redirected = await redirected(self._parts, self._sender, response)
            return response.body
        asked, relay, bridge = self._asked, self._relay, self._parts.bridge
        mine, theirs = asked.from_.tag or "", asked.to.tag or ""
        if self._offers or self._legs is None:
            return await bridge.answer(
                response.body, relay, from_tag=mine, to_tag=theirs, secret=self._receiver_secret
            )
        body, moved = await bridge.offer(
            response.body,
            leg_rules.turned(self._legs),
            relay,
            from_tag=theirs,
            to_tag=mine,
            secret=self._receiver_secret,
        )
        self._note_relay(moved)
        return body

    def _note_relay(self, relay: str) -> None:
        """The engine that had the session may be dead, and another one has it now."""
        if relay != self._relay:
            self._relay = relay
            self._parts.calls.relayed_by(self.leg, self.callee_tag, relay)

    def response(self, number: int, response: Response, body: bytes | None) -> Response:
        """See forwarding.Case."""
        parts, asked = self._parts, self._asked
        user = asked.to.uri.user or "anonymous"
        gr = ""
        if "contact" in response.headers and self._reached is not None:
            contact = response_contact(response) or self._reached.contact
            gr = parts.seal.target(replace(self._reached, contact=contact), parts.salt())
        view = View(
            from_=self.leg.to,
            to=self.leg.from_,
            place=parts.reach.place_on(self._exchange.flow),
            contact=user,
            gr=gr,
            secret=self._receiver_secret,
            is_private=asked.to.uri.host == ANONYMOUS_HOST,
        )
        if body is None:
            turned = leg_rules.turned(self._legs) if self._legs is not None else None
            body = (
                quick_sdp(response.body, turned, self._receiver_secret, is_offer=not self._offers)
                if has_sdp(response)
                else other_body(response.body, self._receiver_secret, user)
            )
        extra, _ = session.granted(asked, response)
        extra = (*extra, *self._redirected)
        return shown_response(asked, response, view, body, extra)

    def relayed(self, number: int, response: Response) -> None:
        """See forwarding.Case."""
        if self._asked.method in session.METHODS and 200 <= response.status < 300 and self.leg.call:
            _, seconds = session.granted(self._asked, response)
            self._parts.calls.refreshed(self.leg, self.callee_tag, seconds)

    def refused(self, status: int) -> None:
        """See forwarding.Case: the dialog goes on without it."""

    def unwanted(self, number: int) -> None:
        """See forwarding.Case: the session of the relay belongs to the dialog."""

    def _named_target(self) -> Target | None:
        """The way that the Request-URI names, when it is to the other party of this dialog."""
        gr = param(self._asked.uri.params, "gr")
        target = self._parts.seal.read_target(gr) if gr else None
        return target if target is not None and target.phone == self.leg.receiver else None


def _legs(leg: Leg) -> Legs | None:
    return leg_rules.parse_legs(leg.media) if leg.media else None


def _user(address: str) -> str:
    """The user that an address of ours names."""
    try:
        return parse_name_addr(address).uri.user or "anonymous"
    except MalformedMessage:
        return "anonymous"


def _is_trickle(request: Request) -> bool:
    media_type = request.headers.get("content-type") or ""
    return media_type.partition(";")[0].strip().lower() == TRICKLE
