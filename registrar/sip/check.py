"""One cheap scan of what every request must carry, before any rule sees it (design.md section 3, step 2).

Values are matched, not built: what a rule reads later is parsed then, once.
"""

import re
from typing import Final

from registrar.errors import MalformedMessage, UnsupportedVersion

from .grammar import LWS, TOKEN, is_token, split
from .message import MAX_CONTENT_LENGTH, VERSION, Request
from .via import parse_via

_ONCE: Final = (
    "to", "from", "cseq", "call-id", "max-forwards", "date", "content-type", "expires",
)  # fmt: skip
_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_DATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
    re.IGNORECASE,
)
_MEDIA_TYPE: Final = re.compile(rf"{TOKEN}[ \t]*+/[ \t]*+{TOKEN}[ \t]*+(?:;.*+)?+", re.DOTALL)
_BAD_CALL_ID: Final = re.compile(r"[\s,;]")


def check(request: Request) -> None:
    """Raises UnsupportedVersion (505) or MalformedMessage (400) when the request cannot be served at all."""
    if request.version.upper() != VERSION:
        raise UnsupportedVersion(request.version[:20])
    if not request.target or not request.ended or request.uri.headers is not None:
        raise MalformedMessage("bad request line, or no empty line after the headers")
    headers = request.headers
    for key in _ONCE:
        if headers.repeated(key):
            raise MalformedMessage(f"{key} more than once")
    _check_vias(request)
    _check_identity(request)
    _check_numbers(request)
    if "contact" in headers:
        _check_contacts(request)
    if "date" in headers and not _DATE.fullmatch(headers.get("date") or ""):
        raise MalformedMessage("bad Date")
    if "content-type" in headers and not _MEDIA_TYPE.fullmatch(headers.get("content-type") or ""):
        raise MalformedMessage("bad Content-Type")
    _ = request.credentials


def _check_vias(request: Request) -> None:
    rows = request.headers.all("via")
    if len(rows) == 1 and "," not in rows[0]:
        _ = request.via
        return
    if not rows:
        raise MalformedMessage("Via is missing")
    for row in rows:
        for text in split(row, ","):
            parse_via(text)


def _check_identity(request: Request) -> None:
    if not request.from_.uri or not request.to.uri or _BAD_CALL_ID.search(request.call_id):
        raise MalformedMessage("bad From, To or Call-ID")
    for address in (request.from_, request.to):
        tag = address.tag
        if tag is not None and not is_token(tag):
            raise MalformedMessage("bad tag")
    if request.cseq[1] != request.method:
        raise MalformedMessage("CSeq names another method")


def _check_numbers(request: Request) -> None:
    headers = request.headers
    hops = headers.get("max-forwards")
    if hops is not None and not (_NUMBER.fullmatch(hops) and int(hops) <= 255):
        raise MalformedMessage("bad Max-Forwards")
    lengths = {length.strip(LWS) for length in headers.all("content-length")}
    if len(lengths) > 1:
        raise MalformedMessage("several Content-Length")
    for length in lengths:
        if not _NUMBER.fullmatch(length) or int(length) > MAX_CONTENT_LENGTH:
            raise MalformedMessage("bad Content-Length")
        if int(length) > len(request.body):
            raise MalformedMessage("body shorter than Content-Length")


def _check_contacts(request: Request) -> None:
    if request.wildcard and (len(request.headers.all("contact")) > 1 or request.contacts):
        raise MalformedMessage("Contact * beside another Contact")
    _ = request.contacts
