"""Where a request came from, by the rules for proxies."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from config.errors import Refused
from config.request import request_host, source_address
from registrar.rules.proxies import MAX_HOPS
from tests.every import every

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def request(peer: str | None, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "client": (peer, 1) if peer else None})


@every(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        (None, "198.51.100.1", ""),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str | None, forwarded: str, expected: str) -> None:
    assert source_address(request(peer, x_forwarded_for=forwarded), PROXIES) == expected


@pytest.mark.parametrize(
    "forwarded",
    [
        "rubbish",
        "198.51.100.1:443",
        "198.51.100.1,",
        "rubbish, 10.0.0.2",
        "10.0.0.2," * MAX_HOPS + "10.0.0.2",
    ],
    ids=["a word", "a port", "an empty place", "behind another proxy", "too many"],
)
def test_what_a_proxy_says_is_an_address_or_a_fault(forwarded: str) -> None:
    with pytest.raises(Refused) as refused:
        source_address(request("10.0.0.1", x_forwarded_for=forwarded), PROXIES)
    assert refused.value.problems[0].status == 400
    assert source_address(request("192.0.2.1", x_forwarded_for=forwarded), PROXIES) == "192.0.2.1"


@pytest.mark.parametrize(
    ("header", "host"),
    [("api.test:8080", "api.test"), ("[::1]:8080", "[::1]"), ("api.test", "api.test"), ("a b", ""), ("", "")],
)
def test_the_host_of_a_request_has_no_port(header: str, host: str) -> None:
    assert request_host(request("192.0.2.1", host=header)) == host
