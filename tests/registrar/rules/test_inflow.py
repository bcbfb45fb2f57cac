"""How many messages a source may send, by a clock that is turned by hand."""

from ipaddress import ip_network

import pytest

from registrar.model import Mono
from registrar.rules import inflow as module
from registrar.rules.inflow import PROVEN_SECONDS, READ_SECONDS, Inflow, Verdict, size_for

PASS, ASK = Verdict.PASS, Verdict.ASK
OFFICE, STRANGER = "198.51.100.7", "203.0.113.9"


class Door:
    """An Inflow, and a store that answers at once."""

    def __init__(self, **phones: int) -> None:
        self.inflow = Inflow()
        self.now = 1_000.0
        self.phones = {OFFICE: phones.get("office", 0)}
        self.reads = 0

    def knock(self, ip: str, port: int = 5060) -> Verdict:
        verdict = self.inflow.judge(ip, port, Mono(self.now))
        if verdict is not ASK:
            return verdict
        assert not self.inflow.is_asked(ip)
        self.reads += 1
        self.inflow.learn(ip, self.phones.get(ip, 0), Mono(self.now))
        return self.inflow.judge(ip, port, Mono(self.now))

    def knocks(self, times: int, ip: str, port: int = 5060) -> int:
        """How many are let in."""
        return sum(self.knock(ip, port) is PASS for _ in range(times))

    def prove(self, ip: str, port: int) -> None:
        self.inflow.proved(ip, port, Mono(self.now))


@pytest.mark.parametrize(
    ("phones", "rate", "burst"),
    [(0, 20, 60), (1, 200, 600), (150, 200, 600), (2_000, 200, 8_000), (5_000, 500, 20_000)],
)
def test_the_bucket_of_a_source_grows_with_its_phones(phones: int, rate: float, burst: float) -> None:
    assert (size_for(phones).rate, size_for(phones).burst) == (rate, burst)


def test_a_stranger_sends_sixty_and_then_twenty_a_second() -> None:
    door = Door()
    assert door.knocks(500, STRANGER) == 60
    door.now += 1.0
    assert door.knocks(500, STRANGER) == 20
    assert door.reads == 1


def test_other_ports_of_a_stranger_are_the_same_source_and_other_addresses_are_not() -> None:
    door = Door()
    assert sum(door.knock(STRANGER, port) is PASS for port in range(1_000, 1_500)) == 60
    assert door.knocks(500, "203.0.113.10") == 60


def test_one_network_of_ipv6_is_one_source() -> None:
    door = Door()
    assert sum(door.knock(f"2001:db8::{port:x}") is PASS for port in range(1, 500)) == 60
    assert door.knock("2001:db8:0:1::1") is PASS


def test_the_phones_of_an_office_are_read_before_its_first_message_is_dropped() -> None:
    door = Door(office=5_000)
    assert sum(door.knock(OFFICE, port) is PASS for port in range(20_000)) == 20_000
    assert door.knock(OFFICE, 30_000) is Verdict.LATER
    assert door.reads == 1


def test_messages_wait_for_one_read_of_their_source() -> None:
    door = Door()
    door.knocks(60, OFFICE)
    inflow, now = door.inflow, Mono(door.now)
    assert inflow.judge(OFFICE, 1, now) is ASK
    assert not inflow.is_asked(OFFICE)
    assert inflow.judge(OFFICE, 2, now) is ASK
    assert inflow.is_asked(OFFICE)
    inflow.learn(OFFICE, 3, now)
    assert inflow.judge(OFFICE, 1, now) is PASS


def test_if_the_phones_cannot_be_read_a_source_is_taken_for_an_office() -> None:
    door = Door()
    door.knocks(60, OFFICE)
    assert door.inflow.judge(OFFICE, 1, Mono(door.now)) is ASK
    door.inflow.learn(OFFICE, None, Mono(door.now))
    let = sum(door.inflow.judge(OFFICE, port, Mono(door.now)) is PASS for port in range(2_000))
    assert let == 540


def test_one_scanner_in_an_office_takes_sixty_of_its_bucket() -> None:
    door = Door(office=1_000)
    door.knocks(61, OFFICE, 6)  # until the phones are known, its places have no buckets of their own
    door.now += 100
    assert door.knocks(5_000, OFFICE, 5_999) == 60
    assert sum(door.knock(OFFICE, port) is PASS for port in range(10_000, 15_000)) == 4_000 - 60


def test_a_proven_place_takes_nothing_from_its_source() -> None:
    door = Door(office=1)
    door.prove(OFFICE, 5_060)
    assert door.knocks(1_000, OFFICE, 5_060) == 600
    assert sum(door.knock(OFFICE, port) is PASS for port in range(10_000, 11_000)) == 600


def test_a_new_office_keeps_up_with_its_phones() -> None:
    """Five thousand phones that were never here: each sends two requests, the second with a right digest."""
    door = Door()
    for port in range(10_000, 15_000):
        assert door.knock(OFFICE, port) is PASS
        assert door.knock(OFFICE, port) is PASS
        door.prove(OFFICE, port)
        door.inflow.gained(OFFICE, port, Mono(door.now))


def test_a_proxy_with_one_port_for_all_keeps_up_with_its_phones() -> None:
    door = Door()
    for _ in range(5_000):
        assert door.knock(OFFICE) is PASS
        assert door.knock(OFFICE) is PASS
        door.prove(OFFICE, 5_060)
        door.inflow.gained(OFFICE, 5_060, Mono(door.now))
    assert door.knocks(20_000, OFFICE) == 20_000 - 2 * 4_999 + 4  # the first two were those of a stranger


def test_a_place_is_proven_for_ten_minutes() -> None:
    door = Door()
    door.prove(OFFICE, 5_060)
    door.now += PROVEN_SECONDS - 1
    assert door.knocks(1_000, OFFICE, 5_060) == 600
    door.now += 2
    door.phones[OFFICE] = 1
    assert door.knocks(1_000, OFFICE, 5_060) == 60


def test_a_source_that_got_phones_meanwhile_is_read_again() -> None:
    door = Door()
    assert door.knocks(100, OFFICE) == 60
    door.phones[OFFICE] = 10
    door.now += READ_SECONDS - 1
    assert door.knocks(500, OFFICE) == 60
    door.now += 1
    assert sum(door.knock(OFFICE, port) is PASS for port in range(1_000)) == 20 + 540


def test_all_strangers_together_have_a_bucket_and_an_office_is_outside_of_it() -> None:
    door = Door(office=10)
    door.prove(OFFICE, 5_060)
    let = sum(door.knock(f"10.{i >> 8}.{i & 255}.1") is PASS for i in range(6_000))
    assert let == 500
    assert door.knock(OFFICE, 5_061) is PASS
    assert door.reads == 500, "datagrams may carry any source: the store is asked so often and no more"


def test_exempt_networks_and_nodes_have_no_limit() -> None:
    inflow = Inflow(exempt=(ip_network("203.0.113.0/24"),), is_node=lambda ip, port: port == 5_080)
    assert all(inflow.judge(STRANGER, 5_060, Mono(1.0)) is PASS for _ in range(1_000))
    assert all(inflow.judge(OFFICE, 5_080, Mono(1.0)) is PASS for _ in range(1_000))
    assert inflow.judge(OFFICE, 5_060, Mono(1.0)) is not PASS


def test_loopback_is_not_exempt() -> None:
    assert Door().knocks(100, "127.0.0.1") == 60


def test_nodes_tell_each_other_what_a_source_sends() -> None:
    one, other = Door(), Door()
    assert one.knocks(50, STRANGER) == 50
    other.inflow.heard(one.inflow.spent(), Mono(other.now))
    assert other.knocks(50, STRANGER) == 10
    assert one.inflow.spent() == {}


def test_a_banned_network_is_proven_nowhere() -> None:
    door = Door()
    door.prove(OFFICE, 5_060)
    door.prove(STRANGER, 5_060)
    door.inflow.forget(ip_network("198.51.100.0/24"))
    door.now += 0.001
    assert door.knocks(1_000, STRANGER, 5_060) == 600
    assert door.knocks(1_000, OFFICE, 5_060) == 60


def test_the_table_of_sources_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SOURCES", 100)
    door = Door()
    door.knocks(100, STRANGER)
    for i in range(500):
        door.now += 0.001
        door.knock(f"10.0.{i >> 8}.{i & 255}")
        assert len(door.inflow) <= 100
    assert door.knocks(10, STRANGER) <= 10


def test_a_proven_place_whose_source_was_displaced_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SOURCES", 100)
    door = Door(office=1_000)
    door.prove(OFFICE, 5_060)
    door.now += 10.0
    for i in range(200):
        door.knock(f"10.0.{i >> 8}.{i & 255}")
    reads = door.reads
    assert door.knocks(2_000, OFFICE, 5_060) == 600, "the bucket of its first message"
    assert door.reads == reads + 1
    door.now += 60.0
    assert door.knocks(5_000, OFFICE, 5_060) == 4_000
