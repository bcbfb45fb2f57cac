"""The filters by state of the list of phones, their summary, and refusals by address."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import httpx
import pytest
from redis.asyncio import Redis

from config import summaries
from config.access import AccessLevel
from config.clock import epoch_now
from config.registrations import AT_ONCE, Registrations
from config.wanted import State, Wanted
from registrar.store import keys, refusals_redis
from registrar.store.script_runner import ClientRunner
from registrar.store.scripts import PLACE
from registrar.store.state_index import StateIndex
from tests.config.world import NOBODY, Json, World

NOW = int(time.time())
NAMES = ("udp", "tls", "expired", "refused", "never")


async def place(redis: Redis, customer: str, phone: str, reason: str, transport: str) -> None:
    """Write an entry as the SIP side does."""
    words = (phone, 1, reason, transport, "*")
    await redis.eval(PLACE.text, 3, *keys.states(customer), *words)


@pytest.fixture
async def phones(world: World) -> World:
    """Five phones of acme in every state, and two of its rival."""
    acme, rival = world.ids["acme"], world.ids["rival"]
    ids = {name: (await world.create(notes=name))["_id"] for name in NAMES}
    foreign = [(await world.create(notes="foreign", customer=rival))["_id"] for _ in range(2)]
    await place(world.redis, acme, ids["udp"], "registered", "udp")
    await place(world.redis, acme, ids["tls"], "registered", "tls")
    await place(world.redis, acme, ids["expired"], "expired", "udp")
    await place(world.redis, acme, ids["refused"], "ip-rejected", "")
    await place(world.redis, acme, "u7", "registered", "wss")
    await place(world.redis, rival, foreign[0], "registered", "udp")
    await world.redis.set(keys.STATES_CHECKED, str(NOW))
    return world


async def listed(world: World, customer: str | None = "acme", **params: str) -> tuple[int, list[str]]:
    """The total, and the notes of the phones on the page."""
    level = AccessLevel.VIEWER if customer else AccessLevel.ADMIN
    async with world.client(level, customer) as client:
        answer = await client.get("/pbx/sipphone", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["total"], [phone["notes"] for phone in answer.json()["sipPhones"]]


CASES: Final[list[tuple[dict[str, str], list[str]]]] = [
    ({"state": "registered"}, ["udp", "tls"]),
    ({"state": "Offline"}, ["expired", "refused"]),
    ({"state": "never"}, ["never"]),
    ({"online": "true"}, ["udp", "tls"]),
    ({"online": "0"}, ["expired", "refused", "never"]),
    ({"online": ""}, list(NAMES)),
    ({"transport": "udp"}, ["udp", "expired"]),
    ({"transport": "udp", "online": "false"}, ["expired"]),
    ({"reason": "expired"}, ["expired"]),
    ({"reason": "registered", "transport": "tls"}, ["tls"]),
    ({"reason": "revoked"}, []),
    ({"state": "never", "transport": "udp"}, []),
    ({"state": "never", "online": "true"}, []),
    ({"state": "never", "online": "false"}, ["never"]),
    ({"state": "registered", "online": "false"}, []),
    ({"online": "false", "filter": "re"}, ["expired", "refused"]),
    ({"state": "registered", "filter": "nothing"}, []),
    ({"state": "never", "full": "true", "available": "true"}, ["never"]),
]


async def test_the_list_filters_by_state(phones: World) -> None:
    for params, notes in CASES:
        assert await listed(phones, **params) == (len(notes), notes), params


async def test_a_filtered_list_has_pages(phones: World) -> None:
    assert await listed(phones, online="false", limit="1", offset="1") == (3, ["refused"])
    assert await listed(phones, online="false", limit="2", offset="5") == (3, [])


async def test_a_token_of_no_customer_filters_all_phones(phones: World) -> None:
    assert await listed(phones, None, transport="udp") == (3, ["udp", "expired", "foreign"])
    assert await listed(phones, None, state="never") == (2, ["never", "foreign"])


async def test_an_unknown_word_is_refused(world: World) -> None:
    told = {
        "state": "state must be one of registered, offline, never",
        "reason": "reason must be one of registered, unregistered, expired, socket-closed, ping-timeout",
        "transport": "transport must be one of udp, tcp, tls, ws, wss",
        "online": "online must be true or false",
    }
    async with world.client() as client:
        for name, message in told.items():
            answer = await client.get("/pbx/sipphone", params={name: "x"})
            assert answer.status_code == 400
            assert answer.json()["error"]["message"].startswith(message)


async def summary(world: World, level: AccessLevel, customer: str | None = "acme", **params: str) -> Json:
    async with world.client(level, customer) as client:
        answer = await client.get("/pbx/sipphone/summary", params=params)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


async def test_the_summary_counts_phones_by_state(phones: World) -> None:
    await phones.redis.zadd(keys.calls(phones.ids["acme"]), {"a" * 32: NOW + 86_400, "b" * 32: NOW - 1})
    assert await summary(phones, AccessLevel.VIEWER) == {
        "total": 5,
        "online": 2,
        "offline": 2,
        "neverRegistered": 1,
        "reasons": {
            "unregistered": 0,
            "expired": 1,
            "socket-closed": 0,
            "ping-timeout": 0,
            "revoked": 0,
            "ip-rejected": 1,
            "node-lost": 0,
        },
        "transports": {"udp": 1, "tcp": 0, "tls": 1, "ws": 0, "wss": 0},
        "refusedLastHour": 0,
        "wrongPasswordsLastHour": 0,
        "calls": 1,
        "complete": True,
    }


async def test_the_summary_of_all_customers_is_the_sum(phones: World) -> None:
    every = await summary(phones, AccessLevel.ADMIN, None)
    assert (every["total"], every["online"], every["neverRegistered"]) == (7, 3, 2)
    assert (await summary(phones, AccessLevel.ADMIN))["total"] == 5


async def test_a_customer_sees_its_own_phones_only(phones: World) -> None:
    async with phones.client(AccessLevel.OWNER, "rival") as client:
        own = await client.get("/pbx/sipphone/summary")
        foreign = await client.get("/pbx/sipphone/summary", params={"customer": phones.ids["acme"]})
        unknown = await client.get("/pbx/sipphone/summary", params={"customer": NOBODY})
        sources = await client.get("/pbx/sipphone/refusals", params={"customer": phones.ids["acme"]})
    assert (own.json()["total"], own.json()["online"]) == (2, 1)
    assert foreign.status_code == unknown.status_code == sources.status_code == 403


async def test_a_reseller_names_its_customer(phones: World) -> None:
    async with phones.client(AccessLevel.RESELLER, "reseller") as client:
        answer = await client.get("/pbx/sipphone/summary", params={"customer": phones.ids["acme"]})
    assert answer.json()["online"] == 2


async def test_an_index_that_is_being_built_says_so(phones: World) -> None:
    await phones.redis.delete(keys.STATES_CHECKED)
    assert (await summary(phones, AccessLevel.VIEWER))["complete"] is False


async def test_a_part_that_is_built_again_is_not_complete_and_the_others_are(phones: World) -> None:
    acme, rival = (phones.ids[name] for name in ("acme", "rival"))
    index = StateIndex(ClientRunner(phones.redis))
    await index.clear(acme, "mark")
    await place(phones.redis, acme, "u7", "registered", "udp")
    assert (await summary(phones, AccessLevel.VIEWER))["complete"] is False
    assert (await summary(phones, AccessLevel.ADMIN, None))["complete"] is False
    assert (await summary(phones, AccessLevel.VIEWER, "rival"))["complete"] is True
    assert (await listed(phones, state="registered"))[0] == 0
    await index.built(acme, "mark")
    assert (await summary(phones, AccessLevel.VIEWER))["complete"] is True
    assert await index.agrees(acme) and await index.agrees(rival)


async def asked_often(client: httpx.AsyncClient, world: World, params: dict[str, str]) -> int:
    """The commands of Redis for ten requests after the first one."""
    assert (await client.get("/pbx/sipphone/summary", params=params)).status_code == 200
    before = await commands(world.redis)
    answers = await asyncio.gather(*(client.get("/pbx/sipphone/summary", params=params) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    return await commands(world.redis) - before


async def commands(redis: Redis) -> int:
    """How many commands Redis has executed for summaries."""
    stats = await redis.info("commandstats")
    return sum(
        stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("hgetall", "zcount", "exists")
    )


@pytest.mark.parametrize("params", [{}, {"customer": "all"}])
async def test_many_requests_in_a_second_read_the_numbers_once(
    phones: World, params: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "KEPT_SECONDS", 3_600.0)
    async with phones.client(AccessLevel.RESELLER, "reseller") as client:
        assert await asked_often(client, phones, params) == 0
    async with phones.client(AccessLevel.ADMIN) as client:
        assert await asked_often(client, phones, params) == 0
        await place(phones.redis, phones.ids["below"], "0" * 24, "registered", "udp")
        other = await client.get("/pbx/sipphone/summary", params={"customer": phones.ids["below"]})
    assert other.json()["online"] == 1, "another set of customers has numbers of its own"


async def test_numbers_that_are_kept_are_not_for_callers_who_may_not_see_them(
    phones: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "KEPT_SECONDS", 3_600.0)
    app = phones.app()
    online: dict[str, object] = {}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        for level, customer in (
            (AccessLevel.ADMIN, "acme"),
            (AccessLevel.RESELLER, "reseller"),
            (AccessLevel.RESELLER, "rival"),
            (AccessLevel.OWNER, "acme"),
            (AccessLevel.OWNER, "below"),
        ):
            headers = {"Authorization": f"Bearer {phones.token(level, customer)}"}
            answer = await client.get("/pbx/sipphone/summary?customer=all", headers=headers)
            online[f"{level.name} {customer}"] = answer.json()["online"]
        headers = {"Authorization": f"Bearer {phones.token(AccessLevel.OWNER, 'rival')}"}
        path = f"/pbx/sipphone/summary?customer={phones.ids['acme']}"
        assert (await client.get(path, headers=headers)).status_code == 403
    await app.state.parts.changes.close()
    assert online == {
        "ADMIN acme": 3,
        "RESELLER reseller": 2,
        "RESELLER rival": 1,
        "OWNER acme": 2,
        "OWNER below": 0,
    }


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/pbx/sipphone/summary", {}),
        ("/pbx/sipphone/refusals", {}),
        ("/pbx/sipphone", {"state": "offline"}),
    ],
)
async def test_without_redis_the_answer_is_503(
    world: World, dead_redis: Redis, path: str, params: dict[str, str]
) -> None:
    async with world.but(redis=dead_redis).client() as client:
        assert (await client.get(path, params=params)).status_code == 503


async def test_a_long_list_of_members_is_read_in_pieces(world: World) -> None:
    acme = world.ids["acme"]
    many = 2 * AT_ONCE + 3
    names = {f"p registered udp {number:024x}": 0 for number in range(many)}
    await world.redis.zadd(keys.states(acme)[1], names)
    await world.redis.hset(keys.states(acme)[2], "p registered udp", str(many))
    await world.redis.hset(keys.states(acme)[2], "nonsense", "x")
    reader = Registrations(world.redis, epoch_now)
    found = await reader.select([acme], Wanted(State.REGISTERED))
    assert list(found.ids) == [name.split(" ")[3] for name in names]
    assert (await listed(world, state="never"))[0] == 0


# Refusals


async def refuse(
    redis: Redis, customer: str, ago: int, address: str, phones: Sequence[str], why: str = "ip-locked"
) -> None:
    runner = ClientRunner(redis)
    for phone in phones:
        words = (customer, phone, address, why, int(time.time()) - ago)
        refusals_redis.note(runner, *words, wrong=why == "wrong-password")
    await asyncio.gather(*runner._told)


async def sources(world: World, customer: str | None = "acme", **params: str) -> list[Json]:
    async with world.client(AccessLevel.ADMIN, customer) as client:
        answer = await client.get("/pbx/sipphone/refusals", params=params)
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()
    return found


async def test_refusals_are_told_by_address(world: World) -> None:
    acme = world.ids["acme"]
    await refuse(world.redis, acme, 7_000, "203.0.113.9", ["p1", "p2", "p1"])
    await refuse(world.redis, acme, 60, "203.0.113.9", ["p1"], "wrong-password")
    await refuse(world.redis, acme, 120, "2001:db8::1", [f"p{number}" for number in range(12)])
    first, second = await sources(world)
    assert (first["address"], first["count"]) == ("203.0.113.9", 4)
    assert first["reasons"] == {"ip-locked": 3, "wrong-password": 1}
    assert first["phones"] == ["p1", "p2"]
    assert first["first"] < first["last"]
    assert (second["address"], second["count"], len(second["phones"])) == ("2001:db8::1", 12, 10)
    numbers = await summary(world, AccessLevel.VIEWER)
    assert (numbers["refusedLastHour"], numbers["wrongPasswordsLastHour"]) == (12, 1)


async def test_refusals_since_a_moment(world: World) -> None:
    acme = world.ids["acme"]
    await refuse(world.redis, acme, 7_000, "203.0.113.9", ["p1"])
    await refuse(world.redis, acme, 60, "203.0.113.10", ["p1"])
    since = datetime.fromtimestamp(time.time() - 600, UTC).isoformat()
    assert [one["address"] for one in await sources(world, since=since)] == ["203.0.113.10"]
    assert [one["address"] for one in await sources(world, limit="1")] == ["203.0.113.10"]
    async with world.client() as client:
        bad = await client.get("/pbx/sipphone/refusals", params={"since": "yesterday"})
    assert bad.status_code == 400


async def test_refusals_of_two_customers_from_one_address_are_one_source(world: World) -> None:
    for customer in ("acme", "rival"):
        await refuse(world.redis, world.ids[customer], 60, "203.0.113.9", [f"phone of {customer}"])
    (source,) = await sources(world, None)
    assert (source["count"], source["reasons"]) == (2, {"ip-locked": 2})
    assert source["phones"] == ["phone of acme", "phone of rival"]


async def test_the_index_of_refusals_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = world.ids["acme"]
    monkeypatch.setattr(refusals_redis, "MAX_ADDRESSES", 3)
    await refuse(world.redis, acme, 2 * 86_400, "198.51.100.1", ["p1"])
    for number in range(5):
        await refuse(world.redis, acme, 60 - number, f"203.0.113.{number}", ["p1"])
    assert [one["address"][-1] for one in await sources(world)] == ["4", "3", "2"]
    assert await world.redis.hlen(keys.refusals(acme)[0]) == 3
    for key in keys.refusals(acme):
        assert 0 < await world.redis.ttl(key) <= 86_400


async def test_a_malformed_entry_is_left_out(world: World) -> None:
    acme = world.ids["acme"]
    await refuse(world.redis, acme, 60, "203.0.113.9", ["p1"])
    states, order, _ = keys.refusals(acme)
    for number, text in enumerate(["", "[]", json.dumps({"reasons": []}), "{"]):
        await world.redis.hset(states, f"a{number}", text)
        await world.redis.zadd(order, {f"a{number}": NOW})
    assert [one["address"] for one in await sources(world)] == ["203.0.113.9"]
