"""An answer to a request, with what section 8.2.6 says must be copied from it."""

from collections.abc import Iterable
from typing import Final

from .headers import Headers
from .message import Request, Response

REASONS: Final = {
    100: "Trying",
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    423: "Interval Too Brief",
    481: "Call/Transaction Does Not Exist",
    483: "Too Many Hops",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
    513: "Message Too Large",
}

_COPIED: Final = frozenset({"via", "from", "to", "call-id", "cseq"})


def answer(
    request: Request,
    status: int,
    reason: str = "",
    headers: Iterable[tuple[str, str]] = (),
    *,
    to_tag: str = "",
    body: bytes = b"",
) -> Response:
    """The response with `status` to `request`: its Via, From, To (with our tag), Call-ID and CSeq, then `headers`.

    Copies what is there, so that even a request without some of these gets its 400.
    """
    copied = Headers()
    for key, name, value in request.headers.rows:
        if key in _COPIED:
            if key == "to" and to_tag and ";tag=" not in value.lower():
                value = f"{value};tag={to_tag}"
            copied.add(name, value)
    for name, value in headers:
        copied.add(name, value)
    copied.add("Content-Length", str(len(body)))
    return Response(status, reason or REASONS[status], copied, body)
