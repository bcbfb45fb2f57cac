"""What the SIP side hears, and when: never before it can read the change."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from config.access import AccessLevel
from config.changes import Changes
from registrar.model import Change
from registrar.store import keys
from tests.config.world import MODEL, World


@asynccontextmanager
async def heard(redis: Redis) -> AsyncIterator[list[str]]:
    """The words on the channel, read until a silence at the end."""
    words: list[str] = []
    async with redis.pubsub() as subscription:
        await subscription.subscribe(keys.CHANGED)
        await subscription.get_message(timeout=1)
        yield words
        while message := await subscription.get_message(ignore_subscribe_messages=True, timeout=0.2):
            words.append(message["data"])


async def test_each_change_of_a_phone_is_announced(world: World) -> None:
    async with heard(world.redis) as words, world.client(AccessLevel.ADMIN, person="anna") as client:
        phone = (await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]})).json()
        path = f"/pbx/sipphone/{phone['_id']}"
        await client.patch(path, json={"ip": {"mode": "LOCKED", "address": "192.0.2.7"}})
        await client.post(f"{path}/resetcredentials")
        await client.delete(path)
        webrtc = (await client.post("/pbx/sipphone/webrtc", json={"instanceId": "i"})).json()
    assert words == [f"phone {phone['_id']}"] * 4 + [f"phone {webrtc['_id']}"]


async def test_a_refused_change_is_not_announced(world: World) -> None:
    phone = await world.create()
    async with heard(world.redis) as words, world.client() as client:
        await client.patch(f"/pbx/sipphone/{phone['_id']}", json={"pbxCluster": 3})
    assert words == []


@pytest.mark.parametrize("action", ["resetcredentials", "delete"])
async def test_a_change_is_readable_when_it_is_heard(world: World, action: str) -> None:
    phone = await world.create()
    async with world.redis.pubsub() as subscription, world.client() as client:
        await subscription.subscribe(keys.CHANGED)
        await subscription.get_message(timeout=1)
        path = f"/pbx/sipphone/{phone['_id']}"
        asked = client.delete(path) if action == "delete" else client.post(f"{path}/{action}")
        task = asyncio.create_task(asked)
        while not await subscription.get_message(ignore_subscribe_messages=True, timeout=1):
            pass
        rows = await world.rows("SELECT secret_version FROM phone_v1")
        await task
    assert rows == ([] if action == "delete" else [(2,)])


async def test_without_redis_a_change_succeeds_with_one_warning(
    world: World, dead_redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    phone = await world.create()
    with caplog.at_level(logging.WARNING, logger="config.changes"):
        async with world.but(redis=dead_redis).client() as client:
            answer = await client.delete(f"/pbx/sipphone/{phone['_id']}")
    assert answer.status_code == 200
    assert len([record for record in caplog.records if record.name == "config.changes"]) == 1


async def test_a_customer_is_announced_as_one_word(redis: Redis) -> None:
    async with heard(redis) as words:
        await Changes(redis).publish(Change(customer="c1"))
    assert words == ["customer c1"]
