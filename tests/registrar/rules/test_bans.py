"""Which addresses and phones are shut out, and what becomes of what the store holds."""

import json
from dataclasses import replace

import pytest

from registrar.model import Epoch
from registrar.rules.bans import ENDLESS, Ban, Barred, Kind, Why, automatic, dump, load

NOW = Epoch(1_790_000_000.0)
LATER = int(NOW) + 60
BAN = Ban("ab" * 12, Kind.BAN, "203.0.113.9", "", "", "scans us", "ADMIN", int(NOW), LATER)
PHONE = replace(BAN, address="", phone="p1", customer="c1")


def barred(*bans: Ban) -> Barred:
    made = Barred()
    made.set(bans)
    return made


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("203.0.113.9", "203.0.113.9", "203.0.113.8"),
        ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
        ("203.0.0.0/9", "203.127.255.255", "203.128.0.0"),
        ("2001:db8::/64", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ("2001:db8::7", "2001:db8::7", "2001:db8::8"),
        ("203.0.113.0/24", "203.0.113.1", "::203.0.113.1"),
    ],
)
def test_a_network_is_shut_out_and_its_neighbours_are_not(network: str, inside: str, outside: str) -> None:
    made = barred(replace(BAN, address=network), replace(BAN, address="198.51.100.0/30"))
    assert made.any_address and not made.any_phone
    assert made.has_address(inside, NOW)
    assert not made.has_address(outside, NOW)
    assert not made.has_address("fe80::1%eth0", NOW)
    assert not made.has_address("no address", NOW)


def test_a_ban_ends_by_itself_unless_it_has_no_end() -> None:
    made = barred(BAN, replace(BAN, address="203.0.113.10", until=ENDLESS))
    assert not made.has_address("203.0.113.9", Epoch(float(LATER)))
    assert made.has_address("203.0.113.10", Epoch(NOW + 1e9))


def test_of_two_bans_of_one_network_the_longer_one_counts() -> None:
    for both in ((BAN, replace(BAN, until=ENDLESS)), (replace(BAN, until=ENDLESS), BAN)):
        assert barred(*both).has_address("203.0.113.9", Epoch(NOW + 1e6))


def test_a_phone_is_shut_out_everywhere_or_at_one_address() -> None:
    assert barred(PHONE).has_phone("p1", "192.0.2.1", NOW)
    assert not barred(PHONE).has_phone("p2", "192.0.2.1", NOW)
    assert not barred(PHONE).has_phone("p1", "192.0.2.1", Epoch(float(LATER)))
    there = barred(replace(PHONE, address="203.0.113.0/24"))
    assert there.has_phone("p1", "203.0.113.1", NOW)
    assert not there.has_phone("p1", "192.0.2.1", NOW)
    assert not there.has_address("203.0.113.1", NOW), "other phones may come from there"


def test_a_hold_is_enforced_elsewhere() -> None:
    made = barred(replace(BAN, kind=Kind.HOLD))
    assert not made.any_address and not made.has_address("203.0.113.9", NOW)


def test_a_ban_is_read_as_it_was_written_and_nothing_else_is() -> None:
    for ban in (BAN, PHONE, automatic(Kind.HOLD, "2001:db8::/64", Why.GUESSING, NOW, NOW, mark="m")):
        assert load(dump(ban)) == ban
    fields = json.loads(dump(BAN))
    assert load(json.dumps(fields | {"added": "by a newer version"})) == BAN
    for wrong in ({"kind": "x"}, {"address": "here"}, {"until": None}, {"since": "now"}):
        assert load(json.dumps(fields | wrong)) is None
    assert load(dump(BAN)) is load(dump(BAN)), "ten thousand are read again after each change"
    for text in ("", "[]", "7", '{"id": "1"}', "nonsense"):
        assert load(text) is None


def test_an_automatic_ban_is_one_whoever_makes_it() -> None:
    one = automatic(Kind.BAN, "203.0.113.9", Why.MANY_NAMES, NOW, Epoch(NOW + 1))
    same = automatic(Kind.BAN, "203.0.113.9", Why.GUESSING, Epoch(NOW + 9), Epoch(NOW + 10))
    other = automatic(Kind.HOLD, "203.0.113.9", Why.GUESSING, NOW, NOW)
    assert one.id == same.id != other.id
    assert len(one.id) == 24 and one.is_automatic and not BAN.is_automatic
