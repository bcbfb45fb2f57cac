"""The response to a request, with the headers that RFC 3261 section 8.2.6 copies from it."""

from collections.abc import Iterable
from typing import Final

from registrar.errors import MalformedMessage

from .grammar import quote
from .headers import Headers, Row, canonical
from .message import Request, Response

REASONS: Final = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    422: "Session Interval Too Small",
    430: "Flow Failed",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    603: "Decline",
}

MAX_WARNING: Final = 200
"""Characters in the text of a warning, which may repeat text that a peer sent."""

_COPIED: Final = (("from", "From"), ("to", "To"), ("call-id", "Call-ID"), ("cseq", "CSeq"))


def answer(
    request: Request,
    status: int,
    reason: str = "",
    headers: Iterable[tuple[str, str]] = (),
    *,
    to_tag: str = "",
    body: bytes = b"",
) -> Response:
    """Return the response to `request`: its Via, From, To (with `to_tag`), Call-ID and CSeq, then `headers`.

    Copy only the headers that exist, so that a request without some of them gets its 400. If From, To,
    Call-ID or CSeq is repeated, copy only the first.
    """
    source = request.headers
    rows: list[Row] = [("via", "Via", value) for value in source.all("via")]
    for key, name in _COPIED:
        value = source.get(key)
        if value is not None:
            if key == "to" and to_tag and _takes_tag(request):
                value = f"{value};tag={to_tag}"
            rows.append((key, name, value))
    rows += [(canonical(name), name, value) for name, value in headers]
    rows.append(("content-length", "Content-Length", str(len(body))))
    return Response(status, reason or REASONS.get(status, ""), Headers(rows), body)


def warning(host: str, text: str) -> tuple[str, str]:
    """Return the Warning header with code 399 and `text` for people (RFC 3261 section 20.43).

    `host` is the name or address of the server that warns. Characters that are not printable become spaces.
    """
    agent = f"[{host}]" if ":" in host else host
    shown = "".join([each if each.isprintable() else " " for each in text[:MAX_WARNING]])
    return "Warning", f"399 {agent} {quote(shown)}"


def _takes_tag(request: Request) -> bool:
    try:
        return request.to.tag is None
    except MalformedMessage:  # the 400 carries the To as it was received
        return False
