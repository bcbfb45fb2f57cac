"""SIP over TCP and TLS as a phone does it: a blocking phone, and a connection of asyncio for loads."""

import asyncio
import re
import socket
import ssl
import time
from types import TracebackType
from typing import Final, Self, cast

from tests.patience import limit
from tests.peers.endpoint import Exchanges
from tests.peers.phone import Account, BlockingPhone, Caller
from tests.peers.pipe import Address, HungUp

CLOSE_SECONDS: Final = 2.0
CONNECT_SECONDS: Final = limit(10.0)
CHUNK: Final = 65_536
KEEP_ALIVE: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"
LENGTH: Final = re.compile(
    rb"^(?:content-length|l)[ \t]*:[ \t]*([0-9]+)[ \t]*\r$", re.IGNORECASE | re.MULTILINE
)


def trusting() -> ssl.SSLContext:
    """A TLS client that believes every certificate: those of tests are self-signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Messages:
    """Cuts what a server sends over a stream into messages, and counts its answers to keep-alives."""

    def __init__(self) -> None:
        self._rest = b""
        self.pongs = 0

    @property
    def rest(self) -> bytes:
        """What is no whole message yet."""
        return self._rest

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole with `data`. A message without a length has no body."""
        self._rest += data
        whole: list[bytes] = []
        while True:
            while self._rest.startswith(PONG):
                self._rest = self._rest[len(PONG) :]
                self.pongs += 1
            head, end, body = self._rest.partition(b"\r\n\r\n")
            found = LENGTH.search(head + b"\r\n")
            length = int(found[1]) if found else 0
            if not end or len(body) < length:
                return whole
            whole.append(head + end + body[:length])
            self._rest = body[length:]


class TcpPipe:
    """One TCP connection, or with `tls` one of TLS on it."""

    def __init__(
        self,
        server: Address,
        source: Address = ("127.0.0.1", 0),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises OSError when there is nobody, or he hangs up while TLS begins."""
        plain = socket.create_connection(server, CONNECT_SECONDS, source_address=source)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = tls.wrap_socket(plain, server_hostname=server[0]) if tls else plain
        except OSError:
            plain.close()
            raise
        self._messages = Messages()
        self._whole: list[bytes] = []

    @property
    def address(self) -> Address:
        host, port = self.socket.getsockname()[:2]
        return host, port

    @property
    def pongs(self) -> int:
        """How many answers to keep-alives have come."""
        return self._messages.pongs

    @property
    def rest(self) -> bytes:
        """What came and is no whole message."""
        return self._messages.rest

    def send(self, message: bytes) -> None:
        self.socket.settimeout(CONNECT_SECONDS)
        try:
            self.socket.sendall(message)
        except (ConnectionError, ssl.SSLError):
            raise HungUp from None

    def receive(self, within: float) -> bytes | None:
        """The next message; None when there is none in time. Raises HungUp after the last one."""
        until = time.monotonic() + within
        while not self._whole:
            data = self.read(until - time.monotonic())
            if data is None:
                return None
            self._whole += self._messages.feed(data)
        return self._whole.pop(0)

    def read(self, within: float) -> bytes | None:
        """The next octets as they come; None when there are none in time. Raises HungUp."""
        self.socket.settimeout(max(0.001, within))
        try:
            data = self.socket.recv(CHUNK)
        except TimeoutError:
            return None
        except (ConnectionError, ssl.SSLError):  # a reset is an end, too
            raise HungUp from None
        if not data:
            raise HungUp
        return data

    def close(self) -> None:
        self.socket.close()


class TcpPhone(BlockingPhone):
    """A phone with a TCP connection of its own, or with `secure` one of TLS."""

    pipe: TcpPipe

    def __init__(
        self,
        account: Account,
        server: Address,
        *,
        secure: bool = False,
        source: Address = ("127.0.0.1", 0),
        user_agent: str = "phone",
        instance: str = "",
    ) -> None:
        pipe = TcpPipe(server, source, trusting() if secure else None)
        transport = "TLS" if secure else "TCP"
        super().__init__(
            Caller(account, pipe.address, transport=transport, user_agent=user_agent, instance=instance),
            pipe,
        )


class StreamEndpoint(Exchanges, asyncio.Protocol):
    """One TCP or TLS connection of asyncio; requests over it may overlap."""

    def __init__(self, transport: str) -> None:
        super().__init__(transport)
        self._messages = Messages()
        self._stream: asyncio.WriteTransport | None = None
        self._gone = asyncio.Event()

    @classmethod
    async def open(cls, server: Address, *, secure: bool = False, source: Address = ("127.0.0.1", 0)) -> Self:
        """A connection from `source`. Raises OSError."""
        _, endpoint = await asyncio.get_running_loop().create_connection(
            lambda: cls("TLS" if secure else "TCP"),
            *server,
            local_addr=source,
            ssl=trusting() if secure else None,
            server_hostname=server[0] if secure else None,
        )
        return endpoint

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._stream = cast(asyncio.WriteTransport, transport)  # uvloop's has no such base
        self.address = transport.get_extra_info("sockname")[:2]

    def data_received(self, data: bytes) -> None:
        for message in self._messages.feed(data):
            self.take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(HungUp())
        self._gone.set()

    def send(self, message: bytes) -> None:
        """Send raw bytes and wait for nothing. Raises HungUp."""
        if self._stream is None or self._stream.is_closing():
            raise HungUp
        self._stream.write(message)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """TLS says goodbye first: a loop that ends before would leave the socket open."""
        if self._stream is None:
            return
        self._stream.close()
        try:
            await asyncio.wait_for(self._gone.wait(), CLOSE_SECONDS)
        except TimeoutError:
            self._stream.abort()
            await asyncio.sleep(0)
