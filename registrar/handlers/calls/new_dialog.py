"""A request outside a dialog: how the callees see it, and how the caller sees the responses."""

from dataclasses import dataclass, replace
from typing import Final

from registrar.model import Call, CallState, Devices, Group, Party, Phone, Queue
from registrar.rules import forward, privacy, session
from registrar.rules import legs as leg_rules
from registrar.rules.caller_name import caller_name
from registrar.rules.destination import dialled_word
from registrar.rules.edges import recorded
from registrar.rules.identity import (
    ANONYMOUS,
    AS_SHOWN,
    AS_WITHHELD,
    SIP,
    SIPS,
    WITHHELD_IDENTITY,
    Identity,
    PresentedHeaders,
    escape,
    folded,
    identity_of,
    plain,
    scheme_of,
    secret_of,
    shown_response,
)
from registrar.rules.legs import is_browser
from registrar.rules.routing import SECURE, folded_contact, way_of
from registrar.rules.tokens import DialogHandle, RouteToken, Target
from registrar.sip import Request, Response, quote, split

from ..network import ServerRequest
from .bridging import Bridge, has_sdp, other_body, packed
from .destinations import Destinations
from .reach import Reach, Way
from .rewriter import Ringing
from .senders import Senders, response_contact
from .sessions import Sessions
from .table import CallTable

ALERT_INFO: Final = "Alert-Info"
ALERT: Final = "<http://registrar.invalid>;info=alert-{};x-line-id=0"
"""Phones choose a ring tone by this text (RFC 3261 section 20.4)."""
ANSWER_ITSELF: Final = (
    (ALERT_INFO, "<http://registrar.invalid>;info=alert-autoanswer;delay=0"),
    ("Call-Info", "<http://registrar.invalid>;answer-after=0"),
    ("Answer-Mode", "Auto"),
)
"""The headers by which phones answer by themselves: each brand knows another one (Answer-Mode: RFC 5373)."""


class NewDialogRequest:
    """The messages of one request outside a dialog.

    Implements rewriter.MessageRewriter, and rewriter.RingingCall until the final answer.
    """

    def __init__(  # noqa: PLR0915  # it only keeps what the messages are made of
        self,
        reach: Reach,
        senders: Senders,
        destinations: Destinations,
        bridge: Bridge,
        calls: CallTable,
        incoming: ServerRequest,
        caller: Phone,
        callee: Devices,
        caller_target: Target,
        mark: str,
        via: Group | Queue | None = None,
        *,
        alerts: bool = False,
        more: session.Extra = (),
    ) -> None:
        """Prepare the request; `mark` begins the branches of this request (rules.forward.loop_mark).

        `via`: the call is to this group or queue, `callee` has its number and name, and each phone that rings
        is told to `rings_at` before. `alerts`: phones are told by Alert-Info what kind of call it is.
        `more` are headers that all branches have.
        """
        self._reach = reach
        self._senders = senders
        self._destinations = destinations
        self._calls = calls
        self._incoming = incoming
        self._asked = incoming.request
        self._caller = caller
        self._callee = callee
        self._caller_target = caller_target
        self._phones = {phone.id: phone for phone in callee.phones}
        self._via = via
        self._people: dict[str, Devices] = {}
        """The people of a group or queue, by the ids of their phones."""
        self._particular: dict[int, _Particular] = {}
        """The branches whose request differs from the others."""
        self._is_registered = senders.is_registered(incoming.flow, caller.id)
        self._own = plain(self._asked.from_)
        """The caller's address as the caller knows it."""
        self._dialled = plain(self._asked.to)
        self._is_private = privacy.is_anonymous(self._asked)
        self._shown = WITHHELD_IDENTITY if self._is_private else str(identity_of(caller))
        """The caller as callees see it. The record of the call names the caller even if it is anonymous."""
        self._user = ANONYMOUS if self._is_private else identity_of(caller).user
        self._shown_folded = AS_WITHHELD if self._is_private else AS_SHOWN
        self._callee_user = escape(callee.number) or "anonymous"
        self._callee_address = f"<sip:{self._callee_user}@{caller.domain}>"
        """The callee's address as both the callee and the caller know it."""
        self._callee_person = str(_callee_person(callee, caller.domain))
        self._is_callee_private = self._asked.uri.user == ANONYMOUS
        """Whether the callee is the device of a party that withholds its identity in another call."""
        if self._is_callee_private:
            self._callee_user = ANONYMOUS
        self._mark = mark
        self._extra = (session.asked(self._asked) if incoming.method.has_timer else ()) + more
        if alerts:
            self._extra += ((ALERT_INFO, ALERT.format("group" if via is not None else "internal")),)
        self._id = calls.new_id() if incoming.method.is_invite else ""
        self._sessions = Sessions(bridge, self._id, self._asked, incoming.flow, caller, secret_of(caller))
        self._ways: dict[int, Way] = {}
        self._shifts: dict[int, int] = {}
        """Branch -> by how much its CSeq is higher, because its device has rung for this call before."""
        self._rung: dict[tuple[str, str], list[int]] = {}
        """Device -> the branches that have rung there."""
        self._routes: dict[int, tuple[tuple[Target, str, bool], str]] = {}
        self._redirected: dict[int, tuple[tuple[str, str], ...]] = {}
        self._is_secure = self._asked.uri.scheme == SIPS
        """Whether the request was made to a `sips:` URI: then only TLS and WSS are used."""
        self._since = 0 if self._id else int(calls.clock())
        self._winner: int | None = None
        self._ringing: Ringing | None = None
        """The forwarding until the final answer; not longer, for it has a reference to this object."""
        self._call: Call | None = None

    def begin(self, ringing: Ringing) -> None:
        """Record the call, if the request is an INVITE."""
        if not self._id:
            return
        calls, asked, caller = self._calls, self._asked, self._caller
        self._call = Call(
            id=self._id,
            call_id=asked.call_id,
            customer=caller.customer,
            domain=caller.domain,
            caller=Party(
                caller.id,
                caller.extension or identity_of(caller).user,
                caller.name,
                self._incoming.flow.transport,
                asked.from_.tag or "",
                cseq=asked.cseq[0],
                person=caller.person,
            ),
            callee=Party("", self._callee.number, self._callee.name, person=self._callee.person),
            state=CallState.RINGING,
            started_at=calls.clock(),
            process=calls.process,
            via=self._via.number if self._via is not None else "",
            via_name=self._via.name if self._via is not None else "",
            is_private=self._is_private,
            dialled=dialled_word(asked.uri),
        )
        self._incoming.call = self._id
        handle = DialogHandle(self._caller_target, self._dialled, self._own)
        is_watched = self._is_registered or self._incoming.flow.transport != "udp"
        self._ringing = ringing
        calls.begin(self._call, handle, self, is_watched=is_watched)

    # rewriter.RingingCall

    def end(self, status: int) -> None:
        """See rewriter.RingingCall."""
        if self._ringing is not None:
            self._ringing.end(status)

    def pick_up(self, person: Devices, target: Target) -> bool:
        """See rewriter.RingingCall."""
        if self._ringing is None or (self._is_secure and target.transport not in SECURE):
            return False
        number = self._ringing.add_later(target)
        if number is not None:
            self.rings_at(number, person, extra=ANSWER_ITSELF)
        return number is not None

    @property
    def call(self) -> str:
        """Return the id of the call; empty if the request is no INVITE."""
        return self._id

    def asserted_group(self) -> tuple[str, str]:
        """Return the header that names the group or queue to the caller while its phones ring."""
        return "P-Asserted-Identity", self._callee_person

    @property
    def is_secure(self) -> bool:
        """Return whether the request was made to a `sips:` URI."""
        return self._is_secure

    def goes_to(self, via: Group | Queue) -> None:
        """Note that the call has been forwarded to a group or queue."""
        self._via = via
        self._callee_person = str(Identity(via.number, via.name, self._caller.domain))

    def rings_at(self, number: int, person: Devices, form: str = "", extra: session.Extra = ()) -> None:
        """Note the person at whom a branch rings, and what differs in its request.

        `form` is the format of the caller's name (rules.caller_name), and `extra` are headers.
        """
        for phone in person.phones:
            self._people[phone.id] = person
            self._phones[phone.id] = phone
        if form or extra:
            shown = self._named(form) if form else self._shown
            self._particular[number] = _Particular(shown, extra)

    def _named(self, form: str) -> str:
        """Return the caller with the name that a `callerNameFormat` makes; the URI stays as it is."""
        number = ANONYMOUS if self._is_private else identity_of(self._caller).number
        name = caller_name(form, display_name=(self._via or self._callee).name, number=number)
        address = self._shown[self._shown.index("<") :]
        return f"{quote(name)} {address}" if name else address

    # rewriter.MessageRewriter

    async def request(self, number: int, way: Way) -> Request:
        """See rewriter.MessageRewriter."""
        reach, asked = self._reach, self._asked
        phone, particular = self._phones.get(way.target.phone), self._particular.get(number)
        shift = self._shifts[number] = self._rung_before(number, way.target)
        body, typed = await self._request_body(number, way, phone or self._caller)
        self._ways[number] = way
        route = ""
        if self._incoming.method.records_route:
            route = reach.route(self._callees_token(number, way), asked.call_id)
        presented = PresentedHeaders(
            from_=self._shown if particular is None else particular.shown,
            to=self._callee_address,
            place=reach.place(way),
            contact=self._user,
            gr=reach.gr(self._caller_target, is_private=self._is_private) if asked.contacts else "",
            secret=secret_of(self._caller),
            route=route,
            asserted=not self._is_private,
            is_private=self._is_private,
            scheme=SIPS if self._is_secure else scheme_of(way.target.contact),
        )
        extra = (*self._extra, *typed)
        if self._via is not None:
            extra += _without_100rel(asked)
        if particular is not None:
            extra = tuple(row for row in extra if row[0] not in dict(particular.extra))
            extra += particular.extra
        extra += forward.shifted(asked, shift)
        uri, caller = way.target.contact, self._caller.id
        return reach.show(asked, uri, way, presented, body, extra, caller=caller, mark=self._mark)

    async def _request_body(self, number: int, way: Way, phone: Phone) -> tuple[bytes, session.Extra]:
        """Return the body for one branch and the headers that go with it."""
        asked, secret = self._asked, secret_of(self._caller)
        made = await self._sessions.offer(number, way.target, phone) if self._id else None
        if made is None:
            return other_body(asked.body, secret, self._user), ()
        return packed(asked, made, secret, self._user, alone=is_browser(way.target.transport))

    def takes_time(self, number: int, response: Response) -> bool:
        """See rewriter.MessageRewriter."""
        return 300 <= response.status < 400 or self._sessions.takes_time(number, response)

    async def body(self, number: int, response: Response) -> bytes:
        """See rewriter.MessageRewriter."""
        if 300 <= response.status < 400:
            self._redirected[number] = await self._destinations.redirected(self._caller, response)
            return response.body
        secret = secret_of(self._phones.get(self._ways[number].target.phone))
        return await self._sessions.answer(number, response, secret)

    def offers_again(self, number: int, response: Response) -> float | None:
        """See rewriter.MessageRewriter."""
        return self._sessions.offers_again(number, response.status)

    def response(self, number: int, response: Response, body: bytes | None) -> Response:
        """See rewriter.MessageRewriter."""
        reach, asked = self._reach, self._asked
        target = self._reached(number, response)
        secret = secret_of(self._phones.get(target.phone))
        makes_dialog = self._incoming.method.records_route and 100 < response.status < 300
        route = ""
        if makes_dialog:
            route = self._callers_route(number, target, response)
        is_private = self._is_callee_private
        if response.headers.get(privacy.HEADER) is not None:
            is_private = is_private or privacy.hides_identity(response)
        person = self._people.get(target.phone)
        presented = PresentedHeaders(
            from_=self._callee_person if person is None else str(_callee_person(person, self._caller.domain)),
            to=self._own,
            place=reach.place_on(self._incoming.flow),
            contact=self._callee_user,
            gr=reach.gr(target, is_private=is_private) if "contact" in response.headers else "",
            secret=secret,
            route=route,
            asserted=100 < response.status < 300 and not is_private,
            is_private=is_private,
            scheme=SIPS if self._is_secure else SIP,
        )
        body, typed = self._response_body(number, response, body, secret)
        extra = session.granted(asked, response)[0] if self._incoming.method.has_timer else ()
        extra = (*extra, *typed, *self._redirected.get(number, ()))
        if route and self._incoming.flow.hop_ip:
            extra += recorded(asked, self._incoming.flow)
        return shown_response(asked, response, presented, body, extra)

    def _response_body(
        self, number: int, response: Response, made: bytes | None, secret: str
    ) -> tuple[bytes, session.Extra]:
        """Return the body that goes back, and its headers; `made` is the relay's description, if any."""
        if not has_sdp(response) or not self._id:
            return other_body(response.body, secret, self._callee_user), ()
        if made is None:
            made = self._sessions.quick(number, response, secret)
        self._sessions.shown(number, response, made, self._ways[number].target)
        alone = is_browser(self._incoming.flow.transport)
        return packed(response, made, secret, self._callee_user, alone=alone)

    def relayed(self, number: int, response: Response) -> None:
        """See rewriter.MessageRewriter."""
        if self._call is None or not 200 <= response.status < 300 or self._winner is not None:
            return
        self._winner, self._ringing = number, None
        asked = self._asked
        target = self._reached(number, response)
        handle = DialogHandle(target, self._shown, self._callee_address)
        person = self._people.get(target.phone, self._callee)
        callee = Party(
            target.phone,
            person.number,
            person.name,
            target.transport,
            response.to.tag or "",
            person=person.person,
        )
        _, seconds = session.granted(asked, response)
        both = self._sessions.legs(number)
        media = str(both) if both is not None else ""
        relay, shift = self._sessions.relay(number), self._shift(number)
        rung = self._rung_people()
        self._calls.note_answer(self._id, callee, handle, media, relay, seconds, shift, rung)
        self._sessions.taken(number, self._ways[number].target)
        for other in self._sessions.branches:
            if other != number:
                self.unwanted(other)

    def refused(self, status: int, why: str = "") -> None:
        """See rewriter.MessageRewriter."""
        self._ringing = None
        for number in self._sessions.branches:
            self.unwanted(number)
        if self._call is not None:
            self._calls.refused(self._id, status, why, self._rung_people())

    def _rung_people(self) -> tuple[str, ...]:
        """Return the people at whom the call rang; of a call to one person, who is its callee, none."""
        return tuple({one.person: None for one in self._people.values()}) if self._people else ()

    def unwanted(self, number: int) -> None:
        """See rewriter.MessageRewriter."""
        if number != self._winner:
            self._sessions.drop(number)

    def _reached(self, number: int, response: Response) -> Target:
        """Return the callee's target, with the Contact of its response if there is a usable one."""
        target = self._ways[number].target
        contact = response_contact(response, target.contact)
        return replace(target, contact=contact) if contact and contact != target.contact else target

    def _callees_token(self, number: int, way: Way) -> RouteToken:
        both = self._sessions.legs(number)
        return RouteToken(
            self._id,
            sender=way.target.phone,
            receiver=self._caller.id,
            from_=folded(self._dialled, self._phones.get(way.target.phone)),
            to=folded(self._own, self._caller),
            is_caller=False,
            media=str(leg_rules.turned(both)) if both is not None else "",
            relay=self._sessions.relay(number),
            contact=folded_contact(self._caller_target),
            way=way_of(self._caller_target),
            secure=self._is_secure,
            since=self._since,
        )

    def _shift(self, number: int) -> str:
        """Return the shift of the CSeq of a branch, as a token has it."""
        return str(self._shifts.get(number) or "")

    def _rung_before(self, number: int, target: Target) -> int:
        """Return how many other branches have rung at this device before."""
        device = target.phone, target.instance or target.registered or target.contact
        numbers = self._rung.setdefault(device, [])
        if number not in numbers:
            numbers.append(number)
        return numbers.index(number)

    def _callers_route(self, number: int, target: Target, response: Response) -> str:
        """Return the route token for the caller, the same in all responses of a branch.

        A phone keeps the route of the first response (RFC 3261 section 12.1.2).
        """
        is_tagged = bool(response.to.tag)
        about = target, self._sessions.relay(number), is_tagged
        known = self._routes.get(number)
        if known is None or known[0] != about:
            token = self._callers_token(number, target, is_tagged=is_tagged)
            known = self._routes[number] = about, self._reach.route(token, self._asked.call_id)
        return known[1]

    def _callers_token(self, number: int, target: Target, *, is_tagged: bool) -> RouteToken:
        flow, both = self._incoming.flow, self._sessions.legs(number)
        return RouteToken(
            self._id,
            sender=self._caller.id,
            receiver=target.phone,
            from_=self._shown_folded,
            to=folded(self._callee_address, self._phones.get(target.phone)),
            is_caller=True,
            media=str(both) if both is not None else "",
            relay=self._sessions.relay(number),
            origin="" if self._is_registered else self._senders.origin(flow, self._caller),
            contact=folded_contact(target),
            secure=self._is_secure,
            untagged=not is_tagged,
            since=self._since,
            shift=self._shift(number),
        )


@dataclass(frozen=True, slots=True)
class _Particular:
    """What differs in the request of one branch."""

    shown: str
    """The caller as the callee sees it."""
    extra: session.Extra


def _without_100rel(asked: Request) -> session.Extra:
    """Return the Supported header without 100rel: no reliable response of a member would be acknowledged."""
    tags = [tag for row in asked.headers.all("supported") for tag in split(row, ",")]
    kept = [tag for tag in tags if tag.lower() != "100rel"]
    return (("Supported", ", ".join(kept)),) if len(kept) < len(tags) else ()


def _callee_person(callee: Devices, domain: str) -> Identity:
    return Identity(callee.number, callee.name, domain)
