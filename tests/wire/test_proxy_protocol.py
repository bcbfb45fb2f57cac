"""PROXY headers of a real HAProxy before TCP, TLS, WS, WSS and HTTP, and what anyone else may say there."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from tests.peers.haproxy import PROGRAM, Haproxy, Passed
from tests.peers.proxy_headers import binary, line
from tests.peers.stream import TcpPipe
from tests.wire.connected import STREAMS, ConnectedPhone, connect
from tests.wire.need import need
from tests.wire.site import Site, within

pytestmark = [pytest.mark.wire, pytest.mark.xdist_group("proxies")]

PROXY: Final = "127.0.0.3"
STRANGER: Final = "127.0.0.2"
PHONE: Final = "198.51.100.7"
OPTIONS: Final = {
    "tcp": "send-proxy",
    "tls": "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    "ws": "send-proxy-v2",
    "wss": "send-proxy-v2 proxy-v2-options crc32c check check-send-proxy inter 300ms",
    "http": "send-proxy-v2",
}
PATIENCE: Final = 60.0


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Haproxy]]:
    """A server whose listeners take PROXY headers from PROXY, and HAProxy there."""
    need("redis-cli", PROGRAM)
    folder = tmp_path_factory.mktemp("proxies")
    with Site(folder, transports=STREAMS, trusted_proxies=f"{PROXY}/32", proxy_protocol="on") as site:
        site.demo()
        targets = {**site.listeners, "http": site.http}
        passed = {name: Passed(targets[name], options) for name, options in OPTIONS.items()}
        with Haproxy(folder, passed, PROXY) as haproxy:
            yield site, haproxy


@pytest.mark.parametrize("transport", STREAMS)
def test_a_phone_behind_haproxy_is_where_it_is(transport: str, behind: tuple[Site, Haproxy]) -> None:
    site, haproxy = behind
    handset, there = site.new_phone(), f"127.0.0.{70 + STREAMS.index(transport)}"
    with ConnectedPhone(handset.account, haproxy.ports[transport], transport, source=(there, 0)) as phone:
        assert phone.register().status == 200
        shown = site.status(handset)
        assert (shown["online"], shown["publicIpAddress"], shown["publicPort"]) == (True, there, phone.port)
        assert site.phone(handset)["ip"]["address"] == there, "it is locked to its own address"
        entries = site.journal(handset)
        assert {entry["ip"] for entry in entries} == {there}
    with ConnectedPhone(
        handset.account, haproxy.ports[transport], transport, source=("127.0.0.79", 0)
    ) as elsewhere:
        assert elsewhere.register().status == 403
    assert site.status(handset)["lastRejectedReason"] == "ip-locked"


def test_a_ban_is_of_the_phone_and_not_of_its_proxy(behind: tuple[Site, Haproxy]) -> None:
    site, haproxy = behind
    handset, banned, free = site.new_phone(), ("127.0.0.81", 0), ("127.0.0.82", 0)
    with ConnectedPhone(handset.account, haproxy.ports["tls"], "tls", source=banned) as phone:
        reply = site.api("POST", "/pbx/ban", {"address": banned[0], "why": "test", "seconds": 600})
        assert reply.status == 200, reply
        assert phone.ending(PATIENCE) is not None, "an open connection is closed"
    before = site.metric("registrar_connections_closed_total", reason="banned")
    with pytest.raises(OSError):  # closed, within the handshake or before
        ConnectedPhone(handset.account, haproxy.ports["tls"], "tls", source=banned).register()
    assert site.metric("registrar_connections_closed_total", reason="banned") > before
    with ConnectedPhone(handset.account, haproxy.ports["tls"], "tls", source=free) as phone:
        assert phone.register().status == 200


def test_health_checks_of_haproxy_are_no_phones(behind: tuple[Site, Haproxy]) -> None:
    """They send LOCAL, and close."""
    site, _ = behind
    handshakes = site.metric("registrar_connections_closed_total", reason="handshake")
    within(
        PATIENCE,
        lambda: site.metric("registrar_connections_closed_total", reason="handshake") > handshakes,
        "a check has come",
    )
    assert site.metric("registrar_connections_closed_total", reason="proxy") == 0


def test_the_api_sees_the_caller_of_haproxy(behind: tuple[Site, Haproxy]) -> None:
    site, haproxy = behind
    ask = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert status(haproxy.ports["http"], ask) == 200, "figures are for this machine"
    assert status(site.http, line(PHONE, 1) + ask, PROXY) == 401, "and for no other"
    assert status(site.http, binary(PHONE, 1) + ask, PROXY) == 401
    assert status(site.http, ask, PROXY) == 0, "a proxy must say where a request comes from"
    assert status(site.http, line(PHONE, 1) + ask, STRANGER) == 400


def status(server: tuple[str, int], said: bytes, source: str = STRANGER) -> int:
    """The status of an HTTP answer, 0 if there is none."""
    with socket.create_connection(server, PATIENCE, (source, 0)) as peer:
        peer.sendall(said)
        with contextlib.suppress(ConnectionError):
            answer = peer.recv(65_536)
            return int(answer[9:12]) if answer else 0
    return 0


@pytest.mark.parametrize("header", [line(PHONE, 40_000), binary(PHONE, 40_000)], ids=["v1", "v2"])
def test_a_stranger_is_not_believed(header: bytes, behind: tuple[Site, Haproxy]) -> None:
    site, _ = behind
    for transport in STREAMS:
        pipe = TcpPipe(site.listeners[transport], (STRANGER, 0))
        with contextlib.closing(pipe):
            pipe.socket.sendall(header + b"OPTIONS sip:a SIP/2.0\r\n\r\n")
            pipe.socket.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionError):
                while pipe.socket.recv(65_536):
                    pass
    handset = site.new_phone()
    with connect(site, handset, "tcp", source=(STRANGER, 0)) as phone:
        assert phone.register().status == 200
        assert site.status(handset)["publicIpAddress"] == STRANGER


def test_a_proxy_that_says_nothing_has_no_phones(behind: tuple[Site, Haproxy]) -> None:
    site, _ = behind
    before = site.metric("registrar_connections_closed_total", reason="proxy")
    for transport in ("tcp", "ws"):
        with socket.create_connection(site.listeners[transport], PATIENCE, (PROXY, 0)) as peer:
            peer.sendall(b"OPTIONS sip:registrar.localhost SIP/2.0\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert peer.recv(1_000) == b""
    assert site.metric("registrar_connections_closed_total", reason="proxy") == before + 2
    assert f"the proxy {PROXY} is closed: it does not begin with a PROXY header" in site.log_text
