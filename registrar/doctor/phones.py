"""The check of the URL that phones are told: what a phone would find there, from its name to the answer."""

import http.client
import secrets
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from registrar.model import Epoch

from .finding import Finding, fail, ok, warn

WHAT: Final = "phones' URL"
SECONDS: Final = 5.0
"""The longest time for each step."""
MAX_ANSWER: Final = 65_536
SOON_DAYS: Final = 14.0
DAY: Final = 86_400
COMMON: Final = "startup.cfg"
"""A file that any phone may load: it has no secret, and says where this installation is."""
_CAUSES: Final = (
    ("Hostname mismatch", "the certificate is for another name", "get one whose alternative names have it"),
    ("IP address mismatch", "the certificate is for another address", "get one that names it, or use a name"),
    ("certificate has expired", "the certificate has run out", "renew it"),
    ("not yet valid", "the certificate is not valid yet", "look at the clock"),
    (
        "unable to get local issuer certificate",
        "the chain of certificates is not complete, or its authority is unknown",
        "put the intermediate certificates behind the certificate in REGISTRAR_TLS_CERT; phones load none",
    ),
    (
        "self-signed certificate",
        "the certificate is signed by no authority that phones know",
        "get one of a public authority, or enter the authority in each phone",
    ),
)
"""Part of what OpenSSL says -> what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """What phones are told, and what they would find if all is well."""

    setting: str
    """The name of the setting with the URL."""
    url: str
    common: bytes
    """The file `startup.cfg`."""
    unknown: bytes
    """The body of the answer to everything that is unknown."""
    authority: Path | None = None
    """Our own certificate authority; None: the certificate is from a public one."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


def check(told: Told, now: Epoch) -> list[Finding]:
    """Return what a phone would find at its URL. Blocks for some seconds at most."""
    parts = urlsplit(told.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = {str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        advice = f"make a record for it in the DNS that phones use, or change {told.setting}"
        return [fail(WHAT, f"{told.url}: {host} does not resolve: {error.strerror}", advice)]
    found = _reach(addresses, told)
    try:
        return (
            found
            + (_secure(told, host, port, now) if parts.scheme == "https" else [_open(told)])
            + [_answers(told, host, port)]
        )
    except ssl.SSLCertVerificationError as error:
        return [*found, _distrusted(told, error)]
    except ssl.SSLError as error:
        advice = (
            f"does another program answer there? Does a proxy end TLS? Change {told.setting} or the proxy"
        )
        return [*found, fail(WHAT, f"{told.url}: no TLS with it: {error.reason or error}", advice)]
    except (OSError, http.client.HTTPException) as error:
        return [*found, _silent(told, error)]


def _reach(addresses: set[str], told: Told) -> list[Finding]:
    """Return a warning if only this machine can reach these addresses."""
    if not all(ip_address(address.partition("%")[0]).is_loopback for address in addresses):
        return []
    advice = f"name an address that phones can reach in {told.setting}, unless all of them run here"
    return [warn(WHAT, f"{told.url}: only this machine can reach that address", advice)]


def _secure(told: Told, host: str, port: int, now: Epoch) -> list[Finding]:
    """Return the findings about the certificate that is sent. Raise OSError for one that a phone refuses."""
    context = ssl.create_default_context(cafile=told.authority)
    with (
        closing(socket.create_connection((host, port), timeout=SECONDS)) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        certificate = secured.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = (ends - now) / DAY
    about = f"{told.url}: the certificate is for {host}, {days:.0f} days left"
    found = [warn(WHAT, about, "renew it") if days < SOON_DAYS else ok(WHAT, about)]
    if told.authority is not None:
        advice = "enter the authority of /ca.pem in each phone, or set REGISTRAR_TLS_CERT"
        found.append(warn(WHAT, f"{told.url}: the certificate is our own, and phones do not know it", advice))
    return found


def _open(told: Told) -> Finding:
    return warn(WHAT, f"{told.url} is not encrypted: passwords can be read on the way", "use https:")


def _answers(told: Told, host: str, port: int) -> Finding:
    """Return whether this installation answers, and whether it tells strangers nothing."""
    known = _ask(told, host, port, COMMON)
    if known.status != 200 or known.body != told.common:
        advice = "lead the URL, with its path, to REGISTRAR_PROV_HTTPS or _HTTP of this installation"
        return fail(WHAT, f"{told.url}: another server answers ({known.status} for /{COMMON})", advice)
    secret = secrets.token_hex(13)
    unknown = [
        _ask(told, host, port, path) for path in (f"p/{secret}/{secret[:12]}.cfg", f"o/{secret}", secret)
    ]
    if any((one.status, one.body) != (404, told.unknown) for one in unknown):
        seen = ", ".join(str(one.status) for one in unknown)
        return fail(
            WHAT, f"{told.url}: unknown files are not all 404 ({seen})", "look at the proxy before it"
        )
    if len({one.headers for one in unknown}) != 1:
        return fail(WHAT, f"{told.url}: answers to unknown files differ", "look at the proxy before it")
    return ok(WHAT, f"{told.url} is answered by this installation")


def _ask(told: Told, host: str, port: int, path: str) -> _Answer:
    """Return the answer to a request of a phone. Raise OSError or HTTPException."""
    parts = urlsplit(told.url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=told.authority)
        connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    with closing(connection):
        connection.request(
            "GET", f"{parts.path.rstrip('/')}/{path}", headers={"User-Agent": "registrar doctor"}
        )
        answer = connection.getresponse()
        headers = sorted(
            (name.lower(), value) for name, value in answer.getheaders() if name.lower() != "date"
        )
        return _Answer(answer.status, answer.read(MAX_ANSWER), tuple(headers))


def _distrusted(told: Told, error: ssl.SSLCertVerificationError) -> Finding:
    for part, what, advice in _CAUSES:
        if part in error.verify_message:
            return fail(WHAT, f"{told.url}: {what}", advice)
    return fail(WHAT, f"{told.url}: the certificate is refused: {error.verify_message}", "get another one")


def _silent(told: Told, error: Exception) -> Finding:
    reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    advice = (
        "start `registrar serve`, and lead the address to it. If it runs: a router may not lead this machine "
        "to its own public address, so try it from outside"
    )
    return warn(WHAT, f"{told.url}: nothing answers: {reason}", advice)
