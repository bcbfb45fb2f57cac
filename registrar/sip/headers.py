"""The headers of a message: rows in wire order, found by their canonical (long, lower-case) name."""

from collections.abc import Iterable, Iterator
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

MAX_HEADER: Final = 2_048  # the longest header in RFC 4475 has 593 characters

Row = tuple[str, str, str]
"""Canonical name, name as written, value."""


def canonical(name: str) -> str:
    """Return the canonical name of a header. Raise MalformedMessage if the name is not a token."""
    known = _CANONICAL.get(name)
    if known is not None:
        return known
    if not is_token(name):
        raise MalformedMessage(f"bad header name: {name[:40]!r}")
    lower = name.lower()
    return COMPACT.get(lower, lower)


class Headers:
    """Rows in wire order, with an index built at the first look-up. Change them only with the methods."""

    __slots__ = ("_first", "_repeated", "rows")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows: list[Row] = list(rows)
        self._first: dict[str, str] | None = None
        self._repeated: frozenset[str] = frozenset()

    def add(self, name: str, value: str) -> None:
        """Append one header; `name` may have any spelling."""
        self.rows.append((canonical(name), name, value))
        self._first = None

    def replace(self, key: str, value: str) -> None:
        """Replace the value of the first row of the header with the canonical name `key`."""
        for position, (found, name, _) in enumerate(self.rows):
            if found == key:
                self.rows[position] = (key, name, value)
                self._first = None
                return

    def get(self, key: str) -> str | None:
        """Return the first value of the header with the canonical name `key`, or None."""
        first = self._first
        if first is None:
            first = self._index()
        return first.get(key)

    def all(self, key: str) -> list[str]:
        """Return the values of all rows of that header, in wire order."""
        value = self.get(key)
        if value is None:
            return []
        if key in self._repeated:
            return [value for found, _, value in self.rows if found == key]
        return [value]

    @property
    def repeated(self) -> frozenset[str]:
        """Return the canonical names that occur in more than one row."""
        if self._first is None:
            self._index()
        return self._repeated

    def _index(self) -> dict[str, str]:
        first = {key: value for key, _, value in reversed(self.rows)}
        self._first = first
        self._repeated = frozenset()
        if len(first) < len(self.rows):
            seen: set[str] = set()
            again: set[str] = set()
            for key, _, _ in self.rows:
                (again if key in seen else seen).add(key)
            self._repeated = frozenset(again)
        return first

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self.rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self.rows] == [(key, value) for key, _, value in other.rows]

    __hash__ = None  # type: ignore[assignment]  # rows change, so headers cannot be in sets


def parse_headers(lines: list[str]) -> tuple[Headers, str]:
    """Return the headers in `lines`, and what is wrong with a line that was left out, else empty.

    Raise MalformedMessage if a folded header is too long.
    """
    rows: list[Row] = []
    fault = ""
    lost = True
    """Whether the previous line was left out. A continuation of it does not belong to an earlier header."""
    for line in lines:
        name, colon, value = line.partition(":")
        key = _CANONICAL.get(name)
        if key is not None and colon:
            rows.append((key, name, value.strip(LWS)))
            lost = False
        elif not lost and line[:1] in LWS and line:
            _unfold(rows, line)
        else:
            name = name.rstrip(
                LWS
            )  # blanks before the colon are legal (section 7.3.1); they are removed here
            lost = not (colon and is_token(name))
            if lost:
                fault = f"not a header line: {line[:40]!r}"
            else:
                rows.append((canonical(name), name, value.strip(LWS)))
    return Headers(rows), fault


def _unfold(rows: list[Row], line: str) -> None:
    """Append a line that begins with a blank to the header before it (section 7.3.1).

    Raise MalformedMessage if the header is too long then.
    """
    key, name, value = rows[-1]
    value = f"{value} {line.strip(LWS)}".strip(LWS)
    if len(value) > MAX_HEADER:
        raise MalformedMessage(f"a header over {MAX_HEADER} characters")
    rows[-1] = (key, name, value)
