"""Messages and headers that a proxy makes itself: Via, branch, CANCEL, ACK, BYE (RFC 3261 section 16.6)."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Flow
from registrar.sip import MAX_CSEQ, Headers, Request, Response, parse_via, split

COOKIE: Final = "z9hG4bK"
LOOP_BYTES: Final = 8
CSEQ_MARGIN: Final = 10_000
"""A BYE that we send for a party needs a higher CSeq than any of its requests, also those we did not see."""
COMPLETED_ELSEWHERE: Final = 'SIP;cause=200;text="Call completed elsewhere"'
TAKEN_ELSEWHERE: Final = (COMPLETED_ELSEWHERE, "Q.850;cause=26")
"""The reasons of a CANCEL after another phone has answered, so that no call is listed as missed.

Some clients read the Q.850 cause alone (non-selected user clearing).
"""
"""A Reason with the cause of RFC 3326 section 3.1: the phone then shows no missed call."""


def via(flow: Flow, public_host: str, branch: str) -> str:
    """Return our Via for a request that is sent over `flow`."""
    host = public_host or flow.local_ip
    if ":" in host:
        host = f"[{host}]"
    return f"SIP/2.0/{flow.transport.upper()} {host}:{flow.local_port};branch={branch};rport"


def loop_mark(key: bytes, request: Request) -> str:
    """Return the prefix of our branches for this request; it is the same if the request comes back unchanged.

    See section 16.6 step 8.
    """
    parts = (request.target, request.from_.tag, request.to.tag, request.call_id, request.cseq[0])
    return COOKIE + blake2b(repr(parts).encode(), digest_size=LOOP_BYTES, key=key).hexdigest()


def is_loop(mark: str, request: Request) -> bool:
    """Return whether the request was here before and nothing that decides its route has changed since."""
    for row in request.headers.all("via"):
        if mark not in row:
            continue
        for hop in split(row, ","):
            try:
                if parse_via(hop).branch.startswith(mark):
                    return True
            except MalformedMessage:
                continue
    return False


def cancel(sent: Request, reasons: Sequence[str] = ()) -> Request:
    """Return the CANCEL of a request that we sent, with a Reason for each of `reasons` (section 9.1)."""
    headers = _of_dialog(sent, "CANCEL", sent.headers.get("to") or "", sent.cseq[0], of_hop=True)
    for reason in reasons:
        headers.add("Reason", reason)
    return _closed("CANCEL", sent.target, headers)


def acknowledge(sent: Request, response: Response, contact: str, via: str) -> Request:
    """Return the ACK of a 2xx that the caller does not acknowledge (section 13.2.2.4)."""
    headers = _of_dialog(sent, "ACK", response.headers.get("to") or "", sent.cseq[0])
    headers.rows.insert(0, ("via", "Via", via))
    return _closed("ACK", contact, headers)


def bye(sent: Request, response: Response, contact: str, via: str, reason: str) -> Request:
    """Return the BYE that ends the dialog of an unwanted 2xx (section 15.1.1)."""
    headers = _of_dialog(sent, "BYE", response.headers.get("to") or "", newer(sent.cseq[0]))
    headers.rows.insert(0, ("via", "Via", via))
    headers.add("Reason", reason)
    return _closed("BYE", contact, headers)


def in_dialog(
    method: str, uri: str, via: str, from_: str, to: str, call_id: str, cseq: int, reason: str = ""
) -> Request:
    """Return a request inside a dialog that we send for a party; `from_` and `to` include their tags."""
    headers = Headers()
    for name, value in (
        ("Via", via),
        ("From", from_),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        ("Max-Forwards", "70"),
    ):
        headers.add(name, value)
    if reason:
        headers.add("Reason", reason)
    return _closed(method, uri, headers)


def newer(cseq: int) -> int:
    """Return the CSeq number of a request that we send for a party whose highest known number is `cseq`."""
    return min(cseq + CSEQ_MARGIN, MAX_CSEQ)


def requires(request: Request, tag: str) -> bool:
    """Return whether a request requires the extension with this option tag."""
    rows = request.headers.all("require")
    return any(tag == one.strip().lower() for row in rows for one in row.split(","))


def shifted(request: Request, shift: int) -> tuple[tuple[str, str], ...]:
    """Return the CSeq, and the RAck of a PRACK, of a request whose receiver knows its numbers as higher ones.

    A phone that is rung again for the same call would take the second INVITE for a copy of the first one, and
    answer 482 (section 8.2.2.2). So it gets another number. RAck is of RFC 3262 section 7.2.
    """
    if not shift:
        return ()
    number, method = request.cseq
    headers = [("CSeq", f"{min(number + shift, MAX_CSEQ)} {method}")]
    words = (request.headers.get("rack") or "").split()
    if len(words) == 3 and words[1].isdecimal() and len(words[1]) <= 10:
        headers.append(("RAck", f"{words[0]} {min(int(words[1]) + shift, MAX_CSEQ)} {words[2]}"))
    return tuple(headers)


def _of_dialog(sent: Request, method: str, to: str, number: int, *, of_hop: bool = False) -> Headers:
    """Return the headers that identify the dialog, with CSeq and Max-Forwards.

    `of_hop` adds the Via and Route of `sent`, for a request to the same next hop. That Route may hold a relay
    permit, which is valid for one request only.
    """
    headers = Headers()
    if of_hop:
        headers.add("Via", str(sent.via))
        for value in sent.headers.all("route"):
            headers.add("Route", value)
    headers.add("From", sent.headers.get("from") or "")
    headers.add("To", to)
    headers.add("Call-ID", sent.call_id)
    headers.add("CSeq", f"{number} {method}")
    headers.add("Max-Forwards", "70")
    return headers


def _closed(method: str, uri: str, headers: Headers) -> Request:
    headers.add("Content-Length", "0")
    return Request(method, uri, headers)
