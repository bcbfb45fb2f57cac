"""TLS for every listener that wants it, with the certificate that lies in its files now (RFC 8446, RFC 5246).

Servers hold one `ssl.SSLContext` for life. It has no certificate of its own: when a ClientHello has been
read, with or without a server name in it, OpenSSL asks which context shall go on, and gets the newest.
"""

import asyncio
import logging
import ssl
import stat
from pathlib import Path
from typing import Final, Never

from cryptography import x509

from registrar.errors import ConfigurationError

LOOK_SECONDS: Final = 0.5
"""How often the files are looked at: a new certificate is served within a second."""
MAX_FILE: Final = 1 << 20
"""A chain has a few kilobytes; nobody waits until something else has been read."""

STRANGERS: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's words for a key of another certificate; the last for one of another kind, EC and RSA."""

CERTIFICATE: Final = "REGISTRAR_TLS_CERT"
KEY: Final = "REGISTRAR_TLS_KEY"

log = logging.getLogger(__name__)

Look = tuple[tuple[int, ...] | None, ...]


class ServerTls:
    """The certificate of this server, read again when its files change; a connection keeps the one it has."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises ConfigurationError, one line, for a pair that cannot be used."""
        self._certificate = certificate
        self._key = key
        self._seen = _look(certificate, key)
        self._newest, self.expires_at = _load(certificate, key)
        self.problem = ""
        """Why the files are not what is served; empty when they are."""
        self.context = _context()
        """For servers, the same for the life of this object."""
        self.context.sni_callback = self._go_on

    def _go_on(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._newest

    def refresh(self) -> bool:
        """Look at the files; true when new ones are served from now on. Blocks; may run in any one thread."""
        seen = _look(self._certificate, self._key)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            newest, expires_at = _load(self._certificate, self._key)
        except ConfigurationError as error:
            self.problem = str(error)
            log.warning("%s; the certificate read before stays in use", error)
            return False
        self._newest, self.expires_at, self.problem = newest, expires_at, ""
        log.info("new certificate %s", self._certificate)
        return True

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.refresh)


def _look(certificate: Path, key: Path) -> Look:
    return _trace(certificate), _trace(key)


def _trace(path: Path) -> tuple[int, ...] | None:
    """What changes with a file: `st_ctime_ns` also when somebody makes it readable."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size


def _load(certificate: Path, key: Path) -> tuple[ssl.SSLContext, float]:
    """A context with this pair, and when the certificate runs out. Raises ConfigurationError."""
    chain = _read(CERTIFICATE, certificate)
    try:
        expires_at = x509.load_pem_x509_certificate(chain).not_valid_after_utc.timestamp()
    except ValueError:
        raise ConfigurationError(f"{CERTIFICATE}: {certificate} is not a certificate in PEM format") from None
    _read(KEY, key)
    context = _context()
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise ConfigurationError(_fault(error, certificate, key)) from None
    except OSError as error:
        raise ConfigurationError(f"{CERTIFICATE}: {certificate}: {error.strerror}") from None
    return context, expires_at


def _read(setting: str, path: Path) -> bytes:
    try:
        seen = path.stat()
        if not stat.S_ISREG(seen.st_mode):
            raise ConfigurationError(f"{setting}: {path} is not a file")
        if seen.st_size > MAX_FILE:
            raise ConfigurationError(f"{setting}: {path} is too big: {seen.st_size} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path}: {error.strerror}") from None


def _no_passphrase() -> Never:
    raise ConfigurationError(f"{KEY}: the key is protected by a passphrase; give one without")


def _fault(error: ssl.SSLError, certificate: Path, key: Path) -> str:
    """What is wrong with a pair whose certificate could be read."""
    reason = error.reason or ""
    if reason in STRANGERS:
        return f"{CERTIFICATE}, {KEY}: {certificate} and {key} do not belong together"
    if reason.startswith(("EE_", "CA_")):  # a key too small, a digest too weak
        return f"{CERTIFICATE}: {certificate}: {reason.lower().replace('_', ' ')}"
    return f"{KEY}: {key} is not a private key in PEM format"


def _context() -> ssl.SSLContext:
    """Both the context that servers hold and those that it hands on: ALPN is asked of the latter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])  # a phone that offers another name gets none, and goes on
    return context
