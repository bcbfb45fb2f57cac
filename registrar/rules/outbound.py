"""Whether a registration can be a flow of its phone, kept for requests to it (RFC 5626 section 6)."""

from typing import Final

from registrar.errors import MalformedMessage
from registrar.sip import Request, parse_name_addrs, split

OUTBOUND: Final = "outbound"


def supports_outbound(request: Request) -> bool:
    """Whether the phone knows RFC 5626; a `reg-id` of one that does not says nothing."""
    return any(OUTBOUND in map(str.strip, row.lower().split(",")) for row in request.headers.all("supported"))


def came_by_proxy(request: Request) -> bool:
    """Whether somebody stands between the phone and us: then the connection is not the phone's."""
    rows = request.headers.all("via")
    return len(rows) > 1 or len(split(rows[0], ",")) > 1


def edge_knows_outbound(request: Request) -> bool:
    """Whether the proxy next to the phone has said `ob`; it is the last in Path: each adds itself on top."""
    rows = request.headers.all("path")
    try:
        return bool(rows) and any(name == "ob" for name, _ in parse_name_addrs(rows[-1])[-1].uri.params)
    except MalformedMessage:
        return False
