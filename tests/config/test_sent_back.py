"""What is shown may be sent back: nothing changes. And the ways to write a value that mean the same."""

from typing import Any, Final

import pytest

from config.access import AccessLevel
from config.checks import bare_number, is_email
from config.operations.draft import NOT_SENT, Document
from tests.config.v2 import DEVICE, domain, made
from tests.config.world import MODEL, Json, World
from tests.every import every

PHONE: Final = "/pbx/sipphone"
FULL: Final = {
    "sipPhoneModel": MODEL["generic"],
    "macAddress": "4EE8A34B56F3",
    "notes": "first line\r\nsecond line\n\tthird",
    "ip": {"mode": "ROAMING", "countries": "DK,XK"},
    "ringer": {"volume": 3, "tone": "1"},
    "softkeys": [{"index": 0, "function": "SPEEDDIAL", "value": "+45 (70) 30-50 50", "label": "Us"}],
    "network": {"dhcp": False, "ipAddress": "192.0.2.9", "subnet": "255.255.255.0"}
    | {"gateway": "192.0.2.1", "dns1": "192.0.2.1", "vlanId": 7},
    "purchaseInfo": {"orderId": "o", "paymentOption": "RENTED", "sidePanels": [{"serial": "s1"}]},
}
COUNTED: Final = ("version", "revision", "updated_at", "config_saved_at")
"""Columns that tell of a change, and no part of what is configured."""


async def stored(world: World, table: str) -> list[dict[str, Any]]:
    async with world.read_engine.connect() as connection:
        result = await connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2")
        rows = [dict(row) for row in result.mappings()]
    return [{name: value for name, value in row.items() if name not in COUNTED} for row in rows]


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
async def test_a_phone_that_is_sent_back_stays_as_it_is(world: World, method: str) -> None:
    phone = await world.create(**FULL, extension=world.ids["ext200"], product=world.ids["product"])
    tables = ("sip_phone", "sip_phone_softkey", "sip_phone_side_panel")
    before = [await stored(world, table) for table in tables]
    async with world.client(AccessLevel.RESELLER_ADMIN) as client:
        shown = (await client.get(f"{PHONE}/{phone['_id']}")).json()
        answer = await client.request(method, f"{PHONE}/{phone['_id']}", json=shown)
    assert answer.status_code == 200, answer.text
    assert [await stored(world, table) for table in tables] == before
    assert answer.json()["notes"] == FULL["notes"]
    assert answer.json()["softkeys"][0]["value"] == "+4570305050"


@pytest.mark.parametrize(
    ("path", "table", "body"),
    [
        ("/pbx/extension", "extension", {"number": "3 00", "name": "Bo", "direct": "+45 70-30 50 51"}),
        ("/pbx/group", "sip_group", {"number": "600", "name": "s", "pickup": True}),
        ("/pbx/queue", "queue", {"number": "700", "name": "q", "members": [{"number": "(70) 305050"}]}),
        ("/employee", "employee", {"name": "Bo", "accessLevel": "MANAGER", "emailAddress": "bo@acme.test"}),
        ("/customer", "customer", {"name": "C", "state": "BLOCKED", "isReseller": True}),
        ("/product", "product", {"type": "X", "productCode": "c", "name": "n", "price": 1.25}),
    ],
)
async def test_a_thing_that_is_sent_back_stays_as_it_is(
    world: World, path: str, table: str, body: Json
) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        created = await client.post(path, json=body)
        assert created.status_code == 200, created.text
        before = await stored(world, table), await stored(world, "queue_member")
        one = f"{path}/{created.json()['_id']}"
        shown = (await client.get(one)).json()
        assert (await client.put(one, json=shown)).status_code == 200
        again = (await client.get(one)).json()
    assert {name for name in shown | again if shown.get(name) != again.get(name)} <= {"updatedAt"}
    assert (await stored(world, table), await stored(world, "queue_member")) == before


async def test_an_old_value_that_is_not_valid_any_more_may_be_sent_back(world: World) -> None:
    await world.execute(
        "UPDATE employee SET contact_email = 'no address' WHERE oid = :oid", oid=world.ids["anna"]
    )
    one = f"/employee/{world.ids['anna']}"
    async with world.client(AccessLevel.ADMIN) as client:
        kept = await client.patch(one, json={"contactEmail": "no address", "title": "Boss"})
        wrong = await client.patch(one, json={"contactEmail": "still none"})
    assert (kept.status_code, kept.json()["contactEmail"]) == (200, "no address")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "contactEmail")


async def device(world: World) -> str:
    """A device of trusted networks, by its id in the JSON dialect."""
    async with world.client(AccessLevel.ADMIN) as client:
        await made(client, f"{await domain(world)}/devices", **DEVICE)
        found: Json = (await client.get(PHONE)).json()["sipPhones"][0]
    assert found["ip"] == {"mode": "OPEN", "countries": "", "address": None, "policy": "DOMAIN"}
    return f"{PHONE}/{found['_id']}"


async def test_a_device_stays_bound_to_its_trusted_networks(world: World) -> None:
    one = await device(world)
    async with world.client(AccessLevel.MANAGER) as client:
        shown = (await client.get(one)).json()
        bodies: list[Json] = [shown, {"ip": shown["ip"]}, {"ip": {"mode": "OPEN"}}, {"ip": {"countries": ""}}]
        for sent in bodies:
            answer = await client.put(one, json=sent)
            assert answer.json()["ip"]["policy"] == "DOMAIN", sent
    assert await world.rows("SELECT ip_policy FROM phone_v1 WHERE kind = 'phone'") == [("DOMAIN",)]


@pytest.mark.parametrize(
    ("sent", "policy"),
    [
        ({"policy": "PHONE"}, "PHONE"),
        ({"mode": "LOCKED", "address": "192.0.2.7"}, "PHONE"),
        ({"mode": "LOCKED", "address": "192.0.2.7", "policy": "DOMAIN"}, "DOMAIN"),
        ({"mode": "OPEN", "policy": None}, "DOMAIN"),
    ],
    ids=str,
)
async def test_the_policy_is_chosen_or_follows_a_change(world: World, sent: Json, policy: str) -> None:
    one = await device(world)
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.patch(one, json={"ip": sent})
        wrong = await client.patch(one, json={"ip": {"policy": "NOBODY"}})
    assert (answer.status_code, answer.json()["ip"]["policy"]) == (200, policy)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "ip.policy")


async def test_a_new_phone_may_follow_the_trusted_networks(world: World) -> None:
    assert (await world.create())["ip"]["policy"] == "PHONE"
    assert (await world.create(ip={"policy": "DOMAIN"}))["ip"]["policy"] == "DOMAIN"


async def test_a_key_with_dots_is_a_path(world: World) -> None:
    phone = await world.create(
        **{"ip.mode": "ROAMING", "ip.countries": "DK", "volume": {"handset.mic": 3}, "a.b.c": 1, ".": 2}
    )
    assert (phone["ip"]["mode"], phone["ip"]["countries"]) == ("ROAMING", "DK")
    assert phone["volume"]["handset"]["mic"] == 3


@every(
    ("body", "path", "value"),
    [
        ({"ip.mode": "OPEN"}, "ip.mode", "OPEN"),
        ({"ip": {"mode": "LOCKED"}, "ip.mode": "OPEN"}, "ip.mode", "OPEN"),
        ({"ip.mode": "OPEN", "ip": {"mode": "LOCKED", "address": "a"}}, "ip.address", "a"),
        ({"volume.handset.mic": 1, "volume.handset": {"speaker": 2}}, "volume.handset.speaker", 2),
        ({"volume": {"handset.mic": 1}}, "volume.handset.mic", 1),
        ({"a.b": {"c.d": 1}, "a.b.c.e": 2}, "a.b", {"c": {"d": 1, "e": 2}}),
        ({"ip": "text", "ip.mode": "OPEN"}, "ip", "text"),
        ({"a." * 6 + "b": 1}, "a.a.a.a.a.a.b", NOT_SENT),
        ({"a..b": 1}, "a.b", NOT_SENT),
        ({"purchaseInfo.sidePanels": []}, "purchaseInfo", {"sidePanels": []}),
    ],
    ids=str,
)
def test_a_document_is_asked_by_paths(body: Json, path: str, value: object) -> None:
    assert Document(body).get(path) == value


def test_a_long_key_is_no_deep_document() -> None:
    assert Document({"x." * 20_000: 1}).get("x") is NOT_SENT


@pytest.mark.parametrize("v2", [True, "true", "True", "1", 1])
async def test_v2_may_be_a_text(world: World, v2: object) -> None:
    async with world.client(AccessLevel.PERSONAL, person="anna") as client:
        answer = await client.post(f"{PHONE}/webrtc", json={"instanceId": "i", "v2": v2})
    assert "server" in answer.json() and "servers" not in answer.json()


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("?v2=true", {}, "server"),
        ("?v2=1", {}, "server"),
        ("?v2=false", {}, "servers"),
        ("?v2=true", {"v2": False}, "servers"),
        ("", {"v2": "false"}, "servers"),
        ("?v2=maybe", {}, 400),
        ("", {"v2": "maybe"}, 422),
        ("", {"v2": []}, 422),
    ],
)
async def test_v2_may_stand_in_the_query(world: World, query: str, body: Json, status: int | str) -> None:
    async with world.client(AccessLevel.PERSONAL, person="anna") as client:
        answer = await client.post(f"{PHONE}/webrtc{query}", json={"instanceId": "i"} | body)
    if isinstance(status, int):
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, "v2")
    else:
        assert status in answer.json()


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        ("+45 70 30 50 50", "+4570305050"),
        ("(070) 30-50-50", "070305050"),
        ("[070]\u00a030\u20115050", "070305050"),
        ("070–30—50", "0703050"),
        ("*34#", "*34#"),
        ("70/30", "70/30"),
        ("7\t0", "7\t0"),
    ],
)
def test_a_number_loses_what_people_write_between_its_digits(written: str, bare: str) -> None:
    assert bare_number(written) == bare


@every(
    ("address", "valid"),
    [
        ("anna@example.com", True),
        ("anna@acme.test", True),
        ("anna@localhost", True),
        ("anna@server.local", True),
        ("anna+crm@example.co.uk", True),
        ("søren@dømæne.dk", True),
        ("anna", False),
        ("@example.com", False),
        ("anna@", False),
        ("anna@@example.com", False),
        ("anna@exa mple.com", False),
        ("anna.@example.com", False),
        ("an:na@example.com", False),
        ('"an:na"@example.com', False),
        ("anna@-example.com", False),
        ("anna@.test", False),
        ("a" * 65 + "@example.com", False),
    ],
)
def test_an_email_address_is_checked(address: str, valid: bool) -> None:
    assert is_email(address) is valid


async def test_an_email_address_is_checked_in_both_dialects(world: World) -> None:
    path = f"{await domain(world)}/users"
    user = {"user": "joe", "password": "correct horse staple", "displayName": "Joe", "extensionNumber": "300"}
    async with world.client(AccessLevel.ADMIN) as client:
        for name in ("emailAddress", "contactEmail"):
            answer = await client.post("/employee", json={"name": "Bo", name: "bo at acme"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, name)
        answer = await client.post(path, data=user | {"email": "joe at acme"})
        assert (answer.status_code, answer.json()) == (400, "email is not a valid e-mail address")


async def test_a_renamed_device_has_another_configuration(world: World) -> None:
    one = await device(world)
    await world.execute("UPDATE sip_phone SET config_saved_at = '2020-01-01 00:00:00'")
    path = f"{await domain(world)}/devices"
    async with world.client(AccessLevel.MANAGER) as client:
        number = (await client.get(path)).json()["pbxDeviceId"]
        assert (await client.post(f"{path}/{number}", data={"pbxDeviceName": "Hall"})).status_code == 204
        saved = (await client.get(one)).json()["status"]["configSaved"]
    assert saved > "2026"


@pytest.mark.parametrize(
    ("url", "parameter"),
    [
        ("/pbx/extension?sort=AAA", "sort"),
        ("/pbx/sipphone?sort=AAA", "sort"),
        ("/pbx/sipphonemodels?sort=name", "sort"),
        ("/customer?limit=many", "limit"),
        ("/employee?offset=1.5", "offset"),
        ("/pbx/sipphone?full=maybe", "full"),
        ("/pbx/sipphone?available=2", "available"),
        ("/pbx/call?state=asleep", "state"),
        ("/auth/validateToken?simple=maybe", "simple"),
    ],
)
async def test_a_word_of_the_query_that_is_not_known_is_refused(
    world: World, url: str, parameter: str
) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        answer = await client.get(url)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["path"], error["check"]) == (parameter, parameter, "enum")


async def test_a_refusal_says_what_is_to_blame(world: World) -> None:
    """The level, the customer or a property; a foreign customer is not told from an unknown one."""
    too_high = {"name": "x", "accessLevel": "OWNER"}
    cases: list[tuple[AccessLevel, str, str, Json, str, str]] = [
        (AccessLevel.VIEWER, "POST", PHONE, {}, "MANAGER is needed", ""),
        (AccessLevel.MANAGER, "POST", "/customer", {"name": "x"}, "RESELLER is needed", ""),
        (AccessLevel.OWNER, "POST", PHONE, {"customer": world.ids["rival"]}, "The customer is", "customer"),
        (AccessLevel.OWNER, "POST", PHONE, {"customer": "0" * 24}, "The customer is", "customer"),
        (
            AccessLevel.OWNER,
            "GET",
            f"{PHONE}?customer={world.ids['rival']}",
            {},
            "The customer is",
            "customer",
        ),
        (AccessLevel.MANAGER, "POST", PHONE, {"purchaseInfo.orderId": "1"}, "RESELLER", "purchaseInfo"),
        (AccessLevel.MANAGER, "POST", "/employee", too_high, "own", "accessLevel"),
    ]
    for caller, method, url, body, words, path in cases:
        async with world.client(caller) as client:
            answer = await client.request(method, url, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error.get("path", "")) == (403, "access_denied", path)
        assert words in error["message"], error
        assert error["check"] == ("allowed" if path else "level")


async def test_all_that_is_missing_is_named(world: World) -> None:
    path = f"{await domain(world)}/groups"
    async with world.client(AccessLevel.ADMIN) as client:
        group = await made(client, path, groupName="g", displayName="g", extensionNumber="600")
        many = [str(900_000 + n) for n in range(25)]
        for ids, said in (
            (["999999"], "999999"),
            (["999999", "x"], "999999, x"),
            (many, ", ".join(many[:20]) + ", ..."),
        ):
            answer = await client.post(f"{path}/{group}/users", data={"userSpec": ids})
            assert (answer.status_code, answer.json()) == (404, f"not found: userSpec {said}")
