"""registrar/doctor/phones.py: what a phone finds at its URL; tests/wire/test_doctor.py asks a real server."""

import itertools
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from registrar.doctor import Level
from registrar.doctor.phones import Told, check
from registrar.model import Epoch
from tests.peers.certificate import BEGIN, certify
from tests.peers.ports import free_port

COMMON, UNKNOWN = b"!download protocol: HTTPS\n", b"Not found\n"
NOW = Epoch(BEGIN.timestamp())


class Listener(BaseHTTPRequestHandler):
    """The listener for phones, or something that stands in its place."""

    common = COMMON
    unknown: Any = 404, UNKNOWN, "no-store"

    def do_GET(self) -> None:
        is_common = self.path == "/base/startup.cfg"
        status, body, told = (200, self.common, "no-store") if is_common else self.unknown
        self.send_response(status)
        self.send_header("Cache-Control", next(told) if not isinstance(told, str) else told)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@contextmanager
def listening(pair: tuple[bytes, bytes] | None, folder: Path, **changes: object) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Changed", (Listener,), changes))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a refused handshake is expected
    if pair is not None:
        (folder / "c.pem").write_bytes(pair[0])
        (folder / "k.pem").write_bytes(pair[1])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "c.pem", folder / "k.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def told(port: int, scheme: str = "https", authority: Path | None = None, host: str = "localhost") -> Told:
    return Told("REGISTRAR_PROV_URL", f"{scheme}://{host}:{port}/base", COMMON, UNKNOWN, authority)


def seen(told: Told, now: Epoch = NOW) -> list[tuple[Level, str]]:
    """The findings, without that of an address of this machine."""
    found = [(finding.level, finding.detail) for finding in check(told, now)]
    return [one for one in found if "only this machine" not in one[1]]


def test_a_good_url_is_good_and_a_certificate_of_our_own_is_told(tmp_path: Path) -> None:
    with listening(certify("localhost"), tmp_path) as port:
        found = seen(told(port, authority=tmp_path / "c.pem"))
        late = seen(told(port, authority=tmp_path / "c.pem"), Epoch(NOW + 80 * 86_400))
    assert [level for level, _ in found] == [Level.OK, Level.WARN, Level.OK]
    assert "90 days left" in found[0][1] and "our own" in found[1][1]
    assert found[2][1].endswith("is answered by this installation")
    assert late[0][0] is Level.WARN and "10 days left" in late[0][1]


@pytest.mark.parametrize(
    ("name", "days", "is_known", "told_so"),
    [
        ("else.test", 90, True, "for another name"),
        ("localhost", -1, True, "has run out"),
        ("localhost", 90, False, "signed by no authority"),
    ],
)
def test_a_certificate_that_a_phone_refuses_fails(
    tmp_path: Path, name: str, days: int, is_known: bool, told_so: str
) -> None:
    with listening(certify(name, days=days), tmp_path) as port:
        ((level, detail),) = seen(told(port, authority=tmp_path / "c.pem" if is_known else None))
    assert level is Level.FAIL and told_so in detail


def test_without_tls_it_warns_and_with_tls_at_a_port_without_it_fails(tmp_path: Path) -> None:
    with listening(None, tmp_path) as port:
        (warned, good), ((level, detail),) = seen(told(port, "http")), seen(told(port))
    assert warned[0] is Level.WARN and "not encrypted" in warned[1] and good[0] is Level.OK
    assert level is Level.FAIL and "no TLS" in detail


@pytest.mark.parametrize(
    ("changes", "told_so"),
    [
        ({"common": b"<html>"}, "another server answers (200"),
        ({"unknown": (200, UNKNOWN, "no-store")}, "not all 404 (200, 200, 200)"),
        ({"unknown": (404, b"<html>", "no-store")}, "not all 404"),
        ({"unknown": (404, UNKNOWN, map(str, itertools.count()))}, "answers to unknown files differ"),
    ],
)
def test_another_server_or_a_proxy_that_tells_too_much_fails(
    tmp_path: Path, changes: dict[str, object], told_so: str
) -> None:
    with listening(None, tmp_path, **changes) as port:
        level, detail = seen(told(port, "http"))[-1]
    assert level is Level.FAIL and told_so in detail


def test_a_name_that_does_not_resolve_fails_and_silence_warns() -> None:
    ((level, detail),) = seen(told(443, host="nowhere.invalid"))
    assert level is Level.FAIL and "nowhere.invalid does not resolve" in detail
    ((level, detail),) = seen(told(free_port()))
    assert level is Level.WARN and "nothing answers" in detail


def test_an_address_of_this_machine_alone_is_told() -> None:
    finding, *_ = check(told(free_port(), host="127.0.0.1"), NOW)
    assert finding.level is Level.WARN and "only this machine" in finding.detail
