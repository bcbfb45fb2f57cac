"""The phone of a WebRTC client: create or update."""

import asyncio
import base64
import hmac
import time
from dataclasses import replace

import pytest

from config.access import AccessLevel
from config.settings import ice_servers
from registrar.model import Epoch
from tests.config.auditing import write_notes
from tests.config.world import SETTINGS, Json, World


async def opened(world: World, instance: str = "i", **body: object) -> Json:
    async with world.client(AccessLevel.PERSONAL, person="anna") as client:
        answer = await client.post("/pbx/sipphone/webrtc", json={"instanceId": instance} | body)
    assert answer.status_code == 200, answer.text
    phone: Json = answer.json()
    return phone


async def test_a_client_gets_a_phone_of_its_own_extension(world: World) -> None:
    phone = await opened(world)
    assert set(phone) == {"_id", "servers", "username", "password", "extensionNumber", "extensionName"}
    assert (phone["extensionNumber"], phone["extensionName"]) == ("200", "Anna Østergård")
    rows = await world.rows("SELECT id, webrtc, extension, ip_mode FROM phone_v1")
    assert rows == [(phone["_id"], 1, "200", "OPEN")]


async def test_the_same_instance_keeps_its_phone_and_its_credentials(world: World) -> None:
    first = await opened(world)
    await world.execute("UPDATE sip_phone SET ip_mode = 'LOCKED', ip_address = '192.0.2.7'")
    assert await opened(world) == first
    assert await world.rows("SELECT ip_mode, ip_address FROM sip_phone") == [("OPEN", None)]


async def test_another_instance_gets_another_phone(world: World) -> None:
    first, second = await opened(world), await opened(world, "other")
    assert first["_id"] != second["_id"]


async def test_twenty_calls_at_once_end_in_one_phone(world: World) -> None:
    phones = await asyncio.gather(*(opened(world) for _ in range(20)))
    assert all(phone == phones[0] for phone in phones)
    assert await world.rows("SELECT count(*) FROM sip_phone") == [(1,)]


@pytest.mark.parametrize(
    ("public_host", "port", "v2", "expected"),
    [
        ("", 8443, False, {"servers": ["api.test:8443"]}),
        ("", 8443, True, {"server": "wss://api.test:8443"}),
        ("sip.acme.test", 443, False, {"servers": ["sip.acme.test"]}),
        ("sip.acme.test", 443, True, {"server": "wss://sip.acme.test"}),
        ("sip.acme.test", None, True, {}),
    ],
)
async def test_a_client_is_told_where_to_connect(
    world: World, public_host: str, port: int | None, v2: bool, expected: Json
) -> None:
    phone = await opened(world.but(public_host=public_host, wss_port=port), v2=v2)
    assert {name: phone[name] for name in ("server", "servers") if name in phone} == expected


@pytest.mark.parametrize(
    ("ice", "told"),
    [((), ["webrtc"]), (("stun:stun.test",), ["webrtc"]), (("turn:turn.test",), ["webrtc", "turn"])],
)
async def test_who_gets_credentials_is_in_the_audit_log(
    world: World, ice: tuple[str, ...], told: list[str]
) -> None:
    world = world.but(turn_urls=ice, turn_secret="shared")
    async with world.client(AccessLevel.OWNER, person="anna") as client:
        for _ in range(2):
            answer = await client.post("/pbx/sipphone/webrtc", json={"instanceId": "i"})
        await write_notes(client, world.engine)
        (row,) = (await client.get("/audit", params={"action": "read"})).json()["rows"]
    assert (row["object"], row["employee"], row["after"]) == (
        answer.json()["_id"],
        world.ids["anna"],
        {"shown": told},
    )


@pytest.mark.parametrize("instance", [None, "", 7, "a\nb", "x" * 256])
async def test_an_instance_must_have_a_name(world: World, instance: object) -> None:
    async with world.client(AccessLevel.PERSONAL, person="anna") as client:
        answer = await client.post("/pbx/sipphone/webrtc", json={"instanceId": instance})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "instanceId")


@pytest.mark.parametrize("person", [None, "single"])
async def test_who_has_no_primary_extension_gets_no_phone(world: World, person: str | None) -> None:
    async with world.client(AccessLevel.ADMIN, person=person) as client:
        answer = await client.post("/pbx/sipphone/webrtc", json={"instanceId": "i"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "extension")


async def test_a_blocked_customer_gets_no_phone(world: World) -> None:
    """Nor do those who still get in when their customer is blocked."""
    await world.execute("UPDATE customer SET state = 'BLOCKED' WHERE name = 'Acme'")
    async with world.client(AccessLevel.ADMIN, person="anna") as client:
        answer = await client.post("/pbx/sipphone/webrtc", json={"instanceId": "i"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "customer")


CREDENTIAL = "+LVgm2sko0YIRTodFyPMzZS5wFE="
TURN = "turn:turn.example.com:3478?transport=udp"


async def test_without_ice_servers_none_are_named(world: World) -> None:
    assert "iceServers" not in await opened(world)


async def test_stun_is_named_as_it_is(world: World) -> None:
    phone = await opened(world.but(turn_urls=("stun:stun.example.com:3478", "stuns:s.example.com")))
    assert phone["iceServers"] == [{"urls": ["stun:stun.example.com:3478", "stuns:s.example.com"]}]


@pytest.mark.parametrize("v2", [False, True])
async def test_turn_comes_with_credentials_that_run_out(world: World, v2: bool) -> None:
    turn = world.but(turn_urls=(TURN, "stun:stun.example.com"), turn_secret="S", turn_ttl_seconds=600)
    before = int(time.time())
    phone = await opened(turn, v2=v2)
    stun, relay = phone["iceServers"]
    end, _, owner = relay["username"].partition(":")
    assert before + 600 <= int(end) <= time.time() + 600
    assert owner == phone["_id"]
    digest = hmac.new(b"S", relay["username"].encode(), "sha1").digest()
    assert relay["credential"] == base64.b64encode(digest).decode()
    assert relay["urls"] == [TURN]
    assert stun == {"urls": ["stun:stun.example.com"]}


def test_credentials_are_those_that_openssl_makes() -> None:
    """printf 1900000600:abc | openssl dgst -sha1 -hmac S3cret -binary | base64"""
    settings = replace(SETTINGS, turn_urls=(TURN,), turn_secret="S3cret", turn_ttl_seconds=600)
    (relay,) = ice_servers(settings, "abc", Epoch(1_900_000_000.9))
    assert relay == {"urls": [TURN], "username": "1900000600:abc", "credential": CREDENTIAL}
    assert "S3cret" not in repr(settings)
