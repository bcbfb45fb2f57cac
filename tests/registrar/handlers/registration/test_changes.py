"""handlers/registration/changes.py: a change of the configuration reaches what is bound (decision 7)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from registrar.errors import StoreUnavailable
from registrar.model import Change, IpMode, Phone, Process
from tests.every import every

from ..world import DOMAIN, ELSEWHERE, HOME, Device, World, apply, phone, user

LOCKED = phone(mode=IpMode.LOCKED, address=HOME)
ONE = Change(phones=("id-u",))


async def registered(world: World, **binding: Any) -> None:
    """A live binding of the phone, with some of its fields changed."""
    assert (await Device(world).register()).status == 200
    if binding:
        stands = world.location.stored["id-u"]
        made = tuple(replace(bound, **binding) for bound in stands.bindings)
        world.location.stored["id-u"] = replace(stands, bindings=made)


@every(
    ("now", "reason", "kind"),
    [
        pytest.param(phone(secret_version=2), "revoked", "revoked", id="its credentials were reset"),
        pytest.param(None, "revoked", "revoked", id="it was deleted"),
        pytest.param(replace(LOCKED, active=False), "revoked", "revoked", id="its customer was blocked"),
        pytest.param(
            replace(LOCKED, address=ELSEWHERE), "ip-rejected", "revoked", id="it was locked elsewhere"
        ),
        pytest.param(
            phone(mode=IpMode.ROAMING, countries=("SE",)), "ip-rejected", "revoked", id="it may not roam here"
        ),
        pytest.param(phone(mode=IpMode.OPEN), "registered", "", id="it was opened: what is bound stays"),
        pytest.param(phone(mode=IpMode.ROAMING, countries=("DK",)), "registered", "", id="it may roam here"),
        pytest.param(replace(LOCKED, extension="300"), "registered", "", id="it has another extension"),
    ],
)
async def test_after_a_change(now: Phone | None, reason: str, kind: str) -> None:
    world = World(LOCKED)
    await registered(world)
    if now is None:
        del world.people.rows["id-u"]
    else:
        world.people.rows["id-u"] = replace(now, version=2)
    await apply(world, ONE)
    status = world.location.status["id-u"]
    assert status["reason"] == reason
    assert status["online"] == ("0" if kind else "1")
    assert bool(world.snapshot().bindings) is not bool(kind)
    (entry,) = await world.location.states.entries("acme", ["id-u"])
    assert (entry and entry.standing.reason) == (reason if now is not None else None), "the index of states"
    assert world.events()[1:] == ([kind] if kind else [])
    assert world.location.updates[-1][1].customer == "acme"


async def test_a_customers_change_reaches_all_its_phones() -> None:
    world = World(LOCKED, phone("b", customer="rival"))
    await registered(world)
    assert (await Device(world, phone("b")).register()).status == 200
    world.people.rows["id-u"] = replace(LOCKED, active=False, version=2)
    await apply(world, Change(customer="acme"))
    assert world.snapshot("id-u").bindings == ()
    assert world.snapshot("id-b").bindings != ()


async def online_user(world: World, account: Phone, *, over: str = "udp") -> Device:
    """A SIP user who has registered."""
    device = Device(world, replace(account, password="secret"))
    device.to = f"sip:{account.username}@{DOMAIN}"
    if over != "udp":
        device.flow = world.lines.dial(over)
    assert (await device.register()).status == 200
    return device


INSIDE, OUTSIDE = (ip_network("198.51.100.0/24"),), (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        pytest.param(user(networks=OUTSIDE), "ip-rejected", id="networks that leave it out"),
        pytest.param(user(networks=OUTSIDE + INSIDE), "registered", id="networks that have it in"),
        pytest.param(user(networks=()), "registered", id="no networks any more"),
        pytest.param(user(secret_version=2), "revoked", id="another password"),
        pytest.param(user(active=False), "revoked", id="its customer was blocked"),
        pytest.param(user(extension="301"), "registered", id="another number"),
        pytest.param(None, "revoked", id="it was deleted"),
    ],
)
async def test_after_a_change_of_its_domain_a_sip_user_is_re_checked(now: Phone | None, reason: str) -> None:
    """Announced as a change of the customer alone, also when the user itself is gone."""
    world = World(user())
    device = await online_user(world, user(), over="wss")
    assert device.flow is not None
    if now is None:
        del world.people.rows["u7"]
    else:
        world.people.rows["u7"] = replace(now, version=2)
    await apply(world, Change(customer="acme"))
    assert world.location.status["u7"]["reason"] == reason
    stays = reason == "registered"
    assert world.location.status["u7"]["online"] == ("1" if stays else "0")
    assert bool(world.snapshot("u7").bindings) is stays
    assert world.events() == ["registered"] + ([] if stays else ["revoked"])
    assert world.lines.is_open(device.flow.id) is stays
    assert world.location.updates[-1][1].customer == "acme"


async def test_a_device_of_the_domain_is_bound_to_its_networks_too() -> None:
    account = phone(by_domain=True, networks=INSIDE)
    world = World(account)
    await registered(world)
    assert world.people.rows["id-u"].mode is IpMode.OPEN, "it is never locked"
    world.people.rows["id-u"] = replace(account, networks=OUTSIDE, version=2)
    await apply(world, Change(customer="acme"))
    assert world.location.status["id-u"]["reason"] == "ip-rejected"


async def test_who_vanished_unannounced_is_dropped_with_its_customer() -> None:
    world = World(LOCKED)
    await registered(world)
    del world.people.rows["id-u"], world.people.known["id-u"]
    world.changes.vanished(LOCKED)
    assert await world.changes.step()
    assert world.location.status["id-u"]["reason"] == "revoked"
    assert world.location.updates[-1][1].customer == "acme"


async def test_a_large_customer_waits_for_phones_that_were_named_and_lets_others_go_on() -> None:
    names = [f"{number:x}" for number in range(1, 16)]
    many = [replace(phone(names[0]), id=f"id-{number}", username=f"{number:032}") for number in range(500)]
    world = World(LOCKED, *many)
    await registered(world)
    order: list[int] = []
    reread = world.people.reread

    async def counted(phones: Sequence[str]) -> list[Phone]:
        order.append(len(phones))
        return await reread(phones)

    world.people.reread = counted  # type: ignore[method-assign]  # counts
    world.changes.note(Change(customer="acme"))
    assert await world.changes.step()
    assert order == [], "who they are is one step of its own"
    assert await world.changes.step()
    world.people.rows["id-u"] = replace(LOCKED, secret_version=2)
    world.changes.note(ONE)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    assert await world.changes.step()
    assert order == [200, 1]
    assert world.snapshot().bindings == ()
    while await world.changes.step():
        pass
    beside.cancel()
    assert order == [200, 1, 200, 101]
    assert turns > 10, "between two chunks others have their turn"


async def test_what_is_bound_is_re_checked_before_the_rest_of_its_customer() -> None:
    many = [phone("b", id=f"id-{number}", username=f"{number:032}") for number in range(300)]
    world = World(*many, LOCKED)
    await registered(world)
    world.people.rows["id-u"] = replace(LOCKED, active=False, version=2)
    world.changes.note(Change(customer="acme"))
    assert await world.changes.step()
    assert await world.changes.step()
    assert world.location.status["id-u"]["reason"] == "revoked"


async def test_a_part_of_a_customer_waits_for_a_store_that_is_away() -> None:
    world = World(user())
    await online_user(world, user())
    del world.people.rows["u7"]
    world.changes.note(Change(customer="acme"))
    assert await world.changes.step()
    world.people.away = True
    with pytest.raises(StoreUnavailable):
        await world.changes.step()
    world.people.away = False
    assert await world.changes.step()
    assert world.location.status["u7"]["reason"] == "revoked"
    assert not await world.changes.step()


async def test_only_what_was_made_with_the_old_credentials_goes() -> None:
    world = World(LOCKED)
    await registered(world, secret_version=0)
    await Device(world, contact="10.0.0.8").register()
    world.people.rows["id-u"] = replace(LOCKED, version=2)
    await apply(world, ONE)
    assert [bound.contact for bound in world.snapshot().bindings] == ["sip:200@10.0.0.8"]
    assert world.location.status["id-u"]["online"] == "1"


async def test_a_missing_country_file_drops_nobody() -> None:
    def missing(_address: str) -> str | None:
        raise StoreUnavailable("there is no country file")

    world = World(phone(mode=IpMode.ROAMING, countries=("DK",)))
    await registered(world)
    world.country = missing
    await apply(world, ONE)
    assert world.snapshot().bindings != ()


async def test_a_change_of_a_phone_that_is_not_there_writes_nothing() -> None:
    world = World(LOCKED)
    world.people.rows["id-u"] = phone(secret_version=2)
    await apply(world, ONE)
    assert world.location.updates == []


async def test_a_change_waits_for_a_store_that_is_away() -> None:
    world = World(LOCKED)
    await registered(world)
    world.people.rows["id-u"] = phone(secret_version=2)
    world.people.away = True
    reread = world.people.reread

    async def comes_back(phones: Sequence[str]) -> list[Phone]:
        try:
            return await reread(phones)
        finally:
            world.people.away = False

    world.people.reread = comes_back  # type: ignore[method-assign]  # away once
    with pytest.raises(StoreUnavailable):
        await apply(world, ONE)
    assert world.snapshot().bindings != ()
    assert await world.changes.step()
    assert world.snapshot().bindings == ()
    assert not await world.changes.step()


async def test_somebody_who_writes_meanwhile_does_not_save_the_binding() -> None:
    world = World(LOCKED)
    await registered(world)
    world.people.rows["id-u"] = phone(secret_version=2)
    world.location.rivals = 2
    await apply(world, ONE)
    assert world.snapshot().bindings == ()


async def test_everybody_is_re_checked_after_a_gap() -> None:
    names = [f"{number:x}" for number in range(1, 16)]
    world = World(*(phone(name) for name in names))
    for name in names:
        assert (await Device(world, phone(name)).register()).status == 200
    for name in names[::2]:
        world.people.rows[f"id-{name}"] = replace(world.people.rows[f"id-{name}"], secret_version=2)
    await apply(world, Change(everybody=True))
    assert [bool(world.snapshot(f"id-{name}").bindings) for name in names] == [
        bool(number % 2) for number in range(15)
    ]


async def test_both_the_old_credentials_and_the_wrong_place_go() -> None:
    world = World(LOCKED)
    await registered(world, secret_version=0)
    await Device(world, contact="10.0.0.8").register()
    world.people.rows["id-u"] = replace(LOCKED, address=ELSEWHERE, version=2)
    await apply(world, ONE)
    assert world.snapshot().bindings == ()


# Processes that died


async def test_what_hung_on_connections_of_a_dead_process_is_lost_and_nothing_else() -> None:
    world = World(LOCKED)
    await registered(world)
    stands = world.location.stored["id-u"]
    (udp,) = stands.bindings
    tcp = replace(udp, contact="sip:200@10.0.0.8", transport="tcp")
    living = replace(tcp, contact="sip:200@10.0.0.9", generation="g-later")
    world.location.stored["id-u"] = replace(stands, bindings=(udp, tcp, living))
    await world.changes.sweep(Process("a", "g-a"), frozenset({"id-u", "id-nobody"}))
    assert set(world.snapshot().bindings) == {udp, living}
    (event,) = world.location.updates[-1][1].events
    assert (str(event.kind), event.reason, event.transport) == ("lost", "node-lost", "tcp")
    assert world.location.status["id-u"]["online"] == "1"


async def test_a_phone_whose_only_connection_died_is_offline_and_says_why() -> None:
    world = World(LOCKED)
    await registered(world, transport="wss")
    await world.changes.sweep(Process("a", "g-a"), frozenset({"id-u"}))
    status = world.location.status["id-u"]
    assert (status["online"], status["reason"]) == ("0", "node-lost")


async def test_a_sweep_that_cannot_be_written_is_not_done() -> None:
    world = World(LOCKED)
    await registered(world, transport="tcp")
    world.location.away = True
    with pytest.raises(StoreUnavailable):
        await world.changes.sweep(Process("a", "g-a"), frozenset({"id-u"}))


async def test_who_is_swept_at_a_start_is_known_with_his_customer() -> None:
    world = World(LOCKED)
    await registered(world, transport="wss", node="b", generation="g-b")
    world.people.known.clear()  # nobody has registered here yet
    await world.changes.sweep(Process("b", "g-b"), frozenset({"id-u"}))
    assert world.location.updates[-1][1].customer == "acme"
    assert world.events()[-1] == "lost"
