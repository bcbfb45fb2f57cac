"""Table of the open connections of this process: their limits in number and time, and how each one ends.

A Connection is the asyncio protocol of one TCP, TLS or WebSocket connection. It reports to the table what
happens to it, and the table ends connections that exceed a limit. Only the table changes the table. Of a
connection, the table sets `born`, `source` and `authenticated`, and it ends a connection by `close` or
`abort`.

The life of a connection:

    admit -> opened [-> authenticated] -> ended -> lost
    admit -> release                                       (it was never opened)

- `admit` takes a place before anything is read. The place is given back once: by `release` or by `lost`. It
  counts in total, and for its source: first among the unauthenticated, from the first correct digest on
  among the others.
- A trusted proxy opens many connections from one address, so its address has no limit of its own. As soon
  as the proxy names the peer (`forwarded_for`), the connection counts for the address of that peer.
- `ended` is the first reason for the end, and later reasons do not replace it. From then on no SIP message
  is sent over the connection, and `is_open` returns False. Its queue may still leave, until
  `FAREWELL_SECONDS` after `closing`.
- `lost` is called by the event loop when the transport is closed, whichever side closed it. Only `lost`
  forgets a connection, so each end is counted and passed to the SIP side once.

Time. No connection has a timer. `look` runs every `LOOK_SECONDS` over four sets: connections without a
digest, with a message that has begun and is not complete, with a peer that does not read, and with an end
that is under way. An authenticated phone that is idle is in none of them, so thousands of idle phones cost
nothing. The two queues of pings are in the order of their due times, because each entry is appended with
the same delay, and a pong must come sooner than the next ping.

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
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from itertools import count
from typing import Final, cast

from registrar.errors import SipError
from registrar.metrics import Metrics
from registrar.model import Flow, IpNetwork, Mono
from registrar.rules.proxies import one_source

from .read_queue import ReadQueue

LOOK_SECONDS: Final = 0.25
FAREWELL_SECONDS: Final = 2.0
"""How long a connection that we close may take to send its queue."""
WRITE_HIGH: Final = 16 * 1024
READ_HIGH: Final = 16 * 1024
TURN_OCTETS: Final = 2 * 1024
"""How many octets of one connection are read before the others' turn: an ordinary message is smaller."""
LOST_TO_SILENCE: Final = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})


class End(StrEnum):
    """Why a connection ended: the label of `conn_closed_total`."""

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


class Connection(asyncio.Protocol):
    """Common base of TCP, TLS and WebSocket connections."""

    __slots__ = (
        "_blocked_at", "_left", "_rest", "_table", "_transport", "_waits", "authenticated", "born", "ended",
        "flow", "heard", "partial_since", "source", "stood",
    )  # fmt: skip

    def __init__(self, table: "Connections", flow: Flow) -> None:
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


class Connections:
    """Table of connections; implements ports.Connections. One task enforces their limits."""

    def __init__(
        self,
        clock: Callable[[], Mono],
        metrics: Metrics,
        closed: Callable[[Flow, bool], None],
        *,
        proxies: Sequence[IpNetwork] = (),
        limits: Limits | None = None,
    ) -> None:
        """Create an empty table.

        `closed` is called for each ended connection, with True if its peer was silent.
        """
        self.now = clock
        self.reads = ReadQueue(clock)
        self.limits = limits or Limits()
        self._metrics = metrics
        self._closed = closed
        self._proxies = tuple(proxies)
        self._numbers = count(1)
        self._open: dict[int, Connection] = {}
        self._unauthenticated: dict[Connection, None] = {}
        self._sources: dict[str, int] = {}
        self._authenticated_sources: dict[str, int] = {}
        self._admitted = 0
        self.gone = 0
        """How many places were given back since `have_gone` last returned True."""
        self._pings: OrderedDict[Connection, Mono] = OrderedDict()
        self._awaiting_pong: OrderedDict[Connection, Mono] = OrderedDict()
        self._partial: dict[Connection, None] = {}
        self._blocked: dict[Connection, None] = {}
        self._closing: dict[Connection, Mono] = {}

    # ports.Connections

    def is_open(self, flow: int) -> bool:
        """See ports.Connections."""
        connection = self._open.get(flow)
        return connection is not None and connection.ended is None

    def authenticated(self, flow: int) -> None:
        """See ports.Connections."""
        connection = self._open.get(flow)
        if connection is None or connection.authenticated:
            return
        self._count(connection, -1)
        connection.authenticated = True
        self._count(connection, 1)
        del self._unauthenticated[connection]
        source = one_source(connection.source)
        self._leave(self._sources, source)
        there = self._authenticated_sources[source] = self._authenticated_sources.get(source, 0) + 1
        if there > self.limits.authenticated_per_source and not self._is_proxy(connection.source):
            connection.close(End.REFUSED)

    def hang_up(self, flow: int, *, revoked: bool) -> None:
        """See ports.Connections."""
        connection = self._open.get(flow)
        if connection is not None:
            connection.close(End.REVOKED if revoked else End.POLICY)

    # Calls of the listeners

    def admit(self, ip: str) -> bool:
        """Return whether one more connection from `ip` may open. If so, its place is taken until it ends."""
        source = one_source(ip)
        waiting = self._sources.get(source, 0)
        full = self._admitted >= self.limits.total
        if full or (waiting >= self.limits.unauthenticated_per_source and not self._is_proxy(ip)):
            self._metrics.closed(End.REFUSED)
            return False
        self._admitted += 1
        self._sources[source] = waiting + 1
        return True

    def release(self, ip: str) -> None:
        """Give back the place of a connection from `ip` that was admitted but not opened."""
        self._admitted -= 1
        self.gone += 1
        self._leave(self._sources, one_source(ip))
        self._metrics.closed(End.HANDSHAKE)

    def number(self) -> int:
        """Return the id of a new connection, unique in this process over all transports."""
        return next(self._numbers)

    # Reports of the connections

    def opened(self, connection: Connection) -> None:
        """Add an open connection."""
        connection.born = self.now()
        self._count(connection, 1)
        self._open[connection.flow.id] = connection
        self._unauthenticated[connection] = None

    def forwarded_for(self, connection: Connection, address: str) -> None:
        """Count a connection under the address that a trusted proxy has given for it."""
        if address == connection.source:
            return
        self._leave(self._sources, one_source(connection.source))
        connection.source, source = address, one_source(address)
        waiting = self._sources[source] = self._sources.get(source, 0) + 1
        if waiting > self.limits.unauthenticated_per_source:
            connection.close(End.REFUSED)

    def pingable(self, connection: Connection) -> None:
        """Ping this connection from now on: its protocol has a ping, and is ready for it."""
        self._pings[connection] = Mono(self.now() + self.limits.ping_seconds)

    def message_begun(self, connection: Connection) -> None:
        """Give the rest of a message its time."""
        self._partial[connection] = None

    def message_completed(self, connection: Connection) -> None:
        """Wait for no rest of a message any more."""
        self._partial.pop(connection, None)

    def blocked(self, connection: Connection) -> None:
        """Watch a connection whose peer does not read."""
        self._blocked[connection] = None

    def unblocked(self, connection: Connection) -> None:
        """Watch a connection no longer: its peer has read the whole queue."""
        self._blocked.pop(connection, None)

    def closing(self, connection: Connection) -> None:
        """Give a connection that ends `FAREWELL_SECONDS`, from its first report on."""
        self._closing.setdefault(connection, self.now())

    def alive(self, connection: Connection) -> None:
        """Note that a connection has given a sign of life after a ping."""
        self._awaiting_pong.pop(connection, None)

    def lost(self, connection: Connection) -> None:
        """Remove a lost connection and report its end."""
        if self._open.pop(connection.flow.id, None) is None:
            return
        self._admitted -= 1
        self.gone += 1
        self._count(connection, -1)
        if connection.authenticated:
            self._leave(self._authenticated_sources, one_source(connection.source))
        else:
            self._unauthenticated.pop(connection, None)
            self._leave(self._sources, one_source(connection.source))
        self._partial.pop(connection, None)
        self._blocked.pop(connection, None)
        self._closing.pop(connection, None)
        self._pings.pop(connection, None)
        self._awaiting_pong.pop(connection, None)
        end = connection.ended or End.PEER
        self._metrics.closed(end)
        self._closed(connection.flow, end is End.PING_TIMEOUT)

    # Calls of the SIP side

    def send(self, data: bytes, flow: Flow) -> bool:
        """Send one message over its own connection, never over another one (RFC 3261 section 18.2.2).

        Return False if the connection is gone.
        """
        connection = self._open.get(flow.id)
        if connection is None or connection.ended is not None:
            self._metrics.dropped("connection_closed")
            return False
        connection.send(data)
        return True

    def flow(self, id: int) -> Flow | None:
        """Return the flow of an open connection, or None."""
        connection = self._open.get(id)
        return connection.flow if connection is not None and connection.ended is None else None

    async def run(self) -> None:
        """Enforce all limits until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """End the connections that have exceeded a limit, and send the pings that are due."""
        now, limits = self.now(), self.limits
        for connection in list(self._unauthenticated):
            age = now - connection.born
            if age >= limits.authenticate_seconds:
                connection.close(End.UNAUTHENTICATED)
            elif not connection.heard and age >= limits.first_seconds:
                connection.close(End.SILENT)
        for connection in list(self._partial):
            since = connection.partial_since
            late = since is not None and now - since >= limits.message_seconds
            if late and connection.keeps_us_waiting:
                connection.close(End.SLOW)
        for connection in list(self._blocked):
            if connection.is_stuck(now, limits):
                connection.abort(End.STUCK)
        for connection, since in list(self._closing.items()):
            if now - since >= FAREWELL_SECONDS:
                connection.abort(End.STUCK)
        self._ping(now)

    def close_all(self) -> None:
        """Close all connections at the end of the process."""
        for connection in list(self._open.values()):
            connection.close(End.SHUTDOWN)

    def abort_all(self) -> None:
        """Abort the connections that are still open after the process has ended its work."""
        for connection in list(self._open.values()):
            connection.abort(End.SHUTDOWN)

    def have_gone(self, least: int) -> bool:
        """Return whether `least` places were given back since this last returned True."""
        if self.gone < least:
            return False
        self.gone = 0
        return True

    def __len__(self) -> int:
        return len(self._open)

    def _ping(self, now: Mono) -> None:
        while self._awaiting_pong:
            connection, due = next(iter(self._awaiting_pong.items()))
            if due > now:
                break
            del self._awaiting_pong[connection]
            connection.abort(End.PING_TIMEOUT)
        while self._pings:
            connection, due = next(iter(self._pings.items()))
            if due > now:
                break
            self._pings[connection] = Mono(now + self.limits.ping_seconds)
            self._pings.move_to_end(connection)
            self._awaiting_pong[connection] = Mono(now + self.limits.pong_seconds)
            connection.ping()

    def _is_proxy(self, ip: str) -> bool:
        if not self._proxies:
            return False
        address = ip_address(ip)
        return any(address in network for network in self._proxies if network.version == address.version)

    def _count(self, connection: Connection, by: int) -> None:
        state = "authenticated" if connection.authenticated else "unauthenticated"
        self._metrics.connections.labels(connection.flow.transport, state).inc(by)

    @staticmethod
    def _leave(places: dict[str, int], source: str) -> None:
        left = places.get(source, 0) - 1
        if left > 0:
            places[source] = left
        else:
            places.pop(source, None)
