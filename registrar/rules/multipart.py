"""Search for the session description in a multipart body (RFC 5621, RFC 2046 section 5.1)."""

from typing import Final

from registrar.errors import MalformedMessage
from registrar.sip import param, parse_params, unquote

from .sdp import is_sdp

PREFIX: Final = "multipart/"
MAX_PARTS: Final = 16
MAX_BOUNDARY: Final = 70
"""The limit of RFC 2046 section 5.1.1."""
_PLAIN_ENCODINGS: Final = frozenset({b"", b"7bit", b"8bit", b"binary"})

Span = tuple[int, int]
"""Start and end of a part's content in the body."""


def is_multipart(content_type: str | None) -> bool:
    """Return whether a Content-Type names a multipart body."""
    return content_type is not None and content_type[: len(PREFIX)].lower() == PREFIX


def sdp_span(content_type: str, body: bytes) -> Span | None:
    """Return the span of the first session description in a multipart body, or None if there is none."""
    boundary = _boundary(content_type)
    if not boundary:
        return None
    for begin, end in _parts(boundary, body):
        head, gap, _ = body[begin:end].partition(b"\r\n\r\n")
        if gap and _is_description(head):
            return begin + len(head) + len(gap), end
    return None


def _boundary(content_type: str) -> bytes:
    _, semicolon, params = content_type.partition(";")
    try:
        text = unquote(param(parse_params(semicolon + params), "boundary") or "")
    except MalformedMessage:
        return b""
    return text.encode(errors="replace") if 0 < len(text) <= MAX_BOUNDARY else b""


def _parts(boundary: bytes, body: bytes) -> list[Span]:
    """Return the parts, each from its first header to the line break before the next delimiter."""
    delimiter = b"\r\n--" + boundary
    text = b"\r\n" + body  # the first delimiter may be the first line
    found: list[Span] = []
    at = text.find(delimiter)
    while at >= 0 and len(found) < MAX_PARTS:
        line_end = text.find(b"\r\n", at + len(delimiter))
        following = text.find(delimiter, at + len(delimiter))
        if line_end < 0 or following < 0 or text[at + len(delimiter) :].startswith(b"--"):
            break
        found.append((line_end, following - 2))  # in `body`, which begins two octets later
        at = following
    return found


def _is_description(head: bytes) -> bool:
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
    }
    encoding = fields.get(b"content-transfer-encoding", b"").lower()
    content_type = fields.get(b"content-type", b"").decode(errors="replace")
    return encoding in _PLAIN_ENCODINGS and is_sdp(content_type)
