"""handlers/registration/flows.py: bindings live and die with their connection (decision 11)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from registrar.errors import StoreUnavailable
from registrar.handlers.registration.flows import GRACE_SECONDS, PER_PHONE
from registrar.model import Change, Flow, IpMode, Phone, Process, Snapshot

from ..world import DOMAIN, ELSEWHERE, HOME, Device, World, apply, phone

LOCKED = phone(mode=IpMode.LOCKED, address=HOME)
BROWSER = replace(LOCKED, webrtc=True, instance="tab-1")


async def on_a_connection(world: World, contact: str = "a.invalid", transport: str = "wss") -> Device:
    """A phone that has registered over a connection of its own."""
    device = Device(world, contact=contact)
    device.flow = world.lines.dial(transport)
    assert (await device.register()).status == 200
    return device


def flow_of(device: Device) -> Flow:
    assert device.flow is not None
    return device.flow


async def grace_is_over(world: World, seconds: float = GRACE_SECONDS) -> None:
    world.clock.now += seconds
    await world.flows.step()


def contacts(world: World) -> list[str]:
    return [binding.contact for binding in world.snapshot().bindings]


@pytest.mark.parametrize(
    ("silent", "reason"),
    [pytest.param(False, "socket-closed", id="closed"), pytest.param(True, "ping-timeout", id="fell silent")],
)
async def test_a_closed_connection_takes_its_binding_with_it(silent: bool, reason: str) -> None:
    world = World(LOCKED)
    device = await on_a_connection(world)
    await world.hang_up(flow_of(device), silent=silent)
    await grace_is_over(world, GRACE_SECONDS - 0.1)
    assert world.location.status["id-u"]["online"] == "1"
    await grace_is_over(world, 0.1)
    status = world.location.status["id-u"]
    assert (status["online"], status["reason"]) == ("0", reason)
    assert world.snapshot().bindings == ()
    assert world.events() == ["registered", "lost"]
    assert world.location.updates[-1][1].customer == "acme"


async def test_whoever_comes_back_in_time_was_never_away() -> None:
    world = World(LOCKED)
    device = await on_a_connection(world)
    await world.hang_up(flow_of(device))
    device.flow = world.lines.dial()
    assert (await device.register()).status == 200
    await grace_is_over(world)
    assert world.location.status["id-u"]["online"] == "1"
    assert world.events() == ["registered"]
    assert [binding.flow for binding in world.snapshot().bindings] == [device.flow.id]


async def test_a_browser_that_was_reloaded_has_one_binding() -> None:
    world = World(BROWSER)
    before = await on_a_connection(world, "one.invalid")
    await world.hang_up(flow_of(before))
    await on_a_connection(world, "two.invalid")
    assert contacts(world) == ["sip:200@two.invalid"]
    await grace_is_over(world)
    assert contacts(world) == ["sip:200@two.invalid"]
    assert world.events() == ["registered"]


@pytest.mark.parametrize(
    ("account", "transport"),
    [
        pytest.param(LOCKED, "wss", id="a phone that is no browser of ours"),
        pytest.param(BROWSER, "tcp", id="not by WebSocket"),
    ],
)
async def test_others_may_have_several_bindings(account: Phone, transport: str) -> None:
    world = World(account)
    await on_a_connection(world, "10.0.0.8", transport)
    await on_a_connection(world, "10.0.0.9", transport)
    assert len(contacts(world)) == 2


async def test_a_second_flow_of_one_browser_stands_beside_the_first() -> None:
    world = World(BROWSER)
    for number in (1, 2):
        device = Device(world, contact=f"{number}.invalid")
        device.flow = world.lines.dial()
        device.more = ("Supported: outbound",)
        value = f'{device.contact};+sip.instance="<urn:uuid:1>";reg-id={number}'
        answer = await device.register(3_600, value)
        assert ("Require", "outbound") in answer.headers
    assert len(contacts(world)) == 2


async def test_the_phone_stays_online_while_another_binding_lives() -> None:
    world = World(LOCKED)
    gone = await on_a_connection(world, "one.invalid")
    await on_a_connection(world, "two.invalid")
    await world.hang_up(flow_of(gone))
    await grace_is_over(world)
    assert contacts(world) == ["sip:200@two.invalid"]
    assert world.location.status["id-u"]["online"] == "1"


async def test_a_binding_over_udp_knows_no_connection() -> None:
    world = World(LOCKED)
    assert (await Device(world).register()).status == 200
    assert len(world.flows) == 0
    assert world.snapshot().bindings[0].flow == 0


async def test_a_connection_that_closed_before_the_answer_leaves_nothing() -> None:
    world = World(LOCKED)
    device = Device(world, contact="a.invalid")
    flow = device.flow = world.lines.dial()
    world.lines.flows.clear()  # gone while the digest was checked
    assert (await device.register()).status == 200
    assert flow.id not in world.lines.trusted
    await grace_is_over(world)
    assert world.snapshot().bindings == ()
    assert world.location.status["id-u"]["reason"] == "socket-closed"


async def test_a_store_that_is_away_hears_of_it_when_it_is_back() -> None:
    world = World(LOCKED)
    device = await on_a_connection(world)
    await world.hang_up(flow_of(device))
    world.location.away = True
    with pytest.raises(StoreUnavailable):
        await grace_is_over(world)
    world.location.away = False
    await grace_is_over(world, 0.5)
    assert world.location.status["id-u"]["reason"] == "socket-closed"


async def test_somebody_who_writes_meanwhile_does_not_save_the_binding() -> None:
    world = World(LOCKED)
    device = await on_a_connection(world)
    await world.hang_up(flow_of(device))
    world.location.rivals = 2
    await grace_is_over(world)
    assert world.snapshot().bindings == ()


async def test_a_binding_of_another_process_with_the_same_number_stays() -> None:
    world = World(LOCKED)
    device = await on_a_connection(world)
    stands = world.location.stored["id-u"]
    moved = tuple(replace(binding, node="b", generation="g-b") for binding in stands.bindings)
    world.location.stored["id-u"] = replace(stands, bindings=moved)
    await world.hang_up(flow_of(device))
    await grace_is_over(world)
    assert world.snapshot().bindings == moved


async def test_one_connection_may_carry_several_phones() -> None:
    world = World(LOCKED, replace(LOCKED, id="id-b", username="b" * 32, extension="201"))
    first = await on_a_connection(world)
    second = Device(world, world.people.rows["id-b"], contact="b.invalid")
    second.to = f"sip:201@{DOMAIN}"
    second.flow = first.flow
    assert (await second.register()).status == 200
    assert sorted(world.flows.phones) == ["id-b", "id-u"]
    await world.hang_up(flow_of(first))
    await grace_is_over(world)
    assert world.location.status["id-u"]["online"] == world.location.status["id-b"]["online"] == "0"
    assert world.flows.phones == []


async def test_the_oldest_connection_of_a_phone_makes_room() -> None:
    world = World(LOCKED)
    flows = [flow_of(await on_a_connection(world, f"{number}.invalid")) for number in range(PER_PHONE + 1)]
    assert world.lines.hung_up == [(flows[0].id, False)]


async def test_only_a_right_digest_makes_a_connection_trusted() -> None:
    world = World(LOCKED)
    device = Device(world, replace(LOCKED, password="x" * 32))
    device.flow = world.lines.dial()
    assert (await device.register()).status == 401
    assert not world.lines.trusted
    device = await on_a_connection(world)
    assert world.lines.trusted == {flow_of(device).id}


async def test_beyond_the_cap_a_binding_on_a_closed_connection_goes_first() -> None:
    world = World(LOCKED)
    devices = []
    for number in range(4):
        world.clock.now += 1
        devices.append(await on_a_connection(world, f"{number}.invalid"))
    world.clock.now += 1
    assert (await Device(world, contact="10.0.0.1").register()).status == 200
    await world.hang_up(flow_of(devices[2]))
    world.clock.now += 1
    assert (await Device(world, contact="10.0.0.2").register()).status == 200
    assert "sip:200@2.invalid" not in contacts(world)
    assert "sip:200@0.invalid" in contacts(world)


@pytest.mark.parametrize(
    ("now", "stays"),
    [
        pytest.param(None, False, id="deleted"),
        pytest.param(replace(LOCKED, active=False), False, id="its customer was blocked"),
        pytest.param(replace(LOCKED, secret_version=2), False, id="its credentials were reset"),
        pytest.param(replace(LOCKED, address=ELSEWHERE), False, id="locked elsewhere"),
        pytest.param(replace(LOCKED, extension="300"), True, id="another extension"),
    ],
)
async def test_a_connection_ends_when_its_phone_may_not_be_served(now: Phone | None, stays: bool) -> None:
    world = World(LOCKED)
    device = await on_a_connection(world)
    assert (await device.register(0)).status == 200  # nothing is bound any more; the connection stands
    if now is None:
        del world.people.rows["id-u"]
    else:
        world.people.rows["id-u"] = replace(now, version=2)
    await apply(world, Change(phones=("id-u",)))
    assert world.lines.hung_up == ([] if stays else [(flow_of(device).id, True)])


async def test_a_gap_of_announcements_reaches_connections_without_a_binding() -> None:
    world = World(LOCKED)
    device = await on_a_connection(world)
    world.location.stored.clear()
    world.people.rows["id-u"] = replace(LOCKED, secret_version=2, version=2)
    await apply(world, Change(everybody=True))
    assert world.lines.hung_up == [(flow_of(device).id, True)]


async def test_who_was_taken_for_dead_lets_his_phones_come_again() -> None:
    world = World(LOCKED)
    device = await on_a_connection(world)
    await world.flows.disown()
    assert world.lines.hung_up == []
    known = world.location.known("id-u")
    other = World(beside=world, node="b")
    await other.changes.sweep(Process("a", "g-a"), frozenset({"id-u"}))
    assert world.location.status["id-u"]["reason"] == "node-lost"
    (stands,) = await world.location.load(["id-u"])

    async def load(phones: Sequence[str]) -> list[Snapshot]:
        return [stands]

    world.location.stored["id-u"] = known  # what this process remembers
    world.location.load = load  # type: ignore[method-assign]  # what is stored
    await world.flows.disown()
    assert world.lines.hung_up == [(flow_of(device).id, False)]


async def test_a_listener_of_udp_is_not_taken_for_the_connection_with_its_number() -> None:
    """Both are called `flow` in a binding."""
    world = World(LOCKED)
    device = await on_a_connection(world)
    known = world.location.known("id-u")
    (lost,) = known.bindings
    stands = replace(known, bindings=(replace(lost, contact="sip:200@10.0.0.7", transport="udp"),))

    async def load(phones: Sequence[str]) -> list[Snapshot]:
        return [stands]

    world.location.load = load  # type: ignore[method-assign]  # what is stored: over UDP alone
    assert not world.flows.is_dead(stands.bindings[0])
    await world.flows.disown()
    assert world.lines.hung_up == [(flow_of(device).id, False)]


async def test_a_predecessors_connection_is_dead_and_a_neighbours_is_not() -> None:
    world = World(LOCKED)
    await on_a_connection(world)
    (binding,) = world.snapshot().bindings
    assert not world.flows.is_dead(binding)
    assert world.flows.is_dead(replace(binding, generation="g-before"))
    assert world.flows.is_dead(replace(binding, flow=99))
    assert not world.flows.is_dead(replace(binding, node="b", flow=99))
    assert not world.flows.is_dead(replace(binding, transport="udp", flow=0))


def shown(world: World, transport: str) -> float | None:
    return world.metrics.registry.get_sample_value("registrar_phones", {"transport": transport})


async def test_registered_phones_are_counted_by_transport() -> None:
    """Once each at a transport, until the end of the binding or of the connection."""
    world = World(LOCKED)
    assert (shown(world, "wss"), shown(world, "tcp")) == (0, 0)
    web, desk = await on_a_connection(world), await on_a_connection(world, "b.invalid", "tcp")
    again = await on_a_connection(world, "c.invalid", "tcp")
    assert (shown(world, "wss"), shown(world, "tcp"), shown(world, "tls")) == (1, 1, 0)
    assert (await web.register()).status == 200
    assert (await web.register(0)).status == 200
    assert (shown(world, "wss"), shown(world, "tcp")) == (0, 1), "its connection is still open"
    await world.hang_up(flow_of(desk))
    assert shown(world, "tcp") == 1, "the other connection of the phone"
    assert (await again.register(60)).status == 200
    world.clock.now += 61
    assert shown(world, "tcp") == 0, "it was not refreshed"
    assert (await again.register()).status == 200
    assert shown(world, "tcp") == 1
    await world.hang_up(flow_of(again))
    assert shown(world, "tcp") == 0
