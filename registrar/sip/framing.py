"""Where a message of a stream ends and the next begins (RFC 3261 section 18.3, RFC 5626 section 4.4.1)."""

import re
from typing import Final, NamedTuple

from registrar.errors import MalformedMessage, MessageTooLarge, SipError

from .message import MAX_HEAD, MAX_MESSAGE

_END: Final = b"\r\n\r\n"
# A message begins with a method or a version: with a character of a token.
_BEGINNING: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*+")
# The header as `parse` will read it: blanks before the colon and folded lines are legal. The value goes to
# the end of its line, so that a CR or LF alone is part of it, and makes it none.
_LENGTH: Final = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*+:[ \t]*+((?:[^\r]++|\r(?!\n)|\r\n[ \t])*+)", re.IGNORECASE
)
_CR: Final = 0x0D
_DIGITS: Final = re.compile(rb"0*([0-9]{1,10})")


class Frame(NamedTuple):
    """The octets of one message; with a `fault` only its beginning, and nothing more can be read after it."""

    data: bytes
    fault: SipError | None = None


class Framer:
    """Cuts what comes over one connection into messages, however it was split on the way."""

    __slots__ = ("_buffer", "_empty_lines", "_searched", "_wanted", "broken", "pings")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """Up to here there is no end of the headers."""
        self._wanted = 0
        """How long the message is whose headers are complete, else 0."""
        self._empty_lines = 0
        self.pings = 0
        """How many pairs of empty lines came between messages: each is to be answered with one."""
        self.broken = False
        """The stream cannot be read on: everything more is thrown away."""

    @property
    def partial(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._buffer) and self._buffer != b"\r"

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that are complete with `data`, in order; none comes after one with a `fault`."""
        if self.broken:
            return []
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        while buffer and not self.broken:
            if not self._wanted and not self._begins():
                break
            frame = self._next()
            if frame is None:
                break
            frames.append(frame)
        return frames

    def _begins(self) -> bool:
        """Skip empty lines before a message; False when nothing is left, or no message can begin so."""
        buffer = self._buffer
        if buffer[0] == _CR:
            found = _EMPTY_LINES.match(buffer)
            skipped = found.end() if found else 0
            pings, self._empty_lines = divmod(self._empty_lines + skipped // 2, 2)
            self.pings += pings
            del buffer[:skipped]
            self._searched = 0
        return bool(buffer) and buffer != b"\r"

    def _next(self) -> Frame | None:
        """The message at the head of the buffer; None: it is not complete yet."""
        buffer = self._buffer
        if not self._wanted:
            self._empty_lines = 0
            if buffer[0] not in _BEGINNING:
                return self._break(b"", MalformedMessage("no SIP"))
            end = buffer.find(_END, self._searched)
            if end > MAX_HEAD or (end < 0 and len(buffer) >= MAX_HEAD + len(_END)):
                return self._break(
                    bytes(buffer[:MAX_HEAD]), MalformedMessage(f"headers over {MAX_HEAD} octets")
                )
            if end < 0:
                self._searched = max(0, len(buffer) - len(_END) + 1)
                return None
            head = bytes(buffer[: end + len(_END)])
            try:
                self._wanted = len(head) + content_length(head)
                if self._wanted > MAX_MESSAGE:
                    raise MessageTooLarge(f"{self._wanted} octets")
            except SipError as error:
                return self._break(head, error)
        if len(buffer) < self._wanted:
            return None
        data = bytes(buffer[: self._wanted])
        del buffer[: self._wanted]
        self._wanted = self._searched = 0
        return Frame(data)

    def _break(self, head: bytes, fault: SipError) -> Frame:
        self.broken = True
        self._buffer.clear()
        return Frame(head, fault)


def content_length(head: bytes) -> int:
    """What Content-Length says in the headers of a stream's message (section 18.3).

    Raises MalformedMessage when it is missing, is no number, or says two things.
    """
    values = {value.replace(b"\r\n", b" ").strip(b" \t") for value in _LENGTH.findall(head)}
    if not values:
        raise MalformedMessage("Content-Length is missing")
    found = _DIGITS.fullmatch(values.pop())
    if values or found is None:
        raise MalformedMessage("bad Content-Length")
    return int(found[1])
