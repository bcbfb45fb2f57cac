"""The subscriptions of phones: one suite over memory, Valkey and Redis, and what only a server can show."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from registrar.errors import StoreUnavailable
from registrar.model import Epoch, Process
from registrar.ports import Subscriptions
from registrar.rules.subscriptions import Subscription, Watcher, taken_over
from registrar.rules.tokens import DialogHandle, Target
from registrar.store import keys
from registrar.store.redis_wire import Wire
from registrar.store.script_runner import WireRunner
from registrar.store.scripts import ALL
from registrar.store.subscription_codec import UNREADABLE, decode, decode_watcher, encode
from registrar.store.subscriptions_memory import MemorySubscriptions
from registrar.store.subscriptions_redis import RedisSubscriptions
from tests.contract.conftest import KINDS
from tests.contract.servers import Server, client, running
from tests.patience import limit

A, B = Process("a", "g1"), Process("b", "g1")
EXT = "e" * 24


@dataclass
class Hands:
    """A wall clock that is turned by hand; it starts at the true time, for the server keeps its own."""

    now: float

    def __call__(self) -> Epoch:
        return Epoch(self.now)


@pytest.fixture
def clock() -> Hands:
    return Hands(float(int(time.time())))


@dataclass
class Store:
    """Two nodes over one store."""

    one: Subscriptions
    other: Subscriptions
    settle: Callable[[], Awaitable[None]]
    """Waits until all that was told before is done."""


@asynccontextmanager
async def opened(server: Server, clock: Hands) -> AsyncIterator[RedisSubscriptions]:
    async def scripts() -> None:
        for script in ALL:
            await wire.early("SCRIPT", "LOAD", script.text)

    wire = Wire(server.url, scripts)
    async with asyncio.timeout(limit(20)), asyncio.TaskGroup() as tasks:
        running_wire = tasks.create_task(wire.run())
        await wire.opened.wait()
        try:
            yield RedisSubscriptions(WireRunner(wire), clock)
        finally:
            running_wire.cancel()
            wire.close()


@pytest.fixture(params=[pytest.param("memory", id="memory"), *KINDS])
async def store(request: pytest.FixtureRequest, clock: Hands) -> AsyncIterator[Store]:
    if request.param == "memory":
        one, other = MemorySubscriptions(clock), MemorySubscriptions(clock)
        other.share(one)

        async def done() -> None:
            return

        yield Store(one, other, done)
        return
    with running(request.param) as server:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(opened(server, clock))
            second = await stack.enter_async_context(opened(server, clock))

            async def settle() -> None:
                for each in (first, second):
                    await each.load("none")

            yield Store(first, second, settle)


def subscription(clock: Hands, id: str = "ab" * 16, **changes: object) -> Subscription:
    target = Target("1" * 24, "sip:a@10.0.0.7", "tcp", "a", "g1", 7, "198.51.100.7", 5060, "urn:uuid:1")
    made = Subscription(
        id=id,
        phone="1" * 24,
        customer="c" * 24,
        person="p" * 24,
        package="dialog",
        event_id="",
        entity="sip:201@acme.test",
        word="201",
        target=EXT,
        device="urn:uuid:1",
        call_id="call-1",
        local_tag="ours",
        remote_tag="theirs",
        handle=DialogHandle(target, "<sip:201@acme.test>", '"Østergård" <sip:200@acme.test>'),
        expires_at=clock.now + 600,
        origin="here",
        remote_cseq=7,
        process=A,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist


async def test_a_subscription_is_written_read_and_removed(store: Store, clock: Hands) -> None:
    made = subscription(clock)
    assert await store.one.write(made) == made
    assert await store.other.load(made.id) == made
    assert await store.other.load("cd" * 16) is None
    store.other.remove(made)
    await store.settle()
    assert await store.one.load(made.id) is None
    assert await store.one.watchers(EXT) == []
    assert await store.one.of_process(A) == []


async def test_numbers_are_counted_in_the_store_and_never_fall(store: Store, clock: Hands) -> None:
    made = await store.one.write(subscription(clock))
    numbers = [await store.one.number(made) for _ in range(3)]
    assert [(one.cseq, one.version) for one in numbers if one is not None] == [(1, 1), (2, 2), (3, 3)]
    written = await store.other.write(replace(made, expires_at=clock.now + 900))
    assert (written.cseq, written.version) == (3, 3)
    higher = await store.other.write(replace(made, cseq=1_000, version=1_001))
    assert (higher.cseq, higher.version) == (1_000, 1_001)
    assert await store.one.load(made.id) == higher


async def test_only_the_owner_gets_numbers(store: Store, clock: Hands) -> None:
    made = await store.one.write(subscription(clock))
    taken = await store.other.write(taken_over(made, B))
    assert await store.one.number(made) is None
    numbered = await store.other.number(taken)
    assert numbered is not None and numbered.cseq == 1_001
    assert await store.other.number(replace(taken, process=Process("b", "g2"))) is None
    store.one.remove(made)
    await store.settle()
    assert await store.other.number(taken) is None


async def test_the_watchers_of_a_target(store: Store, clock: Hands) -> None:
    first = subscription(clock)
    second = subscription(clock, "cd" * 16, package="presence", device="sip:x", expires_at=clock.now + 60.5)
    other = subscription(clock, "ef" * 16, target="f" * 24)
    for each in (first, second, other):
        await store.one.write(each)
    rows = [
        Watcher(first.id, first.phone, "dialog", "urn:uuid:1", first.expires_at),
        Watcher(second.id, first.phone, "presence", "sip:x", second.expires_at),
    ]
    assert sorted(await store.other.watchers(EXT), key=lambda row: row.id) == rows
    clock.now += 61
    assert await store.other.watchers(EXT) == rows[:1]
    assert await store.other.watchers("0" * 24) == []


async def test_one_node_alone_takes_over_from_a_dead_process(store: Store, clock: Hands) -> None:
    first, second = subscription(clock), subscription(clock, "cd" * 16)
    await store.one.write(first)
    await store.one.write(second)
    assert sorted(one.id for one in await store.other.of_process(A)) == [first.id, second.id]
    assert [await node.claim(first) for node in (store.other, store.one)] == [True, False]
    await store.other.write(taken_over(first, B))
    assert [one.id for one in await store.one.of_process(A)] == [second.id]
    assert [one.id for one in await store.one.of_process(B)] == [first.id]


async def test_what_was_refreshed_elsewhere_is_not_left_behind(store: Store, clock: Hands) -> None:
    made = await store.one.write(subscription(clock))
    await store.other.write(taken_over(made, B))
    assert await store.other.of_process(A) == []


async def test_in_memory_a_store_that_is_away_fails(clock: Hands) -> None:
    store = MemorySubscriptions(clock)
    made = await store.write(subscription(clock))
    store.away = True
    store.remove(made)
    for job in (store.write(made), store.load(made.id), store.number(made), store.watchers(EXT)):
        with pytest.raises(StoreUnavailable):
            await job
    store.away = False
    assert await store.load(made.id) == made


async def test_a_subscription_outlives_its_end_by_a_minute_alone(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as store:
        made = await store.write(subscription(clock))
        redis = client(server)
        try:
            lasts = await redis.ttl(keys.subscription(made.id))
            assert 655 <= lasts <= 661
            assert await redis.ttl(keys.watch(EXT)) > 3_700
            assert await redis.ttl(keys.node_subscriptions(A)) > 80_000
            await redis.hset(keys.watch(EXT), "odd", "not ours")
            await redis.hset(keys.subscription("odd"), "node", "a")
        finally:
            await redis.aclose()
        assert [row.id for row in await store.watchers(EXT)] == [made.id]
        assert await store.load("odd") is None


def test_a_hash_of_another_program_cannot_be_read(clock: Hands) -> None:
    fields = {**encode(subscription(clock)), "cseq": "3", "version": "4"}
    read = decode(fields)
    assert (read.cseq, read.version) == (3, 4)
    for name, value in (("dialog", "x"), ("cseq", "x"), ("expiresAt", "")):
        with pytest.raises(UNREADABLE):
            decode({**fields, name: value})
    with pytest.raises(UNREADABLE):
        decode_watcher("1", "[1]")
