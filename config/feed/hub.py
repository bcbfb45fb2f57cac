"""The one reader of the stream of all events in this process, and the streams to clients that share it.

It reads while there are clients. The ring is filled from Redis first, so that clients that come back after a
restart find what they missed in memory. While Redis is away, the ring stays, and the streams wait; then the
reading goes on after the last entry, so that nothing is lost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from redis.asyncio import Redis

from registrar.errors import StoreUnavailable
from registrar.store import event_stream
from registrar.store.event_stream import FAULTS, FIRST, RETRY_SECONDS, Entry, order
from registrar.store.redis_client import heed_cancellation

from .. import clock
from .owners import Owners
from .reader import Reader
from .ring import REMEMBERED, RING, Keys, Ring
from .told import Told, tell

MAX_READERS: Final = 1_000
MAX_PER_PERSON: Final = 8
GATHER_SECONDS: Final = 0.1
"""Events are read at most so often: each reading wakes the streams that it is for."""
READY_SECONDS: Final = 2.0
CHECK_SECONDS: Final = 2.0
"""How often the tokens of all streams are checked."""
PAGES_AT_ONCE: Final = 4
"""Streams that read old events from Redis at the same time; the others wait for their turn."""
BREATH: Final = 200
"""Entries decoded before other tasks run: the same event loop may serve SIP."""

log = logging.getLogger(__name__)


class Trimmed(Exception):
    """Events after a position were removed from the stream; `oldest` is the oldest that is left."""

    def __init__(self, oldest: str) -> None:
        super().__init__(oldest)
        self.oldest = oldest


class TooManyStreams(Exception):
    """The person, or this process, has as many streams as it may have; or the customer has `most`."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most = most


class Hub:
    """Reads the stream of all events, and shares it among readers."""

    def __init__(
        self,
        redis: Redis,
        customers_of: Callable[[Collection[str]], Awaitable[Mapping[str, str]]],
        check: Callable[[Sequence[Reader]], Awaitable[None]],
    ) -> None:
        """Create an idle hub; `run` makes it work.

        `customers_of` returns the customers of phones. `check` ends the readers whose callers may not read
        any more, and updates what the others may see.
        """
        self._redis = redis
        self._owners = Owners(customers_of)
        self._check = check
        self._keys = Keys()
        self._readers: set[Reader] = set()
        self._waiting = 0
        """Requests that wait until the ring can be used."""
        self._wanted = asyncio.Event()
        self._ready = asyncio.Event()
        """Set while the ring follows the stream; not while Redis is away."""
        self._filled = False
        self._turns = asyncio.Semaphore(PAGES_AT_ONCE)
        self.ring = Ring()

    # Readers

    def admit(self, reader: Reader, most: int = MAX_READERS) -> int:
        """Add a reader, for which the ring is ready, and return how many its customer has now.

        `most` are the readers that its customer may have. Raise TooManyStreams.
        """
        of_person = sum(1 for one in self._readers if one.person == reader.person)
        customer = reader.caller.customer
        of_customer = sum(1 for one in self._readers if one.caller.customer == customer) if customer else 0
        if of_person >= MAX_PER_PERSON or len(self._readers) >= MAX_READERS:
            raise TooManyStreams
        if of_customer >= most:
            raise TooManyStreams(most)
        self._readers.add(reader)
        return of_customer + 1

    def leave(self, reader: Reader) -> None:
        """Remove a reader."""
        self._readers.discard(reader)

    @property
    def readers(self) -> int:
        """Return how many readers there are."""
        return len(self._readers)

    async def ready(self) -> None:
        """Wait until the ring follows the stream. Raise StoreUnavailable if Redis is away."""
        self._waiting += 1
        self._wanted.set()
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise StoreUnavailable("the stream of events cannot be read") from None
        finally:
            self._waiting -= 1

    async def page_after(self, last: tuple[int, int]) -> list[Told]:
        """Return the next events after an id from Redis: those that the ring does not have any more.

        Raise Trimmed if events after it may have been removed, and StoreUnavailable if Redis is away.
        """
        id = f"{last[0]}-{last[1]}"
        try:
            async with self._turns:
                known = await event_stream.newest_before(self._redis, id, REMEMBERED)
                found = await event_stream.page_after(self._redis, id)
                oldest = await event_stream.oldest_kept(self._redis)
        except FAULTS as error:
            raise StoreUnavailable(f"the stream of events: {type(error).__name__}") from error
        if last < order(oldest):
            raise Trimmed(oldest)
        seen = Keys()
        for entry in known:
            seen.is_repeat(entry.key)
        return await self._told(found, seen)

    # The job

    async def run(self, stop: asyncio.Event) -> None:
        """Read while there are readers, until `stop` is set; then end all streams."""
        async with asyncio.TaskGroup() as tasks:
            jobs = [tasks.create_task(self._read()), tasks.create_task(self._look_at_tokens())]
            await stop.wait()
            for job in jobs:
                job.cancel()
        for reader in self._readers:
            reader.end()

    async def _read(self) -> None:
        while True:
            heed_cancellation()
            await self._wanted.wait()
            try:
                await self._follow()
            except (*FAULTS, StoreUnavailable) as error:
                if self._ready.is_set():
                    log.warning("event streams wait: %s", type(error).__name__)
                self._ready.clear()
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        if not self._filled:
            await self._fill()
        await self._refuse_gap()
        self._ready.set()
        while self._readers or self._waiting:
            heed_cancellation()
            found = await event_stream.read_after(self._redis, self._last())
            if found:
                self._add(await self._told(found, self._keys))
                await asyncio.sleep(GATHER_SECONDS)
        self._wanted.clear()
        self._ready.clear()
        self._filled = False
        self.ring.begin(order(FIRST))

    async def _fill(self) -> None:
        """Fill the ring with the newest events. The oldest that are read only show which keys are known."""
        found = await event_stream.newest_before(self._redis, "+", RING + REMEMBERED)
        self._keys = Keys()
        known, rest = found[:-RING], found[-RING:]
        for entry in known:
            self._keys.is_repeat(entry.key)
        told = await self._told(rest, self._keys)
        is_whole = not known and await event_stream.oldest_kept(self._redis) == FIRST
        self.ring.begin(order(FIRST) if is_whole or not told else told[0].id)
        self.ring.add(told)
        self._filled = True

    async def _refuse_gap(self) -> None:
        """End all streams if the entries that would follow were removed while Redis could not be read."""
        if self.ring.newest < order(await event_stream.oldest_kept(self._redis)):
            for reader in self._readers:
                reader.end()
            await self._fill()

    def _last(self) -> str:
        milliseconds, number = self.ring.newest
        return f"{milliseconds}-{number}"

    def _add(self, told: Sequence[Told]) -> None:
        before = self.ring.last
        self.ring.add(told)
        customers = frozenset(one.customer for one in told)
        for reader in self._readers:
            reader.heard(told, customers, before, self.ring.last)

    async def _told(self, entries: Sequence[Entry], known: Keys) -> list[Told]:
        owners = await self._owners.of(entries)
        told: list[Told] = []
        for start in range(0, len(entries), BREATH):
            for place in range(start, min(start + BREATH, len(entries))):
                entry = entries[place]
                told.append(tell(entry, owners[place], is_repeat=known.is_repeat(entry.key)))
            await asyncio.sleep(0)
        return told

    async def _look_at_tokens(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(CHECK_SECONDS)
            now = clock.epoch_now()
            for reader in self._readers:
                if reader.is_expired(now):  # the database need not be there for this
                    reader.end()
            try:
                await self._check(tuple(self._readers))
            except (StoreUnavailable, OSError) as error:
                log.warning("tokens of event streams were not checked: %s", type(error).__name__)
