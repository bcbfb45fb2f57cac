"""The original address of a connection through our own proxies (REGISTRAR_TRUSTED_PROXIES)."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from registrar.model import IpNetwork

MAX_HOPS: Final = 16
SOURCE_IPV6_PREFIX: Final = 64
"""The IPv6 prefix that a provider gives one customer: its addresses count as one source."""


def forwarded(peer: str, hops: str, trusted: Sequence[IpNetwork]) -> str:
    """Return the address behind our proxies: the rightmost untrusted entry of `hops`, or else `peer`.

    `hops` holds the values of X-Forwarded-For, joined by commas. It is ignored unless `peer` is trusted. If
    every entry is trusted, the leftmost one is returned. IPv4-mapped IPv6 becomes IPv4. Raise ValueError if a
    trusted proxy sent an entry that is not an address, or too many entries.
    """
    address = _address(peer)
    if not hops.strip() or not _is_trusted(address, trusted):
        return str(address)
    entries = hops.split(",", MAX_HOPS)
    if len(entries) > MAX_HOPS:
        raise ValueError(f"more than {MAX_HOPS} addresses")
    while entries and _is_trusted(address, trusted):
        entry = entries.pop().strip()
        if "%" in entry:
            raise ValueError("a zone means something on one machine only")
        address = _address(entry)
    return str(address)


def one_source(ip: str, ipv6_prefix: int = SOURCE_IPV6_PREFIX) -> str:
    """Return the source that an address belongs to: an IPv4 address, or the network of an IPv6 address.

    A zone is left out. Text that is not an address is returned unchanged.
    """
    if ":" not in ip:
        return ip
    try:
        return str(IPv6Network((ip.partition("%")[0], ipv6_prefix), strict=False))
    except ValueError:
        return ip


def is_trusted(peer: str, trusted: Sequence[IpNetwork]) -> bool:
    """Return whether an address is that of a trusted proxy. Raise ValueError if it is not an address."""
    return _is_trusted(_address(peer), trusted)


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[IpNetwork]) -> bool:
    return any(address in network for network in trusted if network.version == address.version)


def _address(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
