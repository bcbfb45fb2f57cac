"""The framer of streams: the same messages however it is cut, and the parser reads the same lengths."""

from typing import Final

from registrar.errors import SipError
from registrar.sip import MAX_MESSAGE, Frame, Framer, Request, parse
from registrar.sip.framing import content_length
from tests.torture.cases import CASES

CUTS: Final = 8
SEEDS: Final = tuple(
    bytes(range(3, 3 + CUTS)) + b"\r\n" + case.data + b"\r\n\r\n" + case.data
    for case in CASES
    if len(case.data) < 1_000
)


def check(data: bytes) -> None:
    """The first octets say where the rest is cut."""
    cuts, stream = data[:CUTS], data[CUTS:]
    whole, framer = _fed([stream])
    pieces, start = [], 0
    for size in cuts:
        pieces.append(stream[start : start + size])
        start += size
    cut, other = _fed([*pieces, stream[start:]])
    assert _told(cut) == _told(whole)
    assert (other.broken, other.pings, other.partial) == (framer.broken, framer.pings, framer.partial)
    place = 0
    for frame in whole:
        while stream.startswith(b"\r\n", place):
            place += 2
        assert stream.startswith(frame.data, place), "nothing but empty lines is left out"
        place += len(frame.data)
        assert frame.fault is None or frame is whole[-1]
        if frame.fault is None:
            _lengths_agree(frame.data)


def _fed(pieces: list[bytes]) -> tuple[list[Frame], Framer]:
    framer = Framer()
    return [frame for piece in pieces for frame in framer.feed(piece)], framer


def _told(frames: list[Frame]) -> list[tuple[bytes, str]]:
    return [(frame.data, repr(frame.fault)) for frame in frames]


def _lengths_agree(data: bytes) -> None:
    """With more octets behind it, the parser takes as many of them for the body as the framer does."""
    assert len(data) <= MAX_MESSAGE
    end = data.index(b"\r\n\r\n") + 4
    try:
        message = parse(data[:end] + b"x" * (MAX_MESSAGE - end))
    except SipError:
        return
    if not isinstance(message, Request) or not message.fault:
        assert len(message.body) == content_length(data[:end]) == len(data) - end
