"""Queues and their members: rows 27-37 of the checklist."""

import pytest

from config.access import AccessLevel
from tests.config.v2 import MEMBER, QUEUE, SALES, domain, made, refused, row, rows
from tests.config.world import World

ALL = {**QUEUE, "callerNameFormat": "{dgrpName}: {displayName}"}


async def test_a_queue_is_shown_as_it_was_sent_and_changed(world: World) -> None:
    path = f"{await domain(world)}/queues"
    async with world.client(AccessLevel.MANAGER) as client:
        id = await made(client, path, **ALL)
        shown = row(await client.get(f"{path}/{id}"))
        moments = {name: shown[name] for name in ("createDatetime", "updateDatetime")}
        assert shown == {"queueId": id, "domainId": path.split("/")[-2], **ALL, **moments}
        assert rows(await client.get(path, params={"filter[]": "queueName-eq-value-waiting"})) == [shown]
        for name, value in (ALL | {"queueName": "x", "extensionNumber": "701"}).items():
            assert (await client.post(f"{path}/{id}", data={name: value})).status_code == 204
            assert row(await client.get(f"{path}/{id}"))[name] == value
        assert refused(await client.post(path, data=QUEUE | {"extensionNumber": "701"}))[0] == 409
        assert refused(await client.post(path, data=QUEUE | {"callerNameFormat": "{x}"}))[0] == 400
        assert refused(await client.post(path, data={})) == (
            400,
            "queueName is missing; displayName is missing; extensionNumber is missing",
        )
        assert (await client.delete(f"{path}/{id}")).status_code == 204
        for method in ("GET", "POST", "DELETE"):
            assert refused(await client.request(method, f"{path}/{id}")) == (404, "not found: queue")
        await made(client, path, **QUEUE | {"extensionNumber": "701"})


async def test_a_member_is_shown_as_it_was_sent_and_changed(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        queue = await made(client, f"{path}/queues", **QUEUE)
        group = await made(client, f"{path}/groups", **SALES)
        other = await made(client, f"{path}/groups", **SALES | {"groupName": "b", "extensionNumber": "601"})
        members = f"{path}/queues/{queue}/members"
        id = await made(client, members, groupId=group, **MEMBER)
        shown = row(await client.get(f"{members}/{id}"))
        assert shown == {
            "queueMemberId": id,
            "queueId": queue,
            "groupId": group,
            "groupName": "sales",
            **MEMBER,
            "updateDatetime": shown["updateDatetime"],
        }
        assert rows(await client.get(members)) == [shown]
        new = {"groupId": other, "ringStrategy": "huntLongestIdle", "ringAttempts": "1", "ringSecs": "9"}
        for name, value in (new | {"ringOrder": "0"}).items():
            assert (await client.post(f"{members}/{id}", data={name: value})).status_code == 204
            assert row(await client.get(f"{members}/{id}"))[name] == value
        assert row(await client.get(f"{members}/{id}"))["groupName"] == "b"
        assert (await client.delete(f"{members}/{id}")).status_code == 204
        for method in ("GET", "POST", "DELETE"):
            assert refused(await client.request(method, f"{members}/{id}")) == (
                404,
                "not found: member",
            )
        assert (await client.get(members)).text == "\n"


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        ({"groupId": "99999"}, 404, "not found: groupId 99999"),
        ({"groupId": "sales"}, 404, "not found: groupId sales"),
        ({"ringStrategy": "some"}, 400, "ringStrategy must be all or huntLongestIdle"),
        ({"ringAttempts": "-1"}, 400, "ringAttempts must be a number from 0 to 100"),
        ({"ringSecs": "0"}, 400, "ringSecs must be a number from 1 to 3600"),
        ({"ringOrder": "1.5"}, 400, "ringOrder must be a number from 0 to 10000"),
    ],
    ids=str,
)
async def test_a_wrong_member_is_refused(
    world: World, params: dict[str, str], status: int, message: str
) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        queue = await made(client, f"{path}/queues", **QUEUE)
        group = await made(client, f"{path}/groups", **SALES)
        members = f"{path}/queues/{queue}/members"
        sent = {"groupId": group, **MEMBER}
        assert refused(await client.post(members, data=sent | params)) == (status, message)
        missing = {name: value for name, value in sent.items() if name not in params}
        assert refused(await client.post(members, data=missing)) == (400, f"{next(iter(params))} is missing")
        id = await made(client, members, **sent)
        assert refused(await client.post(f"{members}/{id}", data=params)) == (status, message)
        assert row(await client.get(f"{members}/{id}"))["groupId"] == group


async def test_members_are_ordered(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        queue = await made(client, f"{path}/queues", **QUEUE)
        members = f"{path}/queues/{queue}/members"
        ids = []
        for digit in ("1", "2", "3"):
            group = await made(client, f"{path}/groups", **SALES | {"extensionNumber": f"60{digit}"})
            ids.append(await made(client, members, groupId=group, **MEMBER))
        one, two, three = ids

        async def order() -> list[str | None]:
            listed = rows(await client.get(members, params={"sort[]": "ringOrder-asc"}))
            assert [found["ringOrder"] for found in listed] == ["0", "1", "2"]
            return [found["queueMemberId"] for found in listed]

        for spelling in (
            {"data": {"queueMemberId[]": [three, one, two]}},
            {"json": {"queueMemberId": [int(three), int(one), int(two)]}},
            {"params": {"queueMemberId[2]": two, "queueMemberId[0]": three, "queueMemberId[1]": one}},
            {"params": {"queueMemberId": [three, one, two]}},
        ):
            answer = await client.put(f"{members}/order", **spelling)
            assert (answer.status_code, answer.content) == (204, b"")
            assert await order() == [three, one, two]
            await client.put(f"{members}/order", data={"queueMemberId[]": ids})
            assert await order() == ids
        for wrong in ([one, two], [one, two, three, three], [one, two, "99999"], [one, two, "x"], []):
            answer = await client.put(f"{members}/order", data={"queueMemberId[]": wrong})
            assert refused(answer)[0] == 400
        assert await order() == ids
        assert refused(await client.get(f"{members}/order")) == (404, "not found: member")
        assert refused(await client.put(f"{path}/queues/99999/members/order"))[0] == 404


async def test_only_groups_are_members_here(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        queue = await made(client, f"{path}/queues", **QUEUE)
        group = await made(client, f"{path}/groups", **SALES)
        await world.execute(
            "INSERT INTO queue_member (oid, queue_id, external_number, ring_strategy, ring_attempts, "
            "ring_secs, ring_order, permanent, created_at, updated_at) SELECT 'outside', id, '+4512345678', "
            "'all', 1, 20, 7, false, created_at, updated_at FROM queue"
        )
        ((outside,),) = await world.rows("SELECT id FROM queue_member")
        members = f"{path}/queues/{queue}/members"
        id = await made(client, members, groupId=group, **MEMBER)
        assert [found["queueMemberId"] for found in rows(await client.get(members))] == [id]
        for method in ("GET", "POST", "DELETE"):
            answer = await client.request(method, f"{members}/{outside}")
            assert refused(answer) == (404, "not found: member")
        assert (await client.put(f"{members}/order", data={"queueMemberId[]": id})).status_code == 204
    assert await world.rows("SELECT ring_order FROM queue_member ORDER BY id") == [(7,), (0,)]
