"""HTTP connections of those who say nothing: neither the API nor phones have to do without."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.phone import Address, UdpPhone
from tests.peers.ports import free_port
from tests.peers.process import Process
from tests.peers.registrar import COMMAND
from tests.wire.conftest import Report
from tests.wire.connected import registered
from tests.wire.site import Site, within
from tests.wire.usage import Usage, files, is_as_before

pytestmark = pytest.mark.wire

SILENT: Final = 1_200
PATIENCE: Final = 60.0
STRANGERS: Final = 64
"""Connections that one source may have without a good token."""
HTTP_PLACES: Final = 128


class Narrow(Site):
    """A server that may open few files, with HTTPS beside HTTP."""

    FILES: Final = 900

    def __init__(self, tmp: Path) -> None:
        self.secure: Address = ("127.0.0.1", free_port())
        super().__init__(tmp, transports=("tcp", "tls"), https="{}:{}".format(*self.secure))
        argv = ["prlimit", f"--nofile={self.FILES}:{self.FILES}", str(COMMAND), "serve"]
        self._process = Process("registrar", argv, self._folder, environment=self.environment)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Narrow]:
    with Narrow(tmp_path_factory.mktemp("narrow")) as site:
        site.demo()
        yield site


class Crowd:
    """Peers that connect and say nothing."""

    def __init__(self, server: Address, sources: int) -> None:
        self._sockets = []
        for number in range(SILENT):
            source = f"127.0.0.{1 + number % sources}"
            self._sockets.append(socket.create_connection(server, PATIENCE, (source, 0)))

    def left(self) -> int:
        """How many of them the server has not sent away."""
        self._sockets = [peer for peer in self._sockets if not _is_over(peer)]
        return len(self._sockets)

    def close(self) -> None:
        for peer in self._sockets:
            peer.close()


def _is_over(peer: socket.socket) -> bool:
    peer.settimeout(0)
    try:
        over = peer.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        over = True
    if over:
        peer.close()
    return over


@pytest.mark.parametrize("sources", [1, 24], ids=["from one source", "from many"])
@pytest.mark.parametrize("secure", [False, True], ids=["HTTP", "HTTPS"])
def test_those_who_say_nothing_take_nothing_from_others(
    narrow: Narrow, secure: bool, sources: int, report: Report
) -> None:
    before = Usage.of(narrow)
    with contextlib.closing(Crowd(narrow.secure if secure else narrow.http, sources)) as crowd:
        for _ in range(5):  # from the address of some of them, with a token and without
            assert narrow.api("GET", "/pbx/sipphone").status == 200
            assert narrow.health("live") == 200
        for transport in ("tcp", "tls"):
            with registered(narrow, narrow.new_phone(), transport):
                pass
        handset = narrow.new_phone()
        with UdpPhone(handset.account, narrow.sip) as phone:
            assert phone.register(60).status == 200
        assert narrow.status(handset)["online"] is True
        assert files(narrow) <= before.files + HTTP_PLACES + 8
        report(f"{crowd.left()} of {SILENT} silent connections are left after phones and API were served")
        if sources == 1:
            within(PATIENCE, lambda: crowd.left() <= STRANGERS, "one source has no more than it may have")
        within(PATIENCE, lambda: crowd.left() == 0, "nobody stays who says nothing")
    is_as_before(narrow, before)


def test_a_good_token_is_good_for_many_connections(narrow: Narrow) -> None:
    """More at once than a stranger may have, all of them kept open."""
    token = narrow.demo()["token"]
    with contextlib.ExitStack() as kept:
        for _ in range(STRANGERS + 20):
            peer = kept.enter_context(socket.create_connection(narrow.http, PATIENCE))
            said = ask(peer, token)
            assert said.startswith(b"HTTP/1.1 200 "), said
        strangers = [kept.enter_context(socket.create_connection(narrow.http, PATIENCE)) for _ in range(40)]
        assert [ask(peer, "")[9:12] for peer in strangers] == [b"401"] * 40


def ask(peer: socket.socket, token: str) -> bytes:
    """What the API says first of all when it is asked over this connection."""
    credentials = f"Authorization: Bearer {token}\r\n" if token else ""
    peer.sendall(f"GET /pbx/sipphonemodels HTTP/1.1\r\nHost: a\r\n{credentials}\r\n".encode())
    return peer.recv(65_536)


def test_behind_a_trusted_proxy_it_is_the_forwarded_address_that_counts(tmp_path: Path) -> None:
    with Site(tmp_path, trusted_proxies="127.0.0.0/8") as site:
        with contextlib.ExitStack() as kept:
            proxied = [kept.enter_context(socket.create_connection(site.http, PATIENCE)) for _ in range(150)]
            assert [forward(peer, "192.0.2.7")[9:12] for peer in proxied] == [b"200"] * 150
        for unreadable in ("unknown", "192.0.2.7:80", ",".join(["192.0.2.7"] * 17)):
            with socket.create_connection(site.http, PATIENCE) as peer:
                assert forward(peer, unreadable)[9:12] == b"400"


def forward(peer: socket.socket, source: str) -> bytes:
    peer.sendall(f"GET /health/live HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {source}\r\n\r\n".encode())
    return peer.recv(65_536)


def test_two_lengths_end_the_connection(narrow: Narrow) -> None:
    """RFC 9112 section 6.1: what a proxy took for the body may be a request for us."""
    smuggled = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    body = b"2\r\n{}\r\n0\r\n\r\n"
    head = (
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(body + smuggled)
    )
    with socket.create_connection(narrow.http, PATIENCE) as peer:
        peer.sendall(head + body + smuggled)
        said = b""
        with contextlib.suppress(ConnectionError):
            while data := peer.recv(65_536):
                said += data
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in said.lower()
