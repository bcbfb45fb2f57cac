"""From a claim to an answer: who is it, does the digest fit, and then the rules of what was asked."""

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.ports import Clock, Directory
from registrar.rules.auth import Claim, Guard
from registrar.rules.tokens import Hop, Leg

from .answers import BUSY, HERE, OUTSIDE, STALE
from .calling import Calling
from .dialogs import Dialogs
from .flows import Flows
from .hops import Hops
from .network import Exchange
from .register import Register
from .screen import Screen, Verdict


class Dispatch:
    """The way of every request whose sender must be known."""

    def __init__(
        self,
        guard: Guard,
        screen: Screen,
        directory: Directory,
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
        self._register = register
        self._calling = calling
        self._dialogs = dialogs
        self._hops = hops
        self._flows = flows
        self._clock = clock
        self._metrics = metrics

    async def serve(self, exchange: Exchange, verdict: Verdict) -> None:
        """Serve one request to its answer, or until others owe it one."""
        if isinstance(verdict, Leg):
            await self._dialogs.serve(exchange, verdict)
        elif isinstance(verdict, Hop):
            await self._hops.serve(exchange, verdict)
        else:
            await self._authenticate(exchange, verdict)

    async def _authenticate(self, exchange: Exchange, claim: Claim) -> None:
        request, flow = exchange.request, exchange.flow
        username, realm = claim.credentials.username, claim.credentials.realm
        try:
            phone = self._directory.peek(username, realm) or await self._directory.find(username, realm)
        except StoreUnavailable:
            exchange.reply(BUSY)
            return
        if not self._guard.proves(claim, request.method, phone) or phone is None:
            self._metrics.auth("bad")
            exchange.reply(self._screen.challenge(request, flow, self._clock()))
            return
        if not exchange.accept():
            return
        exchange.phone = phone
        self._flows.authenticated(flow, phone)
        answer = await self._register.serve(request, flow, phone, claim)
        if answer is STALE:
            self._metrics.auth("stale")
            exchange.reply(self._screen.challenge(request, flow, self._clock(), stale=True))
            return
        self._metrics.auth("ok")
        if answer is HERE and request.method in OUTSIDE:
            await self._calling.serve(exchange, phone)
        elif answer is HERE and request.uri.user is not None:
            await self._calling.look(exchange, phone)
        else:
            exchange.reply(answer)
