"""From a claim to an answer: find the phone, check its digest, and apply the rules of the method."""

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Phone
from registrar.ports import Clock, Directory
from registrar.rules.auth import Claim, Guard
from registrar.rules.tokens import Hop, Leg

from .answers import BUSY, HERE, NOT_ITS_PHONE, OUTSIDE, STALE
from .calls.calling import Calling
from .calls.dialogs import Dialogs
from .calls.node_relay import Hops
from .checks import Screen, Verdict
from .gate import Gate
from .network import Exchange
from .registration.flows import Flows
from .registration.register import Register


class Dispatch:
    """The path of every request whose sender must be known."""

    def __init__(
        self,
        guard: Guard,
        screen: Screen,
        directory: Directory,
        gate: Gate,
        register: Register,
        calling: Calling,
        dialogs: Dialogs,
        hops: Hops,
        flows: Flows,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._guard = guard
        self._screen = screen
        self._directory = directory
        self._gate = gate
        self._register = register
        self._calling = calling
        self._dialogs = dialogs
        self._hops = hops
        self._flows = flows
        self._clock = clock
        self._metrics = metrics

    async def serve(self, exchange: Exchange, verdict: Verdict) -> None:
        """Serve one request until it is answered, or until another handler owes the answer."""
        if isinstance(verdict, Leg):
            if not await self._dialogs.serve(exchange, verdict):
                await self._prove(exchange, verdict)
        elif isinstance(verdict, Hop):
            await self._hops.serve(exchange, verdict)
        else:
            await self._go_on(exchange, verdict)

    async def _go_on(self, exchange: Exchange, claim: Claim) -> None:
        """Authenticate a request outside a dialog; serve it unless the registrar answers it."""
        phone, request = await self._authenticate(exchange, claim), exchange.request
        if phone is None:
            return
        if request.method in OUTSIDE:
            await self._calling.serve(exchange, phone)
        elif request.uri.user is not None:
            await self._calling.look(exchange, phone)
        else:
            exchange.reply(HERE)

    async def _prove(self, exchange: Exchange, leg: Leg) -> None:
        """Authenticate and serve a request of a dialog that came another way.

        It came by a new connection, or a NAT gave it another port.
        """
        request, flow = exchange.request, exchange.flow
        claim = self._guard.claim(request, flow.remote_ip)
        if claim is None:
            self._metrics.auth("challenge")
            exchange.reply(self._screen.challenge(request, flow, self._clock()))
            return
        phone = await self._authenticate(exchange, claim)
        if phone is not None and phone.id == leg.sender:
            await self._dialogs.go_on(exchange, leg, phone)
        elif phone is not None:
            exchange.reply(NOT_ITS_PHONE)

    async def _authenticate(self, exchange: Exchange, claim: Claim) -> Phone | None:
        """Return the phone whose request must be served further, or None if nothing more is to be done."""
        request, flow = exchange.request, exchange.flow
        credentials, now = claim.credentials, self._clock()
        if not claim.nonce.usable(now):
            # RFC 7616 section 3.3. The digest is not checked: that guess would not be counted.
            self._metrics.auth("stale")
            exchange.reply(self._screen.challenge(request, flow, now, stale=True))
            return None
        phone = None
        if self._gate.sure.get((flow.remote_ip, credentials.username, credentials.realm), 0.0) > now:
            try:
                phone = self._directory.peek(
                    credentials.username, credentials.realm
                ) or await self._directory.find(credentials.username, credentials.realm)
            except StoreUnavailable:
                exchange.reply(BUSY)
                return None
        if phone is None or not self._guard.proves(claim, request.method, phone):
            phone = await self._gate.prove(exchange, claim)
            if phone is None:
                return None
        if not exchange.accept():
            return None
        exchange.phone = phone
        self._flows.authenticated(flow, phone)
        answer = await self._register.serve(request, flow, phone, claim)
        if answer is STALE:
            self._metrics.auth("stale")
            exchange.reply(self._screen.challenge(request, flow, self._clock(), stale=True))
            return None
        self._metrics.auth("ok")
        if answer is HERE:
            return phone
        exchange.reply(answer)
        return None
