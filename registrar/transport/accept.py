"""Listener for TCP connections: each is counted before it is read, and TLS handshakes have a time limit."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from registrar.announced import ends_of
from registrar.model import Flow, IpNetwork, Mono
from registrar.rules.access import folded
from registrar.rules.proxies import is_trusted

from . import sockets
from .connection import Connection, End
from .connections import Connections

BACKLOG: Final = 4_096
AT_ONCE: Final = 64
"""Limit of connections accepted in one turn of the event loop."""
HANDSHAKES_A_SECOND: Final = 200
"""Rate of new TLS handshakes. A peer that has sent an octet waits for its handshake, so that open connections
are served."""
HANDSHAKES_IN_A_ROW: Final = 10
"""Limit of handshakes in a row: each one delays all other work by a millisecond."""
SHUTDOWN_SECONDS: Final = 1.0
EXHAUSTED_SECONDS: Final = 1.0
"""How long no connection is accepted when the process has no more file descriptors."""
TOLD_SECONDS: Final = 60.0
"""Least time between two log lines about that, and about proxies that send no PROXY header."""
PASSING: Final = frozenset(
    {
        errno.EAGAIN, errno.EINTR, errno.ECONNABORTED, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP,
        errno.ENETDOWN, errno.ENONET, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT,
        errno.EPERM,
    }
)  # fmt: skip
"""Errors of accept(2) after which it says to go on: no connection waits any more, or its own error is
reported."""
LATE: Final = "its PROXY header does not come"
FAILED: Final = (OSError, ssl.SSLError, TimeoutError)

log = logging.getLogger(__name__)


class Acceptor:
    """One listening socket of one transport."""

    def __init__(
        self,
        table: Connections,
        transport: str,
        make: Callable[[Flow], Connection],
        tls: ssl.SSLContext | None,
        *,
        of_nodes: bool = False,
        announcing: Sequence[IpNetwork] = (),
    ) -> None:
        """Create a closed acceptor.

        `transport` is tcp, tls, ws or wss; `make` returns the protocol of a connection. `of_nodes`: only
        other nodes of this service come here. `announcing`: each connection from there begins with a PROXY
        header.
        """
        self._announcing = tuple(announcing)
        self._reading: set[asyncio.Task[None]] = set()
        """Those that wait for a PROXY header."""
        self._of_nodes = of_nodes
        self._table = table
        self._transport = transport
        self._make = make
        self._tls = tls
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waits: asyncio.TimerHandle | None = None
        self._credit = float(HANDSHAKES_IN_A_ROW)
        self._credited = Mono(0.0)
        self._next = asyncio.Lock()
        """Held by the connection that waits for the next handshake."""
        self._told = Mono(float("-inf"))
        self.port = 0

    def open(self, host: str, port: int, opened: socket.socket | None = None) -> None:
        """Bind and listen, or listen on a socket that is `opened` already. Raises OSError.

        `::` takes IPv4 too, with the addresses of peers folded.
        """
        opened = opened or sockets.stream(host, port)
        try:
            opened.listen(BACKLOG)
        except OSError:
            opened.close()
            raise
        self._socket, self.port = opened, opened.getsockname()[1]
        self._resume()

    def use(self, tls: ssl.SSLContext) -> None:
        """Use another context for the handshakes that begin from now on."""
        self._tls = tls

    def close(self) -> None:
        """Accept no more connections, and cancel the handshakes under way."""
        if self._waits is not None:
            self._waits.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        # Without TLS the others are nearly open, and a cancel would leave them.
        for task in self._tasks if self._tls is not None else self._reading:
            task.cancel()

    def _resume(self) -> None:
        self._waits = None
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
        self._waits = loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        """Accept the waiting connections, at most `AT_ONCE`."""
        for _ in range(AT_ONCE):
            if self._socket is None:
                return
            try:
                accepted, peer = self._socket.accept()
            except OSError as error:
                if error.errno not in PASSING:
                    self._give_up(error)
                return
            self._take(accepted, peer)

    def _give_up(self, error: OSError) -> None:
        """Accept no connection for `EXHAUSTED_SECONDS`: new ones wait in the kernel's queue."""
        self._tell(f"no connection can be accepted for a second: {error.strerror}")
        self._pause(EXHAUSTED_SECONDS)

    def _tell(self, text: str) -> None:
        now = self._table.now()
        if now - self._told >= TOLD_SECONDS:
            self._told = now
            log.warning("%s", text)

    def _take(self, accepted: socket.socket, peer: tuple[str, int]) -> None:
        ip = folded(peer[0])
        if not self._table.admit(ip, of_node=self._of_nodes):
            accepted.close()
            return
        accepted.setblocking(False)
        host, port = accepted.getsockname()[:2]
        flow = Flow(self._transport, folded(host), port, ip, peer[1], self._table.number())
        connection = self._make(flow)
        task = asyncio.get_running_loop().create_task(self._begin(accepted, connection))
        self._tasks.add(task)
        if self._announcing and is_trusted(ip, self._announcing):
            self._reading.add(task)
        task.add_done_callback(partial(self._begun, accepted, connection))

    def _begun(self, accepted: socket.socket, connection: Connection, task: asyncio.Task[None]) -> None:
        """Release a connection that was not opened, also if its task was cancelled before its first step."""
        self._tasks.discard(task)
        self._reading.discard(task)
        if not connection.stood:
            accepted.close()
            self._table.release(connection.source, connection.ended or End.HANDSHAKE)

    async def _begin(self, accepted: socket.socket, connection: Connection) -> None:
        """Open the connection, after the handshake if there is TLS. A failure affects no other connection."""
        loop = asyncio.get_running_loop()
        seconds = self._table.limits.first_seconds
        try:
            if self._reading and not await self._is_announced(accepted, connection):
                return
            if self._tls is None:
                await loop.connect_accepted_socket(lambda: connection, accepted)
                return
            async with asyncio.timeout(seconds):
                await _has_spoken(accepted)
            async with asyncio.timeout(seconds):
                await self._turn()
            transport, _ = await loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
            self._table.secured(self._transport, (transport.get_extra_info("cipher") or ("none",))[0])
        except FAILED as error:
            log.debug("no connection with %s: %s", connection.source, error)

    async def _is_announced(self, accepted: socket.socket, connection: Connection) -> bool:
        """Take the address from the PROXY header of a proxy. Return False if the connection may not open."""
        task = asyncio.current_task()
        if task is None or task not in self._reading:
            return True
        try:
            async with asyncio.timeout(self._table.limits.first_seconds):
                ends = await ends_of(accepted)
        except (ValueError, TimeoutError) as error:
            connection.ended = End.PROXY
            self._tell(f"a connection of the proxy {connection.source} is closed: {str(error) or LATE}")
            return False
        self._reading.discard(task)
        return ends is None or self._table.announced(connection, ends)

    async def _turn(self) -> None:
        """Wait for the permit to begin a handshake.

        Permits come at a fixed rate, in the order of the callers.
        """
        async with self._next:
            while not self._may_begin():  # noqa: ASYNC110  # the clock is not an event to wait for
                await asyncio.sleep(1.0 / HANDSHAKES_A_SECOND)

    def _may_begin(self) -> bool:
        """Take one of the permits earned since the last call. Return False if there is no permit."""
        now = self._table.now()
        earned = (now - self._credited) * HANDSHAKES_A_SECOND
        self._credit = min(float(HANDSHAKES_IN_A_ROW), self._credit + earned)
        self._credited = now
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True


async def _has_spoken(accepted: socket.socket) -> None:
    """Wait for the first octet without consuming it.

    A peer that sends nothing, or leaves, costs no handshake. Raises OSError if the peer has gone.
    """
    loop = asyncio.get_running_loop()
    heard = asyncio.Event()
    loop.add_reader(accepted, heard.set)
    try:
        await heard.wait()
    finally:
        loop.remove_reader(accepted)
    if not accepted.recv(1, socket.MSG_PEEK):
        raise ConnectionAbortedError("gone without a word")
