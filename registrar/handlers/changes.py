"""What a change of the configuration does to live bindings: re-checked or dropped (decision 7)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final, Protocol

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import (
    Binding,
    Change,
    Deny,
    Epoch,
    EventKind,
    Phone,
    Process,
    Reason,
    Snapshot,
    Update,
)
from registrar.ports import Clock, Location
from registrar.rules.access import Access
from registrar.rules.register import drop
from registrar.rules.settle import settle

from .flows import Flows, Held
from .rewrite import TRIES, Written, rewrite

CHUNK: Final = 200
RETRY_SECONDS: Final = 0.5
BREATH_SECONDS: Final = 0.005
"""Between two chunks of a re-check of very many, so that registrations go on."""

log = logging.getLogger(__name__)


class Rereader(Protocol):
    """The directory as the re-check needs it."""

    async def reread(self, phones: Sequence[str]) -> list[Phone]:
        """Those of `phones` that there are, as they are now. Raises StoreUnavailable."""

    async def members(self, customer: str) -> list[str]:
        """Every phone that is, or was, of a customer that changed. Raises StoreUnavailable."""

    def by_id(self, phone: str) -> Phone | None:
        """What was last read of a phone."""

    async def learn(self, phones: Sequence[str]) -> None:
        """Read those that `by_id` does not know, if that can be done now."""


class Changes:
    """Applies changes to what is bound: noted at once, done by one job that forgets none."""

    def __init__(
        self,
        directory: Rereader,
        location: Location,
        access: Access,
        flows: Flows,
        clock: Clock,
        metrics: Metrics,
        everybody: Callable[[], Awaitable[list[str]]],
    ) -> None:
        """`everybody` gives the id of every phone that may have a binding. Raises StoreUnavailable."""
        self._directory = directory
        self._location = location
        self._access = access
        self._flows = flows
        self._clock = clock
        self._metrics = metrics
        self._everybody = everybody
        self._phones: dict[str, str] = {}
        """Phones that were named -> their customer, where that is known."""
        self._customers: dict[str, None] = {}
        self._members: dict[str, str] = {}
        """The phones of customers that changed -> that customer."""
        self._gap = False
        self._backlog: list[str] = []
        self._noted = asyncio.Event()

    def note(self, change: Change) -> None:
        """Remember a change; `run` applies it."""
        for phone in change.phones:
            self._phones.setdefault(phone, "")
        if change.customer:
            self._customers[change.customer] = None
        self._gap = self._gap or change.everybody
        self._noted.set()

    def vanished(self, phone: Phone) -> None:
        """A phone is not there any more, and nobody has said so: what it has bound must go."""
        self._phones[phone.id] = phone.customer
        self._noted.set()

    async def run(self) -> None:
        """Apply what is noted until cancelled: named phones first, then customers, then everybody."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            try:
                while await self.step():
                    pass
            except StoreUnavailable as error:
                log.warning("changes wait: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                self._noted.set()

    async def step(self) -> bool:
        """Apply one piece of what is noted; False when there was none.

        Raises StoreUnavailable; the piece stays noted then.
        """
        if self._phones:
            await self._apply_to_chunk(self._phones)
        elif self._customers:
            await self._apply_to_customer(next(iter(self._customers)))
        elif self._members:
            await self._apply_to_chunk(self._members)
            await asyncio.sleep(BREATH_SECONDS)
        elif self._gap:
            self._backlog = list({*await self._everybody(), *self._flows.phones})
            self._gap = False
        elif self._backlog:
            await self._reread(dict.fromkeys(self._backlog[-CHUNK:], ""))
            del self._backlog[-CHUNK:]
            await asyncio.sleep(BREATH_SECONDS)
        else:
            return False
        return True

    async def _apply_to_chunk(self, noted: dict[str, str]) -> None:
        """What is noted of these phones while they are re-checked is a change of its own."""
        chunk = dict(islice(noted.items(), CHUNK))
        for phone in chunk:
            del noted[phone]
        try:
            await self._reread(chunk)
        except StoreUnavailable:
            noted.update(chunk | noted)
            raise

    async def _apply_to_customer(self, customer: str) -> None:
        """Note all its phones; those that are bound here go first."""
        del self._customers[customer]
        try:
            members = await self._directory.members(customer)
        except StoreUnavailable:
            self._customers[customer] = None
            raise
        elsewhere: list[str] = []
        for start in range(0, len(members), CHUNK):
            for phone in members[start : start + CHUNK]:
                if self._location.known(phone).bindings:
                    self._members[phone] = customer
                else:
                    elsewhere.append(phone)
            await asyncio.sleep(0)
        self._members.update(dict.fromkeys(elsewhere, customer))

    async def _reread(self, phones: Mapping[str, str]) -> None:
        """Re-check phones; of those that are gone the customer is the one given, or the last one known."""
        customers = {
            phone: customer or _customer(self._directory.by_id(phone)) for phone, customer in phones.items()
        }
        found = {phone.id: phone for phone in await self._directory.reread(tuple(phones))}
        await self._recheck(customers, found)

    async def sweep(self, process: Process, phones: frozenset[str]) -> None:
        """End the bindings on connections of a process that died. Raises StoreUnavailable."""

        everyone = list(phones)
        for start in range(0, len(everyone), CHUNK):
            chunk = everyone[start : start + CHUNK]
            await self._directory.learn(chunk)  # a process that has just started knows nobody
            await asyncio.gather(*(self._bury(phone, process) for phone in chunk))

    async def _bury(self, phone: str, process: Process) -> None:
        def decide(before: Snapshot) -> Update | None:
            lost = [binding for binding in before.live(self._clock()) if process.holds(binding)]
            customer = _customer(self._directory.by_id(phone))
            return self._without(before, lost, EventKind.LOST, Reason.NODE_LOST, customer) if lost else None

        written, _ = await rewrite(self._location, phone, decide)
        if written is Written.GAVE_UP:
            raise StoreUnavailable(f"phone {phone} changed {TRIES} times while node {process.node} was swept")

    async def _recheck(self, customers: Mapping[str, str], found: Mapping[str, Phone]) -> None:
        for phone in customers:
            self._flows.enforce(phone, partial(self._may_stay, found.get(phone)))
        snapshots = await self._location.load(list(customers))
        self._metrics.rechecked.inc(len(customers))
        now = self._clock()
        offenders = [
            (phone, snapshot)
            for phone, snapshot in zip(customers, snapshots, strict=True)
            if self._violation(snapshot, found.get(phone), now) is not None
        ]
        await asyncio.gather(
            *(
                self._recheck_one(phone, snapshot, found.get(phone), customers[phone])
                for phone, snapshot in offenders
            )
        )

    async def _recheck_one(self, id: str, snapshot: Snapshot, phone: Phone | None, customer: str) -> None:
        def decide(before: Snapshot) -> Update | None:
            violation = self._violation(before, phone, self._clock())
            if violation is None:
                return None
            gone, kind, reason = violation
            return self._without(before, gone, kind, reason, phone.customer if phone else customer)

        written, _ = await rewrite(self._location, id, decide, snapshot)
        while written is Written.YES:  # of what is left, some may be refused for another reason
            written, _ = await rewrite(self._location, id, decide)
        if written is Written.GAVE_UP:
            log.error("phone %s could not be re-checked: it changed %d times meanwhile", id, TRIES)

    def _violation(
        self, snapshot: Snapshot, phone: Phone | None, now: Epoch
    ) -> tuple[list[Binding], EventKind, Reason] | None:
        """Which bindings may not live on, and why; None when all may."""
        live = list(snapshot.live(now))
        if not live:
            return None
        if phone is None or not phone.active:
            return live, EventKind.REVOKED, Reason.REVOKED
        revoked = [binding for binding in live if binding.secret_version != phone.secret_version]
        if revoked:
            return revoked, EventKind.REVOKED, Reason.REVOKED
        elsewhere = [binding for binding in live if self._is_refused(phone, binding.public_ip)]
        return (elsewhere, EventKind.REVOKED, Reason.IP_REJECTED) if elsewhere else None

    def _may_stay(self, phone: Phone | None, held: Held) -> bool:
        """Whether a phone may keep a connection, be anything bound over it or not."""
        if phone is None or not phone.active or held.secret_version != phone.secret_version:
            return False
        return not self._is_refused(phone, held.flow.remote_ip)

    def _is_refused(self, phone: Phone, address: str) -> bool:
        decision = self._access.decide(phone, address, first_contact=False)
        return isinstance(decision, Deny) and decision.reason != "no-country-file"

    def _without(
        self, before: Snapshot, gone: list[Binding], kind: EventKind, reason: Reason, customer: str
    ) -> Update:
        now = self._clock()
        outcome = drop(before, gone, kind, str(reason), now)
        return settle(before, outcome.bindings, outcome.events, now, reason=reason, customer=customer)


def _customer(phone: Phone | None) -> str:
    return phone.customer if phone is not None else ""
