"""Addresses of this machine, as the kernel knows them; they are never guessed from a message."""

import socket
from functools import lru_cache
from ipaddress import ip_address

KEPT = 4_096


@lru_cache(KEPT)
def is_local(host: str) -> bool:
    """Return whether `host` (without brackets) is an address of this machine: a socket can be bound to it."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


@lru_cache(KEPT)
def towards(remote_ip: str) -> str:
    """Return our address from which the kernel would send to `remote_ip`; empty if there is no route."""
    family = socket.AF_INET6 if ":" in remote_ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((remote_ip, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def is_free(host: str, port: int) -> bool:
    """Return whether a socket could listen on an IPv4 address and a TCP port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def forget() -> None:
    """Ask the kernel again at the next call, because addresses change."""
    is_local.cache_clear()
    towards.cache_clear()
