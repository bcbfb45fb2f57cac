"""The contract of ports.Guesses: the budget in memory and in Redis are one and the same."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio.client import PubSub

from registrar.errors import StoreUnavailable
from registrar.model import Epoch
from registrar.ports import Guesses
from registrar.rules.guesses import (
    FREE,
    GOOD_SECONDS,
    HOLD_SECONDS,
    MAX_GOOD,
    PER_ACCOUNT,
    PER_SOURCE,
    WINDOW_SECONDS,
    Guesser,
)
from registrar.store.guesses_memory import MemoryGuesses
from registrar.store.guesses_redis import RedisGuesses, read_hold
from registrar.store.location_redis import RedisLocation
from registrar.store.script_runner import ClientRunner, Runner, WireRunner
from tests.contract.conftest import KINDS
from tests.contract.servers import Server, client, running

SOURCE = "198.51.100.7"


class Hands:
    """The wall clock."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> Epoch:
        return Epoch(self.now)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture(params=["wire", "redis-py"])
async def runner(request: pytest.FixtureRequest, server: Server, clock: Hands) -> AsyncIterator[Runner]:
    """Both ways to a server."""
    if request.param == "redis-py":
        async with client(server) as redis:
            yield ClientRunner(redis)
        return
    location = RedisLocation(server.url, clock)
    running = asyncio.create_task(location.wire.run())
    await location.wire.opened.wait()
    yield WireRunner(location.wire)
    await location.wire.drain()
    running.cancel()
    location.wire.close()


@pytest.fixture(params=[pytest.param("memory", id="memory"), *KINDS])
async def budget(request: pytest.FixtureRequest, clock: Hands) -> AsyncIterator[Guesses]:
    if request.param == "memory":
        yield MemoryGuesses(clock)
        return
    with running(request.param) as server:
        async with client(server) as redis:
            yield RedisGuesses(ClientRunner(redis), clock, "sip", "here")


def who(account: int = 0, source: str = SOURCE) -> Guesser:
    return Guesser(source, f"{account:018x}")


async def settle(budget: Guesses, source: str = SOURCE) -> None:
    """Until what nobody waited for is done."""
    for _ in range(3):
        await asyncio.sleep(0.02)
        await budget.goods(source)


async def test_ten_for_an_account_then_a_hold(budget: Guesses, clock: Hands) -> None:
    for _ in range(PER_ACCOUNT):
        clock.now += 1
        assert (await budget.take(who())).entry
    held = await budget.take(who())
    assert held.account_held_until == pytest.approx(clock.now + HOLD_SECONDS, abs=0.01)
    assert (held.source_held_until, held.entry) == (FREE, "")
    assert (await budget.take(who(1))).entry and (await budget.take(who(0, "203.0.113.9"))).entry
    clock.now += HOLD_SECONDS + 1
    assert (await budget.take(who())).entry, "one more after the hold"
    assert (await budget.take(who())).is_held(clock())
    clock.now += WINDOW_SECONDS
    assert (await budget.take(who())).entry and (await budget.take(who())).entry


async def test_sixty_for_a_source_then_a_hold_but_for_good_accounts(budget: Guesses, clock: Hands) -> None:
    budget.good(who(500))
    await settle(budget)
    for account in range(PER_SOURCE):
        assert (await budget.take(who(account))).entry
    held = await budget.take(who(900))
    assert held.source_held_until == pytest.approx(clock.now + HOLD_SECONDS, abs=0.01)
    assert not held.account_held_until and not held.entry
    for _ in range(PER_ACCOUNT):
        assert (await budget.take(who(500))).entry
    assert (await budget.take(who(500))).account_held_until


async def test_a_good_account_opens_no_full_source(budget: Guesses, clock: Hands) -> None:
    """What it takes and gives back displaces no wrong password of others."""
    budget.good(who(500))
    await settle(budget)
    for account in range(PER_SOURCE):
        assert (await budget.take(who(account))).entry
    for _ in range(5):
        taken = await budget.take(who(500))
        assert taken.entry and taken.good
        budget.give_back(who(500), taken)
        await settle(budget)
    assert (await budget.take(who(900))).source_held_until > clock.now


async def test_what_was_right_is_given_back(budget: Guesses, clock: Hands) -> None:
    for _ in range(PER_ACCOUNT * 3):
        taken = await budget.take(who())
        assert taken.entry
        budget.give_back(who(), taken)
        await settle(budget)


async def test_who_is_good_and_for_how_long(budget: Guesses, clock: Hands) -> None:
    budget.good(who(1))
    clock.now += GOOD_SECONDS - 10
    budget.good(who(2))
    budget.good(who(3, "203.0.113.9"))
    await settle(budget)
    assert await budget.goods(SOURCE) == {who(1).mark, who(2).mark}
    clock.now += 20
    assert await budget.goods(SOURCE) == {who(2).mark}


async def test_memory_that_is_away_fails_as_a_server_does(clock: Hands) -> None:
    budget = MemoryGuesses(clock)
    budget.away = True
    with pytest.raises(StoreUnavailable):
        await budget.take(who())
    with pytest.raises(StoreUnavailable):
        await budget.goods(SOURCE)
    budget.good(who())
    budget.away = False
    assert not await budget.goods(SOURCE)


# Redis alone


async def test_two_processes_share_one_budget_however_fast_they_are(
    runner: Runner, server: Server, clock: Hands
) -> None:
    nodes = [RedisGuesses(runner, clock, "sip", name) for name in ("a", "b")]
    taken = await asyncio.gather(*[nodes[number % 2].take(who(number)) for number in range(200)])
    assert sum(bool(one.entry) for one in taken) == PER_SOURCE
    assert len({one.entry for one in taken if one.entry}) == PER_SOURCE


async def test_phones_and_people_have_budgets_of_their_own(runner: Runner, clock: Hands) -> None:
    sip, api = (RedisGuesses(runner, clock, kind, "a") for kind in ("sip", "api"))
    for _ in range(PER_ACCOUNT):
        await sip.take(who())
    assert (await sip.take(who())).is_held(clock()) and (await api.take(who())).entry


async def test_the_keys_are_few_bounded_and_end_by_themselves(
    runner: Runner, server: Server, clock: Hands
) -> None:
    budget = RedisGuesses(runner, clock, "sip", "a")
    for account in range(PER_SOURCE):
        await budget.take(who(account % 3 if account < 20 else account))
    budget.good(who(1))
    await settle(budget)
    async with client(server) as redis:
        keys = [str(key) for key in await redis.keys("*")]
        assert {key.partition("{")[0] for key in keys} == {"registrar:wrong:sip:", "registrar:good:sip:"}
        log = "registrar:wrong:sip:{" + SOURCE + "}"
        assert await redis.zcard(log) <= 10 * PER_SOURCE
        assert 0 < await redis.ttl(log) <= WINDOW_SECONDS
        assert 0 < await redis.ttl(log + ":" + who(1).mark) <= WINDOW_SECONDS
        assert 0 < await redis.ttl("registrar:good:sip:{" + SOURCE + "}") <= GOOD_SECONDS


async def test_the_good_accounts_of_a_source_have_an_end(
    runner: Runner, server: Server, clock: Hands
) -> None:
    budget = RedisGuesses(runner, clock, "sip", "a")
    async with client(server) as redis:
        many = {who(number).mark: clock.now - 100 + number / 1e6 for number in range(MAX_GOOD)}
        await redis.zadd("registrar:good:sip:{" + SOURCE + "}", many)
    budget.good(who(MAX_GOOD))
    await settle(budget)
    good = await budget.goods(SOURCE)
    assert len(good) == MAX_GOOD and who(0).mark not in good and who(MAX_GOOD).mark in good


async def test_a_hold_is_told_to_the_others(runner: Runner, server: Server, clock: Hands) -> None:
    budget = RedisGuesses(runner, clock, "sip", "a")
    async with client(server) as redis, redis.pubsub() as heard:
        await heard.subscribe("registrar:guesses")
        for _ in range(PER_ACCOUNT):
            await budget.take(who())
        message = None
        while message is None or message["type"] != "message":
            message = await heard.get_message(timeout=30)
    hold = read_hold(message["data"])
    assert hold is not None
    kind, about, until = hold
    assert (kind, about) == ("sip", who())
    assert until == pytest.approx(clock.now + HOLD_SECONDS, abs=0.01)


@pytest.mark.parametrize("limit", [PER_ACCOUNT, PER_SOURCE], ids=["account", "source"])
@pytest.mark.parametrize("spent", [0, 1], ids=["one is left", "the hold is over"])
async def test_a_right_password_that_filled_a_log_leaves_no_hold_behind(
    runner: Runner, server: Server, clock: Hands, limit: int, spent: int
) -> None:
    """Everybody has heard of a hold when it was counted: they hear that there is none."""
    budget = RedisGuesses(runner, clock, "sip", "a")
    about = who() if limit == PER_ACCOUNT else SOURCE
    for number in range(limit - 1 + spent):
        assert (await budget.take(who(0 if limit == PER_ACCOUNT else 1 + number))).entry
    first = clock.now
    clock.now += HOLD_SECONDS + 1
    async with client(server) as redis, redis.pubsub() as heard:
        await heard.subscribe("registrar:guesses")
        taken = await budget.take(who())
        assert taken.entry
        budget.give_back(who(), taken)
        told = [await _next_hold(heard), await _next_hold(heard)]
    assert [key for key, _ in told] == [about, about]
    assert told[0][1] == pytest.approx(clock.now + HOLD_SECONDS, abs=0.01)
    assert told[1][1] == pytest.approx(first + HOLD_SECONDS if spent else FREE, abs=0.01)
    assert told[1][1] < clock.now


async def _next_hold(heard: PubSub) -> tuple[str | Guesser, float]:
    while True:
        message = await heard.get_message(timeout=30)
        hold = read_hold(message["data"]) if message and message["type"] == "message" else None
        if hold is not None:
            return hold[1:]


@pytest.mark.parametrize("text", ["", "sip", "sip source never", "a b c d 7"])
def test_what_is_no_hold_is_not_believed(text: str) -> None:
    assert read_hold(text) is None


async def test_scripts_that_redis_has_forgotten_are_told_again(
    runner: Runner, server: Server, clock: Hands
) -> None:
    budget = RedisGuesses(runner, clock, "sip", "a")
    async with client(server) as redis:
        await redis.script_flush()
    assert (await budget.take(who())).entry
