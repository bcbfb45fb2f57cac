"""Stand-ins for a registrar: they challenge once and grant everything, over any transport."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from tests.peers.certificate import certify
from tests.peers.websocket_phone import SIP

ECHOED: Final = re.compile(r"(?im)^(?:via|from|to|call-id|cseq|contact):.*$")
Serve = Callable[[int], AbstractAsyncContextManager[None]]


def answered(request: bytes, status: str = "200 OK") -> bytes:
    """A challenge for what has no credentials; else that status and ten minutes."""
    text = request.decode()
    lines = [line.rstrip() for line in ECHOED.findall(text)]
    if "\r\nAuthorization: Digest" in text:
        lines = [f"{line};expires=600" if line.startswith("Contact") else line for line in lines]
        lines.insert(0, f"SIP/2.0 {status}")
    else:
        lines.insert(0, "SIP/2.0 401 Unauthorized")
        lines.append('WWW-Authenticate: Digest realm="example.org", nonce="n", qop="auth"')
    return ("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode()


class StandIn(asyncio.DatagramProtocol):
    """The one on UDP."""

    def __init__(self, status: str = "200 OK") -> None:
        self._status = status
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", port))

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if self._transport is not None:
            self._transport.sendto(answered(data, self._status), addr)

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
        await asyncio.sleep(0)


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS for a server of these tests."""
    certificate, key = certify("localhost")
    (folder / "crt").write_bytes(certificate)
    (folder / "key").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    return context


@asynccontextmanager
async def stream(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """The one on TCP or TLS. In the end it hangs up."""
    writers: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(b"\r\n" if head == b"\r\n\r\n" else answered(head))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port, ssl=tls)
    async with server:
        yield
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def websocket(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """The one on ws or wss. In the end it hangs up."""

    async def talk(connection: ServerConnection) -> None:
        async for message in connection:
            request = message.encode() if isinstance(message, str) else message
            await connection.send(answered(request).decode())

    async with serve_websockets(talk, "127.0.0.1", port, ssl=tls, subprotocols=[SIP], compression=None):
        yield


def serving(folder: Path) -> dict[str, Serve]:
    """How a stand-in on each transport of connections is run."""
    tls = self_signed(folder)
    return {
        "tcp": stream,
        "tls": partial(stream, tls=tls),
        "ws": websocket,
        "wss": partial(websocket, tls=tls),
    }
