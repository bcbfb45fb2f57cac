"""The rule for redirections by a called phone: only to numbers of its customer (RFC 3261 section 21.3)."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Devices
from registrar.sip import NameAddr, Response, param, parse_name_addrs

from .identity import escape

MAX_CONTACTS: Final = 10
"""Maximum number of Contacts: each costs a look-up."""
_Q: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
NOWHERE: Final = "Contact: the called phone redirects the call, and does not say where"
STRANGER: Final = "Contact: the called phone redirects to an address that is not a number of this customer"


def users(response: Response, is_here: Callable[[str], bool]) -> tuple[tuple[str, str], ...] | None:
    """Return the users that the Contacts of a 3xx name, each with its q.

    Return None if a Contact leads elsewhere, is malformed, or if there are too many. `is_here` returns
    whether the caller can dial at a host.
    """
    try:
        addresses = [one for row in response.headers.all("contact") for one in parse_name_addrs(row)]
    except MalformedMessage:
        return None
    if len(addresses) > MAX_CONTACTS:
        return None
    found = [(_user(one, is_here), _q(one)) for one in addresses]
    return tuple(found) if all(user for user, _ in found) else None


def contacts(callees: Iterable[tuple[Devices, str]], domain: str) -> tuple[tuple[str, str], ...]:
    """Return the Contact headers for `callees`, each with its q, as the caller can dial them."""
    return tuple(
        ("Contact", f"<sip:{escape(callee.number)}@{domain}>" + (f";q={q}" if q else ""))
        for callee, q in callees
    )


def _user(address: NameAddr, is_here: Callable[[str], bool]) -> str:
    """Return the user that an address dials; empty if the address is not one that we resolve."""
    uri = address.uri
    if not uri.is_sip or uri.user is None or uri.headers is not None or param(uri.params, "gr") is not None:
        return ""
    return uri.user if is_here(uri.host_key) else ""


def _q(address: NameAddr) -> str:
    """Return the q of a Contact; empty if it is absent or malformed."""
    q = param(address.params, "q") or ""
    return q if _Q.fullmatch(q) else ""
