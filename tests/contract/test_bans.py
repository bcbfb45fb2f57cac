"""Bans in Redis, and how a process follows them: also if news are lost, and if Redis has lost them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from registrar.model import Epoch
from registrar.rules.bans import ENDLESS, Ban, Barred, Kind, Why, automatic, dump
from registrar.rules.guesses import PER_ACCOUNT, Guesser
from registrar.store import bans_redis, keys
from registrar.store.ban_keeper import BanKeeper
from registrar.store.bans_redis import RedisBans
from registrar.store.guesses_redis import RedisGuesses
from registrar.store.limits_redis import RedisSourcePhones, publish_spent, read_spent
from registrar.store.script_runner import ClientRunner
from tests.contract.servers import Server, client
from tests.patience import limit

HOME = "203.0.113.9"


class Hands:
    """The wall clock."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> Epoch:
        return Epoch(self.now)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    async with client(server) as made:
        yield made


@pytest.fixture
def bans(redis: Redis, clock: Hands) -> RedisBans:
    return RedisBans(ClientRunner(redis), clock)


def by_hand(clock: Hands, number: int = 0, seconds: int = 60) -> Ban:
    until = int(clock.now) + seconds if seconds else ENDLESS
    return Ban(f"{number:024x}", Kind.BAN, HOME, "", "", "scans us", "ADMIN", int(clock.now), until)


class Follower:
    """A process that follows the bans."""

    def __init__(self, bans: RedisBans, clock: Hands) -> None:
        self.barred = Barred()
        self.begun: list[Ban] = []
        self.lifted: list[Ban] = []
        self.keeper = BanKeeper(bans, clock, self.barred, self._changed)

    def _changed(self, begun: Sequence[Ban], lifted: Sequence[Ban]) -> None:
        self.begun += begun
        self.lifted += lifted


@asynccontextmanager
async def following(bans: RedisBans, clock: Hands) -> AsyncIterator[Follower]:
    follower = Follower(bans, clock)
    task = asyncio.create_task(follower.keeper.run())
    yield follower
    task.cancel()


async def until(check: object) -> None:
    async with asyncio.timeout(limit(10.0)):
        while not check():  # type: ignore[operator]  # a lambda
            await asyncio.sleep(0.01)


async def test_a_ban_is_there_until_it_ends_or_is_lifted(bans: RedisBans, clock: Hands, redis: Redis) -> None:
    one, endless = by_hand(clock), by_hand(clock, 1, 0)
    assert await bans.version() == 0
    assert await bans.put(one) and await bans.put(endless)
    assert await bans.version() == 2
    assert set((await bans.all()).bans) == {one, endless}
    clock.now += 61
    assert (await bans.all()).bans == (endless,)
    assert await bans.lift(endless, "ADMIN")
    assert not await bans.lift(endless, "ADMIN")
    assert (await bans.all()).bans == ()
    rows: Any = await redis.xrange(keys.EVENTS)
    told = [fields for _, fields in rows]
    assert [fields["event"] for fields in told] == ["banned", "banned", "unbanned"]
    assert (told[0]["ip"], told[0]["reason"], told[0]["ban"]) == (HOME, "scans us", one.id)


async def test_what_has_ended_leaves_the_hash_and_a_full_one_takes_only_those_of_people(
    bans: RedisBans, clock: Hands, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bans_redis, "MAX_BANS", 3)
    made = [
        automatic(Kind.BAN, f"10.0.0.{number}", Why.GUESSING, clock(), Epoch(clock.now + 60))
        for number in range(4)
    ]
    assert [await bans.put(ban) for ban in made] == [True, True, True, False]
    assert await bans.put(replace(made[0], until=made[0].until + 60)), "a ban that is there may be prolonged"
    assert await bans.put(by_hand(clock, 9)), "people still have room"
    clock.now += 61
    assert await bans.put(made[3])
    assert await redis.hlen(keys.BANS) == 1 + 2
    assert await redis.zcard(keys.BAN_ENDS) == 2


async def test_lifting_a_hold_gives_a_new_budget(bans: RedisBans, clock: Hands, redis: Redis) -> None:
    guesses = RedisGuesses(ClientRunner(redis), clock, "sip", "here")
    who = Guesser(HOME, "ab" * 9)
    for _ in range(PER_ACCOUNT):
        await guesses.take(who)
    held = await guesses.take(who)
    assert held.is_held(clock())
    hold = automatic(
        Kind.HOLD, HOME, Why.WRONG_PASSWORDS, clock(), held.account_held_until, phone="p", mark=who.mark
    )
    await bans.put(hold)
    assert await bans.lift(hold, "OWNER")
    assert (await guesses.take(who)).entry


async def test_a_process_follows_also_without_any_news(bans: RedisBans, clock: Hands) -> None:
    async with following(bans, clock) as one:
        ban = by_hand(clock)
        await bans.put(ban)
        await until(lambda: one.barred.has_address(HOME, clock()))
        assert one.keeper.counts() == {("ban",): 1.0, ("hold",): 0.0}
        await bans.lift(ban, "ADMIN")
        await until(lambda: not one.barred.any_address)
        assert (one.begun, one.lifted) == ([ban], [ban])


async def test_a_ban_that_ends_by_itself_was_not_lifted(bans: RedisBans, clock: Hands) -> None:
    async with following(bans, clock) as one:
        await bans.put(by_hand(clock))
        await until(lambda: one.begun)
        clock.now += 61
        await bans.put(by_hand(clock, 1, 600))
        await until(lambda: len(one.begun) == 2)
        assert one.lifted == []


async def test_what_redis_lost_is_written_again_once(bans: RedisBans, clock: Hands, redis: Redis) -> None:
    ban, other = by_hand(clock), by_hand(clock, 1, 0)
    await bans.put(ban)
    await bans.put(other)
    async with following(bans, clock) as one, following(bans, clock) as two:
        await until(lambda: len(one.begun) == len(two.begun) == 2)
        await redis.flushall()
        await until_async(redis)
        assert set((await bans.all()).bans) == {ban, other}
        assert (await bans.all()).version == 3
        await bans.lift(ban, "ADMIN")
        await until(lambda: one.lifted == two.lifted == [ban])
        assert (await bans.all()).bans == (other,), "no process writes a lifted ban again"


@pytest.mark.parametrize("maker", ["this process", "another one"])
async def test_a_ban_that_is_made_after_a_loss_does_not_hide_it(
    bans: RedisBans, clock: Hands, redis: Redis, maker: str
) -> None:
    kept = [by_hand(clock, number, 0) for number in range(3)]
    for ban in kept:
        await bans.put(ban)
    new = automatic(Kind.BAN, "203.0.113.10", Why.GUESSING, clock(), Epoch(clock.now + 60))
    async with following(bans, clock) as one, following(bans, clock) as two:
        await until(lambda: len(one.begun) == len(two.begun) == 3)
        if maker == "this process":
            await redis.flushall()
            one.keeper.begin(new)
        else:
            async with redis.pipeline(transaction=True) as both:
                both.flushall()
                both.hset(keys.BANS, mapping={"version": 1, new.id: dump(new)})
                await both.execute()
        await until(lambda: new in one.begun and new in two.begun)
        assert one.lifted == two.lifted == []
        assert set((await bans.all()).bans) == {*kept, new}


async def until_async(redis: Redis) -> None:
    async with asyncio.timeout(limit(10.0)):
        while not await redis.hexists(keys.BANS, bans_redis.VERSION):
            await asyncio.sleep(0.01)


async def test_automatic_bans_of_two_processes_are_one(bans: RedisBans, clock: Hands) -> None:
    async with following(bans, clock) as one, following(bans, clock) as two:
        for follower in (one, two):
            follower.keeper.begin(automatic(Kind.BAN, HOME, Why.GUESSING, clock(), Epoch(clock.now + 900)))
        await until(lambda: one.barred.has_address(HOME, clock()) and two.barred.has_address(HOME, clock()))
        assert len((await bans.all()).bans) == 1


async def test_the_log_tells_of_automatic_bans_once_a_minute(
    bans: RedisBans, clock: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        return [one.getMessage() for one in caplog.records if "by itself" in one.getMessage()]

    def begin(follower: Follower, *numbers: int) -> None:
        for number in numbers:
            until = Epoch(clock.now + 900)
            follower.keeper.begin(automatic(Kind.BAN, f"192.0.2.{number}", Why.GUESSING, clock(), until))

    async with following(bans, clock) as one:
        begin(one, 1, 2, 3)
        await until(lambda: len(one.begun) == 3)
        assert told() == ["shut out or held by itself: 192.0.2.1 (guessing), and 2 more; see registrar bans"]
        begin(one, 4, 5)
        await until(lambda: len(one.begun) == 5)
        begin(one, 4)
        assert len(told()) == 1, "an attack begins many"
        clock.now += 61
        await until(lambda: len(told()) == 2)
        assert told()[1].startswith("shut out or held by itself: 192.0.2.4 (guessing), and 1 more")


async def test_the_phones_behind_a_source_are_its_good_accounts(redis: Redis, clock: Hands) -> None:
    runner = ClientRunner(redis)
    guesses, phones = RedisGuesses(runner, clock, "sip", "here"), RedisSourcePhones(runner, clock, 64)
    assert await phones.phones(HOME) == 0
    for number in range(5):
        await redis.zadd(keys.good("sip", HOME), {f"{number}": clock.now})
    await redis.zadd(keys.good("sip", HOME), {"old": clock.now - 31 * 86_400})
    await redis.zadd(keys.good("sip", "2001:db8::/64"), {"one": clock.now})
    assert await phones.phones(HOME) == 5
    assert await phones.phones("2001:db8::abcd") == 1
    assert await guesses.is_good(Guesser(HOME, "1"))
    assert not await guesses.is_good(Guesser(HOME, "old"))
    assert not await guesses.is_good(Guesser(HOME, "9"))


async def test_a_report_reaches_the_others_and_is_not_heard_by_its_sender(redis: Redis) -> None:
    async with redis.pubsub() as channel:
        await channel.subscribe(keys.LIMITS)
        publish_spent(ClientRunner(redis), "g1", {HOME: 7})
        async with asyncio.timeout(limit(10.0)):
            while (message := await channel.get_message(timeout=1.0)) is None or message["type"] != "message":
                pass
    assert read_spent(message["data"], "g2") == {HOME: 7}
    assert read_spent(message["data"], "g1") == {}
    for text in ("", "[]", "[1, 2]", '["g1", {"a": "x"}]', "nonsense"):
        assert read_spent(text, "g2") == {}
