"""What is particular to a request outside a dialog: how callees see it, how the caller sees the answers."""

from dataclasses import replace

from registrar.errors import MediaRefused
from registrar.model import Call, Callee, CallState, Party, Phone
from registrar.rules import legs as leg_rules
from registrar.rules import privacy, session
from registrar.rules.identity import (
    ANONYMOUS,
    AS_SHOWN,
    AS_WITHHELD,
    SIPS,
    WITHHELD_IDENTITY,
    Person,
    View,
    escape,
    folded,
    person,
    plain,
    scheme_of,
    secret_of,
    shown_request,
    shown_response,
)
from registrar.rules.legs import Legs
from registrar.rules.routing import DIALOG_MAKERS, folded_contact, way_of
from registrar.rules.sdp import leg_kind
from registrar.rules.tokens import Leg, Line, Target
from registrar.sip import Request, Response

from .bridging import has_sdp, other_body, quick_sdp
from .forwarding import Forwarding
from .network import Exchange
from .parts import Parts, is_registered, origin, response_contact
from .reach import Way
from .redirecting import redirected


class Invitation:
    """What is particular to one request outside a dialog; implements forwarding.Case."""

    def __init__(
        self,
        parts: Parts,
        exchange: Exchange,
        caller: Phone,
        callee: Callee,
        caller_target: Target,
        mark: str,
    ) -> None:
        """`mark` begins the branches of this request (rules.forward.loop_mark)."""
        self._parts = parts
        self._exchange = exchange
        self._asked = exchange.request
        self._caller = caller
        self._callee = callee
        self._caller_target = caller_target
        self._phones = {phone.id: phone for phone in callee.phones}
        self._is_registered = is_registered(parts, exchange.flow, caller.id)
        self._own = plain(self._asked.from_)
        """The caller as it knows itself."""
        self._dialled = plain(self._asked.to)
        self._is_private = privacy.is_anonymous(self._asked)
        self._shown = WITHHELD_IDENTITY if self._is_private else str(person(caller))
        """The caller as callees see it. The record of the call names it all the same."""
        self._user = ANONYMOUS if self._is_private else person(caller).user
        self._shown_folded = AS_WITHHELD if self._is_private else AS_SHOWN
        self._callee_user = escape(callee.number) or "anonymous"
        self._callee_address = f"<sip:{self._callee_user}@{caller.domain}>"
        """The callee as it knows itself, and as the caller knows it."""
        self._callee_person = str(_callee_person(callee, caller.domain))
        self._is_callee_private = self._asked.uri.user == ANONYMOUS
        """It is the device of a party that withholds its identity in another call."""
        if self._is_callee_private:
            self._callee_user = ANONYMOUS
        self._mark = mark
        self._extra = session.asked(self._asked)
        self._offers = has_sdp(self._asked)
        self._id = parts.new_id() if self._asked.method == "INVITE" else ""
        self._relays: dict[int, str] = {}
        self._legs: dict[int, Legs] = {}
        self._ways: dict[int, Way] = {}
        self._routes: dict[int, tuple[tuple[Target, str, bool], str]] = {}
        self._redirected: dict[int, tuple[tuple[str, str], ...]] = {}
        self._is_secure = self._asked.uri.scheme == SIPS
        """Whether it was made to a `sips:` URI: then it goes by TLS and WSS alone."""
        self._since = 0 if self._id else int(parts.clock())
        self._winner: int | None = None
        self._call: Call | None = None

    def begin(self, forwarding: Forwarding) -> None:
        """Write down that there is a call."""
        if not self._id:
            return
        parts, asked, caller = self._parts, self._asked, self._caller
        self._call = Call(
            id=self._id,
            call_id=asked.call_id,
            customer=caller.customer,
            domain=caller.domain,
            caller=Party(
                caller.id,
                caller.extension or person(caller).user,
                caller.name,
                self._exchange.flow.transport,
                asked.from_.tag or "",
                cseq=asked.cseq[0],
            ),
            callee=Party("", self._callee.number, self._callee.name),
            state=CallState.RINGING,
            started_at=parts.clock(),
            node=parts.node,
            generation=parts.generation,
        )
        line = Line(self._caller_target, self._dialled, self._own)
        is_watched = self._is_registered or self._exchange.flow.transport != "udp"
        parts.calls.begin(self._call, line, forwarding, is_watched=is_watched)

    # forwarding.Case

    async def request(self, number: int, way: Way) -> Request:
        """See forwarding.Case."""
        parts, asked = self._parts, self._asked
        phone = self._phones.get(way.target.phone)
        body, relay = await self._request_body(number, way, phone)
        self._ways[number] = way
        route = ""
        if asked.method in DIALOG_MAKERS:
            route = parts.seal.leg(self._callees_leg(number, way, relay), asked.call_id)
        view = View(
            from_=self._shown,
            to=self._callee_address,
            place=parts.reach.place(way),
            contact=self._user,
            gr=self._gr(self._caller_target, self._is_private) if asked.contacts else "",
            secret=secret_of(self._caller),
            route=route,
            asserted=not self._is_private,
            is_private=self._is_private,
            scheme=SIPS if self._is_secure else scheme_of(way.target.contact),
        )
        extra = (*self._extra, *parts.reach.leave(way, self._caller.id, asked))
        via = parts.reach.via(way, self._mark)
        return shown_request(asked, way.target.contact, via, view, body, parts.is_ours, extra)

    def _gr(self, target: Target, is_private: bool) -> str:
        """Who withholds its identity must not be known again by the token of its device either."""
        return self._parts.seal.target(target, self._parts.salt() if is_private else b"")

    async def _request_body(self, number: int, way: Way, phone: Phone | None) -> tuple[bytes, str]:
        asked = self._asked
        secret = secret_of(self._caller)
        if asked.method != "INVITE":
            return other_body(asked.body, secret, self._user), ""
        mine = leg_kind(asked.body) if self._offers else None
        mine = mine or leg_rules.kind_of(self._exchange.flow.transport)
        other = leg_rules.kind_of(way.target.transport)
        if phone is None:
            phone = self._caller
        both = self._legs[number] = leg_rules.legs(self._caller, mine, phone, other)
        relay = self._parts.bridge.relay(self._id, number, both)
        if relay:  # another flow of a device that was tried already goes on with its session
            relay = self._relays.setdefault(number, relay)
        if relay and asked.body and not self._offers:
            raise MediaRefused("the media relay reads application/sdp alone")
        if not self._offers:
            return other_body(asked.body, secret, self._user), relay
        body, relay = await self._parts.bridge.offer(
            asked.body, both, relay, from_tag=asked.from_.tag or "", to_tag="", secret=secret
        )
        self._relays[number] = relay
        return body, relay

    def takes_time(self, number: int, response: Response) -> bool:
        """See forwarding.Case."""
        if 300 <= response.status < 400:
            return True
        return bool(self._relays.get(number)) and has_sdp(response) and 100 < response.status < 300

    async def body(self, number: int, response: Response) -> bytes:
        """See forwarding.Case."""
        if 300 <= response.status < 400:
            self._redirected[number] = await redirected(self._parts, self._caller, response)
            return response.body
        relay, bridge = self._relays[number], self._parts.bridge
        secret = secret_of(self._phones.get(self._ways[number].target.phone))
        caller_tag, callee_tag = self._asked.from_.tag or "", response.to.tag or ""
        if self._offers:
            return await bridge.answer(
                response.body, relay, from_tag=caller_tag, to_tag=callee_tag, secret=secret
            )
        body, self._relays[number] = await bridge.offer(
            response.body,
            leg_rules.turned(self._legs[number]),
            relay,
            from_tag=callee_tag,
            to_tag=caller_tag,
            secret=secret,
        )
        return body

    def response(self, number: int, response: Response, body: bytes | None) -> Response:
        """See forwarding.Case."""
        parts, asked = self._parts, self._asked
        target = self._reached(number, response)
        secret = secret_of(self._phones.get(target.phone))
        makes_dialog = asked.method in DIALOG_MAKERS and 100 < response.status < 300
        route = ""
        if makes_dialog:
            route = self._callers_route(number, target, response)
        is_private = self._is_callee_private
        if response.headers.get(privacy.HEADER) is not None:
            is_private = is_private or privacy.hides_identity(response)
        view = View(
            from_=self._callee_person,
            to=self._own,
            place=parts.reach.place_on(self._exchange.flow),
            contact=self._callee_user,
            gr=self._gr(target, is_private) if "contact" in response.headers else "",
            secret=secret,
            route=route,
            asserted=100 < response.status < 300 and not is_private,
            is_private=is_private,
            scheme=asked.uri.scheme,
        )
        if body is None:
            body = (
                self._quick_body(number, response, secret)
                if has_sdp(response)
                else other_body(response.body, secret, self._callee_user)
            )
        extra, _ = session.granted(asked, response)
        extra = (*extra, *self._redirected.get(number, ()))
        return shown_response(asked, response, view, body, extra)

    def relayed(self, number: int, response: Response) -> None:
        """See forwarding.Case."""
        if self._call is None or not 200 <= response.status < 300 or self._winner is not None:
            return
        self._winner = number
        parts, asked = self._parts, self._asked
        target = self._reached(number, response)
        line = Line(target, self._shown, self._callee_address)
        callee = Party(
            target.phone,
            self._callee.number,
            self._callee.name,
            target.transport,
            response.to.tag or "",
        )
        _, seconds = session.granted(asked, response)
        media = str(self._legs[number]) if number in self._legs else ""
        parts.calls.answered(self._id, callee, line, media, self._relays.get(number, ""), seconds)
        for other in list(self._relays):
            if other != number:
                self.unwanted(other)

    def refused(self, status: int) -> None:
        """See forwarding.Case."""
        for number in list(self._relays):
            self.unwanted(number)
        if self._call is not None:
            self._parts.calls.refused(self._id, status)

    def unwanted(self, number: int) -> None:
        """See forwarding.Case."""
        if number != self._winner:
            self._parts.bridge.delete(self._relays.pop(number, ""))

    def _reached(self, number: int, response: Response) -> Target:
        """The callee's way back, by the Contact that it gave."""
        target = self._ways[number].target
        contact = response_contact(response, target.contact)
        return replace(target, contact=contact) if contact and contact != target.contact else target

    def _callees_leg(self, number: int, way: Way, relay: str) -> Leg:
        both = self._legs.get(number)
        return Leg(
            self._id,
            sender=way.target.phone,
            receiver=self._caller.id,
            from_=folded(self._dialled, self._phones.get(way.target.phone)),
            to=folded(self._own, self._caller),
            is_caller=False,
            media=str(leg_rules.turned(both)) if both is not None else "",
            relay=relay,
            contact=folded_contact(self._caller_target),
            way=way_of(self._caller_target),
            secure=self._is_secure,
            since=self._since,
        )

    def _callers_route(self, number: int, target: Target, response: Response) -> str:
        """The same in all answers of a branch: a phone keeps that of the first (RFC 3261 section 12.1.2)."""
        is_tagged = bool(response.to.tag)
        about = target, self._relays.get(number, ""), is_tagged
        known = self._routes.get(number)
        if known is None or known[0] != about:
            leg = self._callers_leg(number, target, is_tagged=is_tagged)
            known = self._routes[number] = about, self._parts.seal.leg(leg, self._asked.call_id)
        return known[1]

    def _callers_leg(self, number: int, target: Target, *, is_tagged: bool) -> Leg:
        flow = self._exchange.flow
        return Leg(
            self._id,
            sender=self._caller.id,
            receiver=target.phone,
            from_=self._shown_folded,
            to=folded(self._callee_address, self._phones.get(target.phone)),
            is_caller=True,
            media=str(self._legs[number]) if number in self._legs else "",
            relay=self._relays.get(number, ""),
            origin="" if self._is_registered else origin(self._parts, flow, self._caller),
            contact=folded_contact(target),
            secure=self._is_secure,
            untagged=not is_tagged,
            since=self._since,
        )

    def _quick_body(self, number: int, response: Response, secret: str) -> bytes:
        both = self._legs.get(number)
        turned = leg_rules.turned(both) if both is not None else None
        return quick_sdp(response.body, turned, secret, is_offer=not self._offers)


def _callee_person(callee: Callee, domain: str) -> Person:
    return Person(callee.number, callee.name, domain)
