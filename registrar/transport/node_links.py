"""Connections to the other nodes over TLS, opened before they are needed and opened again when they end."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from registrar.model import Flow, Mono
from registrar.rules.access import folded

from .accept import SHUTDOWN_SECONDS
from .connection import Receive
from .connections import Connections
from .node_tls import NodeTls
from .sockets import KEEP_ALIVE
from .stream import NodeConnection

LOOK_SECONDS: Final = 0.25
CONNECT_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 1.0
"""After an attempt that failed."""
NAME: Final = "node.registrar.invalid"
"""The name of every node in its certificate; it is not compared, because the authority decides."""
FAILED: Final = (OSError, ssl.SSLError, TimeoutError)

log = logging.getLogger(__name__)


class NodeLinks:
    """One connection to each other node that takes TLS."""

    def __init__(
        self,
        table: Connections,
        receive: Receive,
        tls: NodeTls,
        wanted: Callable[[], Mapping[str, str]],
        node: str,
    ) -> None:
        """`wanted` returns the address, `host:port`, of each living node that takes TLS."""
        self._table = table
        self._receive = receive
        self._tls = tls
        self._wanted = wanted
        self._node = node
        self._flows: dict[str, Flow] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, Mono] = {}
        self.secure = frozenset({node})
        """The nodes to which a request goes over TLS, this one among them."""

    def flow(self, address: str) -> Flow | None:
        """Return the flow to a node, or None while there is no connection."""
        flow = self._flows.get(address)
        return flow if flow is not None and self._table.is_open(flow.id) else None

    async def run(self) -> None:
        """Keep the connections open until cancelled."""
        try:
            while True:
                self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in self._opening.values():
                task.cancel()

    def _look(self) -> None:
        wanted, now = self._wanted(), self._table.now()
        self.secure = frozenset({self._node, *[name for name, where in wanted.items() if self.flow(where)]})
        for address in wanted.values():
            if self.flow(address) or address in self._opening or now < self._not_before.get(address, 0.0):
                continue
            task = self._opening[address] = asyncio.create_task(self._open(address))
            task.add_done_callback(partial(self._opened, address))
        gone = self._flows.keys() - wanted.values()
        for address in gone:
            self._table.hang_up(self._flows.pop(address).id, revoked=False)

    def _opened(self, address: str, task: asyncio.Task[None]) -> None:
        del self._opening[address]
        if not task.cancelled() and task.exception() is not None:  # a bug: it must be seen
            log.error("no connection to a node", exc_info=task.exception())

    async def _open(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._connect(host.strip("[]"), int(port))
            log.info("SIP over TLS to the node at %s", address)
        except FAILED as error:
            self._not_before[address] = Mono(self._table.now() + PAUSE_SECONDS)
            log.warning("no connection over TLS to the node at %s: %s", address, error)

    async def _connect(self, host: str, port: int) -> None:
        """Open the connection. Its flow has our own address in it, so the socket is connected first."""
        loop, ip = asyncio.get_running_loop(), folded(host)
        if not self._table.admit(ip, of_node=True):
            raise ConnectionRefusedError("there is no place for another connection")
        opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        connection: NodeConnection | None = None
        try:
            opened.setblocking(False)
            for level, option, value in KEEP_ALIVE:
                opened.setsockopt(level, option, value)
            await loop.sock_connect(opened, (host, port))
            here, local_port = opened.getsockname()[:2]
            flow = Flow("tls", folded(here), local_port, ip, port, self._table.number())
            connection = NodeConnection(self._table, flow, self._receive)
            made = connection
            await loop.create_connection(
                lambda: made,
                sock=opened,
                ssl=self._tls.client,
                server_hostname=NAME,
                ssl_handshake_timeout=CONNECT_SECONDS,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
            self._flows[f"[{host}]:{port}" if ":" in host else f"{host}:{port}"] = flow
        finally:
            if connection is None or not connection.stood:
                opened.close()
                self._table.release(ip)
