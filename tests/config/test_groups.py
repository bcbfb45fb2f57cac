"""Groups: numbers, members, controllers."""

import asyncio
from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from tests.config.world import NOBODY, Json, World

EVERYTHING = {
    "number": "600",
    "name": "Sales",
    "displayName": "The sales people",
    "ringRetry": True,
    "ringExclusive": True,
    "callerNameFormat": "{dgrpName}: {displayName} {srcPhoneNumber}",
    "pickup": True,
    "steal": True,
    "spy": True,
    "setPresence": True,
    "queueMember": True,
}


async def made(client: httpx.AsyncClient, **body: Any) -> Json:
    answer = await client.post("/pbx/group", json={"number": "600", "name": "Sales"} | body)
    assert answer.status_code == 200, answer.text
    created: Json = answer.json()
    return created


async def test_what_is_sent_is_what_is_shown(world: World) -> None:
    sent = EVERYTHING | {
        "members": [world.ids["ext200"], world.ids["ext201"]],
        "controllers": [world.ids["ext201"]],
    }
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, **sent)
        shown = (await client.get(f"/pbx/group/{created['_id']}")).json()
        listed = (await client.get("/pbx/group")).json()["groups"]
    assert created == shown == listed[0]
    assert {name: shown[name] for name in sent} == sent
    assert shown["customer"] == world.ids["acme"]


async def test_a_new_group_is_empty_and_all_its_flags_are_off(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client)
    off = dict.fromkeys(
        ("ringRetry", "ringExclusive", "pickup", "steal", "spy", "setPresence", "queueMember"), False
    )
    assert created == off | {
        "_id": created["_id"],
        "customer": world.ids["acme"],
        "number": "600",
        "name": "Sales",
        "displayName": None,
        "callerNameFormat": None,
        "members": [],
        "controllers": [],
    }


async def test_one_property_changes_alone(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, members=[world.ids["ext200"]])
        for method, change in (
            ("POST", {"number": "601"}),
            ("PUT", {"pickup": True}),
            ("PATCH", {"members": [world.ids["ext201"]]}),
            ("PATCH", {"controllers": [world.ids["ext200"]]}),
            ("PATCH", {"members": []}),
        ):
            answer = await client.request(method, f"/pbx/group/{created['_id']}", json=change)
            assert answer.json() == created | change
            created = answer.json()


async def test_a_deleted_group_is_gone_with_its_number_and_its_place_in_queues(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, members=[world.ids["ext200"]])
        queue = {"number": "700", "name": "Q", "members": [{"group": created["_id"]}]}
        queue = (await client.post("/pbx/queue", json=queue)).json()
        assert (await client.delete(f"/pbx/group/{created['_id']}")).json() == {"success": True}
        assert (await client.get(f"/pbx/group/{created['_id']}")).status_code == 404
        assert (await client.get(f"/pbx/queue/{queue['_id']}")).json()["members"] == []
        assert (await made(client))["number"] == "600", "the number is free again"
    assert await world.rows("SELECT * FROM sip_group_member") == []


async def test_a_deleted_extension_leaves_its_groups(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, members=[world.ids["ext200"], world.ids["ext201"]])
        await client.delete(f"/pbx/extension/{world.ids['ext200']}")
        shown = (await client.get(f"/pbx/group/{created['_id']}")).json()
    assert shown["members"] == [world.ids["ext201"]]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param({"number": "200"}, 409, "number", id="the number of an extension"),
        pytest.param({"number": "700"}, 409, "number", id="the number of a queue"),
        pytest.param({"number": None}, 422, "number", id="no number"),
        pytest.param({"number": "6x0"}, 422, "number", id="a letter in the number"),
        pytest.param({"name": ""}, 422, "name", id="no name"),
        pytest.param({"displayName": "a\x00b"}, 422, "displayName", id="a control character"),
        pytest.param({"callerNameFormat": "{nick}"}, 422, "callerNameFormat", id="a placeholder of none"),
        pytest.param({"callerNameFormat": "{displayName"}, 422, "callerNameFormat", id="half a placeholder"),
        pytest.param({"callerNameFormat": "a\nb"}, 422, "callerNameFormat", id="two lines of format"),
        pytest.param({"ringRetry": "often"}, 422, "ringRetry", id="a flag"),
        pytest.param({"members": "all"}, 422, "members", id="members that are no array"),
        pytest.param({"members": [NOBODY]}, 404, "members[0]", id="an unknown member"),
        pytest.param({"members": ["$ext200", "$foreign"]}, 404, "members[1]", id="a foreign member"),
        pytest.param({"members": [{"_id": "x"}]}, 404, "members[0]", id="a member that is no id"),
        pytest.param({"controllers": ["$foreign"]}, 404, "controllers[0]", id="a foreign controller"),
        pytest.param({"customer": NOBODY}, 403, "access_denied", id="an unknown customer"),
        pytest.param({"spy": 2, "members": [NOBODY]}, 422, "multiple", id="two at once"),
    ],
)
async def test_what_is_wrong_is_said(world: World, body: Json, status: int, code: str) -> None:
    body = {name: filled(value, world) for name, value in body.items()}
    async with world.client(AccessLevel.MANAGER) as client:
        await client.post("/pbx/queue", json={"number": "700", "name": "Q"})
        answer = await client.post("/pbx/group", json={"number": "600", "name": "Sales"} | body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        there = await made(client, number="601")
        before = (await client.get(f"/pbx/group/{there['_id']}")).json()
        if code not in ("access_denied",):
            answer = await client.patch(f"/pbx/group/{there['_id']}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
            assert (await client.get(f"/pbx/group/{there['_id']}")).json() == before
    assert await world.rows("SELECT number FROM sip_group") == [("601",)]


def filled(value: object, world: World) -> object:
    """`$name` stands for the id of that name."""
    if isinstance(value, list):
        return [filled(item, world) for item in value]
    return world.ids[value[1:]] if isinstance(value, str) and value.startswith("$") else value


async def test_of_many_that_want_a_number_at_once_one_gets_it(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        body = {"number": "600", "name": "x"}
        kinds = ["group", "queue", "extension"] * 4
        answers = await asyncio.gather(*(client.post(f"/pbx/{kind}", json=body) for kind in kinds))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 409} == {"number"}


async def test_a_list_is_paged_sorted_and_filtered(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        for number, name in (("602", "Alfa"), ("600", "Cæsar"), ("601", "Bravo_")):
            await made(client, number=number, name=name, members=[world.ids["ext200"]])
        by_number = (await client.get("/pbx/group?limit=2")).json()
        by_name = (await client.get("/pbx/group?sort=name&offset=1")).json()
        literal = (await client.get("/pbx/group", params={"filter": "_"})).json()
    assert [row["number"] for row in by_number["groups"]] == ["600", "601"]
    assert [row["members"] for row in by_number["groups"]] == [[world.ids["ext200"]]] * 2
    assert (by_number["offset"], by_number["limit"], by_number["total"]) == (0, 2, 3)
    assert [row["name"] for row in by_name["groups"]] == ["Bravo_", "Cæsar"]
    assert [row["name"] for row in literal["groups"]] == ["Bravo_"]


async def test_a_foreign_group_is_an_unknown_one(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        foreign = await made(client, customer=world.ids["rival"])
    answers = set()
    async with world.client(AccessLevel.OWNER) as client:
        for oid in (foreign["_id"], NOBODY, "x"):
            for method in ("GET", "POST", "DELETE"):
                answer = await client.request(method, f"/pbx/group/{oid}", json={"name": "x"})
                answers.add((answer.status_code, answer.text))
    assert answers == {(404, '{"error":{"code":"not_found","status":404,"message":"Group not found"}}')}


async def test_every_change_is_written_down(world: World) -> None:
    async with world.client(AccessLevel.MANAGER, person="anna") as client:
        created = await made(client)
        await client.patch(f"/pbx/group/{created['_id']}", json={"members": [world.ids["ext200"]]})
        await client.delete(f"/pbx/group/{created['_id']}")
    lines = await world.rows("SELECT actor, action, table_name, row_oid FROM audit_log ORDER BY id")
    assert lines == [
        (world.ids["anna"], action, "sip_group", created["_id"]) for action in ("create", "update", "delete")
    ]
