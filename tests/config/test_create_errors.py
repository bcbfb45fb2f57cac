"""Every error of the page that creates a phone (docs/api.md), in many spellings."""

import json
from typing import Any

import pytest

from config.access import AccessLevel
from tests.config.world import MODEL, NOBODY, Json, World
from tests.every import every


def key(**values: Any) -> Json:
    return {"softkeys": [{"index": 0, "function": "LINE"} | values]}


STATIC = {
    "dhcp": False,
    "ipAddress": "192.168.1.10",
    "subnet": "255.255.255.0",
    "gateway": "192.168.1.1",
    "dns1": "192.168.1.1",
}


def without(name: str) -> Json:
    return {"network": {key: value for key, value in STATIC.items() if key != name}}


def volume(part: str, way: str, value: object) -> Json:
    return {"volume": {part: {way: value}}}


def panels(*serials: str) -> Json:
    return {"purchaseInfo": {"sidePanels": [{"serial": serial} for serial in serials]}}


ERRORS = [
    ("E2 pbxCluster 3", {"pbxCluster": 3}, 422, "pbxCluster", "range"),
    ("E2 pbxCluster true", {"pbxCluster": True}, 422, "pbxCluster", "format"),
    ("E3 model missing", {"sipPhoneModel": None}, 404, "sipPhoneModel", "exists"),
    ("E3 model malformed", {"sipPhoneModel": "x"}, 404, "sipPhoneModel", "exists"),
    ("E3 model unknown", {"sipPhoneModel": NOBODY}, 404, "sipPhoneModel", "exists"),
    ("E3 model an object", {"sipPhoneModel": {"_id": NOBODY}}, 404, "sipPhoneModel", "exists"),
    ("E4 extension unknown", {"extension": NOBODY}, 404, "extension", "exists"),
    ("E4 extension of another customer", {"extension": "$foreign"}, 404, "extension", "exists"),
    ("E5 customer unknown", {"customer": NOBODY}, 404, "customer", "exists"),
    ("E5 customer malformed", {"customer": 7}, 404, "customer", "exists"),
    ("E5 customer blocked", {"customer": "$blocked"}, 404, "customer", "exists"),
    ("E6 mac too short", {"macAddress": "4EE8A34B56F"}, 422, "macAddress", "format"),
    ("E6 mac with colons", {"macAddress": "4E:E8:A3:4B:56:F3"}, 422, "macAddress", "format"),
    ("E6 mac a number", {"macAddress": 123456789012}, 422, "macAddress", "format"),
    ("E9 handset", {"sipPhoneModel": MODEL["dect"]}, 422, "handsetAddress", "required"),
    ("E11 mode", {"ip": {"mode": "open"}}, 422, "ip.mode", "enum"),
    ("E11 mode a list", {"ip": {"mode": ["OPEN"]}}, 422, "ip.mode", "enum"),
    ("E12 country", {"ip": {"mode": "ROAMING", "countries": "DK,XX"}}, 422, "ip.countries", "enum"),
    ("E12 countries a list", {"ip": {"countries": ["DK"]}}, 422, "ip.countries", "format"),
    ("E12 country with a line break", {"ip": {"countries": "DK\n"}}, 422, "ip.countries", "enum"),
    ("E13 roaming nowhere", {"ip": {"mode": "ROAMING"}}, 409, "ip.mode", "required"),
    ("E13 roaming blank", {"ip": {"mode": "ROAMING", "countries": " , "}}, 409, "ip.mode", "required"),
    ("E14 address", {"ip": {"mode": "LOCKED", "address": "1.2.3"}}, 422, "ip.address", "format"),
    ("E14 line break", {"ip": {"mode": "LOCKED", "address": "1.2.3.4\n"}}, 422, "ip.address", "format"),
    ("E14 address scoped", {"ip": {"mode": "LOCKED", "address": "fe80::1%0"}}, 422, "ip.address", "format"),
    ("E14 locked nowhere", {"ip": {"mode": "LOCKED"}}, 422, "ip.address", "required"),
    ("E15 volume a text", {"ringer": {"volume": "4"}}, 422, "ringer.volume", "format"),
    ("E15 volume a fraction", {"ringer": {"volume": 4.5}}, 422, "ringer.volume", "format"),
    ("E16 volume too high", {"ringer": {"volume": 16}}, 422, "ringer.volume", "range"),
    ("E16 volume negative", {"ringer": {"volume": -1}}, 422, "ringer.volume", "range"),
    ("E17 tone too high", {"ringer": {"tone": 32}}, 422, "ringer.tone", "range"),
    (
        "E17 custom tone on a model without",
        {"sipPhoneModel": MODEL["yealink"], "ringer": {"tone": NOBODY}},
        422,
        "ringer.tone",
        "allowed",
    ),
    *(
        (f"E18-23 {part} {way}", volume(part, way, value), 422, f"volume.{part}.{way}", check)
        for part in ("handset", "headset", "handsfree")
        for way in ("mic", "speaker")
        for value, check in ((99, "range"), ("loud", "format"))
    ),
    ("E24 index missing", key(index=None), 422, "softkeys[0].index", "required"),
    ("E24 index negative", key(index=-1), 422, "softkeys[0].index", "required"),
    ("E24 index too high", key(index=128), 422, "softkeys[0].index", "range"),
    (
        "E25 index twice",
        {"softkeys": [{"index": 1, "function": "LINE"}, {"index": 1, "function": "DND"}]},
        422,
        "softkeys[1].index",
        "unique",
    ),
    ("E26 function missing", key(function=None), 422, "softkeys[0].function", "required"),
    ("E27 function unknown", key(function="FLY"), 422, "softkeys[0].function", "allowed"),
    ("E28 no number", key(function="SPEEDDIAL", value="call me"), 422, "softkeys[0].value", "format"),
    ("E28 no value", key(function="SPEEDDIAL"), 422, "softkeys[0].value", "format"),
    ("E29 BLF unknown", key(function="BLF", value=NOBODY), 404, "softkeys[0].value", "exists"),
    ("E29 BLF foreign", key(function="BLF", value="$foreign"), 404, "softkeys[0].value", "exists"),
    ("E30 URL", key(function="URL", value="ftp://x.test/"), 422, "softkeys[0].value", "format"),
    ("E31 group", key(function="PICKUPGROUP", value=NOBODY), 404, "softkeys[0].value", "exists"),
    ("E32 queue", key(function="QUEUE", value=NOBODY), 404, "softkeys[0].value", "exists"),
    ("DNDOTHER", key(function="DNDOTHER", value=NOBODY), 404, "softkeys[0].value", "exists"),
    ("E34 serial twice", panels("1", "1"), 409, "purchaseInfo.sidePanels.serial", "unique"),
    ("E35 panels", panels("1", "2", "3", "4"), 422, "purchaseInfo.sidePanels", "range"),
    (
        "a panel without a serial that is one",
        {"purchaseInfo": {"sidePanels": [{"serial": []}]}},
        422,
        "purchaseInfo.sidePanels[0].serial",
        "required",
    ),
    ("E36 address missing", without("ipAddress"), 422, "network.ipAddress", "required"),
    ("E37 subnet missing", without("subnet"), 422, "network.subnet", "required"),
    ("E37 subnet", {"network": STATIC | {"subnet": "255.0.255.0"}}, 422, "network.subnet", "format"),
    ("E38 gateway missing", without("gateway"), 422, "network.gateway", "required"),
    ("E39 dns1 missing", without("dns1"), 422, "network.dns1", "required"),
    ("E39 dns1", {"network": STATIC | {"dns1": "dns.test"}}, 422, "network.dns1", "format"),
    ("E40 dns2", {"network": {"dns2": "8.8.8"}}, 422, "network.dns2", "format"),
    ("E41 vlan", {"network": {"vlanId": 4095}}, 422, "network.vlanId", "range"),
    ("E41 vlan a text", {"network": {"vlanId": "ten"}}, 422, "network.vlanId", "format"),
    ("E42 priority", {"network": {"vlanPriority": 8}}, 422, "network.vlanPriority", "range"),
    ("headset button", {"headsetButton": "both"}, 422, "headsetButton", "enum"),
    ("brightness", {"displayBrightness": 16}, 422, "displayBrightness", "range"),
    ("idle brightness", {"displayBrightnessIdle": -1}, 422, "displayBrightnessIdle", "range"),
    ("background", {"displayBackground": "/pic.png"}, 422, "displayBackground", "format"),
    ("font", {"displayFontColor": "RED"}, 422, "displayFontColor", "enum"),
    ("serial missing", {"sipPhoneModel": MODEL["grandstream"]}, 422, "serial", "required"),
    ("panel count", {"sidePanelCount": -1}, 422, "sidePanelCount", "range"),
    ("more panels than there is room for", {"sidePanelCount": 4}, 422, "sidePanelCount", "range"),
    ("panel count a text", {"sidePanelCount": "two"}, 422, "sidePanelCount", "format"),
    ("a long side panel", {"sidePanel": "x" * 256}, 422, "sidePanel", "range"),
    ("handset with a bell", {"handsetAddress": "\a"}, 422, "handsetAddress", "format"),
    ("payment", {"purchaseInfo": {"paymentOption": "FREE"}}, 422, "purchaseInfo.paymentOption", "enum"),
    ("purchase date", {"purchaseInfo": {"date": "yesterday"}}, 422, "purchaseInfo.date", "format"),
    ("a flag", {"dhsg": "yes"}, 422, "dhsg", "format"),
    ("product unknown", {"product": NOBODY}, 404, "product", "exists"),
    ("product of another type", {"product": "$panel"}, 404, "product", "exists"),
    (
        "panel product",
        {"purchaseInfo": {"sidePanels": [{"serial": "1", "product": NOBODY}]}},
        404,
        "purchaseInfo.sidePanels[0].product",
        "exists",
    ),
    ("notes with a zero byte", {"notes": "a\0b"}, 422, "notes", "format"),
    ("notes that no one can encode", {"notes": "\ud800"}, 422, "notes", "format"),
    ("notes not a text", {"notes": 7}, 422, "notes", "format"),
    ("notes too long", {"notes": "x" * 4_001}, 422, "notes", "range"),
    ("a label with a bell", key(label="\a"), 422, "softkeys[0].label", "format"),
    ("configuration with a NUL", {"customConfig": "a\0b"}, 422, "customConfig", "format"),
    ("a group that is none", {"ip": "OPEN"}, 422, "ip", "format"),
    ("softkeys that are none", {"softkeys": {"index": 0}}, 422, "softkeys", "format"),
    ("a softkey that is none", {"softkeys": [7]}, 422, "softkeys[0]", "format"),
]


FLAGS = (
    "callWaiting",
    "softkeyConfigurationOnDevice",
    "softkeyBlfBlindTransfer",
    "dhsg",
    "codec.hdAudio",
    "codec.video",
    "network.dhcp",
)


def nested(path: str, value: object) -> Json:
    """`a.b` as an object in an object."""
    head, _, rest = path.partition(".")
    return {head: nested(rest, value) if rest else value}


@pytest.mark.parametrize("path", FLAGS)
async def test_a_flag_is_true_or_false(world: World, path: str) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        for value in ("yes", 2, [True]):
            body = {"sipPhoneModel": MODEL["generic"]} | nested(path, value)
            error = (await client.post("/pbx/sipphone", json=body)).json()["error"]
            assert (error["code"], error["status"], error["check"]) == (path, 422, "format")


def resolved(body: Any, ids: dict[str, str]) -> Any:
    """The body with `$name` replaced by the id of what has that name."""
    if isinstance(body, dict):
        return {name: resolved(value, ids) for name, value in body.items()}
    if isinstance(body, list):
        return [resolved(value, ids) for value in body]
    return ids[body[1:]] if isinstance(body, str) and body.startswith("$") else body


@every(("body", "status", "code", "check"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
async def test_a_wrong_property_is_named(
    world: World, body: Json, status: int, code: str, check: str
) -> None:
    sent = {"sipPhoneModel": MODEL["generic"]} | resolved(body, dict(world.ids))
    async with world.client(AccessLevel.ADMIN) as client:
        answer = await client.post("/pbx/sipphone", content=json.dumps(sent))  # escapes a lone surrogate
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["status"], error["code"], error["check"]) == (status, code, check)
    assert error["message"]
    assert await world.rows("SELECT count(*) FROM sip_phone") == [(0,)]


async def test_several_errors_come_together_and_keep_their_own_status(world: World) -> None:
    body = {"pbxCluster": 9, "ip": {"mode": "ROAMING"}, "extension": NOBODY}
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (422, "multiple", 422)
    assert {(one["code"], one["status"]) for one in error["inner"]} == {
        ("sipPhoneModel", 404),
        ("pbxCluster", 422),
        ("ip.mode", 409),
        ("extension", 404),
    }


async def test_a_body_full_of_mistakes_gets_a_short_answer(world: World) -> None:
    body = {"sipPhoneModel": MODEL["generic"], "softkeys": [{}] * 9_000}
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", json=body)
    assert len(answer.json()["error"]["inner"]) == 100


async def test_a_mac_that_one_phone_has_is_refused_to_another(world: World) -> None:
    await world.create(macAddress="4ee8a34b56f3")
    async with world.client() as client:
        body = {"sipPhoneModel": MODEL["generic"], "macAddress": "4EE8A34B56F3"}
        answer = await client.post("/pbx/sipphone", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "macAddress")


async def test_a_mac_is_not_shared_between_models(world: World) -> None:
    await world.create(sipPhoneModel=MODEL["gateway"], macAddress="4EE8A34B56F3")
    async with world.client() as client:
        body = {"sipPhoneModel": MODEL["generic"], "macAddress": "4EE8A34B56F3"}
        answer = await client.post("/pbx/sipphone", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "macAddress")


async def test_a_device_has_as_many_places_as_its_model(world: World) -> None:
    body = {"sipPhoneModel": MODEL["gateway"], "macAddress": "4EE8A34B56F3"}
    for _ in range(2):
        assert (await world.create(**body))["handsetIndex"] is None
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "macAddress")


async def test_handsets_get_the_lowest_free_position(world: World) -> None:
    body = {"sipPhoneModel": MODEL["dect"], "macAddress": "4EE8A34B56F3", "handsetAddress": "h"}
    phones = [await world.create(**body) for _ in range(6)]
    assert [phone["handsetIndex"] for phone in phones] == [0, 1, 2, 3, 4, 5]
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "handsetIndex")
        await client.delete(f"/pbx/sipphone/{phones[2]['_id']}")
    assert (await world.create(**body))["handsetIndex"] == 2


async def test_an_instance_has_one_phone_of_an_extension(world: World) -> None:
    body = {"extension": world.ids["ext200"], "instanceId": "i"}
    await world.create(**body)
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]} | body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "instanceId")


async def test_a_panel_serial_is_unique_across_all_phones(world: World) -> None:
    await world.create(**panels("one"))
    async with world.client() as client:
        answer = await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]} | panels("one"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "purchaseInfo.sidePanels.serial")


async def test_a_purchase_below_reseller_is_denied(world: World) -> None:
    body = {"sipPhoneModel": NOBODY, "purchaseInfo": {"orderId": "1"}}
    async with world.client(AccessLevel.OWNER) as client:
        answer = await client.post("/pbx/sipphone", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "access_denied")
