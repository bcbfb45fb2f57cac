"""registrar/store/listener.py: every change is heard, or it is known that one may have been missed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from registrar.model import Change
from registrar.store import announce, keys
from registrar.store.listener import RETRY_SECONDS, SILENCE_SECONDS, Listener
from registrar.store.redis_client import connect
from tests.contract.servers import Server, client, running
from tests.patience import limit
from tests.peers.process import frozen

pytestmark = pytest.mark.wire

AGAIN = ("missed", "subscribed", "missed", "subscribed")
"""From the start to the second subscription."""


class Ears:
    """What the listener told, in order."""

    def __init__(self) -> None:
        self.told: list[str | Change] = []
        self.something = asyncio.Event()

    async def changed(self, change: Change) -> None:
        self._tell(change)

    def missed(self) -> None:
        if self.told[-1:] != ["missed"]:
            self._tell("missed")

    async def subscribed(self) -> None:
        self._tell("subscribed")

    def _tell(self, what: str | Change) -> None:
        self.told.append(what)
        self.something.set()

    async def until(self, *ends: str | Change, within: float = 3.0) -> None:
        async with asyncio.timeout(limit(within)):
            while tuple(self.told[-len(ends) :]) != ends:
                self.something.clear()
                await self.something.wait()


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[Server, Ears]]:
    with running("valkey") as server:
        ears = Ears()
        redis = connect(server.url)
        listener = Listener(redis, changed=ears.changed, missed=ears.missed, subscribed=ears.subscribed)
        task = asyncio.create_task(listener.run())
        try:
            await ears.until("missed", "subscribed")
            yield server, ears
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await redis.aclose()


async def say(server: Server, *messages: str) -> None:
    redis = client(server)
    try:
        for message in messages:
            await redis.publish(keys.CHANGED, message)
    finally:
        await redis.aclose()


async def test_changes_are_handed_on_in_their_order() -> None:
    async with listening() as (server, ears):
        changes = [
            Change(phones=("a", "b")),
            Change(customer="c"),
            Change(dial_plan="c"),
            Change(phones=("d",)),
        ]
        await say(server, *(message for change in changes for message in announce.encode(change)))
        await ears.until(*changes)
        assert ears.told == ["missed", "subscribed", *changes]


@pytest.mark.parametrize(
    "junk", ["", "phone", "customer", "dialplan", "customer a b", "nonsense x", "\x00", "phone " * 9]
)
async def test_a_word_that_it_does_not_know_changes_nothing(junk: str) -> None:
    async with listening() as (server, ears):
        await say(server, junk, "customer z")
        await ears.until(Change(customer="z"))


async def test_a_silent_minute_is_no_loss() -> None:
    async with listening() as (_, ears):
        await asyncio.sleep(SILENCE_SECONDS + 1.5)
        assert ears.told == ["missed", "subscribed"]


async def test_a_subscription_that_was_killed_is_made_again_and_told() -> None:
    async with listening() as (server, ears):
        redis = client(server)
        await redis.client_kill_filter(_type="pubsub")
        await redis.aclose()
        await ears.until(*AGAIN, within=RETRY_SECONDS + 2)
        await say(server, "customer z")
        await ears.until(Change(customer="z"))


async def test_a_server_that_was_killed_is_listened_to_when_it_is_back() -> None:
    async with listening() as (server, ears):
        server.kill9()
        await ears.until("missed", within=2)
        await asyncio.sleep(1)
        server.start()
        await ears.until(*AGAIN, within=3)


async def test_a_server_that_hangs_is_a_loss_after_three_seconds() -> None:
    async with listening() as (server, ears):
        started = time.monotonic()
        with frozen(server.pid):
            await ears.until("missed", within=SILENCE_SECONDS + 2.5)
            assert time.monotonic() - started > SILENCE_SECONDS - 1
        await ears.until(*AGAIN, within=5)


async def test_a_text_that_is_none_does_not_end_it() -> None:
    async with listening() as (server, ears):
        redis = Redis.from_url(server.url)
        await redis.publish(keys.CHANGED, b"\xff\xfe")
        await redis.aclose()
        await ears.until(*AGAIN)


@pytest.mark.parametrize("moment", [0, 0.0005, 0.001, 0.002, 0.005])
async def test_it_can_be_stopped_while_its_subscription_breaks(moment: float) -> None:
    """Else a stop at the moment at which Redis goes away would wait for ever."""
    for _ in range(4):
        with running("valkey") as server:
            ears = Ears()
            redis, killer = connect(server.url), client(server)
            listener = Listener(redis, changed=ears.changed, missed=ears.missed, subscribed=ears.subscribed)
            task = asyncio.create_task(listener.run())
            await ears.until("missed", "subscribed")
            await killer.client_kill_filter(_type="pubsub")
            await asyncio.sleep(moment)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=2)
            await killer.aclose()
            await redis.aclose()
            assert done and task.cancelled()
