"""/pbx/ban: who may see, make and lift which bans, and what is refused with which words."""

import time
from ipaddress import ip_network

import pytest

from config.access import AccessLevel
from config.operations import bans
from registrar.model import Epoch
from registrar.rules.bans import Kind, Why, automatic, dump
from registrar.store import keys
from tests.config.world import NOBODY, Json, World
from tests.every import every

ADMIN, OWNER = AccessLevel.ADMIN, AccessLevel.OWNER


async def made(world: World, level: AccessLevel = ADMIN, customer: str = "acme", **ban: object) -> Json:
    async with world.client(level, customer) as client:
        answer = await client.post("/pbx/ban", json=ban)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def listed(world: World, level: AccessLevel = ADMIN, customer: str = "acme", query: str = "") -> Json:
    async with world.client(level, customer) as client:
        answer = await client.get(f"/pbx/ban{query}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def refused(world: World, level: AccessLevel = ADMIN, **ban: object) -> tuple[int, str]:
    async with world.client(level) as client:
        answer = await client.post("/pbx/ban", json=ban)
    return answer.status_code, answer.text


async def told(world: World, ban: str, level: AccessLevel = ADMIN, customer: str = "acme") -> list[Json]:
    """What the audit log says of a ban, the newest first."""
    async with world.client(level, customer) as client:
        query = {"customer": "all", "object": ban, "type": "ban"}
        rows: list[Json] = (await client.get("/audit", params=query)).json()["rows"]
    return rows


async def hold(world: World, phone: str = "", customer: str = "") -> str:
    """A hold as the SIP side records it."""
    now = Epoch(time.time())
    about = {"phone": phone, "customer": customer, "mark": "ab" if phone else ""}
    made = automatic(Kind.HOLD, "203.0.113.9", Why.WRONG_PASSWORDS, now, Epoch(now + 300), **about)
    await world.redis.hset(keys.BANS, made.id, dump(made))
    return made.id


async def test_an_admin_bans_an_address_and_lifts_the_ban(world: World) -> None:
    ban = await made(world, address="203.0.113.7/24", why="scans us", seconds=60)
    assert (ban["kind"], ban["address"], ban["phone"], ban["customer"]) == (
        "ban",
        "203.0.113.0/24",
        None,
        None,
    )
    assert (ban["why"], ban["by"]) == ("scans us", "ADMIN")
    assert ban in (await listed(world))["bans"]
    assert ban["_id"] not in str(await listed(world, OWNER))
    async with world.client() as client:
        assert (await client.delete(f"/pbx/ban/{ban['_id']}")).json() == {"success": True}
        assert (await client.delete(f"/pbx/ban/{ban['_id']}")).status_code == 404
    lifted, begun = await told(world, ban["_id"])
    assert (begun["action"], lifted["action"]) == ("create", "delete")
    assert begun["after"] == lifted["before"]
    assert begun["after"].items() >= {"address": "203.0.113.0/24", "why": "scans us", "by": "ADMIN"}.items()
    assert (begun["before"], lifted["after"]) == ({}, {})
    assert ban["_id"] not in str(await listed(world))


async def test_an_owner_bans_a_phone_of_its_customer(world: World) -> None:
    phone = await world.create(extension=world.ids["ext200"])
    ban = await made(world, OWNER, phone=phone["_id"], address="2001:db8::1")
    assert (ban["phone"], ban["number"], ban["address"]) == (phone["_id"], "200", "2001:db8::1")
    assert (ban["customer"], ban["until"]) == (world.ids["acme"], None)
    assert ban["_id"] in str(await listed(world, OWNER))
    assert ban["_id"] not in str(await listed(world, OWNER, "rival"))
    async with world.client(OWNER, "rival") as client:
        assert (await client.delete(f"/pbx/ban/{ban['_id']}")).status_code == 404
        assert (await client.post("/pbx/ban", json={"phone": phone["_id"]})).status_code == 404
    async with world.client(OWNER) as client:
        assert (await client.delete(f"/pbx/ban/{ban['_id'].upper()}")).status_code == 200
    lifted, begun = await told(world, ban["_id"], OWNER)
    assert {row["customer"] for row in (begun, lifted)} == {world.ids["acme"]}
    assert lifted["before"]["phone"] == phone["_id"]
    assert await told(world, ban["_id"], OWNER, "rival") == []


async def test_one_customer_does_not_fill_the_store_of_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bans, "MAX_OF_CUSTOMER", 2)
    phone = (await world.create())["_id"]
    for number in range(2):
        await made(world, OWNER, phone=phone, address=f"192.0.2.{number}")
    status, text = await refused(world, OWNER, phone=phone, address="192.0.2.9")
    assert status == 409 and "lift some first" in text
    first = await made(world, ADMIN, phone=phone)
    async with world.client(OWNER) as owner:
        assert (await owner.delete(f"/pbx/ban/{first['_id']}")).status_code == 200
    assert (await listed(world))["total"] == 2


async def test_an_owner_sees_and_lifts_the_holds_of_its_accounts_alone(world: World) -> None:
    phone = await world.create()
    own, source = await hold(world, phone["_id"], world.ids["acme"]), await hold(world)
    assert [ban["_id"] for ban in (await listed(world, OWNER))["bans"]].count(own) == 1
    assert source not in str(await listed(world, OWNER))
    assert source in str(await listed(world))
    async with world.client(OWNER) as client:
        assert (await client.delete(f"/pbx/ban/{source}")).status_code == 404
        assert (await client.delete(f"/pbx/ban/{own}")).status_code == 200
    (lifted,) = await told(world, own, OWNER)
    assert (lifted["before"]["by"], lifted["before"]["kind"]) == ("automatic", "hold")
    assert "mark" not in lifted["before"]
    async with world.client(AccessLevel.RESELLER_ADMIN) as client:
        assert (await client.delete(f"/pbx/ban/{source}")).status_code == 404, "it sees it, and lifts none"
    async with world.client() as client:
        assert (await client.delete(f"/pbx/ban/{source}")).status_code == 200


@every(
    ("body", "status", "words"),
    [
        ({}, 400, "Specify `address`, `phone` or both"),
        ({"address": "here"}, 400, "must be an IP address or a network"),
        ({"address": 7}, 400, "must be an IP address or a network"),
        ({"address": "0.0.0.0/0"}, 400, "needs at least 8 bits"),
        ({"address": "2001::/16"}, 400, "needs at least 19 bits"),
        ({"address": "fe80::1%eth0"}, 400, "must be an IP address or a network"),
        ({"address": "fe80::1%x; reboot"}, 400, "must be an IP address or a network"),
        ({"address": "192.0.2.1", "why": 7}, 400, "why must be a text"),
        ({"address": "192.0.2.1", "why": "x" * 201}, 400, "why must be a text"),
        ({"address": "192.0.2.1", "why": "a\u0007"}, 400, "why must be a text"),
        ({"address": "192.0.2.1", "seconds": 0}, 400, "seconds must be a number"),
        ({"address": "192.0.2.1", "seconds": "x"}, 400, "seconds must be a number"),
        ({"address": "192.0.2.1", "seconds": 1e99}, 400, "seconds must be a number"),
        ({"address": "192.0.2.1", "until": "2020-01-01T00:00:00Z"}, 400, "a time in the future"),
        ({"address": "192.0.2.1", "until": "soon"}, 400, "a time in the future"),
        ({"address": "192.0.2.1", "until": "2099-01-01T00:00:00Z", "seconds": 1}, 400, "not both"),
        ({"phone": NOBODY}, 404, "SIP phone not found"),
        ({"phone": 7}, 404, "SIP phone not found"),
    ],
)
async def test_what_is_no_ban_is_refused_with_words(
    world: World, body: Json, status: int, words: str
) -> None:
    before = (await listed(world))["total"]
    got, text = await refused(world, **body)
    assert got == status, text
    assert words in text
    assert (await listed(world))["total"] == before


async def test_an_address_needs_an_admin(world: World) -> None:
    status, text = await refused(world, OWNER, address="192.0.2.1")
    assert status == 403 and "ADMIN is needed" in text


async def test_exempt_networks_and_proxies_are_never_banned(world: World) -> None:
    spared = world.but(spared=(ip_network("192.0.2.0/24"),), trusted_proxies=(ip_network("10.0.0.1/32"),))
    for address, name in (("192.0.2.7", "LIMITS"), ("192.0.0.0/16", "LIMITS"), ("10.0.0.1", "PROXIES")):
        status, text = await refused(spared, address=address)
        assert status == 409 and f"{name} names this address" in text


async def test_the_list_is_paged_and_exported(world: World) -> None:
    ids = {(await made(world, address=f"198.51.100.{number}", seconds=60))["_id"] for number in range(3)}
    page = await listed(world, query="?limit=2")
    assert len(page["bans"]) == 2 and page["total"] >= 3
    everything = {ban["_id"] for ban in (await listed(world, query="?limit=1000"))["bans"]}
    assert ids <= everything
    async with world.client() as client:
        script = await client.get("/pbx/ban?format=nftables")
        commands = await client.get("/pbx/ban?format=fail2ban")
        wrong = await client.get("/pbx/ban?format=iptables")
    assert script.headers["content-type"].startswith("text/plain")
    assert "198.51.100.2 timeout " in script.text and "drop" in script.text
    assert "fail2ban-client set registrar banip 198.51.100.1\n" in commands.text
    assert wrong.status_code == 400


async def test_without_redis_no_ban_is_half_made(world: World) -> None:
    rows = "SELECT count(*) FROM audit_log WHERE table_name = 'ban'"
    before = await world.rows(rows)
    async with world.but(redis=world.redis.__class__(port=1)).client() as client:
        answer = await client.post("/pbx/ban", json={"address": "192.0.2.1"})
        assert (await client.get("/pbx/ban")).status_code == 503
    assert answer.status_code == 503
    assert await world.rows(rows) == before
