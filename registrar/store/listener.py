"""Subscription to the changes of the config API, watched closely enough to notice a gap."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from registrar.model import Change

from . import announce, keys
from .redis_client import heed_cancellation

PING_SECONDS: Final = 1.0
SILENCE_SECONDS: Final = 3.0
RETRY_SECONDS: Final = 0.3

FAULTS: Final = (RedisError, OSError, TimeoutError, UnicodeDecodeError)

log = logging.getLogger(__name__)


class Listener:
    """Subscriber that passes on every change, and reports when changes may have been missed."""

    def __init__(
        self,
        redis: Redis,
        *,
        changed: Callable[[Change], Awaitable[None]],
        missed: Callable[[], None],
        subscribed: Callable[[], Awaitable[None]],
        channels: Sequence[str] = (),
        heard: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        """Create the listener. `heard` is called with each message on the additional `channels`.

        `missed` is called when messages may be lost from now on. `subscribed` is called when all messages
        arrive again and it is time to re-check.
        """
        self._redis = redis
        self._changed = changed
        self._missed = missed
        self._subscribed = subscribed
        self._channels = tuple(channels)
        self._heard = heard

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except FAULTS as error:
                log.debug("subscription lost: %s", type(error).__name__)
            self._missed()
            heed_cancellation()
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        subscription = self._redis.pubsub()
        try:
            await subscription.subscribe(keys.CHANGED, *self._channels)
            await self._hear(subscription)
        finally:
            with contextlib.suppress(*FAULTS):  # an error here would replace our own cancellation
                await subscription.aclose()  # type: ignore[no-untyped-call]  # of redis-py

    async def _hear(self, subscription: PubSub) -> None:
        """Pass messages on, and return after `SILENCE_SECONDS` without one."""
        loop = asyncio.get_running_loop()
        heard = asked = loop.time()
        while True:
            message = await subscription.get_message(timeout=PING_SECONDS)
            heed_cancellation()
            now = loop.time()
            if message is not None:
                heard = now
                await self._hand_on(message)
            if now - heard > SILENCE_SECONDS:
                return
            if now - asked >= PING_SECONDS:
                await subscription.ping()
                asked = now

    async def _hand_on(self, message: dict[str, object]) -> None:
        channel = str(message["channel"])
        if channel in self._channels:
            if message["type"] == "message" and self._heard is not None:
                await self._heard(channel, str(message["data"]))
        elif message["type"] == "subscribe":
            self._missed()
            await self._subscribed()
        elif message["type"] == "message":
            await self._changed(announce.decode(str(message["data"])))
