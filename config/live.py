"""The live status of a page of phones, read from Redis in one round trip (docs/redis.md)."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.errors import StoreUnavailable
from registrar.model import Epoch
from registrar.rules.status import UNKNOWN, LiveStatus, live_status, needed_lease
from registrar.store import keys
from registrar.store.many import ask, command

READ_SECONDS: Final = 2.0
"""The longest time that a response waits for Redis. The Redis client gives up sooner."""
MAX_NODES: Final = 64
"""Most node names whose leases are requested in advance; more than a cluster has."""

Fields = Mapping[str, str]
Leases = dict[str, str]
"""Name of a living node -> its generation."""

_HGETALL: Final = b"*2\r\n$7\r\nHGETALL\r\n$%d\r\n%b\r\n"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a phone's journal; docs/redis.md lists its fields."""

    at_ms: int
    """Milliseconds since 1970, by the clock of Redis."""
    fields: Fields


class Live:
    """Reads what the SIP side wrote about phones. It remembers the names of nodes to save a round trip."""

    def __init__(self, redis: Redis, now: Callable[[], Epoch]) -> None:
        self._redis = redis
        self._now = now
        self._nodes: dict[str, None] = {}

    async def statuses(self, phones: Sequence[str]) -> list[LiveStatus]:
        """Return the status of each phone, in order; UNKNOWN if Redis did not return it."""
        try:
            return (await self._read(phones))[0]
        except (RedisError, OSError) as error:
            log.warning("live status is unknown, Redis is away: %s", type(error).__name__)
            return [UNKNOWN] * len(phones)

    async def told(self, phones: Sequence[str]) -> list[LiveStatus]:
        """Return the status of each phone, in order. Raise StoreUnavailable while Redis is away."""
        with away_is_unavailable():
            return (await self._read(phones))[0]

    async def history(self, phone: str, limit: int) -> tuple[LiveStatus, list[Entry]]:
        """Return the status of a phone and its newest events. Raise StoreUnavailable while Redis is away."""
        with away_is_unavailable():
            (status,), (answer,) = await self._read(
                [phone], command("XREVRANGE", keys.journal(phone), "+", "-", "COUNT", limit)
            )
        rows = answer if isinstance(answer, list) else []
        return status, [Entry(int(str(number).partition("-")[0]), pairs(words)) for number, words in rows]

    async def _read(self, phones: Sequence[str], *more: bytes) -> tuple[list[LiveStatus], Sequence[object]]:
        """Return the statuses, and the answers to `more` commands."""
        if not phones:
            return [], []
        async with asyncio.timeout(READ_SECONDS):
            nodes = list(self._nodes)
            answers = await ask(
                self._redis,
                [
                    *(
                        _HGETALL % (len(key), key)
                        for key in (keys.status(phone).encode() for phone in phones)
                    ),
                    *(command("GET", keys.node(node)) for node in nodes),
                    *more,
                ],
            )
            found, told = answers[: len(phones)], answers[len(phones) :]
            hashes = [hash_of(answer) for answer in found]
            leases = generations(nodes, told[: len(nodes)])
            leases |= await self._unasked(hashes, nodes)
        now = self._now()
        statuses = [UNKNOWN if fields is None else live_status(fields, leases, now) for fields in hashes]
        return statuses, told[len(nodes) :]

    async def _unasked(self, hashes: Sequence[Fields | None], asked: Sequence[str]) -> Leases:
        """Return the leases of nodes that were not known yet. From now on they are requested in advance."""
        needed = {needed_lease(fields) for fields in hashes if fields}
        new = sorted(node for node in needed if node and node not in asked)
        if not new:
            return {}
        for node in new[:MAX_NODES]:
            self._nodes[node] = None
        while len(self._nodes) > MAX_NODES:
            self._nodes.pop(next(iter(self._nodes)))
        return generations(new, await ask(self._redis, [command("GET", keys.node(node)) for node in new]))


@contextmanager
def away_is_unavailable() -> Iterator[None]:
    """Convert the errors of redis-py into StoreUnavailable."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis is away: {type(error).__name__}") from error


def hash_of(answer: object) -> Fields | None:
    """Return a hash as either version of the protocol encodes it, or None if the answer is an error."""
    if isinstance(answer, list):
        return pairs(answer)
    return answer if isinstance(answer, dict) else None


def pairs(words: Sequence[str]) -> Fields:
    """Return a dictionary of alternating names and values, as Redis encodes a hash."""
    return dict(zip(words[::2], words[1::2], strict=False))


def generations(nodes: Sequence[str], answers: Sequence[object]) -> Leases:
    """Return the generations of the nodes that live; `answers` are what their leases hold."""
    leases: Leases = {}
    for node, answer in zip(nodes, answers, strict=True):
        try:
            leases[node] = str(json.loads(answer)["generation"]) if isinstance(answer, str) else ""
        except (ValueError, TypeError, KeyError):
            log.warning("the lease of node %s cannot be read", node)
    return {node: generation for node, generation in leases.items() if generation}
