"""Digest authentication: the headers and the arithmetic (RFC 3261 section 22, RFC 7616, RFC 8760)."""

import re
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Final

from registrar.errors import MalformedMessage

from .grammar import QUOTED_CONTENT, TOKEN, quote, unquote

MD5: Final = "MD5"
SHA256: Final = "SHA-256"

_SCHEME: Final = re.compile(rf"({TOKEN})(?:[ \t]++|\Z)")
# Name, content of a quoted string, other value. Whatever is no parameter matches as one character with an
# empty name: findall leaves nothing out.
_AUTH_PARAM: Final = re.compile(
    rf"[ \t]*+({TOKEN})[ \t]*+=[ \t]*+(?:\"({QUOTED_CONTENT})\"|([^\x00-\x20\x7f\",]++))[ \t]*+(?:,|\Z)|.",
    re.DOTALL,
)
_COUNT: Final = re.compile(r"[0-9A-Fa-f]{8}")
MAX_PARAMS: Final = 64  # a digest has a dozen; commas in quotes count too
_HEX: Final = re.compile(r"[0-9A-Fa-f]*+")
_HASHES: Final = {MD5: md5, SHA256: sha256}
_ALGORITHMS: Final = {"MD5": MD5, "SHA-256": SHA256}


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

    None too when something is missing that a digest needs, or all of it: phones say in advance who they are,
    and need a challenge to go on. Raises MalformedMessage when it says Digest and is not.
    """
    if not text:
        return None
    if text.count(",") > MAX_PARAMS:
        raise MalformedMessage(f"Authorization: more than {MAX_PARAMS} parameters")
    found = _SCHEME.match(text)
    if found is None:
        raise MalformedMessage("bad Authorization")
    if found[1].lower() != "digest":
        return None
    return _credentials(_auth_params(text[found.end() :]))


def ha1(username: str, realm: str, password: str, algorithm: str) -> str:
    """H(username:realm:password), as much a secret as the password is (RFC 7616 section 3.4.2)."""
    return _digest(algorithm, f"{username}:{realm}:{password}")


def expected(credentials: Credentials, method: str, key: str) -> str:
    """The response that the owner of `key` (HA1) gives to these credentials' own nonce, uri and counts.

    Raises MalformedMessage for an algorithm that we do not know; qop=auth-int is not computed over the body.
    """
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
    make = _HASHES.get(algorithm)
    if make is None:
        raise MalformedMessage(f"unknown digest algorithm: {algorithm[:40]!r}")
    return make(text.encode(), usedforsecurity=False).hexdigest()


def _auth_params(text: str) -> dict[str, str]:
    found = _AUTH_PARAM.findall(text)
    values = {name.lower(): quoted or plain for name, quoted, plain in found}
    if "" in values or len(values) < len(found):
        raise MalformedMessage("bad Digest parameters")
    if "\\" in text:
        values |= {name.lower(): unquote(f'"{quoted}"') for name, quoted, _ in found if quoted}
    return values


def _credentials(values: dict[str, str]) -> Credentials | None:
    try:
        username, realm, nonce = values["username"], values["realm"], values["nonce"]
        uri, response = values["uri"], values["response"]
    except KeyError:
        return None
    if not _HEX.fullmatch(response):
        raise MalformedMessage("Digest response is not hexadecimal")
    qop, nc, cnonce = values.get("qop", ""), values.get("nc", ""), values.get("cnonce", "")
    if not qop:
        nc = ""
    elif not (cnonce and nc):
        return None
    elif not _COUNT.fullmatch(nc):
        raise MalformedMessage("Digest nc is not eight hexadecimal digits")
    named = values.get("algorithm", MD5)
    algorithm = _ALGORITHMS.get(named.upper(), named)
    opaque = values.get("opaque", "")
    return Credentials(username, realm, nonce, uri, response.lower(), algorithm, cnonce, qop, nc, opaque)
