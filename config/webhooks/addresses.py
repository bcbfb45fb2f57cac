"""The addresses that webhooks may be sent to: none that is loopback, link-local, private or reserved."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from registrar.model import IpNetwork

RESOLVE_SECONDS: Final = 5.0
TRANSLATED: Final = tuple(
    map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
)
"""Networks of IPv6 whose addresses have one of IPv4 inside, which a gateway may unpack: RFC 6052, RFC 8215,
RFC 3056, RFC 4380, RFC 4291 section 2.5.5.1."""


class Forbidden(Exception):
    """A web server may not be asked; the text says why."""


class Unresolved(Exception):
    """The name of a web server has no address now."""


def is_private(address: str) -> bool:
    """Return whether an address is not one of the public internet."""
    ip = _unpacked(address)
    if isinstance(ip, IPv6Address) and any(ip in network for network in TRANSLATED):
        return True
    is_site_local = isinstance(ip, IPv6Address) and ip.is_site_local
    return not ip.is_global or ip.is_multicast or ip.is_reserved or is_site_local


def is_allowed(address: str, private: Sequence[IpNetwork]) -> bool:
    """Return whether an address may be asked; `private` are networks that may be asked although private."""
    ip = _unpacked(address)
    return not is_private(address) or any(ip in one for one in private if one.version == ip.version)


async def addresses_of(host: str, port: int, private: Sequence[IpNetwork]) -> list[str]:
    """Return the addresses of a host. Raise Forbidden if one of them may not be asked, and Unresolved."""
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise Unresolved(f"the name {host} has no address") from None
    addresses = list(dict.fromkeys(str(place[0]).partition("%")[0] for *_, place in found))
    for address in addresses:
        if not is_allowed(address, private):
            raise Forbidden(f"{host} has an address that is not public")
    return addresses


def _unpacked(address: str) -> IPv4Address | IPv6Address:
    """Return the address; one of IPv4 that is written as IPv6 counts as what it is."""
    ip = ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip
