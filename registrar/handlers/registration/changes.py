"""Effects of configuration changes on live bindings: re-checked or dropped (decision 7)."""

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
from registrar.ports import Clock, Location, StateIndex
from registrar.rules.access import Access

from .flows import Flows, Held
from .rewrite import TRIES, Written, rewrite, without

CHUNK: Final = 200
RETRY_SECONDS: Final = 0.5
BREATH_SECONDS: Final = 0.005
"""Pause between two chunks of a large re-check, so that registrations go on."""

log = logging.getLogger(__name__)


class Rereader(Protocol):
    """The part of the directory that the re-check needs."""

    async def reread(self, phones: Sequence[str]) -> list[Phone]:
        """Return those of `phones` that exist, as they are now. Raises StoreUnavailable."""

    async def members(self, customer: str) -> list[str]:
        """Return all phones that belong, or belonged, to a changed customer. Raises StoreUnavailable."""

    def by_id(self, phone: str) -> Phone | None:
        """Return the phone as it was last read, or None if it is not known."""

    async def learn(self, phones: Sequence[str]) -> None:
        """Read the phones that `by_id` does not know, if that is possible now."""


class Changes:
    """The queue of changes that affect bindings: they are noted at once, and one job applies all of them."""

    def __init__(
        self,
        directory: Rereader,
        location: Location,
        states: StateIndex,
        access: Access,
        flows: Flows,
        clock: Clock,
        metrics: Metrics,
        everybody: Callable[[], Awaitable[list[str]]],
    ) -> None:
        """Create an empty queue.

        `everybody` returns the ids of all phones that may have a binding, or raises StoreUnavailable.
        """
        self._directory = directory
        self._location = location
        self._states = states
        self._access = access
        self._flows = flows
        self._clock = clock
        self._metrics = metrics
        self._everybody = everybody
        self._phones: dict[str, str] = {}
        """Phones that were named -> their customer, empty if it is not known."""
        self._customers: dict[str, None] = {}
        self._members: dict[str, str] = {}
        """Phones of customers that changed -> that customer."""
        self._gap = False
        self._backlog: list[str] = []
        self._noted = asyncio.Event()

    def note(self, change: Change) -> None:
        """Note a change; `run` applies it."""
        for phone in change.phones:
            self._phones.setdefault(phone, "")
        if change.customer:
            self._customers[change.customer] = None
        self._gap = self._gap or change.everybody
        self._noted.set()

    def vanished(self, phone: Phone) -> None:
        """Note that a phone was deleted without an announcement: its bindings must go."""
        self._phones[phone.id] = phone.customer
        self._noted.set()

    async def run(self) -> None:
        """Apply the noted changes until cancelled: named phones first, then customers, then all phones."""
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
        """Apply one part of the noted changes; return False if there was none.

        Raises StoreUnavailable; the part then stays noted.
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
        """Re-check the first noted phones.

        A change to one of them that is noted during the re-check is applied separately.
        """
        chunk = dict(islice(noted.items(), CHUNK))
        for phone in chunk:
            del noted[phone]
        try:
            await self._reread(chunk)
        except StoreUnavailable:
            noted.update(chunk | noted)
            raise

    async def _apply_to_customer(self, customer: str) -> None:
        """Note all phones of a customer; phones that are bound here come first."""
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
        """Re-check phones; the customer of a deleted phone is the given one, else the last known one."""
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
            await self._directory.learn(chunk)  # a process that has just started knows no phones
            await asyncio.gather(*(self._bury(phone, process) for phone in chunk))

    async def _bury(self, phone: str, process: Process) -> None:
        def decide(before: Snapshot) -> Update | None:
            lost = [binding for binding in before.live(self._clock()) if process.holds(binding)]
            customer = _customer(self._directory.by_id(phone))
            if not lost:
                return None
            return without(before, lost, EventKind.LOST, Reason.NODE_LOST, customer, self._clock())

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
        gone = [phone for phone in customers if phone not in found]
        await asyncio.gather(*(self._states.drop(phone, customers[phone]) for phone in gone))

    async def _recheck_one(self, id: str, snapshot: Snapshot, phone: Phone | None, customer: str) -> None:
        def decide(before: Snapshot) -> Update | None:
            violation = self._violation(before, phone, self._clock())
            if violation is None:
                return None
            gone, kind, reason = violation
            whose = phone.customer if phone else customer
            return without(before, gone, kind, reason, whose, self._clock())

        written, _ = await rewrite(self._location, id, decide, snapshot)
        while written is Written.YES:  # the remaining ones may be refused for another reason
            written, _ = await rewrite(self._location, id, decide)
        if written is Written.GAVE_UP:
            log.error("phone %s could not be re-checked: it changed %d times meanwhile", id, TRIES)

    def _violation(
        self, snapshot: Snapshot, phone: Phone | None, now: Epoch
    ) -> tuple[list[Binding], EventKind, Reason] | None:
        """Return the bindings that must end, and why, or None if all may stay."""
        live = list(snapshot.live(now))
        if not live:
            return None
        if phone is None or not phone.active:
            return live, EventKind.REVOKED, Reason.REVOKED
        revoked = [binding for binding in live if binding.secret_version != phone.secret_version]
        if revoked:
            return revoked, EventKind.REVOKED, Reason.REVOKED
        elsewhere = [
            binding for binding in live if self._is_refused(phone, binding.public_ip, binding.transport)
        ]
        return (elsewhere, EventKind.REVOKED, Reason.IP_REJECTED) if elsewhere else None

    def _may_stay(self, phone: Phone | None, held: Held) -> bool:
        """Return whether a phone may keep a connection, with or without a binding over it."""
        if phone is None or not phone.active or held.secret_version != phone.secret_version:
            return False
        return not self._is_refused(phone, held.flow.remote_ip, held.flow.transport)

    def _is_refused(self, phone: Phone, address: str, transport: str) -> bool:
        decision = self._access.decide(phone, address, transport, first_contact=False)
        return isinstance(decision, Deny) and decision.reason != "no-country-file"


def _customer(phone: Phone | None) -> str:
    return phone.customer if phone is not None else ""
