"""Requests and responses: one datagram's bytes to a message and back (RFC 3261 section 7).

`parse` only cuts the message into rows. Whoever reads a header pays for its parsing, once; `check` scans
what section 8.1.1 makes mandatory without building anything.
"""

import re
from typing import Final

from registrar.errors import MalformedMessage, MessageTooLarge

from .address import NameAddr, parse_name_addr, parse_name_addrs
from .digest import Credentials, parse_credentials
from .grammar import LWS, is_token
from .headers import Headers
from .uri import Uri, parse_uri
from .via import Via, parse_via

VERSION: Final = "SIP/2.0"
MAX_MESSAGE: Final = 16_384  # RFC 4475 needs 3,361; more is an attack, or a body that is no business of ours
MAX_HEAD: Final = 8_192
MAX_HEADER: Final = 2_048
MAX_HEADERS: Final = 128
MAX_METHOD: Final = 64
MAX_REQUEST_URI: Final = 512
MAX_CONTENT_LENGTH: Final = 2**31 - 1

# What may not stand in a header at all: control bytes, and CR or LF that is not part of CRLF. Deleting all
# that is harmless and looking at the rest costs a tenth of a regular expression.
_HARMLESS: Final = bytes([9, *range(32, 127), *range(128, 256)])
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_FOLD: Final = re.compile(r"[ \t]*\r\n[ \t]+")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")


class Message:
    """What requests and responses share. Headers are read through `headers` or the typed properties."""

    __slots__ = ("_cseq", "_from", "_to", "_via", "body", "ended", "headers", "version")

    def __init__(self, headers: Headers, body: bytes = b"", version: str = VERSION) -> None:
        self.headers = headers
        self.body = body
        self.version = version
        self.ended = True
        """Whether the empty line after the headers was there."""
        self._via: Via | None = None
        self._to: NameAddr | None = None
        self._from: NameAddr | None = None
        self._cseq: tuple[int, str] | None = None

    @property
    def via(self) -> Via:
        """The topmost Via (section 20.42). Raises MalformedMessage when it is missing or bad."""
        if self._via is None:
            text = self._mandatory("via")
            self._via = parse_via(text.partition(",")[0] if '"' not in text else text)
        return self._via

    @via.setter
    def via(self, via: Via) -> None:
        """Replace the topmost Via, in its row."""
        rows = self.headers.rows
        for position, (key, name, value) in enumerate(rows):
            if key == "via":
                _, comma, rest = value.partition(",")
                rows[position] = (key, name, f"{via}{comma}{rest}")
                break
        self._via = via

    @property
    def to(self) -> NameAddr:
        """The To header (section 20.39)."""
        if self._to is None:
            self._to = parse_name_addr(self._mandatory("to"))
        return self._to

    @property
    def from_(self) -> NameAddr:
        """The From header (section 20.20)."""
        if self._from is None:
            self._from = parse_name_addr(self._mandatory("from"))
        return self._from

    @property
    def call_id(self) -> str:
        """The Call-ID (section 20.8), compared byte by byte."""
        return self._mandatory("call-id")

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method of the CSeq header (section 20.16)."""
        if self._cseq is None:
            number, _, method = self._mandatory("cseq").partition(" ")
            method = method.strip(LWS)
            if not _DIGITS.fullmatch(number) or not is_token(method) or int(number) >= 2**31:
                raise MalformedMessage("bad CSeq")
            self._cseq = (int(number), method)
        return self._cseq

    def _mandatory(self, key: str) -> str:
        value = self.headers.get(key)
        if not value:
            raise MalformedMessage(f"{key} is missing")
        return value

    def _head(self, start_line: str) -> bytes:
        lines = [start_line, *(f"{name}: {value}" for _, name, value in self.headers.rows), "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")


class Request(Message):
    """A request. `bytes(request)` is what goes on the wire."""

    __slots__ = ("_contacts", "_credentials", "_uri", "method", "target")

    def __init__(
        self, method: str, target: str, headers: Headers, body: bytes = b"", version: str = VERSION
    ) -> None:
        super().__init__(headers, body, version)
        self.method = method
        self.target = target
        """The Request-URI as written."""
        self._uri: Uri | None = None
        self._contacts: tuple[NameAddr, ...] | None = None
        self._credentials: tuple[Credentials, ...] | None = None

    @property
    def uri(self) -> Uri:
        """The Request-URI. Raises MalformedMessage."""
        if self._uri is None:
            if len(self.target) > MAX_REQUEST_URI:
                raise MalformedMessage(f"Request-URI over {MAX_REQUEST_URI} characters")
            self._uri = parse_uri(self.target)
        return self._uri

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """Every Contact but `*` (see `wildcard`), in wire order."""
        if self._contacts is None:
            found: list[NameAddr] = []
            for row in self.headers.all("contact"):
                if row != "*":
                    found.extend(parse_name_addrs(row))
            self._contacts = tuple(found)
        return self._contacts

    @property
    def wildcard(self) -> bool:
        """Whether one of the Contact headers is `*` (section 10.2.2)."""
        return "*" in self.headers.all("contact")

    @property
    def credentials(self) -> tuple[Credentials, ...]:
        """Every Authorization with the Digest scheme, in wire order (section 22)."""
        if self._credentials is None:
            parsed = (parse_credentials(value) for value in self.headers.all("authorization"))
            self._credentials = tuple(found for found in parsed if found is not None)
        return self._credentials

    def __bytes__(self) -> bytes:
        return self._head(f"{self.method} {self.target} {self.version}") + self.body


class Response(Message):
    """A response. `bytes(response)` is what goes on the wire."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str, headers: Headers, body: bytes = b"", version: str = VERSION
    ) -> None:
        super().__init__(headers, body, version)
        self.status = status
        self.reason = reason

    def __bytes__(self) -> bytes:
        return self._head(f"{self.version} {self.status} {self.reason}") + self.body


def parse(data: bytes) -> Message:
    """The message in one datagram, or in one frame of a stream.

    Octets beyond Content-Length are cut off (section 18.3); `check` looks at what is in the headers. Raises
    MessageTooLarge, or MalformedMessage when the bytes are not even lines.
    """
    if len(data) > MAX_MESSAGE:
        raise MessageTooLarge(f"{len(data)} octets")
    head, end, body = data.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD:
        raise MalformedMessage(f"headers over {MAX_HEAD} octets")
    text = head.decode("utf-8", "surrogateescape")
    if head.translate(None, _HARMLESS) != b"\r\n" * head.count(b"\r\n"):
        _refuse_controls(text)
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    headers = _rows(lines)
    body = _cut(body, headers)
    start = lines[0]
    message = _response(start, headers, body) if start.startswith("SIP/") else _request(start, headers, body)
    message.ended = bool(end)
    return message


def _rows(lines: list[str]) -> Headers:
    if len(lines) > MAX_HEADERS + 1:
        raise MalformedMessage(f"more than {MAX_HEADERS} headers")
    if len(max(lines, key=len)) > MAX_HEADER:
        raise MalformedMessage(f"a header over {MAX_HEADER} characters")
    headers = Headers()
    for line in lines[1:]:
        if line:  # an empty last line of a datagram that was cut off; `check` refuses it
            name, colon, value = line.partition(":")
            if not colon:
                raise MalformedMessage(f"a line that is no header: {line[:40]!r}")
            headers.add(name, value.strip(LWS))
    return headers


def _request(start: str, headers: Headers, body: bytes) -> Request:
    parts = start.split(" ")
    method = parts[0]
    if len(method) > MAX_METHOD or not is_token(method):
        raise MalformedMessage("bad method")
    if len(parts) != 3 or not parts[2].startswith("SIP/"):
        # Still a request that can be answered: `check` refuses the empty Request-URI.
        return Request(method, "", headers, body, parts[-1] if parts[-1].startswith("SIP/") else VERSION)
    return Request(method, parts[1], headers, body, parts[2])


def _response(start: str, headers: Headers, body: bytes) -> Response:
    version, _, rest = start.partition(" ")
    status, _, reason = rest.partition(" ")
    if len(status) != 3 or not status.isascii() or not status.isdigit():
        raise MalformedMessage("bad status line")
    return Response(int(status), reason, headers, body, version)


def _cut(body: bytes, headers: Headers) -> bytes:
    length = headers.get("content-length")
    if length is None or not _DIGITS.fullmatch(length):
        return body
    return body[: int(length)]


def _refuse_controls(text: str) -> None:
    """Control bytes are legal as quoted pairs inside a quoted string, and nowhere else."""
    outside = _QUOTED.sub(lambda found: re.sub(r"\\[\x00-\x7f]", "", found[0]), text)
    if _CONTROL.search(outside):
        raise MalformedMessage("a control character in the headers")
