"""registrar/handlers/changes.py: a change of the configuration reaches what is bound (decision 7)."""

from dataclasses import replace
from typing import Any

import pytest

from registrar.errors import StoreUnavailable
from registrar.model import Change, IpMode, Phone

from .world import ELSEWHERE, HOME, Device, World, phone

LOCKED = phone(mode=IpMode.LOCKED, address=HOME)
ONE = Change(phones=("id-u",))


async def registered(world: World, **binding: Any) -> None:
    """A live binding of the phone, with some of its fields changed."""
    assert (await Device(world).register()).status == 200
    if binding:
        stands = world.location.stored["id-u"]
        made = tuple(replace(bound, **binding) for bound in stands.bindings)
        world.location.stored["id-u"] = replace(stands, bindings=made)


@pytest.mark.parametrize(
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
    await world.changes.apply(ONE)
    status = world.location.status["id-u"]
    assert status["reason"] == reason
    assert status["online"] == ("0" if kind else "1")
    assert bool(world.snapshot().bindings) is not bool(kind)
    assert world.events()[1:] == ([kind] if kind else [])
    assert world.location.updates[-1][1].customer == "acme"


async def test_a_customers_change_reaches_all_its_phones() -> None:
    world = World(LOCKED, phone("b", customer="rival"))
    await registered(world)
    assert (await Device(world, phone("b")).register()).status == 200
    world.people.rows["id-u"] = replace(LOCKED, active=False, version=2)
    await world.changes.apply(Change(customer="acme"))
    assert world.snapshot("id-u").bindings == ()
    assert world.snapshot("id-b").bindings != ()


async def test_only_what_was_made_with_the_old_credentials_goes() -> None:
    world = World(LOCKED)
    await registered(world, secret_version=0)
    await Device(world, contact="10.0.0.8").register()
    world.people.rows["id-u"] = replace(LOCKED, version=2)
    await world.changes.apply(ONE)
    assert [bound.contact for bound in world.snapshot().bindings] == ["sip:200@10.0.0.8"]
    assert world.location.status["id-u"]["online"] == "1"


async def test_a_missing_country_file_drops_nobody() -> None:
    def missing(_address: str) -> str | None:
        raise StoreUnavailable("there is no country file")

    world = World(phone(mode=IpMode.ROAMING, countries=("DK",)))
    await registered(world)
    world.country = missing
    await world.changes.apply(ONE)
    assert world.snapshot().bindings != ()


async def test_a_change_of_a_phone_that_is_not_there_writes_nothing() -> None:
    world = World(LOCKED)
    world.people.rows["id-u"] = phone(secret_version=2)
    await world.changes.apply(ONE)
    assert world.location.updates == []


async def test_a_change_waits_for_a_store_that_is_away() -> None:
    world = World(LOCKED)
    await registered(world)
    world.people.rows["id-u"] = phone(secret_version=2)
    world.people.away = True
    reread = world.people.reread

    async def comes_back(change: Change) -> list[Phone]:
        try:
            return await reread(change)
        finally:
            world.people.away = False

    world.people.reread = comes_back  # type: ignore[method-assign]  # away once
    with pytest.raises(StoreUnavailable):
        await world.changes.apply(ONE)
    assert world.snapshot().bindings != ()
    assert await world.changes.step()
    assert world.snapshot().bindings == ()
    assert not await world.changes.step()


async def test_somebody_who_writes_meanwhile_does_not_save_the_binding() -> None:
    world = World(LOCKED)
    await registered(world)
    world.people.rows["id-u"] = phone(secret_version=2)
    world.location.rivals = 2
    await world.changes.apply(ONE)
    assert world.snapshot().bindings == ()


async def test_everybody_is_re_checked_after_a_gap() -> None:
    names = [f"{number:x}" for number in range(1, 16)]
    world = World(*(phone(name) for name in names))
    for name in names:
        assert (await Device(world, phone(name)).register()).status == 200
    for name in names[::2]:
        world.people.rows[f"id-{name}"] = replace(world.people.rows[f"id-{name}"], secret_version=2)
    await world.changes.apply(Change(everybody=True))
    assert [bool(world.snapshot(f"id-{name}").bindings) for name in names] == [
        bool(number % 2) for number in range(15)
    ]


async def test_both_the_old_credentials_and_the_wrong_place_go() -> None:
    world = World(LOCKED)
    await registered(world, secret_version=0)
    await Device(world, contact="10.0.0.8").register()
    world.people.rows["id-u"] = replace(LOCKED, address=ELSEWHERE, version=2)
    await world.changes.apply(ONE)
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
    await world.changes.sweep_node("a", "g-a", frozenset({"id-u", "id-nobody"}))
    assert set(world.snapshot().bindings) == {udp, living}
    (event,) = world.location.updates[-1][1].events
    assert (str(event.kind), event.reason, event.transport) == ("lost", "node-lost", "tcp")
    assert world.location.status["id-u"]["online"] == "1"


async def test_a_phone_whose_only_connection_died_is_offline_and_says_why() -> None:
    world = World(LOCKED)
    await registered(world, transport="wss")
    await world.changes.sweep_node("a", "g-a", frozenset({"id-u"}))
    status = world.location.status["id-u"]
    assert (status["online"], status["reason"]) == ("0", "node-lost")


async def test_a_sweep_that_cannot_be_written_is_not_done() -> None:
    world = World(LOCKED)
    await registered(world, transport="tcp")
    world.location.away = True
    with pytest.raises(StoreUnavailable):
        await world.changes.sweep_node("a", "g-a", frozenset({"id-u"}))


async def test_who_is_swept_at_a_start_is_known_with_his_customer() -> None:
    world = World(LOCKED)
    await registered(world, transport="wss", node="b", generation="g-b")
    world.people.known.clear()  # nobody has registered here yet
    await world.changes.sweep_node("b", "g-b", frozenset({"id-u"}))
    assert world.location.updates[-1][1].customer == "acme"
    assert world.events()[-1] == "lost"
