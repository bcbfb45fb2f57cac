"""The contract of ports.People: one suite over memory, Valkey and Redis, and the faults of a server."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import pytest
from redis.crc import key_slot

from registrar.errors import StoreUnavailable
from registrar.model import ClaimResult, Epoch, Mono, PersonState, Process, Publication, Published
from registrar.store import keys
from registrar.store.location_redis import RedisLocation
from registrar.store.people_memory import MemoryPeople
from registrar.store.people_redis import RedisPeople
from registrar.store.redis_wire import Wire
from registrar.store.wish_cache import NO_WISHES, PersonNews, parse_news
from tests.contract.conftest import KINDS
from tests.contract.servers import Server, client, running
from tests.patience import limit
from tests.peers.process import frozen

ANNA, BENT, CARL = "a" * 24, "b" * 24, "c" * 24
FIRST, SECOND, THIRD = "1" * 32, "2" * 32, "3" * 32
WINDOW = 25.0
WRAP_UP = 2


@dataclass
class Time:
    """The clocks of a process: the true time, as the server has it, and `later` seconds of waiting."""

    later: float = 0.0

    def wall(self) -> Epoch:
        return Epoch(time.time() + self.later)

    def mono(self) -> Mono:
        return Mono(time.monotonic() + self.later)


class People(Protocol):
    """The port as the suite uses it."""

    on_news: Callable[[str, str], None]

    def missed(self) -> None: ...
    def settings(self, person: str) -> PersonState | None: ...
    async def states(self, people: Sequence[str], *, watch: bool = False) -> list[PersonState]: ...
    async def claim(
        self, people: Sequence[str], call: str, seconds: float, *, exclusive: bool
    ) -> list[ClaimResult]: ...
    def release(self, person: str, call: str) -> None: ...
    def take_part(self, person: str, call: str) -> None: ...
    def answered(self, person: str, call: str) -> None: ...
    def ended(self, person: str, call: str, *, talked: bool) -> None: ...
    async def change(self, person: str, field: str, value: str) -> str: ...
    async def publish(self, person: str, publication: Publication) -> bool: ...


@dataclass
class Store:
    """Two processes over one store."""

    one: People
    other: People
    dead: set[Process] = field(default_factory=set)
    news: list[tuple[str, str]] = field(default_factory=list)
    """What the second process has heard."""

    async def watched(self, *people: str) -> None:
        """Let all nodes be told when one of these people is free."""
        await self.one.states(people or (ANNA,), watch=True)

    async def heard(self, *news: tuple[str, str]) -> None:
        """Wait until the second process has heard these news, and no others, since the last wait."""
        async with asyncio.timeout(limit(5)):
            while len(self.news) < len(news):
                await asyncio.sleep(0.005)
        await self.settle()
        assert self.news == list(news)
        self.news.clear()

    async def settle(self) -> None:
        """Wait until the commands that both processes have sent are done."""
        await self.one.states([CARL])
        await self.other.states([CARL])

    async def state(self, person: str = ANNA) -> PersonState:
        """Return the state of a person after all that the first process has sent."""
        (state,) = await self.one.states([person])
        return state

    async def verdict(self, call: str, *, exclusive: bool = True) -> ClaimResult:
        """Claim a person in the first process."""
        (verdict,) = await self.one.claim([ANNA], call, WINDOW, exclusive=exclusive)
        return verdict


@asynccontextmanager
async def opened(
    server: Server, node: str, dead: set[Process] | None = None, times: Time | None = None
) -> AsyncIterator[tuple[RedisPeople, Wire]]:
    """A process over a server."""
    times, gone = times or Time(), dead if dead is not None else set()
    wire = RedisLocation(server.url, times.wall).wire
    running_wire = asyncio.create_task(wire.run())
    async with asyncio.timeout(limit(20)):
        await wire.opened.wait()
    process = Process(node, "g1")
    people = RedisPeople(
        wire, times.mono, process, lambda process: process not in gone, wrap_up_seconds=WRAP_UP
    )
    try:
        yield people, wire
    finally:
        running_wire.cancel()
        wire.close()


@asynccontextmanager
async def listening(server: Server, *people: RedisPeople) -> AsyncIterator[None]:
    """Pass the news to the processes."""

    async def listen() -> None:
        while True:
            message = await heard.get_message(timeout=30)
            if message is not None and message["type"] == "message":
                for one in people:
                    one.heard(message["data"])

    async with client(server) as redis, redis.pubsub() as heard:
        await heard.subscribe(keys.PERSON_NEWS)
        while (await heard.get_message(timeout=30) or {"type": ""})["type"] != "subscribe":
            pass
        task = asyncio.create_task(listen())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def times() -> Time:
    return Time()


@pytest.fixture(params=[pytest.param("memory", id="memory"), *KINDS])
async def store(request: pytest.FixtureRequest, times: Time) -> AsyncIterator[Store]:
    dead: set[Process] = set()
    if request.param == "memory":
        one, other = (
            MemoryPeople(
                times.wall, Process(node, "g1"), lambda process: process not in dead, wrap_up_seconds=WRAP_UP
            )
            for node in ("a", "b")
        )
        other.share(one)
        made = Store(one, other, dead)
        other.on_news = lambda person, what: made.news.append((person, what))
        yield made
        return
    with running(request.param) as server:
        async with AsyncExitStack() as stack:
            first, _ = await stack.enter_async_context(opened(server, "a", dead, times))
            second, _ = await stack.enter_async_context(opened(server, "b", dead, times))
            await stack.enter_async_context(listening(server, first, second))
            made = Store(first, second, dead)
            second.on_news = lambda person, what: made.news.append((person, what))
            yield made


async def until(holds: Callable[[], Awaitable[object]], within: float = 5.0) -> None:
    async with asyncio.timeout(limit(within)):
        while not await holds():
            await asyncio.sleep(0.02)


# Claims


async def test_a_person_without_a_record_is_free(store: Store) -> None:
    assert await store.one.states([ANNA, BENT]) == [PersonState(), PersonState()]
    assert await store.one.states([]) == []


async def test_a_claim_keeps_out_other_calls_of_any_process(store: Store) -> None:
    assert await store.verdict(FIRST) is ClaimResult.OK
    assert await store.verdict(SECOND) is ClaimResult.TAKEN
    assert await store.other.claim([ANNA, BENT], SECOND, WINDOW, exclusive=True) == [
        ClaimResult.TAKEN,
        ClaimResult.OK,
    ]
    one, other = await store.one.states([ANNA, BENT])
    assert (one.claimed_by, other.claimed_by) == (FIRST, SECOND)
    assert one.last_offer == pytest.approx(time.time(), abs=limit(10))
    assert (one.calls, one.last_end, one.wrap_until) == ((), 0.0, 0.0)


async def test_the_same_call_may_claim_again(store: Store) -> None:
    assert await store.verdict(FIRST) is ClaimResult.OK
    store.one.take_part(ANNA, FIRST)
    assert await store.verdict(FIRST) is ClaimResult.OK
    assert (await store.state()).claimed_by == FIRST


async def test_a_claim_ends_by_itself(store: Store) -> None:
    assert await store.one.claim([ANNA], FIRST, 0.3, exclusive=True) == [ClaimResult.OK]
    assert await store.verdict(SECOND) is ClaimResult.TAKEN
    await asyncio.sleep(0.4)
    assert (await store.state()).claimed_by == ""
    assert await store.verdict(SECOND) is ClaimResult.OK


async def test_a_claim_of_a_dead_process_is_void(store: Store) -> None:
    assert await store.other.claim([ANNA, BENT], FIRST, WINDOW, exclusive=True) == [ClaimResult.OK] * 2
    assert await store.verdict(SECOND) is ClaimResult.TAKEN
    store.dead.add(Process("b", "g1"))
    assert [state.claimed_by for state in await store.one.states([ANNA, BENT])] == ["", ""]
    assert await store.one.claim([BENT, ANNA], SECOND, WINDOW, exclusive=True) == [ClaimResult.OK] * 2
    assert [state.claimed_by for state in await store.one.states([ANNA, BENT])] == [SECOND] * 2
    assert await store.verdict(THIRD) is ClaimResult.TAKEN


async def test_a_person_with_a_call_is_busy_until_it_ends(store: Store) -> None:
    store.one.take_part(ANNA, FIRST)
    assert await store.verdict(SECOND) is ClaimResult.BUSY
    assert (await store.state()).calls == (FIRST,)
    store.one.take_part(ANNA, THIRD)
    store.one.ended(ANNA, FIRST, talked=False)
    assert await store.verdict(SECOND) is ClaimResult.BUSY
    store.one.ended(ANNA, THIRD, talked=False)
    assert await store.verdict(SECOND) is ClaimResult.OK


async def test_a_refused_claim_changes_nothing(store: Store) -> None:
    store.one.take_part(ANNA, FIRST)
    before = await store.state()
    assert await store.verdict(SECOND) is ClaimResult.BUSY
    assert await store.state() == before


async def test_after_a_talk_there_is_time_to_wrap_up(store: Store) -> None:
    store.one.take_part(ANNA, FIRST)
    store.one.answered(ANNA, FIRST)
    store.one.ended(ANNA, FIRST, talked=True)
    assert await store.verdict(SECOND) is ClaimResult.WRAP
    state = await store.state()
    assert state.last_end == pytest.approx(time.time(), abs=limit(10))
    assert state.wrap_until == pytest.approx(state.last_end + WRAP_UP, abs=0.002)
    assert state.calls == ()
    assert await store.verdict(SECOND, exclusive=False) is ClaimResult.OK

    async def is_over() -> bool:
        return await store.verdict(SECOND) is ClaimResult.OK

    await until(is_over)
    assert time.time() >= state.wrap_until


async def test_a_call_without_talk_leaves_no_end(store: Store) -> None:
    assert await store.verdict(FIRST) is ClaimResult.OK
    store.one.take_part(ANNA, FIRST)
    store.one.ended(ANNA, FIRST, talked=False)
    state = await store.state()
    assert (state.last_end, state.wrap_until, state.calls, state.claimed_by) == (0.0, 0.0, (), "")
    assert await store.verdict(SECOND) is ClaimResult.OK


@pytest.mark.parametrize("exclusive", [True, False])
async def test_do_not_disturb_refuses_each_claim(store: Store, exclusive: bool) -> None:
    await store.one.change(ANNA, "dnd", "1")
    assert await store.verdict(FIRST, exclusive=exclusive) is ClaimResult.DND
    await store.one.change(ANNA, "dnd", "")
    assert await store.verdict(FIRST, exclusive=exclusive) is ClaimResult.OK


async def test_a_claim_that_is_not_exclusive_passes_and_takes_no_claim_away(store: Store) -> None:
    store.one.take_part(ANNA, FIRST)
    assert await store.verdict(SECOND, exclusive=False) is ClaimResult.OK
    assert (await store.state()).claimed_by == SECOND
    assert await store.verdict(THIRD, exclusive=False) is ClaimResult.OK
    assert (await store.state()).claimed_by == SECOND


async def test_of_fifty_claims_at_once_one_is_granted(store: Store) -> None:
    processes = (store.one, store.other)
    answers = await asyncio.gather(
        *[
            processes[number % 2].claim([ANNA], f"{number:032x}", WINDOW, exclusive=True)
            for number in range(50)
        ]
    )
    verdicts = [verdict for (verdict,) in answers]
    assert sorted(verdicts) == [ClaimResult.OK] + [ClaimResult.TAKEN] * 49
    assert (await store.state()).claimed_by == f"{verdicts.index(ClaimResult.OK):032x}"


async def test_an_answer_turns_the_claim_into_a_call(store: Store) -> None:
    assert await store.verdict(FIRST) is ClaimResult.OK
    store.one.answered(ANNA, FIRST)
    state = await store.state()
    assert (state.claimed_by, state.calls) == ("", (FIRST,))
    assert await store.verdict(SECOND) is ClaimResult.BUSY


async def test_an_answer_to_another_call_leaves_the_claim(store: Store) -> None:
    assert await store.verdict(FIRST) is ClaimResult.OK
    store.one.answered(ANNA, SECOND)
    store.one.ended(ANNA, SECOND, talked=False)
    assert (await store.state()).claimed_by == FIRST


async def test_only_the_call_that_claimed_releases(store: Store) -> None:
    await store.watched()
    assert await store.verdict(FIRST) is ClaimResult.OK
    store.one.release(ANNA, SECOND)
    store.other.release(ANNA, SECOND)
    await store.settle()
    assert await store.verdict(SECOND) is ClaimResult.TAKEN
    store.one.release(ANNA, FIRST)
    assert await store.verdict(SECOND) is ClaimResult.OK
    await store.heard((ANNA, "free"))


async def test_the_process_that_ends_a_call_need_not_be_the_one_that_began_it(store: Store) -> None:
    store.one.take_part(ANNA, FIRST)
    await store.settle()
    store.other.ended(ANNA, FIRST, talked=True)
    await store.settle()
    assert (await store.state()).last_end > 0


# Wishes and news


async def test_a_change_returns_the_old_value(store: Store) -> None:
    assert await store.one.change(ANNA, "cfu", "201") == ""
    assert await store.other.change(ANNA, "cfu", "202") == "201"
    assert await store.one.change(ANNA, "cfb", "203") == ""
    assert await store.one.change(ANNA, "cfnr", "204") == ""
    assert await store.one.change(ANNA, "left:q1", "1") == ""
    assert await store.one.change(ANNA, "left:q2", "1") == ""
    assert await store.one.change(ANNA, "left:q1", "") == "1"
    assert await store.state() == PersonState(
        cfu="202", cfb="203", cfnr="204", left=frozenset({"q2"}), claimed_by=""
    )
    assert await store.other.change(ANNA, "cfu", "") == "202"
    assert (await store.state()).cfu == ""
    assert await store.state(BENT) == PersonState()


async def test_the_news_are_told(store: Store) -> None:
    await store.one.change(ANNA, "dnd", "1")
    await store.one.change(ANNA, "dnd", "")
    await store.one.change(ANNA, "cfnr", "201")
    await store.one.change(BENT, "left:q1", "1")
    await store.heard((ANNA, "dnd"), (ANNA, "dnd"), (ANNA, "forward"), (BENT, "queue"))
    store.one.answered(BENT, FIRST)  # not watched: no one is told
    await store.watched()
    store.one.take_part(ANNA, FIRST)
    store.one.answered(ANNA, FIRST)
    store.one.ended(ANNA, FIRST, talked=True)
    store.one.ended(ANNA, FIRST, talked=False)
    store.one.release(ANNA, FIRST)
    await store.heard((ANNA, "answered"), (ANNA, "free"))


@pytest.mark.parametrize("name", ["", "claimCall", "left:", "left", "lastEnd", "out:q1"])
async def test_what_is_no_wish_is_not_changed(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="no wish"):
        await store.one.change(ANNA, name, "1")
    assert await store.state() == PersonState()


async def test_settings_are_known_once_they_were_read(store: Store, times: Time) -> None:
    assert store.one.settings(ANNA) is None
    await store.one.change(ANNA, "cfu", "201")
    await store.heard((ANNA, "forward"))
    store.one.take_part(ANNA, FIRST)
    await store.one.states([ANNA, BENT])
    assert store.one.settings(ANNA) == PersonState(cfu="201"), "not what the person is doing"
    assert store.one.settings(BENT) is NO_WISHES
    assert store.other.settings(BENT) is None
    times.later = 59
    assert store.one.settings(ANNA)
    times.later = 61
    assert store.one.settings(ANNA) is None


async def test_settings_are_read_again_after_a_change_in_any_process(store: Store) -> None:
    await store.other.states([ANNA, BENT])
    await store.one.change(ANNA, "dnd", "1")
    assert store.one.settings(ANNA) is None
    await store.heard((ANNA, "dnd"))
    assert store.other.settings(ANNA) is None
    assert store.other.settings(BENT) is NO_WISHES
    await store.other.states([ANNA], watch=True)
    store.one.answered(ANNA, FIRST)
    store.one.ended(ANNA, FIRST, talked=False)
    await store.heard((ANNA, "answered"), (ANNA, "free"))
    assert store.other.settings(ANNA) == PersonState(dnd=True), "a call changes no wish"


async def test_settings_are_read_again_when_news_may_be_missing(store: Store) -> None:
    await store.one.states([ANNA])
    store.one.missed()
    assert store.one.settings(ANNA) is None


# What people publish


def said(published: Published | None) -> tuple[bool, str] | None:
    return (published.is_open, published.note) if published is not None else None


async def test_a_published_state_is_read_in_any_process(store: Store) -> None:
    assert await store.one.publish(ANNA, Publication("t1", 100, state=Published(False, "Mittag ü")))
    (state,) = await store.other.states([ANNA])
    assert state == PersonState(published=state.published)
    assert state.published is not None and said(state.published) == (False, "Mittag ü")
    assert abs(state.published.until - time.time() - 100) < 5
    assert await store.state(BENT) == PersonState()
    await store.heard((ANNA, "presence"))


async def test_only_the_newest_tag_changes_a_published_state(store: Store) -> None:
    assert not await store.one.publish(ANNA, Publication("t0", 100, match="t1"))
    assert await store.state() == PersonState()
    assert await store.one.publish(ANNA, Publication("t1", 100, state=Published(True, "one")))
    assert not await store.one.publish(BENT, Publication("t2", 100, match="t1"))
    assert await store.other.publish(ANNA, Publication("t2", 100, match="t1", state=Published(False)))
    assert not await store.one.publish(ANNA, Publication("t3", 100, match="t1", state=Published(True, "old")))
    assert said((await store.state()).published) == (False, "")
    assert await store.one.publish(ANNA, Publication("t4", 100, state=Published(True, "new")))
    assert not await store.one.publish(ANNA, Publication("t5", 0, match="t2"))
    assert said((await store.state()).published) == (True, "new")
    assert await store.one.publish(ANNA, Publication("t6", 0, match="t4"))
    assert await store.state() == PersonState()
    assert not await store.one.publish(ANNA, Publication("t7", 100, match="t6"))
    await store.heard(*[(ANNA, "presence")] * 4)


async def test_a_refresh_moves_the_end_and_tells_no_one(store: Store) -> None:
    assert await store.one.publish(ANNA, Publication("t1", 100, state=Published(True, "one")))
    assert await store.one.publish(ANNA, Publication("t2", 1000, match="t1"))
    assert await store.one.publish(ANNA, Publication("t3", 1000, match="t2", state=Published(True, "one")))
    published = (await store.state()).published
    assert said(published) == (True, "one")
    assert published is not None and published.until > time.time() + 900
    await store.heard((ANNA, "presence"))


@pytest.mark.timed
async def test_a_published_state_ends(store: Store) -> None:
    assert await store.one.publish(ANNA, Publication("t1", 1, state=Published(True, "one")))

    async def has_ended() -> bool:
        return (await store.state()).published is None

    await until(has_ended)
    assert not await store.one.publish(ANNA, Publication("t2", 100, match="t1"))
    assert await store.one.publish(ANNA, Publication("t2", 100, state=Published(True, "one")))
    assert said((await store.state()).published) == (True, "one")
    await store.heard((ANNA, "presence"), (ANNA, "presence"))


async def test_a_published_state_is_no_wish(store: Store) -> None:
    await store.one.change(ANNA, "cfu", "201")
    await store.one.publish(ANNA, Publication("t1", 100, state=Published(True, "one")))
    await store.heard((ANNA, "forward"), (ANNA, "presence"))
    await store.other.states([ANNA])
    await store.one.publish(ANNA, Publication("t2", 0))
    await store.heard((ANNA, "presence"))
    assert store.other.settings(ANNA) == PersonState(cfu="201"), "it is not read again"


# Memory alone


async def test_memory_that_is_away_fails_as_a_server_does(times: Time) -> None:
    people = MemoryPeople(times.wall)
    people.take_part(ANNA, FIRST)
    people.away = True
    people.take_part(ANNA, SECOND)
    people.answered(ANNA, SECOND)
    people.ended(ANNA, FIRST, talked=True)
    people.release(ANNA, FIRST)
    for asked in (
        people.states([ANNA]),
        people.claim([ANNA], FIRST, WINDOW, exclusive=True),
        people.change(ANNA, "dnd", "1"),
    ):
        with pytest.raises(StoreUnavailable):
            await asked
    people.away = False
    assert await people.states([ANNA]) == [PersonState(calls=(FIRST,))]
    assert people.news == []


async def test_memory_forgets_a_call_that_is_not_renewed(times: Time) -> None:
    people = MemoryPeople(times.wall)
    people.take_part(ANNA, FIRST)
    times.later = keys.CALL_SECONDS - 1
    assert await people.claim([ANNA], SECOND, WINDOW, exclusive=True) == [ClaimResult.BUSY]
    times.later = keys.CALL_SECONDS + 1
    assert await people.states([ANNA]) == [PersonState()]


# Redis alone


async def test_the_keys_of_a_person_are_in_one_slot_and_few(server: Server) -> None:
    assert key_slot(keys.person(ANNA).encode()) == key_slot(keys.line(ANNA).encode())
    async with client(server) as redis, opened(server, "a") as (people, _):
        await people.claim([ANNA], FIRST, WINDOW, exclusive=True)
        people.answered(ANNA, FIRST)
        await people.change(ANNA, "left:q1", "1")
        await people.claim([ANNA], SECOND, WINDOW, exclusive=False)
        await people.states([ANNA])
        assert set(await redis.keys("registrar:[pl]*")) == {keys.person(ANNA), keys.line(ANNA)}
        assert 0 < await redis.ttl(keys.line(ANNA)) <= keys.CALL_SECONDS
        assert await redis.ttl(keys.person(ANNA)) == -1, "a wish has no end"
        known = await redis.hgetall(keys.person(ANNA))
        assert set(known) == {
            *("lastOffer", "lastAnswer", "out:q1"),
            *("claimCall", "claimNode", "claimGeneration", "claimUntil"),
        }
        assert (known["claimCall"], known["claimNode"], known["claimGeneration"]) == (SECOND, "a", "g1")
        assert float(known["claimUntil"]) == pytest.approx(float(known["lastOffer"]) + WINDOW, abs=0.002)
        people.ended(ANNA, SECOND, talked=False)
        people.ended(ANNA, FIRST, talked=True)
        await people.states([ANNA])
        assert set(await redis.hgetall(keys.person(ANNA))) == {
            *("lastOffer", "lastAnswer", "lastEnd", "wrapUntil", "out:q1"),
        }
        assert not await redis.exists(keys.line(ANNA))


async def test_a_call_that_is_not_renewed_is_forgotten(server: Server) -> None:
    async with client(server) as redis, opened(server, "a") as (people, _):
        await redis.zadd(keys.line(ANNA), {FIRST: time.time() - 1, SECOND: time.time() + 60})
        assert await people.states([ANNA]) == [PersonState(calls=(SECOND,))]
        people.ended(ANNA, SECOND, talked=False)
        assert await people.claim([ANNA], THIRD, WINDOW, exclusive=True) == [ClaimResult.OK]
        people.take_part(ANNA, THIRD)
        await people.states([ANNA])
        assert await redis.zrange(keys.line(ANNA), 0, -1) == [THIRD]
        assert await redis.zscore(keys.line(ANNA), THIRD) == pytest.approx(time.time() + 90, abs=limit(10))


async def test_states_of_many_are_one_pipeline(server: Server) -> None:
    everybody = [f"{number:024x}" for number in range(300)]
    async with opened(server, "a") as (people, wire):
        assert await people.claim(everybody, FIRST, WINDOW, exclusive=True) == [ClaimResult.OK] * 300
        found = await people.states(everybody)
        assert {state.claimed_by for state in found} == {FIRST}
        assert wire.errors == 0


async def test_a_spoiled_field_disturbs_no_call(server: Server) -> None:
    async with client(server) as redis, opened(server, "a") as (people, _):
        key = keys.person(ANNA)
        await redis.hset(key, mapping={"claimCall": FIRST, "claimUntil": "soon", "wrapUntil": "never"})
        await redis.hset(key, "lastEnd", b"\xff")
        await redis.hset(key, "cfu", "201")
        assert await people.states([ANNA]) == [PersonState(cfu="201")]
        assert await people.claim([ANNA], SECOND, WINDOW, exclusive=True) == [ClaimResult.OK]


async def test_scripts_that_redis_has_forgotten_are_loaded_again(server: Server) -> None:
    async with client(server) as redis, opened(server, "a") as (people, _):
        for asked in (
            lambda: people.claim([ANNA, BENT], FIRST, WINDOW, exclusive=True),
            lambda: people.states([ANNA, BENT]),
            lambda: people.change(ANNA, "cfu", "201"),
        ):
            await redis.script_flush()
            await asked()
        people.take_part(BENT, FIRST)
        anna, bent = await people.states([ANNA, BENT])
        assert (anna.claimed_by, anna.cfu, bent.calls) == (FIRST, "201", (FIRST,))


async def test_while_redis_is_away_a_read_fails_and_a_note_is_dropped(server: Server) -> None:
    async with opened(server, "a") as (people, wire):
        people.take_part(ANNA, FIRST)
        await people.states([ANNA])
        with frozen(server.pid):
            begin = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await people.claim([ANNA, BENT], SECOND, WINDOW, exclusive=True)
            assert time.monotonic() - begin < limit(1)
            assert not wire.up
            for asked in (people.states([ANNA]), people.change(ANNA, "dnd", "1")):
                with pytest.raises(StoreUnavailable):
                    await asked
            people.take_part(ANNA, SECOND)
            people.answered(ANNA, SECOND)
            people.ended(ANNA, FIRST, talked=True)
            people.release(ANNA, SECOND)

        async def is_back() -> bool:
            return wire.up

        await until(is_back, 10)
        (state,) = await people.states([ANNA])
        assert (state.calls, state.last_end) == ((FIRST,), 0.0)


# The news as text


def test_news_are_read_as_they_are_written() -> None:
    news = PersonNews(ANNA, "free")
    assert str(news) == f'{{"person":"{ANNA}","what":"free"}}'
    assert parse_news(str(news)) == news


@pytest.mark.parametrize("data", ["", "free", "[]", "3", "null", '{"person":"a"}', '{"what":"free"}'])
def test_a_message_that_cannot_be_read_is_no_news(data: str) -> None:
    assert parse_news(data) is None


WISHES: tuple[tuple[str, str], ...] = (
    ("dnd", "1"),
    ("dnd", "1"),
    ("cfu", "201"),
    ("left:q1", "1"),
    ("dnd", ""),
    ("left:q1", ""),
    ("cfu", ""),
)
"""What is set, in order; the second makes no event."""
EVENTS = [
    ("dnd", "on", "", "", ""),
    ("forwarded", "cfu", "201", "", ""),
    ("queue-logged-out", "", "", "queue:q1", "300"),
    ("dnd", "off", "", "", ""),
    ("queue-logged-in", "", "", "queue:q1", "300"),
    ("forwarded", "cfu", "", "", ""),
]


def told(events: Sequence[Mapping[str, str]]) -> list[tuple[str, ...]]:
    assert all(event["person"] == ANNA and int(event["time"]) > 1_700_000_000 for event in events)
    assert all(event["customer"] == "acme" for event in events)
    return [tuple(event[name] for name in ("event", "reason", "callee", "place", "via")) for event in events]


async def wish(people: MemoryPeople | RedisPeople, name: str, value: str) -> None:
    await people.change(ANNA, name, value, customer="acme", via="300" if name.startswith("left:") else "")


async def test_a_wish_that_is_new_is_an_event_in_memory(times: Time) -> None:
    people = MemoryPeople(times.wall)
    for name, value in WISHES:
        await wish(people, name, value)
    assert told(people.events) == EVENTS


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wish_that_is_new_is_an_event(kind: str) -> None:
    with running(kind) as server:
        async with opened(server, "a") as (people, _), client(server) as redis:
            for name, value in WISHES:
                await wish(people, name, value)
            await people.states([ANNA])
            rows = [fields or {} for _, fields in await redis.xrange(keys.EVENTS) or []]
            events = [{str(name): str(text) for name, text in fields.items()} for fields in rows]
            assert told(events) == EVENTS
            assert not await redis.hexists(keys.person(ANNA), "dndSince")
            await people.change(ANNA, "dnd", "1")
            since = float(await redis.hget(keys.person(ANNA), "dndSince") or 0)
            assert abs(time.time() - since) < limit(5)
