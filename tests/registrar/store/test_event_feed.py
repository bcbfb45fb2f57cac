"""registrar/store/event_feed.py: the stream of all events is read only while somebody wants it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from registrar.store import keys
from registrar.store.event_feed import EventFeed, read_person
from registrar.store.redis_client import connect
from tests.contract.servers import Server, client, running
from tests.patience import limit


class Ears:
    """What was told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.wanted = asyncio.Event()

    async def heard(self, entries: Sequence[Mapping[str, str]]) -> None:
        self.told += [entry["event"] for entry in entries]

    async def missed(self) -> None:
        self.told.append("missed")

    async def until(self, *ends: str) -> None:
        async with asyncio.timeout(limit(5)):
            while tuple(self.told[-len(ends) :]) != ends:
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def following() -> AsyncIterator[tuple[Server, Ears]]:
    with running("valkey") as server:
        ears = Ears()
        redis = connect(server.url)
        feed = EventFeed(redis, ears.wanted, heard=ears.heard, missed=ears.missed)
        task = asyncio.create_task(feed.run())
        try:
            yield server, ears
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await redis.aclose()


async def write(server: Server, *names: str) -> None:
    redis = client(server)
    try:
        for name in names:
            await redis.xadd(keys.EVENTS, {"event": name})
    finally:
        await redis.aclose()


async def commands(server: Server) -> int:
    redis = client(server)
    try:
        found = await redis.info("stats")
        return int(found["total_commands_processed"])
    finally:
        await redis.aclose()


@pytest.mark.wire
async def test_entries_come_in_their_order_while_they_are_wanted() -> None:
    async with following() as (server, ears):
        await write(server, "before")
        await asyncio.sleep(0.05)
        assert ears.told == []
        ears.wanted.set()
        await ears.until("missed")
        await write(server, "one", "two")
        await ears.until("missed", "one", "two")
        ears.wanted.clear()
        await asyncio.sleep(0.6)
        before = await commands(server)
        await asyncio.sleep(0.6)
        assert await commands(server) - before < 10, "nothing is read"
        await write(server, "unwanted")
        ears.wanted.set()
        await ears.until("two", "missed")
        await write(server, "three")
        await ears.until("missed", "three")


@pytest.mark.wire
async def test_after_a_loss_of_redis_all_may_have_changed() -> None:
    async with following() as (server, ears):
        ears.wanted.set()
        await ears.until("missed")
        server.kill9()
        server.start()
        await ears.until("missed", "missed")
        await write(server, "again")
        await ears.until("again")


@pytest.mark.parametrize(
    ("data", "person"),
    [('{"person": "p1", "what": "free"}', "p1"), ("{}", ""), ("[]", ""), ("no", ""), ('"p"', "")],
)
def test_the_person_of_a_message(data: str, person: str) -> None:
    assert read_person(data) == person
