"""uvicorn inside a loop that is ours: we open the sockets, we take the signals, we say when it ends."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

import uvicorn
from fastapi import FastAPI

from registrar.errors import ConfigurationError

GRACE_SECONDS: Final = 2
BACKLOG: Final = 512

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the command line."""
        yield


class HttpServer:
    """Serves one application on some addresses until told to stop."""

    def __init__(
        self, listeners: Sequence[tuple[str, int]], app: FastAPI, tls: ssl.SSLContext | None = None
    ) -> None:
        """With `tls` it is HTTPS on all of them."""
        self._listeners = listeners
        self._app = app
        self._tls = tls
        self.started = asyncio.Event()
        """Set when requests are answered."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises ConfigurationError for an address that cannot be bound."""
        name = "HTTP" if self._tls is None else "HTTPS"
        sockets = [_listen(name, host, port) for host, port in self._listeners]
        tls = self._tls
        server = _Server(
            uvicorn.Config(
                self._app,
                loop="none",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # uvicorn would believe any local peer; `source` knows whom to believe
                timeout_graceful_shutdown=GRACE_SECONDS,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=sockets))
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # uvicorn has a flag, no event
            self.started.set()
            await stop.wait()
        finally:
            server.should_exit = True
            await serving
            for opened in sockets:
                opened.close()


def _listen(name: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        opened.bind((host, port))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise ConfigurationError(f"REGISTRAR_{name}: {host}:{port}: {error.strerror}") from error
    log.info("%s on %s:%d", name, *opened.getsockname()[:2])
    return opened
