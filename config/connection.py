"""One HTTP connection: uvicorn's protocol, with a time limit for everything that it expects from its peer.

uvicorn ends idle connections only. `h11` knows the state of a connection: in the headers of a request, in its
body, or at a response. That state decides what we wait for. When it changes, a new time limit begins.
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
"""Time for queued data when we close, in addition to the time for its octets."""
TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Awaited(Enum):
    """The event that a connection waits for from its peer."""

    HEADERS = auto()
    BODY = auto()
    REQUEST = auto()
    """The next request. If it does not come, uvicorn's own timer ends the connection."""
    NOTHING = auto()
    """We have the request, and answer it."""
    READING = auto()
    """The peer must read the data that is queued for it."""
    CLOSE = auto()


class Connection(H11Protocol):
    """A connection that knows what it waits for, since when, and for how long at most."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, place: Place, limits: HttpLimits, now: Mono
    ) -> None:
        """`place` belongs to this connection, which releases it at its end."""
        super().__init__(config, state, {PLACE: place})
        self._place = place
        self._limits = limits
        self._awaited = Awaited.HEADERS
        self._asked: RequestResponseCycle | None = None
        self._since = now
        self._octets = 0
        """Octets of the body that was received, or of the queue when the peer stopped reading."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # same signature as in uvicorn
        """Begin: the connection is established, and its TLS handshake is done."""
        super().connection_made(transport)
        ends = self._place.ends
        if ends is not None:
            self.client, self.server = (ends.remote_ip, ends.remote_port), (ends.local_ip, ends.local_port)
        self._place.stands = True
        self._place.on_end(transport.abort)

    def data_received(self, data: bytes) -> None:
        """Handle octets of a request."""
        super().data_received(data)
        self._octets += len(data)

    def resume_writing(self) -> None:
        """Continue after the queue was sent. The next part has its own time limit."""
        super().resume_writing()
        self._awaited = Awaited.NOTHING

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the place."""
        super().connection_lost(exc)
        self._place.release()

    # Called by the server a few times a second

    def look(self, now: Mono) -> None:
        """Update what the connection waits for, and end it if that took too long."""
        awaited = self._what_is_awaited()
        if awaited is not self._awaited or self.cycle is not self._asked:
            self._awaited, self._asked, self._since = awaited, self.cycle, now
            queued = awaited in (Awaited.READING, Awaited.CLOSE)
            self._octets = self.transport.get_write_buffer_size() if queued else 0
        trial_ends = self._place.trial_ends
        on_trial_too_long = trial_ends is not None and now >= trial_ends and self._place.waits
        if on_trial_too_long or now - self._since >= self._allowed():
            self._give_up()

    def _what_is_awaited(self) -> Awaited:
        if self.transport.is_closing():
            return Awaited.CLOSE
        if self.flow.write_paused:
            return Awaited.READING
        if self.conn.their_state is h11.SEND_BODY:
            # The peer must wait with the body if our "100 Continue" was not sent yet, or if we do not read.
            held_up = self.cycle.waiting_for_100_continue or self.flow.read_paused
            return Awaited.NOTHING if held_up else Awaited.BODY
        if self.conn.their_state is not h11.IDLE:
            return Awaited.NOTHING
        begun = self.cycle is None or self.conn.trailing_data[0]
        return Awaited.HEADERS if begun else Awaited.REQUEST

    def _allowed(self) -> float:
        """Return how many seconds the peer may take."""
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

    def _give_up(self) -> None:
        """Close the connection, after a 408 if there is a request that can still be answered."""
        if self._awaited in (Awaited.READING, Awaited.CLOSE):
            self.transport.abort()
            return
        begun = self._awaited is Awaited.BODY or bool(self.conn.trailing_data[0])
        if begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(TOO_LATE)
        self.transport.close()
