"""The routes that ask for the live status alone: of one phone, and of many in one call."""

import time

import pytest
from redis.asyncio import Redis

from config.access import AccessLevel
from config.operations.phones.overview import Overview
from registrar.rules.status import LiveStatus
from registrar.store import keys
from tests.config.test_live import lease, online, write_status
from tests.config.world import NOBODY, World

EVERY_FIELD = set(
    "_id online expires expiresAt state reason since lastSeen userAgent localIpAddress publicIpAddress "
    "publicPort transport node generation rttMs lastRejectedAt lastRejectedIp lastRejectedReason "
    "configLoaded configSaved country".split()
)


async def test_the_status_has_every_field_of_the_hash(world: World) -> None:
    phone = await world.create()
    refused = {
        "lastRejectedAt": "1795262400",
        "lastRejectedIp": "198.51.100.7",
        "lastRejectedReason": "ip-locked",
    }
    expires_at = int(time.time()) + 1_000
    fields = online(transport="wss", rttMs="12.5", expiresAt=str(expires_at)) | refused
    await write_status(world.redis, phone["_id"], fields)
    await lease(world.redis, "n1", "g1")
    async with world.client(AccessLevel.VIEWER) as client:
        status = (await client.get(f"/pbx/sipphone/{phone['_id'].upper()}/status")).json()
    assert set(status) == EVERY_FIELD
    assert 990 <= status.pop("expires") <= 1_000
    assert status.pop("expiresAt") == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_at))
    assert status.pop("configSaved") == phone["status"]["configSaved"]
    assert status == {
        "_id": phone["_id"],
        "online": True,
        "state": "registered",
        "reason": "registered",
        "since": "2026-11-21T12:00:00Z",
        "lastSeen": "2026-11-21T12:01:00Z",
        "userAgent": "snom370/8.7.3.25",
        "localIpAddress": "192.168.1.10",
        "publicIpAddress": "213.83.176.134",
        "publicPort": 5060,
        "transport": "wss",
        "node": "n1",
        "generation": "g1",
        "rttMs": 12.5,
        "lastRejectedAt": "2026-11-21T12:00:00Z",
        "lastRejectedIp": "198.51.100.7",
        "lastRejectedReason": "ip-locked",
        "configLoaded": None,
        "country": None,
    }


async def test_a_phone_that_never_registered_has_a_status_too(world: World) -> None:
    phone = await world.create()
    async with world.client(AccessLevel.VIEWER) as client:
        status = (await client.get(f"/pbx/sipphone/{phone['_id']}/status")).json()
    assert set(status) == EVERY_FIELD
    assert (status["online"], status["expires"], status["state"]) == (False, -1, "offline")
    assert (status["reason"], status["since"], status["expiresAt"]) == (None, None, None)


async def test_many_phones_are_told_in_one_call(world: World) -> None:
    here, away = [(await world.create())["_id"] for _ in range(2)]
    foreign = (await world.create(customer=world.ids["rival"]))["_id"]
    await write_status(world.redis, here, online())
    asked = [away, NOBODY, here, foreign, "x", here.upper(), away, "", "x", NOBODY.upper()]
    async with world.client(AccessLevel.VIEWER) as client:
        answer = (await client.post("/pbx/sipphone/status", json={"ids": asked})).json()
    assert [(phone["_id"], phone["online"]) for phone in answer["sipPhones"]] == [(away, False), (here, True)]
    assert all(set(phone) == EVERY_FIELD for phone in answer["sipPhones"])
    assert answer["notFound"] == [NOBODY, foreign, "x", ""]


async def test_a_thousand_ids_are_the_most(world: World) -> None:
    phone = (await world.create())["_id"]
    async with world.client(AccessLevel.VIEWER) as client:
        most = await client.post("/pbx/sipphone/status", json={"ids": [phone, *[NOBODY] * 999]})
        none = await client.post("/pbx/sipphone/status", json={"ids": []})
    assert [row["_id"] for row in most.json()["sipPhones"]] == [phone]
    assert most.json()["notFound"] == [NOBODY]
    assert (none.status_code, none.json()) == (200, {"sipPhones": [], "notFound": []})


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ({}, "required"),
        ({"ids": None}, "format"),
        ({"ids": NOBODY}, "format"),
        ({"ids": {"0": NOBODY}}, "format"),
        ({"ids": [NOBODY] * 1_001}, "range"),
    ],
    ids=["nothing", "null", "a text", "an object", "1,001"],
)
async def test_what_is_no_list_of_at_most_a_thousand_is_refused(
    world: World, body: dict[str, object], check: str
) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.post("/pbx/sipphone/status", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["check"]) == (422, "ids", check)


@pytest.mark.parametrize(
    "entry", ["5", "null", '{"a": []}', "[]", '"\\ud800"', '"a\\u0000b"', "9" * 40, '{"\\ud800": 1}']
)
async def test_an_entry_that_is_no_text_is_refused(world: World, entry: str) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.post("/pbx/sipphone/status", content=f'{{"ids": ["{NOBODY}", {entry}]}}')
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "ids[1]")


@pytest.mark.parametrize("page", ["status", "events"])
async def test_foreign_unknown_and_malformed_ids_answer_alike(world: World, page: str) -> None:
    foreign = (await world.create(customer=world.ids["rival"]))["_id"]
    async with world.client(AccessLevel.VIEWER) as client:
        answers = [await client.get(f"/pbx/sipphone/{id}/{page}") for id in (foreign, NOBODY, "x")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}


async def test_without_redis_nobody_is_told_anything(world: World, dead_redis: Redis) -> None:
    phone = (await world.create())["_id"]
    async with world.but(redis=dead_redis).client(AccessLevel.VIEWER) as client:
        answers = [
            await client.get(f"/pbx/sipphone/{phone}/status"),
            await client.get(f"/pbx/sipphone/{phone}/events"),
            await client.post("/pbx/sipphone/status", json={"ids": [phone]}),
        ]
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["error"]["code"] == "unavailable"


async def test_one_spoiled_key_leaves_the_others_of_a_call(world: World) -> None:
    spoiled, sound = [(await world.create())["_id"] for _ in range(2)]
    await world.redis.set(keys.status(spoiled), "rubbish")
    await write_status(world.redis, sound, online())
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.post("/pbx/sipphone/status", json={"ids": [spoiled, sound]})
    assert [phone["online"] for phone in answer.json()["sipPhones"]] == [None, True]


async def test_personal_may_not_ask(world: World) -> None:
    phone = (await world.create())["_id"]
    async with world.client(AccessLevel.PERSONAL) as client:
        answers = [
            await client.get(f"/pbx/sipphone/{phone}/status"),
            await client.get(f"/pbx/sipphone/{phone}/events"),
            await client.post("/pbx/sipphone/status", json={"ids": [phone]}),
        ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]


async def test_a_silent_phone_over_udp_is_offline_and_still_bound(world: World) -> None:
    phone = await world.create()
    expires_at = int(time.time()) + 1_000
    fields = {"online": "0", "state": "offline", "reason": "ping-timeout", "transport": "udp"}
    await write_status(world.redis, phone["_id"], online(expiresAt=str(expires_at)) | fields)
    async with world.client(AccessLevel.VIEWER) as client:
        status = (await client.get(f"/pbx/sipphone/{phone['_id']}/status")).json()
        told = (await client.get(f"/pbx/sipphone/{phone['_id']}/events")).json()["summary"]
    assert (status["online"], status["expires"], status["reason"]) == (False, -1, "ping-timeout")
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_at))
    assert status["expiresAt"] == until
    assert f"Its registration stays until {until}" in told


def test_the_table_says_of_a_silent_phone_that_it_is_bound() -> None:
    silent = LiveStatus(reason="ping-timeout", transport="udp", silent=True)
    assert Overview("id", "name", "200", silent).cells()[2:5] == ("no", "-1", "ping-timeout, still bound")
    gone = LiveStatus(reason="ping-timeout", transport="udp")
    assert Overview("id", "name", "200", gone).cells()[4] == "ping-timeout"
