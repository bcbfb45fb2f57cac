"""What a torture case is, and how its bytes are put together."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PARSED: Final = "parsed"
RESPONSE: Final = "response"
SILENCE: Final = 0
"""In `Case.wire`: no answer at all."""

HOME: Final = "home.example"
"""The domain that the requests ask for."""

SDP: Final = "\r\n".join(
    (
        "v=0",
        "o=jo 7 7 IN IP4 198.51.100.7",
        "s=-",
        "c=IN IP4 198.51.100.7",
        "t=0 0",
        "m=audio 40000 RTP/AVP 8",
        "",
    )
).encode()


class End(StrEnum):
    """What becomes of the connection that a message came by."""

    STAYS = "stays open"
    CLOSED = "is closed by the server"
    WAITS = "waits for the rest of a message, and is closed when none comes"


@dataclass(frozen=True)
class Fate:
    """What a server does with a message that comes over a connection."""

    answers: tuple[frozenset[int], ...]
    """One after the other; SILENCE among the statuses: this answer may be missing."""
    end: End


@dataclass(frozen=True)
class Case:
    """One message and what becomes of it when it carries no credentials."""

    name: str
    source: str
    """Paragraph of an RFC, or what it is about."""
    data: bytes
    verdict: str | int
    """PARSED, RESPONSE, or the status with which `registrar.sip` refuses it."""
    wire: frozenset[int]
    """Final answers over UDP, one of them; SILENCE for none."""
    stream: Fate
    """Over TCP and TLS, where Content-Length says how long a message is."""
    ws: Fate
    """Over WebSocket, as one of its messages."""


def stays(*statuses: int) -> Fate:
    """One answer, and the connection can be used further."""
    return Fate((frozenset(statuses),), End.STAYS)


def closed(*statuses: int) -> Fate:
    """One answer, and nobody knows where the next message would begin."""
    return Fate((frozenset(statuses),), End.CLOSED)


def waits(*statuses: int) -> Fate:
    """These answers, or none, and then the beginning of a message that never ends."""
    return Fate(tuple(frozenset({status}) for status in statuses), End.WAITS)


def case(
    name: str,
    source: str,
    data: bytes,
    verdict: str | int,
    *wire: int,
    stream: Fate | None = None,
    ws: Fate | None = None,
) -> Case:
    """A case; without `wire` the verdict's own status is the only answer allowed.

    Over connections it is answered as over UDP and the connection stays, unless `stream` or `ws` says more.
    """
    answers = wire or (verdict,) if isinstance(verdict, int) else wire
    usual = stays(*answers)
    return Case(name, source, data, verdict, frozenset(answers), stream or usual, ws or usual)


def message(start: str, *lines: str, body: bytes = b"") -> bytes:
    """A message of these lines; nothing is added but line ends."""
    return "\r\n".join((start, *lines, "", "")).encode() + body


def request(method: str, *lines: str, uri: str = "", body: bytes = b"", without: str = "") -> bytes:
    """A sound request with more `lines`, and not with those headers that `without` names (blank separated).

    Without `uri` a REGISTER goes to the domain and everything else to a user there.
    """
    target = uri or (f"sip:{HOME}" if method == "REGISTER" else f"sip:ann@{HOME}")
    common = {
        "Via": "SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK-torture-1;rport",
        "Max-Forwards": "69",
        "From": f"<sip:ann@{HOME}>;tag=from-1",
        "To": f"<sip:ann@{HOME}>",
        "Call-ID": "torture-1@phone.example",
        "CSeq": f"17 {method}",
        "Content-Length": str(len(body)),
    }
    kept = [f"{name}: {value}" for name, value in common.items() if name not in without.split()]
    return message(f"{method} {target} SIP/2.0", *kept, *lines, body=body)


def response(status_line: str, *lines: str, without: str = "") -> bytes:
    """A sound response with that status line."""
    sound = request("OPTIONS", *lines, without=without)
    return f"{status_line}\r\n".encode() + sound.partition(b"\r\n")[2]
