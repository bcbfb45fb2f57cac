"""TLS for the listeners, with the certificate that is in its files now (RFC 8446, RFC 5246).

A server holds one `ssl.SSLContext` for life. That context has no certificate. After OpenSSL has read a
ClientHello, with or without a server name, it asks which context to continue with, and gets the newest.
"""

import asyncio
import logging
import ssl
import stat
from functools import partial
from pathlib import Path
from typing import Final, Never

from cryptography import x509

from registrar.errors import ConfigurationError

LOOK_SECONDS: Final = 0.5
"""How often the files are checked: a new certificate is served within a second."""
MAX_FILE: Final = 1 << 20
"""A chain has a few kilobytes; a larger file is refused, so that no server waits for a long read."""

STRANGERS: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""OpenSSL's reasons for a key of another certificate; the last is for a key of another kind, EC and RSA."""

LEGACY_CIPHERS: Final = "DEFAULT:@SECLEVEL=0"
"""OpenSSL 3 then allows the signatures of TLS 1.0, and suites with SHA-1 or without forward secrecy."""

CERTIFICATE: Final = "REGISTRAR_TLS_CERT"
KEY: Final = "REGISTRAR_TLS_KEY"

log = logging.getLogger(__name__)

AEAD: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For HTTPS and WSS: browsers have had these for ten years. TLS 1.3 has no others."""
LEGACY: Final = AEAD + ":ECDHE+AES+SHA:AES+SHA"
"""Also CBC with SHA-1, with and without forward secrecy, after all others: desk phones from before 2015."""

Kinds = tuple[tuple[str, ssl.TLSVersion], ...]
Look = tuple[tuple[int, ...] | None, ...]


class ServerTls:
    """Certificate of this server, read again when its files change. Open connections keep the old one."""

    def __init__(self, certificate: Path, key: Path, *, legacy: bool = True) -> None:
        """Load the pair. Raises ConfigurationError, one line, if it cannot be used.

        `legacy`: phones over TLS may use suites that are no longer good enough for browsers.
        """
        self._certificate = certificate
        self._key = key
        self._seen = _look(certificate, key)
        self._kinds = (
            (AEAD, ssl.TLSVersion.TLSv1_2),
            (LEGACY if legacy else AEAD, ssl.TLSVersion.TLSv1_2),
            (LEGACY_CIPHERS, ssl.TLSVersion.MINIMUM_SUPPORTED),  # TLS 1.0; OpenSSL 3 is built without SSL 3
        )
        self._newest, self.expires_at = _load(certificate, key, self._kinds)
        self.problem = ""
        """Why the files are not what is served; empty if they are."""
        self.context = _context(*self._kinds[0])
        """The context for servers of HTTPS and WSS, the same for the life of this object."""
        self.phones = _context(*self._kinds[1])
        """The context for SIP over TLS."""
        self.legacy = _context(*self._kinds[2])
        """The same for phones that know only TLS 1.0 or 1.1. No other listener may have it."""
        for kind, context in enumerate((self.context, self.phones, self.legacy)):
            context.sni_callback = partial(self._go_on, kind)

    def _go_on(
        self, kind: int, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext
    ) -> None:
        connection.context = self._newest[kind]

    def refresh(self) -> bool:
        """Check the files. Return True if new ones are served now. Blocks; may run in any one thread."""
        seen = _look(self._certificate, self._key)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            newest, expires_at = _load(self._certificate, self._key, self._kinds)
        except ConfigurationError as error:
            self.problem = str(error)
            log.warning("%s; the certificate read before stays in use", error)
            return False
        self._newest, self.expires_at, self.problem = newest, expires_at, ""
        log.info("new certificate %s", self._certificate)
        return True

    async def run(self) -> None:
        """Check the files again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.refresh)


def _look(certificate: Path, key: Path) -> Look:
    return _trace(certificate), _trace(key)


def _trace(path: Path) -> tuple[int, ...] | None:
    """Return values that change with the file, or None if the file cannot be inspected.

    `st_ctime_ns` also changes when the file is made readable.
    """
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size


def _load(certificate: Path, key: Path, kinds: Kinds) -> tuple[tuple[ssl.SSLContext, ...], float]:
    """Return contexts with this pair, one for each kind, and the expiry of its certificate.

    OpenSSL takes the suites of the context that it continues with. Raises ConfigurationError.
    """
    chain = _read(CERTIFICATE, certificate)
    try:
        expires_at = x509.load_pem_x509_certificate(chain).not_valid_after_utc.timestamp()
    except ValueError:
        raise ConfigurationError(f"{CERTIFICATE}: {certificate} is not a certificate in PEM format") from None
    _read(KEY, key)
    contexts = tuple(_context(*kind) for kind in kinds)
    try:
        for context in contexts:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise ConfigurationError(_fault(error, certificate, key)) from None
    except OSError as error:
        raise ConfigurationError(f"{CERTIFICATE}: {certificate}: {error.strerror}") from None
    return contexts, expires_at


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
    """Return what is wrong with a pair whose certificate can be read."""
    reason = error.reason or ""
    if reason in STRANGERS:
        return f"{CERTIFICATE}, {KEY}: {certificate} and {key} do not belong together"
    if reason.startswith(("EE_", "CA_")):  # a key too small, a digest too weak
        return f"{CERTIFICATE}: {certificate}: {reason.lower().replace('_', ' ')}"
    return f"{KEY}: {key} is not a private key in PEM format"


def _context(suites: str, least: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a context as servers hold it, and as they switch to: ALPN is read from the latter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = least
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_SSLv3
    context.set_ciphers(suites)
    context.set_alpn_protocols(["http/1.1"])  # a phone that offers another protocol gets none, and continues
    return context
