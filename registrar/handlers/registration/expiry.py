"""Expiry of bindings: the sweep that every node does each half second (docs/redis.md)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Reason, Snapshot
from registrar.ports import Clock, Due, Location, Schedule
from registrar.rules.register import expire
from registrar.rules.update import build_update

SWEEP_SECONDS: Final = 0.5
PER_SHARD: Final = 50

log = logging.getLogger(__name__)


class Expiry:
    """The sweeper of expired bindings; it commits by version, so that several sweepers write one event."""

    def __init__(
        self,
        location: Location,
        schedule: Schedule,
        customer_of: Callable[[str], str],
        learn: Callable[[Sequence[str]], Awaitable[None]],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Create a sweeper; `customer_of` returns the customer of a phone for the event, empty if unknown.

        `learn` reads the phones that are unknown, if that is possible now.
        """
        self._learn = learn
        self._location = location
        self._schedule = schedule
        self._customer_of = customer_of
        self._clock = clock
        self._metrics = metrics
        self._moved: list[str] = []

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                log.debug("no sweep: %s", error)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Do one round over all entries that are due. Raises StoreUnavailable."""
        due = await self._schedule.due(PER_SHARD)
        moved = self._moved
        self._moved = list({*moved, *(entry.phone for entry in due)})  # kept until this round is done
        await self._learn([entry.phone for entry in due])
        snapshots = await self._location.load([entry.phone for entry in due])
        done = await asyncio.gather(
            *(self._end(entry, snapshot) for entry, snapshot in zip(due, snapshots, strict=True))
        )
        await self._verify(moved)
        self._moved = [phone for phone in done if phone is not None]

    async def _end(self, due: Due, before: Snapshot) -> str | None:
        """End the expired bindings of one phone and update its entry in the schedule.

        Return the phone, or None if its bindings were changed meanwhile.
        """
        now = self._clock()
        outcome = expire(before, now)
        if outcome.events:
            update = build_update(
                before,
                outcome.bindings,
                outcome.events,
                now,
                reason=Reason.EXPIRED,
                customer=self._customer_of(due.phone),
            )
            if await self._location.commit(due.phone, before, update) is not None:
                return None
            self._metrics.expired.inc(len(outcome.events))
        earliest = min((binding.expires_at for binding in outcome.bindings), default=None)
        await self._schedule.reschedule(due, earliest)
        return due.phone

    async def _verify(self, phones: list[str]) -> None:
        """Check the schedule of phones once more.

        An entry that was raised or removed while its phone registered would be late.
        """
        for phone, snapshot in zip(phones, await self._location.load(phones), strict=True):
            if snapshot.bindings:
                await self._schedule.lower(phone, min(b.expires_at for b in snapshot.bindings))
