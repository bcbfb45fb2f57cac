"""Digest authentication: challenges and the check of credentials (RFC 3261 section 22, RFC 7616)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from registrar.errors import SipError
from registrar.model import Epoch, Phone
from registrar.sip import MD5, SHA256, Credentials, Request, challenge, expected, ha1, parse_uri

from . import nonces
from .destination import dialled_word
from .nonces import Nonce

DUMMY_PASSWORD = "no phone has this password: it has the wrong length"  # noqa: S105

OFFERED = {"md5": (MD5,), "sha-256": (SHA256,), "both": (SHA256, MD5)}
"""REGISTRAR_DIGEST -> the algorithms that are offered, preferred first (RFC 8760 section 2.3)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Credentials with one of our nonces; the digest is not checked yet."""

    credentials: Credentials
    nonce: Nonce


class Authenticator:
    """The parts of authentication that need no store: the challenges and the check of a digest."""

    def __init__(
        self,
        key: bytes,
        algorithms: tuple[str, ...],
        service_realm: str,
        serves: Callable[[str], bool],
        is_ours: Callable[[str], bool],
        requires_sha256: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Store the settings.

        `serves` returns whether a host is a SIP domain of a customer, `is_ours` whether it is any name or
        address of this service, `requires_sha256` whether all phones of a realm need SHA-256.
        """
        self._requires_sha256 = requires_sha256
        self._key = key
        self._keys: tuple[bytes, ...] = (key,)
        self._algorithms = algorithms
        self._service_realm = service_realm
        self._serves = serves
        self.is_ours = is_ours

    def rekey(self, keys: Sequence[bytes]) -> None:
        """Issue nonces with the first of these keys from now on, and accept those of all of them."""
        self._keys = tuple(keys)
        self._key = self._keys[0]

    def realm(self, request: Request) -> str:
        """Return the realm to challenge with (decision 1).

        Inside a dialog, Request-URI and To name our address and the other party, which may be anonymous. A
        `tel:` or `urn:` URI names no domain. So the domain of the sender counts there, too: a SIP user has a
        digest for no other domain.
        """
        for uri in (request.uri, request.to.uri):
            if uri.is_sip and self._serves(uri.host_key):
                return uri.host_key
        own = request.from_.uri
        says_nothing = request.to.tag is not None or not request.uri.is_sip
        if says_nothing and own.is_sip and self._serves(own.host_key):
            return own.host_key
        return self._service_realm

    def challenges(
        self, realm: str, address: str, now: Epoch, salt: bytes, *, stale: bool = False, strict: bool = False
    ) -> list[str]:
        """Return the values of the WWW-Authenticate headers for a request from `address`.

        `strict`: SHA-256 alone is offered, as it always is in a realm that requires it. The realm decides for
        everyone who asks, so a challenge does not tell which names exist.
        """
        nonce = nonces.issue(self._key, now, salt, address, realm)
        algorithms = (SHA256,) if strict or self._requires_sha256(realm) else self._algorithms
        return [challenge(realm, nonce, algorithm, stale=stale) for algorithm in algorithms]

    def claim(self, request: Request, address: str) -> Claim | None:
        """Return the first credentials with one of our realms and one of our nonces, or None.

        Credentials for other realms are ignored.
        """
        for credentials in request.credentials:
            realm = credentials.realm
            if realm != self._service_realm and not self._serves(realm):
                continue
            for key in self._keys:
                nonce = nonces.read(key, credentials.nonce, address, realm)
                if nonce is not None:
                    return Claim(credentials, nonce)
        return None

    def proves(self, claim: Claim, method: str, phone: Phone | None) -> bool:
        """Return whether the digest was made with the phone's password or HA1; False if `phone` is None.

        An unknown phone takes the same work as a known one.
        """
        credentials = claim.credentials
        if not self._takes(credentials, phone) or credentials.qop.lower() not in ("", "auth"):
            return False
        password = phone.password if phone is not None else ""
        key = ha1(credentials.username, credentials.realm, password or DUMMY_PASSWORD, credentials.algorithm)
        stored = _stored_key(phone, credentials) if phone is not None else ""
        right = compare_digest(
            expected(credentials, method, stored or key).encode(),
            credentials.response.encode("utf-8", "replace"),
        )
        return right and bool(password or stored)

    def _takes(self, credentials: Credentials, phone: Phone | None) -> bool:
        """Return whether the digest may be checked: its algorithm was offered, or is required.

        A right digest of MD5 is told from a wrong one also if it does not count (see is_too_weak): a phone
        with an old setting is not someone who guesses.
        """
        algorithm = credentials.algorithm
        if algorithm in self._algorithms:
            return True
        asked = self._requires_sha256(credentials.realm) or (phone is not None and phone.terms.sha256)
        return algorithm == SHA256 and asked

    def is_for_us(self, claim: Claim) -> bool:
        """Return whether the digest's uri names this service.

        The uri need not equal the Request-URI (docs/architecture.md). A correct digest that names another
        host was made for the challenge of another server. A number or a service names no host.
        """
        try:
            uri = parse_uri(claim.credentials.uri)
        except SipError:
            return False
        return self.is_ours(uri.host_key) if uri.is_sip else bool(dialled_word(uri))


def _stored_key(phone: Phone, credentials: Credentials) -> str:
    """Return the stored HA1 of a SIP user for these credentials, or an empty text; phones have none.

    The HA1 contains the user's name and domain, so it is not valid in another realm.
    """
    if (phone.username, phone.domain) != (credentials.username, credentials.realm):
        return ""
    return phone.ha1_md5 if credentials.algorithm == MD5 else phone.ha1_sha256


def is_too_weak(claim: Claim, phone: Phone) -> bool:
    """Return whether the phone must prove itself by SHA-256, and has used MD5."""
    return phone.terms.sha256 and claim.credentials.algorithm != SHA256


def nonce_count(claim: Claim) -> int:
    """Return the nonce count to check; 1 without qop, so the nonce is then good for one request."""
    return claim.credentials.count or 1
