"""registrar/transport/accept.py on real sockets: places are counted and given back, no socket stays open."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import shutil
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import pytest

from registrar.errors import SipError
from registrar.logs import Seldom
from registrar.model import Flow, Mono
from registrar.transport.accept import (
    EXHAUSTED_SECONDS,
    HANDSHAKES_A_SECOND,
    HANDSHAKES_IN_A_ROW,
    Acceptor,
)
from registrar.transport.connection import Connection, End, Limits
from registrar.transport.sockets import BUFFERS, KEEP_ALIVE
from registrar.transport.stream import StreamConnection
from registrar.transport.tls import ServerTls
from tests.patience import limit
from tests.peers.certificate import certify

from .pretend import Room

SECONDS: Final = limit(2.0)
"""So long anything may take that takes no time of its own."""
QUICK: Final = Limits(first_seconds=0.3)
"""For those who wait until a handshake does not come."""
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: what is closed is reset."""


class Door:
    """An acceptor on loopback, the table behind it, and all that the event loop complains of."""

    def __init__(self, transport: str, tls: ssl.SSLContext | None, limits: Limits | None) -> None:
        self.room = Room(limits)
        self.room.table.now = lambda: Mono(time.monotonic())
        self.made: list[StreamConnection] = []
        self.heard: list[bytes] = []
        self.complaints: list[dict[str, object]] = []
        self.acceptor = Acceptor(self.room.table, transport, self._make, tls)

    def _make(self, flow: Flow) -> Connection:
        self.made.append(StreamConnection(self.room.table, flow, self._receive))
        return self.made[-1]

    def _receive(self, data: bytes, flow: Flow, fault: SipError | None) -> None:
        self.heard.append(data)
        self.room.table.send(b"answer", flow)

    @property
    def standing(self) -> int:
        return len(self.room.table)

    @property
    def places(self) -> int:
        """How many of all places are taken."""
        return self.room.table._admitted

    def connect(self, host: str = "127.0.0.1", source: str | None = None) -> socket.socket:
        """A client's connection; the kernel makes it although nobody has accepted it yet."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        if source:
            opened.bind((source, 0))
        opened.connect((host, self.acceptor.port))
        opened.setblocking(False)
        return opened

    async def until(self, holds: Callable[[], bool], within: float = SECONDS) -> None:
        async with asyncio.timeout(limit(within)):
            while not holds():
                await asyncio.sleep(0.005)

    async def has_places(self, count: int) -> None:
        """So many are taken, and not one more a moment later."""
        await self.until(lambda: self.places >= count)
        await asyncio.sleep(0.03)
        await self.until(lambda: self.places <= count)  # a busy machine notices late who has gone
        await asyncio.sleep(0.03)
        assert self.places == count


@contextlib.asynccontextmanager
async def door(
    transport: str = "tcp",
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Door]:
    """Opened, and in the end looked at: nobody has a place, nothing is open, nothing was complained of."""
    loop = asyncio.get_running_loop()
    opened = Door(transport, tls, limits)
    loop.set_exception_handler(lambda _, complaint: opened.complaints.append(complaint))
    before = sockets()
    opened.acceptor.open(host, 0)
    try:
        yield opened
    finally:
        opened.acceptor.close()
        opened.room.table.abort_all()
        await opened.until(lambda: not opened.places and not opened.standing)
        await opened.until(lambda: sockets() == before)
    opened.made.clear()
    gc.collect()  # a socket that nobody closed complains now
    assert opened.complaints == []
    assert opened.room.left() == {}


def sockets() -> int:
    """How many sockets this process has open."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the folder itself
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(link.startswith("socket:") for link in links)


async def says(peer: socket.socket) -> bytes:
    """What a client hears next; nothing: it was hung up on."""
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 1_000), SECONDS)
    except ConnectionError:
        return b""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = certify("one.test")
    (folder / "crt").write_bytes(certificate)
    (folder / "key").write_bytes(key)
    return ServerTls(folder / "crt", folder / "key").context


def client(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context


class Secure:
    """A TLS client with every record in our hands."""

    def __init__(self, peer: socket.socket, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self.peer = peer
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client(version).wrap_bio(self._in, self._out)

    async def shake_hands(self) -> None:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    self._tls.do_handshake()
                except ssl.SSLWantReadError:
                    await self.flush()
                    self._in.write(await says(self.peer))
                    continue
                return await self.flush()

    def hello(self) -> bytes:
        """The ClientHello."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._out.read()

    async def flush(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self.peer, self._out.read())

    def record(self, data: bytes) -> bytes:
        """`data` as it goes on the wire."""
        self._tls.write(data)
        return self._out.read()

    def end(self) -> bytes:
        """The close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._out.read()


# Who comes in


@pytest.mark.parametrize(
    ("listens", "comes", "flow"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", ("127.0.0.1", "127.0.0.1"), id="IPv4"),
        pytest.param("0.0.0.0", "127.0.0.2", ("127.0.0.2", "127.0.0.1"), id="any of IPv4"),
        pytest.param("::1", "::1", ("::1", "::1"), id="IPv6"),
        pytest.param("::", "::1", ("::1", "::1"), id="any"),
        pytest.param("::", "127.0.0.1", ("127.0.0.1", "127.0.0.1"), id="any, folded"),
    ],
)
async def test_it_is_known_where_a_connection_comes_from(
    listens: str, comes: str, flow: tuple[str, str]
) -> None:
    async with door(host=listens) as here:
        with here.connect(comes) as peer:
            await here.until(lambda: here.standing == 1)
            made = here.made[0].flow
            assert (made.local_ip, made.remote_ip) == flow
            assert (made.local_port, made.remote_port) == (here.acceptor.port, peer.getsockname()[1])
            assert (made.transport, made.id) == ("tcp", 1)
            peer.send(b"\r\n\r\n")
            assert await says(peer) == b"\r\n"


async def test_the_kernel_looks_after_every_connection() -> None:
    async with door() as here:
        with here.connect():
            await here.until(lambda: here.standing == 1)
            transport = here.made[0]._transport
            assert transport is not None
            accepted: socket.socket = transport.get_extra_info("socket")
            for level, option, value in KEEP_ALIVE:
                assert accepted.getsockopt(level, option) == value
            for level, option, value in BUFFERS:
                assert value <= accepted.getsockopt(level, option) <= 2 * value


async def test_a_source_has_so_many_connections_and_the_others_are_hung_up_on() -> None:
    async with door(limits=Limits(unauthenticated_per_source=3)) as here:
        peers = [here.connect() for _ in range(5)]
        assert [await says(peer) for peer in peers[3:]] == [b"", b""]
        await here.until(lambda: here.standing == 3)
        assert here.room.ends() == {"refused": 2}
        for peer in peers:
            peer.close()
        await here.until(lambda: here.places == 0)
        with here.connect() as again:
            again.send(b"\r\n\r\n")
            assert await says(again) == b"\r\n"


async def test_a_port_that_is_taken_is_told() -> None:
    async with door() as here:
        before = sockets()
        with pytest.raises(OSError, match="in use"):
            Acceptor(here.room.table, "tcp", here.made.append, None).open(  # type: ignore[arg-type]
                "127.0.0.1", here.acceptor.port
            )
        assert sockets() == before


# TLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_comes_first(tls: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    async with door("tls", tls) as here:
        with here.connect() as peer:
            await here.until(lambda: here.places == 1)
            assert here.standing == 0
            phone = Secure(peer, version)
            await phone.shake_hands()
            peer.send(phone.record(b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n"))
            await here.until(lambda: bool(here.heard))
            assert (here.standing, here.places) == (1, 1)
            assert here.made[0].flow.transport == "tls"


def never(peer: socket.socket) -> None:
    """Say nothing at all."""


def half(peer: socket.socket) -> None:
    """The beginning of a ClientHello."""
    peer.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")


def junk(peer: socket.socket) -> None:
    """Neither TLS nor SIP."""
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def goodbye(peer: socket.socket) -> None:
    """FIN."""
    half(peer)
    peer.shutdown(socket.SHUT_WR)


def reset(peer: socket.socket) -> None:
    """RST."""
    half(peer)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.close()


@pytest.mark.parametrize(
    ("does", "waits"),
    [(never, True), (half, True), (junk, False), (goodbye, False), (reset, False)],
    ids=["silence", "half a hello", "HTTP", "FIN", "RST"],
)
async def test_a_handshake_that_does_not_come_gives_its_place_back(
    does: Callable[[socket.socket], None],
    waits: bool,
    tls: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with door("tls", tls, QUICK) as here:
        with here.connect() as peer:
            began = time.monotonic()
            await here.until(lambda: here.places == 1)
            does(peer)
            await here.until(lambda: here.places == 0)
            took = time.monotonic() - began
            assert (took >= QUICK.first_seconds) is waits
            assert took < limit(QUICK.first_seconds + 0.3)
            if peer.fileno() >= 0:
                await here.until(lambda: select_closed(peer))
        assert here.standing == 0
        assert here.room.ends() == {"handshake": 1}
    assert not caplog.records


def select_closed(peer: socket.socket) -> bool:
    """Whether the server has hung up."""
    try:
        return peer.recv(1_000) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def end(peer: socket.socket) -> None:
    """FIN."""
    peer.shutdown(socket.SHUT_WR)


def message_and_reset(peer: socket.socket) -> None:
    """RST, while an answer is on its way."""
    peer.send(b"\r\n\r\n" * 200)
    reset(peer)


@pytest.mark.parametrize("does", [end, junk, reset, message_and_reset], ids=lambda does: does.__name__)
async def test_nothing_that_a_peer_does_to_tcp_is_worth_a_line(
    does: Callable[[socket.socket], None], caplog: pytest.LogCaptureFixture
) -> None:
    async with door() as here:
        with here.connect() as peer:
            await here.until(lambda: here.standing == 1)
            does(peer)
            if does is junk:
                await here.until(lambda: here.made[0].ended is End.MALFORMED)
                peer.close()
            await here.until(lambda: here.standing == 0)
    assert not caplog.records


def bad_record(phone: Secure) -> None:
    record = bytearray(phone.record(b"hello"))
    record[-1] ^= 1
    phone.peer.send(record)


def junk_after(phone: Secure) -> None:
    phone.peer.send(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n")


def end_of_tls(phone: Secure) -> None:
    phone.peer.send(phone.end())


def end_of_tcp(phone: Secure) -> None:
    phone.peer.shutdown(socket.SHUT_WR)


def end_and_more(phone: Secure) -> None:
    more = phone.record(b"hello")
    phone.peer.send(phone.end() + more)


def reset_after(phone: Secure) -> None:
    phone.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    phone.peer.close()


FAULTS: Final = [bad_record, junk_after, end_of_tls, end_of_tcp, end_and_more, reset_after]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda v: v.name)
@pytest.mark.parametrize("does", FAULTS, ids=lambda does: does.__name__)
async def test_nothing_that_a_peer_does_to_tls_is_worth_a_line(
    does: Callable[[Secure], None],
    version: ssl.TLSVersion,
    tls: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with door("tls", tls) as here:
        with here.connect() as peer:
            phone = Secure(peer, version)
            await phone.shake_hands()
            await here.until(lambda: here.standing == 1)
            does(phone)
            await here.until(lambda: here.standing == 0)
        assert here.room.ends() == {"peer": 1}
    assert not caplog.records


@pytest.mark.parametrize("says_goodbye", [False, True], ids=["FIN", "close_notify"])
async def test_answers_to_a_peer_that_has_gone_are_not_worth_more_than_a_line(
    says_goodbye: bool, tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    """The event loop says for each of them that the connection is closed, and does not tell us."""
    seldom, loops = Seldom(), logging.getLogger("asyncio")
    loops.addFilter(seldom)
    async with door("tls", tls) as here:
        with here.connect() as peer:
            phone = Secure(peer)
            await phone.shake_hands()
            await here.until(lambda: here.standing == 1)
            phone_here = here.made[0]
            while "_blocked" not in here.room.left():
                phone_here.send(b"x" * 5_000)
            if says_goodbye:
                peer.send(phone.end())
            peer.shutdown(socket.SHUT_WR)
            await asyncio.sleep(0.05)
            for _ in range(100):
                phone_here.send(b"late")
        await here.until(lambda: here.standing == 0)
    loops.removeFilter(seldom)
    assert len(caplog.records) <= 1


async def test_renegotiation_is_not_worth_a_line(
    tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("not installed: openssl")
    async with door("tls", tls) as here:
        arguments = ["s_client", "-connect", f"127.0.0.1:{here.acceptor.port}", "-tls1_2"]
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            "openssl", *arguments, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(b"R\n")
        said = b""
        async with asyncio.timeout(limit(10)):
            while b"no renegotiation" not in said:
                said += await child.stdout.read(1_000)
            child.stdin.close()
            await child.communicate()
        await here.until(lambda: bool(here.made) and here.standing == 0)
    assert not caplog.records


class Greeters:
    """Peers that have begun TLS, and how many of them were answered."""

    def __init__(self, here: Door) -> None:
        self._here = here
        self._peers: list[socket.socket] = []
        self._answered = 0

    def come(self, count: int, source: str | None = None) -> None:
        for _ in range(count):
            peer = self._here.connect(source=source)
            peer.send(Secure(peer).hello())
            self._peers.append(peer)

    def has_answer(self, peer: socket.socket) -> bool:
        try:
            return bool(peer.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False

    async def are_answered(self, count: int) -> None:
        """So many up to now, and not one more a moment later."""
        await self._here.until(lambda: sum(map(self.has_answer, self._peers)) >= count)
        await asyncio.sleep(0.03)
        assert sum(map(self.has_answer, self._peers)) == count

    def __enter__(self) -> "Greeters":
        return self

    def __exit__(self, *_: object) -> None:
        for peer in self._peers:
            peer.close()


async def test_handshakes_are_begun_at_a_rate(tls: ssl.SSLContext) -> None:
    async with door("tls", tls) as here:
        here.room.table.now = here.room.clock
        with Greeters(here) as peers:
            peers.come(2 * HANDSHAKES_IN_A_ROW + 5)
            await peers.are_answered(HANDSHAKES_IN_A_ROW)
            assert here.places == 2 * HANDSHAKES_IN_A_ROW + 5
            here.room.clock.pass_(3.5 / HANDSHAKES_A_SECOND)
            await peers.are_answered(HANDSHAKES_IN_A_ROW + 3)
            here.room.clock.pass_(60)
            await peers.are_answered(2 * HANDSHAKES_IN_A_ROW + 3)
            here.room.clock.pass_(60)
            await peers.are_answered(2 * HANDSHAKES_IN_A_ROW + 5)


async def test_who_is_refused_takes_nobodys_handshake(tls: ssl.SSLContext) -> None:
    async with door("tls", tls, Limits(unauthenticated_per_source=1)) as here:
        here.room.table.now = here.room.clock
        with Greeters(here) as peers, contextlib.ExitStack() as refused:
            for _ in range(5 * HANDSHAKES_IN_A_ROW):
                refused.enter_context(here.connect())
            await here.until(lambda: here.room.ended(End.REFUSED) == 5 * HANDSHAKES_IN_A_ROW - 1)
            peers.come(1, source="127.0.0.2")
            await peers.are_answered(1)


async def test_who_says_nothing_takes_nobodys_handshake(tls: ssl.SSLContext) -> None:
    """Nor does who has gone before he said a word."""
    async with door("tls", tls) as here:
        here.room.table.now = here.room.clock
        with Greeters(here) as peers, contextlib.ExitStack() as silent:
            for _ in range(5 * HANDSHAKES_IN_A_ROW):
                silent.enter_context(here.connect())
                here.connect().close()
            await here.has_places(5 * HANDSHAKES_IN_A_ROW)
            assert here.room.ended(End.HANDSHAKE) == 5 * HANDSHAKES_IN_A_ROW
            peers.come(HANDSHAKES_IN_A_ROW)
            await peers.are_answered(HANDSHAKES_IN_A_ROW)


# Out of file descriptors


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
    async with door() as here:
        with here.connect() as first:
            await here.until(lambda: here.standing == 1)
            with contextlib.ExitStack() as peers:
                others = [peers.enter_context(here.connect()) for _ in range(3)]
                used = time.process_time()
                with exhausted():
                    await asyncio.sleep(2 * EXHAUSTED_SECONDS + 0.3)
                    first.send(b"\r\n\r\n")
                    assert await says(first) == b"\r\n", "who is there is served"
                assert time.process_time() - used < 0.5, "nobody turns round in circles"
                assert here.standing == 1
                await here.until(lambda: here.standing == 4, EXHAUSTED_SECONDS + 0.5)
                for other in others:
                    other.send(b"\r\n\r\n")
                    assert await says(other) == b"\r\n"
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["no connection can be accepted for a second: Too many open files"]


async def test_a_fault_that_nobody_has_thought_of_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with door() as here:
        listening = here.acceptor._socket
        assert listening is not None
        used = time.process_time()
        listening.shutdown(socket.SHUT_RDWR)  # from now on each accept is an invalid argument
        await asyncio.sleep(2 * EXHAUSTED_SECONDS + 0.3)
        assert time.process_time() - used < 0.5, "nobody turns round in circles"
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["no connection can be accepted for a second: Invalid argument"]


# The end


async def test_a_port_is_free_again_at_once() -> None:
    """Although connections over it have just been closed by the server."""
    async with door() as here:
        with here.connect() as peer:
            await here.until(lambda: here.standing == 1)
            here.room.table.close_all()
            assert await says(peer) == b""
        port = here.acceptor.port
        here.acceptor.close()
        here.acceptor.open("127.0.0.1", port)
        with here.connect():
            await here.until(lambda: here.standing == 1)


async def test_a_closed_door_is_closed() -> None:
    async with door() as here:
        with here.connect() as peer:
            await here.until(lambda: here.standing == 1)
            port = here.acceptor.port
            here.acceptor.close()
            here.acceptor.close()
            with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                pass
            peer.send(b"\r\n\r\n")
            assert await says(peer) == b"\r\n", "who is in stays in"


@pytest.mark.parametrize("steps", range(12))
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_it_may_close_at_any_moment(steps: int, secure: bool, tls: ssl.SSLContext) -> None:
    """Whoever is on the way in then is in, or is not, and has no place or is known to have one."""
    async with door("tls" if secure else "tcp", tls if secure else None) as here:
        with contextlib.ExitStack() as peers:
            for _ in range(3):
                peers.enter_context(here.connect())
            for _ in range(steps):
                await asyncio.sleep(0)
            here.acceptor.close()
            await asyncio.sleep(0.02)
            assert here.places == here.standing
            here.room.table.close_all()
            await here.until(lambda: here.standing == 0)


async def test_it_may_close_while_hands_are_shaken(tls: ssl.SSLContext) -> None:
    async with door("tls", tls) as here:
        with here.connect() as waiting, here.connect() as peer:
            phone = Secure(peer)
            await phone.shake_hands()
            await here.until(lambda: here.places == 2 and here.standing == 1)
            here.acceptor.close()
            assert await says(waiting) == b""
            assert (here.places, here.standing) == (1, 1)
            assert here.room.ends() == {"handshake": 1}
