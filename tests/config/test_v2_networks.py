"""Trusted networks: rows 38-42 of the checklist, decisions D7, D23 and D33."""

import asyncio

import pytest

from config.access import AccessLevel
from config.operations import customers as networks
from tests.config.test_changes import heard
from tests.config.v2 import JOE, domain, made, refused, row, rows
from tests.config.world import World

OFFICE = {"network": "10.0.20.10/24", "description": "Head office"}


async def test_a_network_is_shown_as_it_was_sent_and_changed(world: World) -> None:
    path = f"{await domain(world)}/trustednetworks"
    async with world.client(AccessLevel.MANAGER) as client:
        id = await made(client, path, **OFFICE)
        shown = row(await client.get(f"{path}/{id}"))
        moments = {name: shown[name] for name in ("createDatetime", "updateDatetime")}
        assert shown == {"trustedNetworkId": id, "domainId": path.split("/")[-2], **OFFICE, **moments}
        assert rows(await client.get(path, params={"filter[]": "network-eq-value-10.0.20.10/24"})) == [shown]
        for name, value in (("network", "2001:db8::1/64"), ("description", "Århus")):
            assert (await client.post(f"{path}/{id}", data={name: value})).status_code == 204
            assert row(await client.get(f"{path}/{id}"))[name] == value
        assert await world.rows("SELECT network FROM trusted_network") == [("2001:db8::/64",)]
        assert (await client.post(f"{path}/{id}", data={"description": ""})).status_code == 204
        assert row(await client.get(f"{path}/{id}"))["description"] is None
        assert (await client.delete(f"{path}/{id}")).status_code == 204
        for method in ("GET", "POST", "DELETE"):
            assert refused(await client.request(method, f"{path}/{id}")) == (404, "not found: network")
        assert (await client.get(path)).text == "\n"
    actions = [action for (action,) in await world.rows("SELECT action FROM audit_log ORDER BY id")]
    assert actions == ["create", "update", "update", "update", "delete"]


async def test_each_change_reaches_the_users_of_the_domain(world: World) -> None:
    path = await domain(world)
    state = "SELECT version, networks FROM phone_v1"
    async with world.client(AccessLevel.MANAGER) as client:
        await made(client, f"{path}/users", **JOE)
        ((version, none),) = await world.rows(state)
        async with heard(world.redis) as words:
            id = await made(client, f"{path}/trustedNetworks", **OFFICE)
            made_there = await world.rows(state)
            await client.post(f"{path}/trustedNetwork/{id}", data={"network": "192.0.2.0/24"})
            changed = await world.rows(state)
            await client.delete(f"{path}/trustedNetwork/{id}")
            gone = await world.rows(state)
    assert none == ""
    assert made_there == [(version + 1, "10.0.20.0/24")]
    assert changed == [(version + 2, "192.0.2.0/24")]
    assert gone == [(version + 3, "")]
    assert words == [f"customer {world.ids['acme']}"] * 3


async def test_every_spelling_of_the_path_is_the_same(world: World) -> None:
    path = await domain(world)
    async with world.client(AccessLevel.MANAGER) as client:
        for spelling in ("trustednetworks", "trustedNetworks", "trustedNetwork", "TRUSTEDNETWORK"):
            below = path.replace("/sip/", "/SIP/") + f"/{spelling}"
            id = (await client.post(below + "/", data=OFFICE)).json()["trustedNetworkId"]
            assert row(await client.get(f"{below}/{id}/"))["network"] == OFFICE["network"]
            assert len(rows(await client.get(below))) == 1
            assert (await client.post(f"{below}/{id}", data={"description": "x"})).status_code == 204
            assert (await client.delete(f"{below}/{id}")).status_code == 204


@pytest.mark.parametrize(
    "network",
    ["", "x", "10.0.0.0/33", "10.0.0.0/0", "::/0", "10.0.0/8", "10.0.0.0/255.0.0.0", "a b", "fe80::1%1/64"],
)
async def test_what_is_no_network_is_refused(world: World, network: str) -> None:
    path = f"{await domain(world)}/trustedNetworks"
    async with world.client(AccessLevel.MANAGER) as client:
        assert refused(await client.post(path, data={"network": network}))[0] == 400
        id = await made(client, path, **OFFICE)
        assert refused(await client.post(f"{path}/{id}", data={"network": network}))[0] == 400


async def test_a_network_is_there_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{await domain(world)}/trustedNetworks"
    async with world.client(AccessLevel.ADMIN) as client:
        id = await made(client, path, **OFFICE)
        single = await made(client, path, network="192.0.2.7")
        for same in ("10.0.20.0/24", "10.0.20.99/24", "::ffff:10.0.20.1/120"):
            assert refused(await client.post(path, data={"network": same})) == (
                409,
                "The network 10.0.20.0/24 is there already",
            )
        assert refused(await client.post(f"{path}/{single}", data={"network": "10.0.20.1/24"}))[0] == 409
        assert (await client.post(f"{path}/{id}", data={"network": "10.0.20.0/24"})).status_code == 204
        await made(client, f"{await domain(world, 'rival')}/trustedNetworks", **OFFICE)
        monkeypatch.setattr(networks, "MAX_NETWORKS", 2)
        assert refused(await client.post(path, data={"network": "10.1.0.0/16"}))[0] == 409
    stored = await world.rows("SELECT network FROM trusted_network ORDER BY id")
    assert stored == [("10.0.20.0/24",), ("192.0.2.7/32",), ("10.0.20.0/24",)]


async def test_of_many_equal_networks_one_is_made_and_every_change_counts(world: World) -> None:
    path = f"{await domain(world)}/trustedNetworks"
    version = "SELECT version FROM customer WHERE sip_domain = 'acme.test'"
    ((before,),) = await world.rows(version)
    async with world.client(AccessLevel.MANAGER) as client:
        same = await asyncio.gather(*(client.post(path, data=OFFICE) for _ in range(5)))
        assert sorted(answer.status_code for answer in same) == [201] + [409] * 4
        others = [{"network": f"10.{index}.0.0/16"} for index in range(1, 6)]
        answers = await asyncio.gather(*(client.post(path, data=other) for other in others))
        assert {answer.status_code for answer in answers} == {201}
    assert await world.rows(version) == [(before + 6,)]
