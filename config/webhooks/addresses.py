"""The addresses that webhooks may be sent to: none that is loopback, link-local, private or reserved."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, TypeVar

from registrar.model import IpNetwork

from .shares import Shares

RESOLVE_SECONDS: Final = 5.0
TRANSLATED: Final = tuple(
    map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
)
"""Networks of IPv6 whose addresses have one of IPv4 inside, which a gateway may unpack: RFC 6052, RFC 8215,
RFC 3056, RFC 4380, RFC 4291 section 2.5.5.1."""


Found = TypeVar("Found")


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


class Names:
    """Finds the addresses of hosts.

    The C library waits up to half a minute for a name server, and cannot be interrupted. So look-ups have
    threads of their own: those of the process also check passwords.
    """

    def __init__(self, private: Sequence[IpNetwork], shares: Shares) -> None:
        """`private` are networks that may be asked although private. A look-up may outlive its permit."""
        self._private = private
        self._shares = shares
        self._threads = ThreadPoolExecutor(shares.total, "webhook-names")

    async def addresses_of(self, host: str, port: int, customer: str) -> list[str]:
        """Return the addresses of a host. Raise Forbidden if one of them may not be asked, and Unresolved.

        The caller must have a permit of the customer.
        """
        resolve = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        looking = asyncio.get_running_loop().run_in_executor(self._threads, resolve)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await asyncio.shield(looking)
        except (OSError, UnicodeError, TimeoutError):
            raise Unresolved(f"the name {host} has no address") from None
        finally:
            if not looking.done():
                self._keep(looking, customer)
        return self._allowed(host, [str(place[0]) for *_, place in found])

    def close(self) -> None:
        """Begin no look-up any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _allowed(self, host: str, found: Sequence[str]) -> list[str]:
        addresses = list(dict.fromkeys(address.partition("%")[0] for address in found))
        for address in addresses:
            if not is_allowed(address, self._private):
                raise Forbidden(f"{host} has an address that is not public")
        return addresses

    def _keep(self, looking: "asyncio.Future[Found]", customer: str) -> None:
        """Count a look-up as a request of the customer until its thread is free again."""

        def ended(looking: "asyncio.Future[Found]") -> None:
            self._shares.give(customer)
            if not looking.cancelled():
                looking.exception()  # it was told already; asyncio would log that it was not read

        self._shares.hold(customer)
        looking.add_done_callback(ended)


def _unpacked(address: str) -> IPv4Address | IPv6Address:
    """Return the address; one of IPv4 that is written as IPv6 counts as what it is."""
    ip = ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip
