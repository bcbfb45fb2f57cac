"""Digest authentication: its headers and hash computations (RFC 3261 section 22, RFC 7616, RFC 8760)."""

import re
from dataclasses import dataclass
from hashlib import md5, sha256
from typing import Final

from registrar.errors import MalformedMessage

from .grammar import QUOTED_CONTENT, TOKEN, quote, unquote

MD5: Final = "MD5"
SHA256: Final = "SHA-256"

_SCHEME: Final = re.compile(rf"({TOKEN})(?:[ \t]++|\Z)")
# Groups: name, content of a quoted string, other value. A character that is not part of a parameter matches
# alone, with an empty name, so findall skips nothing.
_AUTH_PARAM: Final = re.compile(
    rf"[ \t]*+({TOKEN})[ \t]*+=[ \t]*+(?:\"({QUOTED_CONTENT})\"|([^\x00-\x20\x7f\",]++))[ \t]*+(?:,|\Z)|.",
    re.DOTALL,
)
_COUNT: Final = re.compile(r"[0-9A-Fa-f]{8}")
MAX_PARAMS: Final = 64  # a digest has about twelve; commas inside quotes are counted too
_HEX: Final = re.compile(r"[0-9A-Fa-f]*+")
_HASHES: Final = {MD5: md5, SHA256: sha256}
_ALGORITHMS: Final = {"MD5": MD5, "SHA-256": SHA256}


@dataclass(frozen=True, slots=True)
class Credentials:
    """One Authorization header with the Digest scheme; its values are unquoted."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = MD5
    """MD5, SHA-256, or the text as written if the algorithm is unknown."""
    cnonce: str = ""
    qop: str = ""
    nc: str = ""
    """Eight hex digits, or empty if qop is absent."""
    opaque: str = ""

    @property
    def count(self) -> int:
        """Return the nonce count as a number, or 0 if there is none."""
        return int(self.nc, 16) if self.nc else 0

    def __str__(self) -> str:
        """Return the value of an Authorization header (RFC 3261 section 20.7)."""
        quoted = {"username": self.username, "realm": self.realm, "nonce": self.nonce, "uri": self.uri}
        quoted["response"] = self.response
        quoted |= {"opaque": self.opaque} if self.opaque else {}
        bare = {"algorithm": self.algorithm}
        if self.qop:
            quoted["cnonce"] = self.cnonce
            bare |= {"qop": self.qop, "nc": self.nc}
        fields = [f"{name}={quote(value)}" for name, value in quoted.items()]
        return "Digest " + ", ".join([*fields, *(f"{name}={value}" for name, value in bare.items())])


@dataclass(frozen=True, slots=True)
class DigestChallenge:
    """One WWW-Authenticate or Proxy-Authenticate header with the Digest scheme; its values are unquoted."""

    realm: str
    nonce: str
    algorithm: str = MD5
    """MD5, SHA-256, or the text as written if the algorithm is unknown."""
    qop: tuple[str, ...] = ()
    """The offered qualities of protection in lower case; empty: the form of RFC 2069."""
    opaque: str = ""


def parse_credentials(text: str) -> Credentials | None:
    """Return the Digest credentials of an Authorization header, or None for another scheme (section 22.3).

    Return None, too, if a value that a digest needs is missing: some phones send their username in advance,
    and need a challenge to continue. Raise MalformedMessage if the header is malformed.
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


def parse_challenge(text: str) -> DigestChallenge | None:
    """Return the Digest challenge of a WWW-Authenticate header, or None for another scheme.

    Return None, too, if realm or nonce is missing. Raise MalformedMessage if the header is malformed.
    """
    if text.count(",") > MAX_PARAMS:
        raise MalformedMessage(f"WWW-Authenticate: more than {MAX_PARAMS} parameters")
    found = _SCHEME.match(text)
    if found is None:
        raise MalformedMessage("bad WWW-Authenticate")
    if found[1].lower() != "digest":
        return None
    values = _auth_params(text[found.end() :])
    if "realm" not in values or "nonce" not in values:
        return None
    offered = (word.strip().lower() for word in values.get("qop", "").split(","))
    named = values.get("algorithm", MD5)
    return DigestChallenge(
        values["realm"],
        values["nonce"],
        _ALGORITHMS.get(named.upper(), named),
        tuple(word for word in offered if word),
        values.get("opaque", ""),
    )


def ha1(username: str, realm: str, password: str, algorithm: str) -> str:
    """Return H(username:realm:password), which is as secret as the password (RFC 7616 section 3.4.2)."""
    return _digest(algorithm, f"{username}:{realm}:{password}")


def expected(credentials: Credentials, method: str, key: str) -> str:
    """Return the response that matches `key` (HA1) for the nonce, uri and counts of these credentials.

    Raise MalformedMessage for an unknown algorithm. For qop=auth-int the body is not hashed.
    """
    algorithm = credentials.algorithm
    ha2 = _digest(algorithm, f"{method}:{credentials.uri}")
    if not credentials.qop:  # the form of RFC 2069, which RFC 3261 section 22.4 still allows
        return _digest(algorithm, f"{key}:{credentials.nonce}:{ha2}")
    return _digest(
        algorithm,
        f"{key}:{credentials.nonce}:{credentials.nc}:{credentials.cnonce}:{credentials.qop}:{ha2}",
    )


def challenge(realm: str, nonce: str, algorithm: str, *, stale: bool) -> str:
    """Return the value of a WWW-Authenticate header (RFC 3261 section 20.44)."""
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
