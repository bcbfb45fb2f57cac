"""Connection: the asyncio protocol of one TCP, TLS or WebSocket connection, which reports to a table.

Peers that do not read. Above `WRITE_HIGH` octets in the queue, we do not read from the connection until all
of them have left: such a peer cannot make us queue answers to ever more requests. That delay is ours, so
the time of a message that has begun stops, and begins again when we read again. The connection is aborted
if its queue is too long, or if the peer takes nothing for `stuck_seconds`.

Peers that send much. At most `TURN_OCTETS` are read at once. The rest waits in the connection, which does
not read from its socket meanwhile, and ReadQueue gives each such connection one turn after the other. A
turn may come when the connection is lost or its peer does not read any more: then it reads nothing.
"""

import asyncio
import contextlib
import errno
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, cast

from registrar.errors import SipError
from registrar.model import Flow, Mono

from .read_queue import ReadQueue

WRITE_HIGH: Final = 16 * 1024
READ_HIGH: Final = 16 * 1024
TURN_OCTETS: Final = 2 * 1024
"""How many octets of one connection are read before the others' turn: an ordinary message is smaller."""
LOST_TO_SILENCE: Final = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})


class End(StrEnum):
    """Why a connection ended: the label of `registrar_connections_closed_total`."""

    PEER = "peer"
    SILENT = "silent"
    """Nothing came after it was opened, or no upgrade to WebSocket."""
    SLOW = "slow"
    UNAUTHENTICATED = "unauthenticated"
    STUCK = "stuck"
    """The peer does not read what we send."""
    PING_TIMEOUT = "ping-timeout"
    MALFORMED = "malformed"
    POLICY = "policy"
    REVOKED = "revoked"
    HANDSHAKE = "handshake"
    REFUSED = "refused"
    """Too many connections from one address, or in total."""
    BANNED = "banned"
    PROXY = "proxy"
    """A trusted proxy sent no PROXY header, or one that cannot be read."""
    SHUTDOWN = "shutdown"


OVERDUE: Final = frozenset({End.SLOW, End.UNAUTHENTICATED})
"""A peer that has used up its time gets no more time to answer our goodbye."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of connections, in seconds, octets and connections."""

    first_seconds: float = 5.0
    """From accept to the first octet; a TLS handshake and an upgrade to WebSocket each have the same time."""
    message_seconds: float = 8.0
    """From the first octet of a message to its last, however slowly the octets come."""
    authenticate_seconds: float = 20.0
    """From accept to the first request with a correct digest."""
    unauthenticated_per_source: int = 256
    authenticated_per_source: int = 2_048
    queued: int = 256 * 1024
    stuck_seconds: float = 10.0
    ping_seconds: float = 25.0
    pong_seconds: float = 10.0
    total: int = 15_000


Receive = Callable[[bytes, Flow, SipError | None], None]


class Table(Protocol):
    """The table of connections, as a connection sees it: what it asks, and what it reports.

    A report changes the table, and it may end the connection.
    """

    limits: Limits
    reads: ReadQueue

    def now(self) -> Mono:
        """Return the time."""

    def opened(self, connection: "Connection") -> None:
        """Add an open connection."""

    def authenticated(self, flow: int) -> None:
        """Note that the peer of a connection is known."""

    def forwarded_for(self, connection: "Connection", address: str) -> None:
        """Count a connection under the address that a trusted proxy has given for it."""

    def pingable(self, connection: "Connection") -> None:
        """Ping this connection from now on: its protocol has a ping, and is ready for it."""

    def alive(self, connection: "Connection") -> None:
        """Note that a connection has given a sign of life after a ping."""

    def message_begun(self, connection: "Connection") -> None:
        """Give the rest of a message its time."""

    def message_completed(self, connection: "Connection") -> None:
        """Wait for no rest of a message any more."""

    def blocked(self, connection: "Connection") -> None:
        """Watch a connection whose peer does not read."""

    def unblocked(self, connection: "Connection") -> None:
        """Watch a connection no longer: its peer has read the whole queue."""

    def closing(self, connection: "Connection") -> None:
        """Give a connection that ends a short time to send its queue, from its first report on."""

    def lost(self, connection: "Connection") -> None:
        """Remove a lost connection and report its end."""


class Connection(asyncio.Protocol):
    """Common base of TCP, TLS and WebSocket connections."""

    __slots__ = (
        "_blocked_at", "_left", "_rest", "_table", "_transport", "_waits", "authenticated", "born", "ended",
        "flow", "heard", "of_node", "partial_since", "source", "stood",
    )  # fmt: skip

    def __init__(self, table: Table, flow: Flow) -> None:
        """Create the connection. `flow` says where it comes from; a trusted proxy may correct that later."""
        self._table = table
        self._transport: asyncio.Transport | None = None
        self.flow = flow
        self.source = flow.remote_ip
        """The address under which the connection is counted."""
        self.born = Mono(0.0)
        self.stood = False
        self.heard = False
        self.authenticated = False
        self.of_node = False
        """Whether the peer is another node of this service, which no ban concerns."""
        self.partial_since: Mono | None = None
        self.ended: End | None = None
        """Why the connection ends; None while it is open."""
        self._blocked_at: Mono | None = None
        self._left = 0
        """How many octets were queued at the last check of a peer that does not read."""
        self._rest = bytearray()
        """Octets that wait for another turn."""
        self._waits = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up the open connection, after its TLS handshake."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no such base
        self._transport.set_write_buffer_limits(high=WRITE_HIGH, low=0)
        limit_reading = getattr(transport, "set_read_buffer_limits", None)
        if limit_reading is not None:  # TLS continues to read while its octets are not taken
            limit_reading(high=READ_HIGH)
        self.stood = True
        self._table.opened(self)

    def data_received(self, data: bytes) -> None:
        """Take octets, however they were split on the way. Of many octets the rest waits for another turn."""
        if not self._rest and len(data) <= TURN_OCTETS:
            self.take(data)
            return
        self._rest += data
        if self._waits:
            return
        self._stop_reading()
        if self._table.reads.idle:
            self._next_turn()
        else:
            self._wait()

    def take(self, data: bytes) -> None:
        """Read some octets now."""
        raise NotImplementedError

    def _next_turn(self) -> None:
        """Read more of the waiting octets, unless the peer does not read what we send."""
        self._waits = False
        if self._transport is None or self._blocked_at is not None:
            return
        data = bytes(self._rest[:TURN_OCTETS])
        del self._rest[:TURN_OCTETS]
        self.take(data)
        if self._rest:
            self._wait()
        elif self._blocked_at is None:
            self._go_on_reading()

    def _wait(self) -> None:
        if not self._waits:
            self._waits = True
            self._table.reads.wait(self._next_turn)

    def eof_received(self) -> None:
        """Note that the peer sends no more. Queued messages are still sent, if that does not take long."""
        if self.ended is None:
            self.ended = End.PEER
            self._table.closing(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Report the lost connection to the table."""
        if self.ended is None:
            silent = isinstance(error, OSError) and error.errno in LOST_TO_SILENCE
            self.ended = End.PING_TIMEOUT if silent else End.PEER
        self._transport = None
        self._table.lost(self)

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read, until it reads again."""
        if self._transport is not None:
            self._blocked_at = self._table.now()
            self._left = self._transport.get_write_buffer_size()
            self._table.blocked(self)
            self._stop_reading()

    def resume_writing(self) -> None:
        """Read again after all queued octets were sent."""
        self._blocked_at = None
        self._table.unblocked(self)
        if self.partial_since is not None:  # the delay was ours: we did not read
            self.partial_since = self._table.now()
        if self._rest:
            self._wait()
        else:
            self._go_on_reading()

    @property
    def keeps_us_waiting(self) -> bool:
        """Return whether we wait for the peer, and have nothing from it left to read."""
        return self._blocked_at is None and not self._rest

    def _stop_reading(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # already closing
                self._transport.pause_reading()

    def _go_on_reading(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()

    # Calls of the table and of the SIP side

    def send(self, data: bytes) -> None:
        """Send one message to the peer, or drop it if the connection ends."""
        raise NotImplementedError

    def ping(self) -> None:
        """Send a ping, if the protocol has one."""

    def say_goodbye(self, end: End) -> bool:
        """Send the final message of the protocol, if it has one.

        Return True if the peer is to close the connection and has time for it.
        """
        return False

    def close(self, end: End) -> None:
        """Close the connection. Its queue is still sent, if that does not take long."""
        if self.ended is not None or self._transport is None:
            return
        if end in OVERDUE and not self.keeps_us_waiting:  # the peer would not read a goodbye, or not stop
            self.abort(end)
            return
        self.ended = end
        self._table.closing(self)
        if not self.say_goodbye(end):
            self._transport.close()

    def abort(self, end: End) -> None:
        """Close the connection now, and drop its queue."""
        self.ended = self.ended or end
        if self._transport is not None:
            self._transport.abort()

    def is_stuck(self, now: Mono, limits: Limits) -> bool:
        """Return whether a peer that does not read took nothing for too long, or its queue is too big."""
        if self._transport is None or self._blocked_at is None:
            return False
        queued = self._transport.get_write_buffer_size()
        if queued > limits.queued:
            return True
        if queued < self._left:
            self._blocked_at = now
        self._left = queued
        return now - self._blocked_at >= limits.stuck_seconds

    def _write(self, data: bytes) -> None:
        if self._transport is None or self.ended is not None:
            return
        self._transport.write(data)
        if self._blocked_at is not None and self.is_stuck(self._table.now(), self._table.limits):
            self.abort(End.STUCK)

    def _note_partial(self, *, partial: bool, progress: bool) -> None:
        """Note whether a message has begun and is not complete.

        With `progress` another message was completed before it, so its time starts again.
        """
        if not partial:
            if self.partial_since is not None:
                self.partial_since = None
                self._table.message_completed(self)
        elif self.partial_since is None or progress:
            self.partial_since = self._table.now()
            self._table.message_begun(self)
