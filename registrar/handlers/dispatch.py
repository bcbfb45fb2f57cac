"""From the stateless checks to the service: authenticate the sender, admit the phone, serve the request."""

from dataclasses import replace

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Phone
from registrar.ports import Clock, Directory
from registrar.rules.access import WEAK_DIGEST
from registrar.rules.auth import Authenticator, Claim
from registrar.rules.tokens import RelayPermit, RouteToken, SubscriptionToken
from registrar.transaction import ShareFull

from .admission import Admitted, Challenge, Gatekeeper, Noted, Refused, Step
from .answers import BUSY, NOT_ITS_PHONE, TOO_MANY, Answer
from .calls.dialogs import Dialogs
from .calls.node_relay import NodeRelay
from .checks import StatelessChecks, Verdict
from .digest_check import DigestCheck
from .limits import Limiter
from .methods import Services, inside, outside
from .network import ServerRequest
from .registration.flows import Flows


class Dispatch:
    """The path of every request whose sender must be known."""

    def __init__(
        self,
        authenticator: Authenticator,
        checks: StatelessChecks,
        directory: Directory,
        digest_check: DigestCheck,
        gatekeeper: Gatekeeper,
        services: Services,
        dialogs: Dialogs,
        node_relay: NodeRelay,
        flows: Flows,
        limiter: Limiter,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._authenticator = authenticator
        self._checks = checks
        self._directory = directory
        self._digest_check = digest_check
        self._gatekeeper = gatekeeper
        self._services = services
        self._dialogs = dialogs
        self._node_relay = node_relay
        self._flows = flows
        self._limiter = limiter
        self._clock = clock
        self._metrics = metrics

    async def serve(self, request: ServerRequest, verdict: Verdict) -> None:
        """Serve one request until it is answered, or until another handler owes the answer."""
        if isinstance(verdict, Claim):
            await self._serve_outside(request, verdict)
            return
        request.method = inside(request.request.method)
        if isinstance(verdict, RelayPermit):
            await self._node_relay.relay(request, verdict)
        elif isinstance(verdict, SubscriptionToken):
            subscribing = self._services.subscribing
            if not await subscribing.serve(request, verdict):
                sender = await self._prove(request)
                if sender is not None:
                    await subscribing.go_on(request, verdict, sender)
        elif not await self._dialogs.serve(request, verdict):
            await self._serve_inside(request, verdict)

    async def _serve_outside(self, request: ServerRequest, claim: Claim) -> None:
        row = outside(request.request)
        if row is None:  # the checks have refused it
            return
        request.method = row.method
        phone = await self._authenticate(request, claim)
        if phone is None:
            return
        admitted = await self._admit(request, phone, claim, row.step(self._services, request))
        if admitted is not None and row.serve is not None:
            await row.serve(self._services, request, admitted)

    async def _serve_inside(self, request: ServerRequest, route: RouteToken) -> None:
        """Authenticate and serve a request of a dialog that came another way.

        It came by a new connection, or a NAT gave it another port.
        """
        admitted = await self._prove(request)
        if admitted is not None and admitted.id == route.sender:
            await self._dialogs.go_on(request, route, admitted)
        elif admitted is not None:
            request.reply(NOT_ITS_PHONE)

    async def _prove(self, request: ServerRequest) -> Phone | None:
        """Return the phone whose digest a request of a dialog has, or None if the request is answered."""
        claim = self._authenticator.claim(request.request, request.flow.remote_ip)
        if claim is None:
            self._challenge(request, stale=False)
            return None
        phone = await self._authenticate(request, claim)
        if phone is None:
            return None
        return await self._admit(request, phone, claim, Noted(request.method, request.flow))

    async def _authenticate(self, request: ServerRequest, claim: Claim) -> Phone | None:
        """Return the phone whose digest is right, or None if the request is answered."""
        credentials, now = claim.credentials, self._clock()
        if not claim.nonce.usable(now):
            # RFC 7616 section 3.3. The digest is not checked: that guess would not be counted.
            self._challenge(request, stale=True)
            return None
        phone = None
        if (
            self._digest_check.sure.get(
                (request.flow.remote_ip, credentials.username, credentials.realm), 0.0
            )
            > now
        ):
            try:
                phone = self._directory.peek(
                    credentials.username, credentials.realm
                ) or await self._directory.find(credentials.username, credentials.realm)
            except StoreUnavailable:
                request.reply(BUSY)
                return None
        if phone is None or not self._authenticator.proves(claim, request.request.method, phone):
            return await self._digest_check.prove(request, claim)
        return phone

    async def _admit(self, request: ServerRequest, phone: Phone, claim: Claim, step: Step) -> Phone | None:
        """Return the phone whose request must be served, or None if nothing more is to be done."""
        if not self._limiter.authenticated(
            request.flow, phone.id
        ) and not self._services.calling.is_emergency(request):
            request.reply(TOO_MANY)
            return None
        if not self._accepts(request, phone):
            return None
        request.phone = phone
        self._flows.authenticated(request.flow, phone)
        admission = await self._gatekeeper.admit(phone, request.flow, claim, step)
        if isinstance(admission, Challenge):
            self._challenge(request, stale=admission.stale)
            return None
        self._metrics.auth("ok")
        answer = admission.answer
        if answer is None:
            return admission.phone if isinstance(admission, Admitted) else None
        if self._services.calling.is_emergency(request):
            return phone
        if isinstance(admission, Refused) and admission.reason == WEAK_DIGEST:
            answer = self._stronger(request, answer)
        request.reply(answer)
        return None

    def _accepts(self, request: ServerRequest, phone: Phone) -> bool:
        """Make the transaction, which counts for the customer; that of an emergency call does not.

        Raises TableFull.
        """
        try:
            return request.accept(phone)
        except ShareFull:
            if not self._services.calling.is_emergency(request):
                raise
            return request.accept()

    def _stronger(self, request: ServerRequest, refused: Answer) -> Answer:
        """Return the challenge that offers SHA-256 alone, with the words of the refusal."""
        challenge = self._checks.challenge(
            request.request, request.flow, request.method, self._clock(), strict=True
        )
        return replace(challenge, why=refused.why)

    def _challenge(self, request: ServerRequest, *, stale: bool) -> None:
        self._metrics.auth("stale" if stale else "challenge")
        request.reply(
            self._checks.challenge(request.request, request.flow, request.method, self._clock(), stale=stale)
        )
