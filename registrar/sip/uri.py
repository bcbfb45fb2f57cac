"""SIP and SIPS URIs and their comparison (RFC 3261 section 19.1)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from registrar.errors import MalformedMessage

from .grammar import Params, format_params
from .host import HOST, PORT, check_host, host_key, parse_port

MAX_URI: Final = 1_024  # the longest URI in RFC 4475 has 590 characters
KEPT: Final = 1_024  # a request repeats its URIs, and the request with the digest repeats the one before it

_ESCAPED = r"%[0-9A-Fa-f]{2}"
_USER = (
    rf"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|{_ESCAPED})++"  # `#` should be escaped, but phones dial it unescaped
)
_PASSWORD = rf"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|{_ESCAPED})*+"
_PCHARS = rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|{_ESCAPED})"
_HCHARS = rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$]|{_ESCAPED})"
_SIP: Final = re.compile(
    rf"([Ss][Ii][Pp][Ss]?):(?:({_USER})(?::({_PASSWORD}))?+@)?+({HOST})(?::({PORT}))?+"
    rf"((?:;{_PCHARS}++(?:={_PCHARS}*+)?+)*+)(?:\?({_HCHARS}++={_HCHARS}*+(?:&{_HCHARS}++={_HCHARS}*+)*+))?+"
)
_OTHER: Final = re.compile(r"([A-Za-z][A-Za-z0-9+\-.]*+):([!#-;=?-~]++)")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_RESERVED: Final = frozenset(";/?:@&=+$,%")

# RFC 3261 section 19.1.4: two URIs differ if only one of them has one of these parameters.
_TELLING: Final = frozenset({"user", "ttl", "method", "maddr", "transport"})


@dataclass(frozen=True, slots=True)
class Uri:
    """One URI; its parts are as written. `str(uri)` is its text.

    For a scheme other than sip and sips, only `scheme` and `opaque` are set.
    """

    scheme: str
    """In lower case."""
    user: str | None = None
    password: str | None = None
    host: str = ""
    """As written; an IPv6 address has its brackets."""
    port: int | None = None
    params: Params = ()
    """Names in lower case."""
    headers: str | None = None
    """The text after the question mark. It is never expanded into headers of a message."""
    opaque: str = ""

    @property
    def is_sip(self) -> bool:
        """Return whether this is a sip or sips URI."""
        return self.scheme in ("sip", "sips")

    @property
    def host_key(self) -> str:
        """Return the host for look-ups and comparison (see `host.host_key`)."""
        return host_key(self.host)

    def __str__(self) -> str:
        if not self.is_sip:
            return f"{self.scheme}:{self.opaque}"
        userinfo = ""
        if self.user is not None:
            userinfo = self.user + ("" if self.password is None else f":{self.password}") + "@"
        port = "" if self.port is None else f":{self.port}"
        headers = "" if self.headers is None else f"?{self.headers}"
        return f"{self.scheme}:{userinfo}{self.host}{port}{format_params(self.params)}{headers}"


@lru_cache(KEPT)
def parse_uri(text: str) -> Uri:
    """Return the URI in `text`. Raise MalformedMessage if it cannot be parsed."""
    if len(text) > MAX_URI:
        raise MalformedMessage(f"URI over {MAX_URI} characters")
    found = _SIP.fullmatch(text)
    if found is None:
        return _other(text)
    scheme, user, password, host, port, params, headers = found.groups()
    check_host(host)
    named = _params(params) if params else ()
    return Uri(scheme.lower(), user, password, host, parse_port(port), named, headers)


def unescape(text: str) -> str:
    """Return `text` with %-escapes decoded, except those of reserved characters (section 19.1.4)."""
    if "%" not in text:
        return text

    def decode(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        plain = character.isascii() and character.isprintable() and character not in _RESERVED
        return character if plain else found[0].upper()

    return _ESCAPE.sub(decode, text)


def equivalent(one: Uri, other: Uri) -> bool:
    """Return whether two URIs mean the same resource (RFC 3261 section 19.1.4)."""
    if one == other:
        return True
    if one.scheme != other.scheme or not one.is_sip or not other.is_sip:
        return False
    if one.port != other.port or one.host_key != other.host_key:
        return False
    if not (_same_text(one.user, other.user) and _same_text(one.password, other.password)):
        return False
    return _same_params(one.params, other.params) and _same_headers(one.headers, other.headers)


def _other(text: str) -> Uri:
    found = _OTHER.fullmatch(text)
    if found is None or found[1].lower() in ("sip", "sips"):
        raise MalformedMessage(f"bad URI: {text[:80]!r}")
    return Uri(found[1].lower(), opaque=found[2])


def _params(text: str) -> Params:
    pairs = [part.partition("=") for part in text[1:].split(";")]
    return tuple((name.lower(), value if sign else None) for name, sign, value in pairs)


def _same_text(one: str | None, other: str | None) -> bool:
    """Return whether two components are equal. An absent component differs from an empty one."""
    if one is None or other is None:
        return one is other
    return unescape(one) == unescape(other)


def _same_params(one: Params, other: Params) -> bool:
    ours = {unescape(name).lower(): unescape(value or "").lower() for name, value in one}
    theirs = {unescape(name).lower(): unescape(value or "").lower() for name, value in other}
    if any(ours[name] != theirs[name] for name in ours.keys() & theirs.keys()):
        return False
    return not _TELLING & (ours.keys() ^ theirs.keys())


def _same_headers(one: str | None, other: str | None) -> bool:
    return _header_set(one) == _header_set(other)


def _header_set(headers: str | None) -> list[tuple[str, str]]:
    if headers is None:
        return []
    pairs = [pair.partition("=") for pair in headers.split("&")]
    return sorted((unescape(name).lower(), unescape(value)) for name, _, value in pairs)
