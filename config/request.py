"""A request: its source address, the host name that it used, and the kind of its body."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.requests import HTTPConnection, Request

from registrar.model import IpNetwork
from registrar.rules.proxies import MAX_HOPS, forwarded, is_trusted

from .errors import bad_request, unsupported
from .places import PLACE, Place

HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
JSON: Final = "application/json"
CHARSETS: Final = ("", "utf-8", "utf8", "us-ascii")
"""Names of UTF-8 and of a subset of it."""


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


def is_proxy(connection: HTTPConnection, trusted: Sequence[IpNetwork]) -> bool:
    """Return whether the peer is a trusted proxy."""
    peer = connection.client.host if connection.client else ""
    return _is_address(peer) and is_trusted(peer, trusted)


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


# Body (RFC 9110 8.3 and 8.4)


def media_type(request: Request) -> str:
    """Return the media type of the body in lower case, or an empty text if the request has no media type.

    Raise Refused (415) for a body that is compressed, or in another encoding than UTF-8.
    """
    codings = request.headers.get("content-encoding", "").strip().lower()
    if codings not in ("", "identity"):
        raise unsupported("The body must not be compressed", {"Accept-Encoding": "identity"})
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if options.get(b"charset", b"").decode("latin-1").strip().lower() not in CHARSETS:
        raise unsupported("The body must be in UTF-8")
    return kind.decode("latin-1").strip().lower()


def is_json(kind: str, body: bytes) -> bool:
    """Return whether a body is read as JSON: it has such a type, or it is an object without a type.

    curl -d sends everything as a form, so an object with that type is read as JSON, too.
    """
    if kind == JSON or (kind.startswith("application/") and kind.endswith("+json")):
        return True
    return kind in ("", URLENCODED) and body.lstrip()[:1] == b"{"


def require_json(request: Request, body: bytes) -> None:
    """Raise Refused (415) if the body has another media type than JSON."""
    kind = media_type(request)
    if body and kind and not is_json(kind, body):
        raise unsupported(f"The body must be {JSON}")
