"""What the language costs, in microseconds on a warm cache: `python -m tests.registrar.sip.speed`."""

import sys
from collections.abc import Callable
from timeit import repeat
from typing import Final

from registrar.sip import Request, answer, check, expected, ha1, parse, parse_credentials, parse_via

CREDENTIALS: Final = (
    'Digest username="k3v9w0q1z7x5c2m8n4b6l0j3h7g1f5d9", realm="tenant-a.example.org", '
    'nonce="65f0c1d2e3a4b5c60718293a4b5c6d7e8f90a1b2c3d4e5f6", uri="sip:tenant-a.example.org", '
    'response="1e4ac5d0b7f28369e4ac5d0b7f283690", algorithm=MD5, cnonce="7d31c09aa5e84f10", '
    "qop=auth, nc=00000001"
)
VIA: Final = "SIP/2.0/UDP 192.168.178.24:5060;rport;branch=z9hG4bKPj7d31c09aa5e84f10b2c3"
REGISTER: Final = (
    "REGISTER sip:tenant-a.example.org SIP/2.0\r\n"
    f"Via: {VIA}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:100@tenant-a.example.org>;tag=Pj0a1b2c3d4e5f\r\n"
    "To: <sip:100@tenant-a.example.org>\r\n"
    "Call-ID: 5a0f8e7d-6c5b-4a39-8271-605f4e3d2c1b\r\n"
    "CSeq: 20417 REGISTER\r\n"
    "User-Agent: Softphone 4.1\r\n"
    'Contact: <sip:100@192.168.178.24:5060;ob>;+sip.instance="<urn:uuid:0d6f>";reg-id=1\r\n'
    "Expires: 300\r\n"
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY\r\n"
    f"Authorization: {CREDENTIALS}\r\n"
    "Content-Length: 0\r\n\r\n"
).encode()
CALLS: Final = 200
RUNS: Final = 500


def request() -> Request:
    """The REGISTER, parsed."""
    message = parse(REGISTER)
    assert isinstance(message, Request)
    return message


def microseconds(work: Callable[[], object], calls: int = CALLS, runs: int = RUNS) -> float:
    """What one call of `work` costs at best: the minimum, as other programs only ever add to it."""
    return min(repeat(work, number=calls, repeat=runs)) / calls * 1e6


def main() -> None:
    """Print one line a piece of work."""
    ready, via = request(), parse_via(VIA)
    credentials = parse_credentials(CREDENTIALS)
    assert credentials is not None
    key = ha1("k3v9w0q1z7x5c2m8n4b6l0j3h7g1f5d9", "tenant-a.example.org", "secret", "MD5")
    work: dict[str, Callable[[], object]] = {
        "parse": lambda: parse(REGISTER),
        "parse + check": lambda: check(request()),
        "parse_credentials": lambda: parse_credentials(CREDENTIALS),
        "parse_via": lambda: parse_via(VIA),
        "expected": lambda: expected(credentials, "REGISTER", key),
        "stamped + str": lambda: str(via.stamped("203.0.113.9", 31_337)),
        "answer + bytes": lambda: bytes(answer(ready, 200, to_tag="a1b2c3d4e5f60718")),
    }
    check(ready)
    for name, call in work.items():
        sys.stdout.write(f"{name:20} {microseconds(call):6.2f} us\n")


if __name__ == "__main__":
    main()
