"""Policies and quotas of customers and phones: who sets them, and what the SIP side reads of them."""

from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from registrar.model import NO_TERMS, Phone, Terms
from registrar.store.directory_sql import SqlPhones
from tests.config.test_changes import heard
from tests.config.v2 import domain, refused, row
from tests.config.world import MODEL, Json, World

POLICY = {"tls": True, "srtp": True, "sha256": True, "networks": True, "maxContacts": 3}
QUOTA = {
    "calls": 100,
    "callsPerSecond": 5,
    "phoneCalls": 4,
    "extensionCalls": 6,
    "transactions": 1_000,
    "phones": 50,
    "logins": 7,
    "webhooks": 2,
    "streams": 9,
}
NOTHING = {"tls": False, "srtp": False, "sha256": False, "networks": False, "maxContacts": None}


async def new_phone(client: httpx.AsyncClient, **body: Any) -> Json:
    answer = await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]} | body)
    assert answer.status_code == 200, answer.text
    made: Json = answer.json()
    return made


async def read(world: World, phone: str) -> Phone:
    """The phone as the SIP side reads it."""
    (found,) = await SqlPhones(world.read_engine, world.engine, world.vault).select("id", [phone])
    return found


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def change(world: World, level: AccessLevel, own: str | None, **body: Any) -> httpx.Response:
    async with world.client(level, own) as client:
        return await client.patch(f"/customer/{world.ids['acme']}", json=body)


async def test_a_customer_shows_the_policies_and_quotas_that_were_set(world: World) -> None:
    async with heard(world.redis) as words:
        answer = await change(world, AccessLevel.RESELLER, "reseller", policy=POLICY, quota=QUOTA)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["policy"], answer.json()["quota"]) == (POLICY, QUOTA)
    assert len(words) == 1, "the SIP side hears of it"
    answer = await change(
        world, AccessLevel.RESELLER, "reseller", policy={"tls": False}, quota={"calls": None}
    )
    assert answer.json()["policy"] == POLICY | {"tls": False}
    assert answer.json()["quota"] == QUOTA | {"calls": None}


async def test_a_new_customer_has_none(world: World) -> None:
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        made = (await client.post("/customer", json={"name": "Bakery"})).json()
    assert made["policy"] == NOTHING and made["quota"] == dict.fromkeys(QUOTA)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"policy": {"tls": "yes"}}, "policy.tls"),
        ({"policy": {"maxContacts": 0}}, "policy.maxContacts"),
        ({"policy": {"maxContacts": 6}}, "policy.maxContacts"),
        ({"policy": True}, "policy"),
        ({"quota": {"calls": -1}}, "quota.calls"),
        ({"quota": {"calls": 1_000_001}}, "quota.calls"),
        ({"quota": {"phones": "many"}}, "quota.phones"),
    ],
)
async def test_a_wrong_value_is_422(world: World, body: Json, code: str) -> None:
    answer = await change(world, AccessLevel.RESELLER, "reseller", **body)
    assert code_of(answer) == (422, code)


async def test_the_customer_itself_changes_neither(world: World) -> None:
    answer = await change(world, AccessLevel.OWNER, "acme", quota=QUOTA)
    assert answer.status_code == 403
    answer = await change(world, AccessLevel.RESELLER, "acme", quota={"calls": 9})
    assert code_of(answer) == (409, "quota.calls")
    answer = await change(world, AccessLevel.RESELLER_ADMIN, None, quota={"calls": 9})
    assert answer.json()["quota"]["calls"] == 9


async def test_the_row_dialect_has_the_policies(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        assert (await client.post(path, data={"requireTls": "1", "maxContacts": "2"})).status_code == 204
        shown = row(await client.get(path))
        assert (shown["requireTls"], shown["requireSrtp"], shown["maxContacts"]) == ("1", "0", "2")
    async with world.client(AccessLevel.MANAGER) as client:
        assert refused(await client.post(path, data={"requireTls": "0"}))[0] == 403
        assert (await client.post(path, data={"requireTls": "1", "rec": "1"})).status_code == 204


async def test_the_sip_side_reads_what_is_effective(world: World) -> None:
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        plain = await new_phone(client, customer=world.ids["acme"])
        strict = await new_phone(client, customer=world.ids["acme"], policy={"srtp": True, "maxContacts": 1})
        exempt = await new_phone(client, customer=world.ids["acme"], policy={"tls": False})
        assert (await read(world, plain["_id"])).terms == NO_TERMS
        assert (await read(world, strict["_id"])).terms == Terms(srtp=True, contacts=1)
        before = (await read(world, plain["_id"])).version
        body = {"policy": {"tls": True, "networks": True, "maxContacts": 3}, "quota": QUOTA}
        assert (await client.patch(f"/customer/{world.ids['acme']}", json=body)).status_code == 200
    quotas = {"calls": 100, "call_rate": 5, "phone_calls": 4, "extension_calls": 6, "transactions": 1_000}
    common: dict[str, Any] = {"networks": True, **quotas}
    assert (await read(world, plain["_id"])).terms == Terms(tls=True, contacts=3, **common)
    assert (await read(world, strict["_id"])).terms == Terms(tls=True, srtp=True, contacts=1, **common)
    assert (await read(world, exempt["_id"])).terms == Terms(contacts=3, **common)
    assert (await read(world, plain["_id"])).version > before


async def test_a_manager_makes_a_phone_stricter_and_only_a_reseller_looser(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as client:
        phone = await new_phone(client)
        assert phone["policy"] == {"tls": None, "srtp": None, "sha256": None, "maxContacts": None}
        path = f"/pbx/sipphone/{phone['_id']}"
        stricter = await client.patch(path, json={"policy": {"tls": True}})
        assert stricter.json()["policy"]["tls"] is True
        assert code_of(await client.patch(path, json={"policy": {"tls": False}})) == (403, "policy.tls")
        assert (await client.patch(path, json={"policy": {"tls": None}})).json()["policy"]["tls"] is None
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        assert (await client.patch(path, json={"policy": {"tls": False}})).json()["policy"]["tls"] is False
    async with world.client(AccessLevel.MANAGER) as client:
        sent_back = await client.patch(path, json={"policy": {"tls": False}, "notes": "x"})
        assert sent_back.status_code == 200, "what is stored may be sent back"


async def test_a_domain_that_requires_sha256_is_known(world: World) -> None:
    await change(world, AccessLevel.RESELLER, "reseller", policy={"sha256": True})
    domains = await SqlPhones(world.read_engine, world.engine, world.vault).domains()
    assert domains["acme.test"] is True and domains["rival.test"] is False
