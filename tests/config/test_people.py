"""What people are doing and want: DND and forwards, their state, and who waits at queues and groups."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from config.access import AccessLevel
from config.preconditions import etag
from registrar.model import Party, Process
from registrar.store import keys
from tests.config.test_calls import answered, new_call, write
from tests.config.v2 import JOE, domain, made, number, refused, row
from tests.config.world import NOBODY, Json, World
from tests.patience import limit

Fields = dict[Any, Any]
"""Of a hash, as redis-py takes them."""
NODE = Process("n1", "g1")
FIRST, SECOND = "1" * 32, "2" * 32
ANNAS, BENTS = "a" * 24, "b" * 24
NO_WISHES = {"dnd": False, "cfu": None, "cfb": None, "cfnr": None}
OFFLINE: Json = {"state": "offline", "since": None, "reason": None, "calls": [], "queues": []}


@asynccontextmanager
async def heard(redis: Redis) -> AsyncIterator[list[Json]]:
    """The news of people that were published inside the block, once it is left."""
    news: list[Json] = []
    async with redis.pubsub() as channel:
        await channel.subscribe(keys.PERSON_NEWS)
        await channel.get_message(timeout=5)
        yield news
        while (message := await channel.get_message(timeout=0.1)) is not None:
            news.append(json.loads(message["data"]))


async def person(world: World, name: str = "ext200") -> dict[str, str]:
    found = await world.redis.hgetall(keys.person(world.ids[name]))
    return {str(field): str(value) for field, value in found.items()}


async def shown(client: httpx.AsyncClient, path: str) -> Json:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def with_phone(world: World, name: str = "ext200", since: int = 1_900_000_000) -> str:
    """A phone of an extension that is registered, as the SIP side writes it."""
    phone: str = (await world.create(extension=world.ids[name]))["_id"]
    fields: Fields = {
        "online": "1",
        "expiresAt": int(time.time()) + 600,
        "transport": "udp",
        "since": since,
        "state": "registered",
        "reason": "registered",
    }
    await world.redis.hset(keys.status(phone), mapping=fields)
    return phone


async def takes_part(redis: Redis, extension: str, *calls: str) -> None:
    end = time.time() + keys.CALL_SECONDS
    await redis.zadd(keys.line(extension), dict.fromkeys(calls, end))


async def lives(redis: Redis, process: Process = NODE) -> None:
    lease = json.dumps({"generation": process.generation, "sip": ""})
    await redis.set(keys.node(process.node), lease)


async def waits(redis: Redis, place: str, calls: Sequence[str], process: Process = NODE) -> None:
    for nth, call in enumerate(calls):
        member = f"{call}|{process.node}|{process.generation}"
        await redis.zadd(keys.waiting(place), {member: (time.time() - 30 + nth) * 1000})


async def new_place(client: httpx.AsyncClient, kind: str, members: list[Any]) -> str:
    body = {"number": "700" if kind == "queue" else "600", "name": "Support", "members": members}
    answer = await client.post(f"/pbx/{kind}", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["_id"])


# Wishes in the JSON dialect


async def test_wishes_are_set_shown_and_told(world: World) -> None:
    path = f"/pbx/extension/{world.ids['ext200']}"
    async with heard(world.redis) as news, world.client(AccessLevel.MANAGER) as client:
        before = await shown(client, path)
        assert {name: before[name] for name in NO_WISHES} == NO_WISHES
        change = {"dnd": True, "cfu": "201", "cfnr": "+45 (70) 30-50 50"}
        changed = (await client.patch(path, json=change)).json()
        assert changed == before | change | {"cfnr": "+4570305050"} == await shown(client, path)
        cleared = (await client.patch(path, json={"dnd": False, "cfu": None, "cfnr": ""})).json()
        assert cleared == before
    assert await person(world) == {}
    assert [one["what"] for one in news] == ["dnd", "forward", "forward"] * 2
    assert {one["person"] for one in news} == {world.ids["ext200"]}


async def test_redis_has_the_wishes_as_feature_codes_write_them(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        await client.patch(f"/pbx/extension/{world.ids['ext200']}", json={"dnd": True, "cfb": "*5"})
    stored = await person(world)
    assert abs(float(stored.pop("dndSince")) - time.time()) < 5
    assert stored == {"dnd": "1", "cfb": "*5"}


async def test_an_extension_may_begin_with_wishes(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post("/pbx/extension", json={"number": "300", "name": "Bo", "cfu": "201"})
        assert answer.json()["cfu"] == "201"
        without = await client.post("/pbx/extension", json={"number": "301", "name": "Bo"})
    assert await world.redis.hgetall(keys.person(without.json()["_id"])) == {}


@pytest.mark.parametrize(
    ("body", "path", "check"),
    [
        ({"dnd": "yes"}, "dnd", "format"),
        ({"cfu": "call me"}, "cfu", "format"),
        ({"cfb": 201}, "cfb", "format"),
        ({"cfnr": "112"}, "cfnr", "allowed"),
        ({"cfu": "*78"}, "cfu", "allowed"),
        ({"name": None, "dnd": True}, "name", "required"),
    ],
    ids=str,
)
async def test_what_is_wrong_is_said_and_nothing_is_written(
    world: World, body: Json, path: str, check: str
) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.patch(f"/pbx/extension/{world.ids['ext200']}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["path"], error["check"]) == (422, path, check)
    assert await person(world) == {}


async def test_a_wish_changes_no_etag_and_a_stale_one_sets_no_wish(world: World) -> None:
    path = f"/pbx/extension/{world.ids['ext200']}"
    async with world.client(AccessLevel.MANAGER) as client:
        tag = (await client.get(path)).headers["etag"]
        await world.redis.hset(keys.person(world.ids["ext200"]), "cfu", "201")  # by a feature code
        again = await client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.headers["etag"], again.json()["cfu"]) == (200, tag, "201")
        assert again.headers["cache-control"] == "no-store"
        stale = {"If-Match": f'"{etag((12345,))}"'}
        assert (await client.patch(path, json={"dnd": True}, headers=stale)).status_code == 412
        assert await person(world) == {"cfu": "201"}
        assert (await client.patch(path, json={"dnd": True})).headers["etag"] == tag
        assert (await client.patch(path, json={"name": "A"}, headers={"If-Match": tag})).status_code == 200
    noted = await world.rows("SELECT action, table_name, row_oid FROM audit_log ORDER BY id")
    assert noted == [("update", table, world.ids["ext200"]) for table in ("person", "extension")]


async def test_without_redis_a_wish_is_unknown_and_cannot_be_set(world: World, dead_redis: Redis) -> None:
    path = f"/pbx/extension/{world.ids['ext200']}"
    before = await world.rows("SELECT name, version FROM extension WHERE number = '200'")
    async with world.but(redis=dead_redis).client(AccessLevel.MANAGER) as client:
        answer = await client.get(path)
        assert answer.headers["x-status"] == "unavailable"
        assert [answer.json()[name] for name in (*NO_WISHES, "state")] == [None] * 5
        refusal = await client.patch(path, json={"name": "Other", "dnd": True})
        assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "2")
        created = await client.post("/pbx/extension", json={"number": "300", "name": "B", "cfu": "201"})
        assert created.status_code == 503
        assert await world.rows("SELECT name, version FROM extension WHERE number = '200'") == before
        assert await world.rows("SELECT count(*) FROM extension WHERE number = '300'") == [(0,)]
        assert await world.rows("SELECT count(*) FROM audit_log") == [(0,)]
        assert (await client.patch(path, json={"name": "Other"})).status_code == 200


async def test_a_new_wish_is_an_event_of_the_customer(world: World) -> None:
    path = f"/pbx/extension/{world.ids['ext200']}"
    async with world.client(AccessLevel.MANAGER) as client:
        await client.patch(path, json={"dnd": True})
        await client.patch(path, json={"dnd": True, "cfb": "201"})
        async with asyncio.timeout(limit(5)):
            while await world.redis.xlen(keys.EVENTS) < 2:
                await asyncio.sleep(0.01)
    entries = await world.redis.xrange(keys.EVENTS) or []
    events = [{str(name): value for name, value in (fields or {}).items()} for _, fields in entries]
    about = {"customer": world.ids["acme"], "person": world.ids["ext200"]}
    told = [{name: one[name] for name in ("event", "reason", "callee", *about)} for one in events]
    assert told == [
        {"event": "dnd", "reason": "on", "callee": ""} | about,
        {"event": "forwarded", "reason": "cfb", "callee": "201"} | about,
    ]


# State


async def test_a_person_without_phones_is_offline(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        assert (await shown(client, f"/pbx/extension/{world.ids['ext200']}"))["state"] == OFFLINE


async def test_a_state_follows_phones_wishes_and_calls(world: World) -> None:
    phone, me = await with_phone(world), world.ids["ext200"]
    redis, now = world.redis, time.time()
    async with world.client(AccessLevel.MANAGER) as client:

        async def state() -> tuple[str, Any]:
            found = (await shown(client, f"/pbx/extension/{me}"))["state"]
            return found["state"], found["reason"]

        assert await state() == ("available", None)
        await redis.hset(keys.person(me), mapping={"dnd": "1", "dndSince": f"{now:.3f}"})
        assert await state() == ("dnd", None)
        incoming = new_call(world, FIRST, started_at=now)
        await write(redis, incoming)
        claim: Fields = {"claimCall": FIRST, "claimUntil": f"{now + 30:.3f}", "lastOffer": f"{now:.3f}"}
        await redis.hset(keys.person(me), mapping=claim)
        assert await state() == ("ringing", None)
        await redis.hset(keys.person(me), "claimUntil", f"{now - 1:.3f}")
        assert await state() == ("dnd", None)
        await write(redis, new_call(world, SECOND, caller=Party(phone, "200", "Anna", "udp"), started_at=now))
        await takes_part(redis, me, SECOND)
        assert await state() == ("calling", None)
        await write(redis, answered(incoming))
        await takes_part(redis, me, FIRST)
        assert await state() == ("talking", None)
        await redis.delete(keys.line(me))
        await redis.hset(keys.status(phone), mapping={"online": "0", "reason": "expired"})
        assert await state() == ("offline", "expired")


async def test_a_call_of_a_person_has_its_other_side(world: World) -> None:
    phone, me = await with_phone(world), world.ids["ext200"]
    call = answered(new_call(world, FIRST, caller=Party(phone, "200", "Anna", "udp")))
    await write(world.redis, call)
    await takes_part(world.redis, me, FIRST, SECOND)
    async with world.client(AccessLevel.MANAGER) as client:
        state = (await shown(client, f"/pbx/extension/{me}"))["state"]
    assert state["calls"] == [
        {"_id": FIRST, "state": "answered", "direction": "out", "number": "201", "name": "Bent"}
    ]
    assert state["since"].startswith("20")


async def test_a_person_knows_its_queues_and_which_it_has_left(world: World) -> None:
    me = world.ids["ext200"]
    async with world.client(AccessLevel.MANAGER) as client:
        group = await new_place(client, "group", [me])
        queue = await new_place(client, "queue", [{"group": group}, {"extension": me}])
        path = f"/pbx/extension/{me}"
        assert (await shown(client, path))["state"]["queues"] == [{"_id": queue, "joined": True}]
        await world.redis.hset(keys.person(me), f"out:{queue}", "1")
        assert (await shown(client, path))["state"]["queues"] == [{"_id": queue, "joined": False}]


async def test_a_list_has_live_properties_if_it_is_full(world: World) -> None:
    await with_phone(world)
    await world.redis.hset(keys.person(world.ids["ext201"]), "cfu", "200")
    async with world.client(AccessLevel.MANAGER) as client:
        plain = (await client.get("/pbx/extension")).json()["extensions"]
        full = await client.get("/pbx/extension?full=true&sort=number")
        assert (await client.get("/pbx/extension?full=maybe")).status_code == 400
    assert not {"dnd", "cfu", "state"} & set(plain[0])
    found = [(one["number"], one["cfu"], one["state"]["state"]) for one in full.json()["extensions"]]
    assert found == [("200", None, "available"), ("201", "200", "offline")]
    assert "etag" not in full.headers


# Queues and groups


@pytest.mark.parametrize("kind", ["queue", "group"])
async def test_a_place_shows_its_members_and_who_waits(world: World, kind: str) -> None:
    await with_phone(world)
    await lives(world.redis)
    await write(world.redis, new_call(world, FIRST))
    async with world.client(AccessLevel.MANAGER) as client:
        ids = [world.ids["ext201"], world.ids["ext200"]]
        members = [{"extension": id} for id in ids] if kind == "queue" else ids
        place = await new_place(client, kind, members)
        await waits(world.redis, f"{kind}:{place}", [FIRST, SECOND])
        await waits(world.redis, f"{kind}:{place}", ["3" * 32], Process("n1", "dead"))
        path = f"/pbx/{kind}/{place}"
        plain = await client.get(path)
        whole = await client.get(f"{path}?members=true&callers=1")
        half = await shown(client, f"{path}?callers=true&members=false")
        assert (await client.get(f"{path}?members=some")).status_code == 400
    assert plain.headers["etag"] == whole.headers["etag"].replace("-gzip", "")
    assert not {"memberStates", "callers"} & set(plain.json())
    found = whole.json()
    assert {name: found[name] for name in plain.json()} == plain.json()
    assert [(one["number"], one["state"], one["joined"]) for one in found["memberStates"]] == [
        ("200", "available", True),
        ("201", "offline", True),
    ]
    first, second = found["callers"]
    assert 28 <= first.pop("waitedSeconds") <= 35
    assert first.pop("since").startswith("20")
    assert first == {
        "position": 1, "call": FIRST, "number": "200", "name": "Anna Østergård", "node": "n1"
    }  # fmt: skip
    assert (second["position"], second["call"], second["number"]) == (2, SECOND, None)
    assert "memberStates" not in half and len(half["callers"]) == 2


async def test_without_redis_a_place_shows_that_it_knows_nothing(world: World, dead_redis: Redis) -> None:
    async with world.but(redis=dead_redis).client(AccessLevel.MANAGER) as client:
        queue = await new_place(client, "queue", [{"extension": world.ids["ext200"]}])
        answer = await client.get(f"/pbx/queue/{queue}?members=true&callers=true")
        half = await client.get(f"/pbx/queue/{queue}?members=true")
    assert (answer.status_code, answer.headers["x-status"]) == (200, "unavailable")
    assert (answer.json()["memberStates"], answer.json()["callers"]) == (None, None)
    assert "callers" not in half.json()


async def test_a_foreign_place_is_an_unknown_one(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        body = {"number": "700", "name": "Q", "customer": world.ids["rival"]}
        foreign = (await client.post("/pbx/queue", json=body)).json()["_id"]
    async with world.client(AccessLevel.OWNER) as client:
        answers = [
            (await client.get(f"/pbx/queue/{id}?members=true&callers=true")).text for id in (foreign, NOBODY)
        ]
        changes = [
            (await client.patch(f"/pbx/extension/{id}", json={"dnd": True})).text
            for id in (world.ids["foreign"], NOBODY)
        ]
    assert answers[0] == answers[1]
    assert changes[0] == changes[1]
    assert await person(world, "foreign") == {}


# The row dialect


async def user_path(world: World) -> str:
    return f"{await domain(world)}/users/{await number(world, world.ids['ext200'], 'extension')}"


async def test_a_user_has_wishes_as_rows_spell_them(world: World) -> None:
    path = await user_path(world)
    async with world.client(AccessLevel.MANAGER) as client:
        before = row(await client.get(path))
        assert [before[name] for name in NO_WISHES] == ["0", None, None, None]
        answer = await client.post(path, data={"dnd": "1", "cfu": "201", "cfb": "+4570305050"})
        assert answer.status_code == 204
        after = row(await client.get(path))
        assert [after[name] for name in NO_WISHES] == ["1", "201", "+4570305050", None]
        assert (await client.post(path, data={"dnd": "0", "cfu": ""})).status_code == 204
        assert refused(await client.post(path, data={"dnd": "x", "cfnr": "112"})) == (
            400, "dnd must be 1 or 0; The number 112 is an emergency number"
        )  # fmt: skip
    assert await person(world) == {"cfb": "+4570305050"}


async def test_a_user_on_the_dashboard_has_a_state(world: World) -> None:
    path = await user_path(world)
    await with_phone(world, since=1_790_000_000)
    async with world.client(AccessLevel.MANAGER) as client:
        hidden = row(await client.get(path))
        assert (hidden["state"], hidden["stateSince"], hidden["stateReason"]) == (None, None, None)
        await client.post(path, data={"dashboard": "1"})
        answer = await client.get(path)
        found = row(answer)
        assert (found["state"], found["stateSince"]) == ("available", "2026-09-21 14:13:20")
        assert "etag" in answer.headers and answer.headers["cache-control"] == "no-store"
        few = row(await client.get(f"{path}?display[]=state-doing&display[]=user&display[]=dnd"))
        assert few == {"doing": "available", "user": None, "dnd": "0"}
        listed = await client.get(f"{path.rpartition('/')[0]}?display[]=state")
        assert listed.status_code == 400, "a list reads the database only"


async def test_without_redis_a_user_has_no_state(world: World, dead_redis: Redis) -> None:
    path = await user_path(world)
    async with world.but(redis=dead_redis).client(AccessLevel.MANAGER) as client:
        answer = await client.get(path)
        assert (row(answer)["dnd"], answer.headers["x-status"]) == (None, "unavailable")
        refusal = await client.post(path, data={"displayName": "B", "dnd": "1"})
        assert refusal.status_code == 503
    assert await world.rows("SELECT name FROM extension WHERE number = '200' AND name = 'B'") == []


async def test_a_user_may_begin_with_wishes(world: World) -> None:
    path = f"{await domain(world)}/users"
    async with world.client(AccessLevel.MANAGER) as client:
        id = await made(client, path, **JOE, dnd="1", cfnr="201")
        found = row(await client.get(f"{path}/{id}"))
    assert [found[name] for name in NO_WISHES] == ["1", None, None, "201"]


# The documentation


async def test_the_documentation_has_the_live_properties_where_they_are_shown(world: World) -> None:
    async with world.client(None) as client:
        api = (await client.get("/openapi.json")).json()
    paths, schemas = api["paths"], api["components"]["schemas"]
    for kind in ("queue", "group"):
        named = {one["name"] for one in paths[f"/pbx/{kind}/{{id}}"]["get"]["parameters"]}
        assert {"members", "callers"} <= named
        assert {"memberStates", "callers"} <= set(schemas[kind.capitalize()]["properties"])
    assert set(NO_WISHES) | {"state"} <= set(schemas["Extension"]["required"])
    assert "full" in {one["name"] for one in paths["/pbx/extension"]["get"]["parameters"]}
    body = paths["/pbx/extension/{id}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    change = schemas[body["$ref"].rpartition("/")[2]] if "$ref" in body else body
    assert set(NO_WISHES) <= set(change["properties"]) and "state" not in change["properties"]


async def test_what_a_deleted_person_wanted_goes_with_it(world: World) -> None:
    """In both dialects; a person whose deletion is refused keeps it."""
    async with world.client(AccessLevel.MANAGER) as client:
        people = [world.ids["ext200"], world.ids["ext201"]]
        for person in people:
            answer = await client.patch(f"/pbx/extension/{person}", json={"dnd": True})
            assert answer.status_code == 200, answer.text
        assert await world.redis.exists(*map(keys.person, people)) == 2
        stale = {"If-Match": '"999"'}
        assert (await client.delete(f"/pbx/extension/{people[0]}", headers=stale)).status_code == 412
        assert await world.redis.exists(*map(keys.person, people)) == 2
        assert (await client.delete(f"/pbx/extension/{people[0]}")).status_code == 200
        assert await world.redis.exists(*map(keys.person, people)) == 1
        path = f"{await domain(world)}/users/{await number(world, people[1], 'extension')}"
        assert (await client.delete(path)).status_code == 204
    assert await world.redis.exists(*map(keys.person, people)) == 0


async def test_a_person_can_be_deleted_while_redis_is_away(world: World, dead_redis: Redis) -> None:
    async with world.but(redis=dead_redis).client(AccessLevel.MANAGER) as client:
        assert (await client.delete(f"/pbx/extension/{world.ids['ext201']}")).status_code == 200
