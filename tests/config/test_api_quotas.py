"""Quotas of the API: phones, logins, webhooks and streams of a customer, browser phones of a person."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from config.feed.hub import MAX_READERS, Hub, TooManyStreams
from config.settings import ApiQuotas
from registrar.store import keys
from tests.config.world import MODEL, World

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def small(world: World, **quotas: int) -> World:
    return world.but(quotas=replace(ApiQuotas(), **quotas))


async def near(world: World) -> list[tuple[str, str]]:
    """The quotas that were announced, and for whom."""
    entries: Any = await world.redis.xrange(keys.EVENTS)
    events = [fields for _, fields in entries]
    told = [{as_text(name): as_text(value) for name, value in event.items()} for event in events]
    return [(one["reason"], one["customer"]) for one in told if one["event"] == "quota-near"]


def as_text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def make(client: httpx.AsyncClient, what: str, number: int, world: World) -> httpx.Response:
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "phones": ("/pbx/sipphone", {"sipPhoneModel": MODEL["generic"]}),
        "logins": ("/employee", {"name": "Ann", "emailAddress": f"quota{number}@acme.test"}),
        "webhooks": ("/webhook", {"url": f"https://192.0.2.9/{number}"}),
    }
    path, body = bodies[what]
    return await client.post(path, json=body)


async def count(world: World, what: str) -> int:
    table = {"phones": "sip_phone", "webhooks": "webhook"}.get(what, "employee")
    where = " AND login_email IS NOT NULL" if what == "logins" else ""
    of_acme = "JOIN customer ON customer.id = customer_id WHERE customer.oid = :oid"
    statement = f"SELECT count(*) FROM {table} {of_acme}{where}"
    ((found,),) = await world.rows(statement, oid=world.ids["acme"])
    return int(found)


@pytest.mark.parametrize("what", ["phones", "logins", "webhooks"])
async def test_one_too_many_is_409_and_operators_hear_before(world: World, what: str) -> None:
    before = await count(world, what)
    few = small(world, **{what: before + 2}).but(webhook_private=(ip_network("192.0.2.0/24"),))
    async with few.client(AccessLevel.OWNER) as client:
        answers = [await make(client, what, number, world) for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 409], [one.text for one in answers]
    error = answers[2].json()["error"]
    assert (error["code"], error["check"]) == ("customer", "range")
    assert f"may have {before + 2}" in error["message"]
    assert await count(world, what) == before + 2
    assert (what, world.ids["acme"]) in await near(world)


async def test_the_number_of_a_customer_counts_before_the_setting(world: World) -> None:
    before = await count(world, "phones")
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        quota = {"quota": {"phones": before}}
        assert (await client.patch(f"/customer/{world.ids['acme']}", json=quota)).status_code == 200
        body = {"sipPhoneModel": MODEL["generic"], "customer": world.ids["acme"]}
        assert (await client.post("/pbx/sipphone", json=body)).status_code == 409
        assert (
            await client.patch(f"/customer/{world.ids['acme']}", json={"quota": {"phones": None}})
        ).is_success
        assert (await client.post("/pbx/sipphone", json=body)).status_code == 200


async def test_a_person_without_a_login_takes_no_place(world: World) -> None:
    few = small(world, logins=await count(world, "logins"))
    async with few.client(AccessLevel.OWNER) as client:
        assert (await client.post("/employee", json={"name": "No login"})).status_code == 200
        assert (await make(client, "logins", 1, world)).status_code == 409


async def browser(client: httpx.AsyncClient, instance: str) -> httpx.Response:
    return await client.post("/pbx/sipphone/webrtc", json={"instanceId": instance})


async def test_the_browser_phone_that_was_opened_longest_ago_goes(world: World) -> None:
    few = small(world, browsers=2)
    async with few.client(AccessLevel.PERSONAL, person="anna") as client:
        first, second = [(await browser(client, name)).json()["_id"] for name in ("one", "two")]
        await world.execute(
            "UPDATE sip_phone SET config_saved_at = :at WHERE oid = :oid", at=LONG_AGO, oid=second
        )
        third = (await browser(client, "three")).json()["_id"]
        again = (await browser(client, "one")).json()["_id"]
    left = await world.rows("SELECT oid FROM sip_phone WHERE instance_id IN ('one', 'two', 'three')")
    assert {oid for (oid,) in left} == {first, third} and again == first


async def test_one_in_use_stays(world: World) -> None:
    few = small(world, browsers=1)
    async with few.client(AccessLevel.PERSONAL, person="anna") as client:
        first = (await browser(client, "one")).json()["_id"]
        fields: dict[Any, Any] = {
            "online": "1",
            "expiresAt": "9999999999",
            "state": "registered",
            "transport": "udp",
        }
        await world.redis.hset(keys.status(first), mapping=fields)
        refused = await browser(client, "two")
        assert refused.status_code == 429 and refused.headers["retry-after"] == "60"
        assert (await browser(client, "one")).json()["_id"] == first
        await world.redis.delete(keys.status(first))
        assert (await browser(client, "two")).status_code == 200


class _Reader:
    """All that is asked of a reader: whose it is."""

    def __init__(self, customer: str | None, person: str) -> None:
        self.person = person
        self.caller = SimpleNamespace(customer=customer)


def _reader(customer: str | None, person: str) -> Any:
    return _Reader(customer, person)


async def test_a_customer_has_so_many_streams_and_others_too() -> None:
    hub = Hub(None, None, None)  # type: ignore[arg-type]  # neither is asked
    for number in range(2):
        assert hub.admit(_reader("acme", f"p{number}"), 2) == number + 1
    with pytest.raises(TooManyStreams) as full:
        hub.admit(_reader("acme", "p3"), 2)
    assert full.value.most == 2
    hub.admit(_reader("rival", "p4"), 2)
    assert hub.admit(_reader(None, "p5"), MAX_READERS) == 1


async def test_a_stream_too_many_is_429(world: World) -> None:
    async with world.client(AccessLevel.RESELLER, "reseller") as client:
        quota = {"quota": {"streams": 0}}
        assert (await client.patch(f"/customer/{world.ids['acme']}", json=quota)).status_code == 200
    app = world.app()
    app.state.parts.hub._ready.set()  # no stream is followed here
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {world.token(AccessLevel.VIEWER)}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test", headers=headers) as client:
        answer = await client.get("/events")
    assert answer.status_code == 429 and "customer may have 0" in answer.json()["error"]["message"]
