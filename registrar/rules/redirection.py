"""Where a called phone may send its caller: to numbers of the same customer (RFC 3261 section 21.3)."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Callee
from registrar.sip import NameAddr, Response, param, parse_name_addrs

from .identity import escape

MAX_CONTACTS: Final = 10
"""Each costs a look-up."""
_Q: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
NOWHERE: Final = "Contact: the called phone redirects the call, and does not say where"
STRANGER: Final = "Contact: the called phone redirects to an address that is not a number of this customer"


def users(response: Response, is_here: Callable[[str], bool]) -> tuple[tuple[str, str], ...] | None:
    """The users that the Contacts of a 3xx dial, each with its q; None when one of them leads elsewhere.

    `is_here` tells a host at which the caller can dial.
    """
    try:
        addresses = [one for row in response.headers.all("contact") for one in parse_name_addrs(row)]
    except MalformedMessage:
        return None
    if len(addresses) > MAX_CONTACTS:
        return None
    found = [(_user(one, is_here), _q(one)) for one in addresses]
    return tuple(found) if all(user for user, _ in found) else None


def contacts(callees: Iterable[tuple[Callee, str]], domain: str) -> tuple[tuple[str, str], ...]:
    """The Contact headers by which the caller reaches `callees`, each with its q."""
    return tuple(
        ("Contact", f"<sip:{escape(callee.number)}@{domain}>" + (f";q={q}" if q else ""))
        for callee, q in callees
    )


def _user(address: NameAddr, is_here: Callable[[str], bool]) -> str:
    """Whom an address dials; empty when that is not for us to say."""
    uri = address.uri
    if not uri.is_sip or uri.user is None or uri.headers is not None or param(uri.params, "gr") is not None:
        return ""
    return uri.user if is_here(uri.host_key) else ""


def _q(address: NameAddr) -> str:
    """The preference of one Contact among several, empty when it has none that can be read."""
    q = param(address.params, "q") or ""
    return q if _Q.fullmatch(q) else ""
