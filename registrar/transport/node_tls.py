"""TLS between nodes: both sides show a certificate of the authority of the nodes (RFC 8446)."""

import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from registrar.errors import ConfigurationError


class NodeTls:
    """The contexts of both sides, made again when the key of the installation is replaced."""

    def __init__(self, load: Callable[[ssl.SSLContext], None]) -> None:
        """`load` gives a context its certificate and its authorities. Raise ConfigurationError."""
        self._load = load
        self.server: ssl.SSLContext
        self.client: ssl.SSLContext
        self.renew()

    def renew(self) -> None:
        """Make both contexts again: new connections use them, open ones stay."""
        self.server, self.client = self._made(ssl.PROTOCOL_TLS_SERVER), self._made(ssl.PROTOCOL_TLS_CLIENT)

    def _made(self, side: int) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # the authority signs for nodes only, wherever they are
        context.verify_mode = ssl.CERT_REQUIRED
        self._load(context)
        return context


def from_memory(context: ssl.SSLContext, certificate: bytes, key: bytes, authorities: bytes) -> None:
    """Give a context a pair that is in no file. The module `ssl` reads pairs from files only, so make one."""
    with tempfile.TemporaryDirectory(prefix="registrar-") as place:  # private to this user
        chain, secret = Path(place, "node.crt"), Path(place, "node.key")
        chain.write_bytes(certificate)
        secret.touch(0o600)
        secret.write_bytes(key)
        context.load_cert_chain(chain, secret)
    context.load_verify_locations(cadata=authorities.decode())


def from_files(context: ssl.SSLContext, certificate: Path, key: Path, authority: Path) -> None:
    """Give a context the operator's pair and authority. Raise ConfigurationError."""
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(cafile=authority)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        raise ConfigurationError(
            f"REGISTRAR_NODE_CERT, REGISTRAR_NODE_KEY, REGISTRAR_NODE_CA: {certificate}, {key}, {authority}: "
            f"{reason}"
        ) from None
