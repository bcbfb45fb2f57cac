"""Reader of the stream of all events (docs/redis.md), only while its entries are wanted."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import Redis

from . import event_stream
from .event_stream import FAULTS, RETRY_SECONDS, Fields
from .redis_client import heed_cancellation

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
        last = await event_stream.newest(self._redis)
        await self._missed()
        while self._wanted.is_set():
            entries = await event_stream.read_after(self._redis, last)
            heed_cancellation()
            if entries:
                last = entries[-1].id
                await self._heard([entry.fields for entry in entries])


def read_person(data: str) -> str:
    """Return the person that a message on `registrar:person-news` is about; empty if it cannot be read."""
    try:
        return str(json.loads(data)["person"])
    except (ValueError, TypeError, KeyError):
        return ""
