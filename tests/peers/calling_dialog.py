"""A dialog as one of its two phones keeps it (RFC 3261 section 12)."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from tests.peers.calling_message import Message, uri_of

Key = tuple[str, str, str]
"""Call-ID, the tag of this side, the tag of the other one."""


@dataclass
class Dialog:
    """What both know of each other; `request` numbers the requests of this side."""

    call_id: str
    local: str
    """Our From in it, with the tag."""
    local_tag: str
    remote: str
    """Our To in it, with the tag."""
    remote_tag: str
    target: str
    """The URI that the other side gave as its Contact."""
    routes: tuple[str, ...]
    """The Route headers of our requests."""
    cseq: int
    """The highest number that we used."""
    remote_cseq: int = 0
    """The highest number that the other side used; 0 before it sent any."""

    @property
    def key(self) -> Key:
        return self.call_id, self.local_tag, self.remote_tag

    @classmethod
    def of_caller(cls, request: Message, response: Message) -> Self:
        """The dialog that a response makes for who asked."""
        return cls(
            request.call_id,
            request.header("from"),
            request.from_tag,
            response.header("to"),
            response.to_tag,
            response.contact,
            tuple(reversed(response.listed("record-route"))),
            request.cseq[0],
        )

    @classmethod
    def of_callee(cls, request: Message, tag: str) -> Self:
        """The dialog that our response with that tag makes for who is asked."""
        return cls(
            request.call_id,
            f"{request.header('to')};tag={tag}",
            tag,
            request.header("from"),
            request.from_tag,
            request.contact,
            tuple(request.listed("record-route")),
            secrets.randbelow(1000) + 1,
            request.cseq[0],
        )

    def number(self) -> int:
        """The CSeq of our next request."""
        self.cseq += 1
        return self.cseq

    def head(self, method: str, number: int, via: str) -> list[str]:
        """The lines of a request in it, down to CSeq."""
        return [
            f"{method} {self.target} SIP/2.0",
            f"Via: {via}",
            "Max-Forwards: 70",
            *[f"Route: {route}" for route in self.routes],
            f"From: {self.local}",
            f"To: {self.remote}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
        ]

    def faults(self, request: Message, contact: str) -> Iterator[str]:
        """What is wrong with a request of the other side; `contact` is the URI that we gave it."""
        if request.uri != contact:
            yield f"the Request-URI is {request.uri}, our Contact is {contact}"
        if uri_of(request.header("from")) != uri_of(self.remote):
            yield f"From is {request.header('from')!r}, it was {self.remote!r}"
        if uri_of(request.header("to")) != uri_of(self.local):
            yield f"To is {request.header('to')!r}, it was {self.local!r}"
        # An OPTIONS of the server's own uses a number again: it must leave the next one to the other side.
        counts = request.method not in ("ACK", "OPTIONS")
        if counts and self.remote_cseq and request.cseq[0] <= self.remote_cseq:
            yield f"CSeq {request.cseq[0]} after {self.remote_cseq}"


def joined(lines: Sequence[str], body: bytes = b"") -> bytes:
    """A message of these lines, with the length of its body."""
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body
