"""The routes for people who look at phones: one's own, the account of a phone, and its bindings."""

import json
import time

import pytest
from redis.asyncio import Redis

from config.access import AccessLevel
from registrar.model import Binding, Snapshot
from registrar.store import keys
from registrar.store.snapshot_codec import encode
from tests.config.world import NOBODY, World


async def test_a_person_sees_the_own_phones_with_a_sentence(world: World) -> None:
    own = await world.create(extension=world.ids["ext200"])
    await world.create(extension=world.ids["ext201"])
    async with world.client(AccessLevel.PERSONAL, person="anna") as client:
        answer = await client.get("/pbx/sipphone/own")
    assert answer.status_code == 200
    (phone,) = answer.json()["sipPhones"]
    assert (phone["_id"], phone["number"], phone["person"]) == (own["_id"], "200", "Anna Østergård")
    assert phone["summary"].startswith("Never registered")
    assert phone["status"]["online"] is False
    assert own["password"] not in answer.text


@pytest.mark.parametrize("person", ["single", None], ids=["no extension", "no person"])
async def test_who_has_no_extension_has_no_own_phones(world: World, person: str | None) -> None:
    await world.create(extension=world.ids["ext200"])
    async with world.client(AccessLevel.PERSONAL, person=person) as client:
        answer = await client.get("/pbx/sipphone/own")
    assert answer.json() == {"sipPhones": []}


async def test_an_account_has_all_that_a_softphone_asks_for(world: World) -> None:
    phone = await world.create(extension=world.ids["ext200"])
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get(f"/pbx/sipphone/{phone['_id']}/account")
    assert answer.json() == {
        "_id": phone["_id"],
        "customer": {"_id": world.ids["acme"], "name": "Acme"},
        "number": "200",
        "person": "Anna Østergård",
        "ipMode": "OPEN",
        "username": phone["username"],
        "password": phone["password"],
        "domain": "acme.test",
        "proxy": "api.test:5060",
        "server": "wss://api.test:8443",
    }


async def test_an_account_hides_the_password_below_its_level(world: World) -> None:
    phone = await world.create()
    async with world.but(secrets_level=AccessLevel.OWNER).client(AccessLevel.MANAGER) as client:
        answer = await client.get(f"/pbx/sipphone/{phone['_id']}/account")
    assert answer.status_code == 200 and "password" not in answer.json()


async def test_an_account_names_no_server_where_none_listens(world: World) -> None:
    phone = await world.create()
    async with world.but(wss_port=None, sip_udp=":0", public_host="sip.test").client() as client:
        account = (await client.get(f"/pbx/sipphone/{phone['_id']}/account")).json()
    assert (account["proxy"], account["server"]) == (None, None)


def bound(contact: str, expires_at: int, silent_since: int = 0) -> Binding:
    return Binding(
        contact,
        expires_at,
        "call-id",
        1,
        user_agent="desk",
        public_ip="192.0.2.7",
        public_port=5060,
        node="sip-1",
        registered_at=expires_at - 3600,
        refreshed_at=expires_at - 60,
        silent_since=silent_since,
    )


async def test_the_bindings_of_a_phone_are_those_that_last(world: World, redis: Redis) -> None:
    phone = await world.create()
    now = int(time.time())
    bindings = bound("sip:a@10.0.0.1", now + 600), bound("sip:b@10.0.0.2", now + 300, silent_since=now - 5)
    stored = encode(Snapshot(1, (*bindings, bound("sip:old@10.0.0.3", now - 1))))
    await redis.hset(keys.location(phone["_id"]), "b", stored.b.decode())
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get(f"/pbx/sipphone/{phone['_id']}/bindings")
    shown = answer.json()["bindings"]
    assert [one["contact"] for one in shown] == ["sip:a@10.0.0.1", "sip:b@10.0.0.2"]
    assert (shown[0]["publicIpAddress"], shown[0]["publicPort"], shown[0]["userAgent"]) == (
        "192.0.2.7",
        5060,
        "desk",
    )
    assert shown[0]["silentSince"] is None and shown[1]["silentSince"] is not None


async def test_bindings_that_cannot_be_read_are_a_fault_of_the_store(world: World, redis: Redis) -> None:
    phone = await world.create()
    for text in ("no json", json.dumps([["too", "short"]])):
        await redis.hset(keys.location(phone["_id"]), "b", text)
        async with world.client(AccessLevel.VIEWER) as client:
            assert (await client.get(f"/pbx/sipphone/{phone['_id']}/bindings")).status_code == 503


@pytest.mark.parametrize("route", ["account", "bindings"])
async def test_foreign_phones_are_unknown(world: World, route: str) -> None:
    phone = await world.create(customer=world.ids["rival"])
    answers = []
    async with world.client(AccessLevel.OWNER) as client:
        for oid in (phone["_id"], NOBODY):
            answers.append(await client.get(f"/pbx/sipphone/{oid}/{route}"))
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].content == answers[1].content
