"""What the SIP side hears, and when: never before it can read the change."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config.access import AccessLevel
from config.changes import MAX_WAITING, RETRY_SECONDS, Changes, Noted
from registrar.model import Change
from registrar.store import keys
from tests.config.v2 import MEMBER, QUEUE, SALES, domain, made, number
from tests.config.world import MODEL, World


@asynccontextmanager
async def heard(redis: Redis, silence: float = 0.2) -> AsyncIterator[list[str]]:
    """The words on the channel, without the numbers of rows, read until a silence at the end."""
    words: list[str] = []
    async with redis.pubsub() as subscription:
        await subscription.subscribe(keys.CHANGED)
        await subscription.get_message(timeout=1)
        yield words
        while message := await subscription.get_message(ignore_subscribe_messages=True, timeout=silence):
            if not message["data"].startswith("rows "):
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


async def test_each_change_of_an_extension_is_announced_also_when_it_has_no_phone(world: World) -> None:
    """Whoever dialled its number in vain, or reached it, must hear of it."""
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        created = (await client.post("/pbx/extension", json={"number": "300", "name": "Front"})).json()
        path = f"/pbx/extension/{created['_id']}"
        for change in ({"number": "301"}, {"name": "Back"}):
            assert (await client.patch(path, json=change)).status_code == 200
        assert (await client.delete(path)).status_code == 200
    assert words == [f"dialplan {world.ids['acme']}"] * 4


async def test_a_sip_user_is_announced_also_when_its_extension_has_lost_it(world: World) -> None:
    """Its bindings must end."""
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        user = {"sipUser": "front", "sipPassword": "correct-horse-battery"}
        body = {"number": "300", "name": "Front"} | user
        created = (await client.post("/pbx/extension", json=body)).json()
        path = f"/pbx/extension/{created['_id']}"
        ((id,),) = await world.rows("SELECT id FROM extension WHERE oid = :oid", oid=created["_id"])
        for change in ({"sipUser": None}, {"name": "Back"}):
            assert (await client.patch(path, json=change)).status_code == 200
    dial_plan = f"dialplan {world.ids['acme']}"
    assert words == [f"phone u{id}", dial_plan, f"phone u{id}", dial_plan, dial_plan]


@pytest.mark.parametrize("kind", ["group", "queue"])
async def test_each_change_of_a_group_or_a_queue_is_announced(world: World, kind: str) -> None:
    member: object = world.ids["ext200"] if kind == "group" else {"extension": world.ids["ext200"]}
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        created = (await client.post(f"/pbx/{kind}", json={"number": "600", "name": "Sales"})).json()
        path = f"/pbx/{kind}/{created['_id']}"
        for change in ({"number": "601"}, {"members": [member]}):
            assert (await client.patch(path, json=change)).status_code == 200
        assert (await client.delete(path)).status_code == 200
    assert words == [f"dialplan {world.ids['acme']}"] * 4


async def test_each_change_of_a_group_or_a_queue_by_rows_is_announced(world: World) -> None:
    path = await domain(world)
    user = await number(world, world.ids["ext200"], "extension")
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        group = f"{path}/groups/{await made(client, f'{path}/groups', **SALES)}"
        queue = f"{path}/queues/{await made(client, f'{path}/queues', **QUEUE)}"
        members = f"{queue}/members"
        group_id = group.rpartition("/")[2]
        member = await made(client, members, groupId=group_id, **MEMBER)
        for method, changed, body in (
            ("POST", group, {"extensionNumber": "601"}),
            ("POST", f"{group}/users", {"userSpec": user}),
            ("DELETE", f"{group}/users", {"userSpec": user}),
            ("POST", f"{path}/users/{user}/groups", {"groupSpec": group_id}),
            ("POST", queue, {"extensionNumber": "701"}),
            ("POST", f"{members}/{member}", {"ringSecs": "30"}),
            ("PUT", f"{members}/order", {"queueMemberId": member}),
            ("DELETE", f"{members}/{member}", {}),
            ("DELETE", queue, {}),
            ("DELETE", group, {}),
        ):
            answer = await client.request(method, changed, data=body)
            assert answer.status_code == 204, (method, changed, answer.text)
    assert words == [f"dialplan {world.ids['acme']}"] * 13


async def test_a_phone_that_moves_to_another_extension_is_announced(world: World) -> None:
    phone = await world.create(extension=world.ids["ext200"])
    async with heard(world.redis) as words, world.client() as client:
        for extension in (world.ids["ext201"], None):
            path = f"/pbx/sipphone/{phone['_id']}"
            assert (await client.patch(path, json={"extension": extension})).status_code == 200
    assert words == [f"phone {phone['_id']}"] * 2


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
        await Changes(redis).publish(Noted((Change(customer="c1"),)))
    assert words == ["customer c1"]


def other_tasks() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@asynccontextmanager
async def coming_back(
    redis: Redis, dead_redis: Redis, socket: Path, folder: Path
) -> AsyncIterator[tuple[Changes, list[str]]]:
    """Changes that meet a Redis that is away until the end of the block, and what is heard then."""
    before = other_tasks()
    changes = Changes(dead_redis)
    try:
        async with heard(redis, silence=2 * RETRY_SECONDS) as words:
            yield changes, words
            (folder / "nobody").symlink_to(socket)
        assert other_tasks() == before  # nothing is left to do
    finally:
        await changes.close()


async def test_what_could_not_be_announced_is_announced_later(
    redis: Redis, dead_redis: Redis, valkey_socket: Path, tmp_path: Path
) -> None:
    async with coming_back(redis, dead_redis, valkey_socket, tmp_path) as (changes, words):
        for change in (Change(phones=("p1", "p2")), Change(customer="c1"), Change(phones=("p1", "p2"))):
            await changes.publish(Noted((change,)))
    assert words == ["phone p1 p2", "customer c1"]


async def test_too_much_to_announce_becomes_one_word(
    redis: Redis, dead_redis: Redis, valkey_socket: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many = tuple(f"p{number}" for number in range(MAX_WAITING))
    async with coming_back(redis, dead_redis, valkey_socket, tmp_path) as (changes, words):
        await changes.publish(Noted((Change(phones=many),)))
        assert [record for record in caplog.records if record.levelno == logging.ERROR] == []
        for late in ("one", "two"):
            await changes.publish(Noted((Change(phones=(late,)),)))
    assert words == ["everybody"]
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


async def test_a_stalled_redis_hears_of_it_when_it_goes_on(redis: Redis) -> None:
    changes = Changes(redis)
    async with heard(redis, silence=3) as words:
        await redis.execute_command("CLIENT", "PAUSE", 1_500, "ALL")  # type: ignore[no-untyped-call]
        await changes.publish(Noted((Change(phones=("p1",)),)))
    await changes.close()
    assert set(words) == {"phone p1"}


async def test_nothing_goes_on_after_the_close(dead_redis: Redis) -> None:
    before = other_tasks()
    changes = Changes(dead_redis)
    await changes.publish(Noted((Change(phones=("p1",)),)))
    assert len(other_tasks() - before) == 1
    await changes.close()
    await changes.close()
    assert other_tasks() == before
