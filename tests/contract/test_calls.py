"""The calls that are there: one suite over memory, Valkey and Redis, and what only a server can do wrong."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import pytest

from registrar.errors import StoreUnavailable
from registrar.model import Call, CallState, Cause, Ending, Epoch, Notice, Party, Process
from registrar.store import keys
from registrar.store.call_codec import Fields, encode
from registrar.store.calls_memory import MemoryCalls
from registrar.store.calls_redis import MAX_UNTOLD, RedisCalls
from registrar.store.redis_wire import Wire
from tests.contract.conftest import KINDS
from tests.contract.servers import Server, client, running
from tests.patience import limit
from tests.peers.process import frozen

ID, OTHER = "ab" * 16, "cd" * 16
PROCESS = Process("a", "g1")
CUSTOMER = "c" * 24


@dataclass
class Hands:
    """A wall clock that is turned by hand; it starts at the true time, for the server keeps its own."""

    now: float

    def __call__(self) -> Epoch:
        return Epoch(self.now)


@pytest.fixture
def clock() -> Hands:
    return Hands(float(int(time.time())))


class Calls(Protocol):
    """The port as the suite uses it."""

    def put(self, call: Call) -> None: ...
    def started(self, call: Call) -> None: ...
    def answered(self, call: Call) -> None: ...
    def changed(self, call: Call, party: Party) -> None: ...
    def ended(self, call: Call, ending: Ending) -> None: ...
    def note(self, notice: Notice) -> None: ...
    async def load(self, ids: Sequence[str]) -> list[Call | None]: ...
    async def of_customer(self, customer: str) -> list[Call]: ...
    async def of_process(self, process: Process) -> list[Call]: ...
    async def claim(self, call: Call) -> bool: ...


@dataclass
class Store:
    """Two nodes over one store, and the stream of all events."""

    one: Calls
    other: Calls
    events: Callable[[], Awaitable[list[Fields]]]


@asynccontextmanager
async def opened(server: Server, clock: Hands, node: str) -> AsyncIterator[tuple[RedisCalls, Wire]]:
    wire = Wire(server.url)
    async with asyncio.timeout(limit(20)), asyncio.TaskGroup() as tasks:
        running_wire = tasks.create_task(wire.run())
        await wire.opened.wait()
        try:
            yield RedisCalls(wire, clock, Process(node, "g1")), wire
        finally:
            running_wire.cancel()
            wire.close()


async def events_of(server: Server) -> list[Fields]:
    redis = client(server)
    try:
        entries = await redis.xrange(keys.EVENTS) or []
        return [{str(name): str(text) for name, text in (fields or {}).items()} for _, fields in entries]
    finally:
        await redis.aclose()


async def settle(calls: RedisCalls) -> None:
    """What was told before has been done: the wire keeps the order, and events follow one answer later."""
    for _ in range(3):
        await calls.load([ID])


@pytest.fixture(params=[pytest.param("memory", id="memory"), *KINDS])
async def store(request: pytest.FixtureRequest, clock: Hands) -> AsyncIterator[Store]:
    if request.param == "memory":
        memory = MemoryCalls(clock, PROCESS)

        async def told() -> list[Fields]:
            return memory.events

        yield Store(memory, memory, told)
        return
    with running(request.param) as server:
        async with AsyncExitStack() as stack:
            one, _ = await stack.enter_async_context(opened(server, clock, "a"))
            other, _ = await stack.enter_async_context(opened(server, clock, "b"))

            async def read() -> list[Fields]:
                await settle(one)
                await settle(other)
                return await events_of(server)

            yield Store(one, other, read)


def call(clock: Hands, id: str = ID, **changes: object) -> Call:
    made = Call(
        id=id,
        call_id=f"dialog-{id[:2]}",
        customer=CUSTOMER,
        domain="acme.test",
        caller=Party("1" * 24, "200", "Anna Østergård", "wss", "tag-a", "sealed-a", 7),
        callee=Party("", "201", "Bent"),
        state=CallState.RINGING,
        started_at=clock.now - 5,
        process=PROCESS,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist


def taken(ringing: Call, clock: Hands) -> Call:
    """The call once a phone has answered."""
    callee = replace(ringing.callee, phone="2" * 24, transport="udp", tag="tag-b", target="sealed-b")
    return replace(ringing, callee=callee, state=CallState.ANSWERED, answered_at=clock.now)


def kinds(events: list[Fields]) -> list[str]:
    return [event["event"] for event in events]


async def test_a_call_is_written_answered_and_gone(store: Store, clock: Hands) -> None:
    ringing = call(clock)
    store.one.started(ringing)
    assert await store.one.load([ID, OTHER]) == [ringing, None]
    answered = taken(ringing, clock)
    store.one.answered(answered)
    assert await store.one.load([ID]) == [answered]
    store.one.ended(answered, Ending(Cause.HUNG_UP, clock.now + 3, by="200"))
    assert await store.one.load([ID]) == [None]
    events = await store.events()
    assert kinds(events) == ["call-started", "call-answered", "call-ended"]
    assert {event["call"] for event in events} == {ID}
    assert {event["customer"] for event in events} == {CUSTOMER}
    assert (events[2]["reason"], events[2]["by"], events[2]["talkSeconds"]) == ("hung-up", "200", "3.000")


async def test_a_call_that_is_held_and_resumed(store: Store, clock: Hands) -> None:
    answered = taken(call(clock), clock)
    store.one.started(call(clock))
    store.one.answered(answered)
    held = replace(answered, callee=replace(answered.callee, holds=True))
    store.one.changed(held, held.callee)
    assert await store.one.load([ID]) == [held]
    store.one.changed(answered, answered.callee)
    assert await store.one.load([ID]) == [answered]
    events = await store.events()
    assert kinds(events) == ["call-started", "call-answered", "call-changed", "call-changed"]
    assert [event["reason"] for event in events[2:]] == ["held", "resumed"]
    assert {event["by"] for event in events[2:]} == {answered.callee.number}


async def test_the_calls_of_a_customer(store: Store, clock: Hands) -> None:
    first, second = call(clock), call(clock, OTHER, is_private=True)
    store.one.started(first)
    store.one.started(second)
    store.one.started(call(clock, "ef" * 16, customer="d" * 24))
    assert await store.one.load([ID]) == [first]
    found = sorted(await store.other.of_customer(CUSTOMER), key=lambda one: one.id)
    assert found == [first, second]
    store.one.ended(first, Ending(Cause.HUNG_UP, clock.now))
    assert await store.one.load([ID]) == [None]
    assert await store.other.of_customer(CUSTOMER) == [second]
    assert await store.other.of_customer("e" * 24) == []


async def test_to_put_a_call_again_is_no_event(store: Store, clock: Hands) -> None:
    store.one.put(call(clock))
    store.one.put(call(clock, expires_at=clock.now + 1_800))
    assert await store.one.load([ID]) == [call(clock, expires_at=clock.now + 1_800)]
    assert await store.events() == []


async def test_a_call_of_no_process_belongs_to_the_one_that_writes_it(store: Store, clock: Hands) -> None:
    store.one.started(call(clock, process=Process()))
    assert await store.one.load([ID]) == [call(clock)]
    assert await store.one.of_process(PROCESS) == [call(clock)]


async def test_an_end_is_told_once_however_many_say_so(store: Store, clock: Hands) -> None:
    store.one.started(call(clock))
    await store.one.load([ID])
    for _ in range(3):
        store.one.ended(call(clock), Ending(Cause.CANCELLED, clock.now))
        store.other.ended(call(clock), Ending(Cause.LOST, clock.now, by="b"))
    events = await store.events()
    assert kinds(events) == ["call-started", "call-ended"]


async def test_what_never_was_there_does_not_end(store: Store, clock: Hands) -> None:
    store.one.ended(call(clock), Ending(Cause.BUSY, clock.now, 486))
    assert await store.events() == []


async def test_another_node_finds_what_a_process_left_behind(store: Store, clock: Hands) -> None:
    store.one.started(call(clock))
    store.one.started(call(clock, OTHER))
    store.one.started(call(clock, "ef" * 16, process=Process("a", "g0")))
    await store.one.load([ID])
    store.one.ended(call(clock), Ending(Cause.DECLINED, clock.now, 603))
    await store.events()
    (left,) = await store.other.of_process(PROCESS)
    assert left == call(clock, OTHER)
    store.other.ended(left, Ending(Cause.LOST, clock.now, by="b"))
    events = await store.events()
    assert (events[-1]["event"], events[-1]["reason"], events[-1]["by"]) == ("call-ended", "lost", "b")
    assert await store.other.of_process(PROCESS) == []
    assert [left.process.generation for left in await store.other.of_process(Process("a", "g0"))] == ["g0"]
    assert await store.other.of_process(Process("nobody", "g1")) == []


async def test_one_of_two_takes_over_what_a_process_left_behind(store: Store, clock: Hands) -> None:
    store.one.started(call(clock))
    await store.one.load([ID])
    (left,) = await store.other.of_process(PROCESS)
    assert [await store.other.claim(left), await store.other.claim(left)] == [True, False]
    assert await store.other.of_process(PROCESS) == []


async def test_memory_forgets_a_call_that_nobody_puts_again(clock: Hands) -> None:
    calls = MemoryCalls(clock, PROCESS)
    calls.put(call(clock))
    clock.now += keys.CALL_SECONDS - 1
    assert await calls.load([ID])
    clock.now += 2
    assert await calls.load([ID]) == [None]


async def test_memory_that_is_away_fails_as_a_server_does(clock: Hands) -> None:
    calls = MemoryCalls(clock, PROCESS)
    calls.started(call(clock))
    calls.away = True
    calls.started(call(clock, OTHER))
    calls.ended(call(clock), Ending(Cause.HUNG_UP, clock.now))
    for asked in (calls.load([ID]), calls.of_process(PROCESS), calls.mend()):
        with pytest.raises(StoreUnavailable):
            await asked
    calls.away = False
    assert await calls.mend() == 1
    assert [ending.cause for _, ending in calls.endings] == [Cause.HUNG_UP]
    assert kinds(calls.events) == ["call-started", "call-ended"]


# What only a server can do wrong


async def test_nothing_stays_in_redis(server: Server, clock: Hands) -> None:
    redis = client(server)
    async with opened(server, clock, "a") as (calls, _):
        for number in range(20):
            one = call(clock, f"{number:032x}")
            calls.started(one)
            calls.answered(taken(one, clock))
        listed = await calls.of_process(PROCESS)
        assert len(listed) == 20
        assert await redis.zcard(keys.calls(CUSTOMER)) == 20
        for one in listed:
            calls.ended(one, Ending(Cause.HUNG_UP, clock.now))
        await settle(calls)
        left = await redis.keys("*")
    await redis.aclose()
    assert left == [keys.EVENTS]


async def test_the_keys_end_by_themselves(server: Server, clock: Hands) -> None:
    redis = client(server)
    async with opened(server, clock, "a") as (calls, _):
        calls.started(call(clock))
        calls.put(call(clock))
        await settle(calls)
        names = [keys.call(ID), keys.calls(CUSTOMER), keys.CALLS, keys.node_calls(PROCESS)]
        seconds = [await redis.ttl(name) for name in names]
        scores = [await redis.zscore(name, ID) for name in (keys.calls(CUSTOMER), keys.CALLS)]
        stored = await redis.hgetall(keys.call(ID))
    await redis.aclose()
    assert [0 < left <= limit for left, limit in zip(seconds, (90, 90, 90, 86_400), strict=True)] == [
        True
    ] * 4
    assert scores == [clock.now + 90] * 2
    assert stored == encode(call(clock))


async def test_who_puts_a_call_again_drops_what_has_run_out(server: Server, clock: Hands) -> None:
    redis = client(server)
    async with opened(server, clock, "a") as (calls, _):
        calls.started(call(clock))
        clock.now += keys.CALL_SECONDS + 1
        calls.put(call(clock, OTHER))
        await settle(calls)
        listed = [await redis.zrange(name, 0, -1) for name in (keys.calls(CUSTOMER), keys.CALLS)]
    await redis.aclose()
    assert listed == [[OTHER], [OTHER]]


async def test_a_list_forgets_what_has_run_out(server: Server, clock: Hands) -> None:
    redis = client(server)
    async with opened(server, clock, "a") as (calls, _):
        calls.started(call(clock))
        await settle(calls)
        await redis.delete(keys.call(ID))
        assert await calls.of_process(PROCESS) == []
        await settle(calls)
        assert not await redis.exists(keys.node_calls(PROCESS))
    await redis.aclose()


async def test_one_spoiled_hash_leaves_the_others(server: Server, clock: Hands) -> None:
    redis = client(server)
    async with opened(server, clock, "a") as (calls, _):
        calls.started(call(clock))
        calls.started(call(clock, OTHER))
        await settle(calls)
        await redis.hset(keys.call(ID), "d", "rubbish")
        assert await calls.load([ID, OTHER]) == [None, call(clock, OTHER)]
    await redis.aclose()


async def away(wire: Wire) -> None:
    while wire.up:
        await asyncio.sleep(0.01)


async def back(wire: Wire) -> None:
    while not wire.up:
        await asyncio.sleep(0.01)


async def test_an_end_that_redis_did_not_hear_is_told_later(server: Server, clock: Hands) -> None:
    async with opened(server, clock, "a") as (calls, wire):
        calls.started(call(clock))
        await settle(calls)
        server.kill9()
        await away(wire)
        calls.started(call(clock, OTHER))
        calls.put(call(clock))
        calls.answered(taken(call(clock), clock))
        calls.ended(call(clock), Ending(Cause.HUNG_UP, clock.now, by="201"))
        calls.ended(call(clock, OTHER), Ending(Cause.BUSY, clock.now, 486))
        with pytest.raises(StoreUnavailable):
            await calls.load([ID])
        with pytest.raises(StoreUnavailable):
            await calls.mend()
        assert calls.untold == 2
        server.start()
        await back(wire)
        assert await calls.mend() == 1
        assert calls.untold == 0
        assert await calls.of_process(PROCESS) == []
    events = await events_of(server)
    assert kinds(events) == ["call-started", "call-ended"]
    assert (events[1]["call"], events[1]["by"]) == (ID, "201")


@pytest.mark.parametrize("milliseconds", [0, 1, 4, 7])
async def test_an_end_right_before_the_stop_is_told(server: Server, clock: Hands, milliseconds: int) -> None:
    redis = client(server)
    async with opened(server, clock, "a") as (calls, wire):
        calls.started(call(clock))
        await settle(calls)
        calls.ended(call(clock), Ending(Cause.HUNG_UP, clock.now))
        await asyncio.sleep(milliseconds / 1000)
        await wire.drain()
        wire.close()
    assert kinds(await events_of(server)) == ["call-started", "call-ended"]
    assert await redis.keys("registrar:call*") == []
    await redis.aclose()


async def test_an_end_whose_answer_is_lost_is_told_once(server: Server, clock: Hands) -> None:
    async with opened(server, clock, "a") as (calls, wire):
        calls.started(call(clock))
        await settle(calls)
        with frozen(server.pid):
            calls.ended(call(clock), Ending(Cause.HUNG_UP, clock.now))
            await away(wire)
        await back(wire)
        await calls.mend()
        assert calls.untold == 0
    assert kinds(await events_of(server)) == ["call-started", "call-ended"]


async def test_an_end_is_told_though_the_call_ran_out_meanwhile(server: Server, clock: Hands) -> None:
    redis = client(server)
    async with opened(server, clock, "a") as (calls, wire):
        calls.started(call(clock))
        await settle(calls)
        wire.close()
        calls.ended(call(clock), Ending(Cause.HUNG_UP, clock.now))
        await redis.delete(keys.call(ID))
        await back(wire)
        assert await calls.mend() == 1
        assert await calls.mend() == 0
    await redis.aclose()
    assert kinds(await events_of(server)) == ["call-started", "call-ended"]


async def test_what_another_node_has_ended_meanwhile_is_not_told_again(server: Server, clock: Hands) -> None:
    async with opened(server, clock, "a") as (calls, wire), opened(server, clock, "b") as (others, _):
        calls.started(call(clock))
        await settle(calls)
        wire.close()
        calls.ended(call(clock), Ending(Cause.HUNG_UP, clock.now))
        others.ended(call(clock), Ending(Cause.LOST, clock.now, by="b"))
        await settle(others)
        await back(wire)
        assert await calls.mend() == 0
    assert [event["reason"] for event in await events_of(server)] == ["", "lost"]


async def test_only_so_many_ends_wait(clock: Hands) -> None:
    calls = RedisCalls(Wire("redis://127.0.0.1:1"), clock, PROCESS)
    for number in range(MAX_UNTOLD + 5):
        calls.ended(call(clock, f"{number:032x}"), Ending(Cause.HUNG_UP, clock.now))
    assert calls.untold == MAX_UNTOLD


async def test_what_is_no_text_does_not_disturb_a_call(server: Server, clock: Hands) -> None:
    async with opened(server, clock, "a") as (calls, _):
        calls.started(call(clock, call_id="\ud800"))
        (found,) = await calls.load([ID])
    assert found is not None and found.call_id == "?"


async def test_an_event_of_a_call_that_waits_has_its_own_fields(store: Store) -> None:
    at = 1_795_262_400.75
    store.one.note(Notice("queue-joined", at, "", CUSTOMER, "1" * 24, ID, "200", via="700", place="queue:q1"))
    store.one.note(
        Notice(
            "queue-answered",
            at,
            "",
            CUSTOMER,
            "1" * 24,
            ID,
            "200",
            "201",
            "700",
            "queue:q1",
            "a" * 24,
            2,
            4.5,
        )
    )
    about = {
        "reason": "",
        "time": "1795262400",
        "customer": CUSTOMER,
        "phone": "1" * 24,
        "call": ID,
        "caller": "200",
        "via": "700",
        "place": "queue:q1",
    }
    nothing = {"callee": "", "person": "", "position": "", "waitedSeconds": ""}
    answered = {"callee": "201", "person": "a" * 24, "position": "2", "waitedSeconds": "4.500"}
    assert await store.events() == [
        {"event": "queue-joined"} | about | nothing,
        {"event": "queue-answered"} | about | answered,
    ]
