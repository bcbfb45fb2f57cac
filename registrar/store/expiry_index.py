"""Index in Redis of the phones by their earliest expiry, in 64 shards.

An entry that is too early is harmless, and one that is too late is not: so the entry is lowered before a
commit, and raised only by a process that has looked at the bindings after the entry was due (`reschedule`).
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from registrar.model import Snapshot
from registrar.ports import Clock, Due

from . import keys
from .redis_wire import Wire
from .script_runner import WireRunner
from .scripts import RESCHEDULE


class ExpiryIndex:
    """The index over one connection; implements ports.Schedule."""

    def __init__(self, wire: Wire, runner: WireRunner, clock: Clock) -> None:
        self._wire = wire
        self._runner = runner
        self._clock = clock

    def announce(self, phone: str, after: Snapshot) -> None:
        """Lower the entry of a phone before a commit of `after`. Raises StoreUnavailable."""
        if after.bindings:
            earliest = min(binding.expires_at for binding in after.bindings)
            self._wire.tell("ZADD", keys.expiry(phone), "LT", earliest, phone)

    async def due(self, limit: int) -> list[Due]:
        """See ports.Schedule."""
        now = f"{self._clock():.3f}"
        answers = await all_answers(
            self._wire.send("ZRANGEBYSCORE", key, "-inf", now, "WITHSCORES", "LIMIT", 0, limit)
            for key in map(keys.expiry_shard, range(keys.SHARDS))
        )
        return [
            Due(phone.decode(), float(score))
            for answer in answers
            for phone, score in zip(answer[::2], answer[1::2], strict=True)
        ]

    async def reschedule(self, due: Due, earliest: int | None) -> None:
        """See ports.Schedule."""
        score = "" if earliest is None else earliest
        await self._runner.run(RESCHEDULE, (keys.expiry(due.phone),), due.phone, repr(due.score), score)

    async def lower(self, phone: str, earliest: int) -> None:
        """See ports.Schedule."""
        await self._wire.send("ZADD", keys.expiry(phone), "LT", earliest, phone)

    async def everybody(self) -> list[str]:
        """Return every phone in the index. Raises StoreUnavailable."""
        answers = await all_answers(
            self._wire.send("ZRANGE", keys.expiry_shard(shard), 0, -1) for shard in range(keys.SHARDS)
        )
        return [phone.decode() for answer in answers for phone in answer]


async def all_answers(futures: Iterable[asyncio.Future[Any]]) -> list[Any]:
    """Return every answer, in order. All commands leave in one write."""
    return list(await asyncio.gather(*list(futures)))
