"""Admission of a phone: its turn, its nonce, where it may connect from, and the first contact that locks it.

A request comes here when its digest is right. It is admitted if its nonce was not used before, if the phone
may do this, and if the access rule lets the phone connect from there. The used nonce and what the request
writes are one commit. So each request brings a *step*, which makes the update of that commit.

There are three races. (1) Two requests of one phone in this process take turns. (2) Another process may write
first: then the commit is refused, and everything is decided again with the newer snapshot. The phone is read
again before, as it may have got another password. (3) Two first contacts of an OPEN phone may come to two
nodes: then the database decides between them by one conditional UPDATE. The nonce is written before it, so
that a replay cannot be a first contact.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

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
    Snapshot,
    Update,
)
from registrar.ports import Clock, Directory, Location
from registrar.rules import nonces
from registrar.rules.access import WEAK_DIGEST, Access, told
from registrar.rules.auth import Claim, is_too_weak, nonce_count
from registrar.rules.register import HEARD, hear, silent_at
from registrar.rules.update import build_update, noted, refuse

from .answers import BUSY, Answer
from .method import Method
from .turns import Turns

TRIES: Final = 3
NO_EXTENSION: Final = "no-extension"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The phone may do what the request asks for."""

    phone: Phone
    """As it is now: a first contact has locked it."""
    answer: Answer | None
    """The answer of the step; None: the request must still be served."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is refused."""

    answer: Answer
    reason: str
    """The reason of the access rule (see rules.access.TOLD); empty if a store is away."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The sender must authenticate again."""

    stale: bool
    """Whether the digest was right, and only the nonce may not be used."""


Admission = Admitted | Refused | Challenge
UNAVAILABLE: Final = Refused(BUSY, "")
STALE: Final = Challenge(stale=True)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a step must know: the admitted phone, and what is stored of it."""

    phone: Phone
    before: Snapshot
    nonces: tuple[AcceptedNonce, ...]
    """The nonces to store, that of the request among them."""
    events: tuple[Event, ...]
    """Journal entries of the admission itself: that of a first contact."""
    now: Epoch

    def noted(self) -> Update:
        """Return the update that changes no binding."""
        update = noted(self.before, self.nonces, self.now)
        return replace(update, events=self.events, customer=self.phone.customer) if self.events else update

    def bound(self, bindings: tuple[Binding, ...], events: tuple[Event, ...]) -> Update:
        """Return the update that writes these bindings, with more journal entries."""
        every = (*self.events, *events)
        customer = self.phone.customer
        return build_update(self.before, bindings, every, self.now, nonces=self.nonces, customer=customer)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The update of a step, and the answer to its request."""

    update: Update
    answer: Answer | None = None


class Step(Protocol):
    """What one request writes in the commit that notes its nonce."""

    @property
    def may_lock(self) -> bool:
        """Return whether the request may be the first contact of an OPEN phone (decision 2)."""

    def denial(self, phone: Phone) -> Deny | None:
        """Return why this phone may not do this from anywhere, or None."""

    def write(self, situation: Situation) -> Prepared:
        """Return the update, and the answer.

        It is called again with a newer snapshot if another process wrote first.
        """

    def without_store(self, situation: Situation) -> Answer | None:
        """Return the answer if the update could not be committed; None: the request is not admitted."""


class Noted:
    """The step of a request that asks for no binding: its nonce is written, and that its phone was heard."""

    __slots__ = ("_flow", "_method")

    def __init__(self, method: Method, flow: Flow) -> None:
        self._method = method
        self._flow = flow

    @property
    def may_lock(self) -> bool:
        """See Step."""
        return self._method.may_lock

    def denial(self, phone: Phone) -> Deny | None:
        """See Step."""
        if self._method.needs_number and not phone.extension and not phone.is_user:
            return Deny(NO_EXTENSION)
        return None

    def write(self, situation: Situation) -> Prepared:
        """See Step."""
        flow, before, now = self._flow, situation.before, situation.now
        back = silent_at(before.live(now), flow.transport, flow.remote_ip, flow.remote_port)
        if back:
            outcome = hear(before, back, HEARD, now)
            return Prepared(situation.bound(outcome.bindings, outcome.events))
        return Prepared(situation.noted())

    def without_store(self, situation: Situation) -> None:
        """See Step."""


@dataclass(slots=True)
class _Entry:
    """A phone at the gate."""

    phone: Phone
    flow: Flow
    claim: Claim | None
    step: Step
    nonce_is_used: bool = False
    """Whether the nonce was written in a separate commit, before the phone was locked."""
    locked_here: bool = False
    """Whether this request was the first contact."""


class Gatekeeper:
    """The gate that each request passes once its sender is known; other ways than SIP may use it, too."""

    def __init__(
        self,
        directory: Directory,
        location: Location,
        access: Access,
        clock: Clock,
        metrics: Metrics,
        *,
        is_for_us: Callable[[Claim], bool],
        recheck: Callable[[str], None],
        bound: Callable[[Phone, Snapshot], None],
    ) -> None:
        """Create the gate.

        `is_for_us` tells whether a digest was made for this service (Authenticator.is_for_us). `recheck` is
        called when a phone was locked: its bindings from elsewhere must end. `bound` is called with the
        bindings of a phone when they have changed.
        """
        self._bound = bound
        self._directory = directory
        self._location = location
        self._access = access
        self._clock = clock
        self._metrics = metrics
        self._is_for_us = is_for_us
        self._recheck = recheck
        self._turns = Turns()

    async def admit(self, phone: Phone, flow: Flow, claim: Claim | None, step: Step) -> Admission:
        """Admit a phone that has proved its identity, and commit the step.

        `claim` is the right digest, with a nonce that has not expired; None if the phone proved itself in
        another way: then no nonce is noted. The loop is not `registration.rewrite.rewrite`: between two tries
        the phone is read again, and a first contact makes two commits with a lock of the database between.
        """
        entry = _Entry(phone, flow, claim, step)
        waited = await self._turns.take(phone.id)
        try:
            for number in range(TRIES):
                if (number or waited) and not await self._is_still(entry):
                    return STALE
                admission = await self._try(entry)
                if admission is not None:
                    return admission
        except StoreUnavailable:
            return UNAVAILABLE
        finally:
            self._turns.give(phone.id)
        self._metrics.commits("gave_up")
        return UNAVAILABLE

    async def _is_still(self, entry: _Entry) -> bool:
        """Read the phone again, and return whether its credentials are still the same."""
        known = entry.phone
        phone = await self._directory.find(known.username, known.domain)
        if phone is None or (phone.id, phone.secret_version) != (known.id, known.secret_version):
            return False
        entry.phone = phone
        return True

    async def _try(self, entry: _Entry) -> Admission | None:
        """Try once with the known snapshot; return None if another write came first: then try again."""
        now = self._clock()
        before = self._location.known(entry.phone.id)
        kept = before.nonces
        if entry.claim is not None and not entry.nonce_is_used:
            used = nonces.use(before.nonces, entry.claim.nonce, nonce_count(entry.claim), now)
            if used is None:
                return STALE
            kept = used
        decision = self._decision(entry)
        if isinstance(decision, Deny):
            return await self._refuse(entry, before, kept, decision, now)
        if decision.lock:
            return await self._lock(entry, before, kept, now)
        return await self._write(entry, before, kept, now)

    def _decision(self, entry: _Entry) -> Decision:
        if entry.claim is not None and not self._is_for_us(entry.claim):
            return Deny("foreign-uri")
        if entry.claim is not None and is_too_weak(entry.claim, entry.phone):
            return Deny(WEAK_DIGEST)
        denied = entry.step.denial(entry.phone)
        if denied is not None:
            return denied
        flow = entry.flow
        return self._access.decide(
            entry.phone, flow.remote_ip, flow.transport, first_contact=entry.step.may_lock
        )

    async def _refuse(
        self,
        entry: _Entry,
        before: Snapshot,
        kept: tuple[AcceptedNonce, ...],
        denied: Deny,
        now: Epoch,
    ) -> Admission | None:
        self._metrics.access(denied.reason)
        flow = entry.flow
        update = refuse(before, kept, entry.phone, flow.remote_ip, flow.remote_port, denied, now)
        try:
            if await self._commit(entry.phone, before, update) is not None:
                return None
        except StoreUnavailable:
            log.debug("a refusal of %s could not be noted", entry.phone.id)
        phrase = "No Extension" if denied.reason == NO_EXTENSION else ""
        return Refused(Answer(403, phrase, why=told(denied.reason, flow.remote_ip)), denied.reason)

    async def _lock(
        self, entry: _Entry, before: Snapshot, kept: tuple[AcceptedNonce, ...], now: Epoch
    ) -> Admission | None:
        """Use up the nonce of a first contact, then let the database decide which is first (decision 2)."""
        if await self._commit(entry.phone, before, noted(before, kept, now)) is not None:
            return None
        entry.nonce_is_used = True
        locked, entry.locked_here = await self._directory.lock(entry.phone, entry.flow.remote_ip)
        if locked is None or locked.secret_version != entry.phone.secret_version:
            return STALE  # the phone was deleted or got other credentials meanwhile
        if entry.locked_here:
            self._metrics.access("locked")
            self._recheck(entry.phone.id)
        entry.phone = locked
        return await self._try(entry)

    async def _write(
        self, entry: _Entry, before: Snapshot, kept: tuple[AcceptedNonce, ...], now: Epoch
    ) -> Admission | None:
        phone, step = entry.phone, entry.step
        events = _lock_event(entry.flow, now) if entry.locked_here else ()
        situation = Situation(phone, before, kept, events, now)
        done = step.write(situation)
        try:
            if await self._commit(phone, before, done.update) is not None:
                return None
        except StoreUnavailable:
            answer = step.without_store(situation)
            return Admitted(phone, answer) if answer is not None else UNAVAILABLE
        if done.update.after.bindings != before.bindings:
            self._bound(phone, done.update.after)
        return Admitted(phone, done.answer)

    async def _commit(self, phone: Phone, before: Snapshot, update: Update) -> Snapshot | None:
        try:
            moved = await self._location.commit(phone.id, before, update)
        except StoreUnavailable:
            self._metrics.commits("unavailable")
            raise
        self._metrics.commits("done" if moved is None else "moved")
        return moved


def _lock_event(flow: Flow, now: Epoch) -> tuple[Event, ...]:
    """Return the journal entry of a first contact; it does not depend on what else the request does."""
    return (
        Event(EventKind.LOCKED, "first-contact", int(now), flow.remote_ip, flow.remote_port, flow.transport),
    )
