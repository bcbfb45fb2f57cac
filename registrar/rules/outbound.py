"""Checks whether a registration can be a flow, kept for requests to its phone (RFC 5626 section 6)."""

from typing import Final

from registrar.sip import Request, split

OUTBOUND: Final = "outbound"
PATH: Final = "path"


def supports(request: Request, tag: str) -> bool:
    """Return whether a request names an option tag in Supported.

    Without `outbound` there, a `reg-id` has no meaning.
    """
    return any(tag in map(str.strip, row.lower().split(",")) for row in request.headers.all("supported"))


def came_by_proxy(request: Request) -> bool:
    """Return whether a proxy is between the phone and us; the connection is then not the phone's."""
    rows = request.headers.all("via")
    return len(rows) > 1 or len(split(rows[0], ",")) > 1
