"""The location service: one suite over memory, Valkey and Redis, and what only a server can do wrong."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol
from zlib import crc32

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.asyncio.client import Monitor

from registrar.errors import StoreUnavailable
from registrar.model import (
    AcceptedNonce,
    Binding,
    Epoch,
    Event,
    EventKind,
    Process,
    Reason,
    Refusal,
    Snapshot,
    Update,
)
from registrar.ports import Due, Sighting
from registrar.rules.update import build_update, noted
from registrar.store import keys
from registrar.store.location_memory import MemoryLocation
from registrar.store.location_redis import RedisLocation
from registrar.store.outbox import UNPUBLISHED_SECONDS
from registrar.store.snapshots_redis import AFTERLIFE_SECONDS
from tests.contract.conftest import KINDS
from tests.contract.servers import Server, client, running
from tests.patience import limit
from tests.peers.process import frozen

PHONE, OTHER = "0123456789abcdef01234567", "0123456789abcdef01234568"
NOBODY = Snapshot()
CUSTOMER = "c" * 24
STATUS_SECONDS = 30 * 86_400


@dataclass
class Hands:
    """A wall clock that is turned by hand; it starts at the true time, for the server keeps its own."""

    now: float

    def __call__(self) -> Epoch:
        return Epoch(self.now)


@pytest.fixture
def clock() -> Hands:
    return Hands(float(int(time.time())))


class Location(Protocol):
    """The ports that a location implements, as the suite uses them."""

    def known(self, phone: str) -> Snapshot: ...
    async def load(self, phones: Sequence[str]) -> list[Snapshot]: ...
    async def commit(self, phone: str, before: Snapshot, update: Update) -> Snapshot | None: ...
    async def due(self, limit: int) -> list[Due]: ...
    async def reschedule(self, due: Due, earliest: int | None) -> None: ...
    async def lower(self, phone: str, earliest: int) -> None: ...
    async def seen(self, sightings: Sequence[Sighting]) -> list[bool]: ...
    async def offline_reasons(self, phones: Sequence[str]) -> list[str]: ...


@asynccontextmanager
async def opened(
    server: Server, clock: Hands, node: str = "", generation: str = ""
) -> AsyncIterator[RedisLocation]:
    location = RedisLocation(server.url, clock, Process(node, generation))
    async with asyncio.timeout(limit(20)), asyncio.TaskGroup() as tasks:
        running_wire = tasks.create_task(location.wire.run())
        await location.wire.opened.wait()
        try:
            yield location
        finally:
            running_wire.cancel()
            location.wire.close()


@asynccontextmanager
async def looked_at(server: Server) -> AsyncIterator[Redis]:
    redis = client(server)
    try:
        yield redis
    finally:
        await redis.aclose()


@pytest.fixture(params=[pytest.param("memory", id="memory"), *KINDS])
async def pair(request: pytest.FixtureRequest, clock: Hands) -> AsyncIterator[tuple[Location, Location]]:
    """Two writers over one store."""
    if request.param == "memory":
        location = MemoryLocation(clock)
        yield location, location
        return
    with running(request.param) as server:
        async with opened(server, clock) as one, opened(server, clock) as other:
            yield one, other


def binding(clock: Hands, host: str = "10.0.0.7", seconds: int = 600, **changes: object) -> Binding:
    now = int(clock.now)
    made = Binding(
        contact=f"sip:200@{host}",
        expires_at=now + seconds,
        call_id="call-1",
        cseq=1,
        user_agent="Phone Ünicode 1.0",
        local_ip="10.0.0.7",
        public_ip="198.51.100.7",
        public_port=5060,
        node="a",
        generation="g1",
        registered_at=now,
        refreshed_at=now,
        secret_version=1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist


def event(clock: Hands, kind: EventKind = EventKind.REGISTERED) -> Event:
    return Event(kind, str(kind), int(clock.now), "198.51.100.7", 5060, "udp", "Phone Ünicode 1.0")


def registered(before: Snapshot, clock: Hands, *bindings: Binding) -> Update:
    nonces = (AcceptedNonce(int(clock.now * 1e6), "mark", 1),)
    return build_update(before, bindings, (event(clock),), clock(), nonces=nonces, customer=CUSTOMER)


def unregistered(before: Snapshot, clock: Hands) -> Update:
    gone = event(clock, EventKind.UNREGISTERED)
    return build_update(before, (), (gone,), clock(), reason=Reason.UNREGISTERED, customer=CUSTOMER)


async def until(holds: object, within: float = 2.0) -> None:
    """Wait until the awaitable that `holds()` makes is true."""
    deadline = time.monotonic() + within
    while not await holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, "not within the time it has"
        await asyncio.sleep(0.01)


# What the port means, whatever is behind it


async def test_of_a_phone_that_never_registered_nothing_is_known(pair: tuple[Location, Location]) -> None:
    one, _ = pair
    assert one.known(PHONE) == NOBODY
    assert await one.load([PHONE, OTHER]) == [NOBODY, NOBODY]
    assert await one.load([]) == []


async def test_what_was_committed_is_read_by_everybody(pair: tuple[Location, Location], clock: Hands) -> None:
    one, other = pair
    update = registered(NOBODY, clock, binding(clock), binding(clock, "10.0.0.8", q="0.5", instance='"<\\>'))
    refusals = (Refusal("203.0.113.9", "ip-locked", int(clock.now), 3),)
    update = replace(update, after=replace(update.after, refusals=refusals))
    assert await one.commit(PHONE, NOBODY, update) is None
    assert one.known(PHONE) == update.after
    assert await other.load([OTHER, PHONE]) == [NOBODY, update.after]


async def test_the_reason_of_the_status_of_phones(pair: tuple[Location, Location], clock: Hands) -> None:
    one, other = pair
    assert await other.offline_reasons([PHONE, OTHER]) == ["", ""]
    first = registered(NOBODY, clock, binding(clock))
    assert await one.commit(PHONE, NOBODY, first) is None
    assert await one.commit(PHONE, first.after, unregistered(first.after, clock)) is None
    assert await other.offline_reasons([OTHER, PHONE]) == ["", "unregistered"]
    assert await other.offline_reasons([]) == []


async def test_a_conflict_gives_what_stands_and_writes_nothing(
    pair: tuple[Location, Location], clock: Hands
) -> None:
    one, other = pair
    first = registered(NOBODY, clock, binding(clock))
    assert await one.commit(PHONE, NOBODY, first) is None
    clock.now += 1
    second = registered(NOBODY, clock, binding(clock, "10.0.0.8"))
    assert await other.commit(PHONE, NOBODY, second) == first.after
    assert await one.load([PHONE]) == [first.after]
    assert other.known(PHONE) == first.after
    again = registered(first.after, clock, binding(clock, "10.0.0.8"))
    assert await other.commit(PHONE, first.after, again) is None
    assert await one.load([PHONE]) == [again.after]


async def test_of_two_writers_exactly_one_wins(pair: tuple[Location, Location], clock: Hands) -> None:
    before = NOBODY
    for number in range(50):
        clock.now += 0.01
        mine = registered(before, clock, binding(clock, f"10.0.1.{number}"))
        theirs = registered(before, clock, binding(clock, f"10.0.2.{number}"))
        theirs = replace(theirs, after=replace(theirs.after, version=theirs.after.version + 7))
        answers = await asyncio.gather(
            pair[0].commit(PHONE, before, mine), pair[1].commit(PHONE, before, theirs)
        )
        assert answers.count(None) == 1
        winner = mine if answers[0] is None else theirs
        assert winner.after in answers, "the loser is told what stands"
        before = winner.after


async def test_the_index_names_a_phone_when_its_earliest_binding_runs_out(
    pair: tuple[Location, Location], clock: Hands
) -> None:
    one, other = pair
    update = registered(NOBODY, clock, binding(clock, seconds=600), binding(clock, "10.0.0.8", 60))
    await one.commit(PHONE, NOBODY, update)
    clock.now += 59
    assert await other.due(10) == []
    clock.now += 1
    assert await other.due(10) == [Due(PHONE, int(clock.now))]


async def test_an_entry_is_only_lowered_by_a_commit(pair: tuple[Location, Location], clock: Hands) -> None:
    one, _ = pair
    first = registered(NOBODY, clock, binding(clock, seconds=60))
    await one.commit(PHONE, NOBODY, first)
    await one.commit(PHONE, first.after, registered(first.after, clock, binding(clock, seconds=600)))
    clock.now += 60
    (due,) = await one.due(10)
    assert due.phone == PHONE


async def test_an_entry_is_set_anew_only_if_it_is_the_one_read(
    pair: tuple[Location, Location], clock: Hands
) -> None:
    one, other = pair
    await one.lower(PHONE, int(clock.now) - 1)
    (due,) = await other.due(10)
    await one.lower(PHONE, int(clock.now) - 2)
    await other.reschedule(due, int(clock.now) + 50)
    (still,) = await one.due(10)
    assert still.score == int(clock.now) - 2
    await one.reschedule(still, int(clock.now) + 50)
    assert await other.due(10) == []
    clock.now += 50
    (later,) = await other.due(10)
    await other.reschedule(later, None)
    clock.now += 10_000
    assert await one.due(10) == []


async def test_an_entry_may_be_lowered_and_never_raised(
    pair: tuple[Location, Location], clock: Hands
) -> None:
    one, _ = pair
    await one.lower(PHONE, int(clock.now) - 5)
    await one.lower(PHONE, int(clock.now) + 5)
    assert [due.score for due in await one.due(10)] == [int(clock.now) - 5]


# What lies in Redis (docs/redis.md)


async def test_every_key_is_written_as_the_contract_says(server: Server, clock: Hands) -> None:
    update = registered(NOBODY, clock, binding(clock))
    now = int(clock.now)
    async with opened(server, clock) as location, looked_at(server) as redis:
        await location.commit(PHONE, NOBODY, update)
        status = await redis.hgetall(f"registrar:status:{{{PHONE}}}")
        assert status == {**update.status, "customer": CUSTOMER}
        assert status["online"] == "1" and status["reason"] == "registered"
        stored = await redis.hgetall(f"registrar:loc:{{{PHONE}}}")
        assert stored["v"] == str(update.after.version)
        assert json.loads(stored["b"]) == [
            [
                "sip:200@10.0.0.7", now + 600, "call-1", 1, "", "", 0, "Phone Ünicode 1.0", "10.0.0.7",
                "198.51.100.7", 5060, "udp", "a", "g1", now, now, 1, 0, 0, "",
            ]
        ]  # fmt: skip
        assert json.loads(stored["n"]) == [[now * 1_000_000, "mark", 1]]
        journal = await _stream(redis, f"registrar:journal:{{{PHONE}}}")
        about = {
            "event": "registered", "reason": "registered", "time": str(now), "ip": "198.51.100.7",
            "port": "5060", "transport": "udp", "userAgent": "Phone Ünicode 1.0", "count": "1", "by": "",
        }  # fmt: skip
        assert journal == [about]
        await until(lambda: redis.exists("registrar:events"))
        named = {"key": f"{PHONE}:{update.after.version}", "phone": PHONE, "customer": CUSTOMER}
        assert await _stream(redis, "registrar:events") == [named | about]
        assert await redis.zscore(f"registrar:expiry:{crc32(PHONE.encode()) % 64}", PHONE) == now + 600
        assert set(await redis.keys("*")) == {
            keys.status(PHONE), keys.location(PHONE), keys.journal(PHONE), keys.expiry(PHONE), keys.EVENTS,
            *keys.states(CUSTOMER),
        }  # fmt: skip
        assert location.known(PHONE) == update.after


async def test_every_key_lives_as_long_as_the_contract_says(server: Server, clock: Hands) -> None:
    now = int(clock.now)
    async with opened(server, clock) as location, looked_at(server) as redis:
        update = registered(NOBODY, clock, binding(clock, seconds=600))
        await location.commit(PHONE, NOBODY, update)
        assert await redis.expiretime(keys.location(PHONE)) == now + 600 + AFTERLIFE_SECONDS
        assert await redis.expiretime(keys.status(PHONE)) == now + 600 + STATUS_SECONDS
        assert await redis.expiretime(keys.journal(PHONE)) == now + 600 + STATUS_SECONDS
        clock.now += 10
        await location.commit(PHONE, update.after, unregistered(update.after, clock))
        assert await redis.expiretime(keys.location(PHONE)) == now + 600 + AFTERLIFE_SECONDS, "never shorter"
        assert await redis.expiretime(keys.status(PHONE)) == now + 10 + STATUS_SECONDS
        stored = await redis.hgetall(keys.location(PHONE))
        assert stored["b"] == "" and stored["n"] != ""


async def test_a_conflict_leaves_no_trace(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as one, opened(server, clock) as other, looked_at(server) as redis:
        await one.commit(PHONE, NOBODY, registered(NOBODY, clock, binding(clock)))
        await until(lambda: redis.exists(keys.EVENTS))
        await asyncio.sleep(0.05)
        names = [keys.status(PHONE), keys.location(PHONE), keys.journal(PHONE), keys.EVENTS]
        before = [await redis.dump(name) for name in names[:2]] + [await redis.xlen(n) for n in names[2:]]
        late = registered(NOBODY, clock, binding(clock, "10.0.0.8", seconds=9_999))
        assert await other.commit(PHONE, NOBODY, late) is not None
        await asyncio.sleep(0.05)
        after = [await redis.dump(name) for name in names[:2]] + [await redis.xlen(n) for n in names[2:]]
        assert after == before


async def test_refusals_stand_beside_and_go_again(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location, looked_at(server) as redis:
        refusals = (Refusal("203.0.113.9", "ip-locked", int(clock.now), 3),)
        first = noted(NOBODY, (), clock())
        first = replace(first, after=replace(first.after, refusals=refusals))
        await location.commit(PHONE, NOBODY, first)
        assert json.loads(str(await redis.hget(keys.location(PHONE), "r"))) == [
            ["203.0.113.9", "ip-locked", int(clock.now), 3]
        ]
        second = noted(first.after, (), clock())
        await location.commit(PHONE, first.after, second)
        assert await redis.hexists(keys.location(PHONE), "r"), "what did not change is not sent again"
        third = noted(second.after, (), clock())
        await location.commit(PHONE, second.after, replace(third, after=replace(third.after, refusals=())))
        assert not await redis.hexists(keys.location(PHONE), "r")


async def test_the_journal_keeps_a_hundred_events(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location, looked_at(server) as redis:
        before = NOBODY
        for _ in range(110):
            clock.now += 1
            update = registered(before, clock, binding(clock))
            await location.commit(PHONE, before, update)
            before = update.after
        assert await redis.xlen(keys.journal(PHONE)) == 100
        await until(lambda: _has_length(redis, keys.EVENTS, 110))


async def test_what_lingers_leaves_soon_or_with_what_does_not(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location, looked_at(server) as redis:
        location.wire.tell("SET", "told", "1", linger=True)
        await until(lambda: redis.exists("told"), within=1)
        location.wire.tell("SET", "told", "2", linger=True)
        answer = await location.wire.send("GET", "told")
        assert answer == b"2", "in the order of their being said"
        location.wire.tell("SET", "told", "3", linger=True)
        location.wire.close()
        await until(lambda: _is(redis, "told", "3"), within=1)


async def _is(redis: Redis, key: str, value: str) -> bool:
    return bool(await redis.get(key) == value)


async def test_an_event_is_on_its_way_into_the_stream_before_anybody_hears_of_it(
    server: Server, clock: Hands
) -> None:
    """Else what another node does because of it may come earlier there."""
    async with opened(server, clock) as location:
        await location.commit(PHONE, NOBODY, registered(NOBODY, clock, binding(clock)))
        deadline = time.monotonic() + 2
        with BlockingRedis.from_url(server.url) as redis:  # the loop does not turn meanwhile
            while not redis.xlen(keys.EVENTS):
                assert time.monotonic() < deadline, "the event has not left"


async def _stream(redis: Redis, name: str) -> list[dict[str, str]]:
    entries = await redis.xrange(name) or []
    return [{str(word): str(value) for word, value in (fields or {}).items()} for _, fields in entries]


async def _has_length(redis: Redis, name: str, length: int) -> bool:
    return bool(await redis.xlen(name) == length)


async def _has_no_field(redis: Redis, name: str, field: str) -> bool:
    return not await redis.hexists(name, field)


async def test_events_of_commits_right_after_each_other_are_told_once_and_none_stays(
    server: Server, clock: Hands
) -> None:
    async with opened(server, clock) as one, opened(server, clock) as other, looked_at(server) as redis:
        snapshot = NOBODY
        for author in (one, one, other, one, other):
            bound = snapshot.bindings
            update = unregistered(snapshot, clock) if bound else registered(snapshot, clock, binding(clock))
            assert await author.commit(PHONE, snapshot, update) is None
            snapshot = update.after
        await until(lambda: _has_no_field(redis, keys.location(PHONE), "e"))
        clock.now += UNPUBLISHED_SECONDS + 1
        await one.load([PHONE])
        await asyncio.sleep(0.05)
        stream = await _stream(redis, keys.EVENTS)
        told = [entry["event"] for entry in stream]
        assert sorted(told) == ["registered"] * 3 + ["unregistered"] * 2
        assert len({entry["key"] for entry in stream}) == 5, "each event has a key of its own"


async def test_events_that_their_author_could_not_publish_are_published_by_whoever_sees_them(
    server: Server, clock: Hands
) -> None:
    async with opened(server, clock) as dead, opened(server, clock) as alive, looked_at(server) as redis:
        await dead.commit(PHONE, NOBODY, registered(NOBODY, clock, binding(clock)))
        await until(lambda: _has_no_field(redis, keys.location(PHONE), "e"))
        (told,) = await _stream(redis, keys.EVENTS)
        assert told["key"] == f"{PHONE}:{dead.known(PHONE).version}"
        await redis.delete(keys.EVENTS)  # as if its author had died between the two steps
        numbers = {"time", "port", "count"}
        left = [{name: int(value) if name in numbers else value for name, value in told.items()}]
        await redis.hset(keys.location(PHONE), "e", json.dumps(left, separators=(",", ":")))
        await alive.load([PHONE])
        await asyncio.sleep(0.05)
        assert await redis.xlen(keys.EVENTS) == 0, "its author may still be at it"
        clock.now += UNPUBLISHED_SECONDS + 1
        await alive.load([PHONE])
        await until(lambda: _has_length(redis, keys.EVENTS, 1))
        assert await _stream(redis, keys.EVENTS) == [told]
        await until(lambda: _has_no_field(redis, keys.location(PHONE), "e"))
        await alive.load([PHONE])
        await asyncio.sleep(0.05)
        assert await redis.xlen(keys.EVENTS) == 1, "once"


async def test_everybody_is_who_has_a_binding(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location:
        assert await location.everybody() == []
        for phone in (PHONE, OTHER):
            await location.commit(phone, NOBODY, registered(NOBODY, clock, binding(clock)))
        assert sorted(await location.everybody()) == [PHONE, OTHER]


# The phones on a process' own connections


FLOWS, ROW = "registrar:flows:a:g1", "a g1"
"""Of the process that the bindings of these tests are bound to."""


def over(transport: str, clock: Hands, host: str = "10.0.0.7", **changes: object) -> Binding:
    """A binding on a connection of the process `a`, `g1`, or over UDP."""
    return binding(clock, host, 600, transport=transport, flow=0 if transport == "udp" else 7, **changes)


@asynccontextmanager
async def wiretapped(server: Server) -> AsyncIterator[list[str]]:
    """What clients say to the server, in its order, without what its scripts do."""
    said: list[str] = []

    async def listen(monitor: Monitor) -> None:
        async for heard in monitor.listen():
            if heard["client_type"] != "lua":
                said.append(str(heard["command"]))

    async with looked_at(server) as redis, redis.monitor() as monitor:
        listening = asyncio.create_task(listen(monitor))
        try:
            yield said
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


def place(said: list[str], beginning: str) -> int:
    """Where the first command stands that begins so."""
    return next(number for number, command in enumerate(said) if command.startswith(beginning))


async def is_said(said: list[str], name: str) -> bool:
    return any(command.startswith(name) for command in said)


@pytest.mark.parametrize(
    "forgotten", [False, True], ids=["the scripts are known", "the scripts are forgotten"]
)
async def test_the_index_knows_of_a_connection_before_anything_is_bound_to_it(
    server: Server, clock: Hands, forgotten: bool
) -> None:
    """Whoever sweeps after our death must not find a binding that no index names."""
    async with wiretapped(server) as said, opened(server, clock, "a", "g1") as location:
        if forgotten:
            async with looked_at(server) as redis:
                await redis.script_flush()
        await location.commit(PHONE, NOBODY, registered(NOBODY, clock, over("wss", clock)))
        await until(lambda: is_said(said, "XADD"))
    assert place(said, f"HSETNX registrar:nodes {ROW} ") < place(said, f"SADD {FLOWS} {PHONE}")
    assert place(said, f"SADD {FLOWS} {PHONE}") < place(said, "EVAL")


async def test_a_process_is_told_of_when_it_connects(server: Server, clock: Hands) -> None:
    async with opened(server, clock, "a", "g1"), looked_at(server) as redis:
        assert await redis.hgetall("registrar:nodes") == {ROW: str(int(clock.now))}
        assert not await redis.exists(FLOWS)


async def test_who_has_no_name_is_not_told_of(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location, looked_at(server) as redis:
        await location.commit(PHONE, NOBODY, registered(NOBODY, clock, over("wss", clock)))
        assert not await redis.exists("registrar:nodes")
        assert await redis.keys("registrar:flows:*") == []


async def test_a_process_began_when_it_began(server: Server, clock: Hands) -> None:
    began = int(clock.now)
    async with opened(server, clock, "a", "g1") as location, looked_at(server) as redis:
        await asyncio.sleep(1.1)  # appendfsync everysec
        clock.now += 500
        server.kill9()
        server.start()
        async with asyncio.timeout(limit(3)):
            await location.back.wait()
        assert await redis.hgetall("registrar:nodes") == {ROW: str(began)}


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_a_phone_stands_in_the_index_as_long_as_it_has_a_connection(
    server: Server, clock: Hands, transport: str
) -> None:
    async with opened(server, clock, "a", "g1") as location, looked_at(server) as redis:
        one, other = over(transport, clock), over(transport, clock, "10.0.0.8")
        before = NOBODY
        for bindings, listed in [((one,), 1), ((one, other), 1), ((other,), 1), ((), 0), ((one,), 1)]:
            clock.now += 1
            update = registered(before, clock, *bindings)
            assert await location.commit(PHONE, before, update) is None
            before = update.after
            await location.load([PHONE])
            assert await redis.sismember(FLOWS, PHONE) == listed, bindings
        assert await redis.smembers(FLOWS) == {PHONE}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"transport": "udp", "flow": 0}, id="UDP"),
        pytest.param({"node": "b"}, id="another process"),
        pytest.param({"generation": "g0"}, id="one before this one"),
    ],
)
async def test_what_is_bound_to_no_connection_here_is_not_in_the_index(
    server: Server, clock: Hands, changes: dict[str, object]
) -> None:
    async with opened(server, clock, "a", "g1") as location, looked_at(server) as redis:
        first = registered(NOBODY, clock, replace(over("tls", clock), **changes))  # type: ignore[arg-type]
        await location.commit(PHONE, NOBODY, first)
        assert not await redis.exists(FLOWS)
        clock.now += 1
        second = registered(first.after, clock, over("tls", clock))
        await location.commit(PHONE, first.after, second)
        assert await redis.smembers(FLOWS) == {PHONE}
        clock.now += 1
        await location.commit(PHONE, second.after, registered(second.after, clock, *first.after.bindings))
        await location.load([PHONE])
        assert not await redis.exists(FLOWS)


async def test_a_phone_that_others_took_over_leaves_the_index(server: Server, clock: Hands) -> None:
    async with (
        opened(server, clock, "a", "g1") as here,
        opened(server, clock, "b", "g2") as there,
        looked_at(server) as redis,
    ):
        first = registered(NOBODY, clock, over("tls", clock))
        await here.commit(PHONE, NOBODY, first)
        clock.now += 1
        moved = registered(first.after, clock, over("tls", clock, node="b", generation="g2"))
        await there.commit(PHONE, first.after, moved)
        assert await redis.smembers("registrar:flows:b:g2") == {PHONE}
        await here.load([PHONE])
        await here.load([PHONE])
        assert await redis.smembers(FLOWS) == set()


async def test_a_phone_that_is_just_being_bound_does_not_leave_the_index(
    server: Server, clock: Hands
) -> None:
    """What was read before it was bound does not tell anything of it, whichever answer comes first."""
    async with opened(server, clock, "a", "g1") as location, looked_at(server) as redis:
        for number in range(200):
            phone = f"{number:024x}"
            update = registered(NOBODY, clock, over("tls", clock))
            reading = asyncio.create_task(location.load([phone]))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            binding_it = asyncio.create_task(location.commit(phone, NOBODY, update))
            await asyncio.gather(reading, binding_it, location.load([phone]))
            assert await redis.sismember(FLOWS, phone)


@pytest.mark.parametrize("how", ["it may be lost", "it was lost"])
async def test_an_index_that_was_lost_is_written_again(server: Server, clock: Hands, how: str) -> None:
    async with opened(server, clock, "a", "g1") as location, looked_at(server) as redis:
        first = registered(NOBODY, clock, over("tls", clock))
        await location.commit(PHONE, NOBODY, first)
        if how == "it was lost":
            await redis.flushall()
            location.forget_listed()
            clock.now += 1
            assert await location.mend() == 1
        else:
            await redis.delete(FLOWS)
            location.forget_listed()
            clock.now += 1
            await location.commit(PHONE, first.after, registered(first.after, clock, over("tls", clock)))
        assert await redis.smembers(FLOWS) == {PHONE}


async def test_a_phone_leaves_an_index_that_we_no_longer_know(server: Server, clock: Hands) -> None:
    """Redis was away: what stands there is not known, but what was bound here is."""
    async with opened(server, clock, "a", "g1") as location, looked_at(server) as redis:
        first = registered(NOBODY, clock, over("tls", clock))
        await location.commit(PHONE, NOBODY, first)
        location.forget_listed()
        clock.now += 1
        await location.commit(PHONE, first.after, unregistered(first.after, clock))
        await location.load([PHONE])
        assert await redis.smembers(FLOWS) == set()


# A store that loses, goes away, or misbehaves


async def test_what_the_store_has_lost_is_written_again(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location, looked_at(server) as redis:
        phones = [f"{number:024x}" for number in range(50)]
        updates = {phone: registered(NOBODY, clock, binding(clock)) for phone in phones}
        for phone in phones:
            assert await location.commit(phone, NOBODY, updates[phone]) is None
        await redis.flushall()
        clock.now += 1
        assert await location.mend() == len(phones)
        for phone, snapshot in zip(phones, await location.load(phones), strict=True):
            assert snapshot.bindings == updates[phone].after.bindings
            assert snapshot.nonces == updates[phone].after.nonces
        status = await redis.hgetall(keys.status(phones[7]))
        assert (status["online"], status["since"]) == ("1", str(int(clock.now) - 1))
        assert (
            await redis.zscore(keys.expiry(phones[7]), phones[7])
            == updates[phones[7]].after.bindings[0].expires_at
        )
        assert await location.mend() == 0, "what it knows is not written twice"


async def test_a_promise_is_kept_when_the_store_is_back(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location:
        first = registered(NOBODY, clock, binding(clock, seconds=600))
        await location.commit(PHONE, NOBODY, first)
        server.kill9()
        clock.now += 30
        refreshed = binding(clock, seconds=60, cseq=2)
        update = build_update(first.after, (refreshed,), (), clock())
        with pytest.raises(StoreUnavailable):
            await location.commit(PHONE, first.after, update)
        location.promise(PHONE, update)
        assert location.known(PHONE).bindings == (refreshed,)
        location.back.clear()
        server.start()
        async with asyncio.timeout(limit(2)):
            await location.back.wait()
        assert await location.mend() >= 1
        (snapshot,) = await location.load([PHONE])
        assert snapshot.bindings == (refreshed,)
        assert await location.mend() == 0


async def test_scripts_that_the_server_forgot_are_sent_again(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location, looked_at(server) as redis:
        await redis.script_flush()
        update = registered(NOBODY, clock, binding(clock, seconds=60))
        assert await location.commit(PHONE, NOBODY, update) is None
        await redis.script_flush()
        clock.now += 60
        (due,) = await location.due(10)
        await location.reschedule(due, None)
        assert await location.due(10) == []


async def test_events_are_published_once_when_the_server_forgot_the_scripts(
    server: Server, clock: Hands
) -> None:
    async with opened(server, clock) as location, looked_at(server) as redis:
        await redis.script_flush()
        await location.commit(PHONE, NOBODY, registered(NOBODY, clock, binding(clock)))
        for _ in range(5):
            clock.now += UNPUBLISHED_SECONDS + 1
            await location.load([PHONE])
            await asyncio.sleep(0.05)
        assert await redis.xlen(keys.EVENTS) <= 2


async def test_a_conflict_with_a_store_that_lost_its_memory_forgets_nothing(
    server: Server, clock: Hands
) -> None:
    """A REGISTER that comes before the loss is noticed must not make this node forget what it knows."""
    async with opened(server, clock) as location, looked_at(server) as redis:
        both = registered(NOBODY, clock, binding(clock), binding(clock, "10.0.0.8"))
        await location.commit(PHONE, NOBODY, both)
        await redis.flushall()
        clock.now += 1
        update = registered(both.after, clock, *both.after.bindings)
        stands = await location.commit(PHONE, both.after, update)
        assert stands is None or stands.nonces == both.after.nonces
        assert len(location.known(PHONE).bindings) == 2


async def test_cancelled_commands_do_not_shift_the_answers_of_others(server: Server, clock: Hands) -> None:
    """A thousand commands given up at random points; each answer that comes is one's own."""
    dice = random.Random(7)
    phones = [f"{number:024x}" for number in range(40)]
    async with opened(server, clock) as location:
        for phone in phones:
            made = binding(clock, f"h{int(phone, 16)}.test")
            await location.commit(phone, NOBODY, registered(NOBODY, clock, made))

        async def ask(phone: str) -> None:
            (snapshot,) = await location.load([phone])
            assert snapshot.bindings[0].contact == f"sip:200@h{int(phone, 16)}.test"

        cancelled = 0
        while cancelled < 1_000:
            tasks = [asyncio.create_task(ask(dice.choice(phones))) for _ in range(100)]
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            if dice.random() < 0.5:
                await asyncio.sleep(dice.random() * 0.003)
            for task in dice.sample(tasks, 60):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert not [r for r in results if r is not None and not isinstance(r, asyncio.CancelledError)]
            cancelled += sum(isinstance(result, asyncio.CancelledError) for result in results)
        for phone in phones:
            await ask(phone)


async def test_a_hung_server_fails_within_half_a_second_and_is_found_again(
    server: Server, clock: Hands
) -> None:
    async with opened(server, clock) as location:
        first = registered(NOBODY, clock, binding(clock))
        await location.commit(PHONE, NOBODY, first)
        with frozen(server.pid):
            for _ in range(2):
                started = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    await location.commit(PHONE, first.after, registered(first.after, clock))
                assert time.monotonic() - started < limit(0.5)
            lag = 0.0
            for _ in range(20):
                before = time.monotonic()
                await asyncio.sleep(0.01)
                lag = max(lag, time.monotonic() - before - 0.01)
            assert lag < limit(0.05)
        async with asyncio.timeout(limit(3)):
            await location.back.wait()
        assert await location.load([PHONE])


async def test_a_killed_server_fails_at_once_and_keeps_what_it_acknowledged(
    server: Server, clock: Hands
) -> None:
    async with opened(server, clock) as location:
        first = registered(NOBODY, clock, binding(clock))
        await location.commit(PHONE, NOBODY, first)
        await asyncio.sleep(1.1)  # appendfsync everysec
        server.kill9()
        started = time.monotonic()
        for _ in range(10):
            with pytest.raises(StoreUnavailable):
                await location.load([PHONE])
        assert time.monotonic() - started < limit(0.5)
        server.start()
        async with asyncio.timeout(limit(2)):
            await location.back.wait()
        assert await location.load([PHONE]) == [first.after]


async def test_a_server_without_memory_left_is_a_store_that_is_away(server: Server, clock: Hands) -> None:
    async with opened(server, clock) as location, looked_at(server) as redis:
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="OOM"):
            await location.commit(PHONE, NOBODY, registered(NOBODY, clock, binding(clock)))
        await redis.config_set("maxmemory", "0")
        assert await location.load([PHONE]) == [NOBODY], "nothing of it was written"
        assert await location.commit(PHONE, NOBODY, registered(NOBODY, clock, binding(clock))) is None


async def test_a_store_that_was_never_there_is_away(
    tmp_path_factory: pytest.TempPathFactory, clock: Hands
) -> None:
    location = RedisLocation(f"unix://{tmp_path_factory.mktemp('n')}/none", clock)
    for work in (location.load([PHONE]), location.due(5), location.lower(PHONE, 1), location.everybody()):
        with pytest.raises(StoreUnavailable):
            await work


# Answered pings


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        pytest.param({}, True, id="the binding that the status shows"),
        pytest.param({"node": "b"}, False, id="it has moved to another node"),
        pytest.param({"public_ip": "198.51.100.8"}, False, id="another address"),
        pytest.param({"public_port": 5061}, False, id="another port"),
    ],
)
async def test_an_answered_ping_is_noted_for_the_binding_that_the_status_shows(
    pair: tuple[Location, Location], clock: Hands, changes: dict[str, object], shown: bool
) -> None:
    one, other = pair
    assert await one.commit(PHONE, NOBODY, registered(NOBODY, clock, binding(clock))) is None
    pinged = Sighting(PHONE, binding(clock, **changes), 12.3, clock())  # type: ignore[arg-type]
    assert await other.seen([pinged, replaced_phone(pinged)]) == [shown, False]


async def test_a_phone_that_is_offline_or_on_a_connection_is_not_seen_by_a_ping(
    pair: tuple[Location, Location], clock: Hands
) -> None:
    one, _ = pair
    connected = registered(NOBODY, clock, binding(clock, transport="tcp"))
    assert await one.commit(PHONE, NOBODY, connected) is None
    pinged = Sighting(PHONE, binding(clock), 12.3, clock())
    assert await one.seen([pinged]) == [False]
    back = registered(connected.after, clock, binding(clock))
    assert await one.commit(PHONE, connected.after, back) is None
    assert await one.seen([pinged]) == [True]
    assert await one.commit(PHONE, back.after, unregistered(back.after, clock)) is None
    assert await one.seen([pinged]) == [False]


async def test_an_answered_ping_writes_its_round_trip_and_leaves_the_rest(
    server: Server, clock: Hands
) -> None:
    key = keys.status(PHONE)
    async with opened(server, clock) as location, looked_at(server) as redis:
        assert await location.commit(PHONE, NOBODY, registered(NOBODY, clock, binding(clock))) is None
        before, ends = await redis.hgetall(key), await redis.ttl(key)
        now = Epoch(clock() + 30.7)
        assert await location.seen([Sighting(PHONE, binding(clock), 12.34, now)]) == [True]
        after = await redis.hgetall(key)
        assert after == before | {"rttMs": "12.3", "lastSeen": str(int(now))}
        assert await location.seen([Sighting(PHONE, binding(clock), None, Epoch(now + 60))]) == [True]
        assert await redis.hgetall(key) == after | {"lastSeen": str(int(now + 60))}
        assert abs(await redis.ttl(key) - ends) <= 1
        assert await location.seen([Sighting(OTHER, binding(clock), 1.0, now)]) == [False]
        assert not await redis.exists(keys.status(OTHER))


def replaced_phone(sighting: Sighting) -> Sighting:
    """The same of a phone that never registered."""
    return sighting._replace(phone=OTHER)


# The memory of tests can be away too


async def test_memory_that_is_away_fails_like_a_store(clock: Hands) -> None:
    location = MemoryLocation(clock)
    location.away = True
    with pytest.raises(StoreUnavailable):
        await location.load([PHONE])
    with pytest.raises(StoreUnavailable):
        await location.commit(PHONE, NOBODY, registered(NOBODY, clock))
    with pytest.raises(StoreUnavailable):
        await location.due(5)
    with pytest.raises(StoreUnavailable):
        await location.seen([])
    update = registered(NOBODY, clock, binding(clock))
    location.promise(PHONE, update)
    assert location.promised == {PHONE: update}
