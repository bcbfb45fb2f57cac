"""ETag, If-Match and If-None-Match on everything that has an id, in both dialects."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from config.access import AccessLevel
from config.preconditions import etag
from registrar.store.directory_sql import SqlPhones
from tests.config.v2 import DEVICE, JOE, MEMBER, QUEUE, SALES, domain, made, number
from tests.config.world import MODEL, Json, World

STALE: Final = '"no-such-version"'
JSON_DIALECT: Final = {
    "/pbx/extension": ({"number": "300", "name": "Bo"}, {"name": "Bo B."}),
    "/pbx/group": ({"number": "600", "name": "sales"}, {"name": "Sales"}),
    "/pbx/queue": ({"number": "700", "name": "waiting"}, {"name": "Waiting"}),
    "/employee": ({"name": "Bo"}, {"title": "Clerk"}),
    "/customer": ({"name": "New"}, {"name": "Newer"}),
    "/product": ({"type": "SIDE_PANEL", "productCode": "x", "name": "X"}, {"price": 2.5}),
    "/pbx/sipphone": ({"sipPhoneModel": MODEL["generic"]}, {"notes": "hall"}),
}
"""Path of a resource -> what makes one, and what changes it."""
LIVE: Final = ("/pbx/sipphone", "/pbx/extension")
"""Those that are shown with what is in Redis."""


@dataclass(frozen=True)
class Thing:
    """Something that was made: where it is read, and how it is changed."""

    path: str
    change: Callable[[httpx.AsyncClient, dict[str, str]], Awaitable[httpx.Response]]


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client(AccessLevel.ADMIN) as found:
        yield found


async def json_thing(client: httpx.AsyncClient, path: str) -> Thing:
    sent, change = JSON_DIALECT[path]
    created = await client.post(path, json=sent)
    assert created.status_code == 200, created.text
    one = f"{path}/{created.json()['_id']}"
    assert created.headers["etag"] == (await client.get(one)).headers["etag"]
    return Thing(one, lambda client, headers: client.patch(one, json=change, headers=headers))


def posting(path: str, **change: str) -> Thing:
    return Thing(path, lambda client, headers: client.post(path, data=change, headers=headers))


async def row_things(world: World, client: httpx.AsyncClient) -> dict[str, Thing]:
    """One of each kind of row that can be changed."""
    top = await domain(world)
    user = await made(client, f"{top}/users", **JOE)
    group = await made(client, f"{top}/groups", **SALES)
    queue = await made(client, f"{top}/queues", **QUEUE)
    members = f"{top}/queues/{queue}/members"
    member = await made(client, members, groupId=group, **MEMBER)
    network = await made(client, f"{top}/trustedNetworks", network="10.0.0.0/8")
    device = await made(client, f"{top}/devices", **DEVICE)
    return {
        "domain": posting(top, displayName="Acme Ltd"),
        "user": posting(f"{top}/users/{user}", displayName="Joe B."),
        "user's person": posting(f"{top}/users/{user}", jobName="Clerk"),
        "group": posting(f"{top}/groups/{group}", displayName="Sales"),
        "users of a group": Thing(
            f"{top}/groups/{group}",
            lambda client, headers: client.post(
                f"{top}/groups/{group}/users", data={"userSpec": user}, headers=headers
            ),
        ),
        "queue": posting(f"{top}/queues/{queue}", displayName="Wait"),
        "order of a queue": Thing(
            f"{top}/queues/{queue}",
            lambda client, headers: client.put(
                f"{members}/order", data={"queueMemberId": member}, headers=headers
            ),
        ),
        "member": posting(f"{members}/{member}", ringSecs="30"),
        "network": posting(f"{top}/trustedNetworks/{network}", description="Office"),
        "device": posting(f"{top}/devices/{device}", pbxDeviceName="Hall"),
    }


async def assert_versioned(client: httpx.AsyncClient, name: str, thing: Thing) -> None:
    """A stale tag changes nothing, the present one does, and is another one afterwards."""
    before = await client.get(thing.path)
    tag = before.headers["etag"]
    assert tag.startswith('"'), f"{name}: {tag} is no strong tag"
    for headers in ({"If-Match": STALE}, {"If-Match": f"W/{tag}"}, {"If-None-Match": tag}):
        refused = await thing.change(client, headers)
        assert refused.status_code == 412, (name, headers, refused.text)
    same = await client.get(thing.path)
    assert (same.headers["etag"], same.json()) == (tag, before.json()), name
    changed = await thing.change(client, {"If-Match": f"{STALE}, {tag}"})
    assert changed.status_code in (200, 204), (name, changed.text)
    after = (await client.get(thing.path)).headers["etag"]
    assert after != tag, name
    assert changed.headers.get("etag", after) == after, name
    assert (await thing.change(client, {"If-Match": tag})).status_code == 412, name
    assert (await thing.change(client, {"If-Match": "*"})).status_code in (200, 204), name


@pytest.mark.parametrize("path", JSON_DIALECT)
async def test_a_change_needs_the_present_tag(client: httpx.AsyncClient, path: str) -> None:
    thing = await json_thing(client, path)
    await assert_versioned(client, path, thing)
    tag = (await client.get(thing.path)).headers["etag"]
    assert (await client.delete(thing.path, headers={"If-Match": STALE})).status_code == 412
    assert (await client.delete(thing.path, headers={"If-Match": tag})).status_code == 200
    assert (await client.get(thing.path)).status_code == 404


async def test_a_row_is_changed_with_the_present_tag_only(world: World, client: httpx.AsyncClient) -> None:
    things = await row_things(world, client)
    for name, thing in things.items():
        await assert_versioned(client, name, thing)
    for name in ("member", "network", "device", "queue", "group", "user"):
        path = things[name].path
        tag = (await client.get(path)).headers["etag"]
        assert (await client.delete(path, headers={"If-Match": STALE})).status_code == 412, name
        assert (await client.delete(path, headers={"If-Match": tag})).status_code == 204, name


async def test_a_condition_tells_nothing_of_what_is_out_of_sight(world: World) -> None:
    phone = await world.create(customer=world.ids["rival"])
    async with world.client(AccessLevel.MANAGER) as client:
        for path in (f"/pbx/sipphone/{phone['_id']}", f"/pbx/extension/{world.ids['foreign']}"):
            answer = await client.patch(path, json={}, headers={"If-Match": STALE})
            assert answer.status_code == 404


async def test_what_has_no_tag_takes_a_star_only(world: World, client: httpx.AsyncClient) -> None:
    body = {"name": "Bo"}
    assert (await client.post("/employee", json=body, headers={"If-Match": STALE})).status_code == 412
    token = f"/employee/{world.ids['anna']}/token"
    assert (await client.post(token, json={}, headers={"If-Match": STALE})).status_code == 412
    assert (await client.post("/employee", json=body, headers={"If-Match": "*"})).status_code == 200
    assert await world.rows("SELECT count(*) FROM employee WHERE name = 'Bo'") == [(1,)]


@pytest.mark.parametrize("path", [path for path in JSON_DIALECT if path not in LIVE])
async def test_who_has_the_present_version_is_told_so(client: httpx.AsyncClient, path: str) -> None:
    thing = await json_thing(client, path)
    tags = {url: (await client.get(url)).headers["etag"] for url in (thing.path, path)}
    for url, tag in tags.items():
        for known in (tag, f"W/{tag}", f'"x", {tag}'):
            answer = await client.get(url, headers={"If-None-Match": known})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
            assert answer.headers["cache-control"] == "private, no-cache"
            assert "Authorization" in answer.headers["vary"]
        assert (await client.get(url, headers={"If-None-Match": "*"})).status_code == 304
    await thing.change(client, {})
    for url, tag in tags.items():
        fresh = await client.get(url, headers={"If-None-Match": tag})
        assert fresh.status_code == 200 and fresh.headers["etag"] != tag


async def test_a_model_and_a_row_are_told_to_be_the_same(world: World, client: httpx.AsyncClient) -> None:
    model = f"/pbx/sipphonemodels/{MODEL['generic']}"
    row = (await row_things(world, client))["member"].path
    for url in ("/pbx/sipphonemodels", model, f"/employee/{world.ids['anna']}/token", row):
        tag = (await client.get(url)).headers["etag"]
        assert (await client.get(url, headers={"If-None-Match": tag})).status_code == 304, url


async def test_an_answer_with_a_status_is_never_unchanged(world: World, client: httpx.AsyncClient) -> None:
    one = f"/pbx/sipphone/{(await world.create())['_id']}"
    tag = (await client.get(one)).headers["etag"]
    queue = (await client.post("/pbx/queue", json={"number": "700", "name": "waiting"})).json()["_id"]
    for url in (
        one,
        f"/pbx/extension/{world.ids['ext200']}",
        "/pbx/extension?full=true",
        f"/pbx/queue/{queue}?callers=true",
        f"{await domain(world)}/users/{await number(world, world.ids['ext200'], 'extension')}",
        "/pbx/sipphone",
        "/pbx/sipphone?full=true",
        f"{one}/status",
        f"{one}/events",
        "/pbx/call",
    ):
        answer = await client.get(url, headers={"If-None-Match": f"*, {tag}"})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), url


async def test_the_lock_of_the_first_contact_is_a_version(world: World, client: httpx.AsyncClient) -> None:
    one = f"/pbx/sipphone/{(await world.create())['_id']}"
    opened = (await client.get(one)).headers["etag"]
    phones = SqlPhones(world.read_engine, world.engine, world.vault)
    assert await phones.lock(one.rpartition("/")[2], "192.0.2.7")
    answer = await client.patch(one, json={"ip": {"mode": "OPEN"}}, headers={"If-Match": opened})
    assert answer.status_code == 412
    locked = await client.get(one)
    assert locked.json()["ip"]["address"] == "192.0.2.7" and locked.headers["etag"] != opened


async def test_new_credentials_need_the_present_tag(world: World, client: httpx.AsyncClient) -> None:
    phone = await world.create()
    reset = f"/pbx/sipphone/{phone['_id']}/resetcredentials"
    for method in ("GET", "POST"):
        assert (await client.request(method, reset, headers={"If-Match": STALE})).status_code == 412
    assert await world.rows("SELECT username FROM sip_phone") == [(phone["username"],)]


async def test_of_many_changes_with_one_tag_one_is_done(world: World, client: httpx.AsyncClient) -> None:
    """The comparison is part of the change: nobody comes between."""
    group = (await json_thing(client, "/pbx/group")).path
    user = (await row_things_of_joe(world, client)).path
    for path in (group, user):
        headers = {"If-Match": (await client.get(path)).headers["etag"]}
        key = "name" if path == group else "jobName"
        answers = await asyncio.gather(
            *(
                client.post(path, headers=headers, params={key: f"n{n}"}, json={key: f"n{n}"})
                for n in range(8)
            )
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200 if path == group else 204] + [412] * 7
        winner = next(n for n, answer in enumerate(answers) if answer.status_code < 300)
        assert (await client.get(path)).json()[key] == f"n{winner}"


async def row_things_of_joe(world: World, client: httpx.AsyncClient) -> Thing:
    return posting(f"{(top := await domain(world))}/users/{await made(client, f'{top}/users', **JOE)}")


async def test_a_member_is_part_of_the_version(world: World, client: httpx.AsyncClient) -> None:
    """Members that come, change and go with an extension or a group change what is shown of the others."""
    things = await row_things(world, client)
    extension = (await client.post("/pbx/extension", json={"number": "310", "name": "X"})).json()["_id"]
    second = (await client.post("/pbx/group", json={"number": "610", "name": "g"})).json()["_id"]
    targets = [{"extension": extension}, {"group": second}]
    queue = (await client.post("/pbx/queue", json={"number": "710", "name": "q", "members": targets})).json()
    group = await client.post("/pbx/group", json={"number": "611", "name": "h", "controllers": [extension]})
    paths = (f"/pbx/queue/{queue['_id']}", f"/pbx/group/{group.json()['_id']}")

    async def tags() -> list[str]:
        return [(await client.get(path)).headers["etag"] for path in paths]

    first = await tags()
    await client.delete(f"/pbx/extension/{extension}")
    after = await tags()
    assert first[0] != after[0] and first[1] != after[1]
    await client.delete(f"/pbx/group/{second}")
    last = await tags()
    assert last[0] != after[0] and last[1] == after[1]
    top = await domain(world)
    path = f"{top}/queues/{await number(world, queue['_id'], 'queue')}/members"
    for step in ("create", "update", "delete"):
        before = await tags()
        if step == "create":
            group_id = things["group"].path.rpartition("/")[2]
            member = await made(client, path, groupId=group_id, **MEMBER)
        elif step == "update":
            await client.post(f"{path}/{member}", data={"ringSecs": "31"})
        else:
            await client.delete(f"{path}/{member}")
        assert (await tags())[0] != before[0], step


async def test_a_row_shows_the_version_of_all_that_it_shows(world: World, client: httpx.AsyncClient) -> None:
    """A user's row has its person in it, a device's row its user, a member's row its group."""
    things = await row_things(world, client)
    ((person,),) = await world.rows("SELECT oid FROM employee WHERE name = 'Joe Blogs'")
    device, user = things["device"].path, things["user"].path
    given = await client.post(f"{user}/devices", data={"pbxDeviceId": device.rpartition("/")[2]})
    assert given.status_code == 201
    ((extension,),) = await world.rows("SELECT oid FROM extension WHERE sip_user = 'joe'")
    changes: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
        user: lambda: client.patch(f"/employee/{person}", json={"department": "IT"}),
        device: lambda: client.patch(
            f"/pbx/extension/{extension}", json={"sipUser": "joseph", "sipPassword": "correct horse staple"}
        ),
        things["member"].path: lambda: things["group"].change(client, {}),
    }
    for path, change in changes.items():
        before = await client.get(path)
        answer = await change()
        assert answer.status_code in (200, 204), answer.text
        assert (await client.get(path, headers={"If-None-Match": before.headers["etag"]})).status_code == 200


def test_an_edition_is_one_text() -> None:
    assert (etag((7,)), etag((7, 0)), etag((1, 23))) == ("7", "7-0", "1-23")


async def test_another_primary_extension_is_a_change_of_the_first(
    client: httpx.AsyncClient, world: World
) -> None:
    first, second = (f"/pbx/extension/{world.ids[name]}" for name in ("ext200", "ext201"))
    before: Json = (await client.get(first)).json()
    tag = (await client.get(first)).headers["etag"]
    await client.patch(second, json={"employee": world.ids["anna"], "primary": True})
    fresh = await client.get(first, headers={"If-None-Match": tag})
    assert (before["primary"], fresh.status_code, fresh.json()["primary"]) == (True, 200, False)
