"""Via: where a request came from and where its answer goes (RFC 3261 section 20.42, RFC 3581)."""

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
    """One hop. `str(via)` is the text again, with single spaces."""

    transport: str
    """As written: UDP, TCP, TLS, WS, WSS."""
    host: str
    port: int | None
    params: Params
    version: str = "2.0"

    @property
    def branch(self) -> str:
        """The branch parameter, empty when absent."""
        return param(self.params, "branch") or ""

    @property
    def is_rfc3261(self) -> bool:
        """Whether the branch alone identifies the transaction (section 17.2.3)."""
        branch = self.branch
        return branch[: len(MAGIC_COOKIE)].lower() == MAGIC_COOKIE.lower() and len(branch) > len(MAGIC_COOKIE)

    @property
    def sent_by(self) -> str:
        """Host and port as one lower-case text, part of a transaction's key."""
        return f"{self.host.lower()}:{'' if self.port is None else self.port}"

    def stamped(self, ip: str, port: int) -> "Via":
        """This hop as the server that received it from `ip`:`port` notes it.

        `received` is added when sent-by is another host, and always when `rport` was asked for, which is then
        filled (RFC 3581 section 4); values that the client wrote there itself are replaced. An IPv6 address
        goes in without brackets (RFC 5118 section 4.5).
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
    """The one hop that `text` is. Raises MalformedMessage.

    Empty parameters and empty values (`;rport=`, `;;`, a final `;`) are no fault: some stacks write them.
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
    """Return whether `text` is hops as nearly all are: with names or IPv4 addresses, and without quotes.

    Each can then be parsed, and nobody has to try. False says nothing.
    """
    return _PLAIN_HOPS.fullmatch(text) is not None


def branch_in(text: str) -> str:
    """Return the first branch that stands in `text`, a Via that cannot be read; empty when there is none."""
    found = _BRANCH.search(text)
    return found[1] if found is not None else ""


def _without_empty(text: str) -> Params:
    """The parameters without those that are empty, and without an `=` that nothing follows."""
    pieces = [piece.removesuffix("=").rstrip(LWS) for piece in split(text, ";")]
    return parse_params("".join([f";{piece}" for piece in pieces if piece]))
