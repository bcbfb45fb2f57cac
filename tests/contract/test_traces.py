"""What is remembered of wrong passwords in Redis: a count, and one entry of the journal an hour."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from registrar.model import WrongPasswords
from registrar.store import keys
from registrar.store.script_runner import ClientRunner
from registrar.store.traces_redis import RedisTraces
from tests.contract.servers import Server, client

NOW = 1_790_000_000
STATUS, JOURNAL = "registrar:status:{p}", "registrar:journal:{p}"


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    async with client(server) as opened:
        yield opened


async def wrong(redis: Redis, after: int, count: int = 1, ip: str = "198.51.100.7") -> None:
    traces = RedisTraces(ClientRunner(redis))
    await traces.wrong_passwords(WrongPasswords("p", "acme", count, NOW + after, ip, 5060, "udp", "Evil/1"))
    await asyncio.sleep(0.05)


async def entries(redis: Redis, key: str = JOURNAL) -> list[dict[str, str]]:
    found: list[tuple[str, dict[str, str]]] = await redis.xrange(key)  # type: ignore[assignment]  # it decodes
    return [fields for _, fields in found]


async def test_the_status_says_who_when_and_how_often(redis: Redis) -> None:
    await wrong(redis, 0)
    await wrong(redis, 60, 13, "203.0.113.9")
    status: dict[str, str] = await redis.hgetall(STATUS)  # type: ignore[assignment]  # it decodes
    assert {name: status[name] for name in status if name.startswith(("last", "wrong"))} == {
        "lastRejectedAt": str(NOW + 60),
        "lastRejectedIp": "203.0.113.9",
        "lastRejectedReason": "wrong-password",
        "wrongPasswordsAt": str(NOW + 60),
        "wrongPasswordsSince": str(NOW),
        "wrongPasswords": "14",
        "wrongPasswordsTold": str(NOW),
        "wrongPasswordsUntold": "13",
    }
    assert 0 < await redis.ttl(STATUS) <= 30 * 86_400


@pytest.mark.parametrize("later", [0, 1])
async def test_a_refusal_for_another_reason_since_then_stays(redis: Redis, later: int) -> None:
    """What is written here comes up to a second after its answer, a refusal of another kind with its own."""
    mine = {
        "lastRejectedAt": str(NOW + later),
        "lastRejectedIp": "203.0.113.9",
        "lastRejectedReason": "blocked",
    }
    for name, value in mine.items():
        await redis.hset(STATUS, name, value)
    await wrong(redis, 0)
    assert await redis.hmget(STATUS, *mine) == list(mine.values())
    assert await redis.hget(STATUS, "wrongPasswords") == "1"
    await wrong(redis, later + 1)
    assert await redis.hget(STATUS, "lastRejectedReason") == "wrong-password"


async def test_an_hour_without_one_begins_a_new_count(redis: Redis) -> None:
    await wrong(redis, 0, 5)
    await wrong(redis, 3_601)
    assert await redis.hmget(STATUS, "wrongPasswords", "wrongPasswordsSince") == ["1", str(NOW + 3_601)]


async def test_the_journal_has_one_entry_an_hour_with_the_count_of_those_before(redis: Redis) -> None:
    for minutes in range(0, 150, 10):
        await wrong(redis, 60 * minutes, 2)
    found = await entries(redis)
    assert [(entry["time"], entry["count"]) for entry in found] == [
        (str(NOW), "2"),
        (str(NOW + 3_600), "12"),
        (str(NOW + 7_200), "12"),
    ]
    assert {(entry["event"], entry["reason"], entry["ip"], entry["userAgent"]) for entry in found} == {
        ("rejected", "wrong-password", "198.51.100.7", "Evil/1")
    }
    told = await entries(redis, "registrar:events")
    assert [(entry["phone"], entry["customer"], entry["count"]) for entry in told] == [
        ("p", "acme", "2"),
        ("p", "acme", "12"),
        ("p", "acme", "12"),
    ]


async def test_a_status_that_is_kept_longer_is_not_shortened(redis: Redis) -> None:
    await redis.hset(STATUS, mapping={"online": "1", "reason": "registered"})
    await redis.expire(STATUS, 40 * 86_400)
    await wrong(redis, 0)
    assert await redis.ttl(STATUS) > 30 * 86_400
    assert await redis.hget(STATUS, "reason") == "registered"


async def test_the_index_of_refusals_counts_each_of_them_under_its_address(redis: Redis) -> None:
    await wrong(redis, 0, 2)
    await wrong(redis, 60, 13, "203.0.113.9")
    await wrong(redis, 120, 3, "203.0.113.9")
    entries, order, minutes = keys.refusals("acme")
    entry = json.loads(str(await redis.hget(entries, "203.0.113.9")))
    assert entry == {
        "first": NOW + 60,
        "last": NOW + 120,
        "count": 16,
        "reasons": {"wrong-password": 16},
        "phones": ["p"],
    }
    assert await redis.zrange(order, 0, -1, withscores=True) == [
        ("198.51.100.7", NOW),
        ("203.0.113.9", NOW + 120),
    ]
    places = [f"w{(NOW // 60 + after) % 60}" for after in range(3)]
    assert await redis.hmget(minutes, *places) == [
        f"{NOW // 60 + after} {count}" for after, count in enumerate((2, 13, 3))
    ]
    await wrong(redis, 3_600, 1)
    assert await redis.hget(minutes, places[0]) == f"{NOW // 60 + 60} 1", (
        "an hour later the place begins again"
    )


async def test_people_who_log_in_have_no_index_of_refusals(redis: Redis) -> None:
    traces = RedisTraces(ClientRunner(redis), people=True)
    await traces.wrong_passwords(WrongPasswords("p", "acme", 1, NOW, "198.51.100.7"))
    await asyncio.sleep(0.05)
    assert not await redis.exists(*keys.refusals("acme"))
