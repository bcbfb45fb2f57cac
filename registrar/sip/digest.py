"""Digest authentication: the headers and the arithmetic (RFC 3261 section 22, RFC 7616, RFC 8760)."""

import re
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Final

from registrar.errors import MalformedMessage

from .grammar import QUOTED, TOKEN, quote, unquote

MD5: Final = "MD5"
SHA256: Final = "SHA-256"

_SCHEME: Final = re.compile(rf"({TOKEN})(?:[ \t]++(.*+))?+", re.DOTALL)
_AUTH_PARAM: Final = re.compile(rf"[ \t]*+({TOKEN})[ \t]*+=[ \t]*+({QUOTED}|{TOKEN}|[^\s,\"]++)[ \t]*+(,|$)")
_COUNT: Final = re.compile(r"[0-9A-Fa-f]{8}")
_HASHES: Final = {MD5: md5, SHA256: sha256}
_ALGORITHMS: Final = {"MD5": MD5, "SHA-256": SHA256}
_NEEDED: Final = ("username", "realm", "nonce", "uri", "response")


@dataclass(frozen=True, slots=True)
class Credentials:
    """One Authorization header with the Digest scheme, its values unquoted."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = MD5
    """MD5, SHA-256, or another text as written: one that we do not know."""
    cnonce: str = ""
    qop: str = ""
    nc: str = ""
    """Eight hex digits, or empty when qop is absent."""
    opaque: str = ""

    @property
    def count(self) -> int:
        """The nonce count as a number; 0 when there is none."""
        return int(self.nc, 16) if self.nc else 0


def parse_credentials(text: str) -> Credentials | None:
    """The Digest credentials in an Authorization header; None for another scheme (section 22.3).

    Raises MalformedMessage when it says Digest and is not.
    """
    found = _SCHEME.fullmatch(text)
    if found is None:
        raise MalformedMessage("bad Authorization")
    if found[1].lower() != "digest":
        return None
    values = _auth_params(found[2] or "")
    if any(not values.get(name) for name in _NEEDED):
        raise MalformedMessage("Digest without " + "/".join(n for n in _NEEDED if not values.get(n)))
    return _credentials(values)


def ha1(username: str, realm: str, password: str, algorithm: str) -> str:
    """H(username:realm:password), as much a secret as the password is (RFC 7616 section 3.4.2)."""
    return _digest(algorithm, f"{username}:{realm}:{password}")


def expected(credentials: Credentials, method: str, key: str) -> str:
    """The response that the owner of `key` (HA1) gives to these credentials' own nonce, uri and counts."""
    algorithm = credentials.algorithm
    ha2 = _digest(algorithm, f"{method}:{credentials.uri}")
    if not credentials.qop:  # RFC 2069's form, still allowed by RFC 3261 section 22.4
        return _digest(algorithm, f"{key}:{credentials.nonce}:{ha2}")
    return _digest(
        algorithm,
        f"{key}:{credentials.nonce}:{credentials.nc}:{credentials.cnonce}:{credentials.qop}:{ha2}",
    )


def challenge(realm: str, nonce: str, algorithm: str, *, stale: bool) -> str:
    """The value of a WWW-Authenticate header (RFC 3261 section 20.44)."""
    tail = ", stale=true" if stale else ""
    return f'Digest realm={quote(realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{tail}'


def _digest(algorithm: str, text: str) -> str:
    return _HASHES[algorithm](text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _auth_params(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    position = 0
    for found in _AUTH_PARAM.finditer(text):
        name, value, _ = found.groups()
        name = name.lower()
        if found.start() != position or name in values:
            raise MalformedMessage("bad Digest parameters")
        values[name] = unquote(value) if value[0] == '"' else value
        position = found.end()
    if position != len(text):
        raise MalformedMessage("bad Digest parameters")
    return values


def _credentials(values: dict[str, str]) -> Credentials:
    qop, nc = values.get("qop", ""), values.get("nc", "")
    if qop and not (_COUNT.fullmatch(nc) and values.get("cnonce")):
        raise MalformedMessage("Digest qop without nc or cnonce")
    named = values.get("algorithm", MD5)
    return Credentials(
        username=values["username"],
        realm=values["realm"],
        nonce=values["nonce"],
        uri=values["uri"],
        response=values["response"].lower(),
        algorithm=_ALGORITHMS.get(named.upper(), named),
        cnonce=values.get("cnonce", ""),
        qop=qop,
        nc=nc if qop else "",
        opaque=values.get("opaque", ""),
    )
