"""SIP users: rows 8-12 of the checklist."""

import asyncio

import pytest

from config.access import AccessLevel
from registrar.sip import MD5, ha1
from tests.config.test_changes import heard
from tests.config.v2 import JOE, SALES, domain, made, number, refused, row, rows
from tests.config.world import World

PERSON = {
    "email": "Joe.Blogs@company.com",
    "firstName": "Joe",
    "lastName": "Blogs",
    "jobName": "Boss",
    "departmentName": "Sales",
    "companyName": "Acme",
    "officeName": "Århus",
}
NUMBERS = {
    "ukCallerId": "+442012345678",
    "usCallerId": "+12025550123",
    "mobileNumber": "+4520304050",
    "mobileFollow": "1",
    "hotdeskAllowed": "1",
    "dashboard": "1",
}
ALL = {**JOE, "pin": "4711", **PERSON, **NUMBERS, "ukPhoneId": "4", "usPhoneId": "5"}
STATE: dict[str, str | None] = {"state": "offline", "stateReason": None, "stateSince": None}
"""What a user on the dashboard is doing who has no phone."""
SECRETS = ("password", "pin")
USERS = "SELECT sip_user FROM extension WHERE sip_user IS NOT NULL ORDER BY id"


def visible(params: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in SECRETS}


async def test_a_user_is_shown_as_it_was_sent(world: World) -> None:
    path = await domain(world)
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        id = await made(client, f"{path}/users", **ALL)
        answer = await client.get(f"{path}/users/{id}")
        shown = row(answer)
        live = {"dnd": "0", "cfu": None, "cfb": None, "cfnr": None} | STATE
        assert {name: shown.pop(name) for name in live} == live
        assert rows(await client.get(f"{path}/users"))[-1] == shown
        extension = (await client.get("/pbx/extension?filter=300")).json()["extensions"][0]
    moments = {name: shown[name] for name in ("createDatetime", "updateDatetime")}
    assert shown == {"userId": id, "domainId": path.rpartition("/")[2], **visible(ALL), **moments}
    assert JOE["password"] not in answer.text and "4711" not in answer.text
    assert words == [f"phone u{id}", f"dialplan {world.ids['acme']}"]
    assert (extension["sipUser"], extension["name"], extension["mobileFollow"]) == ("joe", "Joe Blogs", True)
    assert await world.rows(
        "SELECT name, access_level, login_email FROM employee ORDER BY id DESC LIMIT 1"
    ) == [("Joe Blogs", "NO_LOGIN", None)]
    expected = ha1("joe", "acme.test", JOE["password"], MD5)
    assert await world.rows("SELECT id, ha1_md5, ip_policy, extension FROM phone_v1") == [
        (f"u{id}", expected, "DOMAIN", "300")
    ]
    ((pin,),) = await world.rows("SELECT pin_hash FROM extension WHERE sip_user = 'joe'")
    assert pin.startswith("$argon2id")
    audit = await world.rows("SELECT action, table_name FROM audit_log ORDER BY table_name")
    assert audit == [("create", "employee"), ("create", "extension")]


async def test_each_property_changes_alone(world: World) -> None:
    path = await domain(world)
    new = {"displayName": "Jo", "extensionNumber": "301", **PERSON, **NUMBERS}
    async with world.client(AccessLevel.MANAGER) as client:
        one = f"{path}/users/{await made(client, f'{path}/users', **JOE)}"
        expected = row(await client.get(one))
        for name, value in new.items():
            assert (await client.post(one, data={name: value})).status_code == 204, name
            expected = expected | {name: value} | (STATE if name == "dashboard" else {})
            assert row(await client.get(one)) | {"updateDatetime": ""} == expected | {"updateDatetime": ""}
        for name in (*PERSON, "ukCallerId", "mobileNumber"):
            await client.post(one, data={name: ""})
            assert row(await client.get(one))[name] is None
        await client.post(one, data={"mobileFollow": "0", "user": "other", "ukPhoneId": "9"})
        after = row(await client.get(one))
    assert (after["mobileFollow"], after["user"], after["ukPhoneId"]) == ("0", "joe", None)
    assert await world.rows("SELECT name FROM employee ORDER BY id DESC LIMIT 1") == [("Jo",)]


async def test_a_new_password_voids_the_old_one(world: World) -> None:
    path = await domain(world)
    state = "SELECT version, secret_version, ha1_md5 FROM phone_v1"
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        id = await made(client, f"{path}/users", **JOE)
        ((version, secret, _),) = await world.rows(state)
        await client.post(f"{path}/users/{id}", data={"displayName": "Jo"})
        ((named, same, _),) = await world.rows(state)
        await client.post(f"{path}/users/{id}", data={"password": "a new secret of joe", "pin": ""})
        ((after, raised, digest),) = await world.rows(state)
    assert (named, same) == (version + 1, secret)
    assert (after, raised) == (version + 2, secret + 1)
    assert digest == ha1("joe", "acme.test", "a new secret of joe", MD5)
    assert words == [f"phone u{id}", f"dialplan {world.ids['acme']}"] * 3


async def test_a_deleted_user_is_gone_and_its_devices_stay(world: World) -> None:
    path = await domain(world)
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        id = await made(client, f"{path}/users", **JOE)
        oid = (await client.get("/pbx/extension?filter=300")).json()["extensions"][0]["_id"]
        phone = await world.create(extension=oid)
        people = await world.rows("SELECT count(*) FROM employee")
        words.clear()
        answer = await client.delete(f"{path}/users/{id}")
        assert (answer.status_code, answer.content) == (204, b"")
        for method in ("GET", "POST", "DELETE"):
            assert refused(await client.request(method, f"{path}/users/{id}")) == (
                404,
                "not found: user",
            )
        assert (await client.get(f"/pbx/sipphone/{phone['_id']}")).json()["extension"] is None
        assert await world.rows(USERS) == []
        assert await world.rows("SELECT count(*) FROM employee") == [(people[0][0] - 1,)]
        assert await made(client, f"{path}/users", **JOE) != id, "a number is never used again"
    assert words[-4:-2] == [f"phone {phone['_id']} u{id}", f"dialplan {world.ids['acme']}"]


async def test_a_person_with_a_login_or_another_number_outlives_the_user(world: World) -> None:
    path = f"{await domain(world)}/users"
    first = await number(world, world.ids["ext200"], "extension")
    async with world.client(AccessLevel.OWNER) as client:
        assert row(await client.get(f"{path}/{first}"))["user"] is None, "a user of the other dialect"
        assert (await client.post(f"{path}/{first}", data={"jobName": "Boss"})).status_code == 204
        assert (await client.delete(f"{path}/{first}")).status_code == 204
        names = "SELECT title FROM employee WHERE name = 'Anna Østergård'"
        assert await world.rows(names) == [("Boss",)]
        id = await made(client, path, **JOE)
        await world.execute(
            "UPDATE extension SET employee_id = (SELECT employee_id FROM extension WHERE sip_user = 'joe') "
            "WHERE oid = :oid",
            oid=world.ids["ext201"],
        )
        assert (await client.delete(f"{path}/{id}")).status_code == 204
    assert await world.rows("SELECT count(*) FROM employee WHERE name = 'Joe Blogs'") == [(1,)]


async def test_a_user_of_nobody_becomes_somebody(world: World) -> None:
    path = f"{await domain(world)}/users/{await number(world, world.ids['ext201'], 'extension')}"
    async with world.client(AccessLevel.MANAGER) as client:
        assert (await client.post(path, data={"displayName": "B", "firstName": ""})).status_code == 204
        assert await world.rows("SELECT employee_id FROM extension WHERE number = '201'") == [(None,)]
        assert (await client.post(path, data={"firstName": "Bent"})).status_code == 204
        shown = row(await client.get(path))
        assert (shown["firstName"], shown["displayName"], shown["user"]) == ("Bent", "B", None)
        listed = (await client.get("/pbx/extension?filter=201")).json()["extensions"][0]
        assert listed["employee"] is not None and listed["primary"] is True
        refusal = refused(await client.post(path, data={"password": "another secret"}))
    assert refusal == (400, "A password needs a user name")


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        pytest.param({"user": ""}, 400, "user is missing", id="no user"),
        pytest.param({"password": ""}, 400, "password is missing", id="no password"),
        pytest.param({"password": "Xq7-vRt2z"}, 400, "The password needs at least 10", id="nine characters"),
        pytest.param(
            {"password": "password123"},
            400,
            "The password is one of those that are guessed",
            id="a common password",
        ),
        pytest.param(
            {"password": "Joe Blogs1"},
            400,
            "The password is one of those that are guessed",
            id="the user's name",
        ),
        pytest.param({"displayName": ""}, 400, "displayName is missing", id="no name"),
        pytest.param({"extensionNumber": ""}, 400, "extensionNumber is missing", id="no number"),
        pytest.param({"user": "a@b"}, 400, "user must be letters", id="a user with a domain"),
        pytest.param({"user": "a" * 32}, 400, "user must be letters", id="a user like a phone's"),
        pytest.param({"extensionNumber": "abc"}, 400, "extensionNumber must be digits", id="letters"),
        pytest.param({"extensionNumber": "200"}, 409, "The number 200 is in use", id="a number in use"),
        pytest.param({"extensionNumber": "600"}, 409, "The number 600 is in use", id="a group's number"),
        pytest.param({"user": "first"}, 409, "The user first exists already", id="a user that is there"),
        pytest.param({"displayName": "a\r\nb"}, 400, "displayName is not a valid text", id="line breaks"),
        pytest.param({"mobileFollow": "2"}, 400, "mobileFollow must be 1 or 0", id="no flag"),
        pytest.param({"ukPhoneId": "x"}, 400, "ukPhoneId must be a number", id="no number of a phone"),
        pytest.param(
            {"mobileNumber": "call me"}, 400, "mobileNumber is not a valid phone number", id="words"
        ),
        pytest.param({"user": "", "rec": "", "dashboard": "x"}, 400, "user is missing; dashboard", id="two"),
    ],
)
async def test_what_is_wrong_is_said(world: World, params: dict[str, str], status: int, message: str) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        await made(client, f"{path}/users", **JOE | {"user": "first", "extensionNumber": "299"})
        await made(client, f"{path}/groups", **SALES)
        before = await world.rows("SELECT count(*) FROM employee")
        answer = refused(await client.post(f"{path}/users", data=JOE | params))
    assert (answer[0], answer[1][: len(message)]) == (status, message)
    assert await world.rows(USERS) == [("first",)]
    assert await world.rows("SELECT count(*) FROM employee") == before


async def test_a_user_name_is_unique_in_its_domain_only(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        for tenant in ("acme", "rival"):
            await made(client, f"{await domain(world, tenant)}/users", **JOE)
    assert await world.rows("SELECT domain FROM phone_v1 ORDER BY domain") == [
        ("acme.test",),
        ("rival.test",),
    ]


@pytest.mark.parametrize("same", ["user", "extensionNumber"])
async def test_of_many_users_with_one_name_or_number_one_is_made(world: World, same: str) -> None:
    path = f"{await domain(world)}/users"
    async with world.client(AccessLevel.MANAGER) as client:
        sent = [
            {"user": f"u{index}", "extensionNumber": f"30{index}"} | {same: JOE[same]} for index in range(6)
        ]
        answers = await asyncio.gather(*(client.post(path, data=JOE | one) for one in sent))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert len(await world.rows(USERS)) == 1
    assert await world.rows("SELECT count(*) FROM employee WHERE name = 'Joe Blogs'") == [(1,)]


async def test_an_update_of_somebody_above_oneself_is_denied(world: World) -> None:
    path = f"{await domain(world)}/users/{await number(world, world.ids['ext200'], 'extension')}"
    await world.execute("UPDATE employee SET access_level = 'ADMIN'")
    async with world.client(AccessLevel.MANAGER) as client:
        denied = refused(await client.post(path, data={"email": "x@acme.test"}))
        assert denied == (403, "access denied: Insufficient access level: ADMIN is needed")
        assert (await client.post(path, data={"displayName": "x"})).status_code == 204
        shown = row(await client.get(path))
    assert (shown["email"], shown["displayName"]) == (None, "x")
