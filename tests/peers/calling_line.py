"""What a calling phone speaks over: one socket of its own, from which it hears all that comes."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from tests.peers.endpoint import Endpoint, Exchanges
from tests.peers.phone import Address
from tests.peers.pipe import HungUp
from tests.peers.stream import StreamEndpoint
from tests.peers.websocket_phone import WebSocketEndpoint

LOCAL: Final[Address] = ("127.0.0.1", 0)


class Line(Exchanges):
    """A transport that gives every message to whoever has it, requests and responses."""

    hears: Callable[[bytes], None]
    ends: Callable[[ConnectionError], None]

    def take(self, message: bytes) -> None:
        self.hears(message)

    def lose(self, error: ConnectionError) -> None:
        self.lost = error
        self.ends(error)

    def vanish(self) -> None:
        """End without a word, as a power cut does."""
        self.close()

    def reset(self) -> None:
        """End a connection with RST, so that its port is free at once."""
        raise NotImplementedError


class UdpLine(Line, Endpoint):
    """Where packets of anybody but the server are not heard."""


class StreamLine(Line, StreamEndpoint):
    """TCP or TLS."""

    def vanish(self) -> None:
        if self._stream is not None:
            self._stream.abort()

    def reset(self) -> None:
        if self._stream is not None:
            connection = self._stream.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._stream.abort()


class WebSocketLine(Line, WebSocketEndpoint):
    """ws or wss."""

    def vanish(self) -> None:
        self.connection.transport.abort()


async def open_line(server: Address, transport: str, source: Address = LOCAL) -> Line:
    """A line to a server by the name of a transport: udp, tcp, tls, ws, wss. Raises OSError."""
    match transport:
        case "udp":
            return await UdpLine.open(server, source)
        case "tcp" | "tls":
            return await StreamLine.open(server, secure=transport == "tls", source=source)
        case "ws" | "wss":
            return await WebSocketLine.open(server, secure=transport == "wss", source=source)
        case _:
            raise ValueError(transport)


async def quiet(line: Line) -> None:
    """Close it, and wait until it is."""
    line.ends = lambda _: None
    try:
        await line.__aexit__(None, None, None)
    except HungUp:
        await asyncio.sleep(0)
