"""Hosts, IPv6 references and ports."""

import pytest

from registrar.errors import MalformedMessage
from registrar.sip.host import check_host, host_key, parse_port


@pytest.mark.parametrize(
    ("host", "key"),
    [
        pytest.param("Home.EXAMPLE", "home.example", id="case"),
        pytest.param("home.example.", "home.example", id="final dot"),
        pytest.param("198.51.100.7", "198.51.100.7", id="IPv4"),
        pytest.param("[2001:DB8:0:0::7]", "2001:db8::7", id="IPv6"),
        pytest.param("[::ffff:198.51.100.7]", "198.51.100.7", id="IPv4-mapped"),
        pytest.param("[2001:db8:::198.51.100.7]", "2001:db8::c633:6407", id="three colons"),
    ],
)
def test_a_host_has_one_key(host: str, key: str) -> None:
    check_host(host)
    assert host_key(host) == key


@pytest.mark.parametrize("host", ["[1]", "[::1::2]", "[12345::]", "[::1.2.3]", "[.]", "[::::]"])
def test_brackets_hold_an_ipv6_address(host: str) -> None:
    with pytest.raises(MalformedMessage):
        check_host(host)
    with pytest.raises(MalformedMessage):
        host_key(host)


def test_a_port_has_sixteen_bits() -> None:
    assert parse_port(None) is None
    assert parse_port("0") == 0
    assert parse_port("05060") == 5060
    assert parse_port("65535") == 65535
    with pytest.raises(MalformedMessage):
        parse_port("65536")
