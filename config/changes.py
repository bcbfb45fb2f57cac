"""Announces changes to the SIP side after they are committed to the database (decisions 7 and 121)."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.model import Change
from registrar.store import announce, event_stream, keys
from registrar.store.event_stream import Entry
from registrar.store.outbox import words
from registrar.store.redis_client import heed_cancellation

PUBLISH_SECONDS: Final = 2.0
"""The longest time that a request waits for Redis. Messages that are not published by then are published
later."""
RETRY_SECONDS: Final = 0.5
MAX_WAITING: Final = 10_000
"""Most ids that wait for Redis. If there are more, one message tells the SIP side to re-check every phone."""
EVERYBODY: Final = "everybody"

FAULTS: Final = (RedisError, OSError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Noted:
    """Changes whose rows were written in the transaction that made them: `noted.note` makes it."""

    changes: tuple[Change, ...] = ()
    rows: tuple[int, ...] = ()
    """The rows of the table `change`."""

    def messages(self) -> list[str]:
        """Return the messages that announce the changes, and then their rows."""
        told = (*self.changes, Change(rows=self.rows))
        return [message for change in told for message in announce.encode(change)]


class Changes:
    """Publishes on `registrar:changed`, at least once as long as this process lives."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: dict[str, None] = {}
        """Messages that could not be published yet, without duplicates."""
        self._retrying: asyncio.Task[None] | None = None

    async def publish(self, noted: Noted) -> None:
        """Announce committed changes.

        If Redis is away or stalls, log a warning and do not fail the request. The announcement is retried in
        the background until Redis accepts it. It may arrive twice, which is harmless.
        """
        messages = noted.messages()
        if not messages:
            return  # nothing that concerns the SIP side
        try:
            await self._say(messages)
        except FAULTS as error:
            log.warning("a change will be announced later, Redis is away: %s", type(error).__name__)
            self._keep(messages)

    async def tell(self, fields: Mapping[str, str]) -> None:
        """Append an event to the stream of all events. Raise RedisError or OSError."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            length = ("MAXLEN", "~", keys.EVENTS_LENGTH)
            pipeline.execute_command("XADD", keys.EVENTS, *length, "*", *words(fields))
            await pipeline.execute()

    async def events_after(self, last: str) -> list[Entry]:
        """Return the next entries of the stream of all events. Raise RedisError, OSError or TimeoutError."""
        return await event_stream.page_after(self._redis, last)

    async def tell_if_possible(self, fields: Mapping[str, str]) -> None:
        """Append an event for which no request shall fail; without Redis it is lost, and logged."""
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self.tell(fields)
        except FAULTS as error:
            log.warning("an event is lost, Redis is away: %s: %s", fields.get("event"), type(error).__name__)

    async def close(self) -> None:
        """Stop retrying. Messages that still wait are not announced."""
        task, self._retrying = self._retrying, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _say(self, messages: Iterable[str]) -> None:
        async with asyncio.timeout(PUBLISH_SECONDS):
            pipeline = self._redis.pipeline(transaction=False)
            for message in messages:
                pipeline.publish(keys.CHANGED, message)
            await pipeline.execute()

    def _keep(self, messages: Iterable[str]) -> None:
        """Keep messages for later, but not those of rows: each process has read the rows by then."""
        already = EVERYBODY in self._waiting
        self._waiting.update(dict.fromkeys(one for one in messages if not one.startswith(announce.ROWS)))
        if already or sum(message.count(" ") for message in self._waiting) > MAX_WAITING:
            if not already:
                log.error("more than %d changes wait for Redis, all phones will be re-checked", MAX_WAITING)
            self._waiting = {EVERYBODY: None}
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.create_task(self._retry())

    async def _retry(self) -> None:
        """Publish all waiting messages together, until none waits."""
        while self._waiting:
            await asyncio.sleep(RETRY_SECONDS)
            # A message that comes meanwhile waits separately: its change is newer than these.
            messages, self._waiting = self._waiting, {}
            try:
                await self._say(messages)
            except FAULTS as error:
                log.debug("changes still wait for Redis: %s", type(error).__name__)
                self._keep(messages)
            heed_cancellation()
