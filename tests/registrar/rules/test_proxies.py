"""registrar/rules/proxies.py: whom to believe about where a connection comes from."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.rules.proxies import MAX_HOPS, forwarded
from tests.every import every

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]
PEER = "198.51.100.7"


@every(
    ("peer", "hops", "source"),
    [
        pytest.param(PEER, "", PEER, id="nobody between"),
        pytest.param(PEER, "192.0.2.1", PEER, id="a stranger is not believed"),
        pytest.param(PEER, "no address, at all", PEER, id="nor listened to"),
        pytest.param(PEER, "," * 100_000, PEER, id="however much it says"),
        pytest.param("11.0.0.1", "192.0.2.1", "11.0.0.1", id="right beside the network"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", "  ", "10.0.0.1", id="a proxy that says blanks"),
        pytest.param("10.0.0.1", "192.0.2.1", "192.0.2.1", id="a proxy"),
        pytest.param("10.0.0.1", " 192.0.2.1\t", "192.0.2.1", id="blanks around it"),
        pytest.param("10.0.0.1", "1.1.1.1, 192.0.2.1", "192.0.2.1", id="what a client claims is left of it"),
        pytest.param("10.0.0.1", "junk, 192.0.2.1", "192.0.2.1", id="and may be anything"),
        pytest.param("10.0.0.1", "192.0.2.1,10.9.9.9", "192.0.2.1", id="two proxies"),
        pytest.param("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1", id="proxies all the way"),
        pytest.param("10.0.0.1", "1.1.1.1, 192.0.2.1, 10.9.9.9", "192.0.2.1", id="the rightmost stranger"),
        pytest.param("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1", id="a mapped proxy"),
        pytest.param("10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1", id="a mapped client"),
        pytest.param("10.0.0.1", "192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1", id="a mapped proxy between"),
        pytest.param("2001:db8::1", "2001:DB9:0::1", "2001:db9::1", id="IPv6, in its one spelling"),
        pytest.param("2001:db9::1", "192.0.2.1", "2001:db9::1", id="a stranger of IPv6"),
    ],
)
def test_the_source_is(peer: str, hops: str, source: str) -> None:
    assert forwarded(peer, hops, TRUSTED) == source


@every(
    "hops",
    [
        pytest.param("unknown", id="a word of RFC 7239"),
        pytest.param("192.0.2.1:5060", id="a port"),
        pytest.param("[2001:db9::1]", id="brackets"),
        pytest.param("192.0.2.1,", id="an empty place"),
        pytest.param("192.0.2.1 10.0.0.2", id="no comma"),
        pytest.param("192.0.2.256", id="a number too large"),
        pytest.param("192.0.2", id="a number missing"),
        pytest.param("fe80::1%eth0", id="a zone"),
        pytest.param("junk, 10.0.0.2", id="behind another proxy"),
        pytest.param(",".join(["10.0.0.2"] * (MAX_HOPS + 1)), id="too many"),
        pytest.param("," * 100_000, id="very many"),
    ],
)
def test_a_proxy_that_cannot_be_understood_is_a_fault(hops: str) -> None:
    with pytest.raises(ValueError):
        forwarded("10.0.0.1", hops, TRUSTED)


def test_so_many_are_read() -> None:
    hops = ",".join(["192.0.2.1", *["10.0.0.2"] * (MAX_HOPS - 1)])
    assert forwarded("10.0.0.1", hops, TRUSTED) == "192.0.2.1"


def test_nobody_is_trusted_by_default() -> None:
    assert forwarded("10.0.0.1", "192.0.2.1", []) == "10.0.0.1"


ADDRESSES = st.one_of(st.ip_addresses().map(str), st.sampled_from(["10.0.0.2", "2001:db8::2", "junk"]))


@given(peer=st.ip_addresses(), claimed=st.lists(ADDRESSES, max_size=8))
def test_what_a_client_claims_never_counts(peer: object, claimed: list[str]) -> None:
    """The proxy appends the address that it saw: whatever stood there before, that is the source."""
    seen = ip_address(str(peer))
    hops = ",".join([*claimed, str(seen)])
    mapped = getattr(seen, "ipv4_mapped", None) or seen
    if not any(mapped in network for network in TRUSTED if network.version == mapped.version):
        assert forwarded("10.0.0.1", hops, TRUSTED) == str(mapped)
