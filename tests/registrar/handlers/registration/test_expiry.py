"""handlers/registration/expiry.py: what runs out ends once, and no entry of the index stays late."""

import asyncio

import pytest

from registrar.errors import StoreUnavailable
from registrar.model import IpMode

from ..world import HOME, Device, World, phone

LOCKED = phone(mode=IpMode.LOCKED, address=HOME)


async def registered(expires: int = 60, *, contact: str = "10.0.0.7", world: World | None = None) -> World:
    world = world or World(LOCKED)
    assert (await Device(world, contact=contact).register(expires)).status == 200
    return world


async def test_what_has_not_run_out_is_left_alone() -> None:
    world = await registered()
    world.clock.now += 59
    await world.expiry.sweep()
    assert world.events() == ["registered"]


async def test_what_has_run_out_ends() -> None:
    world = await registered()
    world.clock.now += 60
    await world.expiry.sweep()
    assert world.snapshot().bindings == ()
    assert world.events() == ["registered", "expired"]
    status = world.location.status["id-u"]
    assert (status["online"], status["reason"], status["since"]) == (
        "0",
        "expired",
        str(int(world.clock.now)),
    )
    assert world.location.index == {}
    assert world.location.updates[-1][1].customer == "acme"


async def test_of_two_sweepers_one_writes_the_event() -> None:
    world = await registered()
    other = World(node="b", beside=world)
    world.clock.now += 60
    await asyncio.gather(world.expiry.sweep(), other.expiry.sweep())
    await asyncio.gather(world.expiry.sweep(), other.expiry.sweep())
    assert world.events() == ["registered", "expired"]


async def test_one_of_two_bindings_ends_and_the_entry_is_that_of_the_other() -> None:
    world = await registered(600)
    await registered(60, contact="10.0.0.8", world=world)
    world.clock.now += 60
    await world.expiry.sweep()
    (left,) = world.snapshot().bindings
    assert world.location.index == {"id-u": left.expires_at}
    assert world.location.status["id-u"]["online"] == "1"


async def test_an_entry_that_was_too_early_is_raised() -> None:
    world = await registered(60)
    device = Device(world)
    device.cseq = 9
    await device.register(600)
    world.clock.now += 60
    await world.expiry.sweep()
    assert world.events() == ["registered"]
    assert world.location.index == {"id-u": world.snapshot().bindings[0].expires_at}


async def test_an_entry_without_a_phone_goes() -> None:
    world = World(LOCKED)
    world.location.index["id-x"] = world.clock.now - 5
    await world.expiry.sweep()
    assert world.location.index == {}
    assert world.location.updates == []


async def test_an_entry_that_was_removed_while_the_phone_registered_comes_back() -> None:
    """The sweep reads no binding, the phone registers, the sweep removes the entry: the next one looks."""
    world = World(LOCKED)
    world.location.index["id-u"] = world.clock.now - 5

    async def race() -> None:
        await registered(60, world=world)  # lowers nothing: the entry that was read is earlier

    world.location.before_reschedule = race
    await world.expiry.sweep()
    assert world.location.index == {}
    world.location.before_reschedule = None
    await world.expiry.sweep()
    assert world.location.index == {"id-u": world.snapshot().bindings[0].expires_at}


async def test_an_entry_is_looked_at_again_also_when_the_store_was_away_between() -> None:
    world = World(LOCKED)
    world.location.index["id-u"] = world.clock.now - 5

    async def race() -> None:
        await registered(60, world=world)  # lowers nothing: the entry that was read is earlier

    world.location.before_reschedule = race
    await world.expiry.sweep()
    world.location.before_reschedule = None
    world.location.away = True
    with pytest.raises(StoreUnavailable):
        await world.expiry.sweep()
    world.location.away = False
    await world.expiry.sweep()
    assert world.location.index == {"id-u": world.snapshot().bindings[0].expires_at}


async def test_a_store_that_is_away_is_swept_when_it_is_back() -> None:
    world = await registered()
    world.clock.now += 60
    world.location.away = True
    with pytest.raises(StoreUnavailable):
        await world.expiry.sweep()
    world.location.away = False
    await world.expiry.sweep()
    assert world.events() == ["registered", "expired"]


async def test_it_sweeps_until_it_is_cancelled() -> None:
    world = await registered()
    world.clock.now += 60
    sweeping = asyncio.create_task(world.expiry.run())
    await asyncio.sleep(0.01)
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping
    assert world.events() == ["registered", "expired"]
