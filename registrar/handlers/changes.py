"""What a change of the configuration does to live bindings: re-checked or dropped (decision 7)."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final, Protocol

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Binding, Change, Deny, Epoch, EventKind, Phone, Reason, Snapshot
from registrar.ports import Clock, Location
from registrar.rules.access import Access
from registrar.rules.register import drop
from registrar.rules.settle import settle

CHUNK: Final = 200
TRIES: Final = 5
BREATH_SECONDS: Final = 0.005
"""Between two chunks of a re-check of everybody, so that registrations go on."""

log = logging.getLogger(__name__)


class Rereader(Protocol):
    """The directory as the re-check needs it."""

    async def reread(self, change: Change) -> list[Phone]:
        """The changed phones as they are now. Raises StoreUnavailable."""

    def by_id(self, phone: str) -> Phone | None:
        """What was last read of a phone."""


class Changes:
    """Applies changes to what is bound."""

    def __init__(
        self, directory: Rereader, location: Location, access: Access, clock: Clock, metrics: Metrics
    ) -> None:
        self._directory = directory
        self._location = location
        self._access = access
        self._clock = clock
        self._metrics = metrics

    async def apply(self, change: Change) -> None:
        """Re-check the phones of a change; tried again for a while when a store is away."""
        for delay in (0.2, 1, 2, 5, 10, None):
            try:
                before = {phone: self._directory.by_id(phone) for phone in change.phones}
                found = {phone.id: phone for phone in await self._directory.reread(change)}
                await self._recheck(
                    [*change.phones, *(id for id in found if id not in before)], found, before
                )
            except StoreUnavailable as error:
                log.warning("a change waits: %s", error)
                if delay is not None:
                    await asyncio.sleep(delay)
                continue
            return

    async def recheck(self, phones: Iterable[str]) -> None:
        """Re-check these phones, a few at a time. Raises StoreUnavailable."""
        ids = list(phones)
        for start in range(0, len(ids), CHUNK):
            chunk = tuple(ids[start : start + CHUNK])
            before = {phone: self._directory.by_id(phone) for phone in chunk}
            found = {phone.id: phone for phone in await self._directory.reread(Change(phones=chunk))}
            await self._recheck(list(chunk), found, before)
            await asyncio.sleep(BREATH_SECONDS)

    async def sweep_node(self, name: str, generation: str, phones: frozenset[str]) -> None:
        """End the bindings on connections of a process that died. Raises StoreUnavailable."""

        def gone(binding: Binding) -> bool:
            return binding.connected and (binding.node, binding.generation) == (name, generation)

        for phone in phones:
            for _ in range(TRIES):
                (before,) = await self._location.load([phone])
                lost = [binding for binding in before.live(self._clock()) if gone(binding)]
                customer = _customer(self._directory.by_id(phone))
                if await self._end(phone, before, lost, EventKind.LOST, Reason.NODE_LOST, customer):
                    break

    async def _recheck(
        self, ids: list[str], found: dict[str, Phone], before: dict[str, Phone | None]
    ) -> None:
        snapshots = await self._location.load(ids)
        for phone, snapshot in zip(ids, snapshots, strict=True):
            self._metrics.rechecked.inc()
            await self._recheck_one(phone, snapshot, found.get(phone), _customer(before.get(phone)))

    async def _recheck_one(self, id: str, snapshot: Snapshot, phone: Phone | None, customer: str) -> None:
        for _ in range(TRIES):
            now = self._clock()
            violation = self._violation(snapshot, phone, now)
            if violation is None:
                return
            gone, kind, reason = violation
            if phone is not None:
                customer = phone.customer
            await self._end(id, snapshot, gone, kind, reason, customer)
            (snapshot,) = await self._location.load([id])
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
        elsewhere = [binding for binding in live if self._is_elsewhere(phone, binding)]
        return (elsewhere, EventKind.REVOKED, Reason.IP_REJECTED) if elsewhere else None

    def _is_elsewhere(self, phone: Phone, binding: Binding) -> bool:
        decision = self._access.decide(phone, binding.public_ip, first_contact=False)
        return isinstance(decision, Deny) and decision.reason != "no-country-file"

    async def _end(
        self,
        phone: str,
        before: Snapshot,
        gone: list[Binding],
        kind: EventKind,
        reason: Reason,
        customer: str,
    ) -> bool:
        if not gone:
            return True
        now = self._clock()
        outcome = drop(before, gone, kind, str(reason), now)
        update = settle(before, outcome.bindings, outcome.events, now, reason=reason, customer=customer)
        return await self._location.commit(phone, before, update) is None


def _customer(phone: Phone | None) -> str:
    return phone.customer if phone is not None else ""
