"""What a stranger sees of our own listener of secure WebSocket, asked by the server itself.

Only the address in the settings is ever connected to. One look serves all who ask within
`FRESH_SECONDS`.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from registrar.model import Mono
from registrar.store.certificate import covers, names_in

FRESH_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 3.0
SIP: Final = Subprotocol("sip")
ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""A listener on all addresses is asked at loopback."""
MAX_NAMES: Final = 20

Json = dict[str, object]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look has found."""

    listening: bool
    """Whether SIP over WebSocket was accepted there."""
    why: str = ""
    """Why not."""
    certificate: x509.Certificate | None = field(default=None, repr=False)
    distrust: str = ""
    """Why a client that knows the usual authorities does not trust the certificate; empty if it does."""

    def shown(self, host: str) -> Json:
        """Return it as JSON, for a page whose phone connects to `host`."""
        certificate = self.certificate and _certificate(self.certificate, self.distrust, host)
        return {"listening": self.listening, "why": self.why, "certificate": certificate}


class Listener:
    """Our listener, looked at from outside."""

    def __init__(self, address: tuple[str, int], now: Callable[[], Mono]) -> None:
        host, self._port = address
        self._host = ANY.get(host, host)
        self._now = now
        self._seen: tuple[Mono, Seen] | None = None
        self._careful: ssl.SSLContext | None = None
        self._one = asyncio.Lock()

    async def look(self) -> Seen:
        """Return what is seen now, or was seen a moment ago."""
        async with self._one:
            if self._seen is None or self._now() - self._seen[0] > FRESH_SECONDS:
                self._seen = (self._now(), await self._looked())
            return self._seen[1]

    async def _looked(self) -> Seen:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                distrust = await self._distrust()
                return Seen(True, "", await self._upgraded(), distrust)
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            log.info("our own listener of secure WebSocket was looked at in vain: %s", error)
            return Seen(False, _reason(error))

    async def _distrust(self) -> str:
        """Return why the certificate is not trusted; its names are compared elsewhere."""
        if self._careful is None:  # to read all authorities takes longer than a request may wait
            self._careful = await asyncio.to_thread(ssl.create_default_context)
            self._careful.check_hostname = False
        try:
            _, writer = await asyncio.open_connection(self._host, self._port, ssl=self._careful)
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        writer.close()
        return ""

    async def _upgraded(self) -> x509.Certificate | None:
        """Connect as a phone does, and return the certificate that was shown."""
        careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        careless.check_hostname = False
        careless.verify_mode = ssl.CERT_NONE
        place = f"[{self._host}]" if ":" in self._host else self._host
        url = f"wss://{place}:{self._port}/"
        async with connect(url, ssl=careless, subprotocols=[SIP], proxy=None, close_timeout=1) as socket:
            tls = socket.transport.get_extra_info("ssl_object")
            shown = tls.getpeercert(binary_form=True)
            return x509.load_der_x509_certificate(shown) if shown else None


def _reason(error: Exception) -> str:
    """Return the kind of fault, without addresses of this machine."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens on its port"
    if isinstance(error, TimeoutError):
        return f"it did not answer within {LOOK_SECONDS:.0f} s"
    return "it answers, but not as SIP over secure WebSocket does"


def _certificate(certificate: x509.Certificate, distrust: str, host: str) -> Json:
    names = names_in(certificate)
    return {
        "names": names[:MAX_NAMES],
        "issuer": _issuer(certificate),
        "selfSigned": certificate.issuer == certificate.subject,
        "begins": certificate.not_valid_before_utc.timestamp(),
        "expires": certificate.not_valid_after_utc.timestamp(),
        "matches": any(covers(name, host.strip("[]")) for name in names),
        "distrust": distrust,
    }


def _issuer(certificate: x509.Certificate) -> str:
    """Return the organisation that signed it, else its common name."""
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.issuer.get_attributes_for_oid(kind):
            return str(attribute.value)
    return ""
