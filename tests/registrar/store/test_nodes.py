"""registrar/store/nodes.py: who lives, who died, and what is swept when (docs/redis.md)."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.errors import AnotherNode, StoreUnavailable
from registrar.model import Epoch, Process
from registrar.store import keys
from registrar.store.nodes import AGAIN_SECONDS, Nodes
from registrar.store.redis_client import connect
from tests.contract.servers import Server, client, running
from tests.patience import limit
from tests.peers.process import frozen

pytestmark = pytest.mark.wire

LEASE, RENEW, DEAD = 0.6, 0.1, 0.6
"""A tenth of the true ones."""


@pytest.fixture
def server() -> Iterator[Server]:
    with running("valkey") as started:
        yield started


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    looking = client(server)
    try:
        yield looking
    finally:
        await looking.aclose()


class Node:
    """A process under a name, with what it was told to do."""

    def __init__(
        self, server: Server, name: str, generation: str, *, dead_seconds: float = DEAD, tls: str = ""
    ) -> None:
        self.redis = connect(server.url)
        self.swept: list[tuple[Process, frozenset[str]]] = []
        self.swept_at: list[float] = []
        self.lost = 0
        self.fails = 0
        self.slow = 0.0
        self.nodes = Nodes(
            self.redis,
            Process(name, generation),
            "192.0.2.1:5060",
            lambda: Epoch(1_790_000_000.0),
            tls=tls,
            lost_lease=self._lost,
            sweep=self._sweep,
            lease_seconds=LEASE,
            renew_seconds=RENEW,
            look_seconds=RENEW,
            dead_seconds=dead_seconds,
        )

    async def _lost(self) -> None:
        self.lost += 1

    async def _sweep(self, process: Process, phones: frozenset[str]) -> None:
        await asyncio.sleep(self.slow)
        if self.fails:
            self.fails -= 1
            raise StoreUnavailable("away")
        self.swept.append((process, phones))
        self.swept_at.append(time.monotonic())


@contextlib.asynccontextmanager
async def living(
    server: Server, name: str = "a", generation: str = "g1", *, tls: str = "", **how: float
) -> AsyncIterator[Node]:
    node = Node(server, name, generation, tls=tls)
    for key, value in how.items():
        setattr(node, key, value)
    task = asyncio.create_task(node.nodes.run())
    try:
        await until(lambda: node.redis.exists(keys.node(name)))
        yield node
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ExceptionGroup):
            await task
        await node.redis.aclose()


async def until(holds: Callable[[], Awaitable[object]], within: float = 3.0) -> None:
    async with asyncio.timeout(limit(within)):
        while not await holds():
            await asyncio.sleep(0.01)


async def true(value: object) -> object:
    return value


async def dead(redis: Redis, name: str, generation: str, *phones: str) -> None:
    """What a process leaves behind that was killed."""
    await redis.hset(keys.NODES, f"{name} {generation}", "1")
    if phones:
        await redis.sadd(keys.flows(Process(name, generation)), *phones)


async def test_a_living_process_holds_a_lease_that_runs_out(server: Server, redis: Redis) -> None:
    async with living(server):
        assert json.loads(await redis.get(keys.node("a")) or "") == {
            "generation": "g1",
            "sip": "192.0.2.1:5060",
        }
        assert 0 < await redis.pttl(keys.node("a")) <= LEASE * 1_000
        assert await redis.hgetall(keys.NODES) == {"a g1": "1790000000"}
        await asyncio.sleep(2 * LEASE)
        assert await redis.exists(keys.node("a"))
    await until(lambda: _gone(redis, keys.node("a")))


async def _gone(redis: Redis, name: str) -> bool:
    return not await redis.exists(name)


async def test_a_first_lease_that_failed_is_tried_again_at_once(server: Server, redis: Redis) -> None:
    client_of_ours = connect(server.url)
    process, never = Process("a", "g1"), 600.0

    async def unused(*_: object) -> None:
        raise AssertionError("nothing is swept, and no lease was lost")

    nodes = Nodes(
        client_of_ours,
        process,
        "",
        lambda: Epoch(0.0),
        lost_lease=unused,
        sweep=unused,
        renew_seconds=never,
        look_seconds=never,
    )
    with frozen(server.pid):
        task = asyncio.create_task(nodes.run())
        await asyncio.sleep(1.5)  # longer than the client waits
        assert not nodes.registered.is_set()
    try:
        await until(lambda: redis.exists(keys.node("a")))
        await until(lambda: true(nodes.registered.is_set()))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await client_of_ours.aclose()


async def test_an_orderly_stop_gives_the_lease_up(server: Server, redis: Redis) -> None:
    async with living(server) as node:
        pass
    node = Node(server, "a", "g1")
    await node.nodes.leave()
    assert await _gone(redis, keys.node("a"))
    await node.redis.aclose()


async def test_a_stop_does_not_take_the_lease_of_another(server: Server, redis: Redis) -> None:
    async with living(server, generation="g2"):
        older = Node(server, "a", "g1")
        await older.nodes.leave()
        await older.redis.aclose()
        assert await redis.exists(keys.node("a"))


async def test_a_start_sweeps_every_other_generation_of_its_name(server: Server, redis: Redis) -> None:
    await dead(redis, "a", "g-1", "x", "y")
    await dead(redis, "a", "g0")
    async with living(server) as node:
        await until(lambda: true(len(node.swept) == 2), 0.5)
        assert set(node.swept) == {
            (Process("a", "g-1"), frozenset({"x", "y"})),
            (Process("a", "g0"), frozenset()),
        }
        await until(lambda: _rows(redis, {"a g1"}))
        assert await _gone(redis, keys.flows(Process("a", "g-1")))


async def _rows(redis: Redis, rows: set[str]) -> bool:
    return bool(set(await redis.hkeys(keys.NODES)) == rows)


async def test_a_sweep_that_failed_is_done_again(server: Server, redis: Redis) -> None:
    await dead(redis, "a", "g0", "x")
    async with living(server, fails=2) as node:
        await until(lambda: true(node.swept))
        assert node.swept == [(Process("a", "g0"), frozenset({"x"}))]


async def test_a_dead_process_is_swept_when_its_lease_is_missing_for_long_enough(
    server: Server, redis: Redis
) -> None:
    await dead(redis, "b", "g9", "x")
    begin = time.monotonic()
    async with living(server) as node:
        await until(lambda: true(node.swept))
        assert node.swept == [(Process("b", "g9"), frozenset({"x"}))]
        assert node.swept_at[0] - begin >= DEAD
        await until(lambda: _rows(redis, {"a g1"}))


async def test_a_living_process_is_not_swept_but_its_dead_generation_is(server: Server, redis: Redis) -> None:
    async with living(server) as node, living(server, "b", "g2"):
        await dead(redis, "b", "g1", "x")
        await asyncio.sleep(2 * DEAD)
        assert {process.generation for process, _ in node.swept} <= {"g1"}
        await until(lambda: _rows(redis, {"a g1", "b g2"}))


async def test_it_knows_from_memory_which_processes_live(server: Server, redis: Redis) -> None:
    async with living(server) as node:
        assert node.nodes.lives(Process("a", "g1")) and not node.nodes.lives(Process("a", "g0"))
        assert node.nodes.lives(Process("b", "g2")), "it may have started just now"
        async with living(server, "b", "g2"):
            await until(lambda: true(node.nodes.has_neighbours))
            await until(lambda: true(not node.nodes.lives(Process("b", "g1"))))
            assert node.nodes.lives(Process("b", "g2"))
        await until(lambda: true(not node.nodes.lives(Process("b", "g2"))))


@pytest.mark.parametrize("tls", ["", "192.0.2.2:5071"])
async def test_the_place_of_a_neighbour_is_known_also_if_it_is_asked_over_tls(
    server: Server, redis: Redis, tls: str
) -> None:
    async with living(server, tls="192.0.2.1:5071" if tls else "") as node:
        await redis.hset(keys.NODES, "b g2", "1")
        lease = {"generation": "g2", "sip": "192.0.2.2:5060"} | ({"tls": tls} if tls else {})
        await redis.set(keys.node("b"), json.dumps(lease))
        await until(lambda: true(node.nodes.is_place("192.0.2.2", 5060)))
        assert node.nodes.over_tls() == ({"b": tls} if tls else {})
        assert not node.nodes.is_place("192.0.2.2", 5061)


async def test_after_an_outage_a_missing_lease_may_still_be_renewed(server: Server, redis: Redis) -> None:
    node, other = Node(server, "a", "g1", dead_seconds=600.0), Process("b", "g2")
    await redis.set(keys.node("b"), json.dumps({"generation": "g2", "sip": ""}))
    await redis.hset(keys.NODES, "b g2", "1")
    task = asyncio.create_task(node.nodes.run())
    await until(lambda: true(node.nodes.has_neighbours))
    with frozen(server.pid):
        await asyncio.sleep(1.3)  # longer than the client waits
    await redis.delete(keys.node("b"))
    await until(lambda: true(not node.nodes.has_neighbours))
    node.nodes.lives(other)
    await asyncio.sleep(5 * RENEW)
    assert node.nodes.lives(other)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await node.redis.aclose()


async def test_a_break_in_what_was_seen_starts_the_count_anew(server: Server, redis: Redis) -> None:
    await dead(redis, "b", "g9", "x")
    async with living(server) as node:
        await asyncio.sleep(DEAD / 3)
        with frozen(server.pid):
            await asyncio.sleep(1.3)  # longer than the client waits
            thawed = time.monotonic()
        await until(lambda: true(node.swept))
        assert node.swept_at[0] - thawed >= DEAD


async def test_a_long_sweep_does_not_cost_the_lease(server: Server, redis: Redis) -> None:
    for number in range(4):
        await dead(redis, "a", f"old{number}", "x")
    async with living(server, slow=LEASE) as node:
        for _ in range(30):
            assert await redis.exists(keys.node("a"))
            await asyncio.sleep(0.05)
        await until(lambda: true(len(node.swept) == 4))
        assert node.lost == 0


async def test_a_process_whose_lease_was_gone_renews_it_and_is_told(server: Server, redis: Redis) -> None:
    async with living(server) as node:
        await redis.flushall()
        await until(lambda: true(node.lost == 1))
        await until(lambda: _rows(redis, {"a g1"}))
        assert await redis.exists(keys.node("a"))


async def test_a_process_that_finds_another_under_its_name_stops(server: Server, redis: Redis) -> None:
    node = Node(server, "a", "g1")
    older = asyncio.create_task(node.nodes.run())
    await until(lambda: redis.exists(keys.node("a")))
    await redis.sadd(keys.flows(Process("a", "g1")), "x")
    async with living(server, generation="g2") as newer:
        with pytest.raises(ExceptionGroup) as caught:
            await older
        (error,) = caught.value.exceptions
        assert isinstance(error, AnotherNode)
        assert "REGISTRAR_NODE" in str(error) and "\n" not in str(error)
        await until(lambda: true(newer.swept))
        assert newer.swept == [(Process("a", "g1"), frozenset({"x"}))]
        assert newer.lost == 0
    await node.redis.aclose()


async def test_without_redis_it_waits_and_holds_its_lease_when_redis_is_there(server: Server) -> None:
    server.kill9()
    node = Node(server, "a", "g1")
    task = asyncio.create_task(node.nodes.run())
    await asyncio.sleep(0.3)
    assert not task.done()
    server.start()

    async def has_lease() -> object:
        try:
            return await node.redis.exists(keys.node("a"))
        except RedisError:  # it has only begun to start
            return False

    await until(has_lease)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await node.redis.aclose()


async def test_a_renewal_that_failed_is_tried_again_soon(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis may come back without our lease: until it is renewed, readers must doubt all our connections."""
    node = Node(server, "a", "g1")
    waits: list[float] = []
    node.nodes.registered.set()
    faults = iter([StoreUnavailable("away"), None, StoreUnavailable("away")])

    async def step() -> None:
        if (fault := next(faults)) is not None:
            raise fault

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await node.nodes._repeat(step, 2.0)
    assert waits == [AGAIN_SECONDS, 2.0, AGAIN_SECONDS]
    await node.redis.aclose()
