"""Extensions: numbers, people, SIP users."""

from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from tests.config.world import NOBODY, Json, World
from tests.every import every

SECRET = "a secret of the desk"
EVERYTHING = {
    "number": "310",
    "name": "Reception",
    "direct": "+4570305051",
    "sipUser": "front.desk",
    "hotdeskAllowed": True,
    "ukCallerId": "+442012345678",
    "usCallerId": "+12025550123",
    "ukPhoneId": 4,
    "usPhoneId": 5,
    "mobileNumber": "+4520304050",
    "mobileFollow": True,
    "dashboard": True,
    "primary": True,
}


async def made(client: httpx.AsyncClient, **body: Any) -> Json:
    answer = await client.post("/pbx/extension", json={"number": "300", "name": "Front"} | body)
    assert answer.status_code == 200, answer.text
    created: Json = answer.json()
    return created


async def test_what_is_sent_is_what_is_shown(world: World) -> None:
    sent = EVERYTHING | {"employee": world.ids["single"]}
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, **sent, sipPassword="secret of the desk", pin="1234")
        shown = (await client.get(f"/pbx/extension/{created['_id']}")).json()
    assert created == shown
    assert {name: shown[name] for name in sent} == sent
    assert shown["customer"] == world.ids["acme"]
    assert "secret" not in str(shown) and "pin" not in shown
    ((md5, sha256, pin),) = await world.rows(
        "SELECT sip_ha1_md5, sip_ha1_sha256, pin_hash FROM extension WHERE number = '310'"
    )
    assert (len(md5), len(sha256), pin[:9]) == (32, 64, "$argon2id")


async def test_one_property_changes_alone(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client, direct="+4570305051")
        for method, change in (
            ("POST", {"name": "A"}),
            ("PUT", {"direct": None}),
            ("PATCH", {"number": "9"}),
        ):
            answer = await client.request(method, f"/pbx/extension/{created['_id']}", json=change)
            assert answer.json() == created | change
            created = answer.json()


async def test_a_deleted_extension_is_gone_and_its_phones_stay(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        created = await made(client)
        phone = await world.create(extension=created["_id"])
        before = await world.rows("SELECT version FROM phone_v1 WHERE id = :id", id=phone["_id"])
        assert (await client.delete(f"/pbx/extension/{created['_id']}")).json() == {"success": True}
        assert (await client.get(f"/pbx/extension/{created['_id']}")).status_code == 404
        assert (await client.get(f"/pbx/sipphone/{phone['_id']}")).json()["extension"] is None
        assert (await made(client))["number"] == "300", "the number is free again"
    after = await world.rows("SELECT version FROM phone_v1 WHERE id = :id", id=phone["_id"])
    assert after[0][0] > before[0][0], "the SIP side would take the new row for an older one"


@every(
    ("body", "status", "code"),
    [
        pytest.param({"number": "200"}, 409, "number", id="a number that is taken"),
        pytest.param({"number": None}, 422, "number", id="no number"),
        pytest.param({"number": "abc"}, 422, "number", id="letters"),
        pytest.param({"number": "1" * 21}, 422, "number", id="a long number"),
        pytest.param({"name": ""}, 422, "name", id="no name"),
        pytest.param({"name": "a\r\nb"}, 422, "name", id="line breaks"),
        pytest.param({"direct": "call me"}, 422, "direct", id="a direct number that is none"),
        pytest.param({"employee": NOBODY}, 404, "employee", id="an unknown employee"),
        pytest.param({"primary": True}, 422, "primary", id="primary of nobody"),
        pytest.param({"sipUser": "a@b", "sipPassword": SECRET}, 422, "sipUser", id="a user with a domain"),
        pytest.param(
            {"sipUser": "a" * 32, "sipPassword": SECRET}, 422, "sipUser", id="a user like a phone's"
        ),
        pytest.param({"sipUser": "joe"}, 422, "sipPassword", id="a user without a password"),
        pytest.param({"sipPassword": SECRET}, 422, "sipUser", id="a password without a user"),
        pytest.param(
            {"sipUser": "joe", "sipPassword": "Xq7-vRt2z"}, 422, "sipPassword", id="nine characters"
        ),
        pytest.param(
            {"sipUser": "joe", "sipPassword": "1234567890"}, 422, "sipPassword", id="a common password"
        ),
        pytest.param(
            {"sipUser": "front.desk", "sipPassword": "front.desk1"}, 422, "sipPassword", id="the user's name"
        ),
        pytest.param({"customer": NOBODY}, 403, "access_denied", id="an unknown customer"),
        pytest.param({"hotdeskAllowed": "yes", "name": None}, 422, "multiple", id="two at once"),
    ],
)
async def test_what_is_wrong_is_said(world: World, body: Json, status: int, code: str) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post("/pbx/extension", json={"number": "300", "name": "Front"} | body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert await world.rows("SELECT * FROM extension WHERE number = '300'") == []


async def test_a_person_has_one_primary_extension(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        first = await made(client, employee=world.ids["single"])
        second = await made(client, number="301", employee=world.ids["single"])
        assert (first["primary"], second["primary"]) == (True, False)
        await client.post(f"/pbx/extension/{second['_id']}", json={"primary": True})
        listed = (await client.get("/pbx/extension?sort=number&filter=single")).json()
    assert [(row["number"], row["primary"]) for row in listed["extensions"]] == [
        ("300", False),
        ("301", True),
    ]


async def test_an_unknown_person_is_the_only_problem_of_an_extension_that_has_one(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        first = await made(client, employee=world.ids["single"])
        changed = {"employee": NOBODY, "primary": True}
        answer = await client.patch(f"/pbx/extension/{first['_id']}", json=changed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "employee")


async def test_a_user_name_is_unique_in_its_customer_only(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        await made(client, sipUser="joe", sipPassword=SECRET)
        again = await client.post(
            "/pbx/extension", json={"number": "301", "name": "B", "sipUser": "joe", "sipPassword": SECRET}
        )
        assert (again.status_code, again.json()["error"]["code"]) == (409, "sipUser")
        await made(client, sipUser="joe", sipPassword=SECRET, customer=world.ids["rival"])


async def test_a_change_finds_a_number_and_a_name_that_are_taken(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        await made(client, number="301", sipUser="joe", sipPassword=SECRET)
        created = await made(client, sipUser="jim", sipPassword=SECRET)
        for body, code in (
            ({"number": "200", "sipPassword": SECRET}, "number"),
            ({"sipUser": "joe", "sipPassword": SECRET}, "sipUser"),
        ):
            answer = await client.post(f"/pbx/extension/{created['_id']}", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, code)
        assert (await client.get(f"/pbx/extension/{created['_id']}")).json() == created


async def test_a_list_is_paged_sorted_and_filtered(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        for number, name in (("300", "Cilla"), ("301", "Bo"), ("302", "100%")):
            await made(client, number=number, name=name)
        by_name = (await client.get("/pbx/extension?limit=2&offset=1")).json()
        literal = (await client.get("/pbx/extension", params={"filter": "0%"})).json()
    assert [row["name"] for row in by_name["extensions"]] == ["Bo", "Cilla"]
    assert (by_name["offset"], by_name["limit"], by_name["total"]) == (1, 2, 5)
    assert [row["name"] for row in literal["extensions"]] == ["100%"]


async def test_a_foreign_extension_is_an_unknown_one(world: World) -> None:
    answers = set()
    async with world.client(AccessLevel.OWNER) as client:
        for oid in (world.ids["foreign"], NOBODY, "x"):
            for method in ("GET", "POST", "DELETE"):
                answer = await client.request(method, f"/pbx/extension/{oid}", json={"name": "x"})
                answers.add((answer.status_code, answer.text))
    assert answers == {(404, '{"error":{"code":"not_found","status":404,"message":"Extension not found"}}')}


async def test_a_token_of_no_customer_lists_all_and_says_for_whom_it_makes_something(
    world: World,
) -> None:
    async with world.client(AccessLevel.ADMIN, None) as client:
        listed = (await client.get("/pbx/extension?sort=number")).json()
        refused = await client.post("/pbx/extension", json={"number": "300", "name": "Front"})
        await made(client, customer=world.ids["rival"])
    assert {row["customer"] for row in listed["extensions"]} == {world.ids["acme"], world.ids["rival"]}
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["check"]) == (404, "customer", "required")
    async with world.client(AccessLevel.OWNER, None) as client:
        assert (await client.get("/pbx/extension")).status_code == 403


async def test_a_list_has_those_on_the_dashboard_or_the_others(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        shown = await made(client, dashboard=True)
        every = (await client.get("/pbx/extension")).json()
        on = (await client.get("/pbx/extension", params={"dashboard": "1"})).json()
        off = (await client.get("/pbx/extension", params={"dashboard": "false", "sort": "number"})).json()
        wrong = await client.get("/pbx/extension", params={"dashboard": "maybe"})
    assert (on["total"], [one["_id"] for one in on["extensions"]]) == (1, [shown["_id"]])
    assert off["total"] == every["total"] - 1
    assert shown["_id"] not in [one["_id"] for one in off["extensions"]]
    assert wrong.status_code == 400
