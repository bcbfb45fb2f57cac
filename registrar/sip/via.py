"""Via: the path of a request, and where its response is sent (RFC 3261 section 20.42, RFC 3581)."""

import re
from dataclasses import dataclass
from typing import Final

from registrar.errors import MalformedMessage

from .grammar import LWS, TOKEN, Params, format_params, param, parse_params, split
from .host import PORT, ZONED_HOST, check_host, host_key, parse_port

MAGIC_COOKIE: Final = "z9hG4bK"

_VIA: Final = re.compile(
    rf"[Ss][Ii][Pp][ \t]*+/[ \t]*+({TOKEN})[ \t]*+/[ \t]*+({TOKEN})[ \t]++"
    rf"({ZONED_HOST})[ \t]*+(?::[ \t]*+({PORT})[ \t]*+)?+(;.*+)?+",
    re.DOTALL,
)
_PORT_NUMBER: Final = (
    r"(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[0-5][0-9]{4}|[0-9]{1,4})(?![0-9])"
)
_PLAIN_HOP: Final = (
    rf"[ \t]*+[Ss][Ii][Pp][ \t]*+/[ \t]*+{TOKEN}[ \t]*+/[ \t]*+{TOKEN}[ \t]++"
    rf"[A-Za-z0-9_][A-Za-z0-9_.\-]*+[ \t]*+(?::[ \t]*+{_PORT_NUMBER}[ \t]*+)?+"
    rf"(?:;[ \t]*+{TOKEN}[ \t]*+(?:=[ \t]*+[^\x00-\x20\x7f;\",<>]++[ \t]*+)?+)*+"
)
_PLAIN_HOPS: Final = re.compile(rf"{_PLAIN_HOP}(?:,{_PLAIN_HOP})*+")
_BRANCH: Final = re.compile(rf";[ \t]*+branch[ \t]*+=[ \t]*+({TOKEN})", re.IGNORECASE)
_STAMPS: Final = ("received", "rport")


@dataclass(frozen=True, slots=True)
class Via:
    """One hop. `str(via)` is its text, with single spaces."""

    transport: str
    """As written: UDP, TCP, TLS, WS, WSS."""
    host: str
    port: int | None
    params: Params
    version: str = "2.0"

    @property
    def branch(self) -> str:
        """Return the branch parameter, or empty if it is absent."""
        return param(self.params, "branch") or ""

    @property
    def is_rfc3261(self) -> bool:
        """Return whether the branch alone identifies the transaction (section 17.2.3)."""
        branch = self.branch
        return branch[: len(MAGIC_COOKIE)].lower() == MAGIC_COOKIE.lower() and len(branch) > len(MAGIC_COOKIE)

    @property
    def sent_by(self) -> str:
        """Return host and port as one lower-case text, a part of a transaction's key."""
        return f"{self.host.lower()}:{'' if self.port is None else self.port}"

    def stamped(self, ip: str, port: int) -> "Via":
        """Return this hop with the source `ip` and `port` of the request, as its receiver adds them.

        Add `received` if sent-by is another host, and always if `rport` is present, which is then filled (RFC
        3581 section 4). Values that the client wrote itself are replaced. An IPv6 address is written without
        brackets (RFC 5118 section 4.5).
        """
        kept = [pair for pair in self.params if pair[0] not in _STAMPS]
        if param(self.params, "rport") is not None:
            kept += (("received", ip), ("rport", str(port)))
        elif self.host != ip and host_key(self.host) != ip.lower():
            kept.append(("received", ip))
        return Via(self.transport, self.host, self.port, tuple(kept), self.version)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/{self.version}/{self.transport} {self.host}{port}{format_params(self.params)}"


def parse_via(text: str) -> Via:
    """Return the single hop in `text`. Raise MalformedMessage if it cannot be parsed.

    Empty parameters and empty values (`;rport=`, `;;`, a final `;`) are accepted, because some stacks write
    them.
    """
    found = _VIA.fullmatch(text.strip(LWS))
    if found is None:
        raise MalformedMessage(f"bad hop: {text[:80]!r}")
    version, transport, host, port, params = found.groups()
    check_host(host)
    try:
        named = parse_params(params) if params else ()
    except MalformedMessage:
        named = _without_empty(params)
    return Via(transport, host, parse_port(port), named, version)


def are_plain(text: str) -> bool:
    """Return whether all hops in `text` have names or IPv4 addresses and no quotes, as nearly all do.

    If so, each of them can be parsed, and need not be parsed to check that. If not, they may still be valid.
    """
    return _PLAIN_HOPS.fullmatch(text) is not None


def branch_in(text: str) -> str:
    """Return the first branch in `text`, a Via that cannot be parsed, or empty if there is none."""
    found = _BRANCH.search(text)
    return found[1] if found is not None else ""


def _without_empty(text: str) -> Params:
    """Return the parameters without empty ones, and without an `=` that no value follows."""
    pieces = [piece.removesuffix("=").rstrip(LWS) for piece in split(text, ";")]
    return parse_params("".join([f";{piece}" for piece in pieces if piece]))
