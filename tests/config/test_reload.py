"""configreload and reboot over HTTP: which Event for which phone, and what a process of SIP makes of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from config.access import AccessLevel
from config.models import MODELS
from config.provisioning import reload
from config.provisioning.reload import EVENTS, Deed
from config.provisioning.render import WRITERS
from registrar.rules.notify import Outcome, Result, parse_order, result_text
from registrar.store import keys
from tests.config.world import MODEL, NOBODY, Json, World

HEARD = Result(Outcome.ANSWERED, 200, "OK")
DECT_MAC = "7c2f80aabbcc"


async def lives(redis: Redis, node: str = "n1") -> None:
    await redis.hset(keys.NODES, f"{node} g1", "1")
    await redis.set(keys.node(node), json.dumps({"generation": "g1", "sip": "127.0.0.1:5060"}))


async def registered(redis: Redis, phone: str, node: str = "n1", transport: str = "udp") -> None:
    """What the SIP side writes about a phone that is online."""
    fields = {"online": "1", "expiresAt": str(int(time.time()) + 600), "transport": transport}
    fields |= {"node": node, "generation": "g1", "state": "registered", "reason": "registered"}
    await redis.hset(keys.status(phone), mapping=fields)


@asynccontextmanager
async def sip_side(redis: Redis, result: Result | None = HEARD) -> AsyncIterator[list[Json]]:
    """A process that says `result` to each order that is awaited; the orders."""
    orders: list[Json] = []
    async with redis.pubsub() as channel:
        await channel.subscribe(keys.NOTIFY)

        async def serve() -> None:
            async for message in channel.listen():
                if message["type"] == "message":
                    assert parse_order(message["data"]) is not None
                    orders.append(json.loads(message["data"]))
                    id = orders[-1]["id"]
                    if id and result is not None:
                        await redis.rpush(keys.notified(id), result_text(result))

        serving = asyncio.create_task(serve())
        try:
            yield orders
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def desk_phone(world: World, number: int = 1, **body: object) -> str:
    made = await world.create(sipPhoneModel=MODEL["snom"], macAddress=f"0004139{number:05x}", **body)
    await registered(world.redis, made["_id"])
    return str(made["_id"])


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def test_each_writer_has_an_event_for_both_deeds() -> None:
    assert set(EVENTS) == set(WRITERS)
    assert all(set(events) == set(Deed) for events in EVENTS.values())
    assert EVENTS["snom"] == {"configreload": "check-sync;reboot=false", "reboot": "check-sync;reboot=true"}
    assert EVENTS["grandstream"]["configreload"] == EVENTS["spa"]["configreload"] == "resync"
    assert EVENTS["spa"]["reboot"] == "reboot_now"
    assert EVENTS["mitel"]["configreload"] == "check-sync"


def test_a_model_that_is_written_is_one_that_listens() -> None:
    assert {row.get("sip_config_reload", False) for row in MODELS.values() if row.get("writer")} == {True}


@pytest.mark.parametrize(
    ("deed", "event", "done"),
    [
        ("configreload", "check-sync;reboot=false", "reload-asked"),
        ("reboot", "check-sync;reboot=true", "reboot-asked"),
    ],
)
async def test_the_process_that_holds_the_phone_sends_its_event(
    world: World, deed: str, event: str, done: str
) -> None:
    for node in ("n0", "n1", "n2"):
        await lives(world.redis, node)
    phone = await desk_phone(world)
    async with sip_side(world.redis) as orders, world.client(AccessLevel.MANAGER, person="anna") as client:
        answer = await client.post(f"/pbx/sipphone/{phone}/{deed}")
        story = (await client.get(f"/pbx/sipphone/{phone}/events")).json()
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (order,) = orders
    assert len(order.pop("id")) == 32 and order.pop("device").endswith("-000413900001")
    assert order == {"phone": phone, "event": event, "node": "n1"}
    assert (story["events"][0]["event"], story["events"][0]["by"]) == (done, "Anna Østergård")
    assert "Anna" not in story["summary"], "it explains no fault"


@pytest.mark.parametrize(
    ("result", "status", "code", "message"),
    [
        (
            Result(Outcome.ANSWERED, 489, "Bad Event"),
            502,
            "phone_refused",
            "The phone answered 489 Bad Event",
        ),
        (Result(Outcome.ANSWERED, 401), 502, "phone_refused", "The phone answered 401"),
        (Result(Outcome.UNANSWERED), 504, "phone_timeout", None),
        (Result(Outcome.OFFLINE), 409, "offline", None),
        (Result(Outcome.UNAVAILABLE), 503, "unavailable", None),
        (Result(Outcome.FULL), 503, "unavailable", None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_the_phone_answers_is_told(
    world: World, result: Result, status: int, code: str, message: str | None
) -> None:
    await lives(world.redis)
    phone = await desk_phone(world)
    async with sip_side(world.redis, result), world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(f"/pbx/sipphone/{phone}/configreload")
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], error["code"]) == (status, status, code)
    assert message in (None, error["message"])


async def test_an_order_that_waits_for_its_turn_is_a_success_with_a_time(world: World) -> None:
    await lives(world.redis)
    phone = await desk_phone(world)
    queued = Result(Outcome.QUEUED, seconds=12)
    async with sip_side(world.redis, queued), world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(f"/pbx/sipphone/{phone}/reboot")
    assert (answer.status_code, answer.json()) == (200, {"success": True, "queuedSeconds": 12})


async def test_a_process_that_does_nothing_is_a_timeout(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "RESULT_SECONDS", 0.1)
    await lives(world.redis)
    phone = await desk_phone(world)
    async with sip_side(world.redis, None), world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(f"/pbx/sipphone/{phone}/reboot")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")


async def test_a_phone_that_is_offline_gets_nothing(world: World) -> None:
    await lives(world.redis)
    phone = (await world.create(sipPhoneModel=MODEL["snom"], macAddress="000413900001"))["_id"]
    async with sip_side(world.redis) as orders, world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(f"/pbx/sipphone/{phone}/configreload")
        await registered(world.redis, phone, node="gone", transport="tcp")
        lost = await client.post(f"/pbx/sipphone/{phone}/configreload")
    assert [(one.status_code, one.json()["error"]["code"]) for one in (answer, lost)] == [
        (409, "offline")
    ] * 2
    assert orders == []
    assert await world.rows("SELECT count(*) FROM audit_log WHERE action = 'configreload'") == [(0,)]


async def test_a_phone_over_udp_of_a_dead_process_is_told_by_another(world: World) -> None:
    await lives(world.redis, "n2")
    phone = await desk_phone(world)
    async with sip_side(world.redis) as orders, world.client(AccessLevel.MANAGER) as client:
        assert (await client.post(f"/pbx/sipphone/{phone}/configreload")).status_code == 200
    assert [order["node"] for order in orders] == ["n2"]


async def test_a_model_without_a_known_notify_is_told(world: World) -> None:
    await lives(world.redis)
    phone = (await world.create())["_id"]
    await registered(world.redis, phone)
    async with sip_side(world.redis) as orders, world.client(AccessLevel.MANAGER) as client:
        for deed in Deed:
            answer = await client.post(f"/pbx/sipphone/{phone}/{deed}")
            assert answer.status_code == 409
            assert answer.json()["error"] == {
                "code": "not_supported",
                "status": 409,
                "message": "No NOTIFY is known for this model: Generic SIP device",
                "path": "sipPhoneModel",
                "check": "allowed",
            }
    assert orders == []


async def base(world: World, *indexes: int) -> list[str]:
    """The handsets of one DECT base."""
    made = []
    for index in indexes:
        body = {"macAddress": DECT_MAC, "handsetAddress": f"02f0{index:06x}"}
        made.append(str((await world.create(sipPhoneModel=MODEL["dect"], **body))["_id"]))
    return made


async def test_a_base_is_told_by_any_of_its_handsets(world: World) -> None:
    await lives(world.redis)
    first, second, third = await base(world, 0, 1, 2)
    await registered(world.redis, second)
    await registered(world.redis, third)
    async with sip_side(world.redis) as orders, world.client(AccessLevel.MANAGER) as client:
        for asked in (first, third):
            assert (await client.post(f"/pbx/sipphone/{asked}/configreload")).status_code == 200
    assert [order["phone"] for order in orders] == [second, third]
    assert len({order["device"] for order in orders}) == 1


async def test_a_fleet_is_told_each_device_once(world: World) -> None:
    await lives(world.redis)
    desk = await desk_phone(world)
    handsets = await base(world, 0, 1)
    await registered(world.redis, handsets[1])
    away = (await world.create(sipPhoneModel=MODEL["snom"], macAddress="000413900002"))["_id"]
    generic = (await world.create())["_id"]
    sent = [desk, desk.upper(), *handsets, away, generic, NOBODY, "x"]
    async with sip_side(world.redis) as orders, world.client(AccessLevel.MANAGER) as client:
        answer = await client.post("/pbx/sipphone/configreload", json={"ids": sent})
        await until(lambda: len(orders) == 2)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "success": True,
            "asked": 2,
            "seconds": 0,
            "offline": [away],
            "notSupported": [generic],
            "notFound": [NOBODY, "x"],
        },
    )
    assert [(order["phone"], order["id"]) for order in orders] == [(desk, ""), (handsets[1], "")]
    noted = await world.rows("SELECT row_oid FROM audit_log WHERE action = 'configreload' ORDER BY id")
    assert [row for (row,) in noted] == [desk, *handsets]


async def test_a_fleet_takes_its_time(world: World) -> None:
    await lives(world.redis)
    phones = [await desk_phone(world, number) for number in range(25)]
    async with sip_side(world.redis) as orders, world.client(AccessLevel.MANAGER) as client:
        answer = (await client.post("/pbx/sipphone/reboot", json={"ids": phones})).json()
        await until(lambda: len(orders) == 25)
    assert (answer["asked"], answer["seconds"]) == (25, 2)


async def test_foreign_phones_are_not_found(world: World) -> None:
    await lives(world.redis)
    phone = await desk_phone(world)
    async with sip_side(world.redis) as orders, world.client(AccessLevel.OWNER, "rival") as client:
        one = await client.post(f"/pbx/sipphone/{phone}/reboot")
        unknown = await client.post(f"/pbx/sipphone/{NOBODY}/reboot")
        many = await client.post("/pbx/sipphone/reboot", json={"ids": [phone]})
    assert (one.status_code, one.json()) == (404, unknown.json())
    assert many.json()["notFound"] == [phone]
    assert orders == []


async def test_a_viewer_may_not(world: World) -> None:
    phone = await desk_phone(world)
    async with world.client(AccessLevel.VIEWER) as client:
        for path in (f"{phone}/configreload", f"{phone}/reboot", "configreload", "reboot"):
            answer = await client.post(f"/pbx/sipphone/{path}", json={"ids": [phone]})
            assert answer.status_code == 403


async def test_without_redis_nothing_is_asked(world: World, dead_redis: Redis) -> None:
    phone = await desk_phone(world)
    async with world.but(redis=dead_redis).client(AccessLevel.MANAGER) as client:
        for path in (f"{phone}/configreload", "reboot"):
            answer = await client.post(f"/pbx/sipphone/{path}", json={"ids": [phone]})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert await world.rows("SELECT count(*) FROM audit_log WHERE action <> 'create'") == [(0,)]
