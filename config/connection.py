"""One HTTP connection: uvicorn's protocol, with a time for everything that it waits for from its peer.

uvicorn ends idle connections only. `h11` says where a connection is: in the headers of a request, in its
body, or at an answer. What we wait for follows from that; when it changes, a new time begins.
"""

import asyncio
from enum import Enum, auto
from math import inf
from typing import Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from registrar.model import Mono

from .places import PLACE, HttpLimits, Place

CLOSING_SECONDS: Final = 5.0
"""For what is queued when we close, beyond the time that its octets have."""
TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Awaited(Enum):
    """What a connection waits for from its peer."""

    HEADERS = auto()
    BODY = auto()
    REQUEST = auto()
    """The next one; uvicorn's own timer ends the connection when it does not come."""
    NOTHING = auto()
    """We have the request, and answer it."""
    READING = auto()
    """The peer shall read what is queued for it."""
    CLOSE = auto()


class Connection(H11Protocol):
    """A connection that knows what it waits for, since when, and how long it may."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, place: Place, limits: HttpLimits, now: Mono
    ) -> None:
        """`place` is its own, and is given back when it is gone."""
        super().__init__(config, state, {PLACE: place})
        self._place = place
        self._limits = limits
        self._awaited = Awaited.HEADERS
        self._asked: RequestResponseCycle | None = None
        self._since = now
        self._octets = 0
        """Of the body that came, or of what was queued when the peer stopped reading."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """The connection stands, and its TLS handshake is done."""
        super().connection_made(transport)
        self._place.stands = True
        self._place.on_end(transport.abort)

    def data_received(self, data: bytes) -> None:
        """Octets of a request."""
        super().data_received(data)
        self._octets += len(data)

    def resume_writing(self) -> None:
        """What was queued has left: the next part has its own time."""
        super().resume_writing()
        self._awaited = Awaited.NOTHING

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        self._place.release()

    # What the server asks a few times in a second

    def look(self, now: Mono) -> None:
        """Note what it waits for, and end it when that took too long."""
        awaited = self._what_is_awaited()
        if awaited is not self._awaited or self.cycle is not self._asked:
            self._awaited, self._asked, self._since = awaited, self.cycle, now
            queued = awaited in (Awaited.READING, Awaited.CLOSE)
            self._octets = self.transport.get_write_buffer_size() if queued else 0
        if self._on_trial_too_long(now) or now - self._since >= self._allowed():
            self._give_up()

    def _what_is_awaited(self) -> Awaited:
        if self.transport.is_closing():
            return Awaited.CLOSE
        if self.flow.write_paused:
            return Awaited.READING
        if self.conn.their_state is h11.SEND_BODY:
            return Awaited.NOTHING if self._holds_the_body_up() else Awaited.BODY
        if self.conn.their_state is not h11.IDLE:
            return Awaited.NOTHING
        begun = self.cycle is None or self.conn.trailing_data[0]
        return Awaited.HEADERS if begun else Awaited.REQUEST

    def _holds_the_body_up(self) -> bool:
        """Whether the peer may not send on: for want of our "100 Continue", or because we do not read."""
        return self.cycle.waiting_for_100_continue or self.flow.read_paused

    def _allowed(self) -> float:
        """Return how many seconds it may take."""
        for_octets = self._octets / self._limits.octets_a_second
        match self._awaited:
            case Awaited.HEADERS:
                return self._limits.header_seconds
            case Awaited.BODY | Awaited.READING:
                return self._limits.body_seconds + for_octets
            case Awaited.CLOSE:
                return CLOSING_SECONDS + for_octets
            case Awaited.REQUEST | Awaited.NOTHING:
                return inf

    def _on_trial_too_long(self, now: Mono) -> bool:
        ends = self._place.trial_ends
        return ends is not None and now >= ends and self._place.waits

    def _give_up(self) -> None:
        """Say that it took too long, where there is a request to answer, and close."""
        if self._awaited in (Awaited.READING, Awaited.CLOSE):
            self.transport.abort()
            return
        begun = self._awaited is Awaited.BODY or bool(self.conn.trailing_data[0])
        if begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(TOO_LATE)
        self.transport.close()
