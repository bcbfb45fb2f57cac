"""From a claim to an answer: who is it, does the digest fit, and then the registrar's rules."""

from typing import Protocol

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Flow, Phone
from registrar.ports import Clock, Directory
from registrar.rules.auth import Claim, Guard
from registrar.sip import Request

from .answers import BUSY, STALE, Answer
from .flows import Flows
from .register import Register
from .screen import Screen


class Exchange(Protocol):
    """One request on its way, as the driver sees it."""

    request: Request
    flow: Flow

    def accept(self) -> bool:
        """Make the server transaction. False: a twin of this request is being served, say nothing."""

    def reply(self, answer: Answer) -> None:
        """Send the answer: by the transaction when there is one, else statelessly."""


class Dispatch:
    """The way of every request that carries credentials of ours."""

    def __init__(
        self,
        guard: Guard,
        screen: Screen,
        directory: Directory,
        register: Register,
        flows: Flows,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._guard = guard
        self._screen = screen
        self._directory = directory
        self._register = register
        self._flows = flows
        self._clock = clock
        self._metrics = metrics

    async def serve(self, exchange: Exchange, claim: Claim) -> Phone | None:
        """Answer one request; gives the phone whose it was, None when the digest was not right."""
        request, flow = exchange.request, exchange.flow
        username, realm = claim.credentials.username, claim.credentials.realm
        try:
            phone = self._directory.peek(username, realm) or await self._directory.find(username, realm)
        except StoreUnavailable:
            exchange.reply(BUSY)
            return None
        if not self._guard.proves(claim, request.method, phone) or phone is None:
            self._metrics.auth("bad")
            exchange.reply(self._screen.challenge(request, flow, self._clock()))
            return None
        if not exchange.accept():
            return None
        self._flows.authenticated(flow, phone)
        answer = await self._register.serve(request, flow, phone, claim)
        if answer is STALE:
            self._metrics.auth("stale")
            answer = self._screen.challenge(request, flow, self._clock(), stale=True)
        else:
            self._metrics.auth("ok")
        exchange.reply(answer)
        return phone
