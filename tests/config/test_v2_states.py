"""The filters of the list of users by the states of their devices."""

from typing import Final

import pytest
from redis.asyncio import Redis

from config.access import AccessLevel
from registrar.store import keys
from registrar.store.scripts import PLACE
from tests.config.v2 import domain, made, refused, rows
from tests.config.world import World

USERS = ("phone", "own", "both", "offline", "expired", "never")


async def place(world: World, id: str, reason: str, transport: str) -> None:
    """Write an entry as the SIP side does."""
    await world.redis.eval(PLACE.text, 3, *keys.states(world.ids["acme"]), id, 1, reason, transport, "*")


@pytest.fixture
async def users(world: World) -> World:
    """Users of acme with devices in every state; those that every world has are `never`."""
    async with world.client() as client:
        path = f"{await domain(world)}/users"
        ids = {}
        for place_of, name in enumerate(USERS):
            sent = {"user": name, "password": f"the secret of {name}", "displayName": name}
            ids[name] = await made(client, path, **sent, extensionNumber=f"30{place_of}")
    for name, reason, transport in [
        ("phone", "registered", "tls"),
        ("both", "revoked", "udp"),
        ("expired", "expired", "tcp"),
    ]:
        ((extension,),) = await world.rows("SELECT oid FROM extension WHERE id = :id", id=int(ids[name]))
        await place(world, (await world.create(extension=extension))["_id"], reason, transport)
    await place(world, f"u{ids['own']}", "registered", "wss")
    await place(world, f"u{ids['both']}", "registered", "udp")
    await place(world, f"u{ids['offline']}", "node-lost", "wss")
    return world


CASES: Final[list[tuple[dict[str, str], list[str]]]] = [
    ({"state": "registered"}, ["phone", "own", "both"]),
    ({"online": "1"}, ["phone", "own", "both"]),
    ({"state": "offline"}, ["offline", "expired"]),
    ({"state": "never"}, ["never"]),
    ({"online": "false"}, ["offline", "expired", "never"]),
    ({"transport": "udp"}, ["both"]),
    ({"transport": "wss"}, ["own", "offline"]),
    ({"transport": "wss", "online": "true"}, ["own"]),
    ({"reason": "revoked"}, ["both"]),
    ({"reason": "revoked", "online": "false"}, []),
    ({"reason": "expired", "online": "false"}, ["expired"]),
    ({"state": "never", "online": "true"}, []),
    ({"state": "never", "reason": "expired"}, []),
    ({"state": "never", "online": "false"}, ["never"]),
    ({"online": "true", "filter[]": "user-like-value-o"}, ["phone", "own", "both"]),
    ({"online": "true", "filter[]": "user-eq-value-own"}, ["own"]),
    ({"online": "true", "limit": "1", "offset": "1"}, ["own"]),
]


async def test_the_list_filters_by_the_states_of_devices(users: World) -> None:
    path = f"{await domain(users)}/users"
    async with users.client() as client:
        for params, names in CASES:
            answer = await client.get(path, params=params)
            assert [row["user"] for row in rows(answer) if row["user"] in USERS] == names, params
        answer = await client.get(path, params={"online": "true", "limit": "1"})
    assert answer.headers["X-Total-Count"] == "3"


async def test_an_unknown_word_is_refused(world: World) -> None:
    path = f"{await domain(world)}/users"
    async with world.client() as client:
        for word in ("state", "reason", "transport", "online"):
            status, message = refused(await client.get(path, params={word: "x"}))
            assert (status, f"{word} must be " in message) == (400, True)


async def test_without_redis_the_answer_is_503(world: World, dead_redis: Redis) -> None:
    path = f"{await domain(world)}/users"
    async with world.but(redis=dead_redis).client() as client:
        assert (await client.get(path, params={"state": "offline"})).status_code == 503
        assert (await client.get(path)).status_code == 200


async def test_a_foreign_domain_is_not_found(world: World) -> None:
    path = f"{await domain(world)}/users"
    async with world.client(AccessLevel.OWNER, "rival") as client:
        assert (await client.get(path, params={"online": "true"})).status_code == 404
