"""name-addr and addr-spec with their header parameters: From, To, Contact (RFC 3261 section 20.10)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from registrar.errors import MalformedMessage

from .grammar import LWS, QUOTED, Params, format_params, param, parse_params, split
from .uri import KEPT, Uri, parse_uri

MAX_CONTACTS: Final = 32  # a REGISTER with more does not come from a phone; the rule's own limit is 5

# Non-ASCII text is tolerated without quotes, because many phones send it like this.
_DISPLAY: Final = rf"{QUOTED}|[A-Za-z0-9\-.!%*_+`'~ \t\x80-\U0010ffff]*+"
_NAME_ADDR: Final = re.compile(rf"({_DISPLAY})[ \t]*+<([^<>]*+)>[ \t]*+(;.*+)?+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """One address of a header. `str(address)` is its text, with runs of blanks as one space."""

    uri: Uri
    params: Params = ()
    display: str = ""
    """The display name as written, with its quotes."""

    @property
    def tag(self) -> str | None:
        """Return the `tag` parameter of a From or To, or None."""
        return param(self.params, "tag")

    def __str__(self) -> str:
        display = f"{self.display} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"


@lru_cache(KEPT)
def parse_name_addr(text: str) -> NameAddr:
    """Return the single address in `text`. Raise MalformedMessage if it cannot be parsed."""
    found = _NAME_ADDR.fullmatch(text.strip(LWS))
    if found is not None:
        display, uri, params = found.groups()
        return NameAddr(parse_uri(uri), parse_params(params) if params else (), display.strip(LWS))
    return _bare(text)


def parse_name_addrs(text: str) -> list[NameAddr]:
    """Return the addresses of a header that may list several, separated by commas.

    Raise MalformedMessage if an address cannot be parsed, or if there are more than MAX_CONTACTS.
    """
    pieces = split(text, ",") if "," in text else [text]
    if len(pieces) > MAX_CONTACTS:
        raise MalformedMessage(f"more than {MAX_CONTACTS} addresses in one header")
    return [parse_name_addr(piece) for piece in pieces]


def _bare(text: str) -> NameAddr:
    """Return the address of an addr-spec without angle brackets.

    Parameters after `;` belong to the header. Raise MalformedMessage for `?` or `,`, which need brackets.
    """
    uri, semicolon, params = text.strip(LWS).partition(";")
    if "?" in uri or "," in uri:
        raise MalformedMessage(f"an address that needs angle brackets: {text[:80]!r}")
    return NameAddr(parse_uri(uri.rstrip(LWS)), parse_params(semicolon + params))
