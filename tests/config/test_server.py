"""config/server.py on real sockets: each connection has its time, by a clock that the test turns.

What is asserted never depends on how fast the machine is: the clock stands still unless a test turns it.
"""

import asyncio
import contextlib
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from config.places import HttpLimits, Places
from config.server import EXHAUSTED_SECONDS, HttpServer
from config.web import KnownSource, Outermost
from registrar.model import Mono
from registrar.transport.tls import ServerTls
from tests.peers.certificate import certify
from tests.peers.ports import free_port

PATIENCE = 60.0
"""For what must come, on a busy machine."""
LARGE = 4 * 1024 * 1024
GET = b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n"


class Site:
    """A server of a few pages, its clock, and ways to be its peer."""

    def __init__(self, limits: HttpLimits, tls: ssl.SSLContext | None) -> None:
        self.now = 1_000.0
        self.looks = 0
        """How often the server has read the clock: it does so before it looks at its connections."""
        self.places = Places(self._clock, limits)
        self.port = free_port()
        self.go_on = asyncio.Event()
        self.cut = asyncio.Event()
        """Set when a page has seen its client go."""
        pages = Starlette(
            routes=[
                Route("/short", self._short, methods=["GET"]),
                Route("/body", self._body, methods=["POST"]),
                Route("/slow", self._slow, methods=["GET", "POST"]),
                Route("/large", self._large),
                Route("/stream", self._stream),
            ]
        )
        app = FastAPI()
        app.mount("/", pages)
        app.add_middleware(KnownSource, trusted=())
        app.add_middleware(Outermost)
        self.server = HttpServer([("127.0.0.1", self.port)], app, self.places, tls)

    def _clock(self) -> Mono:
        self.looks += 1
        return Mono(self.now)

    async def _short(self, _request: Request) -> Response:
        return PlainTextResponse("short")

    async def _body(self, request: Request) -> Response:
        try:
            return PlainTextResponse(str(len(await request.body())))
        except ClientDisconnect:
            self.cut.set()
            raise

    async def _slow(self, request: Request) -> Response:
        await self.go_on.wait()
        return PlainTextResponse(str(len(await request.body())))

    async def _large(self, _request: Request) -> Response:
        return Response(bytes(LARGE))

    async def _stream(self, _request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield bytes(LARGE // 64)

        return StreamingResponse(pieces())

    async def turn(self, seconds: float) -> None:
        """Let some time go by, which the server sees."""
        await self.look()
        self.now += seconds
        await self.look()

    async def look(self) -> None:
        """Wait until the server has looked at all connections as they are now."""
        wanted = self.looks + 2
        async with asyncio.timeout(PATIENCE):
            while self.looks < wanted:
                await asyncio.sleep(0.01)

    async def until_left(self, count: int) -> None:
        """Wait until so many connections are left."""
        async with asyncio.timeout(PATIENCE):
            while len(self.places) != count:
                await asyncio.sleep(0.01)


class Peer:
    """A client that says what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self) -> bytes:
        """One answer, whole."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return head + await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
            return b""

    @property
    def is_closed(self) -> bool:
        return self.reader.at_eof()


@contextlib.asynccontextmanager
async def site(limits: HttpLimits | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    here, stop = Site(limits or HttpLimits(), tls), asyncio.Event()
    async with asyncio.timeout(PATIENCE * 2), asyncio.TaskGroup() as tasks:
        tasks.create_task(here.server.run(stop))
        await here.server.started.wait()
        try:
            yield here
        finally:
            here.go_on.set()
            stop.set()


@contextlib.asynccontextmanager
async def peer(here: Site, said: bytes = b"", receives: int = 0) -> AsyncIterator[Peer]:
    plain = socket.socket()
    if receives:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", here.port))
    reader, writer = await asyncio.open_connection(sock=plain, limit=receives or 65_536)
    writer.write(said)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


# Headers: 10 s


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(b"", b"", id="silence"),
        pytest.param(GET[:-3], b"HTTP/1.1 408 ", id="headers without an end"),
        pytest.param(b"\r\n", b"", id="an empty line"),
    ],
)
async def test_headers_have_ten_seconds(said: bytes, told: bytes) -> None:
    async with site() as here, peer(here, said) as slow:
        await here.turn(9.5)
        assert not slow.is_closed
        await here.turn(0.6)
        assert (await slow.rest()).startswith(told)
        await here.until_left(0)


async def test_octets_that_come_one_by_one_win_no_time() -> None:
    async with site() as here, peer(here, b"GET /short HT") as slow:
        for octet in b"TP/1.1\r\n":
            await here.turn(1.5)
            slow.say(bytes([octet]))
        assert (await slow.rest()).startswith(b"HTTP/1.1 408 ")


async def test_the_next_request_has_its_own_ten_seconds() -> None:
    async with site() as here, peer(here, GET) as slow:
        assert b"200 OK" in await slow.hear()
        await here.turn(40)
        slow.say(GET[:-3])
        await here.turn(9.5)
        slow.say(GET[-3:])
        assert b"200 OK" in await slow.hear()
        slow.say(GET[:5])
        await here.turn(10.1)
        assert (await slow.rest()).startswith(b"HTTP/1.1 408 ")


# A body: 10 s and one for each 64 KiB


def post(length: int, body: bytes = b"", path: str = "/body", more: bytes = b"") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n%s" % (
        path.encode(), length, more, body
    )  # fmt: skip


async def test_a_body_has_ten_seconds() -> None:
    async with site() as here, peer(here, post(4, b"ab")) as slow, peer(here, post(4, b"ab")) as quick:
        await here.turn(9.5)
        quick.say(b"cd")
        assert (await quick.hear()).endswith(b"\r\n\r\n4")
        await here.turn(0.6)
        assert (await slow.rest()).startswith(b"HTTP/1.1 408 ")
        await asyncio.wait_for(here.cut.wait(), PATIENCE)
        await here.until_left(1)


async def test_a_large_body_has_a_second_more_for_each_64_kib() -> None:
    size = 3 * 65_536
    async with site() as here, peer(here, post(size + 1)) as slow:
        await here.look()
        slow.say(bytes(size))
        await here.turn(12.5)
        assert not slow.is_closed
        await here.turn(1)
        assert (await slow.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_peer_that_waits_for_our_word_is_not_late() -> None:
    expecting = post(2, path="/slow", more=b"Expect: 100-continue\r\n")
    async with site() as here, peer(here, expecting) as polite:
        await here.turn(60)
        assert not polite.is_closed
        here.go_on.set()
        async with asyncio.timeout(PATIENCE):
            assert b" 100 " in await polite.reader.readuntil(b"\r\n\r\n")
        polite.say(b"ab")
        assert (await polite.hear()).endswith(b"\r\n\r\n2")


# An answer


async def test_what_takes_us_long_is_nobodys_fault() -> None:
    async with site() as here, peer(here, GET.replace(b"short", b"slow")) as patient:
        await here.turn(600)
        here.go_on.set()
        assert (await patient.hear()).endswith(b"\r\n\r\n0")


@pytest.mark.parametrize("path", [b"large", b"stream"])
async def test_an_answer_that_is_not_read_is_given_up(path: bytes) -> None:
    async with site() as here, peer(here, GET.replace(b"short", path), receives=4_096):
        await here.turn(9.5)
        assert len(here.places) == 1
        await here.turn(1 + LARGE / 65_536)
        await here.until_left(0)


async def test_a_slow_reader_of_a_stream_gets_all_of_it() -> None:
    async with site() as here, peer(here, GET.replace(b"short", b"stream"), receives=65_536) as slow:
        heard = b""
        async with asyncio.timeout(PATIENCE):
            for _ in range(4):
                heard += await slow.reader.readexactly(LARGE // 5)
                await here.turn(8)
            while not heard.endswith(b"\r\n0\r\n\r\n"):
                heard += await slow.reader.read(65_536) or pytest.fail("the answer was cut off")
        assert len(heard) > LARGE
        assert len(here.places) == 1


async def test_an_idle_connection_is_closed() -> None:
    async with site(HttpLimits(idle_seconds=1)) as here, peer(here, GET) as idle:
        assert b"200 OK" in await idle.hear()
        assert await idle.rest() == b""
        await here.until_left(0)


async def test_what_two_parties_may_read_differently_is_the_last_of_its_connection() -> None:
    two_lengths = post(3, b"2\r\nab\r\n0\r\n\r\n", more=b"Transfer-Encoding: chunked\r\n")
    async with site() as here, peer(here, two_lengths + GET) as smuggler:
        said = await smuggler.rest()
        assert said.endswith(b"\r\n\r\n2")
        assert b"connection: close" in said.lower()


# Places


async def test_the_place_of_a_stranger_is_its_own_until_it_goes() -> None:
    async with site(HttpLimits(strangers_per_source=2)) as here:
        async with peer(here) as first, peer(here), peer(here) as third:
            await here.until_left(3)
            await here.turn(1.9)
            assert not third.is_closed, "it may still show a token"
            await here.turn(0.2)
            assert await third.rest() == b""
            async with peer(here, GET) as fourth:
                assert await first.rest() == b"", "who says nothing makes room"
                assert b"200 OK" in await fourth.hear()
        await here.until_left(0)


async def test_no_source_is_answered_more_often_at_once_than_it_may() -> None:
    slow = GET.replace(b"short", b"slow")
    limits = HttpLimits(strangers_per_source=2)
    async with site(limits) as here, peer(here, slow) as first, peer(here, slow) as second:
        await here.look()
        async with peer(here, GET) as third:
            assert b"429 Too Many Requests" in await third.rest()
        here.go_on.set()
        assert [b"200 OK" in await each.hear() for each in (first, second)] == [True, True]


async def test_when_all_are_taken_the_next_one_is_served_all_the_same() -> None:
    async with site(HttpLimits(total=5)) as here, contextlib.AsyncExitStack() as silent:
        for _ in range(40):
            await silent.enter_async_context(peer(here))
        await here.until_left(5)
        async with peer(here, GET) as honest:
            assert b"200 OK" in await honest.hear()


@contextlib.contextmanager
def exhausted() -> Iterator[None]:
    """This process may open nothing more."""
    lowest = os.dup(0)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_file_descriptors_it_waits_and_then_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async with site() as here, peer(here, GET) as first:
        assert b"200 OK" in await first.hear()
        second = socket.socket()
        second.setblocking(False)
        with contextlib.closing(second), exhausted():
            await asyncio.get_running_loop().sock_connect(second, ("127.0.0.1", here.port))
            await asyncio.sleep(2 * EXHAUSTED_SECONDS)
            first.say(GET)
            assert b"200 OK" in await first.hear()
            assert len(here.places) == 1
        async with peer(here, GET) as third:
            assert b"200 OK" in await third.hear()
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert lines == ["no HTTP connection can be accepted for a second: Too many open files"]


# TLS


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """The context of a server."""
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for path, content in zip((certificate, key), certify("one.test"), strict=True):
        path.write_bytes(content)
    return ServerTls(certificate, key).context


async def test_a_handshake_has_its_time(tls: ssl.SSLContext) -> None:
    async with site(HttpLimits(handshake_seconds=0.5), tls) as here, peer(here) as silent:
        await here.until_left(1)
        assert await silent.rest() == b""
        await here.until_left(0)


async def test_a_stranger_in_a_handshake_makes_room_too(tls: ssl.SSLContext) -> None:
    limits = HttpLimits(total=2, handshake_seconds=PATIENCE)
    async with site(limits, tls) as here, peer(here) as first, peer(here), peer(here):
        assert await first.rest() == b""
        await here.until_left(2)


async def test_over_tls_the_times_are_the_same(tls: ssl.SSLContext) -> None:
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with site(tls=tls) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port, ssl=trusting)
        secure = Peer(reader, writer)
        secure.say(GET)
        assert b"200 OK" in await secure.hear()
        secure.say(GET[:-3])
        await here.turn(9.5)
        assert not secure.is_closed
        await here.turn(0.6)
        assert (await secure.rest()).startswith(b"HTTP/1.1 408 ")
        await here.until_left(0)
        writer.transport.abort()


# The end


async def test_it_ends_although_some_say_nothing() -> None:
    async with site() as here, peer(here) as silent, peer(here, post(4, b"a")):
        await here.until_left(2)
    assert await silent.rest() == b""
