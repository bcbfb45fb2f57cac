"""What a torture case is, and how its bytes are put together."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Case:
    """One message and what becomes of it."""

    name: str
    source: str
    """Paragraph of an RFC, or what it is about."""
    data: bytes
    verdict: str | int
    """PARSED, RESPONSE, or the status with which `registrar.sip` refuses it."""
    wire: frozenset[int]
    """Final answers over UDP, one of them, when the request carries no credentials; SILENCE for none."""


def case(name: str, source: str, data: bytes, verdict: str | int, *wire: int) -> Case:
    """A case; without `wire` the verdict's own status is the only answer allowed."""
    return Case(
        name, source, data, verdict, frozenset(wire or (verdict,) if isinstance(verdict, int) else wire)
    )


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
