"""What is stored of a phone, how it changes, resets and goes."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from config.access import AccessLevel
from config.pbx import openapi
from config.tables import AuditLog
from tests.config.world import MODEL, NOBODY, Json, World

EVERYTHING: Json = {
    "pbxCluster": 2,
    "macAddress": "4EE8A34B56F3",
    "serial": "S1",
    "callWaiting": True,
    "sidePanel": "D7",
    "sidePanelCount": 2,
    "softkeyConfigurationOnDevice": True,
    "softkeyBlfBlindTransfer": True,
    "headsetButton": "speaker-headset",
    "dhsg": True,
    "displayBrightness": 0,
    "displayBrightnessIdle": 15,
    "displayBackground": "https://pictures.test/a.png",
    "displayFontColor": "DARK",
    "instanceId": "communicator-1",
    "customConfig": "line1\r\nline2\t!",
    "notes": "Østergårds telefon 📞",
    "ip": {"mode": "ROAMING", "countries": "DK,SE", "address": "213.83.176.134", "policy": "PHONE"},
    "ringer": {"volume": 4, "tone": 2},
    "volume": {
        "handset": {"mic": 5, "speaker": 7},
        "headset": {"mic": 6, "speaker": 8},
        "handsfree": {"mic": 3, "speaker": 4},
    },
    "softkeys": [
        {"index": 0, "function": "SPEEDDIAL", "value": "112", "label": "Emergency"},
        {"index": 3, "function": "URL", "value": "https://menu.test/x?y=z", "label": None},
        {"index": 9, "function": "SWITCH", "value": "night", "label": "Night"},
    ],
    "codec": {"hdAudio": False, "video": True},
    "network": {
        "dhcp": False,
        "ipAddress": "192.168.1.10",
        "subnet": "255.255.255.0",
        "gateway": "192.168.1.1",
        "dns1": "192.168.1.1",
        "dns2": "2001:db8::1",
        "vlanId": 12,
        "vlanPriority": 5,
    },
    "purchaseInfo": {
        "orderId": "500912",
        "date": "2020-02-02T00:00:00Z",
        "paymentOption": "RENTED",
        "sidePanels": [
            {
                "serial": "1234",
                "paymentOption": "BOUGHT",
                "orderId": "98850",
                "date": "2015-01-01T00:00:00Z",
                "product": None,
            }
        ],
    },
}


def paths(schema: Json, prefix: str = "") -> set[str]:
    """The dotted names of the values in a schema's objects."""
    found: set[str] = set()
    for name, inner in schema["properties"].items():
        found |= paths(inner, f"{prefix}{name}.") if "properties" in inner else {prefix + name}
    return found


def values(document: Json, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, inner in document.items():
        found |= values(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name}
    return found


async def test_every_property_is_stored_and_answered_alike_everywhere(world: World) -> None:
    ids = {"extension": world.ids["ext200"], "product": world.ids["product"], "customer": world.ids["acme"]}
    created = await world.create(**EVERYTHING, **ids)
    async with world.client() as client:
        path = f"/pbx/sipphone/{created['_id']}"
        shown = (await client.get(path)).json()
        listed = (await client.get("/pbx/sipphone", params={"full": "true"})).json()["sipPhones"][0]
        updated = (await client.patch(path, json={})).json()
        reset = (await client.post(f"{path}/resetcredentials")).json()
    assert created == shown == listed
    assert updated | {"status": None} == created | {"status": None}
    assert set(reset) == set(created)
    for name, value in (EVERYTHING | ids | {"sipPhoneModel": MODEL["generic"]}).items():
        assert created[name] == value, name
    assert (created["handsetIndex"], created["handsetAddress"]) == (None, None)


async def test_what_is_answered_is_what_is_documented(world: World) -> None:
    created = await world.create()
    documented = paths(openapi.FULL)
    optional = {name for name in documented if name.startswith(("status.", "ip.unlockedUntil"))}
    assert values(created) <= documented
    assert documented - optional <= values(created)


async def test_a_new_phone_has_the_defaults(world: World) -> None:
    phone = await world.create()
    nothing = dict.fromkeys(("mic", "speaker"))
    flags = ("callWaiting", "softkeyConfigurationOnDevice", "softkeyBlfBlindTransfer", "dhsg")
    expected = dict.fromkeys(flags, False) | {
        "sipPhoneModel": MODEL["generic"],
        "customer": world.ids["acme"],
        "pbxCluster": 1,
        "ip": {"mode": "OPEN", "countries": "", "address": None, "policy": "PHONE"},
        "ringer": {"volume": None, "tone": None},
        "volume": {"handset": nothing, "headset": nothing, "handsfree": nothing},
        "softkeys": [],
        "policy": {"tls": None, "srtp": None, "sha256": None, "maxContacts": None},
        "codec": {"hdAudio": True, "video": False},
        "network": {
            "dhcp": True,
            **dict.fromkeys(("ipAddress", "subnet", "gateway", "dns1", "dns2")),
            "vlanId": 0,
            "vlanPriority": 0,
        },
        "purchaseInfo": {"orderId": None, "date": None, "paymentOption": None, "sidePanels": []},
    }
    made = ("_id", "username", "password", "status")
    assert {name: value for name, value in phone.items() if name not in expected and value is not None} == {
        name: phone[name] for name in made
    }
    assert {name: phone[name] for name in expected} == expected
    assert (phone["status"]["online"], phone["status"]["expires"]) == (False, -1)
    for secret in ("username", "password"):
        assert re.fullmatch("[a-z0-9]{32}", phone[secret])


async def test_credentials_cannot_be_chosen_and_unknown_properties_are_ignored(world: World) -> None:
    phone = await world.create(
        username="me", password="mine", _id=NOBODY, handsetIndex=3, status={}, nonsense=[1]
    )
    assert phone["username"] != "me"
    assert phone["password"] != "mine"
    assert phone["_id"] != NOBODY


async def test_a_password_is_not_readable_in_the_database(world: World) -> None:
    phone = await world.create()
    ((stored,),) = await world.rows("SELECT password_enc FROM sip_phone")
    assert phone["password"] not in stored
    assert world.vault.open(stored, phone["_id"]) == phone["password"]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"ip": {"mode": "ROAMING", "countries": " dk , Se,,dk "}}, {"countries": "DK,SE"}),
        ({"ip": {"mode": "LOCKED", "address": "::ffff:192.0.2.7"}}, {"address": "192.0.2.7"}),
        ({"ip": {"mode": "LOCKED", "address": "2001:DB8:0:0::1"}}, {"address": "2001:db8::1"}),
    ],
)
async def test_addresses_are_stored_in_one_spelling(world: World, sent: Json, stored: Json) -> None:
    assert stored.items() <= (await world.create(**sent))["ip"].items()


async def test_values_of_other_types_are_understood(world: World) -> None:
    phone = await world.create(
        macAddress="4ee8a34b56f3",
        network={"vlanId": "7"},
        ringer={"tone": "3", "volume": 4.0},
        dhsg=1,
        notes="",
        purchaseInfo={"date": "2020-02-02T01:00:00.5+01:00"},
    )
    assert phone["macAddress"] == "4EE8A34B56F3"
    assert phone["network"]["vlanId"] == 7
    assert phone["ringer"] == {"tone": 3, "volume": 4}
    assert phone["dhsg"] is True
    assert phone["notes"] is None
    assert phone["purchaseInfo"]["date"] == "2020-02-02T00:00:00Z"


async def test_a_custom_ringtone_is_an_id(world: World) -> None:
    assert (await world.create(ringer={"tone": NOBODY.upper()}))["ringer"]["tone"] == NOBODY


async def test_with_dhcp_static_addresses_are_not_needed(world: World) -> None:
    phone = await world.create(network={"dhcp": True, "ipAddress": "", "gateway": "not yet"})
    assert phone["network"]["gateway"] is None


async def test_what_a_model_lacks_is_ignored(world: World) -> None:
    phone = await world.create(
        sipPhoneModel=MODEL["webrtc"], sidePanel="D7", sidePanelCount=1, softkeyBlfBlindTransfer=True
    )
    assert (phone["sidePanel"], phone["sidePanelCount"], phone["softkeyBlfBlindTransfer"]) == (
        None,
        None,
        False,
    )


async def test_only_a_base_has_handsets(world: World) -> None:
    base = {"sipPhoneModel": MODEL["dect"], "macAddress": "4EE8A34B56F3", "handsetAddress": "h1"}
    handset = await world.create(**base)
    desk = await world.create(handsetAddress="h1")
    assert (handset["handsetIndex"], handset["handsetAddress"]) == (0, "h1")
    assert (desk["handsetIndex"], desk["handsetAddress"]) == (None, None)
    async with world.client() as client:
        path = f"/pbx/sipphone/{handset['_id']}"
        now = (await client.patch(path, json={"sipPhoneModel": MODEL["generic"]})).json()
    assert (now["handsetIndex"], now["handsetAddress"]) == (None, None)


async def test_an_update_changes_what_is_sent_and_nothing_else(world: World) -> None:
    phone = await world.create(**EVERYTHING)
    path = f"/pbx/sipphone/{phone['_id']}"
    async with world.client(AccessLevel.MANAGER) as client:
        for method, body in (
            ("POST", {"notes": "new"}),
            ("PUT", {"ringer": {"volume": 9}}),
            ("PATCH", {"softkeys": [], "customer": world.ids["rival"]}),
        ):
            assert (await client.request(method, path, json=body)).status_code == 200
    async with world.client() as client:
        now = (await client.get(path)).json()
    expected = phone | {"notes": "new", "ringer": {"volume": 9, "tone": 2}, "softkeys": [], "status": None}
    assert now | {"status": None} == expected


async def test_a_locked_phone_keeps_its_address_and_an_opened_one_forgets_it(world: World) -> None:
    phone = await world.create(ip={"mode": "LOCKED", "address": "192.0.2.7"})
    path = f"/pbx/sipphone/{phone['_id']}"
    async with world.client() as client:
        kept = await client.patch(path, json={"ip": {"mode": "LOCKED"}})
        opened = await client.patch(path, json={"ip": {"mode": "OPEN"}})
        refused = await client.patch(path, json={"ip": {"mode": "LOCKED"}})
    assert kept.json()["ip"]["address"] == "192.0.2.7"
    assert opened.json()["ip"]["address"] is None
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "ip.address")


async def test_an_update_is_checked_against_what_stays(world: World) -> None:
    phone = await world.create(network={"dhcp": True})
    path = f"/pbx/sipphone/{phone['_id']}"
    async with world.client() as client:
        static = await client.patch(path, json={"network": {"dhcp": False}})
        roaming = await client.patch(path, json={"ip": {"mode": "ROAMING"}})
    assert static.json()["error"]["code"] == "multiple"
    assert roaming.json()["error"]["code"] == "ip.mode"


async def test_a_new_model_is_asked_whether_it_can_do_what_is_stored(world: World) -> None:
    phone = await world.create(
        ringer={"volume": 15, "tone": 20}, softkeys=[{"index": 100, "function": "DND"}]
    )
    path = f"/pbx/sipphone/{phone['_id']}"
    async with world.client() as client:
        refused = await client.patch(path, json={"sipPhoneModel": MODEL["yealink"]})
        body = {"sipPhoneModel": MODEL["yealink"], "ringer": {"tone": 1}, "softkeys": []}
        accepted = await client.patch(path, json=body)
    assert {one["code"] for one in refused.json()["error"]["inner"]} == {"ringer.tone", "softkeys[0].index"}
    assert accepted.json()["ringer"] == {"volume": 15, "tone": 1}


async def test_a_softkey_may_point_to_an_extension_and_a_device(world: World) -> None:
    other = await world.create()
    keys = [
        {"index": 0, "function": "BLF", "value": world.ids["ext201"], "label": None},
        {"index": 1, "function": "DNDOTHER", "value": other["_id"], "label": None},
    ]
    assert (await world.create(softkeys=keys))["softkeys"] == keys


async def test_a_softkey_may_point_to_a_queue_and_to_a_group_that_its_extension_controls(
    world: World,
) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        body = {"number": "600", "name": "g", "controllers": [world.ids["ext200"]]}
        group = (await client.post("/pbx/group", json=body)).json()["_id"]
        queue = (await client.post("/pbx/queue", json={"number": "700", "name": "q"})).json()["_id"]
        keys = [
            {"index": 0, "function": "PICKUPGROUP", "value": group, "label": None},
            {"index": 1, "function": "QUEUE", "value": queue, "label": None},
        ]
        phone = await world.create(extension=world.ids["ext200"], softkeys=keys)
        assert phone["softkeys"] == keys
        path = f"/pbx/sipphone/{phone['_id']}"
        moved = await client.patch(path, json={"extension": world.ids["ext201"]})
        assert moved.json()["softkeys"] == keys, "keys are checked when they are sent"
        for extension in (world.ids["ext201"], None):
            refused = await client.patch(path, json={"extension": extension, "softkeys": keys})
            error = refused.json()["error"]
            assert (refused.status_code, error["code"]) == (409, "softkeys[0].value"), refused.text
            assert error["check"] == "allowed"
        again = await client.patch(path, json={"sipPhoneModel": MODEL["snom"]})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "softkeys[0].value")


async def test_a_softkey_cannot_point_to_another_customers_group_or_queue(world: World) -> None:
    rival = {"number": "600", "name": "g", "customer": world.ids["rival"]}
    async with world.client(AccessLevel.ADMIN) as client:
        group = (await client.post("/pbx/group", json=rival)).json()["_id"]
        queue = (await client.post("/pbx/queue", json=rival | {"number": "700"})).json()["_id"]
        for function, value in (("PICKUPGROUP", group), ("QUEUE", queue), ("QUEUE", group)):
            keys = [{"index": 0, "function": function, "value": value}]
            body = {"sipPhoneModel": MODEL["generic"], "softkeys": keys, "extension": world.ids["ext200"]}
            answer = await client.post("/pbx/sipphone", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "softkeys[0].value")


async def test_ten_resets_an_hour_and_phone_and_no_more(world: World) -> None:
    """D17: a GET is enough, so a page that is loaded again and again would do it."""
    phone, other = await world.create(), await world.create()
    async with world.client() as client:
        path = f"/pbx/sipphone/{phone['_id']}/resetcredentials"
        for number in range(10):
            answer = await (client.get(path) if number % 2 else client.post(path))
            assert answer.status_code == 200
        last = answer.json()["username"]
        refused = [await client.get(path), await client.post(path)]
        assert [answer.status_code for answer in refused] == [429, 429]
        assert refused[0].json()["error"]["code"] == "too_many"
        assert 3_500 < int(refused[0].headers["Retry-After"]) <= 3_600
        shown = (await client.get(f"/pbx/sipphone/{phone['_id']}")).json()
        assert shown["username"] == last
        assert (await client.post(f"/pbx/sipphone/{other['_id']}/resetcredentials")).status_code == 200
        earlier = datetime.now(UTC) - timedelta(hours=1, seconds=1)
        async with world.engine.begin() as connection:
            await connection.execute(
                update(AuditLog).where(AuditLog.row_oid == phone["_id"]).values(at=earlier)
            )
        assert (await client.post(path)).status_code == 200


async def test_a_reset_makes_new_credentials_and_leaves_the_rest(world: World) -> None:
    phone = await world.create(ip={"mode": "LOCKED", "address": "192.0.2.7"})
    async with world.client(AccessLevel.VIEWER) as client:
        first = (await client.get(f"/pbx/sipphone/{phone['_id']}/resetcredentials")).json()
        second = (await client.post(f"/pbx/sipphone/{phone['_id']}/resetcredentials")).json()
    assert len({phone["username"], first["username"], second["username"]}) == 3
    assert len({phone["password"], first["password"], second["password"]}) == 3
    assert second["ip"] == phone["ip"]
    assert await world.rows("SELECT secret_version, version FROM sip_phone") == [(3, 3)]


async def test_a_deleted_phone_takes_its_parts_along(world: World) -> None:
    phone = await world.create(**EVERYTHING)
    async with world.client() as client:
        answer = await client.delete(f"/pbx/sipphone/{phone['_id']}")
        again = await client.delete(f"/pbx/sipphone/{phone['_id']}")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert again.status_code == 404
    for table in ("sip_phone", "sip_phone_softkey", "sip_phone_side_panel"):
        assert await world.rows(f"SELECT count(*) FROM {table}") == [(0,)]


async def test_every_change_leaves_a_line_in_the_audit_log(world: World) -> None:
    async with world.client(AccessLevel.MANAGER, person="anna") as client:
        phone = (await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]})).json()
        path = f"/pbx/sipphone/{phone['_id']}"
        await client.patch(path, json={"notes": "x"})
        await client.get(f"{path}/resetcredentials")
        await client.delete(path)
    lines = await world.rows(
        "SELECT actor, actor_level, action, table_name, row_oid, source_ip FROM audit_log"
    )
    assert lines == [
        (world.ids["anna"], "MANAGER", action, "sip_phone", phone["_id"], "127.0.0.1")
        for action in ("create", "update", "resetcredentials", "delete")
    ]


async def test_of_many_that_want_a_mac_at_once_one_gets_it(world: World) -> None:
    async with world.client() as client:
        body = {"sipPhoneModel": MODEL["generic"], "macAddress": "4EE8A34B56F3"}
        answers = await asyncio.gather(*(client.post("/pbx/sipphone", json=body) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11


async def test_of_many_handsets_at_once_each_gets_a_place_of_its_own(world: World) -> None:
    async with world.client() as client:
        body = {"sipPhoneModel": MODEL["dect"], "macAddress": "4EE8A34B56F3", "handsetAddress": "h"}
        answers = await asyncio.gather(*(client.post("/pbx/sipphone", json=body) for _ in range(9)))
    places = [answer.json()["handsetIndex"] for answer in answers if answer.status_code == 200]
    assert sorted(places) == [0, 1, 2, 3, 4, 5]
    assert [answer.status_code for answer in answers if answer.status_code != 200] == [409] * 3


async def test_a_place_lost_to_another_writer_is_tried_again(world: World) -> None:
    """Two writers that both saw the place free: the database refuses one, and its second try says why."""
    await world.create(macAddress="4EE8A34B56F3")
    unique = "INSERT INTO sip_phone SELECT * FROM sip_phone"
    with pytest.raises(Exception, match=r"(?i)unique"):
        await world.execute(unique)
