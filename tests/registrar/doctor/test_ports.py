"""registrar/doctor/ports.py: free, not ours, not usable; tests/wire/test_doctor.py has the ones of ours."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from registrar.doctor import Level, ports
from registrar.doctor.machine import open_files
from registrar.doctor.ports import Listener, check
from tests.every import every
from tests.peers.ports import free_port

KEY = b"k" * 32
STREAMS = ["tcp", "tls", "ws", "wss", "http", "https"]
KINDS = ["udp", *STREAMS]


def listener(kind: str, port: int, host: str = "127.0.0.1") -> Listener:
    return Listener(f"REGISTRAR_SIP_{kind.upper()}", kind, host, port)


@contextmanager
def held(kind: str, answer: bytes | None = None) -> Iterator[int]:
    """A port that another program has: it says nothing, or always the same."""
    number = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, number) as opened:
        opened.bind(("127.0.0.1", 0))
        if kind != "udp":
            opened.listen()
        if answer is not None:
            threading.Thread(target=_say, args=[opened, kind, answer], daemon=True).start()
        yield opened.getsockname()[1]


def _say(opened: socket.socket, kind: str, answer: bytes) -> None:
    if kind == "udp":
        _, peer = opened.recvfrom(65_535)
        opened.sendto(answer, peer)
        return
    with opened.accept()[0] as accepted:
        accepted.recv(65_535)
        accepted.sendall(answer)


@pytest.mark.parametrize("kind", KINDS)
def test_a_free_port_is_well_and_stays_free(kind: str) -> None:
    port = free_port()
    for _ in range(2):
        finding = check(listener(kind, port), KEY)
        assert (finding.level, finding.detail) == (Level.OK, f"{kind} 127.0.0.1:{port} is free")


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_whose_holder_says_nothing_fails(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "PROBE_SECONDS", 0.2)
    with held(kind) as port:
        finding = check(listener(kind, port), KEY)
    assert finding.level is Level.FAIL
    assert "held by something else" in finding.detail
    assert str(port) in finding.advice


OTHER_SIP = b"SIP/2.0 200 OK\r\nTo: <sip:x>;tag=0011223344556677\r\nContent-Length: 0\r\n\r\n"


@every(
    ("kind", "answer"),
    [
        pytest.param("udp", OTHER_SIP, id="another SIP server"),
        pytest.param("tcp", OTHER_SIP, id="another SIP server on TCP"),
        pytest.param("udp", b"\x00\xff", id="no SIP"),
        pytest.param("tcp", b"220 mail\r\n\r\n", id="a mail server"),
        pytest.param("tls", b"HTTP/1.0 200 OK\r\n\r\n", id="no TLS"),
        pytest.param("ws", b"HTTP/1.0 200 OK\r\n\r\nhello", id="a web server"),
        pytest.param("http", b'HTTP/1.0 200 OK\r\n\r\n{"status":"down"}', id="another API"),
        pytest.param("http", b"", id="a hang-up"),
    ],
)
def test_a_port_whose_holder_is_somebody_else_fails(kind: str, answer: bytes) -> None:
    with held(kind, answer) as port:
        assert check(listener(kind, port), KEY).level is Level.FAIL


def test_an_address_of_another_machine_fails() -> None:
    finding = check(listener("udp", 5060, "192.0.2.7"), KEY)
    assert finding.level is Level.FAIL
    assert "not an address of this machine" in finding.advice


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert str(listener("udp", 5060, "::")) == "udp [::]:5060"


def test_the_kernel_may_choose() -> None:
    assert check(listener("udp", 0), KEY).level is Level.OK


def test_few_open_files_are_told() -> None:
    assert open_files(1_024, 512).level is Level.WARN
    assert open_files(4_096, 3_584).level is Level.OK
    assert "room for 512 connections" in open_files(1_024, 512).detail
