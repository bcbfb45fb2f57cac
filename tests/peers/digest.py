"""The phone's side of digest authentication, RFC 7616: read challenges, write an Authorization."""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

HASHES: Final[dict[str, Callable[[bytes], str]]] = {
    "MD5": lambda data: hashlib.md5(data).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
PARAMETER: Final = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate of scheme Digest."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str = ""
    opaque: str = ""
    stale: bool = False

    @property
    def known(self) -> bool:
        """Whether we can compute an answer to it."""
        return self.algorithm in HASHES


def parse_challenge(text: str) -> Challenge | None:
    """The challenge in a header's value; None when it is of another scheme."""
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    found = {name.lower(): quoted or bare for name, quoted, bare in PARAMETER.findall(rest)}
    return Challenge(
        realm=found.get("realm", ""),
        nonce=found.get("nonce", ""),
        algorithm=found.get("algorithm", "MD5").upper(),
        qop=found.get("qop", ""),
        opaque=found.get("opaque", ""),
        stale=found.get("stale", "").lower() == "true",
    )


def authorization(
    challenge: Challenge,
    username: str,
    password: str,
    method: str,
    uri: str,
    *,
    count: int = 1,
    cnonce: str = "",
) -> str:
    """The value of an Authorization that answers `challenge`; `count` rises with each use of its nonce."""
    digest = HASHES[challenge.algorithm]
    ha1 = digest(f"{username}:{challenge.realm}:{password}".encode())
    ha2 = digest(f"{method}:{uri}".encode())
    quoted = {"username": username, "realm": challenge.realm, "nonce": challenge.nonce, "uri": uri}
    bare = {"algorithm": challenge.algorithm}
    if "auth" in (word.strip() for word in challenge.qop.split(",")):
        quoted["cnonce"] = cnonce or secrets.token_hex(8)
        bare |= {"qop": "auth", "nc": f"{count:08x}"}
        middle = f"{challenge.nonce}:{bare['nc']}:{quoted['cnonce']}:auth"
    else:
        middle = challenge.nonce
    quoted["response"] = digest(f"{ha1}:{middle}:{ha2}".encode())
    if challenge.opaque:
        quoted["opaque"] = challenge.opaque
    fields = [f'{name}="{value}"' for name, value in quoted.items()]
    return "Digest " + ", ".join([*fields, *(f"{name}={value}" for name, value in bare.items())])
