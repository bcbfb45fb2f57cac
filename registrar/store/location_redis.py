"""Location service in Redis: one script per step, which writes only if no other wrote (docs/redis.md).

What is kept. Redis has three keys for each phone: the location (bindings, nonces, refusals), the public
status, and the journal. They are in one slot of a cluster, and one script writes all of them or none. Others
are in other slots, and no script can include them: the index of expiry, the set of flows of each process,
the index of states, and the stream of all events. This process keeps the last snapshot of each phone that it
wrote, promised, or was shown when its commit was refused. Five parts do the work: RedisSnapshots,
ExpiryIndex, FlowSet, StateWriter and Outbox. RedisLocation does their steps in the right order.

Several writers. There is no lock. A commit names the version that was read. If another process wrote since,
the script writes nothing and returns what is stored, and the caller decides again. Each version of a phone
is higher than the one before it (`rules.update.next_version`), so an equal version means an equal snapshot.

The order of writes. All commands leave over one connection, and Redis executes them in their order.

1. The entry in the index of expiry is lowered. If the commit binds the phone to a connection here, the
   phone is added to the set of flows. If it changes the standing of the phone, its entry in the index of
   states is written (state_writer).
2. The script runs. It also puts new events into the location.
3. If the commit ended the last binding to a connection here, the phone leaves the set of flows. The events
   are appended to the stream, and then removed from the location. If it was refused, or has no answer, the
   entry in the index of states is corrected.

A process may die after any of these steps. After the first, an entry is too early, or a phone too many is
in the set: their readers look at the bindings before they act. After the second, the events stay in the
location, and any process that reads them 5 s later publishes them, so that each is published at least once.
The events are on their way before `commit` returns, so that an event that another node writes in reaction
follows them in the stream.

Faults.

- There is no answer. `commit` raises StoreUnavailable, and the update may be written or not. The caller's
  snapshot is still the old one: if the update was written, the next commit is refused and returns it.
- Redis has lost writes that it acknowledged. The stored version is then lower than one that this process
  has seen. `rules.reconcile` restores the bindings that live, in a refused commit and in `mend` after a
  reconnection. If the location has only expired, no binding of it lives.
- Redis is away, and a refresh was granted without it (`promise`). The known snapshot has the new bindings
  and the old version. `mend` writes it. Until then the phone is not due, because Redis may have an expiry
  that is too early.
- Another process ended a binding to a connection here. `load` and refused commits show that, and the phone
  leaves the set of flows. Two snapshots do not show it: one that is older than the known one, and one that
  comes while a commit that binds the phone here is under way.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from registrar.model import NO_PROCESS, Process, Snapshot, Update
from registrar.ports import Clock, Due, Sighting
from registrar.rules.reconcile import reconcile

from . import keys, refusals_redis
from .expiry_index import ExpiryIndex
from .flow_set import FlowSet
from .outbox import Outbox, dump_events
from .redis_wire import Wire
from .script_runner import WireRunner
from .scripts import ALL, PINGED
from .snapshots_redis import RedisSnapshots, decoded
from .state_index import StateIndex
from .state_writer import Announced, StateWriter

CHUNK: Final = 500
MEND_TRIES: Final = 3


class RedisLocation:
    """Location service over one connection.

    Implements ports.Location, ports.Schedule, ports.Sightings and ports.OfflineReasons.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        process: Process = NO_PROCESS,
        customer_of: Callable[[str], str] = lambda phone: "",
    ) -> None:
        """Create the service. `process` is this process, which owns the connections here.

        `customer_of` returns the customer of a phone for the index of states, empty if it is not known.
        """
        self.wire = Wire(url, self._prepare)
        self._clock = clock
        self._process = process
        self._runner = WireRunner(self.wire)
        self._outbox = Outbox(self.wire, clock)
        self._snapshots = RedisSnapshots(self.wire, self._runner, self._outbox, clock)
        self._flows = FlowSet(self.wire, process)
        self._expiry = ExpiryIndex(self.wire, self._runner, clock)
        self.state_index = StateIndex(self._runner)
        self.state_writer = StateWriter(self.wire, self.state_index, customer_of)
        self._connections = 0
        self.back = asyncio.Event()
        """Set after a reconnection, when `mend` has work."""

    # ports.Location

    def known(self, phone: str) -> Snapshot:
        """See ports.Location."""
        return self._snapshots.known(phone)

    async def load(self, phones: Sequence[str]) -> list[Snapshot]:
        """See ports.Location."""
        found = await self._snapshots.read(phones)
        for phone, stands in zip(phones, found, strict=True):
            if self._snapshots.is_newest(phone, stands):
                self._flows.ended_elsewhere(phone, stands)
        return found

    async def commit(self, phone: str, before: Snapshot, update: Update) -> Snapshot | None:
        """See ports.Location. The indexes are written first: an entry that is too early is harmless."""
        after = update.after
        events = dump_events(phone, update) if update.events else ""
        self._expiry.announce(phone, after)
        arrives = self._flows.arrive(phone, after)
        announced: Announced | None = None
        committed = False
        try:
            if "online" in update.status:
                announced = self.state_writer.announce(phone, before, update)
            stored = await self._snapshots.write(phone, before, update, events)
            committed = stored is None
        finally:
            if arrives:
                self._flows.arrived(phone)
            if announced is not None:
                self.state_writer.finished(announced, committed=committed)
        if stored is None:
            self._flows.leave(phone, after, before)
            if "lastRejectedAt" in update.status:
                self._note_refusal(phone, update)
            if events:
                self._outbox.publish(phone, events)
                # Another node that hears of it and reacts must write its event later in the stream.
                self.wire.flush()
                await asyncio.sleep(0)  # uvloop writes after all ready callbacks have run
            return None
        stands = decoded(phone, stored)
        lost = reconcile(stands, before, self._clock(), promised=False)
        if lost is not None:  # restore what the store had acknowledged and lost
            lost = replace(lost, customer=update.customer)
            return await self.commit(phone, stands, lost) or lost.after
        self._snapshots.remember(phone, stored, stands)
        self._flows.ended_elsewhere(phone, stands)
        return stands

    def promise(self, phone: str, update: Update) -> None:
        """See ports.Location."""
        self._snapshots.promise(phone, update)

    # ports.Schedule

    async def due(self, limit: int) -> list[Due]:
        """See ports.Schedule. `mend` writes promised updates first: the phones of these are not due."""
        return [due for due in await self._expiry.due(limit) if not self._snapshots.is_promised(due.phone)]

    async def reschedule(self, due: Due, earliest: int | None) -> None:
        """See ports.Schedule."""
        await self._expiry.reschedule(due, earliest)

    async def lower(self, phone: str, earliest: int) -> None:
        """See ports.Schedule."""
        await self._expiry.lower(phone, earliest)

    # ports.Sightings

    async def seen(self, sightings: Sequence[Sighting]) -> list[bool]:
        """See ports.Sightings."""
        answers = await asyncio.gather(*map(self._seen, sightings))
        return [answer == 1 for answer in answers]

    # ports.OfflineReasons

    async def offline_reasons(self, phones: Sequence[str]) -> list[str]:
        """See ports.OfflineReasons."""
        asked = [self.wire.send("HGET", keys.status(phone), "reason") for phone in phones]
        return [(answer or b"").decode(errors="replace") for answer in await asyncio.gather(*asked)]

    # Starts, losses and returns

    async def everybody(self) -> list[str]:
        """Return every phone in the index of expiry. Call this at a start, never on a request or a timer."""
        return await self._expiry.everybody()

    def forget_listed(self) -> None:
        """Note that Redis may have lost the set of flows: each phone is added again with its next commit."""
        self._flows.forget()

    async def mend(self) -> int:
        """Write again what the store has lost or could not receive. Return the number of phones written.

        Raises StoreUnavailable; the remaining phones then wait for the next call.
        """
        written = 0
        for chunk in _chunks(self._snapshots.all_known(), CHUNK):
            behind = await self._snapshots.behind(chunk)
            written += sum(await asyncio.gather(*map(self._mend_one, behind)))
        return written

    def _note_refusal(self, phone: str, update: Update) -> None:
        """Note a refusal for people, beside the path of its answer."""
        customer, status = update.customer, update.status
        if customer:
            place = (customer, phone, status["lastRejectedIp"], status["lastRejectedReason"])
            refusals_redis.note(self._runner, *place, int(status["lastRejectedAt"]), wrong=False)

    async def _mend_one(self, phone: str) -> bool:
        (stands,) = await self.load([phone])
        for _ in range(MEND_TRIES):
            promised = self._snapshots.is_promised(phone)
            update = reconcile(stands, self.known(phone), self._clock(), promised=promised)
            if update is None:
                return False
            moved = await self.commit(phone, stands, update)
            if moved is None:
                self._snapshots.kept(phone)
                self.state_writer.doubt(phone)  # of two lost writes, Redis may have kept the entry alone
                return True
            stands = moved
        return False

    async def _seen(self, sighting: Sighting) -> Any:
        phone, binding, rtt_ms, at = sighting
        place = (binding.node, binding.public_ip, binding.public_port)
        rtt = "" if rtt_ms is None else f"{rtt_ms:.1f}"
        return await self._runner.run(PINGED, (keys.status(phone),), *place, int(at), rtt)

    async def _prepare(self) -> None:
        """Make a new connection ready: the scripts, and the name of this process before its first phone."""
        for script in ALL:
            await self.wire.early("SCRIPT", "LOAD", script.text)
        if self._process.node:
            await self.wire.early("HSETNX", keys.NODES, str(self._process), int(self._clock()))
        self._flows.forget()
        self._connections += 1
        if self._connections > 1:
            self.back.set()


def _chunks(items: list[str], size: int) -> Iterable[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
