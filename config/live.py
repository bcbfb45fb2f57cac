"""The live status of a page of phones, read from Redis in one round trip (design.md 4.3)."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.model import Epoch
from registrar.rules.status import UNKNOWN, LiveStatus, live_status, needed_lease
from registrar.store import keys

READ_SECONDS: Final = 2.0
"""No answer waits longer for Redis; its client gives up sooner."""
MAX_NODES: Final = 64
"""Names of nodes that are asked for in advance; more than a cluster has."""

Fields = Mapping[str, str]
Leases = dict[str, str]
"""Name of a living node -> its generation."""

log = logging.getLogger(__name__)


class Live:
    """Reads what the SIP side wrote about phones. Remembers the names of nodes, to save a round trip."""

    def __init__(self, redis: Redis, now: Callable[[], Epoch]) -> None:
        self._redis = redis
        self._now = now
        self._nodes: dict[str, None] = {}

    async def statuses(self, phones: Sequence[str]) -> list[LiveStatus]:
        """The status of each phone, in order; UNKNOWN for what Redis did not tell."""
        if not phones:
            return []
        try:
            async with asyncio.timeout(READ_SECONDS):
                hashes, leases = await self._read(phones)
        except (RedisError, OSError) as error:
            log.warning("live status is unknown, Redis is away: %s", type(error).__name__)
            return [UNKNOWN] * len(phones)
        now = self._now()
        return [UNKNOWN if fields is None else live_status(fields, leases, now) for fields in hashes]

    async def _read(self, phones: Sequence[str]) -> tuple[list[Fields | None], Leases]:
        nodes = list(self._nodes)
        pipeline = self._redis.pipeline(transaction=False)
        for phone in phones:
            pipeline.hgetall(keys.status(phone))
        for node in nodes:
            pipeline.get(keys.node(node))
        answers = await pipeline.execute(raise_on_error=False)
        hashes: list[Fields | None] = [
            answer if isinstance(answer, dict) else None for answer in answers[: len(phones)]
        ]
        leases = _generations(nodes, answers[len(phones) :])
        return hashes, leases | await self._unasked(hashes, nodes)

    async def _unasked(self, hashes: Sequence[Fields | None], asked: Sequence[str]) -> Leases:
        """The leases of nodes that turned up only now; they are asked for in advance from now on."""
        needed = {needed_lease(fields) for fields in hashes if fields is not None}
        new = sorted(node for node in needed if node and node not in asked)
        if not new:
            return {}
        for node in new[:MAX_NODES]:
            self._nodes[node] = None
        while len(self._nodes) > MAX_NODES:
            self._nodes.pop(next(iter(self._nodes)))
        pipeline = self._redis.pipeline(transaction=False)
        for node in new:
            pipeline.get(keys.node(node))
        return _generations(new, await pipeline.execute())


def _generations(nodes: Sequence[str], answers: Sequence[object]) -> Leases:
    leases: Leases = {}
    for node, answer in zip(nodes, answers, strict=True):
        try:
            leases[node] = str(json.loads(answer)["generation"]) if isinstance(answer, str) else ""
        except (ValueError, TypeError, KeyError):
            log.warning("the lease of node %s cannot be read", node)
    return {node: generation for node, generation in leases.items() if generation}
