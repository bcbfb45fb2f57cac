"""The live status, from hashes in Redis as the SIP side writes them."""

import asyncio
import json
import time

import pytest
from redis.asyncio import Redis

from config import live
from config.live import MAX_NODES, Live
from registrar.model import Epoch
from registrar.rules.status import UNKNOWN
from registrar.store import keys
from registrar.store.many import ask, command
from tests.config.world import Json, World

NOW = int(time.time())
"""Time stands still for the reader itself; the API reads the clock."""


def online(**changes: str) -> dict[str, str]:
    fields = {
        "online": "1",
        "expiresAt": str(int(time.time()) + 1_000),
        "userAgent": "snom370/8.7.3.25",
        "localIpAddress": "192.168.1.10",
        "publicIpAddress": "213.83.176.134",
        "publicPort": "5060",
        "transport": "udp",
        "node": "n1",
        "generation": "g1",
        "state": "registered",
        "reason": "registered",
        "since": "1795262400",
        "lastSeen": "1795262460",
    }
    return fields | changes


async def status_of(world: World, fields: dict[str, str]) -> Json:
    """What the API says of a phone with this hash."""
    phone = await world.create()
    await write_status(world.redis, phone["_id"], fields)
    async with world.client() as client:
        answer = await client.get(f"/pbx/sipphone/{phone['_id']}")
        page = (await client.get("/pbx/sipphone")).json()
    assert "x-status" not in answer.headers
    status: Json = answer.json()["status"]
    assert page["sipPhones"][0]["online"] is status["online"]
    return status


async def write_status(redis: Redis, phone: str, fields: dict[str, str]) -> None:
    pairs: list[str] = [text for pair in fields.items() for text in pair]
    await redis.execute_command("HSET", keys.status(phone), *pairs)  # type: ignore[no-untyped-call]


async def lease(redis: Redis, node: str, generation: str) -> None:
    await redis.set(keys.node(node), json.dumps({"generation": generation, "sip": "127.0.0.1:5060"}))


async def test_a_registered_phone_is_online_and_tells_all_about_itself(world: World) -> None:
    status = await status_of(world, online())
    assert 990 <= status.pop("expires") <= 1_000
    assert status.pop("configSaved")
    assert status == {
        "configLoaded": None,
        "online": True,
        "localIpAddress": "192.168.1.10",
        "publicIpAddress": "213.83.176.134",
        "userAgent": "snom370/8.7.3.25",
        "state": "registered",
        "reason": "registered",
        "since": "2026-11-21T12:00:00Z",
        "transport": "udp",
        "publicPort": 5060,
        "lastSeen": "2026-11-21T12:01:00Z",
    }


async def test_a_phone_that_never_registered_is_offline_without_a_reason(world: World) -> None:
    phone = await world.create()
    status = phone["status"]
    assert (status["online"], status["expires"], status["state"]) == (False, -1, "offline")
    assert (status["reason"], status["since"]) == (None, None)


async def test_a_registration_that_ran_out_is_not_online_before_anybody_swept_it(world: World) -> None:
    status = await status_of(world, online(expiresAt="1795262400"))
    assert (status["online"], status["expires"]) == (False, -1)
    assert (status["reason"], status["since"]) == ("expired", "2026-11-21T12:00:00Z")


async def test_an_offline_phone_says_why_and_who_was_refused(world: World) -> None:
    refused = {
        "lastRejectedAt": "1795262400",
        "lastRejectedIp": "198.51.100.7",
        "lastRejectedReason": "not-locked-address",
    }
    fields = online(online="0", state="offline", reason="revoked") | refused
    status = await status_of(world, fields)
    assert (status["online"], status["state"], status["reason"]) == (False, "offline", "revoked")
    assert status["lastRejectedAt"] == "2026-11-21T12:00:00Z"
    assert (status["lastRejectedIp"], status["lastRejectedReason"]) == ("198.51.100.7", "not-locked-address")


async def test_a_phone_on_a_connection_is_online_while_its_process_lives(world: World) -> None:
    await lease(world.redis, "n1", "g1")
    assert (await status_of(world, online(transport="wss")))["online"] is True
    await lease(world.redis, "n1", "g2")
    status = await status_of(world, online(transport="wss"))
    assert (status["online"], status["reason"]) == (False, "node-lost")


async def test_a_phone_whose_process_is_gone_is_offline(world: World) -> None:
    status = await status_of(world, online(transport="tls"))
    assert (status["online"], status["reason"]) == (False, "node-lost")


async def test_without_redis_nothing_is_said_to_be_offline(world: World, dead_redis: Redis) -> None:
    phone = await world.create()
    async with world.but(redis=dead_redis).client() as client:
        shown = await client.get(f"/pbx/sipphone/{phone['_id']}")
        listed = await client.get("/pbx/sipphone")
        full = await client.get("/pbx/sipphone?full=true")
    for answer in (shown, listed, full):
        assert (answer.status_code, answer.headers["x-status"]) == (200, "unavailable")
    for status in (shown.json()["status"], full.json()["sipPhones"][0]["status"]):
        assert (status["online"], status["expires"], status["state"]) == (None, None, None)
    assert listed.json()["sipPhones"][0]["online"] is None


async def test_a_key_of_another_type_spoils_one_phone_alone(redis: Redis) -> None:
    await redis.set(keys.status("a"), "rubbish")
    await write_status(redis, "b", online())
    statuses = await Live(redis, lambda: Epoch(NOW)).statuses(["a", "b"])
    assert (statuses[0], statuses[1].online) == (UNKNOWN, True)


async def test_a_lease_that_cannot_be_read_is_none(redis: Redis) -> None:
    await redis.set(keys.node("n1"), "{rubbish")
    await write_status(redis, "a", online(transport="tcp"))
    (status,) = await Live(redis, lambda: Epoch(NOW)).statuses(["a"])
    assert status.online is False


async def test_a_lease_that_is_missing_after_redis_stood_still_says_nothing(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RENEWED_SECONDS", 0.5)
    await write_status(redis, "a", online(transport="tcp"))
    await write_status(redis, "b", online())
    reader = Live(redis, lambda: Epoch(NOW))
    assert [one.online for one in await reader.statuses(["a", "b"])] == [False, True]
    await redis.client_pause(round(1000 * (live.SLOW_SECONDS + 0.2)))
    assert [one.online for one in await reader.statuses(["a", "b"])] == [None, True]
    await lease(redis, "n1", "g1")
    assert [one.online for one in await reader.statuses(["a", "b"])] == [True, True]
    await redis.delete(keys.node("n1"))
    await asyncio.sleep(0.6)
    assert [one.online for one in await reader.statuses(["a", "b"])] == [False, True]


async def test_a_lease_that_is_missing_says_nothing_while_redis_takes_no_writes(redis: Redis) -> None:
    await write_status(redis, "a", online(transport="tcp"))
    await write_status(redis, "b", online())
    await redis.config_set("maxmemory", 1)
    try:
        statuses = await Live(redis, lambda: Epoch(NOW)).statuses(["a", "b"])
    finally:
        await redis.config_set("maxmemory", 0)
    assert [one.online for one in statuses] == [None, True]


async def test_known_nodes_are_asked_for_in_the_same_round_trip(redis: Redis) -> None:
    await lease(redis, "n1", "g1")
    await write_status(redis, "a", online(transport="tcp"))
    reader = Live(redis, lambda: Epoch(NOW))
    for _ in range(2):
        assert (await reader.statuses(["a"]))[0].online is True
    assert list(reader._nodes) == ["n1"]


async def test_the_names_of_nodes_are_forgotten_before_they_are_too_many(redis: Redis) -> None:
    phones = [f"p{number}" for number in range(MAX_NODES * 3)]
    for number, phone in enumerate(phones):
        await lease(redis, f"n{number}", "g1")
        await write_status(redis, phone, online(transport="tcp", node=f"n{number}"))
    reader = Live(redis, lambda: Epoch(NOW))
    for _ in range(2):
        assert all(status.online for status in await reader.statuses(phones))
    assert len(reader._nodes) <= MAX_NODES


async def test_an_answer_that_came_too_late_is_not_taken_for_another(redis: Redis) -> None:
    await write_status(redis, "a", online())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ask(redis, [command("BLPOP", "nothing", 1)])
    assert (await Live(redis, lambda: Epoch(NOW)).statuses(["a"]))[0].online is True
