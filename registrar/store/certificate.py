"""Self-signed certificate of an installation that has no other, made at first start and before it expires.

Its two files are written under a lock, the certificate first, each of them in one step. If our certificate
does not match our key, then its maker was interrupted, and the next process makes both again. Files from
another source are used as they are and never written.
"""

import contextlib
import fcntl
import os
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from registrar.errors import ConfigurationError
from registrar.model import Epoch

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
MAKER: Final = "registrar"
"""The organisation in certificates that we made."""
MARK: Final = b"# made by registrar\n"
"""The first line of keys that we made; readers of PEM skip it."""
VALID: Final = timedelta(days=397)
"""The longest validity that browsers accept."""
RENEWED_BEFORE: Final = timedelta(days=30)
EARLIER: Final = timedelta(hours=1)
"""Allowance for phones whose clocks are behind."""
MAX_COMMON_NAME: Final = 64  # RFC 5280, ub-common-name

_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._\-]{0,251}[A-Za-z0-9])?")


def ensure(directory: Path, names: Sequence[str], now: Epoch) -> tuple[Path, Path]:
    """Return certificate and key for `names` in `directory`. Make them if they are missing or expire soon.

    Raises OSError, and ConfigurationError for a name that a certificate cannot contain.
    """
    certificate, key = directory / CERTIFICATE, directory / KEY
    moment = datetime.fromtimestamp(now, UTC)
    if not _good(certificate, key, names, moment):
        with _alone(directory):
            if not _good(certificate, key, names, moment):  # no other process made it while we waited
                _make(certificate, key, names, moment)
    return certificate, key


def names_served(domain: str, public_host: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the names and addresses that clients may use for this machine.

    Wildcards in `addresses` are left out.
    """
    machine = socket.gethostname().lower()
    hosts = [domain, public_host, "localhost", machine if _HOST.fullmatch(machine) else ""]
    literals = ["127.0.0.1", "::1", *(text for text in addresses if text and not _wildcard(text))]
    return tuple(dict.fromkeys(name for name in [*hosts, *literals] if name))


def names_in(certificate: x509.Certificate) -> list[str]:
    """Return the alternative names and addresses that a certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    addresses = map(str, extension.get_values_for_type(x509.IPAddress))
    return [*extension.get_values_for_type(x509.DNSName), *addresses]


def covers(entry: str, name: str) -> bool:
    """Return whether `entry`, a name or address in a certificate, matches `name`.

    `*` matches one label, the first (RFC 6125 6.4.3).
    """
    entry, name = entry.lower().rstrip("."), name.lower().rstrip(".")
    if entry.startswith("*."):
        label, dot, rest = name.partition(".")
        return bool(label and dot) and rest == entry[2:]
    return entry == name


def _wildcard(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_unspecified


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip("[]").partition("%")[0])  # a zone has a meaning on this machine only
    except ValueError:
        return None


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the lock against other makers of a certificate. The kernel releases it when its holder dies."""
    lock = os.open(directory / "tls.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _good(certificate: Path, key: Path, names: Sequence[str], now: datetime) -> bool:
    """Return whether the files stay: they are a good pair that we made, or files that we did not make."""
    found, secret = _content(certificate), _content(key)
    if found is None:
        return secret is not None and not secret.startswith(MARK)
    made = _ours(found)
    if made is None or (secret is not None and not secret.startswith(MARK)):
        return True
    return secret is not None and _belongs(made, secret) and _serves(made, names, now)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _ours(content: bytes) -> x509.Certificate | None:
    """Return the certificate if we made it, else None."""
    try:
        certificate = x509.load_pem_x509_certificate(content)
        makers = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except ValueError:
        return None
    ours = certificate.issuer == certificate.subject and [maker.value for maker in makers] == [MAKER]
    return certificate if ours else None


def _belongs(certificate: x509.Certificate, secret: bytes) -> bool:
    try:
        key = serialization.load_pem_private_key(secret, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return key.public_key() == certificate.public_key()


def _serves(certificate: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    """Return whether the certificate is valid for long enough, and for each host name.

    An address of a machine may change without a new certificate: people have told their browsers to accept
    this one.
    """
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = set(alternatives.get_values_for_type(x509.DNSName))
    wanted = {_alternative(name) for name in names}
    hosts = {name.value for name in wanted if isinstance(name, x509.DNSName)}
    return hosts <= known and now + RENEWED_BEFORE < certificate.not_valid_after_utc


def _alternative(name: str) -> x509.GeneralName:
    address = _address(name)
    if address is not None:
        return x509.IPAddress(address)
    if not _HOST.fullmatch(name):
        raise ConfigurationError(f"{name!r} is not a host name that a certificate can contain")
    return x509.DNSName(name.lower())


def _make(certificate: Path, key: Path, names: Sequence[str], now: datetime) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    common = next((name for name in names if len(name) <= MAX_COMMON_NAME), MAKER)
    words = {NameOID.ORGANIZATION_NAME: MAKER, NameOID.COMMON_NAME: common}
    subject = x509.Name([x509.NameAttribute(kind, word) for kind, word in words.items()])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    alternatives = dict.fromkeys(_alternative(name) for name in names)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now - EARLIER + VALID)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
        .sign(secret, hashes.SHA256())
    )
    _write(certificate, made.public_bytes(serialization.Encoding.PEM))
    private = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, MARK + private)


def _write(path: Path, content: bytes) -> None:
    """Write the whole file in one step under its name, readable by its owner only."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a power cut must not leave the name without the content
    draft.replace(path)
