"""One cheap scan of the headers that every request must have, before any rule sees it (docs/architecture.md).

The request keeps the values that are parsed here. All other headers are only matched against a pattern.
"""

import re
from typing import Final

from registrar.errors import MalformedMessage, UnsupportedVersion

from .address import MAX_CONTACTS
from .grammar import TOKEN, is_token, pieces, split
from .message import VERSION, Request
from .via import are_plain, parse_via

_ONCE: Final = frozenset(("to", "from", "cseq", "call-id", "max-forwards", "date", "content-type", "expires"))
_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_DATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{1,2} "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
    re.IGNORECASE | re.ASCII,
)
_MEDIA_TYPE: Final = re.compile(rf"{TOKEN}[ \t]*+/[ \t]*+{TOKEN}[ \t]*+(?:;.*+)?+", re.DOTALL)
# More characters than section 25.1 allows in a word, because phones put Base64 here; never a list separator.
_CALL_ID: Final = re.compile(r"[!-+\--:<-~]++")
MAX_HOPS: Final = 255  # section 20.22
MAX_ODD_HOPS: Final = 32  # with IPv6 or quotes; as many plain hops as fit are allowed
MAX_PARSED: Final = 5
"""The number of Contacts that are parsed before the sender is known: as many as a phone may register."""


def check(request: Request) -> None:
    """Raise UnsupportedVersion (505) or MalformedMessage (400) if the request cannot be served at all."""
    if request.version.upper() != VERSION:
        raise UnsupportedVersion(request.version[:20])
    if request.fault:
        raise MalformedMessage(request.fault)
    if request.uri.headers is not None:
        raise MalformedMessage("headers in the Request-URI")
    headers = request.headers
    if not _ONCE.isdisjoint(headers.repeated):
        raise MalformedMessage(f"more than once: {', '.join(sorted(_ONCE & headers.repeated))}")
    _check_vias(request)
    _check_identity(request)
    _check_values(request)
    if "contact" in headers:
        _check_contacts(request)
    _ = request.credentials


def _check_vias(request: Request) -> None:
    _ = request.via
    rows = request.headers.all("via")
    if len(rows) > 1 or "," in rows[0]:
        odd = [row for row in rows if not are_plain(row)]
        if sum([pieces(row, ",") for row in odd]) > MAX_ODD_HOPS:
            raise MalformedMessage(f"Via: more than {MAX_ODD_HOPS} hops")
        try:
            for row in odd:
                for text in split(row, ","):
                    parse_via(text)
        except MalformedMessage as fault:
            raise MalformedMessage(f"Via: {fault}") from None


def _check_identity(request: Request) -> None:
    for address in (request.from_, request.to):
        tag = address.tag
        if tag is not None and not is_token(tag):
            raise MalformedMessage(f"From or To: bad tag: {tag[:40]!r}")
    if request.method == "REGISTER" and not request.to.uri.is_sip:  # RFC 4475 section 3.3.4
        raise MalformedMessage("To: not a SIP URI, cannot be registered")
    if not _CALL_ID.fullmatch(request.call_id):
        raise MalformedMessage("bad Call-ID")
    if request.cseq[1] != request.method:
        raise MalformedMessage("CSeq names another method")


def _check_values(request: Request) -> None:
    headers = request.headers
    hops = headers.get("max-forwards")
    if hops is not None and not (_NUMBER.fullmatch(hops) and int(hops) <= MAX_HOPS):
        raise MalformedMessage("bad Max-Forwards")
    date = headers.get("date")
    if date is not None and not _DATE.fullmatch(date):
        raise MalformedMessage("bad Date")
    media_type = headers.get("content-type")
    if media_type is not None and not _MEDIA_TYPE.fullmatch(media_type):
        raise MalformedMessage("bad Content-Type")


def _check_contacts(request: Request) -> None:
    """Count the Contacts before they are parsed, because the sender is not authenticated yet.

    If a REGISTER has more than MAX_PARSED, leave them unparsed: rules.register refuses it. Raise
    MalformedMessage.
    """
    rows = request.headers.all("contact")
    if len(rows) > 1 or "," in rows[0]:
        count = request.contact_count
        if count > MAX_CONTACTS:
            raise MalformedMessage(f"Contact: {count}, and {MAX_CONTACTS} are the most")
        if "*" in rows:
            raise MalformedMessage("Contact * beside another Contact")
        if count > MAX_PARSED:
            request.crowded = True
            if request.method == "REGISTER":
                return
            raise MalformedMessage(f"Contact: {count}, and one is the most")
    _ = request.contacts
