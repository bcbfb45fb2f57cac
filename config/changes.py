"""Tells the SIP side what changed, after the change is in the database (design decision 7)."""

import asyncio
import logging
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.model import Change
from registrar.store import announce, keys

PUBLISH_SECONDS: Final = 2.0
"""No request waits longer for Redis; the SIP side re-reads everything when it hears nothing."""

log = logging.getLogger(__name__)


class Changes:
    """Publishes on `registrar:changed`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def publish(self, change: Change) -> None:
        """Announce a change that is committed.

        A Redis that is away costs a warning, not the request: the SIP side reads everything again when
        its own subscription is made again.
        """
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                for message in announce.encode(change):
                    await self._redis.publish(keys.CHANGED, message)
        except (RedisError, OSError) as error:
            log.warning("a change was not announced, Redis is away: %s", type(error).__name__)
