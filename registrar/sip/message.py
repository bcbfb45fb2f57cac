"""Requests and responses: parses one datagram into a message and formats it again (RFC 3261 section 7).

`parse` only splits the message into rows. A header is parsed once, at its first use; `check` scans the
headers that section 8.1.1 makes mandatory.
"""

import re
from typing import Final

from registrar.errors import MalformedMessage, MessageTooLarge

from .address import NameAddr, parse_name_addr, parse_name_addrs
from .digest import Credentials, parse_credentials
from .grammar import QUOTED_CONTENT, TOKEN, first, is_token, pieces, split
from .headers import MAX_HEADER, Headers, parse_headers
from .uri import Uri, parse_uri
from .via import Via, branch_in, parse_via

VERSION: Final = "SIP/2.0"
MAX_MESSAGE: Final = (
    16_384  # RFC 4475 needs 3,361; a longer message is an attack, or has a body that does not concern us
)
MAX_HEAD: Final = 8_192
MAX_HEADERS: Final = 128  # each line of a folded header counts
MAX_METHOD: Final = 64
MAX_CREDENTIALS: Final = 8  # one for each proxy on the way that challenged, and one for us
MAX_REQUEST_URI: Final = (
    1_024  # the same as for any URI: our own Contacts have a token that contains another Contact
)
BAD_LENGTH: Final = "bad Content-Length"
UNREADABLE: Final = ":"  # replaces a line with control characters: no header, and it ends a folded one
MAX_CSEQ: Final = 2**31 - 1  # section 8.1.1.5

# Control bytes, and CR or LF outside of CRLF, are not allowed in a header. Deleting all harmless bytes and
# comparing the rest costs a tenth of a regular expression.
_HARMLESS: Final = bytes([9, *range(32, 127), *range(128, 256)])
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# A quoted string that is not closed ends with the line, so that each quote is examined once.
_QUOTED: Final = re.compile(rf'"{QUOTED_CONTENT}("?)')
_PAIR: Final = re.compile(r"\\[^\r\n]")
_DIGITS: Final = re.compile(r"0*([0-9]{1,10})")
_CSEQ: Final = re.compile(rf"0*([0-9]{{1,10}})[ \t]++({TOKEN})")
_TAG: Final = re.compile(rf";[ \t]*+tag[ \t]*+=[ \t]*+({TOKEN})[ \t]*+(?:;|\Z)", re.IGNORECASE)
_VERSION: Final = re.compile(r"[Ss][Ii][Pp]/[0-9]++\.[0-9]++")
_STATUS: Final = re.compile(r"[1-6][0-9][0-9]")


class Message:
    """The common part of requests and responses. Read headers through `headers` or the typed properties.

    `bytes(message)` is the message as it is sent.
    """

    __slots__ = ("_cseq", "_from", "_to", "_via", "body", "fault", "headers", "version")

    def __init__(self, headers: Headers, body: bytes = b"", version: str = VERSION) -> None:
        self.headers = headers
        self.body = body
        self.version = version
        self.fault = ""
        """The fault in the lines of a request, else empty. `check` then refuses the request. The readable
        headers are kept for the answer."""
        self._via: Via | None = None
        self._to: NameAddr | None = None
        self._from: NameAddr | None = None
        self._cseq: tuple[int, str] | None = None

    @property
    def via(self) -> Via:
        """Return the topmost Via (section 20.42). Raise MalformedMessage if it is missing or bad."""
        if self._via is None:
            text = self._mandatory("via")
            try:
                self._via = parse_via(first(text, ",") if "," in text else text)
            except MalformedMessage as fault:
                self._via = self._odd_via(text, fault)
        return self._via

    @via.setter
    def via(self, via: Via) -> None:
        """Replace the topmost Via, in its row."""
        _, *others = split(self._mandatory("via"), ",")
        self.headers.replace("via", ", ".join([str(via), *others]))
        self._via = via

    @property
    def to(self) -> NameAddr:
        """Return the To header (section 20.39). Raise MalformedMessage if it is missing or bad."""
        if self._to is None:
            text = self._mandatory("to")
            try:
                self._to = parse_name_addr(text)
            except MalformedMessage as fault:
                self._to = self._odd_to(text, fault)
        return self._to

    @property
    def from_(self) -> NameAddr:
        """Return the From header (section 20.20). Raise MalformedMessage if it is missing or bad."""
        if self._from is None:
            try:
                self._from = parse_name_addr(self._mandatory("from"))
            except MalformedMessage as fault:
                raise MalformedMessage(f"From: {fault}") from None
        return self._from

    @property
    def call_id(self) -> str:
        """Return the Call-ID (section 20.8), which is compared byte by byte. Raise MalformedMessage."""
        return self._mandatory("call-id")

    @property
    def cseq(self) -> tuple[int, str]:
        """Return the number and the method of the CSeq header (section 20.16). Raise MalformedMessage."""
        if self._cseq is None:
            found = _CSEQ.fullmatch(self._mandatory("cseq"))
            if found is None or int(found[1]) > MAX_CSEQ:
                self._cseq = self._odd_cseq()
            else:
                self._cseq = (int(found[1]), found[2])
        return self._cseq

    def _odd_via(self, _text: str, fault: MalformedMessage) -> Via:
        """Return a substitute for a topmost Via that cannot be parsed, or raise MalformedMessage."""
        raise MalformedMessage(f"Via: {fault}") from None

    def _odd_to(self, _text: str, fault: MalformedMessage) -> NameAddr:
        """Return a substitute for a To that cannot be parsed, or raise MalformedMessage."""
        raise MalformedMessage(f"To: {fault}") from None

    def _odd_cseq(self) -> tuple[int, str]:
        """Return a substitute for a CSeq that cannot be parsed, or raise MalformedMessage."""
        raise MalformedMessage("bad CSeq")

    def _mandatory(self, key: str) -> str:
        value = self.headers.get(key)
        if not value:
            raise MalformedMessage(f"{key} is missing")
        return value

    @property
    def start_line(self) -> str:
        """Return the first line as it is sent."""
        raise NotImplementedError

    def __bytes__(self) -> bytes:
        lines = [self.start_line, *[f"{name}: {value}" for _, name, value in self.headers.rows], "", ""]
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1:
            raise MalformedMessage("a line break inside a header")
        return text.encode("utf-8", "replace") + self.body


class Request(Message):
    """A request (section 7.1)."""

    __slots__ = ("_contacts", "_credentials", "_uri", "crowded", "method", "size", "target")

    def __init__(
        self, method: str, target: str, headers: Headers, body: bytes = b"", version: str = VERSION
    ) -> None:
        super().__init__(headers, body, version)
        self.method = method
        self.target = target
        """The Request-URI as written."""
        self.crowded = False
        """Whether `check` found more Contacts than are parsed."""
        self.size = 0
        """Octets received, headers and body; 0 for a request that we send."""
        self._uri: Uri | None = None
        self._contacts: tuple[NameAddr, ...] | None = None
        self._credentials: tuple[Credentials, ...] | None = None

    @property
    def uri(self) -> Uri:
        """Return the Request-URI. Raise MalformedMessage if it is bad."""
        if self._uri is None:
            if len(self.target) > MAX_REQUEST_URI:
                raise MalformedMessage(f"Request-URI over {MAX_REQUEST_URI} characters")
            try:
                self._uri = parse_uri(self.target)
            except MalformedMessage as fault:
                raise MalformedMessage(f"Request-URI: {fault}") from None
        return self._uri

    def retarget(self, target: str) -> None:
        """Replace the Request-URI."""
        self.target = target
        self._uri = None

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """Return every Contact except `*` (see `wildcard`), in wire order. Raise MalformedMessage."""
        if self._contacts is None:
            found: list[NameAddr] = []
            try:
                for row in self.headers.all("contact"):
                    if row != "*":
                        found.extend(parse_name_addrs(row))
            except MalformedMessage as fault:
                raise MalformedMessage(f"Contact: {fault}") from None
            self._contacts = tuple(found)
        return self._contacts

    @property
    def contact_count(self) -> int:
        """Return the number of Contacts, `*` included.

        It costs one search and parses nothing: use it before `contacts`.
        """
        return sum([pieces(row, ",") for row in self.headers.all("contact")])

    @property
    def wildcard(self) -> bool:
        """Return whether one of the Contact headers is `*` (section 10.2.2)."""
        return "*" in self.headers.all("contact")

    @property
    def credentials(self) -> tuple[Credentials, ...]:
        """Return every Authorization and Proxy-Authorization with the Digest scheme (section 22).

        Raise MalformedMessage if one is malformed, or if there are more than MAX_CREDENTIALS.
        """
        if self._credentials is None:
            rows = self.headers.all("authorization") + self.headers.all("proxy-authorization")
            if len(rows) > MAX_CREDENTIALS:
                raise MalformedMessage(f"Authorization: more than {MAX_CREDENTIALS}")
            parsed = [parse_credentials(value) for value in rows]
            self._credentials = tuple([found for found in parsed if found is not None])
        return self._credentials

    @property
    def start_line(self) -> str:
        """Return the method, the Request-URI and the version."""
        return f"{self.method} {self.target} {self.version}"


class Response(Message):
    """A response (section 7.2).

    It is matched by the branch of its topmost Via and the method of its CSeq (section 17.1.3). The tag of its
    To identifies its dialog. If other parts of these headers are malformed, the response is still used.
    """

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str, headers: Headers, body: bytes = b"", version: str = VERSION
    ) -> None:
        super().__init__(headers, body, version)
        self.status = status
        self.reason = reason

    def _odd_via(self, text: str, fault: MalformedMessage) -> Via:
        branch = branch_in(text)
        if not branch:
            raise fault
        return Via("", "", None, (("branch", branch),))

    def _odd_to(self, text: str, fault: MalformedMessage) -> NameAddr:
        found = _TAG.search(text)
        if found is None:
            raise MalformedMessage(f"To: {fault}") from None
        return NameAddr(Uri("invalid"), (("tag", found[1]),))

    def _odd_cseq(self) -> tuple[int, str]:
        method = self._mandatory("cseq").split()[-1:]
        if not method or not is_token(method[0]):
            raise MalformedMessage("bad CSeq")
        return 0, method[0]

    @property
    def start_line(self) -> str:
        """Return the version, the status and the reason."""
        return f"{self.version} {self.status} {self.reason}"


def parse(data: bytes, *, exact: bool = False) -> Message:
    """Return the message in one datagram, or in one frame of a stream.

    Octets after Content-Length are cut off (section 18.3). If `exact` is set, the transport itself delimits
    the message, and such octets are a fault.

    Raise MessageTooLarge if the message is too long. Raise MalformedMessage if another limit is exceeded, if
    the start line is invalid, or if a response is incomplete. Any other fault of a request is stored in its
    `fault`. Malformed header lines of a response are left out (section 7.3.1), because the phone has
    answered.
    """
    if len(data) > MAX_MESSAGE:
        raise MessageTooLarge(f"{len(data)} octets")
    head, end, octets = data.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD:
        raise MalformedMessage(f"headers over {MAX_HEAD} octets")
    lines, fault = _lines(head)
    headers, unread = parse_headers(lines[1:])
    body, misfit = _body(octets, headers)
    if exact and not misfit and len(body) != len(octets):
        misfit = "body longer than Content-Length"
    misfit = misfit or ("" if end else "no empty line after the headers")
    if lines[0][:4].lower() == "sip/":
        if misfit and misfit != BAD_LENGTH:  # the length of a datagram or a frame is known without it
            raise MalformedMessage(misfit)
        return _response(lines[0], headers, body)
    request = _request(lines[0], headers, body)
    request.size = len(data)
    request.fault = request.fault or fault or unread or misfit
    return request


def _lines(head: bytes) -> tuple[list[str], str]:
    """Return the start line and the header lines, and what is wrong with lines left out, else empty."""
    text = _text(head)
    lines = text.split("\r\n")
    if len(lines) > MAX_HEADERS + 1:
        raise MalformedMessage(f"more than {MAX_HEADERS} headers")
    if len(text) > MAX_HEADER and len(max(lines, key=len)) > MAX_HEADER:
        raise MalformedMessage(f"a line over {MAX_HEADER} characters")
    if head.translate(None, _HARMLESS) == b"\r\n" * (len(lines) - 1):
        return lines, ""
    clean = [line if _is_clean(line) else UNREADABLE for line in lines]
    if clean[:1] != lines[:1]:
        raise MalformedMessage("a control character in the start line")
    odd = next((line for line, kept in zip(lines, clean, strict=True) if line != kept), None)
    return clean, "" if odd is None else f"a control character in a header: {odd[:40]!r}"


def _text(head: bytes) -> str:
    """Return the text of the headers, decoded as UTF-8 (section 7.3.1), else as ISO 8859-1.

    Some phones write names in ISO 8859-1. The text can always be encoded again.
    """
    try:
        return head.decode()
    except UnicodeDecodeError:
        return head.decode("iso-8859-1")


def _is_clean(line: str) -> bool:
    """Return whether a line has control characters only as quoted pairs inside a quoted string."""
    outside = _QUOTED.sub(lambda found: _PAIR.sub("", found[0]) if found[1] else found[0], line)
    return _CONTROL.search(outside) is None


def _body(octets: bytes, headers: Headers) -> tuple[bytes, str]:
    """Return the body that Content-Length delimits, and what is wrong with it, else empty (section 18.3)."""
    lengths = set(headers.all("content-length"))
    if not lengths:
        return octets, ""
    if len(lengths) > 1:
        return octets, "two Content-Lengths"
    found = _DIGITS.fullmatch(lengths.pop())
    if found is None:
        return octets, BAD_LENGTH
    length = int(found[1])
    if length > len(octets):
        return octets, "body shorter than Content-Length"
    return octets[:length], ""


def _request(start: str, headers: Headers, body: bytes) -> Request:
    parts = start.split(" ")
    method, version = parts[0], parts[-1]
    if len(method) > MAX_METHOD or not is_token(method):
        raise MalformedMessage("bad method")
    known = version == VERSION or _VERSION.fullmatch(version) is not None
    if known and len(parts) == 3:
        return Request(method, parts[1], headers, body, version)
    request = Request(method, "", headers, body, version if known else VERSION)
    request.fault = "bad request line"
    return request


def _response(start: str, headers: Headers, body: bytes) -> Response:
    version, _, rest = start.partition(" ")
    status, _, reason = rest.partition(" ")
    if not _VERSION.fullmatch(version) or not _STATUS.fullmatch(status):
        raise MalformedMessage("bad status line")
    return Response(int(status), reason, headers, body, version)
