"""The keys of transactions (RFC 3261 sections 17.1.3 and 17.2.3).

A key is one string, so that a look-up hashes once and a stored transaction keeps no parts of its request. The
two kinds cannot be confused: the second word of a server key has a colon, that of a client key is our own
branch.
"""

from typing import Final, NewType

from registrar.sip import Request, Response, Via

Key = NewType("Key", str)
"""Method, sent-by and branch of a server transaction; method and branch of a client transaction. Opaque to
callers."""

NO_KEY: Final = Key("")


def server_key(request: Request) -> Key:
    """Return the key of the server transaction of `request`; an ACK belongs to its INVITE.

    Branches are compared byte by byte, because every sender repeats its own branch exactly. Raise
    MalformedMessage if a header that the key needs is missing or bad.
    """
    return _server_key(request, "INVITE" if request.method == "ACK" else request.method)


def cancelled_key(request: Request) -> Key:
    """Return the key of the INVITE that the CANCEL `request` cancels (section 9.2)."""
    return _server_key(request, "INVITE")


def client_key(message: Request | Response) -> Key:
    """Return the key of the client transaction that sent or receives `message` (section 17.1.3)."""
    return Key(f"{message.cseq[1]} {message.via.branch}")


def _server_key(request: Request, method: str) -> Key:
    via = request.via
    if via.is_rfc3261:
        return Key(f"{method} {via.sent_by} {via.branch}")
    return _rfc2543_key(request, via, method)


def _rfc2543_key(request: Request, via: Via, method: str) -> Key:
    """Return the key for a branch without the magic cookie.

    It is made of Request-URI, tags, Call-ID, CSeq number and the top Via. The To tag is left out for an
    INVITE, because its ACK has the To tag of the response; ServerInvite compares that tag.
    """
    hop = sorted(pair for pair in via.params if pair[0] not in ("received", "rport"))
    to_tag = None if method == "INVITE" else request.to.tag
    parts = (request.target, to_tag, request.from_.tag, request.call_id, request.cseq[0], via.transport, hop)
    return Key(f"{method} {via.sent_by} {parts!r}")
