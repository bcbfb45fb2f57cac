"""config/server.py behind proxies that send a PROXY header: pages see the address that it names."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from config.places import HttpLimits, Places
from config.request import is_proxy, source_address
from config.server import HttpServer
from registrar.model import Mono
from registrar.transport.tls import ServerTls
from tests.patience import limit
from tests.peers.certificate import certify
from tests.peers.ports import free_port
from tests.peers.proxy_headers import binary, checked, head, line

SECONDS: Final = limit(20.0)
PROXY: Final = "127.0.0.3"
TRUSTED: Final = (ip_network(f"{PROXY}/32"), ip_network("10.0.0.0/8"))
PHONE: Final = "198.51.100.7"
GET: Final = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
FORWARDED: Final = GET.replace(b"Host", b"X-Forwarded-For: 203.0.113.5\r\nHost")


class Site:
    """A server that tells its callers where they come from."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        limits = HttpLimits(handshake_seconds=1.0, strangers_per_source=2, trial_seconds=0.2)
        self.places = Places(lambda: Mono(asyncio.get_running_loop().time()), limits, TRUSTED)
        self.port = free_port()
        app = Starlette(routes=[Route("/", self._who)])
        here = [("127.0.0.1", self.port)]
        self.server = HttpServer(here, app, self.places, tls, announcing=TRUSTED)

    async def _who(self, request: Request) -> PlainTextResponse:
        told = source_address(request, TRUSTED), str(is_proxy(request, TRUSTED)), request.url.scheme
        return PlainTextResponse(" ".join(told))

    async def ask(self, said: bytes, source: str = PROXY, tls: ssl.SSLContext | None = None) -> str:
        """What the server answers in the end; empty if it closes."""
        header, request = said, b""
        if tls is not None:
            header, request = said.removesuffix(GET), GET
        opened = socket.socket()
        opened.bind((source, 0))
        opened.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SECONDS):
            await loop.sock_connect(opened, ("127.0.0.1", self.port))
            await loop.sock_sendall(opened, header)
            name = "a" if tls else None
            reader, writer = await asyncio.open_connection(sock=opened, ssl=tls, server_hostname=name)
            writer.write(request)
            with contextlib.suppress(ConnectionError):
                answer = (await reader.read()).decode().partition("\r\n\r\n")[2]
                writer.close()
                return answer
        return ""


@contextlib.asynccontextmanager
async def site(tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    here, stop = Site(tls), asyncio.Event()
    async with asyncio.timeout(SECONDS * 3), asyncio.TaskGroup() as tasks:
        tasks.create_task(here.server.run(stop))
        await here.server.started.wait()
        try:
            yield here
        finally:
            stop.set()


async def test_pages_see_the_address_of_the_header() -> None:
    async with site() as here:
        assert await here.ask(line(PHONE, 40_000) + GET) == f"{PHONE} False http"
        assert (
            await here.ask(checked(binary("2001:db8::7", 1, "2001:db8::1")) + GET) == "2001:db8::7 False http"
        )
        assert await here.ask(line(PHONE, 40_000) + FORWARDED) == f"{PHONE} False http", (
            "a claim of the client"
        )
        assert await here.ask(line("10.0.0.9", 1) + FORWARDED) == "203.0.113.5 True http", "a second proxy"
        assert await here.ask(head(0, 0, b"") + GET) == f"{PROXY} True http", "the proxy itself"
        assert len(here.places) == 0
        assert not here.places.strangers


async def test_a_proxy_without_a_header_is_closed_and_a_stranger_with_one_is_refused() -> None:
    async with site() as here:
        for said in (GET, b"PROXY TCP4 a b 1 2\r\n" + GET, line(PHONE, 1)[:-2], b""):
            assert await here.ask(said) == ""
        assert await here.ask(GET, source="127.0.0.2") == "127.0.0.2 False http"
        assert "127.0.0.2" not in await here.ask(line(PHONE, 1) + GET, source="127.0.0.2")
        assert PHONE not in await here.ask(line(PHONE, 1) + GET, source="127.0.0.2")
        assert len(here.places) == 0


async def test_tls_follows_the_header(tmp_path: Path) -> None:
    certificate, key = certify("one.test")
    (tmp_path / "crt").write_bytes(certificate)
    (tmp_path / "key").write_bytes(key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    async with site(ServerTls(tmp_path / "crt", tmp_path / "key").context) as here:
        assert await here.ask(binary(PHONE, 1) + GET, tls=client) == f"{PHONE} False https"


async def test_the_places_are_those_of_the_address_that_is_named() -> None:
    async with site() as here:
        kept = []
        try:
            for _ in range(3):
                opened = socket.create_connection(("127.0.0.1", here.port), SECONDS, (PROXY, 0))
                opened.sendall(line(PHONE, 1))
                kept.append(opened)
            async with asyncio.timeout(SECONDS):
                while len(here.places.strangers.get(PHONE, ())) < 3:
                    await asyncio.sleep(0.01)
            assert [place.trial_ends is not None for place in here.places.strangers[PHONE]] == [
                False,
                False,
                True,
            ]
        finally:
            for opened in kept:
                opened.close()
