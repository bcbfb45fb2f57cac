"""What a proxy makes beside what it passes on: Via, branch, CANCEL, ACK, BYE (RFC 3261 section 16.6)."""

from hashlib import blake2b
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Flow
from registrar.sip import MAX_CSEQ, Headers, Request, Response, parse_via, split

COOKIE: Final = "z9hG4bK"
LOOP_BYTES: Final = 8
CSEQ_MARGIN: Final = 10_000
"""A BYE in a party's name must be newer than whatever it has sent, also by ways that we did not see."""
COMPLETED_ELSEWHERE: Final = 'SIP;cause=200;text="Call completed elsewhere"'
"""RFC 3326 with the cause of RFC 4538's ecosystem: a phone then shows no missed call."""


def via(flow: Flow, public_host: str, branch: str) -> str:
    """Our Via for a request that leaves over `flow`."""
    host = public_host or flow.local_ip
    if ":" in host:
        host = f"[{host}]"
    return f"SIP/2.0/{flow.transport.upper()} {host}:{flow.local_port};branch={branch};rport"


def loop_mark(key: bytes, request: Request) -> str:
    """The part of our branches that is the same when a request comes back unchanged (section 16.6 step 8)."""
    parts = (request.target, request.from_.tag, request.to.tag, request.call_id, request.cseq[0])
    return COOKIE + blake2b(repr(parts).encode(), digest_size=LOOP_BYTES, key=key).hexdigest()


def is_loop(mark: str, request: Request) -> bool:
    """Whether the request has been here before, with nothing changed that would lead elsewhere."""
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


def cancel(sent: Request, reason: str = "") -> Request:
    """The CANCEL of a request that we sent (section 9.1)."""
    headers = _of_dialog(sent, "CANCEL", sent.headers.get("to") or "", sent.cseq[0], of_hop=True)
    if reason:
        headers.add("Reason", reason)
    return _closed("CANCEL", sent.target, headers)


def acknowledge(sent: Request, response: Response, contact: str, via: str) -> Request:
    """The ACK of a 2xx that nobody else acknowledges (section 13.2.2.4)."""
    headers = _of_dialog(sent, "ACK", response.headers.get("to") or "", sent.cseq[0])
    headers.rows.insert(0, ("via", "Via", via))
    return _closed("ACK", contact, headers)


def hang_up(sent: Request, response: Response, contact: str, via: str, reason: str) -> Request:
    """The BYE of a dialog that a 2xx made and nobody wants (section 15.1.1)."""
    headers = _of_dialog(sent, "BYE", response.headers.get("to") or "", newer(sent.cseq[0]))
    headers.rows.insert(0, ("via", "Via", via))
    headers.add("Reason", reason)
    return _closed("BYE", contact, headers)


def in_dialog(
    method: str, uri: str, via: str, from_: str, to: str, call_id: str, cseq: int, reason: str = ""
) -> Request:
    """A request inside a dialog in the name of somebody; `from_` and `to` with their tags."""
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
    """A number for a request of ours in somebody's name, who has counted to `cseq` as far as we know."""
    return min(cseq + CSEQ_MARGIN, MAX_CSEQ)


def _of_dialog(sent: Request, method: str, to: str, number: int, *, of_hop: bool = False) -> Headers:
    """`of_hop`: it goes where the request went; its Route is a leave for that request alone."""
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
