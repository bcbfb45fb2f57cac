"""REGISTER from the digest to the 200: apply the rules, write, answer (RFC 3261 section 10.3)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import (
    AcceptedNonce,
    Binding,
    Decision,
    Deny,
    Epoch,
    Event,
    EventKind,
    Flow,
    Phone,
    Process,
    Snapshot,
    Update,
)
from registrar.ports import Clock, Directory, Location
from registrar.rules import nonces
from registrar.rules.access import Access, told
from registrar.rules.auth import Claim, nonce_count
from registrar.rules.outbound import OUTBOUND
from registrar.rules.register import (
    MAX_USER_AGENT,
    WEBSOCKETS,
    Accepted,
    Origin,
    Outcome,
    Registration,
    Rejected,
    contact_values,
    local_address,
    names_phone,
    printable,
    read,
    register,
)
from registrar.rules.routing import ROUTED
from registrar.rules.settle import noted, refuse, settle
from registrar.sip import Request

from ..answers import BUSY, HERE, OUTSIDE, STALE, Answer
from ..turns import Turns

TRIES: Final = 3
PROMISED_SECONDS: Final = 60
"""Expiry that a refresh is granted while Redis is unavailable (decision 4)."""

log = logging.getLogger(__name__)


NO_EXTENSION: Final = "no-extension"
NOTHING: Final = Registration((), wildcard=False, call_id="", cseq=0)
"""The registration of a request that is not a REGISTER."""


@dataclass(slots=True)
class Attempt:
    """One authenticated request while it is served."""

    request: Request
    flow: Flow
    phone: Phone
    claim: Claim
    asked: Registration | Rejected
    nonce_is_used: bool = False
    """Whether the nonce was written in a separate step, before the phone was locked."""
    locked_here: bool = False
    """Whether this request was the first contact."""


class Register:
    """The registrar: serves REGISTER requests, and admits other requests by the same access rule."""

    def __init__(
        self,
        directory: Directory,
        location: Location,
        access: Access,
        clock: Clock,
        metrics: Metrics,
        *,
        process: Process,
        is_our_name: Callable[[str], bool],
        is_for_us: Callable[[Claim], bool],
        recheck: Callable[[str], None],
        is_dead: Callable[[Binding], bool],
        bound: Callable[[Phone, Snapshot], None],
    ) -> None:
        """Create the registrar.

        `is_our_name` returns whether a host is a name or address of this service, but no customer's domain.
        `is_for_us` returns whether a digest was made for this service (Guard.is_for_us).

        `recheck` is called when a phone was locked: its bindings from elsewhere must end. `is_dead` returns
        whether the connection of a binding is known to be closed. `bound` is called with the bindings of a
        phone when they have changed.
        """
        self._bound = bound
        self._is_dead = is_dead
        self._recheck = recheck
        self._directory = directory
        self._location = location
        self._access = access
        self._clock = clock
        self._metrics = metrics
        self._process = process
        self._is_our_name = is_our_name
        self._is_for_us = is_for_us
        self._turns = Turns()

    async def serve(self, request: Request, flow: Flow, phone: Phone, claim: Claim) -> Answer:
        """Return the answer to a request whose digest is right; STALE if it must be challenged again.

        The nonce must be usable. A REGISTER is served here. Any other method is only admitted, with the
        answer HERE.
        """
        asked = read(request) if request.method == "REGISTER" else NOTHING
        attempt = Attempt(request, flow, phone, claim, asked)
        waited = await self._turns.take(phone.id)
        try:
            for number in range(TRIES):
                if (number or waited) and not await self._is_still(attempt):
                    return STALE
                answer = await self._try(attempt)
                if answer is not None:
                    return answer
        except StoreUnavailable:
            return BUSY
        finally:
            self._turns.give(phone.id)
        self._metrics.commits("gave_up")
        return BUSY

    async def _is_still(self, attempt: Attempt) -> bool:
        """Read the phone again, and return whether its credentials are still the same."""
        known = attempt.phone
        phone = await self._directory.find(known.username, known.domain)
        if phone is None or (phone.id, phone.secret_version) != (known.id, known.secret_version):
            return False
        attempt.phone = phone
        return True

    async def _try(self, attempt: Attempt) -> Answer | None:
        """Try once with the known snapshot; return None if another write came first: then try again."""
        now = self._clock()
        before = self._location.known(attempt.phone.id)
        kept = before.nonces
        if not attempt.nonce_is_used:
            used = nonces.use(before.nonces, attempt.claim.nonce, nonce_count(attempt.claim), now)
            if used is None:
                return STALE
            kept = used
        decision = self._decision(attempt)
        if isinstance(decision, Deny):
            return await self._refuse(attempt, before, kept, decision, now)
        if decision.lock:
            return await self._lock(attempt, before, kept, now)
        return await self._bind(attempt, before, kept, now)

    def _decision(self, attempt: Attempt) -> Decision:
        phone, request = attempt.phone, attempt.request
        if not self._is_for_us(attempt.claim):
            return Deny("foreign-uri")
        if attempt.asked is NOTHING:
            if request.method in ROUTED and not phone.extension and not phone.is_user:
                return Deny(NO_EXTENSION)
        elif not self._is_own_address(phone, request):
            return Deny("not-yours")
        return self._access.decide(phone, attempt.flow.remote_ip, first_contact=_binds(attempt))

    def _is_own_address(self, phone: Phone, request: Request) -> bool:
        """Return whether the phone registers its own address of record here (section 10.3 steps 1, 4 and 5).

        A SIP user has an address of record in its domain only (decision 1).
        """
        to = request.to.uri
        if phone.is_user and to.host_key != phone.domain:
            return False
        here = all(
            host == phone.domain or self._is_our_name(host) for host in (request.uri.host_key, to.host_key)
        )
        return here and names_phone(to, phone.username, phone.extension)

    async def _refuse(
        self,
        attempt: Attempt,
        before: Snapshot,
        kept: tuple[AcceptedNonce, ...],
        denied: Deny,
        now: Epoch,
    ) -> Answer | None:
        self._metrics.access(denied.reason)
        flow = attempt.flow
        update = refuse(before, kept, attempt.phone, flow.remote_ip, flow.remote_port, denied, now)
        try:
            if await self._commit(attempt.phone, before, update) is not None:
                return None
        except StoreUnavailable:
            log.debug("a refusal of %s could not be noted", attempt.phone.id)
        reason = "No Extension" if denied.reason == NO_EXTENSION else ""
        return Answer(403, reason, why=told(denied.reason, flow.remote_ip))

    async def _lock(
        self, attempt: Attempt, before: Snapshot, kept: tuple[AcceptedNonce, ...], now: Epoch
    ) -> Answer | None:
        """Use up the nonce of a first contact, then let the database decide which is first (decision 2)."""
        try:
            if await self._commit(attempt.phone, before, noted(before, kept, now)) is not None:
                return None
            attempt.nonce_is_used = True
            address = attempt.flow.remote_ip
            locked, attempt.locked_here = await self._directory.lock(attempt.phone, address)
        except StoreUnavailable:
            return BUSY
        if locked is None or locked.secret_version != attempt.phone.secret_version:
            return STALE  # the phone was deleted or got other credentials meanwhile
        if attempt.locked_here:
            self._metrics.access("locked")
            self._recheck(attempt.phone.id)
        attempt.phone = locked
        return await self._try(attempt)

    async def _bind(
        self, attempt: Attempt, before: Snapshot, kept: tuple[AcceptedNonce, ...], now: Epoch
    ) -> Answer | None:
        asked = attempt.asked
        outcome = asked if isinstance(asked, Rejected) else self._outcome(before, attempt, asked, now)
        changes = isinstance(outcome, Accepted) and outcome.bindings != before.bindings
        if isinstance(outcome, Accepted) and (changes or attempt.locked_here):
            update = self._settled(attempt, before, outcome, kept, now)
        else:
            update = self._unchanged(attempt, before, outcome, kept, now)
        try:
            if await self._commit(attempt.phone, before, update) is not None:
                return None
        except StoreUnavailable:
            return self._promise(attempt, before, kept, now)
        if changes:
            self._bound(attempt.phone, update.after)
        if isinstance(outcome, Rejected):
            return _rejection(outcome)
        return HERE if asked is NOTHING else _granted(outcome, attempt, now)

    def _unchanged(
        self,
        attempt: Attempt,
        before: Snapshot,
        outcome: Outcome,
        kept: tuple[AcceptedNonce, ...],
        now: Epoch,
    ) -> Update:
        """Return the update for a used nonce without changed bindings; a rejection is noted for people."""
        events = _lock_event(attempt, now)
        customer = attempt.phone.customer
        if isinstance(outcome, Rejected) and outcome.label:
            flow, deny = attempt.flow, Deny(outcome.label)
            update = refuse(before, kept, attempt.phone, flow.remote_ip, flow.remote_port, deny, now)
            return replace(update, events=(*events, *update.events))
        return replace(noted(before, kept, now), events=events, customer=customer)

    def _settled(
        self,
        attempt: Attempt,
        before: Snapshot,
        outcome: Accepted,
        kept: tuple[AcceptedNonce, ...],
        now: Epoch,
    ) -> Update:
        events = (*_lock_event(attempt, now), *outcome.events)
        return settle(before, outcome.bindings, events, now, nonces=kept, customer=attempt.phone.customer)

    def _outcome(self, before: Snapshot, attempt: Attempt, asked: Registration, now: Epoch) -> Outcome:
        flow, request = attempt.flow, attempt.request
        origin = Origin(
            transport=flow.transport,
            public_ip=flow.remote_ip,
            public_port=flow.remote_port,
            local_ip=local_address(request),
            user_agent=printable(request.headers.get("user-agent") or "", MAX_USER_AGENT),
            node=self._process.node,
            generation=self._process.generation,
            secret_version=attempt.phone.secret_version,
            flow=flow.id,
            one_device=bool(attempt.phone.instance) and flow.transport in WEBSOCKETS,
        )
        return register(before, asked, origin, now, self._is_dead)

    async def _commit(self, phone: Phone, before: Snapshot, update: Update) -> Snapshot | None:
        try:
            moved = await self._location.commit(phone.id, before, update)
        except StoreUnavailable:
            self._metrics.commits("unavailable")
            raise
        self._metrics.commits("done" if moved is None else "moved")
        return moved

    def _promise(
        self, attempt: Attempt, before: Snapshot, kept: tuple[AcceptedNonce, ...], now: Epoch
    ) -> Answer:
        """Return the answer while Redis is unavailable.

        A refresh of bindings that this node holds is granted for a minute. All else is not granted.
        """
        asked = attempt.asked
        if isinstance(asked, Rejected) or asked.wildcard or not asked.contacts:
            return BUSY
        if not all(contact.expires for contact in asked.contacts):
            return BUSY
        short = replace(
            asked, contacts=tuple(replace(contact, expires=PROMISED_SECONDS) for contact in asked.contacts)
        )
        outcome = self._outcome(before, attempt, short, now)
        if isinstance(outcome, Rejected):
            return _rejection(outcome)
        held = {binding.contact for binding in before.live(now) if binding.node == self._process.node}
        if not outcome.touched <= held:
            return BUSY
        update = self._settled(attempt, before, outcome, kept, now)
        self._location.promise(attempt.phone.id, update)
        self._bound(attempt.phone, update.after)
        self._metrics.promises.inc()
        return _granted(outcome, attempt, now)


def _rejection(rejected: Rejected) -> Answer:
    return Answer(rejected.status, rejected.reason, rejected.headers, rejected.why)


def _lock_event(attempt: Attempt, now: Epoch) -> tuple[Event, ...]:
    """Return the journal entry of a first contact; it does not depend on what else the request does."""
    if not attempt.locked_here:
        return ()
    flow = attempt.flow
    return (
        Event(EventKind.LOCKED, "first-contact", int(now), flow.remote_ip, flow.remote_port, flow.transport),
    )


def _binds(attempt: Attempt) -> bool:
    """Return whether this may be a first contact in the sense of decision 2: a registration, or a call."""
    if attempt.request.method in OUTSIDE:
        return True
    return isinstance(attempt.asked, Registration) and attempt.asked.binds


def _granted(outcome: Accepted, attempt: Attempt, now: Epoch) -> Answer:
    contacts = contact_values(outcome.bindings, outcome.touched, now)
    headers = [("Contact", value) for value in contacts]
    if _is_outbound(outcome, attempt):
        headers.append(("Require", OUTBOUND))
    return Answer(200, headers=(*headers, ("Date", _date(int(now)))))


def _is_outbound(outcome: Accepted, attempt: Attempt) -> bool:
    """Return whether to tell the phone that its flow is kept (RFC 5626 section 6).

    No flow is kept over UDP, because there is no STUN here.
    """
    if attempt.flow.transport == "udp":
        return False
    return any(binding.reg_id and binding.contact in outcome.touched for binding in outcome.bindings)


@lru_cache(4)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
