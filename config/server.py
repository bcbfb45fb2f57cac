"""uvicorn in our own event loop: we accept the connections, handle the signals, and decide when it ends."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

import uvicorn
from fastapi import FastAPI

from .accept import Acceptor, listening
from .connection import Connection
from .places import Place, Places

GRACE_SECONDS: Final = 2
LOOK_SECONDS: Final = 0.25
"""How often the time limits of connections are checked."""


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
        app: FastAPI,
        places: Places,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """With `tls`, all addresses use HTTPS. Servers of one process share `places`."""
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
                proxy_headers=False,  # uvicorn would trust any local peer; `source` knows the trusted proxies
                timeout_keep_alive=self._places.limits.idle_seconds,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.started = asyncio.Event()
        """Set when requests are answered."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raise ConfigurationError for an address that cannot be bound."""
        acceptors = [
            Acceptor(opened, self._places, self._connection, self._tls) for opened in self._sockets()
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

    def _sockets(self) -> list[socket.socket]:
        name = "HTTP" if self._tls is None else "HTTPS"
        return [listening(name, host, port) for host, port in self._listeners]

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
