"""Transactions of a calling phone, both sides, with the retransmissions of UDP (RFC 3261 section 17)."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from tests.patience import limit
from tests.peers.calling_dialog import joined
from tests.peers.calling_message import Message, read, uri_of
from tests.peers.phone import T1, T2, Address

LIFE: Final = 64 * T1
REASONS: Final = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 302: "Moved",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 407: "Proxy Authentication Required",
    408: "Request Timeout", 415: "Unsupported Media Type", 480: "Temporarily Unavailable",
    481: "Call Does Not Exist", 482: "Loop Detected", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 491: "Request Pending", 500: "Server Error", 600: "Busy Everywhere",
    603: "Decline", 604: "Does Not Exist Anywhere",
}  # fmt: skip
Send = Callable[[bytes], None]
Found = TypeVar("Found")


class News:
    """Lets coroutines wait until something is there."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Something has changed: all who wait look again."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, look: Callable[[], Found | None], within: float) -> Found:
        """What `look` finds, within `limit(within)`. Raises TimeoutError, and whatever `look` raises."""
        async with asyncio.timeout(limit(within)):
            while (found := look()) is None:
                await self._event.wait()
            return found


class Client:
    """A request of ours, and all the responses to it."""

    def __init__(self, request: bytes, send: Send, *, reliable: bool) -> None:
        self.request = read(request)
        self.responses: list[Message] = []
        self.copies = 0
        """Final responses that came again."""
        self._send = send
        self._reliable = reliable
        self._news = News()
        self._error: ConnectionError | None = None
        self._ack = b""
        send(request)
        self._task = asyncio.create_task(self._repeat())

    @property
    def is_invite(self) -> bool:
        return self.request.method == "INVITE"

    @property
    def last(self) -> Message | None:
        return self.responses[-1] if self.responses else None

    @property
    def has_final(self) -> bool:
        return any(response.status >= 200 for response in self.responses)

    async def _repeat(self) -> None:
        """Timers A and B, E and F."""
        wait, past = T1, 0.0
        while not self._reliable and past < LIFE:
            await asyncio.sleep(wait)
            past += wait
            if self.has_final or (self.is_invite and self.responses):
                return
            self._send(self.request.raw)
            wait = 2 * wait if self.is_invite else min(2 * wait, T2)

    def take(self, response: Message) -> None:
        """A response with our branch and method."""
        if response.status >= 300 and self.is_invite:
            self._ack = self._ack or acknowledgement(self.request, response)
            self._send(self._ack)
        if response.status >= 200 and self.has_final:
            self.copies += 1
        self.responses.append(response)
        self._news.tell()

    def fail(self, error: ConnectionError) -> None:
        """The connection is lost: nothing more will come."""
        self._error = error
        self._news.tell()

    async def find(self, wanted: Callable[[Message], bool], within: float, what: str) -> Message:
        """The first response that is so. Raises TimeoutError, ConnectionError."""

        def look() -> Message | None:
            found = next((response for response in self.responses if wanted(response)), None)
            if found is None and self._error is not None:
                raise self._error
            return found

        try:
            return await self._news.until(look, within)
        except TimeoutError:
            got = [response.first for response in self.responses]
            raise TimeoutError(f"{self.request.first}: no {what} within {within:g} s, but {got}") from None

    async def final(self, within: float) -> Message:
        """The final response."""
        return await self.find(lambda response: response.status >= 200, within, "final response")

    def faults(self, response: Message) -> Iterator[str]:
        """What makes it no response to our request (sections 8.1.3.3 and 8.2.6.2)."""
        asked = self.request
        if response.sent_by != asked.sent_by:
            yield f"the Via is not ours: {response.via}"
        if response.header("cseq").split() != asked.header("cseq").split():
            yield f"CSeq {response.header('cseq')} answers {asked.header('cseq')}"
        if response.call_id != asked.call_id:
            yield f"Call-ID {response.call_id} answers {asked.call_id}"
        if response.header("from") != asked.header("from"):
            yield f"From {response.header('from')!r} answers {asked.header('from')!r}"
        if uri_of(response.header("to")) != uri_of(asked.header("to")):
            yield f"To {response.header('to')!r} answers {asked.header('to')!r}"
        if asked.to_tag and response.to_tag != asked.to_tag:
            yield f"To-tag {response.to_tag!r} answers {asked.to_tag!r}"
        if self.has_final and response.status < 200:
            yield f"{response.status} after the final response"
        finals = {before.status for before in self.responses if before.status >= 200}
        if finals and response.status not in finals:
            yield f"{response.status} after {finals}"
        if finals and self._reliable and finals != {200}:
            yield f"{response.status} came twice over a connection"

    def close(self) -> None:
        self._task.cancel()


def acknowledgement(request: Message, response: Message) -> bytes:
    """The ACK of a transaction whose INVITE was refused (section 17.1.1.3)."""
    lines = [
        f"ACK {request.uri} SIP/2.0",
        f"Via: {request.via}",
        "Max-Forwards: 70",
        *[f"Route: {route}" for route in request.all("route")],
        f"From: {request.header('from')}",
        f"To: {response.header('to')}",
        f"Call-ID: {request.call_id}",
        f"CSeq: {request.cseq[0]} ACK",
    ]
    return joined(lines)


class Server:
    """A request of the other side, and our responses to it."""

    def __init__(self, request: Message, send: Send, tag: str, server: Address, *, reliable: bool) -> None:
        self.request = request
        self.tag = tag
        self.status = 0
        """Of our last response."""
        self.copies = 0
        """How often the request came again."""
        self.cancel: Message | None = None
        """The CANCEL of it."""
        self.acknowledged = asyncio.Event()
        self.bend: Callable[[bytes], bytes] = bytes
        """What becomes of each response before it leaves."""
        self._send = send
        self._server = server
        self._reliable = reliable
        self._last = b""
        self._task: asyncio.Task[None] | None = None

    @property
    def awaits_ack(self) -> bool:
        """A final response to an INVITE that nobody has acknowledged."""
        return self.request.method == "INVITE" and self.status >= 200 and not self.acknowledged.is_set()

    def respond(self, status: int, lines: Sequence[str] = (), body: bytes = b"", *, reason: str = "") -> None:
        """Send a response; a final one to an INVITE again and again until its ACK has come."""
        self.status = status
        self._last = self.bend(self._response(status, reason or REASONS.get(status, "Other"), lines, body))
        self._send(self._last)
        lasting = status >= 200 and self.request.method == "INVITE"
        if lasting and (status < 300 or not self._reliable):
            self._task = asyncio.create_task(self._repeat())

    def again(self) -> None:
        """The request came once more."""
        self.copies += 1
        if self._last:
            self._send(self._last)

    async def _repeat(self) -> None:
        """Timers G and H, and those of a 2xx (section 13.3.1.4)."""
        wait, past = T1, 0.0
        while past < LIFE:
            await asyncio.sleep(wait)
            past += wait
            if self.acknowledged.is_set():
                return
            self._send(self._last)
            wait = min(2 * wait, T2)

    def _response(self, status: int, reason: str, lines: Sequence[str], body: bytes) -> bytes:
        asked = self.request
        to = asked.header("to")
        tag = f";tag={self.tag}" if not asked.to_tag and status > 100 else ""
        vias = asked.listed("via")
        vias[0] = re.sub(r";rport(?=;|$)", ";rport={1};received={0}".format(*self._server), vias[0])
        recorded = asked.all("record-route") if 100 < status < 300 else []
        head = [
            f"SIP/2.0 {status} {reason}",
            *[f"Via: {via}" for via in vias],
            *[f"Record-Route: {route}" for route in recorded],
            f"From: {asked.header('from')}",
            f"To: {to}{tag}",
            f"Call-ID: {asked.call_id}",
            f"CSeq: {asked.header('cseq')}",
            *lines,
        ]
        return joined(head, body)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
