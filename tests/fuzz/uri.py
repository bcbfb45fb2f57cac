"""URIs: `parse_uri(str(uri)) == uri`, and equivalence is one (RFC 3261 section 19.1.4)."""

from typing import Final

from registrar.errors import SipError
from registrar.sip import Uri, equivalent, parse_uri, unescape

SEEDS: Final = (
    b"sip:ann@home.example\nsip:%61nn@HOME.example:5060",
    b"sips:ann:secret@[2001:db8::1]:5061;transport=tls;lr?a=b&c=%20\nsips:ann@[2001:DB8::0:1]",
    b"sip:[::ffff:192.0.2.1];maddr=192.0.2.2;ttl=1\nsip:192.0.2.1",
    b"sip:a;b=%2C?c/d@h.;p;q=1\ntel:+1-555-0100;phone-context=example.org",
    b"sip:[2001:db8:::192.0.2.1]\nurn:uuid:0d6f",
)


def check(data: bytes) -> None:
    """Two lines are two URIs."""
    uris = [uri for line in data.decode("latin-1").split("\n", 1) for uri in _parsed(line)]
    for uri in uris:
        text = str(uri)
        assert parse_uri(text) == uri
        assert hash(parse_uri(text)) == hash(uri)
        assert not any(letter <= " " or letter == "\x7f" for letter in text)
        assert equivalent(uri, uri)
        assert isinstance(uri.host_key, str)
        assert not uri.is_sip or 0 <= (uri.port or 0) <= 65_535
        assert len(unescape(text)) <= len(text)
    if len(uris) == 2:
        one, other = uris
        assert equivalent(one, other) == equivalent(other, one)
        assert one != other or equivalent(one, other)


def _parsed(text: str) -> list[Uri]:
    try:
        return [parse_uri.__wrapped__(text)]
    except SipError:
        return []
