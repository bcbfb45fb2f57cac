"""The API on TLS: the same pages, and the certificate that lies there now."""

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers import registrar
from tests.peers.certificate import certify, name_in, swap
from tests.peers.ports import free_port
from tests.wire.conftest import Report
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

DAY: Final = 86_400


class SecureSite(Site):
    """A server with HTTPS beside HTTP, on its own certificate or on one that it is given."""

    def __init__(self, tmp: Path, **settings: str) -> None:
        self.secure = free_port()
        listener = f"127.0.0.1:{self.secure}"
        super().__init__(tmp, tenant=None, arguments=("serve",), https=listener, **settings)

    @contextlib.contextmanager
    def connected(self, context: ssl.SSLContext | None = None) -> Iterator[http.client.HTTPSConnection]:
        """A connection whose certificate is not looked at, unless `context` does."""
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("localhost", self.secure, timeout=10, context=context)
        try:
            connection.connect()
            yield connection
        finally:
            connection.close()

    @property
    def served(self) -> str:
        """Whose certificate a new connection gets."""
        with self.connected() as connection:
            return shown(connection)

    def degraded(self) -> list[str]:
        """What /health/ready says about the certificate; the code stays 200."""
        reply = self.api("GET", "/health/ready", token="")
        assert reply.status == 200
        return [line for line in reply.body["degraded"] if "country" not in line]


def shown(connection: http.client.HTTPSConnection) -> str:
    assert isinstance(connection.sock, ssl.SSLSocket)
    return name_in(connection.sock.getpeercert(binary_form=True))


def get(connection: http.client.HTTPSConnection, path: str, token: str = "") -> tuple[int, Any]:
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureSite]:
    """A server with the certificate that it made itself."""
    with SecureSite(tmp_path_factory.mktemp("own")) as site:
        yield site


def test_the_certificate_of_the_first_start_can_be_trusted(own: SecureSite) -> None:
    trusting = ssl.create_default_context(cafile=Path(own.settings["data_dir"]) / "tls.crt")
    with own.connected(trusting) as connection:
        assert get(connection, "/health/live") == (200, {"status": "up"})
        assert shown(connection) == own.settings["domain"]


def test_the_pages_are_the_same(own: SecureSite) -> None:
    plain = own.api("GET", "/pbx/sipphone")
    with own.connected() as connection:
        assert get(connection, "/pbx/sipphone", own.demo()["token"]) == (plain.status, plain.body)
        assert get(connection, "/pbx/sipphone")[0] == 401


def test_the_end_of_the_certificate_is_a_figure(own: SecureSite) -> None:
    begun = Path(own.settings["data_dir"]).joinpath("tls.crt").stat().st_mtime
    assert own.metric("registrar_tls_certificate_expiry_timestamp_seconds") == pytest.approx(
        begun + 397 * DAY - 3600, abs=5
    )
    assert own.degraded() == []


def test_without_tls_there_is_neither_a_figure_nor_a_file(site: Site) -> None:
    assert "tls_certificate" not in site.api("GET", "/metrics", token="").body
    assert not Path(site.settings["data_dir"]).joinpath("tls.crt").exists()


def test_what_is_no_handshake_leaves_no_trace(own: SecureSite) -> None:
    hello = client_hello("a-name-of-a-server.test")
    odd = hello.replace(b"a-name-of", b"\xff\xfe\x1b[2J\n\n\n")
    assert len(odd) == len(hello)
    before = own.log_text
    for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 600, hello[:80], odd):
        with socket.create_connection(("127.0.0.1", own.secure), timeout=5) as peer:
            peer.sendall(junk)
            peer.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while peer.recv(1_000):
                    pass
    assert own.served == own.settings["domain"]
    assert own.log_text == before


def client_hello(name: str) -> bytes:
    """The first words of a client that wants to talk to `name`."""
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(theirs, ours, server_hostname=name).do_handshake()
    return ours.read()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for one.test as an operator puts it there."""
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for path, content in zip((certificate, key), certify("one.test"), strict=True):
        path.write_bytes(content)
    return certificate, key


def test_a_new_pair_is_served_without_a_restart(
    tmp_path: Path, pair: tuple[Path, Path], report: Report
) -> None:
    certificate, key = pair
    with SecureSite(tmp_path, tls_cert=str(certificate), tls_key=str(key)) as site:
        assert site.served == "one.test"
        with site.connected() as old:
            assert get(old, "/health/live")[0] == 200
            new_certificate, new_key = certify("two.test")
            swap(certificate, new_certificate)
            swap(key, new_key)
            took = within(1, lambda: site.served == "two.test", "the new certificate is served")
            report(f"the new certificate is served after {1000 * took:.0f} ms")
            assert get(old, "/health/live")[0] == 200
            assert shown(old) == "one.test"


def test_half_a_pair_is_told_and_the_old_one_served(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    with SecureSite(tmp_path, tls_cert=str(certificate), tls_key=str(key)) as site:
        new_certificate, new_key = certify("two.test", days=10)
        swap(certificate, new_certificate)
        within(2, lambda: any("do not belong together" in line for line in site.degraded()), "it is told")
        assert site.served == "one.test"
        swap(key, new_key)
        within(2, lambda: site.served == "two.test", "the whole pair is served")
        assert site.degraded() == ["the certificate runs out in 10.0 days"]
        swap(certificate, (old := certify("old.test", days=-1))[0])
        swap(key, old[1])
        within(2, lambda: site.degraded() == ["the certificate has run out"], "the end is told")
        assert "Traceback" not in site.log_text


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param({"tls_cert": "chain.pem"}, "REGISTRAR_TLS_CERT is given", id="one of the two"),
        pytest.param({"tls_key": "key.pem"}, "REGISTRAR_TLS_KEY is given", id="the other of the two"),
        pytest.param({"tls_cert": "no", "tls_key": "key.pem"}, "REGISTRAR_TLS_CERT: no: No such", id="none"),
        pytest.param({"tls_cert": "key.pem", "tls_key": "key.pem"}, "is not a certificate", id="a key"),
        pytest.param({"public_host": "two words"}, "REGISTRAR_PUBLIC_HOST: 'two words'", id="no name"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    tmp_path: Path, pair: tuple[Path, Path], settings: dict[str, str], told: str
) -> None:
    code, line = start(tmp_path, https=f"127.0.0.1:{free_port()}", **settings)
    assert code == 2
    assert told in line


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, own: SecureSite) -> None:
    code, line = start(tmp_path, https=f"127.0.0.1:{own.secure}")
    assert code == 2
    assert line == f"registrar: REGISTRAR_HTTPS: 127.0.0.1:{own.secure}: Address already in use"


def start(folder: Path, **settings: str) -> tuple[int, str]:
    """`registrar serve api` that does not begin to serve: its exit code, and the one line that is no log."""
    given = {"data_dir": str(folder / "data"), "http": "", "log_level": "error", **settings}
    environment = {f"REGISTRAR_{name.upper()}": given[name] for name in given}
    done = registrar.run(folder, "serve", "api", environment=environment)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    return done.returncode, lines[0]
