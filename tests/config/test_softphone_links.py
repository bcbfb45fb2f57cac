"""One-time links for softphones: made by the API, opened once at the listener for phones."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from config import clock
from config.access import AccessLevel
from config.provisioning.build import phone_files
from config.provisioning.softphones import CLIENTS
from config.settings import ProvisioningSettings
from registrar.metrics import Metrics
from tests.config import softphone_parsers as parsers
from tests.config.qr_reader import read_qr
from tests.config.world import NOBODY, World

HOME, CAFE = "198.51.100.7", "203.0.113.9"
PROVISIONING = ProvisioningSettings(
    url="https://prov.test", sip_host="sip.test", sip_port=5061, sip_transport="tls", plain=True
)


@pytest.fixture
def served(world: World) -> World:
    """The world with a listener for phones."""
    return world.but(provisioning=PROVISIONING)


async def ask(
    world: World, phone: str, body: Any, level: AccessLevel = AccessLevel.MANAGER
) -> httpx.Response:
    async with world.client(level) as client:
        return await client.post(f"/pbx/sipphone/{phone}/provisioning", json=body)


async def link(world: World, phone: str, client: str = "linphone") -> dict[str, Any]:
    answer = await ask(world, phone, {"link": client})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


@asynccontextmanager
async def at(world: World, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A softphone with this address."""
    parts = world.app().state.parts
    files = phone_files(
        world.settings.provisioning,
        world.read_engine,
        world.engine,
        world.redis,
        world.vault,
        parts.changes,
        parts.origins,
        Metrics(),
    )
    transport = httpx.ASGITransport(files, client=(address, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="https://prov.test") as client:
        try:
            yield client
        finally:
            await files.close()
            await parts.changes.close()


async def fetch(world: World, url: str, address: str = HOME, method: str = "GET") -> httpx.Response:
    async with at(world, address) as client:
        return await client.request(method, url)


async def lock_of(world: World, phone: str) -> tuple[Any, ...]:
    (row,) = await world.rows("SELECT ip_mode, ip_address FROM sip_phone WHERE oid = :oid", oid=phone)
    return row


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_link_opens_the_file_of_its_softphone_once(served: World, name: str) -> None:
    phone = await served.create(extension=served.ids["ext200"])
    made = await link(served, phone["_id"], name)
    first = await fetch(served, made["url"])
    second = await fetch(served, made["url"])
    unknown = await fetch(served, "https://prov.test/o/" + "a" * 26)
    assert first.status_code == 200 and phone["password"] in first.text and phone["username"] in first.text
    assert first.headers["content-type"] == CLIENTS[name].content_type
    assert first.headers["cache-control"] == "no-store"
    assert (second.status_code, unknown.status_code) == (404, 404)
    assert (second.content, dict(second.headers)) == (unknown.content, dict(unknown.headers))


async def test_a_file_says_where_the_softphone_registers(served: World) -> None:
    phone = await served.create(extension=served.ids["ext200"])
    found = parsers.linphone((await fetch(served, (await link(served, phone["_id"]))["url"])).text)
    assert found["proxy_0/reg_proxy"] == "<sip:sip.test:5061;transport=tls>"
    assert found["auth_info_0/domain"] == "acme.test"
    assert found["proxy_0/reg_identity"].endswith(f" <sip:{phone['username']}@acme.test>")


async def test_opening_a_link_is_the_first_contact(served: World) -> None:
    phone = await served.create()
    made = await link(served, phone["_id"])
    assert any("OPEN" in text for text in made["warnings"])
    assert (await fetch(served, made["url"], method="HEAD")).status_code == 200
    assert await lock_of(served, phone["_id"]) == ("OPEN", None)
    assert (await fetch(served, made["url"])).status_code == 200
    assert await lock_of(served, phone["_id"]) == ("LOCKED", HOME)
    again = await link(served, phone["_id"])
    assert not [text for text in again["warnings"] if "OPEN" in text]
    assert (await fetch(served, again["url"], CAFE)).status_code == 403
    assert (await fetch(served, again["url"], HOME)).status_code == 200, "a refusal does not use it up"


async def test_two_that_open_a_link_at_once_share_no_account(served: World) -> None:
    phone = await served.create()
    made = await link(served, phone["_id"])
    async with at(served, HOME) as home, at(served, CAFE) as cafe:
        answers = await asyncio.gather(home.get(made["url"]), cafe.get(made["url"]), home.get(made["url"]))
    assert sorted(answer.status_code for answer in answers)[0] == 200
    assert [answer.status_code for answer in answers].count(200) == 1


async def test_a_link_ends_after_ten_minutes(served: World, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = await served.create()
    made = await link(served, phone["_id"])
    now = clock.utc_now()
    monkeypatch.setattr(clock, "utc_now", lambda: now + timedelta(minutes=10, seconds=1))
    assert (await fetch(served, made["url"])).status_code == 404
    assert await lock_of(served, phone["_id"]) == ("OPEN", None)


async def test_a_new_link_ends_the_former_one(served: World) -> None:
    phone = await served.create()
    former, new = await link(served, phone["_id"]), await link(served, phone["_id"], "baresip")
    assert (await fetch(served, former["url"])).status_code == 404
    assert (await fetch(served, new["url"])).status_code == 200
    assert await served.rows("SELECT * FROM provisioning_link") == []


async def test_a_code_is_read_as_the_link(served: World) -> None:
    phone = await served.create()
    made = await link(served, phone["_id"], "linphone")
    assert read_qr(made["qr"]) == made["url"]
    other = await link(served, phone["_id"], "acrobits")
    assert read_qr(other["qr"]) == other["url"].replace("https://", "provlinkbs://")
    assert (await link(served, phone["_id"], "baresip"))["qr"] is None


async def test_no_secret_is_stored_or_told(
    served: World, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("config", "registrar"):
        caplog.set_level("DEBUG", name)
    phone = await served.create()
    made = await link(served, phone["_id"])
    secret = made["url"].rpartition("/")[2]
    assert len(secret) == 26 and phone["password"] not in str(made)
    tables = ("provisioning_link", "audit_log", "sip_phone")
    before = [str(await served.rows(f"SELECT * FROM {table}")) for table in tables]
    await fetch(served, made["url"])
    told = str([await redis.dump(key) for key in await redis.keys()])
    stored = str(before) + str([await served.rows(f"SELECT * FROM {table}") for table in tables])
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("config")]
    assert "GET /o/...: 200" in logged
    for place in (told, stored, str(logged)):
        assert secret not in place and phone["password"] not in place
    assert phone["_id"] in stored


async def test_a_link_is_in_the_story_of_its_phone_and_changes_nothing(served: World) -> None:
    phone = await served.create()
    await link(served, phone["_id"])
    async with served.client(AccessLevel.VIEWER) as client:
        events = (await client.get(f"/pbx/sipphone/{phone['_id']}/events")).json()["events"]
        after = (await client.get(f"/pbx/sipphone/{phone['_id']}")).json()
    assert events[0]["event"] == "linked"
    assert after["status"]["configSaved"] == phone["status"]["configSaved"]


@pytest.mark.parametrize("sent", ["zoiper", "", 7, True, ["linphone"]], ids=str)
async def test_an_unknown_softphone_is_refused(served: World, sent: object) -> None:
    phone = await served.create()
    answer = await ask(served, phone["_id"], {"link": sent})
    assert answer.status_code == 422


async def test_one_action_at_a_time(served: World) -> None:
    phone = await served.create()
    assert (await ask(served, phone["_id"], {"link": "linphone", "rearm": True})).status_code == 422


async def test_there_is_no_link_without_a_listener(world: World) -> None:
    phone = await world.create()
    answer = await ask(world, phone["_id"], {"link": "linphone"})
    assert answer.status_code == 409 and "REGISTRAR_PROV_HTTPS" in answer.json()["error"]["message"]


async def test_who_may_not_see_the_password_may_make_no_link(served: World) -> None:
    phone = await served.create()
    hidden = served.but(secrets_level=AccessLevel.OWNER)
    assert (await ask(hidden, phone["_id"], {"link": "linphone"})).status_code == 403
    assert (await ask(served, phone["_id"], {"link": "linphone"}, AccessLevel.VIEWER)).status_code == 403


async def test_a_foreign_phone_is_unknown(served: World) -> None:
    phone = await served.create(customer=served.ids["rival"])
    for oid in (phone["_id"], NOBODY):
        assert (await ask(served, oid, {"link": "linphone"})).status_code == 404


async def test_an_account_that_a_softphone_cannot_read_makes_no_link(served: World) -> None:
    phone = await served.create()
    sealed = served.vault.seal("two words", phone["_id"])
    await served.execute("UPDATE sip_phone SET password_enc = :p WHERE oid = :o", p=sealed, o=phone["_id"])
    answer = await ask(served, phone["_id"], {"link": "baresip"})
    assert answer.status_code == 409 and "two words" not in answer.text
    assert (await link(served, phone["_id"], "linphone"))["url"]


async def test_a_link_needs_tls_unless_plain_is_allowed(served: World) -> None:
    private = served.but(provisioning=replace(PROVISIONING, plain=False))
    phone = await private.create()
    made = await link(private, phone["_id"])
    assert (await fetch(private, made["url"].replace("https:", "http:"))).status_code == 403
    assert (await fetch(private, made["url"])).status_code == 200
