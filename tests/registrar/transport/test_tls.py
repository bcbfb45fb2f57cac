"""registrar/transport/tls.py: whoever shakes hands now gets the certificate that lies there now."""

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from registrar.errors import ConfigurationError
from registrar.transport.tls import ServerTls
from tests.patience import limit
from tests.peers.certificate import BEGIN, certify, name_in, pem, swap
from tests.peers.old_tls import old_phone

VERSIONS: Final = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Folder:
    """The two files, as an operator changes them."""

    def __init__(self, path: Path) -> None:
        self.certificate, self.key = path / "tls.crt", path / "tls.key"

    def put(self, name: str, days: int = 90) -> None:
        certificate, key = certify(name, days=days)
        swap(self.certificate, certificate)
        swap(self.key, key)

    def serve(self) -> ServerTls:
        return ServerTls(self.certificate, self.key)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.put("one.test")
    return folder


# Handshakes


def client(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that takes any certificate: which one it got is what the test asks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


class Echo:
    """A blocking server of the standard library that echoes, one thread a connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                opened, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=[opened], daemon=True).start()

    def _talk(self, opened: socket.socket) -> None:
        with contextlib.suppress(OSError), opened:
            opened.settimeout(limit(10))
            with self._context.wrap_socket(opened, server_side=True) as secured:
                while data := secured.recv(1024):
                    secured.sendall(data)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@contextlib.contextmanager
def echoing(tls: ServerTls, *, legacy: bool = False) -> Iterator[Echo]:
    echo = Echo(tls.legacy if legacy else tls.context)
    try:
        yield echo
    finally:
        echo.close()


@contextlib.contextmanager
def connected(
    port: int, context: ssl.SSLContext | None = None, name: str | None = None
) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as opened,
        (context or client()).wrap_socket(opened, server_hostname=name) as secured,
    ):
        yield secured


def served(port: int, context: ssl.SSLContext | None = None, name: str | None = None) -> str:
    """The name in the certificate that a new connection gets."""
    with connected(port, context, name) as secured:
        secured.sendall(b"x")
        assert secured.recv(1) == b"x"
        return name_in(secured.getpeercert(binary_form=True))


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("sni", [None, "one.test", "else.test"], ids=["no SNI", "SNI", "another SNI"])
def test_a_new_handshake_gets_the_new_certificate(
    folder: Folder, version: ssl.TLSVersion, sni: str | None
) -> None:
    tls = folder.serve()
    with echoing(tls) as echo:
        assert served(echo.port, client(version), sni) == "one.test"
        folder.put("two.test")
        assert served(echo.port, client(version), sni) == "one.test", "nobody has looked yet"
        assert tls.refresh()
        assert served(echo.port, client(version), sni) == "two.test"


def test_old_phones_shake_hands_at_their_listener_and_at_no_other(folder: Folder) -> None:
    tls, old = folder.serve(), old_phone()
    with echoing(tls, legacy=True) as echo:
        assert served(echo.port, old) == "one.test"
        with connected(echo.port, old) as secured:
            assert secured.version() == "TLSv1"
        assert served(echo.port, client(ssl.TLSVersion.TLSv1_3)) == "one.test"
        folder.put("two.test")
        assert tls.refresh()
        assert served(echo.port, old, "two.test") == "two.test"
    with echoing(tls) as echo, pytest.raises((ssl.SSLError, OSError)):
        served(echo.port, old)


def test_a_connection_lives_on_with_the_certificate_that_it_has(folder: Folder) -> None:
    tls = folder.serve()
    with echoing(tls) as echo, connected(echo.port) as old:
        folder.put("two.test")
        assert tls.refresh()
        assert served(echo.port) == "two.test"
        old.sendall(b"still here")
        assert old.recv(100) == b"still here"
        assert name_in(old.getpeercert(binary_form=True)) == "one.test"


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
async def test_servers_of_our_event_loop_hand_on_too(folder: Folder, version: ssl.TLSVersion) -> None:
    await hands_on(folder, version)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_servers_of_the_standard_loop_hand_on_too(folder: Folder, version: ssl.TLSVersion) -> None:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(hands_on(folder, version))


async def hands_on(folder: Folder, version: ssl.TLSVersion) -> None:
    tls = folder.serve()
    async with looping(tls) as port:
        assert await asyncio.to_thread(served, port, client(version)) == "one.test"
        folder.put("two.test")
        assert tls.refresh()
        assert await asyncio.to_thread(served, port, client(version)) == "two.test"
        assert await asyncio.to_thread(served, port, client(version), "one.test") == "two.test"


@contextlib.asynccontextmanager
async def looping(tls: ServerTls) -> AsyncIterator[int]:
    """The same echo on the event loop."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_new_pair_is_served_within_a_second(folder: Folder) -> None:
    tls = folder.serve()
    running = asyncio.create_task(tls.run())
    async with looping(tls) as port:
        folder.put("two.test")
        await asyncio.sleep(1)
        assert await asyncio.to_thread(served, port) == "two.test"
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert running.cancelled()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["-tls1_3"], "New, TLSv1.3, Cipher is", id="TLS 1.3"),
        pytest.param(["-tls1_2"], "Protocol  : TLSv1.2", id="TLS 1.2"),
        pytest.param(["-tls1_2", "-noservername"], "CN = one.test", id="no SNI"),
        pytest.param(["-tls1_3", "-noservername"], "CN = one.test", id="TLS 1.3 without SNI"),
        pytest.param(
            ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "alert protocol version", id="TLS 1.1 is old"
        ),
        pytest.param(["-alpn", "h2,http/1.1"], "ALPN protocol: http/1.1", id="HTTP"),
        pytest.param(["-alpn", "sip"], "No ALPN negotiated", id="a name that we do not know"),
        pytest.param(["-comp"], "Compression: NONE", id="no compression"),
    ],
)
def test_openssl_is_answered(folder: Folder, arguments: list[str], told: str) -> None:
    if not shutil.which("openssl"):
        pytest.skip("not installed: openssl")
    with echoing(folder.serve()) as echo:
        assert s_client(echo.port, "x\n", told, *arguments)


def test_renegotiation_is_refused(folder: Folder) -> None:
    if not shutil.which("openssl"):
        pytest.skip("not installed: openssl")
    with echoing(folder.serve()) as echo:
        assert s_client(echo.port, "R\n", "no renegotiation", "-tls1_2")


def s_client(port: int, line: str, told: str, *arguments: str) -> bool:
    """Whether openssl's client, which is sent a line, prints this within a minute."""
    with subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        assert child.stdin is not None
        child.stdin.write(line)
        child.stdin.flush()
        patience = threading.Timer(limit(1), child.kill)
        patience.start()
        assert child.stdout is not None
        found = any(told in one for one in child.stdout)
        patience.cancel()
        child.kill()
    return found


# Files


def test_nothing_new_is_no_news(folder: Folder) -> None:
    tls = folder.serve()
    assert not tls.refresh()
    assert tls.problem == ""


def test_it_says_when_the_certificate_runs_out(folder: Folder) -> None:
    tls = folder.serve()
    assert tls.expires_at == (BEGIN + timedelta(days=90)).timestamp()
    folder.put("two.test", days=30)
    tls.refresh()
    assert tls.expires_at == (BEGIN + timedelta(days=30)).timestamp()


def test_half_a_new_pair_waits_for_the_other_half(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    tls = folder.serve()
    certificate, key = certify("two.test")
    with echoing(tls) as echo, caplog.at_level(logging.WARNING):
        swap(folder.certificate, certificate)
        for _ in range(3):
            assert not tls.refresh()
        assert "do not belong together" in tls.problem
        assert len(caplog.records) == 1, "one line a change, not a look"
        assert served(echo.port) == "one.test"
        swap(folder.key, key)
        assert tls.refresh()
        assert tls.problem == ""
        assert served(echo.port) == "two.test"


def test_files_that_are_gone_stay_in_use_and_may_come_back(folder: Folder) -> None:
    tls = folder.serve()
    folder.certificate.rename(folder.certificate.with_suffix(".away"))
    assert not tls.refresh()
    assert tls.problem == f"REGISTRAR_TLS_CERT: {folder.certificate}: No such file or directory"
    with echoing(tls) as echo:
        assert served(echo.port) == "one.test"
    folder.certificate.with_suffix(".away").rename(folder.certificate)
    assert tls.refresh()
    assert tls.problem == ""


def test_a_file_written_in_place_is_noticed(folder: Folder) -> None:
    tls = folder.serve()
    certificate, key = certify("two.test")
    folder.certificate.write_bytes(certificate)
    folder.key.write_bytes(key)
    assert tls.refresh()
    assert tls.problem == ""


def test_a_link_that_points_elsewhere_is_noticed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Folder(tmp_path / name).put(f"{name}.test")
    (tmp_path / "live").symlink_to("one")
    tls = Folder(tmp_path / "live").serve()
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "live")
    assert tls.refresh()
    with echoing(tls) as echo:
        assert served(echo.port) == "two.test"


def _encrypted() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, _ = certify("one.test", key)
    return certificate, pem(key, serialization.BestAvailableEncryption(b"secret"))


def _traditional() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, _ = certify("one.test", key)
    protected = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return certificate, key.private_bytes(serialization.Encoding.PEM, form, protected)


def _rsa(bits: int = 2048) -> tuple[bytes, bytes]:
    return certify("one.test", rsa.generate_private_key(65537, bits))


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [
        pytest.param(b"", certify("a")[1], r"TLS_CERT: \S+ is not a certificate in PEM", id="empty"),
        pytest.param(b"\0" * 99, certify("a")[1], r"TLS_CERT: \S+ is not a certificate", id="zeros"),
        pytest.param(certify("a")[0][:200], certify("a")[1], "TLS_CERT: .* not a certificate", id="cut off"),
        pytest.param(certify("a")[1], certify("a")[1], "TLS_CERT: .* not a certificate", id="a key instead"),
        pytest.param(certify("a")[0], b"", r"TLS_KEY: \S+ is not a private key in PEM", id="empty key"),
        pytest.param(certify("a")[0], b"junk", "TLS_KEY: .* is not a private key", id="no key"),
        pytest.param(certify("a")[0], certify("a")[0], "TLS_KEY: .* is not a private key", id="no key in it"),
        pytest.param(certify("a")[0], certify("a")[1], "do not belong together", id="of another key"),
        pytest.param(certify("a")[0], _rsa()[1], "do not belong together", id="of another kind of key"),
        pytest.param(*_encrypted(), "TLS_KEY: the key is protected by a passphrase", id="passphrase"),
        pytest.param(*_traditional(), "TLS_KEY: the key is protected by a passphrase", id="old passphrase"),
        pytest.param(*_rsa(1024), "TLS_CERT: .* ee key too small", id="too small"),
        pytest.param(b"x" * 2_000_000, b"", "TLS_CERT: .* too big", id="too big"),
    ],
)
def test_a_pair_that_cannot_be_used_stops_the_start_with_one_line(
    tmp_path: Path, certificate: bytes, key: bytes, told: str
) -> None:
    (tmp_path / "tls.crt").write_bytes(certificate)
    (tmp_path / "tls.key").write_bytes(key)
    with pytest.raises(ConfigurationError, match=f"REGISTRAR_.*{told}") as caught:
        Folder(tmp_path).serve()
    assert "\n" not in str(caught.value)


def test_a_pair_that_is_not_there_stops_the_start_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"REGISTRAR_TLS_CERT: .*tls\.crt: No such file"):
        Folder(tmp_path).serve()
    (tmp_path / "tls.crt").write_bytes(certify("a")[0])
    with pytest.raises(ConfigurationError, match=r"REGISTRAR_TLS_KEY: .*tls\.key: No such file"):
        Folder(tmp_path).serve()
    (tmp_path / "tls.key").mkdir()
    with pytest.raises(ConfigurationError, match=r"REGISTRAR_TLS_KEY: .* is not a file"):
        Folder(tmp_path).serve()


def test_an_rsa_pair_is_as_good(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    certificate, key = _rsa()
    swap(folder.certificate, certificate)
    swap(folder.key, key)
    with echoing(folder.serve()) as echo:
        assert served(echo.port) == "one.test"
