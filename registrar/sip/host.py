"""Hosts of URIs and Via: names, IPv4 addresses and IPv6 references (RFC 3261 section 25.1, RFC 5118)."""

from ipaddress import IPv6Address
from typing import Final

from registrar.errors import MalformedMessage

HOST: Final = r"\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_][A-Za-z0-9_.\-]*+"
ZONED_HOST: Final = r"\[[0-9A-Fa-f:.]++(?:%[A-Za-z0-9\-._~%]++)?+\]|[A-Za-z0-9_][A-Za-z0-9_.\-]*+"
"""HOST for a Via, where phones with a link-local address write its zone (RFC 4007 section 11)."""
PORT: Final = r"[0-9]{1,5}"
MAX_PORT: Final = 65_535


def check_host(host: str) -> None:
    """Raise MalformedMessage if `host`, which matches HOST, is an IPv6 reference without a valid address."""
    if host[0] == "[":
        _address(host)


def parse_port(text: str | None) -> int | None:
    """Return the port in `text`, which matches PORT, or None if there is none. Raise MalformedMessage."""
    if text is None:
        return None
    port = int(text)
    if port > MAX_PORT:
        raise MalformedMessage(f"bad port: {text}")
    return port


def host_key(host: str) -> str:
    """Return `host` for look-ups and comparison.

    It is in lower case, without brackets and without final dots; an IPv4-mapped IPv6 address becomes IPv4.
    """
    if host.startswith("["):
        address = _address(host)
        return str(address.ipv4_mapped or address)
    return host.lower().rstrip(".")


def _address(host: str) -> IPv6Address:
    # RFC 5118 section 4.10: three colons before an IPv4 address come from an error in RFC 3261's grammar.
    try:
        return IPv6Address(host[1:-1].replace(":::", "::"))
    except ValueError:
        raise MalformedMessage(f"bad IPv6 address: {host[:50]!r}") from None
