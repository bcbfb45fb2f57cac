"""The job that sends events to webhooks; of several processes, the one that has the lease does it.

It reads the stream of all events, writes a delivery for each webhook that wants an event, and sends the
deliveries: those of one phone or call one after the other, those of others beside each other.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import StoreUnavailable
from registrar.model import Epoch
from registrar.store import event_stream
from registrar.store.event_stream import FAULTS, RETRY_SECONDS, Entry, order
from registrar.store.redis_client import heed_cancellation

from ..database import reading, writing
from ..feed.owners import Owners
from ..feed.ring import REMEMBERED, Keys
from ..leases import LostLease, release_lease, take_lease
from ..tables import Webhook, WebhookDelivery, WebhookFeed
from . import queue
from .courier import Courier
from .message import body_of, event_of, lane_of, message_id
from .queue import Result, Taken, Target, Waiting

LOOK_SECONDS: Final = 2.0
"""How often a process without the lease looks whether it is free, and whether deliveries wait."""
RENEW_SECONDS: Final = 3.0
GATHER_SECONDS: Final = 0.2
"""Events are taken at most so often: each time is a transaction."""
NOTE_SECONDS: Final = 5.0
"""How often the position is written if no webhook wants an event."""
DRAIN_SECONDS: Final = 5.0
"""How long a stop waits for the web servers that are being asked."""
AT_ONCE: Final = 8
"""Requests at the same time to one web server."""
FORGET_EVERY: Final = 100
"""After so many results for a webhook, old deliveries are deleted, even if others are always under way."""

Done = TypeVar("Done")
log = logging.getLogger(__name__)


class Deliverer:
    """Sends events to webhooks."""

    def __init__(
        self,
        engine: AsyncEngine,
        read_engine: AsyncEngine,
        redis: Redis,
        courier: Courier,
        customers_of: Callable[[Collection[str]], Awaitable[Mapping[str, str]]],
        now: Callable[[], Epoch],
        owner: str,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Create an idle job; `run` makes it work. `owner` names this process, and no other."""
        self._engine = engine
        self._read_engine = read_engine
        self._redis = redis
        self._courier = courier
        self._shares = courier.shares
        self._owners = Owners(customers_of)
        self._now = now
        self._owner = owner
        self._look_seconds = look_seconds
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        """Set when nothing new is begun any more: by a stop, or without a webhook."""
        self._stopping = False
        self._keys = Keys()

    def wake(self) -> None:
        """Look at once: a webhook was made or changed."""
        self._news.set()

    async def position(self) -> str:
        """Return the position of the newest event. Raise StoreUnavailable if Redis is away."""
        try:
            return await event_stream.newest(self._redis)
        except FAULTS as error:
            raise StoreUnavailable(f"Redis is away: {type(error).__name__}") from error

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then end what is being sent, so that it is not sent again."""
        async with asyncio.TaskGroup() as tasks:
            leading = tasks.create_task(self._lead())
            await stop.wait()
            self._stopping = True
            self._over.set()
            self._news.set()
            await asyncio.wait([leading], timeout=DRAIN_SECONDS)
            leading.cancel()
        await self._courier.close()

    async def _lead(self) -> None:
        while not self._stopping:
            try:
                if await self._read(queue.has_work) and await self._has_lease():
                    await self._deliver()
            except* LostLease:
                log.warning("another process sends to webhooks from now on")
            except* (SQLAlchemyError, StoreUnavailable, *FAULTS) as errors:
                log.warning("webhooks wait: %s", type(errors.exceptions[0]).__name__)
            except* Exception:  # a fault here must not end the process that also serves the phones
                log.exception("webhooks wait: a fault in their delivery")
            await self._rest(self._look_seconds)
        with contextlib.suppress(SQLAlchemyError, OSError):
            await self._write(lambda session: release_lease(session, WebhookFeed, self._owner))

    async def _has_lease(self) -> bool:
        return await self._write(lambda session: take_lease(session, WebhookFeed, self._owner, self._now()))

    async def _deliver(self) -> None:
        """Read the stream and send, until the lease is lost, or there is no webhook any more, or the stop."""
        if not self._stopping:
            self._over.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take())
            tasks.create_task(self._send_all())
            while not self._over.is_set() and await self._read(queue.has_work):
                if not await self._has_lease():
                    raise LostLease
                await _wait_for(self._over, min(RENEW_SECONDS, self._look_seconds))
            self._over.set()
            self._news.set()

    # From the stream to deliveries

    async def _take(self) -> None:
        while not self._over.is_set():
            try:
                await self._follow()
            except FAULTS as error:
                log.warning("webhooks wait for Redis: %s", type(error).__name__)
                await _wait_for(self._over, RETRY_SECONDS)
            heed_cancellation()

    async def _follow(self) -> None:
        """Take events from the stream, from where the last process has stopped."""
        last = await self._read(queue.position)
        await self._warn_of_gap(last)
        self._keys = Keys()
        for entry in await event_stream.newest_before(self._redis, last, REMEMBERED):
            self._keys.is_repeat(entry.key)
        loop = asyncio.get_running_loop()
        noted_at = loop.time()
        while not self._over.is_set():
            heed_cancellation()
            entries = await event_stream.read_after(self._redis, last)
            if not entries:
                continue
            taken, last = await self._chosen(entries), entries[-1].id
            if taken or loop.time() - noted_at >= NOTE_SECONDS:
                await self._write(partial(self._note, taken, last))
                noted_at = loop.time()
            if taken:
                self._news.set()
            await _wait_for(self._over, GATHER_SECONDS)

    async def _note(self, taken: Sequence[Taken], last: str, session: AsyncSession) -> None:
        await queue.take(session, self._owner, self._now(), taken, last)

    async def _warn_of_gap(self, last: str) -> None:
        oldest = await event_stream.oldest_kept(self._redis)
        if order(last) < order(oldest):
            log.error("webhooks miss the events between %s and %s: they are not kept any more", last, oldest)

    async def _chosen(self, entries: Sequence[Entry]) -> list[Taken]:
        """Return the deliveries of these entries; an entry that repeats another one has none."""
        customers = await self._owners.of(entries)
        named = {customer for customer in customers if customer}
        targets = await self._read(lambda session: queue.targets(session, named))
        return [
            one
            for entry, customer in zip(entries, customers, strict=True)
            if not self._keys.is_repeat(entry.key)
            for one in _deliveries(entry, customer, targets)
        ]

    # From deliveries to web servers

    async def _send_all(self) -> None:
        """Keep one task for each webhook that has something to send."""
        async with asyncio.TaskGroup() as tasks:
            sending: dict[int, asyncio.Task[None]] = {}
            while not self._over.is_set():
                sending = {id: task for id, task in sending.items() if not task.done()}
                for hook in await self._read(queue.waiting):
                    if hook.id not in sending:
                        sending[hook.id] = tasks.create_task(self._send_to(hook))
                await self._rest(self._look_seconds)

    async def _rest(self, seconds: float) -> None:
        await _wait_for(self._news, seconds)
        self._news.clear()

    async def _send_to(self, hook: Waiting) -> None:
        """Send the deliveries of one webhook until none can be sent now."""
        flying: dict[asyncio.Task[Result], str] = {}
        ended = 0  # since old deliveries were deleted
        async with asyncio.TaskGroup() as tasks:
            while await self._fill(hook, flying, tasks):
                ended += await self._record(hook.id, flying)
                if ended >= FORGET_EVERY:
                    await self._forget(hook.id)
                    ended = 0
        if ended:
            await self._forget(hook.id)

    async def _record(self, id: int, flying: dict[asyncio.Task[Result], str]) -> int:
        """Wait for results, but not long, so that other lanes are not held up. Return how many there were."""
        done, _ = await asyncio.wait(flying, timeout=self._look_seconds, return_when=asyncio.FIRST_COMPLETED)
        results = [task.result() for task in done]
        if results:
            await self._write(lambda session: queue.record(session, id, results))
        for task in done:
            del flying[task]
        return len(results)

    async def _forget(self, id: int) -> None:
        await self._write(lambda session: queue.forget_old(session, id))

    async def _fill(
        self, hook: Waiting, flying: dict[asyncio.Task[Result], str], tasks: asyncio.TaskGroup
    ) -> bool:
        """Begin to send what is due. Return whether something is being sent."""
        permits = await self._permits(hook.customer, len(flying))
        if not permits:
            return bool(flying)
        due: Sequence[tuple[Webhook, WebhookDelivery]] = ()
        try:
            due = await self._due(hook.id, list(flying.values()), permits)
        finally:
            self._shares.give(hook.customer, permits - len(due))
        for webhook, delivery in due:
            task = tasks.create_task(self._send(webhook, hook.customer, delivery))
            task.add_done_callback(lambda _: self._shares.give(hook.customer))
            flying[task] = delivery.lane
        return bool(flying)

    async def _permits(self, customer: str, flying: int) -> int:
        """Take permits for one webhook. Wait for one if nothing of the webhook is being sent."""
        if self._over.is_set():
            return 0
        permits = self._shares.take(customer, AT_ONCE - flying)
        if permits or flying:
            return permits
        await self._shares.wait(customer)
        return 1

    async def _due(self, id: int, busy: Sequence[str], count: int) -> list[tuple[Webhook, WebhookDelivery]]:
        """Return up to `count` deliveries that are sent now, with their webhook."""
        async with reading(self._read_engine) as session:
            webhook = await queue.find_active(session, id)
            if webhook is None or self._over.is_set():
                return []
            deliveries = await queue.due(session, webhook, self._now(), busy, count)
            return [(webhook, delivery) for delivery in deliveries]

    async def _send(self, webhook: Webhook, customer: str, delivery: WebhookDelivery) -> Result:
        begun = self._now()
        outcome = await self._courier.post(webhook, customer, delivery.message_id, delivery.body)
        return Result(delivery.id, outcome, begun, self._now())

    async def _read(self, work: Callable[[AsyncSession], Awaitable[Done]]) -> Done:
        async with reading(self._read_engine) as session:
            return await work(session)

    async def _write(self, work: Callable[[AsyncSession], Awaitable[Done]]) -> Done:
        return await writing(self._engine, work)


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, or when the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _deliveries(entry: Entry, customer: str, targets: Sequence[Target]) -> list[Taken]:
    event = event_of(entry)
    chosen = [target for target in targets if target.wants(event, customer, order(entry.id))]
    if not chosen:
        return []
    id, lane, body = message_id(entry.key), lane_of(entry), body_of(entry, customer)
    return [Taken(target.id, id, event, lane, body) for target in chosen]
