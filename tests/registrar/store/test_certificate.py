"""registrar/store/certificate.py: a pair that matches, for the names in use, and nobody else's files."""

import ssl
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from registrar.errors import ConfigurationError
from registrar.model import Epoch
from registrar.store.certificate import ensure, names_served

NOW: Final = Epoch(1_900_000_000.0)
DAY: Final = 86_400.0
NAMES: Final = ("sip.acme.test", "localhost", "192.0.2.7", "2001:db8::7")


def made(folder: Path, names: Sequence[str] = NAMES, now: Epoch = NOW) -> x509.Certificate:
    certificate, key = ensure(folder, names, now)
    assert (certificate, key) == (folder / "tls.crt", folder / "tls.key")
    return x509.load_pem_x509_certificate(certificate.read_bytes())


def pair(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes()


def matches(folder: Path) -> bool:
    """Whether OpenSSL takes the two together; it raises when not."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return True


def somebody_elses(folder: Path, names: Sequence[str] = ("other.test",)) -> tuple[bytes, bytes]:
    """A self-signed pair that another program made, and that ran out long ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    end = datetime.fromtimestamp(NOW, UTC) - timedelta(days=100)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(end - timedelta(days=100))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pair(folder)


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    first = made(tmp_path)
    assert matches(tmp_path)
    assert made(tmp_path, now=Epoch(NOW + DAY)) == first
    assert {path.name for path in tmp_path.iterdir()} == {"tls.crt", "tls.key", "tls.lock"}


def test_only_its_owner_may_read_the_key(tmp_path: Path) -> None:
    made(tmp_path)
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o600


def test_it_says_what_a_server_certificate_says(tmp_path: Path) -> None:
    certificate = made(tmp_path)
    subject = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert subject == {NameOID.ORGANIZATION_NAME: "registrar", NameOID.COMMON_NAME: "sip.acme.test"}
    assert certificate.issuer == certificate.subject
    assert certificate.not_valid_before_utc.timestamp() == NOW - 3600
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=397)
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["sip.acme.test", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.7"), ip_address("2001:db8::7")]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign and not usage.key_encipherment
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]


@pytest.mark.parametrize(
    ("names", "days", "kept"),
    [
        pytest.param(NAMES, 366, True, id="31 days left"),
        pytest.param(NAMES, 368, False, id="29 days left"),
        pytest.param((*NAMES, "new.test"), 1, False, id="a host name is new"),
        pytest.param((*NAMES, "192.0.2.8"), 1, True, id="an address is new"),
        pytest.param(NAMES[:1], 1, True, id="a host name is gone"),
        pytest.param(("SIP.acme.test",), 1, True, id="capitals mean nothing"),
    ],
)
def test_it_is_made_anew(tmp_path: Path, names: Sequence[str], days: int, kept: bool) -> None:
    first = made(tmp_path)
    assert (made(tmp_path, names, Epoch(NOW + days * DAY)) == first) is kept
    assert matches(tmp_path)


def test_a_pair_of_somebody_else_is_used_as_it_is(tmp_path: Path) -> None:
    before = somebody_elses(tmp_path)
    ensure(tmp_path, NAMES, NOW)
    assert pair(tmp_path) == before


def test_a_key_of_somebody_else_is_kept_when_it_came_before_its_certificate(tmp_path: Path) -> None:
    made(tmp_path)
    ours = (tmp_path / "tls.crt").read_bytes()
    _, theirs = somebody_elses(tmp_path)
    (tmp_path / "tls.crt").write_bytes(ours)
    ensure(tmp_path, (*NAMES, "new.test"), NOW)
    assert pair(tmp_path) == (ours, theirs)
    (tmp_path / "tls.crt").unlink()
    ensure(tmp_path, NAMES, NOW)
    assert (tmp_path / "tls.key").read_bytes() == theirs
    assert not (tmp_path / "tls.crt").exists()


def test_a_certificate_of_somebody_else_is_kept_when_it_came_before_its_key(tmp_path: Path) -> None:
    theirs, _ = somebody_elses(tmp_path)
    (tmp_path / "tls.key").unlink()
    ensure(tmp_path, NAMES, NOW)
    assert (tmp_path / "tls.crt").read_bytes() == theirs
    assert not (tmp_path / "tls.key").exists()


def test_what_is_no_certificate_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_bytes(b"notes\n")
    ensure(tmp_path, NAMES, NOW)
    assert (tmp_path / "tls.crt").read_bytes() == b"notes\n"


@pytest.mark.parametrize("lost", ["tls.crt", "tls.key"])
def test_half_of_our_pair_is_made_whole(tmp_path: Path, lost: str) -> None:
    first = made(tmp_path)
    (tmp_path / lost).unlink()
    assert made(tmp_path) != first
    assert matches(tmp_path)


def test_a_maker_that_was_cut_off_between_the_two_files_is_made_good(tmp_path: Path) -> None:
    made(tmp_path)
    old_key = (tmp_path / "tls.key").read_bytes()
    made(tmp_path, (*NAMES, "new.test"))
    (tmp_path / "tls.key").write_bytes(old_key)
    made(tmp_path, (*NAMES, "new.test"))
    assert matches(tmp_path)


def test_processes_that_start_at_once_have_one_pair(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from registrar.store.certificate import ensure;"
        "sys.stdin.read(1); c, k = ensure(pathlib.Path(sys.argv[1]), ['a.test'], 1.9e9);"
        "import ssl; ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(c, k);"
        "print(hash(c.read_bytes()))"
    )
    argv = [sys.executable, "-c", program, str(tmp_path)]
    started = [
        subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONHASHSEED": "1"}
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go")
        process.stdin.flush()
    told = {process.communicate(timeout=20)[0].strip() for process in started}
    assert len(told) == 1 and told != {""}
    assert {path.name for path in tmp_path.iterdir()} == {"tls.crt", "tls.key", "tls.lock"}


def test_a_folder_that_cannot_be_written_is_no_matter_while_the_pair_is_good(tmp_path: Path) -> None:
    first = made(tmp_path)
    (tmp_path / "tls.lock").unlink()
    (tmp_path / "tls.lock").mkdir()  # opening it to write fails, for root too
    assert made(tmp_path) == first
    with pytest.raises(OSError, match=r"tls\.lock"):
        made(tmp_path, (*NAMES, "new.test"))


@pytest.mark.parametrize("name", ["two words", "a:5061", "ümlaut.test", "-dash.test", "x" * 300])
def test_a_name_that_is_none_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="not a host name") as caught:
        ensure(tmp_path, ["a.test", name], NOW)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "tls.crt").exists()


def test_a_long_host_name_is_an_alternative_name_only(tmp_path: Path) -> None:
    long = "x" * 63 + ".acme.test"
    certificate = made(tmp_path, [long, "short.test"])
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert common == "short.test"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [long, "short.test"]


def test_the_names_that_clients_may_use() -> None:
    names = names_served("sip.acme.test", "pbx.acme.test", ["0.0.0.0", "::", "192.0.2.7", "127.0.0.1", ""])
    assert names[:3] == ("sip.acme.test", "pbx.acme.test", "localhost")
    assert names[-3:] == ("127.0.0.1", "::1", "192.0.2.7")
    assert len(names) == len(set(names))
    assert names_served("a.test", "", [])[:2] == ("a.test", "localhost")
