"""Where a connection really comes from when a proxy of ours stands before it (REGISTRAR_TRUSTED_PROXIES)."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from registrar.model import Network

MAX_HOPS: Final = 16
SOURCE_IPV6_PREFIX: Final = 64
"""What one customer of a provider has of IPv6: all of it is one source."""


def forwarded(peer: str, hops: str, trusted: Sequence[Network]) -> str:
    """The address behind our proxies: the rightmost entry of `hops` that is no proxy of ours, else `peer`.

    `hops` are the values of X-Forwarded-For, joined by commas. Nothing of it is looked at unless `peer` is
    trusted. IPv4-mapped IPv6 is folded. Raises ValueError when a trusted proxy says what is no address, or
    names too many.
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


def one_source(ip: str) -> str:
    """Return what counts as one source: an IPv4 address, or a network of IPv6."""
    return ip if ":" not in ip else str(IPv6Network((ip, SOURCE_IPV6_PREFIX), strict=False))


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted if network.version == address.version)


def _address(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
