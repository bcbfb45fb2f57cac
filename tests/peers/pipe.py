"""The ways to a server and back that a blocking phone may use: whole messages go in and come out."""

import socket
import time
from typing import Final, Protocol

MAX_DATAGRAM: Final = 65_535

Address = tuple[str, int]


class HungUp(ConnectionError):
    """The server has closed the connection."""

    def __init__(self, code: int = 0, reason: str = "") -> None:
        super().__init__(f"the server hung up {code} {reason}".rstrip())
        self.code = code
        """The close code of a WebSocket; 0 on TCP, or when the connection just ended."""
        self.reason = reason


class Pipe(Protocol):
    """What phones and test lines need of a transport."""

    @property
    def address(self) -> Address:
        """Our end of it."""
        ...

    def send(self, message: bytes) -> None:
        """Send these bytes as they are and wait for nothing. Raises ConnectionError."""
        ...

    def receive(self, within: float) -> bytes | None:
        """The next message; None when there is none in time. Raises HungUp."""
        ...

    def close(self) -> None: ...


class UdpPipe:
    """One UDP socket; only what the server itself sends is received."""

    def __init__(self, server: Address, source: Address = ("127.0.0.1", 0)) -> None:
        family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind(source)
        self._server = server

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def send(self, message: bytes) -> None:
        self._socket.sendto(message, self._server)

    def receive(self, within: float) -> bytes | None:
        until = time.monotonic() + within
        while (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                message, source = self._socket.recvfrom(MAX_DATAGRAM)
            except TimeoutError:
                return None
            if source[:2] == self._server:
                return bytes(message)
        return None

    def close(self) -> None:
        self._socket.close()
