"""Banned addresses for nftables and fail2ban, compared with texts."""

from dataclasses import replace

from registrar.model import Epoch
from registrar.rules.ban_export import export
from registrar.rules.bans import ENDLESS, Ban, Kind

NOW = Epoch(1_790_000_000.0)
BAN = Ban("ab" * 12, Kind.BAN, "203.0.113.9", "", "", "", "ADMIN", int(NOW), int(NOW) + 60)
BANS = (
    BAN,
    replace(BAN, address="198.51.100.0/24", until=ENDLESS),
    replace(BAN, address="198.51.100.7"),  # a part of the one before it
    replace(BAN, address="2001:db8::/64", until=int(NOW) + 900),
    replace(BAN, address="192.0.2.1", until=int(NOW)),  # over
    replace(BAN, address="192.0.2.2", kind=Kind.HOLD),
    replace(BAN, address="192.0.2.3", phone="p1"),
    replace(BAN, address="", phone="p1"),
)
NFTABLES = """\
add table inet registrar
delete table inet registrar
table inet registrar {
  set banned4 {
    type ipv4_addr; flags interval, timeout;
    elements = { 203.0.113.9 timeout 60s, 198.51.100.0/24 }
  }
  set banned6 {
    type ipv6_addr; flags interval, timeout;
    elements = { 2001:db8::/64 timeout 900s }
  }
  chain input {
    type filter hook input priority -10; policy accept;
    ip saddr @banned4 drop
    ip6 saddr @banned6 drop
  }
}
"""


def test_nftables_gets_two_sets_and_a_chain() -> None:
    assert export("nftables", BANS, NOW) == NFTABLES


def test_without_bans_the_sets_are_empty() -> None:
    assert "elements" not in export("nftables", (), NOW)


def test_fail2ban_gets_one_command_for_each() -> None:
    assert export("fail2ban", BANS, NOW).splitlines() == [
        "fail2ban-client set registrar banip 203.0.113.9",
        "fail2ban-client set registrar banip 198.51.100.0/24",
        "fail2ban-client set registrar banip 2001:db8::/64",
    ]
