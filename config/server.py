"""The HTTP server: uvicorn in our own event loop, behind an acceptor of our own.

The acceptor admits each connection before it is read, and limits the TLS handshake. uvicorn leaves this to
asyncio, which accepts every connection until the process has no file descriptors left for phones, Redis and
the database. We also handle the signals, and decide when the server ends.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from registrar.announced import ends_of
from registrar.errors import ConfigurationError
from registrar.model import IpNetwork
from registrar.rules.access import folded
from registrar.rules.proxies import is_trusted

from .connection import Connection
from .places import Place, Places

BACKLOG: Final = 1_024
AT_ONCE: Final = 16
"""Connections accepted in one turn of the event loop. Requests of earlier connections are read in between."""
BUFFERS: Final = ((socket.SO_RCVBUF, 64 * 1024), (socket.SO_SNDBUF, 128 * 1024))
"""Socket buffers of a connection. By default the kernel would buffer megabytes of a response, and we would
notice only after a third of them was sent whether the peer still reads."""
SHUTDOWN_SECONDS: Final = 1.0
"""Time for a peer to answer the close of TLS."""
EXHAUSTED_SECONDS: Final = 1.0
"""How long no connection is accepted if the process has no file descriptors left."""
TOLD_SECONDS: Final = 60.0
"""Least time between two log lines about connections that are not accepted."""
PASSING: Final = frozenset(
    {
        errno.EAGAIN, errno.EINTR, errno.ECONNABORTED, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP,
        errno.ENETDOWN, errno.ENONET, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT,
        errno.EPERM,
    }
)  # fmt: skip
"""Errors after which accept(2) says to continue: the connection is gone or already broken."""
LATE: Final = "its PROXY header does not come"
FAILED: Final = (OSError, ssl.SSLError, TimeoutError)
GRACE_SECONDS: Final = 2
LOOK_SECONDS: Final = 0.25
"""How often the time limits of connections are checked."""

log = logging.getLogger(__name__)


def listening(name: str, host: str, port: int) -> socket.socket:
    """Return a listening socket. Raise ConfigurationError with `name`, the setting of the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        for option, octets in BUFFERS:  # connections inherit them
            opened.setsockopt(socket.SOL_SOCKET, option, octets)
        opened.bind((host, port))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise ConfigurationError(f"REGISTRAR_{name}: {host}:{port}: {error.strerror}") from error
    log.info("%s on %s:%d", name, *opened.getsockname()[:2])
    return opened


class Acceptor:
    """Accepts the connections of one listening socket."""

    def __init__(
        self,
        listener: socket.socket,
        places: Places,
        make: Callable[[Place], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        announcing: Sequence[IpNetwork] = (),
    ) -> None:
        """`make` returns the protocol for a connection that has a place.

        Each connection from `announcing` begins with a PROXY header.
        """
        self._announcing = tuple(announcing)
        self._listener = listener
        self._places = places
        self._make = make
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._waits: asyncio.TimerHandle | None = None
        self._told = -TOLD_SECONDS

    def open(self) -> None:
        """Accept connections from now on."""
        self._waits = None
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Stop accepting connections, and cancel the handshakes that are in progress."""
        if self._waits is not None:
            self._waits.cancel()
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, peer = self._listener.accept()
            except OSError as error:
                if error.errno not in PASSING:
                    self._pause(error)
                return
            self._take(accepted, folded(peer[0]))

    def _pause(self, error: OSError) -> None:
        """Leave new connections in the kernel's queue for EXHAUSTED_SECONDS."""
        self._tell(f"no HTTP connection can be accepted for a second: {error.strerror}")
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        self._waits = loop.call_later(EXHAUSTED_SECONDS, self.open)

    def _tell(self, text: str) -> None:
        now = self._places.now()
        if now - self._told >= TOLD_SECONDS:
            self._told = now
            log.warning("%s", text)

    def _take(self, accepted: socket.socket, ip: str) -> None:
        place = self._places.admit(ip)
        if place is None:
            accepted.close()
            self._tell(f"HTTP connections are refused: all {self._places.limits.total} places are taken")
            return
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.get_running_loop().create_task(self._begin(accepted, place, ip))
        place.on_end(task.cancel)
        self._tasks.add(task)
        task.add_done_callback(partial(self._begun, accepted, place))

    async def _is_announced(self, accepted: socket.socket, place: Place, ip: str) -> bool:
        """Take the address from the PROXY header of a proxy. Return False if it cannot be read."""
        try:
            async with asyncio.timeout(self._places.limits.handshake_seconds):
                ends = await ends_of(accepted)
        except (ValueError, TimeoutError) as error:
            self._tell(f"a connection of the proxy {ip} is closed: {str(error) or LATE}")
            return False
        if ends is not None:
            place.announced(ends)
        return True

    async def _begin(self, accepted: socket.socket, place: Place, ip: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            is_proxy = self._announcing and is_trusted(ip, self._announcing)
            if is_proxy and not await self._is_announced(accepted, place, ip):
                return
            if self._tls is None:
                await loop.connect_accepted_socket(lambda: self._make(place), accepted)
                return
            await loop.connect_accepted_socket(
                lambda: self._make(place),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._places.limits.handshake_seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except FAILED as error:
            log.debug("no HTTP connection with %s: %s", place.source, error)

    def _begun(self, accepted: socket.socket, place: Place, task: asyncio.Task[None]) -> None:
        """Release the place unless it has a connection.

        This is called, too, for a task that was cancelled before its first step.
        """
        self._tasks.discard(task)
        if not place.stands:
            accepted.close()
            place.release()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the command line handles the signals."""
        yield


class HttpServer:
    """Serves one application on its addresses until it is stopped."""

    def __init__(
        self,
        listeners: Sequence[tuple[str, int]],
        app: ASGIApp,
        places: Places,
        tls: ssl.SSLContext | None = None,
        setting: str = "",
        announcing: Sequence[IpNetwork] = (),
    ) -> None:
        """With `tls`, all addresses use HTTPS. Servers of one process share `places`.

        `setting` is the setting with the addresses, without its prefix; HTTP or HTTPS if it is empty. Each
        connection from `announcing` begins with a PROXY header.
        """
        self._announcing = announcing
        self._setting = setting or ("HTTP" if tls is None else "HTTPS")
        self._listeners = listeners
        self._tls = tls
        self._places = places
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="none",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # uvicorn would trust any local peer; `request` knows the trusted ones
                timeout_keep_alive=self._places.limits.idle_seconds,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.started = asyncio.Event()
        """Set when requests are answered."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raise ConfigurationError for an address that cannot be bound."""
        sockets = [listening(self._setting, host, port) for host, port in self._listeners]
        acceptors = [
            Acceptor(opened, self._places, self._connection, self._tls, self._announcing)
            for opened in sockets
        ]
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(self._server.serve(sockets=[]))  # our acceptors hand it connections
            watching = tasks.create_task(self._watch())
            try:
                while not self._server.started:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # uvicorn has a flag, but no event
                for acceptor in acceptors:
                    acceptor.open()
                self.started.set()
                await stop.wait()
            finally:
                for acceptor in acceptors:
                    acceptor.close()
                self._server.should_exit = True
                await serving
                watching.cancel()

    def _connection(self, place: Place) -> Connection:
        places = self._places
        return Connection(self._server.config, self._server.server_state, place, places.limits, places.now())

    async def _watch(self) -> None:
        """End connections that exceed their time limits."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._places.now()
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, Connection):
                    connection.look(now)
