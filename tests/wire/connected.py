"""Phones on connections whose ends are in our own hands: how ours goes, and how the server's went."""

import contextlib
import socket
import struct
import time
from dataclasses import dataclass
from typing import Final

from tests.peers.phone import Account, Address, BlockingPhone, Caller
from tests.peers.pipe import HungUp
from tests.peers.stream import TcpPipe, trusting
from tests.peers.websocket_phone import invalid_host
from tests.wire.frames import BINARY, CLOSE, PING, PONG, TEXT, RawWebSocket, Refusal, frame
from tests.wire.site import Handset, Site

STREAMS: Final = ("tcp", "tls", "ws", "wss")
WEBSOCKETS: Final = ("ws", "wss")
LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket whose close is a reset."""


@dataclass(frozen=True)
class Ending:
    """How the server ended a connection."""

    how: str
    """`fin`, or `reset`."""
    code: int
    """Of the close frame before it; 0 where there was none."""
    at: float
    """Monotonic seconds."""


class NotUpgraded(Exception):
    """The server did not want to speak WebSocket."""

    def __init__(self, answer: Refusal) -> None:
        super().__init__(f"{answer.status} {answer.body!r}")
        self.status = answer.status


class FramePipe:
    """One WebSocket whose frames we make ourselves: it never says goodbye unless it is told to."""

    def __init__(
        self,
        server: Address,
        *,
        secure: bool = False,
        source: Address = ("127.0.0.1", 0),
        opening: bytes | None = None,
    ) -> None:
        """`opening` may be another upgrade than the usual one. Raises NotUpgraded."""
        self._raw = RawWebSocket(server, opening, secure=secure, source=source)
        answer = self._raw.http()
        if answer.status != 101:
            self._raw.close()
            raise NotUpgraded(answer)
        self.socket = self._raw.pipe.socket
        self.code = 0
        """Of the close frame that came."""

    @property
    def address(self) -> Address:
        return self._raw.pipe.address

    def send(self, message: bytes) -> None:
        self._raw.text(message)

    def receive(self, within: float) -> bytes | None:
        """The next SIP message; pings get their pongs. Raises HungUp when the connection has ended."""
        until = time.monotonic() + within
        while True:
            try:
                found = self._raw.receive(max(0.001, until - time.monotonic()))
            except TimeoutError:
                return None
            if found.opcode in (TEXT, BINARY):
                return found.payload
            if found.opcode == PING:
                self._raw.send(frame(PONG, found.payload))
            elif found.opcode == CLOSE:
                self.code = found.close_code
                with contextlib.suppress(HungUp):
                    self._raw.send(frame(CLOSE, found.payload[:2]))

    def say_goodbye(self) -> None:
        """Our close frame."""
        self._raw.send(frame(CLOSE, (1000).to_bytes(2)))

    def close(self) -> None:
        self._raw.close()


class ConnectedPhone(BlockingPhone):
    """A phone over TCP, TLS, ws or wss."""

    pipe: TcpPipe | FramePipe

    def __init__(
        self,
        account: Account,
        server: Address,
        transport: str,
        *,
        source: Address = ("127.0.0.1", 0),
        user_agent: str = "",
        instance: str = "",
        opening: bytes | None = None,
    ) -> None:
        """`opening` may be another upgrade to WebSocket than the usual one."""
        secure = transport in ("tls", "wss")
        if transport in WEBSOCKETS:
            self.pipe = FramePipe(server, secure=secure, source=source, opening=opening)
        else:
            self.pipe = TcpPipe(server, source, trusting() if secure else None)
        caller = Caller(
            account,
            invalid_host() if transport in WEBSOCKETS else self.pipe.address,
            transport=transport.upper(),
            user_agent=user_agent or f"{transport} phone",
            instance=instance,
        )
        super().__init__(caller, self.pipe)

    @property
    def port(self) -> int:
        return self.pipe.address[1]

    def hang_up(self) -> float:
        """Close with a FIN, without a goodbye of WebSocket. When it was."""
        with contextlib.suppress(OSError):
            self.pipe.socket.shutdown(socket.SHUT_WR)
        self.pipe.close()
        return time.monotonic()

    def reset(self) -> float:
        """Close with a RST. When it was."""
        self.pipe.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        self.pipe.close()
        return time.monotonic()

    def ending(self, within: float) -> Ending | None:
        """How the server ends the connection, None when it does not in this time. Messages are lost."""
        until = time.monotonic() + within
        try:
            while (left := until - time.monotonic()) > 0:
                self.pipe.receive(left)
        except HungUp as end:
            return Ending(_how(end), getattr(self.pipe, "code", 0), time.monotonic())
        return None


def connect(
    site: Site,
    handset: Handset,
    transport: str,
    *,
    source: Address = ("127.0.0.1", 0),
    user_agent: str = "",
    instance: str = "",
) -> ConnectedPhone:
    """A phone that has connected to a server and said nothing yet."""
    return ConnectedPhone(
        handset.account,
        site.listeners[transport],
        transport,
        source=source,
        user_agent=user_agent,
        instance=instance,
    )


def registered(
    site: Site,
    handset: Handset,
    transport: str,
    *,
    source: Address = ("127.0.0.1", 0),
    instance: str = "",
) -> ConnectedPhone:
    """A phone that is online over a connection."""
    phone = connect(site, handset, transport, source=source, instance=instance)
    assert phone.register().status == 200
    return phone


def _how(end: HungUp) -> str:
    """A pipe hides the reset behind the HungUp that it raises while it handles it."""
    return "reset" if isinstance(end.__context__, ConnectionResetError) else "fin"
