"""Employees: their properties, nobody above himself, and the tokens of machines."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from config.operations.employees import MAX_TOKENS
from config.operations.passwords import MAX_PASSWORD
from tests.config.world import NOBODY, Json, World
from tests.every import every

EVERYTHING = {
    "name": "Dagny Ødegård",
    "accessLevel": "VIEWER",
    "state": "BLOCKED",
    "emailAddress": "dagny@acme.test",
    "ipRestriction": "192.0.2.0/24,2001:db8::1",
    "contactEmail": "d@home.test",
    "firstName": "Dagny",
    "lastName": "Ødegård",
    "title": "Chief",
    "department": "Sales",
    "companyName": "Acme",
    "officeName": "North",
}


async def made(client: httpx.AsyncClient, **body: Any) -> Json:
    answer = await client.post("/employee", json={"name": "Dagny"} | body)
    assert answer.status_code == 200, answer.text
    created: Json = answer.json()
    return created


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def version(world: World, oid: str) -> int:
    ((found,),) = await world.rows("SELECT version FROM employee WHERE oid = :id", id=oid)
    return int(found)


async def test_what_is_sent_is_what_is_shown(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, **EVERYTHING, password="a long secret")
        shown = (await client.get(f"/employee/{created['_id']}")).json()
        listed = (await client.get("/employee", params={"filter": "ØDEGÅRD"})).json()
    assert created == shown == listed["employees"][0]
    assert {name: shown[name] for name in EVERYTHING} == EVERYTHING
    assert shown["customer"] == world.ids["acme"]
    assert "secret" not in str(shown) and "argon2" not in str(shown) and "password" not in shown
    ((stored,),) = await world.rows("SELECT password_hash FROM employee WHERE oid = :id", id=shown["_id"])
    assert stored.startswith("$argon2id$")
    audit = "SELECT action, table_name, actor_level FROM audit_log WHERE row_oid = :id"
    assert await world.rows(audit, id=shown["_id"]) == [("create", "employee", "MANAGER")]


async def test_what_is_not_sent_has_its_default(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client)
    defaults = dict.fromkeys(EVERYTHING) | {"name": "Dagny", "accessLevel": "PERSONAL", "state": "ACTIVE"}
    assert {name: created[name] for name in EVERYTHING} == defaults


async def test_one_property_changes_alone(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, **EVERYTHING)
        for method, change in (
            ("POST", {"name": "D"}),
            ("PUT", {"ipRestriction": None}),
            ("PATCH", {"emailAddress": "d@acme.test"}),
        ):
            answer = await client.request(method, f"/employee/{created['_id']}", json=change)
            created |= change
            assert answer.json() | {"updatedAt": created["updatedAt"]} == created


@every(
    ("body", "status", "code"),
    [
        pytest.param({"name": ""}, 422, "name", id="no name"),
        pytest.param({"accessLevel": "GOD"}, 422, "accessLevel", id="an unknown level"),
        pytest.param({"accessLevel": 7}, 422, "accessLevel", id="a number as level"),
        pytest.param({"accessLevel": "OWNER"}, 403, "access_denied", id="a level above one's own"),
        pytest.param({"state": "DELETED"}, 422, "state", id="a state that nobody sets"),
        pytest.param({"emailAddress": "nobody"}, 422, "emailAddress", id="an address without @"),
        pytest.param({"emailAddress": "a@b@c"}, 422, "emailAddress", id="an address with two @"),
        pytest.param({"emailAddress": "a:b@c"}, 422, "emailAddress", id="an address with a colon"),
        pytest.param({"emailAddress": "a@b\0"}, 422, "emailAddress", id="an address with a zero byte"),
        pytest.param({"emailAddress": "a@b\n"}, 422, "emailAddress", id="an address with a line break"),
        pytest.param({"emailAddress": "a" * 250 + "@b.test"}, 422, "emailAddress", id="a long address"),
        pytest.param({"emailAddress": 5}, 422, "emailAddress", id="a number as address"),
        pytest.param({"password": "Xq7-vRt2z"}, 422, "password", id="a short password"),
        pytest.param({"password": "letmein1234"}, 422, "password", id="a common password"),
        pytest.param({"password": ""}, 422, "password", id="an empty password"),
        pytest.param({"password": "x" * (MAX_PASSWORD + 1)}, 422, "password", id="a long password"),
        pytest.param({"password": "\udc80" * 8}, 422, "password", id="a password that is no text"),
        pytest.param({"password": 12345678}, 422, "password", id="a number as password"),
        pytest.param({"ipRestriction": "here"}, 422, "ipRestriction", id="no network"),
        pytest.param({"ipRestriction": "10.0.0.0/33"}, 422, "ipRestriction", id="a bad prefix"),
        pytest.param({"ipRestriction": "10.0.0.1,,10.0.0.2"}, 422, "ipRestriction", id="an empty entry"),
        pytest.param({"ipRestriction": "10.0.0.1\n"}, 422, "ipRestriction", id="a line break"),
        pytest.param({"ipRestriction": "fe80::1%eth0"}, 422, "ipRestriction", id="a zone"),
        pytest.param({"ipRestriction": ["10.0.0.1"]}, 422, "ipRestriction", id="an array"),
        pytest.param({"title": "a\r\nb"}, 422, "title", id="line breaks"),
        pytest.param({"name": None, "state": "x"}, 422, "multiple", id="two at once"),
    ],
)
async def test_what_is_wrong_is_said(world: World, body: Json, status: int, code: str) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post("/employee", content=json.dumps({"name": "Dagny"} | body))
        changed = await client.post(f"/employee/{world.ids['single']}", content=json.dumps(body))
    assert code_of(answer) == (status, code), answer.text
    assert code_of(changed) == (status, code), changed.text
    assert await world.rows("SELECT * FROM employee WHERE name = 'Dagny'") == []
    assert await version(world, world.ids["single"]) == 1


@pytest.mark.parametrize(
    ("customer", "level", "expected"),
    [
        ("rival", AccessLevel.OWNER, (403, "access_denied")),
        (None, AccessLevel.OWNER, (403, "access_denied")),
        ("blocked", AccessLevel.ADMIN, (404, "customer")),
        (None, AccessLevel.ADMIN, (404, "customer")),
    ],
)
async def test_a_customer_is_in_sight_and_active(
    world: World, customer: str | None, level: AccessLevel, expected: tuple[int, str]
) -> None:
    wanted = world.ids[customer] if customer else NOBODY
    async with world.client(level) as client:
        created = await client.post("/employee", json={"name": "D", "customer": wanted})
        listed = await client.get("/employee", params={"customer": wanted})
    assert code_of(created) == code_of(listed) == expected


async def test_a_login_is_unique_on_the_platform(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        await made(client, emailAddress="D@Acme.Test")
        other = await made(client, customer=world.ids["rival"])
        again = await client.post("/employee", json={"name": "E", "emailAddress": "d@acme.test"})
        moved = await client.post(f"/employee/{other['_id']}", json={"emailAddress": " D@ACME.test"})
        assert code_of(again) == code_of(moved) == (409, "emailAddress")
        wishes = [client.post("/employee", json={"name": "E", "emailAddress": "e@b.test"}) for _ in range(8)]
        answers = await asyncio.gather(*wishes)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7


@pytest.mark.parametrize(
    ("body", "raised"),
    [
        ({"password": "another one"}, True),
        ({"password": None}, True),
        ({"accessLevel": "VIEWER"}, True),
        ({"state": "BLOCKED"}, True),
        ({"emailAddress": "x@acme.test"}, True),
        ({"ipRestriction": "10.0.0.0/8"}, True),
        ({"state": "ACTIVE", "accessLevel": "PERSONAL", "emailAddress": "d@acme.test"}, False),
        ({"name": "D", "contactEmail": "x@acme.test"}, False),
    ],
)
async def test_what_guards_the_way_in_voids_older_tokens(world: World, body: Json, raised: bool) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, emailAddress="d@acme.test", password="a long secret")
        assert (await client.post(f"/employee/{created['_id']}", json=body)).status_code == 200
    assert await version(world, created["_id"]) == (2 if raised else 1)


async def test_nobody_reaches_above_himself(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as admin:
        owner = await made(admin, accessLevel="OWNER")
        token = (await admin.post(f"/employee/{owner['_id']}/token", json={})).json()
    path = f"/employee/{owner['_id']}"
    async with world.client(AccessLevel.MANAGER) as client:
        assert (await client.get(path)).status_code == 200
        answers = [
            await client.post(path, json={"password": "mine from now on"}),
            await client.post(path, json={"name": "O"}),
            await client.delete(path),
            await client.post(f"{path}/token", json={}),
            await client.delete(f"{path}/token/{token['_id']}"),
            await client.post(f"/employee/{world.ids['single']}", json={"accessLevel": "OWNER"}),
        ]
        assert (await made(client, accessLevel="MANAGER"))["accessLevel"] == "MANAGER"
    assert [code_of(answer) for answer in answers] == [(403, "access_denied")] * 6
    assert await version(world, owner["_id"]) == 1


async def test_a_deleted_person_is_gone_and_its_extensions_are_nobodys(world: World) -> None:
    path = f"/employee/{world.ids['anna']}"
    async with world.client(AccessLevel.OWNER) as client:
        token = (await client.post(f"{path}/token", json={})).json()["token"]
        assert (await client.delete(path)).json() == {"success": True}
        for method in ("GET", "POST", "DELETE"):
            assert code_of(await client.request(method, path, json={"name": "x"})) == (404, "not_found")
        assert code_of(await client.get(f"{path}/token")) == (404, "not_found")
        extension = (await client.get(f"/pbx/extension/{world.ids['ext200']}")).json()
    assert (extension["employee"], extension["primary"]) == (None, False)
    assert await world.rows(
        "SELECT version FROM extension WHERE number = '200' AND name = 'Ext 200' AND oid = :id",
        id=world.ids["ext200"],
    ) == [(2,)]
    async with world.client(None) as client:
        answer = await client.get("/pbx/sipphone", headers={"Authorization": f"Bearer {token}"})
    assert code_of(answer) == (401, "invalid_token")
    audit = "SELECT action FROM audit_log WHERE row_oid = :id AND table_name = 'employee'"
    assert await world.rows(audit, id=world.ids["anna"]) == [("delete",)]


async def test_nobody_deletes_himself(world: World) -> None:
    async with world.client(AccessLevel.ADMIN, person="anna") as client:
        assert code_of(await client.delete(f"/employee/{world.ids['anna']}")) == (409, "id")
        assert (await client.delete(f"/employee/{world.ids['single']}")).status_code == 200


async def test_a_foreign_employee_is_an_unknown_one(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as admin:
        foreign = (await made(admin, customer=world.ids["rival"]))["_id"]
    answers = set()
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        for oid in (foreign, NOBODY, "x"):
            for method, path in (
                ("GET", ""),
                ("POST", ""),
                ("DELETE", ""),
                ("GET", "/token"),
                ("POST", "/token"),
                ("DELETE", f"/token/{NOBODY}"),
            ):
                answer = await client.request(method, f"/employee/{oid}{path}", json={"name": "x"})
                answers.add((answer.status_code, answer.text))
    assert answers == {(404, '{"error":{"code":"not_found","status":404,"message":"Employee not found"}}')}


async def test_a_list_is_paged_sorted_and_filtered(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        for name, email in (("Cilla", "z@a.test"), ("Bo", "y@a.test"), ("100%", "x@a.test")):
            await made(client, name=name, emailAddress=email)
        by_name = (await client.get("/employee?limit=2&offset=2")).json()
        by_email = (await client.get("/employee?sort=email&filter=@a.test")).json()
        literal = (await client.get("/employee", params={"filter": "0%"})).json()
    assert [row["name"] for row in by_name["employees"]] == ["Bo", "Cilla"]
    assert (by_name["offset"], by_name["limit"], by_name["total"]) == (2, 2, 5)
    assert [row["name"] for row in by_email["employees"]] == ["100%", "Bo", "Cilla"]
    assert [row["name"] for row in literal["employees"]] == ["100%"]


async def test_a_token_is_shown_once(world: World) -> None:
    path = f"/employee/{world.ids['single']}/token"
    async with world.client(AccessLevel.MANAGER) as client:
        first = (await client.post(path, json={"note": "nightly import"})).json()
        second = (await client.post(path, json={})).json()
        listed = (await client.get(path)).json()
        foreign = await client.delete(f"/employee/{world.ids['anna']}/token/{first['_id']}")
        assert (await client.delete(f"{path}/{second['_id'].upper()}")).json() == {"success": True}
        rest = (await client.get(path)).json()
        bad = await client.post(path, json={"note": "a\nb"})
        for oid in (second["_id"], NOBODY, "x"):
            assert code_of(await client.delete(f"{path}/{oid}")) == (404, "not_found")
    text = first.pop("token")
    assert first | {"note": "nightly import", "hasEnded": False} == first
    assert set(first) == {"_id", "note", "createdAt", "expiresAt", "hasEnded"}
    assert listed == [first, {name: second[name] for name in first}] and second["note"] is None
    assert rest == [first]
    assert code_of(foreign) == (404, "not_found")
    assert code_of(bad) == (422, "note")
    hashed = hashlib.sha256(text.encode()).hexdigest()
    assert await world.rows("SELECT token_sha256 FROM employee_token WHERE revoked_at IS NULL") == [(hashed,)]
    audit = "SELECT action, row_oid FROM audit_log WHERE table_name = 'employee_token' ORDER BY id"
    assert await world.rows(audit) == [
        ("create", first["_id"]),
        ("create", second["_id"]),
        ("delete", second["_id"]),
    ]


async def test_a_person_has_only_so_many_tokens(world: World) -> None:
    path = f"/employee/{world.ids['single']}/token"
    async with world.client(AccessLevel.MANAGER) as client:
        for _ in range(MAX_TOKENS):
            answer = await client.post(path, json={})
            assert answer.status_code == 200
        assert code_of(await client.post(path, json={})) == (409, "token")
        await client.delete(f"{path}/{answer.json()['_id']}")
        assert (await client.post(path, json={})).status_code == 200
