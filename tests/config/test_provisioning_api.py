"""The routes that arm a phone and show its configuration."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from config import clock
from config.access import AccessLevel
from tests.config.auditing import write_notes
from tests.config.phones import MAC, NAME, URL, act, armed, get, new_phone, on
from tests.config.world import MODEL, NOBODY, World


async def shown(world: World, id: str, what: str = "provisioning") -> dict[str, Any]:
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get(f"/pbx/sipphone/{id}/{what}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_the_state_follows_the_phone(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    assert (await shown(world, id))["state"] == "new"
    told = await act(world, id, rearm=True)
    assert told["state"] == "armed" and told["url"].endswith(f"/{NAME}")
    ends = datetime.fromisoformat(told["armedUntil"])
    assert abs(ends - clock.utc_now() - timedelta(days=14)) < timedelta(minutes=5)
    assert (await shown(world, id))["url"] is None, "the secret is told once"
    path = told["url"].removeprefix(URL)
    answer = await get(world, path)
    assert (await shown(world, id))["state"] == "loading"
    (line,) = [line for line in answer.text.splitlines() if "provision.server.url" in line]
    assert (await get(world, f"{line.partition(URL)[2]}{NAME}")).status_code == 200
    assert (await shown(world, id))["state"] == "configured"
    statement = "SELECT action FROM audit_log WHERE row_oid = :id ORDER BY id"
    assert [row[0] for row in await world.rows(statement, id=id)] == ["create", "rearm", "first-contact"]


async def test_what_cannot_be_provisioned_says_why(world: World) -> None:
    id = await new_phone(world)
    assert (await shown(world, id))["state"] == "off"
    bare = await new_phone(world, mac=None)
    generic = await new_phone(world, "generic", mac="000000000001")
    for name, settings, expected in [(id, world, "provisioning"), (bare, on(world), "macAddress"),
                                     (generic, on(world), "sipPhoneModel")]:  # fmt: skip
        async with settings.client(AccessLevel.MANAGER) as client:
            answer = await client.post(f"/pbx/sipphone/{name}/provisioning", json={"rearm": True})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, expected)
    assert (await shown(on(world), bare))["state"] == "unsupported"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "rearm"),
        ({"rearm": False}, "rearm"),
        ({"rearm": True, "rotate": True}, "rearm"),
        ({"expect": "yes"}, "expect"),
        ({"expect": True, "networks": "192.0.2.0/24"}, "networks"),
        ({"expect": True, "networks": ["192.0.2.0/99"]}, "networks"),
        ({"expect": True, "networks": ["192.0.2.0/24,10.0.0.0/8"]}, "networks"),
        ({"expect": True, "networks": ["10.0.0.1"] * 51}, "networks"),
    ],
)
async def test_a_body_has_one_action(world: World, body: dict[str, Any], code: str) -> None:
    world = on(world)
    id = await new_phone(world)
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(f"/pbx/sipphone/{id}/provisioning", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert (await shown(world, id))["state"] == "new"


async def test_another_customer_sees_nothing(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    async with world.client(AccessLevel.OWNER, "rival") as client:
        for one in (id, NOBODY):
            for path in ("provisioning", "configuration"):
                assert (await client.get(f"/pbx/sipphone/{one}/{path}")).status_code == 404
            answer = await client.post(f"/pbx/sipphone/{one}/provisioning", json={"rearm": True})
            assert answer.status_code == 404


async def test_the_preview_shows_files_without_secrets_and_what_has_changed(world: World) -> None:
    world = on(world)
    id = await new_phone(world, softkeys=[{"index": 0, "function": "BLF", "value": world.ids["ext201"]}])
    path = await armed(world, id)
    before = await shown(world, id, "configuration")
    names = [file["name"] for file in before["files"]]
    assert names == [f"{MAC.lower()}.boot", NAME]
    (file,) = [file for file in before["files"] if file["name"] == NAME]
    assert "= 201\n" in file["text"], "a BLF key is a number"
    assert file["isLoaded"] is None and file["loadedAt"] is None and file["diff"] == ""
    ((sealed,),) = await world.rows("SELECT password_enc FROM sip_phone WHERE oid = :id", id=id)
    ((steady,),) = await world.rows("SELECT steady_enc FROM provisioning WHERE mac = :mac", mac=MAC)
    for secret in (world.vault.open(sealed, id), world.vault.open(steady, MAC)):
        assert secret not in file["text"]
    assert file["text"].count("********") >= 2
    assert (await get(world, path)).status_code == 200
    (file,) = [one for one in (await shown(world, id, "configuration"))["files"] if one["name"] == NAME]
    assert file["isLoaded"] is True and file["loadedAt"] and file["diff"] == ""
    async with world.client() as client:
        assert (await client.patch(f"/pbx/sipphone/{id}", json={"callWaiting": True})).status_code == 200
    after = await shown(world, id, "configuration")
    (file,) = [one for one in after["files"] if one["name"] == NAME]
    assert file["isLoaded"] is False and "+call_waiting.enable = 1" in file["diff"]
    assert after["configSaved"] > after["configLoaded"] and after["problems"] == []


async def test_a_phone_leaves_a_vlan_that_it_was_told(world: World) -> None:
    world = on(world)
    id = await new_phone(world, network={"vlanId": 12})
    path = await armed(world, id)
    assert "internet_port_vid = 12\n" in (await get(world, path)).text
    async with world.client() as client:
        answer = await client.patch(f"/pbx/sipphone/{id}", json={"network": {"vlanId": 0}})
        assert answer.status_code == 200, answer.text
    for _ in range(2):
        text = (await get(world, path)).text
        assert "internet_port_enable = 0\n" in text and "internet_port_vid" not in text
    files = (await shown(world, id, "configuration"))["files"]
    assert [file["isLoaded"] for file in files if file["name"] == NAME] == [True]


async def test_a_vlan_in_extra_lines_is_left_to_them(world: World) -> None:
    """It was taken for one of ours, and the next file ended it beside the line that sets it."""
    world = on(world)
    own = "static.network.vlan.internet_port_enable = 1"
    id = await new_phone(world, customConfig=f"{own}\nstatic.network.vlan.internet_port_vid = 12")
    path = await armed(world, id)
    first = (await get(world, path)).text
    assert own in first
    for _ in range(2):
        assert (await get(world, path)).text.count("internet_port_enable") == 1
    async with world.client() as client:
        await client.patch(f"/pbx/sipphone/{id}", json={"network": {"vlanId": 13}, "customConfig": ""})
        assert "internet_port_vid = 13\n" in (await get(world, path)).text
        await client.patch(f"/pbx/sipphone/{id}", json={"network": {"vlanId": 0}, "customConfig": "a.b = 1"})
    assert "internet_port_enable = 0\n" in (await get(world, path)).text, "that one was ours"


async def test_secrets_are_for_those_who_may_read_passwords(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    preview, state = f"/pbx/sipphone/{id}/configuration", f"/pbx/sipphone/{id}/provisioning"
    strict = world.but(secrets_level=AccessLevel.MANAGER)
    async with strict.client(AccessLevel.VIEWER) as client:
        assert all("sha256" not in file for file in (await client.get(preview)).json()["files"])
        refused = await client.get(preview, params={"secrets": "true"})
        assert refused.status_code == 403 and "files" not in refused.json()
        assert "adminPassword" not in (await client.get(state)).json()
    async with strict.client(AccessLevel.MANAGER) as client:
        masked = (await client.get(preview)).json()["files"]
        whole = (await client.get(preview, params={"secrets": "true"})).json()["files"]
        admin = (await client.get(state)).json()["adminPassword"]
        told = [one["event"] for one in (await client.get(f"/pbx/sipphone/{id}/events")).json()["events"]]
    loaded = (await get(world, path)).text
    assert [file["text"] for file in whole if file["name"] == NAME] == [loaded]
    assert [file["sha256"] for file in masked] == [
        hashlib.sha256(file["text"].encode()).hexdigest() for file in whole
    ]
    assert len(admin) == 10 and f"user_password = admin:{admin}\n" in loaded
    assert admin not in str(masked)
    assert told.count("secrets-read") == 1


async def test_who_reads_secrets_is_in_the_audit_log(world: World) -> None:
    """The SIP password and the password of the phone's own pages are two reads."""
    world = on(world)
    id = await new_phone(world)
    path = f"/pbx/sipphone/{id}"
    async with world.client(AccessLevel.OWNER) as client:
        await client.post(f"{path}/provisioning", json={"rearm": True})
        await client.get(path)
        for _ in range(2):
            await client.get(f"{path}/provisioning")
        await client.get(f"{path}/configuration")
        await client.get(f"{path}/configuration", params={"secrets": "true"})
        await write_notes(client, world.engine)
        rows = (await client.get("/audit", params={"object": id})).json()["rows"]
    told = [(row["action"], row["after"]) for row in rows if row["action"].startswith("read")]
    assert sorted(told, key=str) == [
        ("read", {"shown": ["adminPassword"]}),
        ("read", {}),
        ("readsecrets", {}),
    ]


async def test_extra_lines_are_checked_before_they_are_stored(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path, wrong = f"/pbx/sipphone/{id}", "a.b = 1\naccount.1.password = x"
    models, template = f"/pbx/sipphonemodels/{MODEL['yealink']}", "a.b = 1\n\nno setting"
    async with world.client() as client:
        for where, body, line in (
            (path, {"customConfig": wrong}, "line 2: account.1.password"),
            (models, {"configurationTemplate": template}, "line 3 is not"),
            (models, {"configurationTemplate": "<a/>"}, "line 1 is not"),
        ):
            answer = await client.patch(where, json=body)
            (code,) = body
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (422, code) and line in error["message"], error
        good = {"customConfig": "a.b = {{ number }}"}
        assert (await client.patch(path, json=good)).status_code == 200
        await client.patch(models, json={"configurationTemplate": "a.b = 2"})
        answer = await client.patch(models, json={"writer": "snom"})
        assert answer.json()["error"]["code"] == "configurationTemplate", "it is none of the new writer"


async def test_extra_lines_from_before_are_left_out_with_a_warning(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    wrong = "a.b = 1\naccount.1.password = x"
    await world.execute("UPDATE sip_phone SET custom_config = :wrong WHERE oid = :id", wrong=wrong, id=id)
    loaded = await get(world, await armed(world, id))
    assert loaded.status_code == 200 and "account.1.password = x" not in loaded.text
    seen = await shown(world, id, "configuration")
    assert seen["problems"] == [] and "customConfig" in [one["field"] for one in seen["leftOut"]]
    assert any("customConfig is left out: line 2" in warning for warning in seen["warnings"])
    async with world.client() as client:
        whole = (await client.get(f"/pbx/sipphone/{id}")).json()
        answer = await client.patch(f"/pbx/sipphone/{id}", json={"customConfig": whole["customConfig"]})
    assert answer.status_code == 200, "what is stored may be sent back"


async def test_a_key_whose_target_is_gone_is_left_out_with_a_reason(world: World) -> None:
    world = on(world)
    id = await new_phone(world, softkeys=[{"index": 3, "function": "BLF", "value": world.ids["ext201"]}])
    statement = "UPDATE sip_phone_softkey SET value = :oid WHERE key_index = 3"
    await world.execute(statement, oid=NOBODY)
    told = await shown(world, id, "configuration")
    reasons = [one["reason"] for one in told["leftOut"]] + told["warnings"]
    assert any("does not exist any more" in reason for reason in reasons), told


async def test_a_softphone_has_the_files_of_all_clients(world: World) -> None:
    world = on(world)
    id = await new_phone(world, "generic", mac=None)
    names = [file["name"] for file in (await shown(world, id, "configuration"))["files"]]
    assert "linphone.xml" in names and "baresip" in names


async def test_a_deleted_phone_leaves_no_secret(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    async with world.client() as client:
        assert (await client.delete(f"/pbx/sipphone/{id}")).status_code == 200
    assert await world.rows("SELECT mac FROM provisioning") == []
    again = await new_phone(world)
    assert again != id and (await get(world, path)).status_code == 404


async def test_a_mac_address_that_left_its_phone_leaves_no_secret(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    for mac in ("805EC0D57D99", None):
        async with world.client() as client:
            answer = await client.patch(f"/pbx/sipphone/{id}", json={"macAddress": mac})
        assert answer.status_code == 200, answer.text
        assert await world.rows("SELECT mac FROM provisioning") == []
    await new_phone(world)
    assert (await get(world, path)).status_code == 404


async def test_a_mac_address_that_a_handset_still_has_keeps_its_secrets(world: World) -> None:
    world = on(world)
    id = await new_phone(world, "dect", "7C2F80010203", handsetAddress="0123456789")
    await new_phone(world, "dect", "7C2F80010203", handsetAddress="0123456788")
    path = await armed(world, id)
    async with world.client() as client:
        answer = await client.patch(f"/pbx/sipphone/{id}", json={"macAddress": "7C2F80010299"})
    assert answer.status_code == 200, answer.text
    assert (await get(world, path)).status_code == 200


async def test_a_mac_address_of_two_customers_is_not_armed(world: World) -> None:
    world = on(world)
    id = await new_phone(world, "dect", "7C2F80010203", handsetAddress="0123456789")
    await new_phone(world, "dect", "7C2F80010203", handsetAddress="0123456788")
    path = await armed(world, id)
    await world.execute(
        "UPDATE sip_phone SET extension_id = NULL, "
        "customer_id = (SELECT id FROM customer WHERE name = 'Rival') WHERE mac_slot = 1"
    )
    assert (await get(world, path)).status_code == 404
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(f"/pbx/sipphone/{id}/provisioning", json={"rearm": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "macAddress")


@pytest.mark.parametrize("action", ["rearm", "expect", "rotate"])
async def test_who_may_not_see_the_password_makes_no_secret(world: World, action: str) -> None:
    world = on(world)
    id = await new_phone(world)
    await armed(world, id)
    before = await world.rows("SELECT * FROM provisioning")
    async with world.but(secrets_level=AccessLevel.OWNER).client(AccessLevel.MANAGER) as client:
        answer = await client.post(f"/pbx/sipphone/{id}/provisioning", json={action: True})
        again = await client.post(f"/pbx/sipphone/{id}/provisioning", json={"redirect": True})
    assert answer.status_code == 403 and "/p/" not in answer.text
    assert again.status_code == 409, "it makes no secret, and no service has refused the phone"
    assert await world.rows("SELECT * FROM provisioning") == before
