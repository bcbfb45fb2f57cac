"""What tells one transaction from another (RFC 3261 sections 17.1.3 and 17.2.3).

A key is one text, so that a look-up hashes once and a kept transaction keeps no parts of its request. The two
kinds cannot be confused: the second word of a server's key has a colon, that of a client's is our own branch.
"""

from typing import Final, NewType

from registrar.sip import Request, Response, Via

Key = NewType("Key", str)
"""Opaque: method, sent-by and branch of a server transaction; method and branch of a client transaction."""

NO_KEY: Final = Key("")


def server_key(request: Request) -> Key:
    """The key of the server transaction that `request` belongs to; an ACK belongs to its INVITE.

    Branches are compared byte by byte, as every sender repeats its own. Raises MalformedMessage.
    """
    return _server_key(request, "INVITE" if request.method == "ACK" else request.method)


def cancelled_key(request: Request) -> Key:
    """The key of the INVITE that the CANCEL `request` is about (section 9.2)."""
    return _server_key(request, "INVITE")


def client_key(message: Request | Response) -> Key:
    """The key of the client transaction that sent `message`, or that `message` answers (section 17.1.3)."""
    return Key(f"{message.cseq[1]} {message.via.branch}")


def _server_key(request: Request, method: str) -> Key:
    via = request.via
    if via.is_rfc3261:
        return Key(f"{method} {via.sent_by} {via.branch}")
    return _rfc2543_key(request, via, method)


def _rfc2543_key(request: Request, via: Via, method: str) -> Key:
    """Of a branch without the magic cookie: Request-URI, tags, Call-ID, CSeq number and the top Via.

    The To tag is left out for an INVITE, because that of its ACK is the answer's; ServerInvite compares it.
    """
    hop = sorted(pair for pair in via.params if pair[0] not in ("received", "rport"))
    to_tag = None if method == "INVITE" else request.to.tag
    parts = (request.target, to_tag, request.from_.tag, request.call_id, request.cseq[0], via.transport, hop)
    return Key(f"{method} {via.sent_by} {parts!r}")
