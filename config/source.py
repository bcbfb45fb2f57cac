"""Where a request came from, and under which name it reached us."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from starlette.requests import HTTPConnection

from registrar.model import Network
from registrar.rules.proxies import MAX_HOPS, forwarded

from .errors import bad_request
from .places import PLACE, Place

HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")


def source_address(connection: HTTPConnection, trusted: Sequence[Network]) -> str:
    """Return the peer, or what a trusted proxy says: the rightmost X-Forwarded-For that is no proxy of ours.

    Raises Refused (400) when a trusted proxy names too many addresses, or what is no address: the request
    must not count, nor be written down, as one of the proxy itself.
    """
    peer = connection.client.host if connection.client else ""
    if not _is_address(peer):  # a unix socket, or a test without a network
        return peer
    try:
        return forwarded(peer, ",".join(connection.headers.getlist("x-forwarded-for")), trusted)
    except ValueError:
        raise bad_request(
            f"X-Forwarded-For names more than {MAX_HOPS} addresses, or something that is no address"
        ) from None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def place_of(connection: HTTPConnection) -> Place | None:
    """Return the place of the connection that a request came over, or None where nobody counts them."""
    place = connection.scope.get("state", {}).get(PLACE)
    return place if isinstance(place, Place) else None


def request_host(connection: HTTPConnection) -> str:
    """The host of the request without its port; empty when it names none."""
    match = HOST.fullmatch(connection.headers.get("host", ""))
    return match[1] if match else ""
