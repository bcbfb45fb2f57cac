"""The headers of a message: rows in wire order, found by their canonical (long, lower-case) name."""

from collections.abc import Iterator
from typing import Final

from registrar.errors import MalformedMessage

from .grammar import LWS, is_token

# RFC 3261 section 7.3.3 and the IANA registry of header fields.
COMPACT: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
_COMMON: Final = (
    "Via From To Call-ID CSeq Contact Expires Max-Forwards User-Agent Content-Length Content-Type Allow "
    "Supported Require Proxy-Require Authorization Proxy-Authorization Route Record-Route Path Date Accept "
    "Allow-Events Server Min-Expires WWW-Authenticate Subject Event"
).split()
_CANONICAL: Final = (
    {name: name.lower() for name in _COMMON}
    | {name.lower(): name.lower() for name in _COMMON}
    | COMPACT
    | {name.upper(): long for name, long in COMPACT.items()}
)


def canonical(name: str) -> str:
    """The name under which a header is found. Raises MalformedMessage for a name that is no token."""
    known = _CANONICAL.get(name)
    if known is not None:
        return known
    trimmed = name.rstrip(LWS)  # LWS before the colon is legal (section 7.3.1)
    if not is_token(trimmed):
        raise MalformedMessage(f"bad header name: {name[:40]!r}")
    lower = trimmed.lower()
    return COMPACT.get(lower, lower)


class Headers:
    """Rows of (canonical name, name as written, value), indexed by the first of each name."""

    __slots__ = ("_first", "_repeated", "rows")

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self._first: dict[str, str] = {}
        self._repeated: set[str] | None = None

    def add(self, name: str, value: str) -> None:
        """Append one header; `name` in any spelling."""
        key = canonical(name)
        self.rows.append((key, name, value))
        if key not in self._first:
            self._first[key] = value
        elif self._repeated is None:
            self._repeated = {key}
        else:
            self._repeated.add(key)

    def get(self, key: str) -> str | None:
        """The first value of the header with the canonical name `key`."""
        return self._first.get(key)

    def all(self, key: str) -> list[str]:
        """Every row's value of that header, in wire order."""
        if self._repeated is not None and key in self._repeated:
            return [value for name, _, value in self.rows if name == key]
        value = self._first.get(key)
        return [] if value is None else [value]

    def repeated(self, key: str) -> bool:
        """Whether that header stands in more than one row."""
        return self._repeated is not None and key in self._repeated

    def __contains__(self, key: str) -> bool:
        return key in self._first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self.rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self.rows] == [(key, value) for key, _, value in other.rows]

    __hash__ = None  # type: ignore[assignment]  # rows change: not for sets
