"""What kind of body a request has: its media type, charset and coding (RFC 9110 8.3 and 8.4)."""

from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from .errors import unsupported

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
JSON: Final = "application/json"
CHARSETS: Final = ("", "utf-8", "utf8", "us-ascii")
"""Names of encodings that are UTF-8, or a part of it."""


def media_type(request: Request) -> str:
    """The media type of the body in lower case; empty when none is named.

    Raises Refused (415) for a body that is compressed, or in another encoding than UTF-8.
    """
    codings = request.headers.get("content-encoding", "").strip().lower()
    if codings not in ("", "identity"):
        raise unsupported("The body must not be compressed", {"Accept-Encoding": "identity"})
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if options.get(b"charset", b"").decode("latin-1").strip().lower() not in CHARSETS:
        raise unsupported("The body must be in UTF-8")
    return kind.decode("latin-1").strip().lower()


def is_json(kind: str, body: bytes) -> bool:
    """Whether a body is to be read as JSON: it is called so, or is an object that nobody has called anything.

    curl -d calls everything a form: an object under that name is taken for what it is.
    """
    if kind == JSON or (kind.startswith("application/") and kind.endswith("+json")):
        return True
    return kind in ("", URLENCODED) and body.lstrip()[:1] == b"{"


def require_json(request: Request, body: bytes) -> None:
    """Raise Refused (415) when the body is called something else than JSON."""
    kind = media_type(request)
    if body and kind and not is_json(kind, body):
        raise unsupported(f"The body must be {JSON}")
