"""The paths of the listener for phones: what a request names. Any octets give a value.

/p/<secret>/<file>      a file of a device
/p/<secret>/a/<name>    an asset
/o/<secret>             a one-time link
/ca.pem                 our certificate authority
/<file>                 a file without a secret: of an expected phone, or the same for all
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_PATH: Final = 512
"""The longest path that is looked at, in octets; real ones have at most 80."""
_ORIGIN: Final = re.compile(rb"https?://[^/]*", re.IGNORECASE)
"""Scheme and host of a request target in absolute form (RFC 9112 section 3.2.2)."""
_SLASHES: Final = re.compile(rb"/{2,}")
_PATH: Final = re.compile(rb"/[A-Za-z0-9._~+/-]*")
_DOTS: Final = re.compile(r"(?:^|/)\.")
_SECRET: Final = re.compile(r"[a-z2-7]{26}|[0-9a-f]{25}", re.IGNORECASE)
"""What has the form of a secret (`secrets`): it may be anywhere in a wrong path."""


@dataclass(frozen=True, slots=True)
class OfSecret:
    """A file below a secret."""

    secret: str
    name: str


@dataclass(frozen=True, slots=True)
class Link:
    """A one-time link."""

    secret: str


@dataclass(frozen=True, slots=True)
class Bare:
    """A file without a secret."""

    name: str


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate authority."""


Named = OfSecret | Link | Bare | Authority


def parse_path(octets: bytes, base: str = "") -> Named | None:
    """Return what a path names, or None if no path of ours looks like it.

    Every server takes a target in absolute form (RFC 9112 section 3.2.2), so scheme and host are left out.
    `base` is the path of the listener's URL, without a slash at its end; a proxy may have left it out.
    No name of ours needs a percent sign, so nothing is decoded. Phones join a URL and a file name, some of
    them with one slash too many: slashes that follow each other count as one.
    """
    if len(octets) > MAX_PATH:
        return None
    origin = _ORIGIN.match(octets)
    path = _SLASHES.sub(b"/", octets[origin.end() :] if origin else octets)
    if _PATH.fullmatch(path) is None:
        return None
    text = path.decode("ascii")
    words = (text.removeprefix(base) if text.startswith(f"{base}/") else text)[1:]
    if _DOTS.search(words) or not words:
        return None
    if words == "ca.pem":
        return Authority()
    kind, _, rest = words.partition("/")
    secret, slash, name = rest.partition("/")
    if kind == "p":
        return OfSecret(secret, name) if secret and name else None
    if kind == "o":
        return Link(secret) if secret and not slash else None
    return Bare(words)


def without_secret(named: Named | None) -> str:
    """Return the path for a log line, without what may be a secret: of a name, the last segment alone."""
    match named:
        case OfSecret(_, name):
            return f"/p/.../{_last(name)}"
        case Link():
            return "/o/..."
        case Bare(name):
            return f"/.../{_last(name)}" if "/" in name else f"/{_last(name)}"
        case Authority():
            return "/ca.pem"
        case _:
            return "(no path of ours)"


def _last(name: str) -> str:
    return _SECRET.sub("...", name.rpartition("/")[2])
