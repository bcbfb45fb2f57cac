"""The contract of ports.Waiting: one suite over memory, Valkey and Redis, and the faults of a server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import pytest
from redis.crc import key_slot

from registrar.errors import StoreUnavailable
from registrar.model import Epoch, Process, Waiter
from registrar.store import keys
from registrar.store.location_redis import RedisLocation
from registrar.store.redis_wire import Wire
from registrar.store.waiting_memory import MemoryWaiting
from registrar.store.waiting_redis import DEAD_SECONDS, KEPT_SECONDS, MAX_UNTOLD, RedisWaiting
from tests.contract.conftest import KINDS
from tests.contract.servers import Server, client, running
from tests.patience import limit
from tests.peers.process import frozen

SALES, GROUP = "queue:" + "5" * 24, "group:" + "6" * 24
FIRST, SECOND, THIRD = "1" * 32, "2" * 32, "3" * 32
A, B = Process("a", "g1"), Process("b", "g1")


def clock() -> Epoch:
    return Epoch(time.time())


class Waiting(Protocol):
    """The port as the suite uses it."""

    async def enter(self, place: str, call: str, stage: str) -> float: ...
    def move(self, place: str, call: str, stage: str) -> None: ...
    def leave(self, place: str, call: str) -> None: ...
    async def waiters(self, place: str) -> list[Waiter]: ...


@dataclass
class Store:
    """Two processes over one store."""

    one: Waiting
    other: Waiting
    dead: set[Process] = field(default_factory=set)

    async def settle(self) -> None:
        """Wait until the commands that both processes have sent are done."""
        await self.one.waiters(SALES)
        await self.other.waiters(SALES)

    async def calls(self, place: str = SALES) -> list[str]:
        """Return the calls that wait, as the other process sees them."""
        await self.settle()
        return [waiter.call for waiter in await self.other.waiters(place)]


@asynccontextmanager
async def opened(
    server: Server, process: Process, dead: set[Process] | None = None
) -> AsyncIterator[tuple[RedisWaiting, Wire]]:
    """A process over a server."""
    gone = dead if dead is not None else set()
    wire = RedisLocation(server.url, clock).wire
    running_wire = asyncio.create_task(wire.run())
    async with asyncio.timeout(limit(20)):
        await wire.opened.wait()
    try:
        yield RedisWaiting(wire, clock, process, lambda process: process not in gone), wire
    finally:
        running_wire.cancel()
        wire.close()


@pytest.fixture(params=[pytest.param("memory", id="memory"), *KINDS])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    dead: set[Process] = set()
    if request.param == "memory":
        one, other = (
            MemoryWaiting(clock, process, lambda process: process not in dead) for process in (A, B)
        )
        other.share(one)
        yield Store(one, other, dead)
        return
    with running(request.param) as server:
        async with AsyncExitStack() as stack:
            first, _ = await stack.enter_async_context(opened(server, A, dead))
            second, _ = await stack.enter_async_context(opened(server, B, dead))
            yield Store(first, second, dead)


async def until_up(wire: Wire) -> None:
    async with asyncio.timeout(limit(10)):
        while not wire.up:
            await asyncio.sleep(0.02)


async def until_down(wire: Wire) -> None:
    async with asyncio.timeout(limit(10)):
        while wire.up:
            await asyncio.sleep(0.02)


async def test_calls_wait_in_the_order_in_which_they_came_whichever_process_has_them(store: Store) -> None:
    since = [
        await store.one.enter(SALES, THIRD, "0.0"),
        await store.other.enter(SALES, FIRST, "0.1"),
        await store.one.enter(SALES, SECOND, ""),
    ]
    assert since == sorted(since) and since[0] == pytest.approx(time.time(), abs=limit(10))
    wanted = [
        Waiter(THIRD, A, since[0], "0.0"),
        Waiter(FIRST, B, since[1], "0.1"),
        Waiter(SECOND, A, since[2], ""),
    ]
    assert await store.one.waiters(SALES) == await store.other.waiters(SALES) == wanted


async def test_a_place_has_its_own_calls(store: Store) -> None:
    await store.one.enter(SALES, FIRST, "")
    await store.one.enter(GROUP, SECOND, "")
    assert await store.calls(SALES) == [FIRST]
    assert await store.calls(GROUP) == [SECOND]
    assert await store.calls("queue:other") == []


async def test_a_call_that_enters_again_keeps_its_place(store: Store) -> None:
    since = await store.one.enter(SALES, FIRST, "0.0")
    await store.one.enter(SALES, SECOND, "0.0")
    assert await store.one.enter(SALES, FIRST, "1.0") == since
    assert [(waiter.call, waiter.stage) for waiter in await store.one.waiters(SALES)] == [
        (FIRST, "1.0"),
        (SECOND, "0.0"),
    ]


async def test_a_call_that_has_left_does_not_wait(store: Store) -> None:
    await store.one.enter(SALES, FIRST, "")
    await store.one.enter(SALES, SECOND, "")
    store.one.leave(SALES, FIRST)
    store.one.leave(SALES, FIRST)
    store.one.leave(GROUP, SECOND)
    assert await store.calls() == [SECOND]


async def test_a_call_of_another_process_is_not_removed(store: Store) -> None:
    await store.one.enter(SALES, FIRST, "")
    store.other.leave(SALES, FIRST)
    assert await store.calls() == [FIRST]


async def test_the_stage_of_a_call_that_waits_is_noted(store: Store) -> None:
    since = await store.one.enter(SALES, FIRST, "0.0")
    store.one.move(SALES, FIRST, "1.3")
    store.one.move(SALES, SECOND, "1.3")
    await store.settle()
    assert await store.other.waiters(SALES) == [Waiter(FIRST, A, since, "1.3")]


async def test_the_calls_of_a_dead_process_are_skipped(store: Store) -> None:
    await store.one.enter(SALES, FIRST, "")
    await store.other.enter(SALES, SECOND, "")
    await store.one.enter(SALES, THIRD, "")
    store.dead.add(A)
    assert await store.calls() == [SECOND]
    store.dead.clear()
    assert await store.calls() == [FIRST, SECOND, THIRD]


# Memory alone


async def test_memory_that_is_away_fails_as_a_server_does() -> None:
    waiting = MemoryWaiting(clock)
    await waiting.enter(SALES, FIRST, "0.0")
    await waiting.enter(SALES, SECOND, "0.0")
    waiting.away = True
    for asked in (waiting.enter(SALES, THIRD, ""), waiting.waiters(SALES), waiting.mend()):
        with pytest.raises(StoreUnavailable):
            await asked
    waiting.move(SALES, SECOND, "1.0")
    waiting.leave(SALES, FIRST)
    assert waiting.untold == 1
    waiting.away = False
    await waiting.mend()
    (left,) = await waiting.waiters(SALES)
    assert (left.call, left.stage, waiting.untold) == (SECOND, "0.0", 0)


# Redis alone


async def test_the_keys_of_a_place_are_in_one_slot_and_end_by_themselves(server: Server) -> None:
    async with client(server) as redis, opened(server, A) as (waiting, _):
        for place in (SALES, GROUP):
            both = keys.waiting(place), keys.stages(place)
            assert len({key_slot(key.encode()) for key in both}) == 1
            since = await waiting.enter(place, FIRST, "0.0")
            assert await redis.zrange(both[0], 0, -1) == [f"{FIRST}|a|g1"]
            score = await redis.zscore(both[0], f"{FIRST}|a|g1")
            assert score == pytest.approx(since * 1000)
            assert await redis.hgetall(both[1]) == {f"{FIRST}|a|g1": "0.0"}
            assert [0 < await redis.ttl(key) <= KEPT_SECONDS for key in both] == [True, True]
            waiting.leave(place, FIRST)
            await waiting.waiters(place)
            assert await redis.exists(*both) == 0


async def test_the_name_of_a_node_may_have_any_characters(server: Server) -> None:
    process = Process("a|b c{d}", "g1")
    async with opened(server, process) as (waiting, _):
        await waiting.enter(SALES, FIRST, "")
        (waiter,) = await waiting.waiters(SALES)
        assert (waiter.call, waiter.process) == (FIRST, process)


async def test_old_entries_of_a_dead_process_are_removed(server: Server) -> None:
    dead = {B}
    async with client(server) as redis, opened(server, A, dead) as (waiting, _):
        old, new = f"{FIRST}|b|g1", f"{SECOND}|b|g1"
        now = time.time()
        await redis.zadd(keys.waiting(SALES), {old: (now - DEAD_SECONDS - 10) * 1000, new: now * 1000})
        await redis.hset(keys.stages(SALES), mapping={old: "0.0", new: "0.0"})
        assert await waiting.waiters(SALES) == []
        assert await waiting.waiters(SALES) == []
        assert await redis.zrange(keys.waiting(SALES), 0, -1) == [new]
        assert await redis.hkeys(keys.stages(SALES)) == [new]


async def test_a_call_that_left_while_redis_was_away_is_removed_later(server: Server) -> None:
    async with opened(server, A) as (waiting, wire):
        for call in (FIRST, SECOND, THIRD):
            await waiting.enter(SALES, call, "")
        with frozen(server.pid):
            begin = time.monotonic()
            waiting.leave(SALES, FIRST)  # sent, and not answered
            with pytest.raises(StoreUnavailable):
                await waiting.waiters(SALES)
            assert time.monotonic() - begin < limit(1)
            await until_down(wire)
            waiting.leave(SALES, SECOND)
            waiting.move(SALES, THIRD, "1.0")
            for asked in (waiting.enter(SALES, FIRST, ""), waiting.waiters(SALES), waiting.mend()):
                with pytest.raises(StoreUnavailable):
                    await asked
            assert waiting.untold == 2
        await until_up(wire)
        await waiting.mend()
        assert [waiter.call for waiter in await waiting.waiters(SALES)] == [THIRD]
        assert waiting.untold == 0


async def test_a_call_that_could_not_enter_does_not_wait(server: Server) -> None:
    """Redis may have added it before the answer was lost, or the caller gave up."""
    async with opened(server, A) as (waiting, wire):
        with frozen(server.pid):
            entering = asyncio.create_task(waiting.enter(SALES, SECOND, ""))
            await asyncio.sleep(0)
            entering.cancel()
            with pytest.raises(StoreUnavailable):
                await waiting.enter(SALES, FIRST, "")
            await asyncio.wait({entering})
            assert entering.cancelled()
        await until_up(wire)
        assert waiting.untold == 2
        await waiting.mend()
        assert await waiting.waiters(SALES) == []


async def test_a_call_that_enters_after_all_stays(server: Server) -> None:
    async with opened(server, A) as (waiting, wire):
        wire.close()
        with pytest.raises(StoreUnavailable):
            await waiting.enter(SALES, FIRST, "")
        assert waiting.untold == 1
        await until_up(wire)
        await waiting.enter(SALES, FIRST, "")
        await waiting.mend()
        assert [waiter.call for waiter in await waiting.waiters(SALES)] == [FIRST]


async def test_only_so_many_removals_are_kept() -> None:
    waiting = RedisWaiting(Wire("redis://127.0.0.1:1"), clock, A, lambda process: True)
    for number in range(MAX_UNTOLD + 5):
        waiting.leave(SALES, f"{number:032x}")
    assert waiting.untold == MAX_UNTOLD
