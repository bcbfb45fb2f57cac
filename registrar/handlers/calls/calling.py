"""Requests from one phone to another outside a dialog: INVITE, MESSAGE, SUBSCRIBE, REFER (section 16)."""

from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import CallResult, Devices, Emergency, Feature, FeatureKind, Group, Notice, Phone, Queue
from registrar.rules import forward, session
from registrar.rules.destination import dialled_word
from registrar.rules.features import ReservedWords
from registrar.rules.identity import (
    SIPS,
    hops_left,
    plain,
    secret_of,
)
from registrar.rules.routing import SECURE, allowed, dialled
from registrar.rules.tokens import Target, octets
from registrar.sip import Request, param

from ..answers import (
    BUSY,
    CONTACT_TOO_LONG,
    NO_RELIABLE_RESPONSES,
    NOT_SECURE,
    OFFLINE,
    OUT_OF_HOPS,
    TOO_BRIEF,
    UNKNOWN,
    Answer,
)
from ..method import Method
from ..network import ServerRequest
from .bridging import NOT_ENCRYPTED, Bridge, is_encrypted
from .destinations import Destinations
from .following import Arrival, Followers, Journey
from .forwarding import Forwarder
from .hunting import Hunts
from .new_dialog import NewDialogRequest
from .pickup import Pickup
from .quotas import CallQuotas
from .reach import Reach
from .senders import Senders
from .switches import Switches
from .table import CallTable

DEVICES: Final = 20
"""The most devices that ring at once; more would be a flood, not an extension."""
FOR_CALLS_ALONE: Final = Answer(
    405,
    headers=(("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS"),),
    why="Request-URI: a group, a queue or a feature code takes calls alone",
)
NO_EMERGENCY: Final = Answer(
    503, why="Request-URI: this service has no way to an emergency service; call by another phone"
)
UNENCRYPTED: Final = Answer(488, why=NOT_ENCRYPTED)
MAX_NAMES: Final = 640
"""Octets of From and To together: our tokens hold both, and phones must return them in a header."""


class Calling:
    """Routing of requests outside a dialog: finds the destination and forwards the request."""

    def __init__(
        self,
        destinations: Destinations,
        senders: Senders,
        forwarder: Forwarder,
        reach: Reach,
        bridge: Bridge,
        calls: CallTable,
        hunts: Hunts,
        followers: Followers,
        switches: Switches,
        pickup: Pickup,
        reserved: ReservedWords,
        quotas: CallQuotas,
        *,
        loop_key: bytes,
        alerts: bool,
    ) -> None:
        """Create the handler.

        `loop_key` makes the marks by which a loop is known (section 16.3). `alerts`: phones are told by
        Alert-Info what kind of call it is.
        """
        self._quotas = quotas
        self._switches = switches
        self._pickup = pickup
        self._reserved = reserved
        self._alerts = alerts
        self._destinations = destinations
        self._senders = senders
        self._forwarder = forwarder
        self._reach = reach
        self._bridge = bridge
        self._calls = calls
        self._hunts = hunts
        self._followers = followers
        self._loop_key = loop_key

    async def route(self, incoming: ServerRequest, caller: Phone) -> None:
        """Forward or refuse a request whose digest is right and whose phone may send from its address."""
        request = incoming.request
        mark = forward.loop_mark(self._loop_key, request)
        refused = _refused(request, incoming.method, mark, secret_of(caller))
        if refused is not None:
            incoming.reply(refused)
            return
        journey = Journey()
        refused = self._quotas.too_fast(caller) if incoming.method.is_invite else None
        if refused is not None and not self.is_emergency(incoming):
            incoming.reply(refused)
            return
        try:
            if await self._senders.has_long_contact(request, caller.id):
                incoming.reply(CONTACT_TOO_LONG)
                return
            here = self._senders.target(request, incoming.flow, caller.id)
            if await self._picks_up(incoming, caller, here):
                return
            journey.here = here
            found = await self._arrive(incoming, caller, here, journey)
        except StoreUnavailable:
            incoming.reply(BUSY)
            return
        if isinstance(found, Answer):
            incoming.reply(found)
        elif isinstance(found, Feature):
            await self._serve_feature(incoming, caller, found, here)
        elif (refused := self._may_not(incoming, caller, found)) is not None:
            incoming.reply(refused)
        elif isinstance(found.destination, Devices):
            rewriter = self._rewriter(incoming, caller, found.destination, here, mark, journey)
            await self._ring(incoming, caller, rewriter, found.destination, found, journey)
        else:
            await self._ring_at(incoming, caller, found.destination, here, mark, journey)

    def _may_not(self, incoming: ServerRequest, caller: Phone, found: Arrival) -> Answer | None:
        """Return the answer to an INVITE that breaks a policy, or would be one call too many; else None."""
        if not incoming.method.is_invite:
            return None
        if caller.terms.srtp and not is_encrypted(incoming.request):
            return UNENCRYPTED
        return self._quotas.too_many(caller, found.destination)

    def is_emergency(self, incoming: ServerRequest) -> bool:
        """Return whether a request calls an emergency service: it is served whatever the caller may do."""
        if not incoming.method.is_invite or incoming.method.inside:
            return False
        uri = incoming.request.uri
        if param(uri.params, "gr"):  # that names a device, whatever the user part is: see Destinations.find
            return False
        words = dialled(dialled_word(uri))
        return any(isinstance(self._reserved.destination(word), Emergency) for word in words)

    def _note_emergency(self, caller: Phone, found: Emergency) -> None:
        """Write the event `emergency-call`: operators must learn that such a call did not get through."""
        notice = Notice(
            "emergency-call",
            self._calls.clock(),
            "no-route",
            caller.customer,
            caller.id,
            caller=caller.extension,
            callee=found.service,
            person=caller.person,
        )
        self._calls.note(notice)

    async def _serve_feature(
        self, incoming: ServerRequest, caller: Phone, feature: Feature, here: Target
    ) -> None:
        """Serve a feature code; it takes calls alone."""
        incoming.result = CallResult.FEATURE
        if not incoming.method.is_invite:
            incoming.reply(FOR_CALLS_ALONE)
        elif feature.kind in (FeatureKind.PICKUP, FeatureKind.PICKUP_GROUP):
            await self._pickup.serve(incoming, caller, feature, here)
        else:
            await self._switches.serve(incoming, caller, feature)

    async def _picks_up(self, incoming: ServerRequest, caller: Phone, here: Target) -> bool:
        """Serve an INVITE whose Replaces names a call that rings, and return whether it did."""
        if not incoming.method.is_invite or incoming.request.headers.get("replaces") is None:
            return False
        if self.is_emergency(incoming):  # it may come from a phone that may do nothing else
            return False
        incoming.result = CallResult.FEATURE
        has_picked_up = await self._pickup.replaces(incoming, caller, here)
        if not has_picked_up:
            incoming.result = None
        return has_picked_up

    async def _arrive(
        self, incoming: ServerRequest, caller: Phone, here: Target, journey: Journey
    ) -> Arrival | Feature | Answer:
        """Return where a request goes, or the answer that ends it. Raises StoreUnavailable."""
        found, targets = await self._destinations.find(incoming.request, caller, here)
        if isinstance(found, Group | Queue):
            incoming.called = found
            return Arrival(found, [])
        if isinstance(found, Feature):
            return found
        if isinstance(found, Emergency):
            incoming.result = CallResult.EMERGENCY
            self._note_emergency(caller, found)
            return NO_EMERGENCY
        if not isinstance(found, Devices):
            return UNKNOWN
        incoming.called = found
        if not incoming.method.is_invite or not found.person:
            return self._allowed(incoming, Arrival(found, targets))
        arrival = await self._followers.arrive(caller, found, targets, journey)
        if isinstance(arrival, Arrival) and isinstance(arrival.destination, Devices):
            return self._allowed(incoming, arrival)
        return arrival

    def _allowed(self, incoming: ServerRequest, arrival: Arrival) -> Arrival | Answer:
        """Return the devices that the request may be sent to, or the answer if there is none."""
        if not arrival.targets:
            return OFFLINE
        is_secure = incoming.request.uri.scheme == SIPS
        targets = allowed(arrival.targets, self._reach.secure_nodes, is_secure=is_secure)
        if not targets or (is_secure and incoming.flow.transport not in SECURE):
            return NOT_SECURE
        return Arrival(arrival.destination, targets[:DEVICES], arrival.wishes)

    async def _ring(
        self,
        incoming: ServerRequest,
        caller: Phone,
        rewriter: NewDialogRequest,
        callee: Devices,
        arrival: Arrival,
        journey: Journey,
    ) -> None:
        """Forward a request to the devices of a person."""
        targets, wishes = arrival.targets, arrival.wishes
        if wishes.cfb or wishes.cfnr:
            await self._followers.ring(incoming, rewriter, caller, callee, wishes, journey, targets)
            return
        redirected = None
        if incoming.method.is_invite:
            redirected = self._followers.follows(incoming, rewriter, caller, callee, journey)
        await self._forwarder.forward(incoming, rewriter, caller.id, targets, redirected=redirected)

    def _rewriter(
        self,
        incoming: ServerRequest,
        caller: Phone,
        callee: Devices,
        here: Target,
        mark: str,
        journey: Journey,
        via: Group | Queue | None = None,
    ) -> NewDialogRequest:
        return NewDialogRequest(
            self._reach,
            self._senders,
            self._destinations,
            self._bridge,
            self._calls,
            incoming,
            caller,
            callee,
            here,
            mark,
            via,
            alerts=self._alerts and incoming.method.is_invite,
            more=journey.said,
        )

    async def _ring_at(
        self,
        incoming: ServerRequest,
        caller: Phone,
        called: Group | Queue,
        here: Target,
        mark: str,
        journey: Journey,
    ) -> None:
        """Let an INVITE ring at a group or queue; no other request goes to one."""
        request = incoming.request
        if not incoming.method.is_invite:
            incoming.reply(FOR_CALLS_ALONE)
            return
        if forward.requires(request, "100rel"):
            incoming.reply(NO_RELIABLE_RESPONSES)
            return
        is_secure = request.uri.scheme == SIPS
        if is_secure and incoming.flow.transport not in SECURE:
            incoming.reply(NOT_SECURE)
            return
        devices = Devices(called.number, called.name)
        rewriter = self._rewriter(incoming, caller, devices, here, mark, journey, called)
        await self._hunts.begin(incoming, rewriter, caller, called, is_secure=is_secure)

    async def look(self, incoming: ServerRequest, caller: Phone, capabilities: Answer) -> None:
        """Answer an OPTIONS about a number: 404 if unknown, 480 if offline, else with our `capabilities`.

        Call it only for a phone that has proved its identity (RFC 3261 section 11.2).
        """
        try:
            callee, targets = await self._destinations.find(incoming.request, caller, None)
        except StoreUnavailable:
            incoming.reply(BUSY)
            return
        if isinstance(callee, Group | Queue | Feature | Emergency):
            incoming.reply(capabilities)
        elif isinstance(callee, Devices):
            incoming.reply(capabilities if targets else OFFLINE)
        else:
            incoming.reply(UNKNOWN)


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
