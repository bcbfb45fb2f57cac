"""Table of the open connections of this process: their limits in number and time, and how each one ends.

A Connection is the asyncio protocol of one TCP, TLS or WebSocket connection. It reports to the table what
happens to it (`connection.Table`), and the table ends connections that exceed a limit. Only the table
changes the table. Of a connection, the table sets `born`, `source` and `authenticated`, and it ends a
connection by `close` or `abort`.

The life of a connection:

    admit -> opened [-> authenticated] -> ended -> lost
    admit -> release                                       (it was never opened)

- `admit` takes a place before anything is read. The place is given back once: by `release` if the connection
  was never opened (its `stood` says so), else by `lost`. It counts in total, and for its source: first among
  the unauthenticated, from the first correct digest on among the others.
- A trusted proxy opens many connections from one address, so its address has no limit of its own. As soon
  as the proxy names the peer (`announced` before the connection is open, `forwarded_for` later), the
  connection counts for the address of that peer.
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
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from itertools import count
from typing import Final

from registrar.metrics import Metrics
from registrar.model import Flow, IpNetwork, Mono
from registrar.rules.proxies import one_source
from registrar.rules.proxy_header import Ends

from .connection import Connection, End, Limits
from .read_queue import ReadQueue

LOOK_SECONDS: Final = 0.25
FAREWELL_SECONDS: Final = 2.0
"""How long a connection that we close may take to send its queue."""


class Connections:
    """Table of connections; implements ports.OpenConnections and Table. One task enforces their limits."""

    def __init__(
        self,
        clock: Callable[[], Mono],
        metrics: Metrics,
        closed: Callable[[Flow, bool], None],
        *,
        proxies: Sequence[IpNetwork] = (),
        limits: Limits | None = None,
        is_banned: Callable[[str], bool] | None = None,
    ) -> None:
        """Create an empty table.

        `is_banned` returns whether an address may not connect at all; None: each may.

        `closed` is called for each ended connection, with True if its peer was silent.
        """
        self.now = clock
        self.reads = ReadQueue(clock)
        self.limits = limits or Limits()
        self._metrics = metrics
        self._closed = closed
        self._proxies = tuple(proxies)
        self._is_banned = is_banned
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

    # ports.OpenConnections

    def is_open(self, flow: int) -> bool:
        """See ports.OpenConnections."""
        connection = self._open.get(flow)
        return connection is not None and connection.ended is None

    def authenticated(self, flow: int) -> None:
        """See ports.OpenConnections."""
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
        """See ports.OpenConnections."""
        connection = self._open.get(flow)
        if connection is not None:
            connection.close(End.REVOKED if revoked else End.POLICY)

    # Calls of the listeners

    def admit(self, ip: str, *, of_node: bool = False) -> bool:
        """Return whether one more connection from `ip` may open. If so, its place is taken until it ends.

        Bans are not for connections with other nodes (`of_node`): a banned network may have one in it.
        """
        if not of_node and self._is_banned is not None and self._is_banned(ip):
            self._metrics.closed(End.BANNED)
            return False
        source = one_source(ip)
        waiting = self._sources.get(source, 0)
        full = self._admitted >= self.limits.total
        if full or (waiting >= self.limits.unauthenticated_per_source and not self._is_proxy(ip)):
            self._metrics.closed(End.REFUSED)
            return False
        self._admitted += 1
        self._sources[source] = waiting + 1
        return True

    def announced(self, connection: Connection, ends: Ends) -> bool:
        """Count a connection that is not open yet where its PROXY header says. Return False to refuse it."""
        flow, ip = connection.flow, ends.remote_ip
        connection.flow = replace(
            flow,
            remote_ip=ip,
            remote_port=ends.remote_port,
            local_ip=ends.local_ip,
            local_port=ends.local_port,
        )
        waiting = self._move(connection, ip)
        if self._is_banned is not None and self._is_banned(ip):
            connection.ended = End.BANNED
        elif waiting > self.limits.unauthenticated_per_source and not self._is_proxy(ip):
            connection.ended = End.REFUSED
        return connection.ended is None

    def release(self, ip: str, end: End = End.HANDSHAKE) -> None:
        """Give back the place of a connection from `ip` that was admitted but not opened."""
        self._admitted -= 1
        self.gone += 1
        self._leave(self._sources, one_source(ip))
        self._metrics.closed(end)

    def secured(self, transport: str, suite: str) -> None:
        """Note the suite of a TLS handshake: some are allowed only until no phone needs them."""
        self._metrics.tls_suites.labels(transport, suite).inc()

    def number(self) -> int:
        """Return the id of a new connection, unique in this process over all transports."""
        return next(self._numbers)

    # Reports of the connections

    def opened(self, connection: Connection) -> None:
        """See Table."""
        connection.born = self.now()
        self._count(connection, 1)
        self._open[connection.flow.id] = connection
        self._unauthenticated[connection] = None

    def forwarded_for(self, connection: Connection, address: str) -> None:
        """See Table."""
        if address == connection.source:
            return
        if self._move(connection, address) > self.limits.unauthenticated_per_source:
            connection.close(End.REFUSED)

    def pingable(self, connection: Connection) -> None:
        """See Table."""
        self._pings[connection] = Mono(self.now() + self.limits.ping_seconds)

    def message_begun(self, connection: Connection) -> None:
        """See Table."""
        self._partial[connection] = None

    def message_completed(self, connection: Connection) -> None:
        """See Table."""
        self._partial.pop(connection, None)

    def blocked(self, connection: Connection) -> None:
        """See Table."""
        self._blocked[connection] = None

    def unblocked(self, connection: Connection) -> None:
        """See Table."""
        self._blocked.pop(connection, None)

    def closing(self, connection: Connection) -> None:
        """See Table."""
        self._closing.setdefault(connection, self.now())

    def alive(self, connection: Connection) -> None:
        """See Table."""
        self._awaiting_pong.pop(connection, None)

    def lost(self, connection: Connection) -> None:
        """See Table."""
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

    def close_from(self, network: IpNetwork) -> None:
        """Close the connections from a network that is banned."""
        for connection in list(self._open.values()):
            address = ip_address(connection.source.partition("%")[0])
            if not connection.of_node and address.version == network.version and address in network:
                connection.close(End.BANNED)

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

    def _move(self, connection: Connection, ip: str) -> int:
        """Count an unauthenticated connection for another address, and return how many that has."""
        self._leave(self._sources, one_source(connection.source))
        connection.source, source = ip, one_source(ip)
        waiting = self._sources[source] = self._sources.get(source, 0) + 1
        return waiting

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
