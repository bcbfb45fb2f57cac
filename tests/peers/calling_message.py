"""A SIP message as a phone reads it, and all that is wrong with it (RFC 3261 sections 7, 8.1.1, 8.1.3, 20).

Written without the project's own parser: what that one lets pass must not pass here for the same reason.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

COMPACT: Final = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
    "c": "content-type", "e": "content-encoding", "k": "supported", "s": "subject", "r": "refer-to",
    "b": "referred-by", "o": "event", "u": "allow-events", "x": "session-expires",
}  # fmt: skip
ONCE: Final = ("from", "to", "call-id", "cseq", "content-length")
AT_MOST_ONCE: Final = (
    "max-forwards", "content-type", "refer-to", "session-expires", "min-se", "rseq", "rack", "event",
)  # fmt: skip
COOKIE: Final = "z9hG4bK"
MAX_HOPS: Final = 70
MAX_CSEQ: Final = 2**31
REQUEST: Final = re.compile(r"([A-Z]+) (\S+) SIP/2\.0")
STATUS: Final = re.compile(r"SIP/2\.0 ([1-6]\d\d) (.*)")
CSEQ: Final = re.compile(r"(\d+) +([A-Z]+)")
VIA: Final = re.compile(r"SIP/2\.0/(UDP|TCP|TLS|WS|WSS) +([^\s;]+)(.*)")
URI: Final = re.compile(r"sips?:[^\s<>\"]+")
DIALLED: Final = ("tel:", "urn:service:")
"""What To may hold too: it is the URI that was dialled."""
PORTLESS: Final = re.compile(r"sips?:(?:[^@;?]*@)?(\[[^\]]*\]|[^:;?>]*)")
UNUSABLE: Final = ("0.0.0.0", "[::]")


class NotSip(ValueError):
    """Bytes that no phone can read."""


@dataclass(frozen=True)
class Message:
    """A request or a response, with its bytes."""

    raw: bytes
    first: str
    headers: tuple[tuple[str, str], ...]
    """Names in small letters, compact ones written out."""
    body: bytes

    @cached_property
    def status(self) -> int:
        """0 of a request."""
        found = STATUS.fullmatch(self.first)
        return int(found[1]) if found else 0

    @property
    def is_request(self) -> bool:
        return not self.status

    @cached_property
    def method(self) -> str:
        """Its own, or that of the request which a response answers."""
        return self.first.split(" ")[0] if self.is_request else self.cseq[1]

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.first.split(" ")[1]

    def all(self, name: str) -> list[str]:
        """The rows of that name."""
        return [value for header, value in self.headers if header == name]

    def header(self, name: str) -> str:
        """The first row of that name, empty when there is none."""
        return next(iter(self.all(name)), "")

    def listed(self, name: str) -> list[str]:
        """The values of a header that may hold several in a row."""
        return [value for row in self.all(name) for value in commas(row)]

    @cached_property
    def cseq(self) -> tuple[int, str]:
        found = CSEQ.fullmatch(self.header("cseq"))
        if found is None:
            raise NotSip(f"CSeq: {self.header('cseq')!r}")
        return int(found[1]), found[2]

    @property
    def call_id(self) -> str:
        return self.header("call-id")

    @cached_property
    def via(self) -> str:
        """The topmost one."""
        return next(iter(self.listed("via")), "")

    @property
    def branch(self) -> str:
        return param(self.via, "branch")

    @property
    def sent_by(self) -> str:
        found = VIA.fullmatch(self.via)
        return found[2] if found else ""

    @property
    def from_tag(self) -> str:
        return param(self.header("from"), "tag")

    @property
    def to_tag(self) -> str:
        return param(self.header("to"), "tag")

    @property
    def contact(self) -> str:
        """The URI in Contact."""
        return uri_of(self.header("contact"))

    def __str__(self) -> str:
        return self.raw.decode("utf-8", "replace")


def read(raw: bytes) -> Message:
    """The message in `raw`. Raises NotSip."""
    head, end, body = raw.partition(b"\r\n\r\n")
    if not end:
        raise NotSip("the head has no end")
    try:
        first, *lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise NotSip("the head is not UTF-8") from None
    if not (REQUEST.fullmatch(first) or STATUS.fullmatch(first)):
        raise NotSip(f"start line: {first!r}")
    message = Message(raw, first, tuple(_header(line) for line in lines), body)
    if not message.cseq[0] < MAX_CSEQ:
        raise NotSip(f"CSeq: {message.header('cseq')!r}")
    return message


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z0-9\-.!%*_+`'~]+", name):
        raise NotSip(f"header line: {line!r}")
    name = name.lower()
    return COMPACT.get(name, name), value.strip()


def commas(text: str) -> list[str]:
    """The parts between commas that stand neither in quotes nor in angle brackets."""
    return [part.strip() for part in re.findall(r'(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,"<])+', text)]


def uri_of(value: str) -> str:
    """The URI of a From, To, Contact, Route and the like."""
    found = re.fullmatch(r'(?:"(?:[^"\\]|\\.)*"|[^<"]*)\s*<([^>]*)>.*', value)
    return found[1] if found else value.partition(";")[0].strip()


def display_of(value: str) -> str:
    """The name before the URI, without quotes."""
    found = re.fullmatch(r'(?:"((?:[^"\\]|\\.)*)"|([^<"]*?))\s*<[^>]*>.*', value)
    return re.sub(r"\\(.)", r"\1", found[1] or found[2] or "") if found else ""


def user_of(uri: str) -> str:
    """What stands before the @, empty without one."""
    before, at, _ = uri.partition("@")
    return before.partition(":")[2] if at else ""


def host_of(uri: str) -> str:
    """The host without its port."""
    found = PORTLESS.match(uri)
    return found[1] if found else ""


def param(value: str, name: str) -> str:
    """A parameter behind the brackets of a header value; empty when it is not there or has no value."""
    rest = value.rpartition(">")[2]
    found = re.search(rf";\s*{name}\s*=\s*(?:\"([^\"]*)\"|([^;,\s]+))", rest, re.IGNORECASE)
    return (found[1] or found[2]) if found else ""


def uri_param(uri: str, name: str) -> str | None:
    """A parameter of a URI, empty when it has no value; None when it is not there."""
    found = re.search(rf";{name}(?:=([^;?]*))?(?:[;?]|$)", uri, re.IGNORECASE)
    return (found[1] or "") if found else None


def faults(message: Message) -> Iterator[str]:
    """What is wrong with any message, whoever receives it."""
    for name in ONCE:
        if len(message.all(name)) != 1:
            yield f"{len(message.all(name))} {name} headers"
    for name in AT_MOST_ONCE:
        if len(message.all(name)) > 1:
            yield f"{len(message.all(name))} {name} headers"
    if message.header("content-length") != str(len(message.body)):
        yield f"Content-Length {message.header('content-length')} of a body of {len(message.body)}"
    if message.body and not message.header("content-type"):
        yield "a body without Content-Type"
    if not message.from_tag:
        yield "From has no tag"
    yield from _vias(message)
    yield from _addresses(message)
    yield from _request(message) if message.is_request else _response(message)


def _vias(message: Message) -> Iterator[str]:
    if not message.listed("via"):
        yield "no Via"
    for via in message.listed("via"):
        if not VIA.fullmatch(via):
            yield f"Via: {via!r}"
        elif not param(via, "branch").startswith(COOKIE) or len(param(via, "branch")) <= len(COOKIE):
            yield f"a branch without the magic cookie: {via!r}"
    branches = [param(via, "branch") for via in message.listed("via")]
    if len(set(branches)) != len(branches):
        yield "two Vias with one branch"


def _addresses(message: Message) -> Iterator[str]:
    for name in ("from", "to", "contact", "route", "record-route", "p-asserted-identity"):
        for value in message.listed(name):
            uri = uri_of(value)
            is_dialled = name == "to" and uri.startswith(DIALLED)
            if not (URI.fullmatch(uri) or is_dialled or (name == "contact" and value == "*")):
                yield f"{name}: {value!r}"
            elif host_of(uri) in UNUSABLE:
                yield f"an address that nobody can reach in {name}: {value!r}"
    for name in ("route", "record-route"):
        if any(uri_param(uri_of(value), "lr") is None for value in message.listed(name)):
            yield f"{name} without lr: {message.listed(name)}"


def _request(message: Message) -> Iterator[str]:
    if message.cseq[1] != message.method:
        yield f"CSeq of a {message.method}: {message.header('cseq')!r}"
    hops = message.header("max-forwards")
    if not hops.isdecimal() or not 0 < int(hops) <= MAX_HOPS:
        yield f"Max-Forwards: {hops!r}"
    contacts = len(message.listed("contact"))
    if message.method in ("INVITE", "SUBSCRIBE", "REFER", "UPDATE") and contacts != 1:
        yield f"{message.method} with {contacts} Contacts"
    if message.all("route"):
        yield f"a Route is left for the phone: {message.all('route')}"
    for name in ("authorization", "proxy-authorization"):
        if message.all(name):
            yield f"the {name} of somebody else"


def _response(message: Message) -> Iterator[str]:
    if message.status > 100 and not message.to_tag:
        yield "To has no tag"
    establishes = message.method in ("INVITE", "SUBSCRIBE", "REFER", "UPDATE") and 200 <= message.status < 300
    if establishes and message.method != "REFER" and len(message.listed("contact")) != 1:
        yield f"{message.status} to {message.method} with {len(message.listed('contact'))} Contacts"
    if len(message.listed("via")) > 1:
        yield f"{len(message.listed('via'))} Vias in a response to a phone"
    wanted = {
        401: "www-authenticate",
        407: "proxy-authenticate",
        405: "allow",
        420: "unsupported",
        422: "min-se",
    }
    name = wanted.get(message.status)
    if name and not message.all(name):
        yield f"{message.status} without {name}"
