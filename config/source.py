"""Where a request came from, and under which name it reached us."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.requests import HTTPConnection

Network = IPv4Network | IPv6Network

HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")


def source_address(connection: HTTPConnection, trusted: Sequence[Network]) -> str:
    """The peer, or what a trusted proxy says: the rightmost X-Forwarded-For that is no proxy of ours."""
    peer = connection.client.host if connection.client else ""
    hops = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed([*hops, peer]):
        address = _address(hop.strip())
        if address is None:
            break
        peer = str(address)
        if not any(address in network for network in trusted):
            break
    return peer


def request_host(connection: HTTPConnection) -> str:
    """The host of the request without its port; empty when it names none."""
    match = HOST.fullmatch(connection.headers.get("host", ""))
    return match[1] if match else ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
