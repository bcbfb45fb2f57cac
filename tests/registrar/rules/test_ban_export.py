"""Banned addresses for nftables and fail2ban, compared with texts (nft itself: tests/wire/test_bans)."""

import re
import time
from dataclasses import replace
from ipaddress import ip_network
from itertools import combinations
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

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


def test_ten_thousand_bans_are_exported_within_seconds_of_cpu() -> None:
    bans = [replace(BAN, address=f"10.0.{number >> 8}.{number & 255}") for number in range(9_999)]
    before = time.process_time()
    assert export("fail2ban", [*bans, replace(BAN, address="192.0.2.0/24")], NOW).count("\n") == 10_000
    assert time.process_time() - before < 10.0, "each with each other takes minutes"


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


ELEMENT: Final = re.compile(r"(\S+?)(?: timeout ([1-9]\d*)s)?")
SCRIPT: Final = re.compile(
    r"add table inet registrar\ndelete table inet registrar\ntable inet registrar \{\n"
    r"  set banned4 \{\n    type ipv4_addr; flags interval, timeout;\n(?:    elements = \{ (.+) \}\n)?  \}\n"
    r"  set banned6 \{\n    type ipv6_addr; flags interval, timeout;\n(?:    elements = \{ (.+) \}\n)?  \}\n"
    r"  chain input \{\n(?:    [a-z0-9@ -]+(?:; policy accept;)?\n){3}  \}\n\}\n"
)
NETWORKS: Final = st.builds(
    lambda address, bits: ip_network((address, min(bits, address.max_prefixlen)), strict=False),
    st.ip_addresses(),
    st.integers(0, 128),
)


def some_bans() -> st.SearchStrategy[list[Ban]]:
    """Bans of all kinds of networks, some of which lie in others."""
    until = st.sampled_from([ENDLESS, int(NOW) + 1, int(NOW) + 86_400])
    return st.lists(
        st.builds(lambda one, end: replace(BAN, address=str(one), until=end), NETWORKS, until), max_size=12
    )


@given(some_bans())
def test_each_element_is_a_network_of_its_set_and_none_overlap(bans: list[Ban]) -> None:
    """What nft would refuse as a whole: one wrong element, and no address is banned."""
    found = SCRIPT.fullmatch(export("nftables", bans, NOW))
    assert found is not None
    for version, text in zip((4, 6), found.groups(), strict=True):
        matches = [ELEMENT.fullmatch(part) for part in text.split(", ")] if text else []
        networks = [ip_network(match[1]) for match in matches if match is not None]
        assert len(networks) == len(matches)
        assert {network.version for network in networks} <= {version}
        for one, other in combinations(networks, 2):
            assert not one.overlaps(other)
        for ban in bans:
            wanted = ip_network(ban.address)
            inside = [there for there in networks if wanted.network_address in there]
            assert wanted.version != version or inside[0].prefixlen <= wanted.prefixlen
