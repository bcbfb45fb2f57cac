"""Messages are let in, held for a look at the store, or turned away; phones have a bucket of their own."""

import pytest

from registrar.errors import SipError
from registrar.model import Flow
from registrar.rules.bans import Ban, Kind
from tests.registrar.handlers.world import HOME, NODE_PLACE, World

UDP = Flow("udp", "192.0.2.10", 5060, HOME, 5060)


class Door:
    """The limits of a world, and what passed them."""

    def __init__(self) -> None:
        self.world = World()
        self.limiter = self.world.limiter
        self.let: list[bytes] = []
        self.turned: list[bytes] = []
        self.limiter.serve_with(self.receive, lambda data, _flow: self.turned.append(data))

    def receive(self, data: bytes, flow: Flow, fault: SipError | None) -> None:
        if self.limiter.lets_in(data, flow, fault):
            self.let.append(data)

    async def send(self, times: int, flow: Flow = UDP) -> None:
        for number in range(times):
            self.receive(b"%d" % number, flow, None)
        await self.world.settle()

    def limited(self, limit: str) -> float:
        found = self.world.metrics.registry.get_sample_value("registrar_limited_total", {"limit": limit})
        return found or 0.0


async def test_a_stranger_is_read_sixty_times_and_the_store_is_asked_once() -> None:
    door = Door()
    await door.send(200)
    assert door.let == [b"%d" % number for number in range(60)]
    assert door.world.offices.asked == [HOME]
    assert door.limited("source") == 140
    assert not door.turned


async def test_what_an_office_sends_meanwhile_is_read_in_order_after_the_look() -> None:
    door = Door()
    door.world.offices.behind[HOME] = 1_000
    for number in range(200):
        door.receive(b"%d" % number, Flow("udp", "192.0.2.10", 5060, HOME, 10_000 + number), None)
    assert len(door.let) == 60
    await door.world.settle()
    assert door.let == [b"%d" % number for number in range(200)]


async def test_if_the_store_is_away_nothing_of_an_office_is_dropped() -> None:
    door = Door()
    door.world.offices.away = True
    for number in range(500):
        door.receive(b"%d" % number, Flow("udp", "192.0.2.10", 5060, HOME, 10_000 + number), None)
    await door.world.settle()
    assert len(door.let) == 500
    assert door.limited("unknown") == 1


async def test_a_known_place_beyond_its_limit_is_told_to_come_later() -> None:
    door = Door()
    assert door.limiter.authenticated(UDP, "p1")
    await door.send(700)
    assert len(door.let) == 600
    assert len(door.turned) == 100
    assert door.limited("later") == 100


async def test_a_connection_of_a_stranger_beyond_its_limit_is_closed() -> None:
    door = Door()
    flow = door.world.lines.dial("tcp")
    await door.send(61, flow)
    assert door.world.lines.hung_up == [(flow.id, False)]


async def test_a_banned_address_is_not_read_and_not_answered() -> None:
    door = Door()
    now = int(door.world.clock.now)
    door.world.barred.set([Ban("1", Kind.BAN, HOME, "", "", "", "ADMIN", now, now + 60)])
    flow = door.world.lines.dial("tcp")
    await door.send(1)
    await door.send(1, flow)
    assert not door.let and not door.turned
    assert door.limited("ban") == 2
    assert door.limiter.is_banned(HOME) and not door.limiter.is_banned("203.0.113.9")
    assert door.world.lines.hung_up == [(flow.id, False)]
    door.world.clock.now += 61
    await door.send(1)
    assert len(door.let) == 1


async def test_another_node_in_a_banned_network_is_read() -> None:
    door = Door()
    now = int(door.world.clock.now)
    door.world.barred.set([Ban("1", Kind.BAN, "192.0.2.0/24", "", "", "", "ADMIN", now, now + 60)])
    ip, port = NODE_PLACE
    await door.send(1, Flow("udp", "192.0.2.10", 5060, ip, port + 1))
    assert not door.let
    await door.send(1, Flow("udp", "192.0.2.10", 5060, ip, port))
    assert len(door.let) == 1


@pytest.mark.parametrize("nodes", [1, 2])
async def test_a_phone_has_one_bucket_on_all_of_its_flows_and_nodes(nodes: int) -> None:
    doors = [Door() for _ in range(nodes)]
    served = 0
    for number in range(2_000):
        door = doors[number % nodes]
        flow = Flow("udp", "192.0.2.10", 5060, HOME, 10_000 + number % 10)
        served += door.limiter.authenticated(flow, "p1")
        if number % 100 == 99:
            for one in doors:
                spent = one.limiter.spent()
                for other in doors:
                    if other is not one:
                        other.limiter.heard(spent)
    assert served == 600
    assert sum(door.limited("account") for door in doors) == 1_400
    assert all(door.limiter.authenticated(UDP, "p2") for door in doors)
