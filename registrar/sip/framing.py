"""Framing: splits a byte stream into messages (RFC 3261 section 18.3, RFC 5626 section 4.4.1)."""

import re
from typing import Final, NamedTuple

from registrar.errors import MalformedMessage, MessageTooLarge, SipError

from .message import MAX_HEAD, MAX_MESSAGE

_END: Final = b"\r\n\r\n"
# A message begins with a method or a version, so its first character is one of a token.
_BEGINNING: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*+")
# The header as `parse` will read it: blanks before the colon and folded lines are legal. The value extends to
# the end of its line, so that a single CR or LF is part of it and makes it invalid.
_LENGTH: Final = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*+:[ \t]*+((?:[^\r]++|\r(?!\n)|\r\n[ \t])*+)", re.IGNORECASE
)
_CR: Final = 0x0D
_DIGITS: Final = re.compile(rb"0*([0-9]{1,10})")


class Frame(NamedTuple):
    """The octets of one message. With a `fault` they are only its beginning, and the stream ends there."""

    data: bytes
    fault: SipError | None = None


class Framer:
    """Splits the bytes of one connection into messages, however the bytes were divided into segments."""

    __slots__ = ("_buffer", "_empty_lines", "_searched", "_wanted", "broken", "pings")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """The end of the headers is not before this offset."""
        self._wanted = 0
        """Length of the message whose headers are complete, else 0."""
        self._empty_lines = 0
        self.pings = 0
        """Number of pairs of empty lines between messages. Each pair must be answered with one empty line."""
        self.broken = False
        """Whether the stream can no longer be read. All further bytes are discarded."""

    @property
    def partial(self) -> bool:
        """Return whether a message has begun and is not complete."""
        return bool(self._buffer) and self._buffer != b"\r"

    def feed(self, data: bytes) -> list[Frame]:
        """Return the messages that `data` completes, in order; a frame with a `fault` is the last one."""
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
        """Skip empty lines before a message. Return False if nothing remains, or only one CR."""
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
        """Return the message at the head of the buffer, or None if it is not complete yet."""
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
    """Return the Content-Length in the headers of a message from a stream (section 18.3).

    Raise MalformedMessage if it is missing, is not a number, or is repeated with another value.
    """
    values = {value.replace(b"\r\n", b" ").strip(b" \t") for value in _LENGTH.findall(head)}
    if not values:
        raise MalformedMessage("Content-Length is missing")
    found = _DIGITS.fullmatch(values.pop())
    if values or found is None:
        raise MalformedMessage("bad Content-Length")
    return int(found[1])
