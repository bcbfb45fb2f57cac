"""Devices, and whose they are: rows 21-24 and 43-47 of the checklist, decisions D7, D20, D27 to D29."""

import asyncio
import re
from hashlib import sha256

import pytest

from config.access import AccessLevel
from tests.config.test_changes import heard
from tests.config.v2 import DEVICE, JOE, MAC, domain, made, refused, row, rows
from tests.config.world import MODEL, World


async def test_a_device_is_shown_as_it_was_sent_and_renamed(world: World) -> None:
    path = f"{await domain(world)}/devices"
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        id = await made(client, path, **DEVICE)
        shown = row(await client.get(f"{path}/{id}"))
        assert list(shown.items()) == [
            ("pbxDeviceId", id),
            ("pbxDeviceName", "Desk"),
            ("domainId", path.split("/")[-2]),
            ("deviceMacAddress", MAC),
            ("createDatetime", shown["createDatetime"]),
            ("updateDatetime", shown["updateDatetime"]),
            ("userId", None),
            ("user", None),
        ]
        assert rows(await client.get(path)) == [shown]
        (listed,) = (await client.get("/pbx/sipphone?full=true")).json()["sipPhones"]
        sent = {"pbxDeviceName": "Hall", "deviceMacAddress": "FF:FF:FF:FF:FF:FF"}
        answer = await client.post(f"{path}/{id}", data=sent)
        assert (answer.status_code, answer.content) == (204, b"")
        renamed = row(await client.get(f"{path}/{id}"))
        assert (renamed["pbxDeviceName"], renamed["deviceMacAddress"]) == ("Hall", MAC)
        assert refused(await client.post(f"{path}/{id}")) == (400, "pbxDeviceName is missing")
        assert (await client.delete(f"{path}/{id}")).status_code == 204
        for method in ("GET", "POST", "DELETE"):
            assert refused(await client.request(method, f"{path}/{id}")) == (404, "not found: device")
        assert (await client.get(path)).text == "\n"
        await made(client, path, **DEVICE)
    assert words[:2] == [f"phone {listed['_id']}"] * 2
    assert (listed["macAddress"], listed["ip"]["mode"]) == ("1020301A2B3C", "OPEN")
    assert listed["sipPhoneModel"] == MODEL["generic"] or listed["sipPhoneModel"]["_id"] == MODEL["generic"]
    assert re.fullmatch("[a-z0-9]{32}", listed["username"])
    assert await world.rows("SELECT ip_policy FROM phone_v1") == [("DOMAIN",)]


@pytest.mark.parametrize("mac", ["10-20-30-1a-2b-3c", "1020301A2B3C", "10:20:30:1a:2b:3c"])
async def test_an_address_is_shown_with_colons_and_belongs_to_one_device(world: World, mac: str) -> None:
    path = f"{await domain(world)}/devices"
    async with world.client(AccessLevel.ADMIN) as client:
        id = await made(client, path, pbxDeviceName="a", deviceMacAddress=mac)
        assert row(await client.get(f"{path}/{id}"))["deviceMacAddress"] == MAC
        for text in ("eq-value-" + mac, "like-value-30:1a", "gte-value-10:20", "notnull"):
            assert len(rows(await client.get(path, params={"filter[]": f"deviceMacAddress-{text}"}))) == 1
        for elsewhere in (path, f"{await domain(world, 'rival')}/devices"):
            answer = refused(await client.post(elsewhere, data=DEVICE))
            assert answer == (409, "A device with the same MAC address exists already")
        again = {"sipPhoneModel": MODEL["generic"], "macAddress": "1020301A2B3C"}
        assert (await client.post("/pbx/sipphone", json=again)).status_code == 409


@pytest.mark.parametrize(
    "mac", ["", "x", "10:20:30:1A:2B", "10:20-30:1A:2B:3C", "10:20:30:1A:2B:3G", "1" * 13]
)
async def test_what_is_no_address_is_refused(world: World, mac: str) -> None:
    path = f"{await domain(world)}/devices"
    async with world.client(AccessLevel.MANAGER) as client:
        assert refused(await client.post(path, data=DEVICE | {"deviceMacAddress": mac}))[0] == 400
        assert refused(await client.post(path, data=DEVICE | {"pbxDeviceName": ""}))[0] == 400


async def test_of_many_devices_with_one_address_one_is_made(world: World) -> None:
    path = f"{await domain(world)}/devices"
    async with world.client(AccessLevel.MANAGER) as client:
        answers = await asyncio.gather(*(client.post(path, data=DEVICE) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_phones_of_the_other_dialect_are_devices_too(world: World) -> None:
    phone = await world.create(extension=world.ids["ext200"])
    async with world.client(AccessLevel.MANAGER) as client:
        path = await domain(world)
        (shown,) = rows(await client.get(f"{path}/devices"))
        assert (shown["pbxDeviceName"], shown["deviceMacAddress"]) == ("Generic SIP device", None)
        mine = f"{path}/users/{shown['userId']}/devices"
        assert [found["pbxDeviceId"] for found in rows(await client.get(mine))] == [shown["pbxDeviceId"]]
        filters = {"filter[]": ["pbxDeviceName-like-value-sip DEV", "deviceMacAddress-null"]}
        assert rows(await client.get(f"{path}/devices", params=filters)) == [shown]
        assert (await client.delete(f"{path}/devices/{shown['pbxDeviceId']}")).status_code == 204
        assert (await client.get(f"/pbx/sipphone/{phone['_id']}")).status_code == 404


async def test_a_device_is_given_to_a_user_and_taken_again(world: World) -> None:
    path = await domain(world)
    token = "SELECT device_token_sha256, linked_at FROM sip_phone"
    async with world.client(AccessLevel.MANAGER) as client:
        joe = await made(client, f"{path}/users", **JOE)
        device = await made(client, f"{path}/devices", **DEVICE)
        mine = f"{path}/users/{joe}/devices"
        async with heard(world.redis) as words:
            ((before, oid),) = await world.rows("SELECT version, id FROM phone_v1 WHERE kind = 'phone'")
            given = await client.post(mine, data={"pbxDeviceId": device})
            assert given.status_code == 201
            assert given.headers["location"] == f"{mine}/{device}"
            secret = given.json()["pbxDeviceToken"]
            assert given.json() == {"pbxDeviceId": device, "userId": joe, "pbxDeviceToken": secret}
            assert re.fullmatch("[0-9a-f]{25}", secret)
            shown = row(await client.get(f"{mine}/{device}"))
            assert list(shown.items()) == [
                ("userId", joe),
                ("pbxDeviceId", device),
                ("user", "joe"),
                ("updateDatetime", shown["updateDatetime"]),
                ("pbxDeviceName", "Desk"),
            ]
            assert rows(await client.get(mine, params={"sort[]": "pbxDeviceName-asc"})) == [shown]
            owned = row(await client.get(f"{path}/devices/{device}"))
            assert (owned["userId"], owned["user"]) == (joe, "joe")
            ((digest, _),) = await world.rows(token)
            assert digest == sha256(secret.encode()).hexdigest()
            ((linked, number),) = await world.rows(
                "SELECT version, extension FROM phone_v1 WHERE kind = 'phone'"
            )
            again = await client.post(mine, params={"pbxDeviceId": device})
            assert again.status_code == 201 and again.json()["pbxDeviceToken"] != secret
            answer = await client.delete(f"{mine}/{device}")
            assert (answer.status_code, answer.content) == (204, b"")
        for method in ("GET", "DELETE"):
            assert refused(await client.request(method, f"{mine}/{device}")) == (
                404,
                "not found: device",
            )
        assert (await client.get(mine)).text == "\n"
        assert row(await client.get(f"{path}/devices/{device}"))["userId"] is None
    assert await world.rows(token) == [(None, None)]
    ((after,),) = await world.rows("SELECT version FROM phone_v1 WHERE kind = 'phone'")
    assert (before < linked < after, number) == (True, "300")
    assert words == [f"phone {oid}"] * 3


async def test_a_device_has_one_user(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.ADMIN) as client:
        joe = await made(client, f"{path}/users", **JOE)
        ann = await made(client, f"{path}/users", **JOE | {"user": "ann", "extensionNumber": "301"})
        device = await made(client, f"{path}/devices", **DEVICE)
        theirs = await made(
            client, f"{await domain(world, 'rival')}/devices", **DEVICE | {"deviceMacAddress": "0" * 12}
        )
        await client.post(f"{path}/users/{joe}/devices", data={"pbxDeviceId": device})
        taken = refused(await client.post(f"{path}/users/{ann}/devices", data={"pbxDeviceId": device}))
        assert taken == (409, "The device belongs to another user")
        for id in (theirs, "99999", "x"):
            answer = await client.post(f"{path}/users/{ann}/devices", data={"pbxDeviceId": id})
            assert refused(answer) == (404, f"not found: pbxDeviceId {id}")
            shown = refused(await client.get(f"{path}/users/{ann}/devices/{id}"))
            assert shown == (404, "not found: device")
        answer = await client.delete(f"{path}/users/{ann}/devices/{device}")
        assert refused(answer) == (404, "not found: device")
        missing = refused(await client.post(f"{path}/users/{ann}/devices"))
        assert missing == (400, "pbxDeviceId is missing")


@pytest.mark.parametrize("how", ["user deleted", "moved in the other dialect"])
async def test_a_token_is_void_when_the_device_leaves_its_user(world: World, how: str) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        joe = await made(client, f"{path}/users", **JOE)
        device = await made(client, f"{path}/devices", **DEVICE)
        assert (
            await client.post(f"{path}/users/{joe}/devices", data={"pbxDeviceId": device})
        ).status_code == 201
        if how == "user deleted":
            assert (await client.delete(f"{path}/users/{joe}")).status_code == 204
        else:
            ((oid,),) = await world.rows("SELECT oid FROM sip_phone")
            moved = {"extension": world.ids["ext200"]}
            assert (await client.post(f"/pbx/sipphone/{oid}", json=moved)).status_code == 200
        assert row(await client.get(f"{path}/devices/{device}"))["user"] is None
    assert await world.rows("SELECT device_token_sha256, linked_at FROM sip_phone") == [(None, None)]


async def test_a_user_has_one_phone_of_an_instance(world: World) -> None:
    await world.create(extension=world.ids["ext200"], instanceId="browser")
    await world.create(instanceId="browser", notes="spare")
    async with world.client(AccessLevel.MANAGER) as client:
        path = await domain(world)
        first, spare = rows(await client.get(f"{path}/devices"))
        answer = await client.post(
            f"{path}/users/{first['userId']}/devices", data={"pbxDeviceId": spare["pbxDeviceId"]}
        )
    assert refused(answer) == (409, "Another device of the user belongs to the same instance")
