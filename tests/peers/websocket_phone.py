"""SIP over WebSockets as a browser does it (RFC 7118): a blocking phone, and a connection for loads.

Both are built on the clients of `websockets`, which answer pings by themselves.
"""

import asyncio
import contextlib
import secrets
import select
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as open_connection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.peers.endpoint import Exchanges
from tests.peers.phone import Account, BlockingPhone, Caller
from tests.peers.pipe import Address, HungUp
from tests.peers.stream import CONNECT_SECONDS, trusting

SIP: Final = Subprotocol("sip")
CLOSE_SECONDS: Final = 2.0


def invalid_host() -> Address:
    """A name for who has no address: RFC 7118 section 5 wants one that nobody can resolve."""
    return f"{secrets.token_hex(6)}.invalid", 0


def url(server: Address, *, secure: bool, path: str = "/") -> str:
    """Where a browser would connect to."""
    return "{}://{}:{}{}".format("wss" if secure else "ws", *server, path)


class SharedTls(ssl.SSLSocket):
    """TLS that one thread reads while another one writes, as the blocking client below does.

    OpenSSL allows only one of them at a time, and Python 3.11 does not see to it: messages got lost.
    """

    _turn: threading.Lock

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        made = super().__new__(cls, *arguments, **options)
        made._turn = threading.Lock()
        return made

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Wait outside the lock, read inside it."""
        while True:
            with self._turn:
                patience = self.gettimeout()
                self.settimeout(0.0)
                try:
                    return super().recv(buflen, flags)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self.settimeout(patience)
            if not select.select([self], [], [], patience)[0]:
                raise TimeoutError("nothing came")

    def send(self, data: Any, flags: int = 0) -> int:
        with self._turn:
            return super().send(data, flags)


def shared() -> ssl.SSLContext:
    """`trusting`, for two threads."""
    context = trusting()
    context.sslsocket_class = SharedTls
    return context


class WsPipe:
    """One WebSocket with the subprotocol `sip`; one SIP message in each of its messages."""

    def __init__(
        self,
        server: Address,
        *,
        secure: bool = False,
        source: Address = ("127.0.0.1", 0),
        path: str = "/",
        origin: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Raises OSError, or websockets' InvalidHandshake when the server refuses."""
        self._open = ExitStack()
        self.connection = self._open.enter_context(
            connect(
                url(server, secure=secure, path=path),
                subprotocols=[SIP],
                compression=None,
                ssl=shared() if secure else None,
                origin=Origin(origin) if origin else None,
                additional_headers=headers,
                proxy=None,
                open_timeout=CONNECT_SECONDS,
                ping_interval=None,
                close_timeout=CLOSE_SECONDS,
                source_address=source,
                legacy=False,
            )
        )

    @property
    def address(self) -> Address:
        host, port = self.connection.local_address[:2]
        return host, port

    def send(self, message: bytes) -> None:
        """Text when it is UTF-8, else binary. Raises HungUp."""
        with _hanging_up():
            self.connection.send(_framed(message))

    def receive(self, within: float) -> bytes | None:
        """The next message; None when there is none in time. Raises HungUp."""
        with _hanging_up():
            try:
                return _octets(self.connection.recv(within))
            except TimeoutError:
                return None

    def close(self) -> None:
        self._open.close()


class WsPhone(BlockingPhone):
    """A softphone with a WebSocket of its own, over TLS with `secure`."""

    pipe: WsPipe

    def __init__(
        self,
        account: Account,
        server: Address,
        *,
        secure: bool = False,
        source: Address = ("127.0.0.1", 0),
        path: str = "/",
        origin: str = "",
        headers: dict[str, str] | None = None,
        user_agent: str = "phone",
        instance: str = "",
    ) -> None:
        pipe = WsPipe(server, secure=secure, source=source, path=path, origin=origin, headers=headers)
        transport = "WSS" if secure else "WS"
        super().__init__(
            Caller(account, invalid_host(), transport=transport, user_agent=user_agent, instance=instance),
            pipe,
        )


class WebSocketEndpoint(Exchanges):
    """One WebSocket of asyncio; requests over it may overlap."""

    def __init__(self, connection: AsyncConnection, transport: str) -> None:
        super().__init__(transport)
        self.address = invalid_host()
        self.connection = connection
        self._tasks: set[asyncio.Task[None]] = set()
        self._start(self._read())

    @classmethod
    async def open(cls, server: Address, *, secure: bool = False, source: Address = ("127.0.0.1", 0)) -> Self:
        """A connection from `source`. Raises OSError, or websockets' InvalidHandshake."""
        connection = await open_connection(
            url(server, secure=secure),
            subprotocols=[SIP],
            compression=None,
            ssl=trusting() if secure else None,
            proxy=None,
            open_timeout=CONNECT_SECONDS,
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
            local_addr=source,
        )
        return cls(connection, "WSS" if secure else "WS")

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.take(_octets(await self.connection.recv()))
        self.lose(HungUp(self.connection.close_code or 0, self.connection.close_reason or ""))

    def send(self, message: bytes) -> None:
        """Send raw bytes and wait for nothing. Raises HungUp."""
        if self.lost is not None:
            raise self.lost
        self._start(self._write(message))

    async def _write(self, message: bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.connection.send(_framed(message))

    def close(self) -> None:
        self._start(self.connection.close())

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await asyncio.gather(*self._tasks)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.contextmanager
def _hanging_up() -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as closed:
        end = closed.rcvd
        raise HungUp(end.code if end else 0, end.reason if end else "") from None


def _framed(message: bytes) -> str | bytes:
    try:
        return message.decode()
    except UnicodeDecodeError:
        return message


def _octets(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message
