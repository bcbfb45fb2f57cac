"""Numbers of phones that requests share, so that their cost in a second does not depend on who asks.

Each open board asks for them each second. One customer costs three commands of Redis, so the sum for all
customers of an operator costs thousands. An answer is kept for each set of customers in sight, at least for
a second, and for longer if the sets that are asked for have many customers together: this process reads the
numbers of at most `CUSTOMERS_A_SECOND` on average. Requests that come meanwhile wait for the same reading.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from registrar.model import Mono

from .registrations import Summary

KEPT_SECONDS: Final = 1.0
CUSTOMERS_A_SECOND: Final = 500

Sight = tuple[str, str | None]
"""The name of a set of customers: equal names stand for the same customers."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of the phones of some customers."""

    total: int
    """All phones, in every state."""
    summary: Summary
    customers: int
    """How many customers were read."""


@dataclass(frozen=True, slots=True)
class _Kept:
    numbers: Numbers
    load: int
    until: float


class Summaries:
    """Keeps the numbers of each set of customers for a while."""

    def __init__(self, now: Callable[[], Mono]) -> None:
        self._now = now
        self._kept: dict[Sight, _Kept] = {}
        self._load = 0
        """Customers of all kept numbers; one that is in several sets counts in each."""
        self._tidy_at = 0.0
        self._readings: dict[Sight, asyncio.Task[Numbers]] = {}

    async def of(self, sight: Sight, read: Callable[[], Awaitable[Numbers]]) -> Numbers:
        """Return the numbers of the customers in sight; `read` reads them. Raise what `read` raises."""
        kept = self._kept.get(sight)
        if kept is not None and self._now() < kept.until:
            return kept.numbers
        reading = self._readings.get(sight)
        if reading is None:
            reading = self._readings[sight] = asyncio.create_task(self._read(sight, read))
            reading.add_done_callback(lambda done: self._done(sight, done))
        return await asyncio.shield(reading)  # another request may wait for it, too

    async def _read(self, sight: Sight, read: Callable[[], Awaitable[Numbers]]) -> Numbers:
        numbers = await read()
        now = self._now()
        self._forget_old(now)
        self._forget(sight)
        self._keep(sight, numbers, now)
        return numbers

    def _keep(self, sight: Sight, numbers: Numbers, now: float) -> None:
        load = max(numbers.customers, 1)
        self._load += load
        until = now + max(KEPT_SECONDS, self._load / CUSTOMERS_A_SECOND)
        self._kept[sight] = _Kept(numbers, load, until)

    def _done(self, sight: Sight, reading: asyncio.Task[Numbers]) -> None:
        del self._readings[sight]
        if not reading.cancelled():
            reading.exception()  # the requests that wait for it raise it; there may be none left

    def _forget_old(self, now: float) -> None:
        if now < self._tidy_at:
            return
        self._tidy_at = now + KEPT_SECONDS
        for sight in [sight for sight, kept in self._kept.items() if kept.until <= now]:
            self._forget(sight)

    def _forget(self, sight: Sight) -> None:
        kept = self._kept.pop(sight, None)
        if kept is not None:
            self._load -= kept.load
