"""SIP domains: rows 5-7 of the checklist, and our addition for operators."""

import pytest

from config.access import AccessLevel
from tests.config.test_changes import heard
from tests.config.v2 import DEVICE, ROOT, domain, made, number, refused, row, rows
from tests.config.world import World

NO_POLICIES = {
    "requireTls": "0",
    "requireSrtp": "0",
    "requireSha256": "0",
    "requireNetworks": "0",
    "maxContacts": None,
}


async def test_a_level_sees_its_domains(world: World) -> None:
    for level, own, seen in (
        (AccessLevel.VIEWER, "acme", ["acme.test"]),
        (AccessLevel.RESELLER, "reseller", ["acme.test"]),
        (AccessLevel.ADMIN, None, ["acme.test", "rival.test"]),
    ):
        async with world.client(level, own) as client:
            assert [found["domain"] for found in rows(await client.get(ROOT))] == seen


async def test_a_domain_is_shown_as_it_was_changed(world: World) -> None:
    path = await domain(world)
    async with heard(world.redis) as words, world.client(AccessLevel.MANAGER) as client:
        before = row(await client.get(path))
        assert before == {
            "domainId": path.rpartition("/")[2],
            "domain": "acme.test",
            "displayName": None,
            "rec": "0",
            **NO_POLICIES,
            "createDatetime": before["createDatetime"],
            "updateDatetime": before["updateDatetime"],
        }
        sent = {"displayName": "Acme & Co", "rec": "1"}
        answer = await client.post(path, data=sent | {"domain": "else.test"})
        assert (answer.status_code, answer.content) == (204, b"")
        after = row(await client.get(path))
        assert after == before | sent | {"updateDatetime": after["updateDatetime"]}
        await client.post(path, params={"rec": "false"})
        assert row(await client.get(path))["rec"] == "0"
        await client.post(path, data={"displayName": "", "rec": ""})
        cleared = row(await client.get(path))
        assert (cleared["displayName"], cleared["rec"]) == (None, "0")
        assert refused(await client.post(path, data={"rec": "yes"})) == (400, "rec must be 1 or 0")
        assert refused(await client.post(path, data={"displayName": "a\nb"}))[0] == 400
    assert words == [], "the SIP side knows neither the name nor the recording"
    assert await world.rows("SELECT action FROM audit_log") == [("update",)] * 3


async def test_an_operator_makes_and_deletes_domains(world: World) -> None:
    async with heard(world.redis) as words, world.client(AccessLevel.ADMIN) as client:
        one = await made(client, ROOT, domain="New.Test", displayName="New", rec="1")
        shown = row(await client.get(f"{ROOT}/{one}"))
        assert (shown["domain"], shown["displayName"], shown["rec"]) == ("new.test", "New", "1")
        ((name, parent, oid),) = await world.rows(
            "SELECT name, parent_customer_id, oid FROM customer WHERE sip_domain = 'new.test'"
        )
        assert (name, parent) == ("New", None)
        assert refused(await client.post(ROOT, data={"domain": "new.test"}))[0] == 409
        assert refused(await client.post(ROOT, data={})) == (400, "domain is missing")
        for wrong in ("a b", "192.0.2.1", "-a.test", "a" * 300):
            assert refused(await client.post(ROOT, data={"domain": wrong}))[0] == 400
        await made(client, f"{ROOT}/{one}/devices", **DEVICE)
        assert (await client.delete(f"{ROOT}/{one}")).status_code == 204
        for method in ("GET", "POST", "DELETE"):
            assert refused(await client.request(method, f"{ROOT}/{one}")) == (404, "not found: domain")
        again = await made(client, ROOT, domain="new.test")
        await made(client, f"{ROOT}/{again}/devices", **DEVICE)
    assert [word for word in words if word == f"customer {oid}"] == [f"customer {oid}"] * 2


NEEDS_ADMIN = "access denied: Insufficient access level: ADMIN is needed"


@pytest.mark.parametrize("level", [AccessLevel.RESELLER, AccessLevel.RESELLER_ADMIN])
async def test_nobody_else_makes_or_deletes_domains(world: World, level: AccessLevel) -> None:
    async with world.client(level) as client:
        assert refused(await client.post(ROOT, data={"domain": "a.test"})) == (403, NEEDS_ADMIN)
        assert refused(await client.delete(await domain(world))) == (403, NEEDS_ADMIN)


async def test_what_is_no_active_domain_is_not_found(world: World) -> None:
    without = await number(world, world.ids["below"], "customer")
    await world.execute("UPDATE customer SET state = 'BLOCKED' WHERE sip_domain = 'rival.test'")
    blocked = (await domain(world, "rival")).rpartition("/")[2]
    async with world.client(AccessLevel.ADMIN) as client:
        for id in (without, blocked, "999999", "0", "-1", "x", "1.0", "9" * 30, "٣", "%00", "1 or 1=1"):
            for below in ("", "/users", "/trustednetworks"):
                assert refused(await client.get(f"{ROOT}/{id}{below}")) == (404, "not found: domain")
        assert [found["domain"] for found in rows(await client.get(ROOT))] == ["acme.test"]
