"""/pbx/call: the calls that are there, and the word that ends one."""

import asyncio
import json
import time
from calendar import timegm
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from config import live as live_calls
from config.access import AccessLevel
from registrar.model import Call, CallState, Party, Process
from registrar.store import keys
from registrar.store.call_codec import encode
from tests.config.world import NOBODY, Json, World

ID = "ab" * 16
TREE = {"reseller", "acme", "below"}
"""Each is the customer of the one before it."""


def new_call(world: World, id: str = ID, customer: str = "acme", **changes: object) -> Call:
    made = Call(
        id=id,
        call_id="dialog-1@phone",
        customer=world.ids[customer],
        domain="acme.test",
        caller=Party("1" * 24, "200", "Anna Østergård", "wss", "tag-a", "sealed-a", 7),
        callee=Party("", "201", "Bent"),
        state=CallState.RINGING,
        started_at=1_795_262_400.25,
        process=Process("n1", "g1"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist


def answered(call: Call, ago: float = 12.5) -> Call:
    callee = Party("2" * 24, "201", "Bent", "udp", "tag-b", "sealed-b", 3)
    at = time.time() - ago
    return replace(call, callee=callee, state=CallState.ANSWERED, answered_at=at, relay="10.0.0.1:2223 s")


async def write(redis: Redis, *calls: Call) -> None:
    """What the SIP side writes; tests/contract/test_calls.py has that it does."""
    end = time.time() + keys.CALL_SECONDS
    for call in calls:
        for name, value in encode(call).items():
            await redis.hset(keys.call(call.id), name, value)
        for listed in (keys.calls(call.customer), keys.CALLS):
            await redis.zadd(listed, {call.id: end})


@asynccontextmanager
async def switchboard(redis: Redis, words: list[Json]) -> AsyncIterator[None]:
    """A process that ends the calls that it is told to end."""
    async with redis.pubsub() as channel:
        await channel.subscribe(keys.HANGUP)

        async def serve() -> None:
            async for message in channel.listen():
                if message["type"] == "message":
                    words.append(json.loads(message["data"]))
                    await redis.delete(keys.call(words[-1]["call"]))

        serving = asyncio.create_task(serve())
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def test_a_call_is_shown_without_anything_private(world: World) -> None:
    await write(world.redis, answered(new_call(world)))
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get(f"/pbx/call/{ID.upper()}")
    shown = answer.json()
    assert 12 <= shown.pop("duration") <= 15
    assert time.time() - 20 < timegm(time.strptime(shown.pop("answeredAt"), "%Y-%m-%dT%H:%M:%SZ"))
    assert shown == {
        "_id": ID,
        "callId": "dialog-1@phone",
        "customer": world.ids["acme"],
        "state": "answered",
        "caller": {"phone": "1" * 24, "number": "200", "name": "Anna Østergård", "transport": "wss"},
        "callee": {"phone": "2" * 24, "number": "201", "name": "Bent", "transport": "udp"},
        "media": "relayed",
        "node": "n1",
        "startedAt": "2026-11-21T12:00:00Z",
    }
    assert "sealed" not in answer.text and "tag-" not in answer.text


async def test_what_is_not_known_yet_is_null(world: World) -> None:
    await write(world.redis, new_call(world))
    async with world.client(AccessLevel.VIEWER) as client:
        shown = (await client.get(f"/pbx/call/{ID}")).json()
    assert shown["callee"] == {"phone": None, "number": "201", "name": "Bent", "transport": None}
    assert (shown["state"], shown["answeredAt"], shown["duration"]) == ("ringing", None, None)
    assert shown["media"] == "direct"


async def test_a_list_has_the_calls_of_the_customer_the_first_first(world: World) -> None:
    calls = [
        new_call(world, f"{number:032x}", started_at=1_795_262_400 - 10.0 * number) for number in range(5)
    ]
    await write(world.redis, *calls, new_call(world, "f" * 32, "rival"))
    async with world.client(AccessLevel.VIEWER) as client:
        whole = (await client.get("/pbx/call")).json()
        page = (await client.get("/pbx/call", params={"offset": 1, "limit": 2})).json()
    assert [call["_id"] for call in whole["calls"]] == [call.id for call in reversed(calls)]
    assert (whole["offset"], whole["limit"], whole["total"]) == (0, 50, 5)
    assert page == {"offset": 1, "limit": 2, "total": 5, "calls": whole["calls"][1:3]}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"extension": "200"}, "12"),
        ({"extension": "300"}, "23"),
        ({"extension": "20"}, ""),
        ({"state": "ringing"}, "23"),
        ({"state": "ANSWERED"}, "1"),
        ({"extension": "200", "state": "ringing"}, "2"),
        ({"extension": " ", "state": ""}, "123"),
    ],
    ids=str,
)
async def test_a_list_may_be_narrowed(world: World, query: dict[str, str], found: str) -> None:
    other = Party("3" * 24, "300")
    await write(
        world.redis,
        answered(new_call(world, "1" * 32)),
        new_call(world, "2" * 32, caller=other, callee=Party("", "200")),
        new_call(world, "3" * 32, caller=other),
    )
    async with world.client(AccessLevel.VIEWER) as client:
        page = (await client.get("/pbx/call", params=query)).json()
    assert [call["_id"] for call in page["calls"]] == [digit * 32 for digit in found]
    assert page["total"] == len(found)


@pytest.mark.parametrize(
    ("level", "own", "wanted", "listed", "seen"),
    [
        (AccessLevel.VIEWER, "acme", None, {"acme"}, {"acme"}),
        (AccessLevel.RESELLER, "reseller", None, {"reseller"}, TREE),
        (AccessLevel.RESELLER, "reseller", "below", {"below"}, TREE),
        (AccessLevel.ADMIN, "acme", "rival", {"rival"}, {*TREE, "rival"}),
        (AccessLevel.ADMIN, None, None, {*TREE, "rival"}, {*TREE, "rival"}),
    ],
)
async def test_a_level_sees_the_calls_of_its_customers(
    world: World, level: AccessLevel, own: str | None, wanted: str | None, listed: set[str], seen: set[str]
) -> None:
    names = {f"{place:032x}": name for place, name in enumerate(("reseller", "acme", "below", "rival"))}
    await write(world.redis, *(new_call(world, id, name) for id, name in names.items()))
    params = {"customer": world.ids[wanted]} if wanted else {}
    async with world.client(level, own) as client:
        page = (await client.get("/pbx/call", params=params)).json()
        shown = {
            name for id, name in names.items() if (await client.get(f"/pbx/call/{id}")).status_code == 200
        }
    assert {names[call["_id"]] for call in page["calls"]} == listed
    assert shown == seen


@pytest.mark.parametrize("level", [AccessLevel.OWNER, AccessLevel.RESELLER])
async def test_the_calls_of_a_foreign_customer_are_denied(world: World, level: AccessLevel) -> None:
    async with world.client(level) as client:
        answer = await client.get("/pbx/call", params={"customer": world.ids["rival"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "access_denied")


async def test_foreign_unknown_over_and_malformed_ids_answer_alike(world: World) -> None:
    await write(world.redis, new_call(world, customer="rival"))
    words: list[Json] = []
    async with switchboard(world.redis, words), world.client(AccessLevel.MANAGER) as client:
        answers = [
            await client.request(method, f"/pbx/call/{id}")
            for method in ("GET", "DELETE")
            for id in (ID, "cd" * 16, NOBODY, "x", ID + "0")
        ]
    expected = {"error": {"code": "not_found", "status": 404, "message": "Call not found"}}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(404, expected)] * 10
    assert words == []


async def test_a_call_that_has_run_out_is_not_listed(world: World) -> None:
    await write(world.redis, new_call(world), new_call(world, "cd" * 16))
    await world.redis.delete(keys.call(ID))
    await world.redis.zadd(keys.calls(world.ids["acme"]), {"cd" * 16: time.time() - 1})
    async with world.client(AccessLevel.VIEWER) as client:
        assert (await client.get("/pbx/call")).json()["total"] == 0


async def test_many_calls_are_read(world: World) -> None:
    await write(world.redis, *(new_call(world, f"{number:032x}") for number in range(1_100)))
    async with world.client(AccessLevel.VIEWER) as client:
        page = (await client.get("/pbx/call", params={"limit": 5_000})).json()
    assert (page["total"], page["limit"], len(page["calls"])) == (1_100, 1_000, 1_000)


@pytest.mark.parametrize(
    "changes",
    [{"id": "x"}, {"startedAt": "soon"}, {"startedAt": ""}, {"startedAt": "9" * 400}],
    ids=str,
)
async def test_a_spoiled_call_is_none(world: World, changes: dict[str, str]) -> None:
    await write(world.redis, new_call(world), new_call(world, "cd" * 16))
    for name, value in changes.items():
        await world.redis.hset(keys.call(ID), name, value)
    async with world.client(AccessLevel.VIEWER) as client:
        page = (await client.get("/pbx/call")).json()
        shown = await client.get(f"/pbx/call/{ID}")
    assert [call["_id"] for call in page["calls"]] == ["cd" * 16]
    assert shown.status_code == 404


async def test_a_call_is_ended_by_the_process_that_has_it(world: World) -> None:
    await write(world.redis, new_call(world))
    words: list[Json] = []
    person = world.client(AccessLevel.MANAGER, person="anna")
    async with switchboard(world.redis, words), person as client:
        answer = await client.delete(f"/pbx/call/{ID}")
        again = await client.delete(f"/pbx/call/{ID}")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert again.status_code == 404
    assert words == [{"call": ID, "by": "api"}]
    noted = await world.rows("SELECT actor, action, table_name, row_oid FROM audit_log")
    assert noted == [(world.ids["anna"], "delete", "call", ID[:24])]
    async with world.client(AccessLevel.OWNER) as owner:
        (row,) = (await owner.get("/audit", params={"type": "call"})).json()["rows"]
    assert row["customer"] == world.ids["acme"], "the customer of the call sees who ended it"


async def test_a_call_that_nobody_ends_is_told_to_be_still_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_calls, "HANGUP_SECONDS", 0.1)
    await write(world.redis, new_call(world))
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.delete(f"/pbx/call/{ID}")
        shown = await client.get(f"/pbx/call/{ID}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
    assert shown.status_code == 200


async def test_a_viewer_may_look_and_not_end(world: World) -> None:
    await write(world.redis, new_call(world))
    async with world.client(AccessLevel.VIEWER) as client:
        assert (await client.delete(f"/pbx/call/{ID}")).status_code == 403
    async with world.client(AccessLevel.PERSONAL, person="anna") as client:
        assert (await client.get("/pbx/call")).status_code == 403
    assert await world.redis.exists(keys.call(ID))


async def test_without_redis_nobody_is_told_anything(world: World, dead_redis: Redis) -> None:
    async with world.but(redis=dead_redis).client(AccessLevel.MANAGER) as client:
        answers = [
            await client.get("/pbx/call"),
            await client.get(f"/pbx/call/{ID}"),
            await client.delete(f"/pbx/call/{ID}"),
        ]
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert await world.rows("SELECT count(*) FROM audit_log") == [(0,)]


async def test_a_key_of_another_kind_is_a_store_that_does_not_work(world: World) -> None:
    await world.redis.set(keys.call(ID), "rubbish")
    async with world.client(AccessLevel.VIEWER) as client:
        assert (await client.get(f"/pbx/call/{ID}")).status_code == 503


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        (AccessLevel.ADMIN, {"acme", "below", "rival"}),
        (AccessLevel.RESELLER, {"acme", "below"}),
        (AccessLevel.VIEWER, {"acme"}),
    ],
)
async def test_all_customers_are_those_in_sight(
    world: World, redis: Redis, level: AccessLevel, seen: set[str]
) -> None:
    customers = ("acme", "below", "rival")
    await write(redis, *(new_call(world, f"{place}" * 32, name) for place, name in enumerate(customers)))
    async with world.client(level) as client:
        answer = (await client.get("/pbx/call", params={"customer": "all"})).json()
    assert {call["customer"] for call in answer["calls"]} == {world.ids[name] for name in seen}
    assert answer["total"] == len(seen)
