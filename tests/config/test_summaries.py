"""The numbers that requests share: how often they are read, and what that costs Redis."""

import asyncio
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from config.clock import epoch_now
from config.registrations import Registrations, Summary
from config.summaries import CUSTOMERS_A_SECOND, KEPT_SECONDS, Numbers, Sight, Summaries
from registrar.errors import StoreUnavailable
from registrar.model import Mono
from tests.config.test_registrations import commands

ACME: Sight = ("one", "a" * 24)
ALL: Sight = ("all", None)
COMMANDS_OF_ONE = 3
"""Commands of Redis for the numbers of one customer."""


@dataclass
class Play:
    """Summaries with a clock that is turned by hand; each reading has the next number."""

    now: float = 1_000.0
    read: list[Sight] = field(default_factory=list)
    away: bool = False

    def __post_init__(self) -> None:
        self.summaries = Summaries(lambda: Mono(self.now))

    async def ask(self, sight: Sight = ACME, customers: int = 1) -> int:
        """The number of the reading that is the answer."""

        async def read() -> Numbers:
            self.read.append(sight)
            number = len(self.read)
            await asyncio.sleep(0)
            if self.away:
                raise StoreUnavailable("Redis is away")
            return Numbers(number, Summary(), customers)

        return (await self.summaries.of(sight, read)).total


async def test_the_numbers_of_a_customer_are_kept_for_a_second() -> None:
    play = Play()
    assert [await play.ask() for _ in range(5)] == [1] * 5
    play.now += KEPT_SECONDS - 0.01
    assert await play.ask() == 1
    play.now += 0.01
    assert await play.ask() == 2


async def test_requests_at_the_same_time_wait_for_one_reading() -> None:
    play = Play()
    assert await asyncio.gather(*(play.ask() for _ in range(50))) == [1] * 50
    assert await play.ask(ALL) == 2


async def test_a_request_that_is_gone_does_not_end_the_reading_of_others() -> None:
    play = Play()
    first = asyncio.create_task(play.ask())
    await asyncio.sleep(0)
    second = asyncio.create_task(play.ask())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1


async def test_what_could_not_be_read_is_not_kept() -> None:
    play = Play(away=True)
    failed = await asyncio.gather(play.ask(), play.ask(), return_exceptions=True)
    assert [type(error) for error in failed] == [StoreUnavailable] * 2
    play.away = False
    assert await play.ask() == 2


@pytest.mark.parametrize(("customers", "seconds"), [(1, 1.0), (500, 1.0), (2_000, 4.0), (20_000, 40.0)])
async def test_the_numbers_of_many_customers_are_kept_for_longer(customers: int, seconds: float) -> None:
    play = Play()
    await play.ask(ALL, customers)
    play.now += seconds - 0.01
    assert await play.ask(ALL, customers) == 1
    play.now += 0.01
    assert await play.ask(ALL, customers) == 2


async def test_many_sets_share_the_limit_and_are_forgotten() -> None:
    """The boards of 50 resellers with 100 customers each ask each second for a minute."""
    play = Play()
    for _ in range(60):
        for number in range(50):
            await play.ask(("below", str(number)), 100)
        play.now += 1
    first, later = 50, len(play.read) - 50
    assert later * 100 <= CUSTOMERS_A_SECOND * 60
    assert later * 100 >= CUSTOMERS_A_SECOND * 60 / 2, "the numbers go on"
    assert len(set(play.read)) == first
    play.now += 60
    await play.ask()
    assert (set(play.summaries._kept), play.summaries._load) == ({ACME}, 1)


@pytest.mark.parametrize("boards", [1, 50])
async def test_boards_of_an_operator_with_2000_customers_cost_what_one_costs(
    redis: Redis, boards: int
) -> None:
    """They ask each second, for 20 seconds; counted are the commands that Redis executes."""
    now = 1_000.0
    summaries = Summaries(lambda: Mono(now))
    registrations = Registrations(redis, epoch_now)
    customers = [f"{number:024x}" for number in range(2_000)]

    async def read() -> Numbers:
        return Numbers(0, await registrations.summary(customers), len(customers))

    before = await commands(redis)
    for _ in range(20):
        await asyncio.gather(*(summaries.of(ALL, read) for _ in range(boards)))
        now += 1
    spent = await commands(redis) - before
    assert spent == 20 * CUSTOMERS_A_SECOND * COMMANDS_OF_ONE + 5, "five readings, each with one EXISTS"
