"""The certificate check: whether the pair can be served, for how long, and for which names."""

from pathlib import Path
from typing import Final

from cryptography import x509

from registrar.errors import ConfigurationError
from registrar.model import Epoch
from registrar.store.certificate import covers, names_in
from registrar.transport.tls import ServerTls

from .finding import Finding, fail, ok, warn

WHAT: Final = "certificate"
DAY: Final = 86_400
SOON: Final = 14 * DAY


def own_certificate(certificate: Path, key: Path, names: tuple[str, ...], now: Epoch) -> list[Finding]:
    """Return the findings about the certificate in the data directory.

    `serve` makes it, and renews it when that is due. The operator may have put another one there.
    """
    if not certificate.exists() and not key.exists():
        return [ok(WHAT, f"{certificate} is not there yet; the first start makes it, self-signed")]
    return given_certificate(certificate, key, names, now)


def given_certificate(certificate: Path, key: Path, names: tuple[str, ...], now: Epoch) -> list[Finding]:
    """Return the findings about a pair that exists."""
    try:
        expires_at = ServerTls(certificate, key).expires_at
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ConfigurationError as error:
        return [fail(WHAT, str(error), "put a matching pair there, PEM, the key without a passphrase")]
    except (OSError, ValueError) as error:
        return [fail(WHAT, f"{certificate}: {error}", "put a certificate in PEM format there")]
    about = f"{certificate}, {'self-signed' if found.issuer == found.subject else 'signed by an authority'}"
    return [_term(about, found.not_valid_before_utc.timestamp(), expires_at, now), *_names(found, names)]


def _term(about: str, begins_at: float, expires_at: float, now: Epoch) -> Finding:
    left = expires_at - now
    if left <= 0:
        return fail(WHAT, f"{about}: it ran out {-left / DAY:.0f} days ago", "renew it")
    if begins_at > now:
        return fail(WHAT, f"{about}: it is not valid yet", "look at the clock, or wait")
    if left < SOON:
        return warn(WHAT, f"{about}: {left / DAY:.0f} days left", "renew it; a new pair is served by itself")
    return ok(WHAT, f"{about}: {left / DAY:.0f} days left")


def _names(certificate: x509.Certificate, names: tuple[str, ...]) -> list[Finding]:
    known = names_in(certificate)
    missing = [name for name in names if not any(covers(entry, name) for entry in known)]
    if not missing:
        return []
    return [warn(WHAT, f"it is not for {', '.join(missing)}", "get one whose alternative names have them")]
