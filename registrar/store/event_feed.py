"""Reader of the stream of all events (docs/redis.md), only while its entries are wanted."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from . import keys
from .redis_client import heed_cancellation

BLOCK_MS: Final = 500
"""Less than the time that the client waits for any answer."""
COUNT: Final = 500
RETRY_SECONDS: Final = 0.3
FIRST: Final = "0-0"
FAULTS: Final = (RedisError, OSError, TimeoutError, UnicodeDecodeError)

Fields = dict[str, str]

log = logging.getLogger(__name__)


class EventFeed:
    """Follower of the stream that passes on each entry once, and says when entries may have been missed."""

    def __init__(
        self,
        redis: Redis,
        wanted: asyncio.Event,
        *,
        heard: Callable[[Sequence[Fields]], Awaitable[None]],
        missed: Callable[[], Awaitable[None]],
    ) -> None:
        """Create the follower: it reads while `wanted` is set.

        `missed` is called when the reading begins, and after each gap: then every entry arrives again.
        """
        self._redis = redis
        self._wanted = wanted
        self._heard = heard
        self._missed = missed

    async def run(self) -> None:
        """Follow the stream until cancelled."""
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except FAULTS as error:
                log.debug("the stream of events cannot be read: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            heed_cancellation()

    async def _follow(self) -> None:
        last = await self._newest()
        await self._missed()
        while self._wanted.is_set():
            answer: Any = await self._redis.xread({keys.EVENTS: last}, count=COUNT, block=BLOCK_MS)
            heed_cancellation()
            entries = _entries(answer)
            if entries:
                last = entries[-1][0]
                await self._heard([fields for _, fields in entries])

    async def _newest(self) -> str:
        """Return the id of the newest entry."""
        found: Any = await self._redis.xrevrange(keys.EVENTS, count=1)
        return str(found[0][0]) if found else FIRST


def _entries(answer: Any) -> list[tuple[str, Fields]]:
    """Return the entries of an answer to XREAD: ids with their fields."""
    rows = answer[0][1] if answer else []
    return [(str(id), {str(name): str(text) for name, text in (fields or {}).items()}) for id, fields in rows]


def read_person(data: str) -> str:
    """Return the person that a message on `registrar:person-news` is about; empty if it cannot be read."""
    try:
        return str(json.loads(data)["person"])
    except (ValueError, TypeError, KeyError):
        return ""
