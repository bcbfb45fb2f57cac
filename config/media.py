"""The kind of a request body: its media type, charset and coding (RFC 9110 8.3 and 8.4)."""

from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from .errors import unsupported

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
JSON: Final = "application/json"
CHARSETS: Final = ("", "utf-8", "utf8", "us-ascii")
"""Names of UTF-8 and of a subset of it."""


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
