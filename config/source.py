"""The source address of a request, and the host name that it used."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from starlette.requests import HTTPConnection

from registrar.model import IpNetwork
from registrar.rules.proxies import MAX_HOPS, forwarded

from .errors import bad_request
from .places import PLACE, Place

HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")


def source_address(connection: HTTPConnection, trusted: Sequence[IpNetwork]) -> str:
    """Return the peer's address, or the rightmost X-Forwarded-For entry that is not a trusted proxy.

    X-Forwarded-For is read only if the peer is a trusted proxy. Raise Refused (400) if it then names too many
    addresses, or text that is not an address: the request must not count, nor be logged, as one of the proxy
    itself.
    """
    peer = connection.client.host if connection.client else ""
    if not _is_address(peer):  # a unix socket, or a test without a network
        return peer
    try:
        return forwarded(peer, ",".join(connection.headers.getlist("x-forwarded-for")), trusted)
    except ValueError:
        raise bad_request(
            f"X-Forwarded-For names more than {MAX_HOPS} addresses, or something that is not an address"
        ) from None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def place_of(connection: HTTPConnection) -> Place | None:
    """Return the place of a request's connection, or None if connections are not counted."""
    place = connection.scope.get("state", {}).get(PLACE)
    return place if isinstance(place, Place) else None


def request_host(connection: HTTPConnection) -> str:
    """Return the host of the request without its port, or empty if it has none."""
    match = HOST.fullmatch(connection.headers.get("host", ""))
    return match[1] if match else ""
