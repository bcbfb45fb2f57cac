"""The limit of guesses: how often one source may ask for what does not exist.

Over the limit each request is answered as one for an unknown name, except for a source that has loaded a
configuration within 30 days: an office behind one address must not lose its phones to one stale phone or
to one guest (decision 97). The counts are in Redis, for all processes. While Redis is away, each process
counts for itself.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.model import Mono
from registrar.rules.proxies import one_source
from registrar.store import keys

MISS_SECONDS: Final = 600
"""From the first guess: how long guesses are counted."""
SEEN_SECONDS: Final = 30 * 86_400
WAIT_SECONDS: Final = 0.5
"""The longest time that a phone waits for the counts."""
MAX_SOURCES: Final = 10_000
"""Sources that this process remembers."""
FAULTS: Final = (RedisError, OSError, TimeoutError)

log = logging.getLogger(__name__)


class Memory:
    """Counts of this process; the oldest entry makes room for a new one."""

    def __init__(self, now: Callable[[], Mono], seconds: float) -> None:
        """Forget an entry `seconds` after it was made."""
        self._now = now
        self._seconds = seconds
        self._entries: dict[str, tuple[int, float]] = {}

    def count(self, source: str) -> int:
        """Return the count of a source."""
        number, until = self._entries.get(source, (0, 0.0))
        return number if self._now() < until else 0

    def add(self, source: str) -> None:
        """Count one more."""
        number, until = self._entries.pop(source, (0, 0.0))
        if self._now() >= until:
            number, until = 0, self._now() + self._seconds
        while len(self._entries) >= MAX_SOURCES:
            del self._entries[next(iter(self._entries))]
        self._entries[source] = number + 1, until


class Limiter:
    """Counts guesses, and knows the sources that have loaded a configuration."""

    def __init__(
        self, redis: Redis, now: Callable[[], Mono], misses: int, count: Callable[[], None] = lambda: None
    ) -> None:
        """Allow `misses` guesses; `count` is called for each request of a source that has no more."""
        self._redis = redis
        self._count = count
        self._misses = misses
        self._missed = Memory(now, MISS_SECONDS)
        self._seen = Memory(now, SEEN_SECONDS)

    async def is_blocked(self, address: str) -> bool:
        """Return whether the source of an address gets no file."""
        source = one_source(address)
        missed, seen = self._missed.count(source), self._seen.count(source) > 0
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                pipeline = self._redis.pipeline(transaction=False)
                pipeline.get(keys.prov_miss(source))
                pipeline.exists(keys.prov_seen(source))
                counted, known = await pipeline.execute()
            missed, seen = max(missed, _number(counted)), seen or bool(known)
        except FAULTS as error:
            log.debug("guesses are counted in this process only: %s", type(error).__name__)
        blocked = missed >= self._misses and not seen
        if blocked:
            self._count()
        return blocked

    async def missed(self, address: str) -> None:
        """Count a guess."""
        source = one_source(address)
        self._missed.add(source)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                pipeline = self._redis.pipeline(transaction=False)
                pipeline.incr(keys.prov_miss(source))
                pipeline.expire(keys.prov_miss(source), MISS_SECONDS, nx=True)
                await pipeline.execute()
        except FAULTS as error:
            log.debug("a guess is counted in this process only: %s", type(error).__name__)

    async def loaded(self, address: str) -> None:
        """Note that a phone has loaded its configuration from an address."""
        source = one_source(address)
        self._seen.add(source)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._redis.set(keys.prov_seen(source), "1", ex=SEEN_SECONDS)
        except FAULTS as error:
            log.debug("a source is known in this process only: %s", type(error).__name__)


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() else 0
