"""Whether a registration can be a flow of its phone, kept for requests to it (RFC 5626 section 6)."""

from typing import Final

from registrar.sip import Request, split

OUTBOUND: Final = "outbound"


def supports_outbound(request: Request) -> bool:
    """Whether the phone knows RFC 5626; a `reg-id` of one that does not says nothing."""
    return any(OUTBOUND in map(str.strip, row.lower().split(",")) for row in request.headers.all("supported"))


def came_by_proxy(request: Request) -> bool:
    """Whether somebody stands between the phone and us: then the connection is not the phone's."""
    rows = request.headers.all("via")
    return len(rows) > 1 or len(split(rows[0], ",")) > 1
