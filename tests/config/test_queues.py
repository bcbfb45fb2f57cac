"""Queues: numbers, and members of three kinds."""

from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from tests.config.world import NOBODY, Json, World

DEFAULTS = {
    "priority": 1,
    "permanent": False,
    "ringStrategy": "all",
    "ringAttempts": 1,
    "ringSecs": 20,
}
SETTINGS = {
    "priority": 20,
    "permanent": True,
    "ringStrategy": "huntLongestIdle",
    "ringAttempts": 3,
    "ringSecs": 45,
}


async def made(client: httpx.AsyncClient, **body: Any) -> Json:
    answer = await client.post("/pbx/queue", json={"number": "700", "name": "Support"} | body)
    assert answer.status_code == 200, answer.text
    created: Json = answer.json()
    return created


async def group(client: httpx.AsyncClient) -> str:
    answer = await client.post("/pbx/group", json={"number": "600", "name": "Sales"})
    return str(answer.json()["_id"])


def without_ids(members: list[Json]) -> list[Json]:
    return [{name: value for name, value in member.items() if name != "_id"} for member in members]


async def test_what_is_sent_is_what_is_shown(world: World) -> None:
    own = {
        "number": "700",
        "name": "Support",
        "displayName": "Help",
        "callerNameFormat": "{displayName}",
        "strategy": "linear",
    }
    async with world.client(AccessLevel.MANAGER) as client:
        members = [
            {"extension": world.ids["ext200"]} | DEFAULTS,
            {"group": await group(client)} | DEFAULTS | {"priority": 2},
            {"number": "+4570305050"} | SETTINGS,
        ]
        created = await made(client, **own, members=members)
        shown = (await client.get(f"/pbx/queue/{created['_id']}")).json()
        listed = (await client.get("/pbx/queue")).json()["queues"]
    assert created == shown == listed[0]
    assert {name: shown[name] for name in own} == own
    assert without_ids(shown["members"]) == members
    assert shown["customer"] == world.ids["acme"]


async def test_a_member_has_defaults(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, members=[{"number": "200", "ringSecs": None}])
    assert without_ids(created["members"]) == [{"number": "200"} | DEFAULTS]


async def test_one_property_changes_alone(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, members=[{"extension": world.ids["ext200"]}])
        for method, change in (
            ("POST", {"number": "701"}),
            ("PUT", {"strategy": "random"}),
            ("PATCH", {"name": "Help"}),
            ("PATCH", {"members": []}),
        ):
            answer = await client.request(method, f"/pbx/queue/{created['_id']}", json=change)
            assert answer.json() == created | change
            created = answer.json()


async def test_members_are_replaced_and_who_stays_keeps_its_id(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(
            client, members=[{"extension": world.ids["ext200"]}, {"number": "123", "priority": 2}]
        )
        change = [
            {"number": "123", "priority": 1, "ringSecs": 5},
            {"extension": world.ids["ext201"], "priority": 3},
        ]
        changed = (await client.patch(f"/pbx/queue/{created['_id']}", json={"members": change})).json()
    first, second = changed["members"]
    assert (first["number"], first["ringSecs"], first["priority"]) == ("123", 5, 1)
    assert first["_id"] == created["members"][1]["_id"]
    assert second["extension"] == world.ids["ext201"]
    assert second["_id"] not in {member["_id"] for member in created["members"]}


async def test_a_place_that_the_scale_cannot_show_survives_what_was_read_being_sent_back(
    world: World,
) -> None:
    """The row dialect counts from 0 and beyond 20; what this one reads as 1 and 20 stays as it is."""
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, members=[{"number": "1"}, {"number": "2"}, {"number": "3"}])
        for number, place in (("1", 0), ("2", 1), ("3", 40)):
            await world.execute(
                "UPDATE queue_member SET ring_order = :place WHERE external_number = :number",
                place=place,
                number=number,
            )
        path = f"/pbx/queue/{created['_id']}"
        shown = (await client.get(path)).json()
        assert [member["priority"] for member in shown["members"]] == [1, 1, 20]
        assert (await client.put(path, json=shown)).json() == shown
    rows = await world.rows("SELECT external_number, ring_order FROM queue_member ORDER BY id")
    assert rows == [("1", 0), ("2", 1), ("3", 40)]


async def test_a_deleted_queue_is_gone_with_its_number(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, members=[{"number": "123"}])
        assert (await client.delete(f"/pbx/queue/{created['_id']}")).json() == {"success": True}
        assert (await client.get(f"/pbx/queue/{created['_id']}")).status_code == 404
        assert (await made(client))["number"] == "700", "the number is free again"
    assert await world.rows("SELECT * FROM queue_member") == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param({"number": "200"}, 409, "number", id="the number of an extension"),
        pytest.param({"number": ""}, 422, "number", id="no number"),
        pytest.param({"name": None}, 422, "name", id="no name"),
        pytest.param({"callerNameFormat": "{}"}, 422, "callerNameFormat", id="an empty placeholder"),
        pytest.param({"strategy": "x" * 33}, 422, "strategy", id="a long strategy"),
        pytest.param({"members": {}}, 422, "members", id="members that are no array"),
        pytest.param({"members": ["x"]}, 422, "members[0]", id="a member that is no object"),
        pytest.param({"members": [{"priority": 1}]}, 422, "members[0]", id="a member of nobody"),
        pytest.param(
            {"members": [{"number": "1"}, {"number": "1", "extension": NOBODY}]},
            422,
            "members[1]",
            id="a member of two",
        ),
        pytest.param({"members": [{"extension": NOBODY}]}, 404, "members[0].extension", id="an unknown one"),
        pytest.param(
            {"members": [{"extension": "$foreign"}]}, 404, "members[0].extension", id="a foreign one"
        ),
        pytest.param({"members": [{"group": NOBODY}]}, 404, "members[0].group", id="an unknown group"),
        pytest.param({"members": [{"number": "x"}]}, 422, "members[0].number", id="a number that is none"),
        pytest.param(
            {"members": [{"number": "1", "priority": 21}]}, 422, "members[0].priority", id="a priority"
        ),
        pytest.param(
            {"members": [{"number": "1", "ringStrategy": "ALL"}]},
            422,
            "members[0].ringStrategy",
            id="a ring strategy",
        ),
        pytest.param(
            {"members": [{"number": "1", "ringSecs": 0}]}, 422, "members[0].ringSecs", id="no seconds"
        ),
        pytest.param(
            {"members": [{"number": "1", "ringAttempts": 1.5}]},
            422,
            "members[0].ringAttempts",
            id="half an attempt",
        ),
        pytest.param(
            {"members": [{"number": "1", "permanent": "yes"}]}, 422, "members[0].permanent", id="a flag"
        ),
    ],
)
async def test_what_is_wrong_is_said(world: World, body: Json, status: int, code: str) -> None:
    for member in body["members"] if isinstance(body.get("members"), list) else []:
        if isinstance(member, dict) and member.get("extension") == "$foreign":
            body = {"members": [{"extension": world.ids["foreign"]}]}
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post("/pbx/queue", json={"number": "700", "name": "Support"} | body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        there = await made(client, members=[{"number": "1"}])
        answer = await client.patch(f"/pbx/queue/{there['_id']}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        assert (await client.get(f"/pbx/queue/{there['_id']}")).json() == there


async def test_a_list_is_paged_sorted_and_filtered(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        for number, name in (("702", "Alfa"), ("700", "Cæsar"), ("701", "100%")):
            await made(client, number=number, name=name, members=[{"number": number}])
        by_number = (await client.get("/pbx/queue?limit=2")).json()
        by_name = (await client.get("/pbx/queue?sort=name")).json()
        literal = (await client.get("/pbx/queue", params={"filter": "%"})).json()
    assert [row["members"][0]["number"] for row in by_number["queues"]] == ["700", "701"]
    assert (by_number["limit"], by_number["total"]) == (2, 3)
    assert [row["name"] for row in by_name["queues"]] == ["100%", "Alfa", "Cæsar"]
    assert [row["name"] for row in literal["queues"]] == ["100%"]


async def test_a_foreign_queue_is_an_unknown_one(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        foreign = await made(client, customer=world.ids["rival"])
    answers = set()
    async with world.client(AccessLevel.OWNER) as client:
        for oid in (foreign["_id"], NOBODY, "x"):
            for method in ("GET", "POST", "DELETE"):
                answer = await client.request(method, f"/pbx/queue/{oid}", json={"name": "x"})
                answers.add((answer.status_code, answer.text))
    assert answers == {(404, '{"error":{"code":"not_found","status":404,"message":"Queue not found"}}')}


async def test_every_change_is_written_down(world: World) -> None:
    async with world.client(AccessLevel.MANAGER, person="anna") as client:
        created = await made(client)
        await client.patch(f"/pbx/queue/{created['_id']}", json={"members": [{"number": "1"}]})
        await client.delete(f"/pbx/queue/{created['_id']}")
    lines = await world.rows("SELECT actor, action, table_name, row_oid FROM audit_log ORDER BY id")
    assert {line[0] for line in lines} == {world.ids["anna"]}
    assert [line[1:] for line in lines if line[2] == "queue"] == [
        (action, "queue", created["_id"]) for action in ("create", "update", "delete")
    ]
    assert [line[1] for line in lines if line[2] == "queue_member"] == ["create", "delete"]
