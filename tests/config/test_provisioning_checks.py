"""The checks of provisioning that need no socket; docs/provisioning.md lists all of them."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any, Final

import httpx
import pytest
from redis.asyncio import Redis
from starlette.types import Message, Receive, Scope, Send

from config import clock
from config.access import AccessLevel
from config.changes import Changes
from config.models.seeds import MODELS
from registrar.model import Epoch
from registrar.store import keys
from tests.config.phones import (
    HERE,
    NAME,
    THERE,
    act,
    armed,
    files_app,
    get,
    new_phone,
    on,
    path_of,
    phone,
    rule,
)
from tests.config.provisioning.parsers import PARSERS, Setting
from tests.config.provisioning.phones import FUNCTIONS
from tests.config.world import MODEL, World

STEADY: Final = "static.auto_provision.server.url"
OTHER_MAC: Final = "805EC0D57D73"
THIRD_MAC: Final = "805EC0D57D74"


async def journal(world: World, id: str) -> list[tuple[str, str]]:
    entries: Any = await world.redis.xrange(keys.journal(id))
    return [(fields["event"], fields["reason"]) for _, fields in entries]


def steady(answer: httpx.Response) -> str:
    """The path of the same file with the secret that is in it."""
    return path_of(dict(PARSERS["yealink"](answer.text))[STEADY] + NAME)


# Check 2


async def test_check_02_the_lock_is_stored_before_the_answer_begins(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    seen: list[tuple[str, Any]] = []
    changes = Changes(world.redis)
    app = files_app(world, changes)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def watching(message: Message) -> None:
            seen.append((message["type"], (await rule(world, id))[:2]))
            await send(message)

        await app(scope, receive, watching)

    transport = httpx.ASGITransport(watched, client=(HERE, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="https://prov.test") as client:
        assert (await client.get(path)).status_code == 200
    await changes.close()
    await app.close()
    assert seen == [("http.response.start", ("LOCKED", HERE)), ("http.response.body", ("LOCKED", HERE))]


@pytest.mark.parametrize("policy", ["ROAMING", "DOMAIN"])
async def test_check_02_a_phone_that_may_move_is_not_locked(world: World, policy: str) -> None:
    world = on(world)
    id = await new_phone(world, ip={"mode": "ROAMING", "countries": "DK"})
    if policy == "DOMAIN":
        await world.execute("UPDATE sip_phone SET ip_policy = 'DOMAIN' WHERE oid = :id", id=id)
    status = (await get(world, await armed(world, id))).status_code
    assert status == (200 if policy == "DOMAIN" else 403), "no country is known of this address"
    assert (await rule(world, id))[:2] == ("ROAMING", None)


# Check 6


async def test_check_06_a_source_that_guesses_is_told_nothing_for_ten_minutes(world: World) -> None:
    world = on(world, misses=20)
    first = await armed(world, await new_phone(world))
    other = (await armed(world, await new_phone(world, mac=OTHER_MAC))).replace(NAME, "805ec0d57d73.cfg")
    async with phone(world, HERE) as client:
        for number in range(20):
            assert (await client.get(f"/{number:012x}.cfg")).status_code == 404
        assert (await client.get(first)).status_code == 404
    assert 590 <= await world.redis.ttl(keys.prov_miss(HERE)) <= 600
    assert (await get(world, other, THERE)).status_code == 200, "another address is not meant"
    await world.redis.delete(keys.prov_miss(HERE))  # the ten minutes are over
    assert (await get(world, first, HERE)).status_code == 200


async def test_check_06_a_network_of_ipv6_is_one_source(world: World) -> None:
    world = on(world, misses=20)
    first = await armed(world, await new_phone(world))
    for number in range(20):
        assert (await get(world, f"/{number:012x}.cfg", f"2001:db8::{number + 1:x}")).status_code == 404
    assert (await get(world, first, "2001:db8::ffff")).status_code == 404
    assert (await get(world, first, "2001:db8:0:1::1")).status_code == 200


async def test_check_06_a_good_source_is_spared_and_redis_is_not_needed(
    world: World, dead_redis: Redis
) -> None:
    world = on(world, misses=20)
    next_one = steady(await get(world, await armed(world, await new_phone(world)), HERE))
    alone = world.but(redis=dead_redis)
    async with phone(world, HERE) as client, phone(alone, THERE) as blind:
        for number in range(21):
            assert (await client.get(f"/{number:012x}.cfg")).status_code == 404
            assert (await blind.get(f"/{number:012x}.cfg")).status_code == 404
        assert (await client.get(next_one)).status_code == 200
        assert (await blind.get(next_one)).status_code == 404, "known to be wrong there it would be 403"


# Check 7


async def test_check_07_the_address_of_a_phone_is_that_of_its_socket_or_told_by_a_proxy(
    world: World,
) -> None:
    world = on(world, plain=True)
    proxies = (ip_network("127.0.0.9/32"),)
    forwarded = {"X-Forwarded-For": "192.0.2.7"}
    id = await new_phone(world)
    path = await armed(world, id)
    async with phone(world, "127.0.0.9", trusted=proxies) as proxy:
        assert (await proxy.get(path)).status_code == 403
        assert (await rule(world, id))[:2] == ("OPEN", None)
        assert (await journal(world, id))[-1] == ("config-refused", "proxy-address")
        assert (await proxy.get(path, headers=forwarded)).status_code == 200
    assert (await rule(world, id))[:2] == ("LOCKED", "192.0.2.7")
    liar = await new_phone(world, mac=OTHER_MAC)
    path = (await armed(world, liar)).replace(NAME, "805ec0d57d73.cfg")
    async with phone(world, THERE, trusted=proxies) as client:
        assert (await client.get(path, headers=forwarded)).status_code == 200
    assert (await rule(world, liar))[:2] == ("LOCKED", THERE)


# Checks 8 and 9


async def test_check_08_the_life_of_both_secrets(world: World) -> None:
    """Each request is answered by a new application, as after a restart: nothing is only in memory."""
    world = on(world)
    id = await new_phone(world)
    first = await armed(world, id)
    boot = first.removesuffix("cfg") + "boot"
    assert (await get(world, boot)).status_code == 200
    assert (await get(world, first)).status_code == 200
    assert (await get(world, first, THERE)).status_code == 404
    assert (await get(world, boot)).status_code == (await get(world, first)).status_code == 200
    again = await armed(world, id)
    assert (await get(world, first)).status_code == 404
    answer = await get(world, again)
    assert answer.status_code == 200
    next_one = steady(answer)
    assert (await get(world, next_one)).status_code == 200
    assert (await get(world, again)).status_code == 404
    await act(world, id, rotate=True)
    assert (await get(world, next_one)).status_code == 404


async def test_check_09_a_phone_that_does_not_come_in_fourteen_days_must_be_armed_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    now, late = clock.epoch_now(), timedelta(days=15)
    with monkeypatch.context() as later:
        later.setattr(clock, "epoch_now", lambda: Epoch(now + late.total_seconds()))
        assert (await get(world, path)).status_code == 404
        assert (await rule(world, id))[0] == "OPEN"
    path = await armed(world, id)
    with monkeypatch.context() as later:
        later.setattr(clock, "epoch_now", lambda: Epoch(now + timedelta(days=13).total_seconds()))
        assert (await get(world, path)).status_code == 200


# Checks 11 to 14


async def preview(world: World, id: str) -> dict[str, Any]:
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get(f"/pbx/sipphone/{id}/configuration")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def settings(world: World, id: str, writer: str) -> set[Setting]:
    """The settings in the file with the account, as the preview shows it."""
    file = (await preview(world, id))["files"][-1]
    return set(PARSERS[writer](file["text"]))


WITH_KEYS: Final = [
    name for name, row in MODELS.items() if row["writer"] and row["softkeys"] and row["softkey_capabilities"]
]


@pytest.mark.parametrize("name", WITH_KEYS)
async def test_check_11_a_function_is_written_with_the_right_number_or_refused(
    world: World, name: str
) -> None:
    services = {one.lower(): "900" for one in ("VOICEMAIL", "SWITCH", "PRESENCE", "RECORD", "DNDOTHER")}
    world = on(world, services=services, features=frozenset({"dnd", "pickup", "queue"}))
    values = await _targets(world)
    id = await new_phone(world, name, serial="SN-1")
    capable = set(MODELS[name]["softkey_capabilities"])  # type: ignore[call-overload]  # values are objects
    count = int(str(MODELS[name]["softkeys"]))
    lacking = [one for one in FUNCTIONS if one not in capable]
    for begin in range(0, len(FUNCTIONS), count):
        some = [one for one in FUNCTIONS if one in capable][begin : begin + count]
        sent = [{"index": at, "function": one, "value": values.get(one)} for at, one in enumerate(some)]
        assert await _patched(world, id, softkeys=sent) == (200, [])
        told = await preview(world, id)
        assert not [one for one in told["leftOut"] if one["field"].startswith("softkeys")], told["leftOut"]
        text = told["files"][-1]["text"]
        for one, number in (("BLF", "201"), ("QUEUE", "700"), ("PICKUPGROUP", "600"), ("SPEEDDIAL", "112")):
            assert number in text or one not in some
    for one in lacking:
        refused = await _patched(world, id, softkeys=[{"index": 0, "function": one}])
        assert refused == (422, ["Function type is not valid for this phone model"])


async def _targets(world: World) -> dict[str, Any]:
    """What the functions point to, each made for acme; the rival has an extension 200 as well."""
    async with world.client(AccessLevel.MANAGER) as client:
        about = {"number": "600", "name": "g", "controllers": [world.ids["ext200"]]}
        group = (await client.post("/pbx/group", json=about)).json()["_id"]
        queue = (await client.post("/pbx/queue", json={"number": "700", "name": "q"})).json()["_id"]
    device = await new_phone(world, "generic", mac=None)
    return {
        "BLF": world.ids["ext201"],
        "DNDOTHER": device,
        "PICKUPGROUP": group,
        "QUEUE": queue,
        "SPEEDDIAL": "112",
        "URL": "https://menu.example/a?b=1&c=2",
        "SWITCH": "night",
        "PRESENCE": "away",
    }


async def _patched(world: World, id: str, **body: Any) -> tuple[int, list[str]]:
    """The status of a change, and the messages of what is wrong."""
    async with world.client() as client:
        answer = await client.patch(f"/pbx/sipphone/{id}", json=body)
    error = answer.json().get("error")
    inner = [] if error is None else error.get("inner") or [error]
    return answer.status_code, [one["message"] for one in inner]


async def test_check_11_a_key_whose_target_was_deleted_does_nothing_and_is_told(world: World) -> None:
    world = on(world)
    async with world.client() as client:
        made = await client.post("/pbx/extension", json={"number": "299", "name": "gone"})
        key = {"index": 0, "function": "BLF", "value": made.json()["_id"]}
        id = await new_phone(world, softkeys=[key])
        assert ("linekey.1.value", "299") in await settings(world, id, "yealink")
        assert (await client.delete(f"/pbx/extension/{key['value']}")).status_code in (200, 204)
    assert ("linekey.1.type", "0") in await settings(world, id, "yealink")
    told = await preview(world, id)
    assert "softkeys[0]" in [one["field"] for one in told["leftOut"]] or "softkeys[0]" in str(
        told["warnings"]
    )


async def test_check_12_keys_of_panels_follow_those_of_the_phone_and_of_its_model(world: World) -> None:
    world = on(world)
    key = {"index": 24, "function": "SPEEDDIAL", "value": "112"}
    id = await new_phone(world, "snom", sidePanelCount=1, softkeys=[key])
    assert ("fkey context=1 idx=24 lp=on perm=R", "speed 112") in await settings(world, id, "snom")
    assert (await _patched(world, id, sidePanelCount=0))[0] == 200
    assert not [one for one, _ in await settings(world, id, "snom") if "idx=24" in one]
    for count, status in ((4, 200), (5, 422), (-1, 422)):
        assert (await _patched(world, id, sidePanelCount=count))[0] == status
    changed = {"sipPhoneModel": MODEL["yealink"], "sidePanelCount": 1, "softkeys": [key | {"index": 27}]}
    assert (await _patched(world, id, **changed))[0] == 200
    assert ("expansion_module.1.key.1.value", "112") in await settings(world, id, "yealink")


CHANGES: Final[dict[str, list[tuple[dict[str, Any], set[Setting]]]]] = {
    "snom": [
        ({"softkeyBlfBlindTransfer": True}, {("quick_transfer perm=R", "blind")}),
        ({"softkeyBlfBlindTransfer": False}, {("quick_transfer perm=R", "attended")}),
        ({"displayBrightness": 0}, {("backlight perm=!", "0")}),
        ({"displayBrightness": 7}, {("backlight perm=!", "7")}),
        ({"displayBrightness": 15}, {("backlight perm=!", "15")}),
        ({"headsetButton": "headset"}, {("headset_device perm=!", "headset_rj")}),
        ({"volume": {"handset": {"speaker": 0}}}, {("vol_handset perm=!", "0")}),
        ({"volume": {"handset": {"speaker": 15}}}, {("vol_handset perm=!", "15")}),
        ({"displayFontColor": "LIGHT"}, set()),
    ],
    "mitel-6867i": [
        ({"headsetButton": "speaker"}, {("audio mode", "0")}),
        ({"headsetButton": "headset"}, {("audio mode", "1")}),
        ({"headsetButton": "speaker-headset"}, {("audio mode", "2")}),
        ({"headsetButton": "headset-speaker"}, {("audio mode", "3")}),
        ({"displayFontColor": "LIGHT"}, {("idle screen font color", "white")}),
        ({"displayFontColor": "DARK"}, {("idle screen font color", "black")}),
        ({"displayBrightness": 0}, {("brightness level", "1")}),
        ({"displayBrightness": 7}, {("brightness level", "3")}),
        ({"displayBrightness": 15}, {("brightness level", "5")}),
        ({"ringer": {"volume": 0}}, {("ringer volume", "0")}),
        ({"ringer": {"volume": 9}}, {("ringer volume", "9")}),
    ],
    "yealink": [
        ({"softkeyBlfBlindTransfer": True}, {("transfer.dsskey_deal_type", "2")}),
        ({"displayBrightness": 0}, {("phone_setting.active_backlight_level", "1")}),
        ({"displayBrightness": 7}, {("phone_setting.active_backlight_level", "5")}),
        ({"displayBrightness": 15}, {("phone_setting.active_backlight_level", "10")}),
        ({"ringer": {"volume": 0}}, {("voice.ring_vol", "0")}),
        ({"ringer": {"volume": 15}}, {("voice.ring_vol", "15")}),
    ],
    "grandstream-grp2612": [
        ({"softkeyBlfBlindTransfer": True}, {("call.transfer.modeViaVpk", "BlindTransfer")}),
        ({"displayBrightness": 0}, {("lcd.backlight.brightness.active", "10")}),
        ({"displayBrightness": 15}, {("lcd.backlight.brightness.active", "100")}),
        ({"headsetButton": "headset-speaker"}, {("audio.headset.keyMode", "ToggleHeadsetOrSpeaker")}),
        ({"ringer": {"volume": 0}}, {("audio.volume.ring", "0")}),
        ({"ringer": {"volume": 7}}, {("audio.volume.ring", "7")}),
    ],
}


@pytest.mark.parametrize("name", CHANGES)
async def test_check_13_a_field_changes_its_own_settings_and_nothing_else(world: World, name: str) -> None:
    world = on(world)
    writer = str(MODELS[name]["writer"])
    id = await new_phone(world, name, serial="SN-1")
    for body, expected in CHANGES[name]:
        before = await settings(world, id, writer)
        assert await _patched(world, id, **body) == (200, [])
        after = await settings(world, id, writer)
        assert after - before == expected
        assert {one for one, _ in before - after} <= {one for one, _ in expected}


FIXED: Final = {
    "dhcp": False,
    "ipAddress": "192.168.1.10",
    "subnet": "255.255.255.0",
    "gateway": "192.168.1.1",
    "dns1": "192.168.1.1",
}


async def test_check_14_a_fixed_address_is_whole_or_not_written(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    before = await settings(world, id, "yealink")
    for name in set(FIXED) - {"dhcp"}:
        status, _ = await _patched(world, id, network={one: FIXED[one] for one in FIXED if one != name})
        assert status == 422
    assert (await _patched(world, id, network={"vlanId": 0}))[0] == 200
    assert await settings(world, id, "yealink") == before
    assert (await _patched(world, id, network=FIXED))[0] == 200
    assert await settings(world, id, "yealink") - before == {
        ("static.network.internet_port.type", "2"),
        ("static.network.internet_port.ip", "192.168.1.10"),
        ("static.network.internet_port.mask", "255.255.255.0"),
        ("static.network.internet_port.gateway", "192.168.1.1"),
        ("static.network.static_dns_enable", "1"),
        ("static.network.primary_dns", "192.168.1.1"),
        ("static.network.secondary_dns", ""),
    }
    await _patched(world, id, network=FIXED | {"gateway": "10.0.0.1"})
    assert ("static.network.internet_port.gateway", "10.0.0.1") not in await settings(world, id, "yealink")
