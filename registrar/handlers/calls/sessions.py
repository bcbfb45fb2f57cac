"""The media sessions of one INVITE outside a dialog, on each of its branches."""

from dataclasses import replace
from typing import Final

from registrar.errors import MalformedMessage, MediaRefused
from registrar.model import Flow, LegKind, Phone
from registrar.rules import legs as leg_rules
from registrar.rules.legs import Legs
from registrar.rules.media import Side
from registrar.rules.register import WEBSOCKETS
from registrar.rules.sdp import is_encrypted, leg_kind, media_address
from registrar.rules.tokens import Target
from registrar.sip import Request, Response, parse_uri

from .bridging import NOT_ENCRYPTED, Bridge, has_sdp, quick_sdp, sdp_of
from .late_answers import readable_tag
from .offers import is_reliable

REFUSED_MEDIA: Final = frozenset({415, 488})
MERGED: Final = 482
"""Status of a stack that takes the second offer for the first request on another path.

See RFC 3261 section 8.2.2.2.
"""
MERGED_SECONDS: Final = 6.0
"""Wait before the next try: over UDP the stack remembers the first request for timer I, 5 s."""


class Sessions:
    """The offers to each phone, and the answers as the caller sees them."""

    def __init__(
        self, bridge: Bridge, call: str, asked: Request, flow: Flow, caller: Phone, secret: str
    ) -> None:
        """Prepare the sessions.

        `call` names the call at the relay. `secret` is the caller's username if no other phone may see it.
        """
        self._bridge = bridge
        self._translates = bridge.translates
        self._call = call
        self._asked = asked
        self._caller = caller
        self._secret = secret
        self._tag = asked.from_.tag or ""
        self._offer = sdp_of(asked) if has_sdp(asked) else b""
        self._caller_side = self._side_of_caller(flow)
        self._relays: dict[int, str] = {}
        self._legs: dict[int, Legs] = {}
        self._kinds: dict[int, LegKind] = {}
        """The kind of the next offer on a branch, after another kind was refused."""
        self._waited: set[int] = set()
        """Branches on which the second offer was taken for the first request."""
        self._settled: dict[tuple[int, str], bytes] = {}
        """The description that the caller got in a reliable response, by branch and tag.

        Later responses only repeat it.
        """

    def relay(self, number: int) -> str:
        """Return the relay's session of a branch, empty if it has none."""
        return self._relays.get(number, "")

    def legs(self, number: int) -> Legs | None:
        """Return what both sides of a branch speak, as the caller sees it; None before `offer`."""
        return self._legs.get(number)

    @property
    def branches(self) -> list[int]:
        """Return the branches that have a session at the relay."""
        return list(self._relays)

    async def offer(self, number: int, target: Target, callee: Phone) -> bytes | None:
        """Return the offer for one branch, or None if the INVITE has none.

        Raises MediaRefused, StoreUnavailable.
        """
        if callee.terms.srtp:
            self._refuse_plain(number, target)
        both, relay = self._planned(number, target, callee)
        if relay:  # a branch that is tried again over another flow keeps its session
            relay = self._relays[number] = self._relays.get(number) or relay
        if not self._offer:
            if relay and self._asked.body:
                raise MediaRefused("Content-Type: the media relay reads application/sdp alone")
            return None
        made, relay = await self._bridge.offer(
            self._offer, both, relay, from_tag=self._tag, to_tag="", secret=self._secret
        )
        if relay:
            self._relays[number] = relay
        if callee.terms.srtp and not is_encrypted(made):
            raise MediaRefused(NOT_ENCRYPTED)
        return made

    def _refuse_plain(self, number: int, target: Target) -> None:
        """Let a branch have encrypted media alone. Raise MediaRefused if that is impossible.

        The relay encrypts what a desk phone gets. Without a relay, the offer itself must be encrypted.
        """
        if not self._offer or not (self._translates or is_encrypted(self._offer)):
            raise MediaRefused(NOT_ENCRYPTED)
        has_dtls = self._bridge.habits.kind(target.phone, target.contact) is LegKind.DTLS
        if target.transport not in WEBSOCKETS and not has_dtls:
            self._kinds[number] = LegKind.SRTP

    def _planned(self, number: int, target: Target, callee: Phone) -> tuple[Legs, str]:
        mine, other = self._caller_side, self._side_of_callee(number, target)
        both = leg_rules.legs(self._caller, mine.kind, callee, other.kind)
        if mine.is_v6 or other.is_v6 or not self._offer:
            both = replace(both, mine_v6=mine.is_v6, other_v6=other.is_v6, late=not self._offer)
        self._legs[number] = both
        return both, self._bridge.relay(self._call, number, mine, other)

    def _side_of_caller(self, flow: Flow) -> Side:
        kind = leg_rules.offerers_kind(flow.transport, leg_kind(self._offer) if self._offer else None)
        if not self._translates:
            return Side(kind)
        habits, phone, public = self._bridge.habits, self._caller.id, flow.remote_ip
        if self._offer:
            habits.said(phone, public, media_address(self._offer))
        media = habits.media_address(phone, public)
        if not media and self._asked.contacts:
            media = _own_address(str(self._asked.contacts[0].uri))
        return Side(kind, public, media)

    def _side_of_callee(self, number: int, target: Target) -> Side:
        if not self._translates or target.transport in WEBSOCKETS:
            return Side(leg_rules.answerers_kind(target.transport, self._caller_side.kind, None))
        habits = self._bridge.habits
        known = self._kinds.get(number) or habits.kind(target.phone, target.contact)
        kind = leg_rules.answerers_kind(target.transport, self._caller_side.kind, known)
        media = habits.media_address(target.phone, target.ip) or _own_address(target.contact)
        return Side(kind, target.ip, media)

    # Answers

    def takes_time(self, number: int, response: Response) -> bool:
        """Return whether the relay must be asked about a response."""
        if not self._relays.get(number) or not 100 < response.status < 300 or not has_sdp(response):
            return False
        return not self._settled or (number, readable_tag(response)) not in self._settled

    async def answer(self, number: int, response: Response, secret: str) -> bytes:
        """Return the description in a response as the caller must see it.

        Raises MediaRefused, StoreUnavailable.
        """
        tag = response.to.tag or ""
        settled = self._settled.get((number, tag))
        if settled is not None:
            return settled
        text, relay = sdp_of(response), self._relays[number]
        if self._offer:
            return await self._bridge.answer(text, relay, from_tag=self._tag, to_tag=tag, secret=secret)
        turned = leg_rules.turned(self._said_late(number, text))
        made, self._relays[number] = await self._bridge.offer(
            text, turned, relay, from_tag=tag, to_tag=self._tag, secret=secret
        )
        return made

    def quick(self, number: int, response: Response, secret: str) -> bytes:
        """Return the same as `answer` if the relay need not be asked."""
        settled = self._settled.get((number, readable_tag(response) or ""))
        if settled is not None:
            return settled
        both = self._legs.get(number)
        turned = leg_rules.turned(both) if both is not None else None
        return quick_sdp(sdp_of(response), turned, secret, is_offer=not self._offer)

    def shown(self, number: int, response: Response, made: bytes, target: Target) -> None:
        """Note what the description in a relayed response says about its phone; `made` is what goes back."""
        bridge = self._bridge
        if is_reliable(response):
            key = number, response.to.tag or ""
            is_first = key not in self._settled
            bridge.offers.note(self._asked, response, is_offer=is_first and not self._offer)
            self._settled[key] = made
        if self._translates and target.transport not in WEBSOCKETS:
            bridge.habits.said(target.phone, target.ip, media_address(sdp_of(response)))

    def _said_late(self, number: int, text: bytes) -> Legs:
        """Return what both sides speak, now that the callee has described it."""
        both, said = self._legs[number], leg_kind(text)
        if said is not None and both.other is not LegKind.WEBRTC:
            both = self._legs[number] = replace(both, other=said)
        return both

    # Another offer

    def offers_again(self, number: int, status: int) -> float | None:
        """Return in how many seconds a phone that refused an offer gets one of another kind; None: never.

        It gets one, and the same once more if its stack had not forgotten the first request yet.
        """
        both = self._legs.get(number)
        if number in self._kinds:
            waits = status == MERGED and number not in self._waited
            self._waited.add(number)
            return MERGED_SECONDS if waits else None
        if status not in REFUSED_MEDIA or both is None or not self._offer:
            return None
        other = leg_rules.other_profile(both.other) if self._translates else None
        if other is None:
            return None
        self._kinds[number] = other
        return 0.0

    def taken(self, number: int, target: Target) -> None:
        """Note that a phone accepted the call: that binding is not offered the refused kind again."""
        kind = self._kinds.get(number)
        if kind is not None:
            self._bridge.habits.took(target.phone, target.contact, kind)

    def drop(self, number: int) -> None:
        """Delete the relay's session of a branch, if there is one."""
        self._bridge.delete(self._relays.pop(number, ""))


def _own_address(contact: str) -> str:
    """Return the IP address in the Contact of a phone; empty if the Contact has a name instead."""
    try:
        host = parse_uri(contact).host_key if contact else ""
    except MalformedMessage:
        return ""
    return host if ":" in host or host.replace(".", "").isdigit() else ""
