"""Streams to messages, however they were split; what breaks a stream; and one reading of Content-Length."""

from collections.abc import Iterator
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registrar.errors import MalformedMessage, MessageTooLarge, SipError
from registrar.sip import MAX_MESSAGE, Frame, Framer, Request, parse
from registrar.sip.framing import content_length
from registrar.sip.message import MAX_HEAD
from tests.every import every

from .strategies import unhurried

START = b"MESSAGE sip:home.example SIP/2.0\r\n"


def message(*lines: str, body: bytes = b"", length: bool = True) -> bytes:
    """A message of a stream, its Content-Length first unless `length` is false."""
    written = [f"Content-Length: {len(body)}", *lines] if length else lines
    return START + "".join(f"{line}\r\n" for line in written).encode() + b"\r\n" + body


SHORT = message("X: y")
LONG = message("Via: SIP/2.0/TCP h", body=b"one\r\n\r\ntwo\r\n")
FOLDED = message("l\t:\r\n 03", body=b"abc", length=False)
SOUND = (SHORT, LONG, FOLDED)
STREAM = b"\r\n" + SHORT + LONG + b"\r\n\r\n\r\n" + FOLDED


def pieces(data: bytes, *cuts: int) -> Iterator[bytes]:
    """`data` cut at these places."""
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        yield data[start:end]


def fed(*chunks: bytes) -> tuple[list[Frame], Framer]:
    """What comes out of a framer that gets these chunks."""
    framer = Framer()
    return [frame for chunk in chunks for frame in framer.feed(chunk)], framer


def told(frames: list[Frame]) -> list[tuple[bytes, type[SipError] | None]]:
    """Frames that can be compared: errors are never equal."""
    return [(frame.data, type(frame.fault) if frame.fault else None) for frame in frames]


# How a stream is cut


def test_a_stream_is_cut_into_its_messages() -> None:
    frames, framer = fed(STREAM)
    assert told(frames) == [(data, None) for data in SOUND]
    assert not framer.broken
    assert not framer.partial


def test_byte_by_byte_is_the_same() -> None:
    frames, framer = fed(*(bytes([octet]) for octet in STREAM))
    assert told(frames) == [(data, None) for data in SOUND]
    assert framer.pings == 1


@every("cut", range(len(STREAM) + 1))
def test_two_pieces_are_the_same(cut: int) -> None:
    frames, framer = fed(*pieces(STREAM, cut))
    assert told(frames) == [(data, None) for data in SOUND]
    assert framer.pings == 1


def test_a_message_comes_as_soon_as_it_is_whole() -> None:
    framer = Framer()
    assert framer.feed(LONG[:-1]) == []
    assert framer.partial
    assert told(framer.feed(LONG[-1:] + SHORT[:5])) == [(LONG, None)]
    assert framer.partial


def test_a_hundred_messages_at_once_come_in_order() -> None:
    sent = [message(f"CSeq: {number} MESSAGE", body=b"x" * number) for number in range(100)]
    frames, _ = fed(b"".join(sent))
    assert [frame.data for frame in frames] == sent


def test_what_was_given_is_not_held() -> None:
    held = bytearray(SHORT)
    framer = Framer()
    (frame,) = framer.feed(bytes(held))
    held[:] = b"z" * len(held)
    assert frame.data == SHORT


# Keep-alives


@every(
    ("chunks", "pings"),
    [
        pytest.param([b"\r\n\r\n"], 1, id="one"),
        pytest.param([b"\r\n", b"\r\n"], 1, id="in two pieces"),
        pytest.param([b"\r", b"\n\r", b"\n"], 1, id="in three pieces"),
        pytest.param([b"\r\n"], 0, id="half a one"),
        pytest.param([b"\r\n" * 5], 2, id="two and a half"),
        pytest.param([b"\r\n" * 3, b"\r\n" * 3], 3, id="three"),
        pytest.param([SHORT + b"\r\n\r\n" + SHORT], 1, id="between messages"),
        pytest.param([b"\r\n" + SHORT + b"\r\n"], 0, id="halves on both sides of a message"),
        pytest.param([LONG], 0, id="empty lines inside a body"),
        pytest.param([SHORT[:-2], SHORT[-2:]], 0, id="the end of the headers"),
    ],
)
def test_two_empty_lines_are_a_ping(chunks: list[bytes], pings: int) -> None:
    frames, framer = fed(*chunks)
    assert framer.pings == pings
    assert not framer.partial
    assert not framer.broken
    assert all(frame.fault is None for frame in frames)


@pytest.mark.parametrize("waiting", [b"\r", b"\r\n\r", b""], ids=repr)
def test_half_an_empty_line_is_no_message_that_has_begun(waiting: bytes) -> None:
    assert not fed(waiting)[1].partial


# What breaks a stream


@every("octet", range(256))
def test_a_message_begins_with_a_character_of_a_token(octet: int) -> None:
    token = b"!%'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_`abcdefghijklmnopqrstuvwxyz~"
    frames, framer = fed(bytes([octet]))
    assert framer.broken is (octet not in token + b"\r")
    if framer.broken:
        assert told(frames) == [(b"", MalformedMessage)]


@pytest.mark.parametrize(
    "data", [b"\rA", b"\r\rA", b"\n", b"\r\n\n", b" \r\n", b"\x16\x03\x01", b"\0" * 20], ids=repr
)
def test_what_cannot_begin_a_message_is_not_answered(data: bytes) -> None:
    frames, framer = fed(data)
    assert told(frames) == [(b"", MalformedMessage)]
    assert framer.broken


@every(
    "lines",
    [
        pytest.param([], id="missing"),
        pytest.param(["Content-Length: -1"], id="negative"),
        pytest.param(["Content-Length: +1"], id="signed"),
        pytest.param(["Content-Length: 0x1"], id="hexadecimal"),
        pytest.param(["Content-Length: 1.0"], id="no whole number"),
        pytest.param(["Content-Length: 1_0"], id="underscored"),
        pytest.param(["Content-Length: \u0661"], id="arabic"),
        pytest.param(["Content-Length:"], id="empty"),
        pytest.param(["Content-Length: 1 1"], id="two words"),
        pytest.param(["Content-Length: 1, 1"], id="a list"),
        pytest.param(["Content-Length: 1;x"], id="a parameter"),
        pytest.param(["Content-Length: 1\r\n 1"], id="folded into two words"),
        pytest.param(["Content-Length: 1", "l: 2"], id="two values"),
        pytest.param(["Content-Length: 1", "l: 01"], id="two spellings of one value"),
        pytest.param(["Content-Length: 1", "Content-Length: x"], id="a good one and a bad one"),
        pytest.param([f"Content-Length: {2**64}"], id="2^64"),
        pytest.param([f"Content-Length: {'9' * 1_900}"], id="1,900 digits"),
        pytest.param(["Content-Length: 1\r"], id="CR before the line's end"),
        pytest.param(["Content-Length: 1\nX: y"], id="LF in the value"),
        pytest.param(["Content-Length: 1\rX: y"], id="CR in the value"),
        pytest.param(["Content-Length: 1\0"], id="NUL in the value"),
        pytest.param(["X: y\nContent-Length: 1"], id="only behind a LF"),
        pytest.param(["X: y\r\n Content-Length: 1"], id="only in a folded line"),
        pytest.param(["Content-Length\x0b: 1"], id="a vertical tab before the colon"),
        pytest.param(["Content-Length\r\n : 1"], id="the colon in a folded line"),
        pytest.param(["XContent-Length: 1", "ll: 1"], id="other names"),
    ],
)
def test_a_length_that_says_nothing_breaks_the_stream(lines: list[str]) -> None:
    head = message(*lines, length=False)
    frames, framer = fed(head + b"x" + SHORT)
    assert told(frames) == [(head, MalformedMessage)]
    assert framer.broken
    assert framer.feed(SHORT) == []


@every(
    ("lines", "size"),
    [
        pytest.param(["Content-Length: 3"], 3, id="usual"),
        pytest.param(["content-LENGTH:3"], 3, id="other letters"),
        pytest.param(["l: 3"], 3, id="compact"),
        pytest.param(["L:\t 3 \t"], 3, id="blanks around"),
        pytest.param(["l \t : 3"], 3, id="blanks before the colon"),
        pytest.param(["l:\r\n\t3"], 3, id="folded"),
        pytest.param(["l: 3\r\n "], 3, id="folded after the value"),
        pytest.param(["l: 3", "Content-Length:3"], 3, id="twice the same"),
        pytest.param(["l: " + "0" * 1_000 + "3"], 3, id="many zeros"),
        pytest.param(["l: 0"], 0, id="zero"),
    ],
)
def test_a_length_is_read_as_the_parser_reads_it(lines: list[str], size: int) -> None:
    head = message(*lines, length=False)
    frames, framer = fed(head + b"x" * size + SHORT)
    assert told(frames) == [(head + b"x" * size, None), (SHORT, None)]
    assert len(parse(frames[0].data, exact=True).body) == size
    assert not framer.broken


def padded(size: int) -> bytes:
    """A message whose headers, without the empty line, have `size` octets."""
    bare = message("X: ")
    return message("X: " + "x" * (size - len(bare) + 4))


@every("split", [1, MAX_HEAD // 2, 20_000], ids=lambda size: f"pieces of {size}")
@every("over", [-1, 0, 1])
def test_the_headers_have_a_limit(over: int, split: int) -> None:
    data = padded(MAX_HEAD + over)
    frames, framer = fed(*(data[start : start + split] for start in range(0, len(data), split)))
    assert framer.broken is (over > 0)
    assert told(frames) == ([(data[:MAX_HEAD], MalformedMessage)] if over > 0 else [(data, None)])


def test_headers_without_an_end_are_not_kept() -> None:
    framer = Framer()
    (frame,) = framer.feed(START + b"X: " + b"x" * 1_000_000)
    assert isinstance(frame.fault, MalformedMessage)
    assert len(frame.data) == MAX_HEAD
    assert not framer.partial


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_message_has_a_limit_that_its_headers_tell(over: int) -> None:
    size = MAX_MESSAGE - len(message("l: 00000", length=False)) + over
    head = message(f"l: {size:05}", length=False)
    frames, framer = fed(head)
    if over > 0:
        assert told(frames) == [(head, MessageTooLarge)]
        assert framer.broken
        return
    assert frames == []
    assert told(framer.feed(b"x" * size + SHORT)) == [(head + b"x" * size, None), (SHORT, None)]


@pytest.mark.parametrize("size", [2**31, 2**32, 9_999_999_999, 2**30])
def test_a_declared_gigabyte_is_refused_from_the_headers(size: int) -> None:
    head = message(f"Content-Length: {size}", length=False)
    assert told(fed(head)[0]) == [(head, MessageTooLarge)]


def test_nothing_comes_after_a_fault() -> None:
    frames, framer = fed(SHORT + message(length=False) + SHORT, SHORT)
    assert [frame.fault is None for frame in frames] == [True, False]
    assert framer.feed(b"\r\n\r\n") == []
    assert framer.pings == 0


# Properties

NAMES = ("Content-Length", "l", "L", "content-length", "CONTENT-LENGTH", "Content-Length ", "l\t", "X", "ll")
VALUES = (
    "0",
    "3",
    "03",
    "7",
    "16384",
    "-1",
    "3 ",
    "\t3",
    "3\r\n ",
    "\r\n 3",
    "3\r\n 4",
    "x",
    "",
    "3\x01",
    "3\r",
    "3\n",
    "9" * 11,
)
rows = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)).map(
            lambda row: f"{row[0]}:{row[1]}".encode()
        ),
        st.sampled_from(
            [
                b"X: y",
                b" fold",
                b"X: \x01",
                b"garbage",
                b"X: a\nl: 5",
                b"X: a\rl: 5",
                b'X: "\\\x01"',
                b"X: \xff",
                b"v: \xc3\xa9",
            ]
        ),
        st.binary(max_size=12),
    ),
    max_size=6,
)


def read(head: bytes) -> int | None:
    """How much body the framer wants; None when it breaks."""
    try:
        return content_length(head)
    except SipError:
        return None


@unhurried
@given(rows)
@example([b"Content-Length: 3\r"])
@example([b"Content-Length: 3", b"X\x01", b" 4"])
def test_framer_and_parser_read_the_same_length(lines: list[bytes]) -> None:
    head = (START + b"".join(line + b"\r\n" for line in lines) + b"\r\n").partition(b"\r\n\r\n")[
        0
    ] + b"\r\n\r\n"
    wanted = read(head)
    message = parse(head + b"x" * (MAX_MESSAGE - len(head)))
    assert isinstance(message, Request)
    if message.fault:
        return
    if message.headers.get("content-length") is None:
        assert wanted is None
    else:
        assert wanted == len(message.body)


@unhurried
@given(
    st.lists(
        st.one_of(st.sampled_from([*SOUND, b"\r\n", message(length=False), b"\0"]), st.binary(max_size=60)),
        max_size=6,
    ),
    st.lists(st.integers(0, 600), max_size=8),
)
def test_any_stream_gives_the_same_frames_however_it_is_cut(parts: list[bytes], places: list[int]) -> None:
    stream = b"".join(parts)
    cuts = sorted(min(place, len(stream)) for place in places)
    whole, first = fed(stream)
    cut, second = fed(*pieces(stream, *cuts))
    assert told(cut) == told(whole)
    assert (second.broken, second.pings, second.partial) == (first.broken, first.pings, first.partial)
    place = 0
    for frame in whole:
        while stream.startswith(b"\r\n", place):
            place += 2
        assert stream.startswith(frame.data, place), "nothing but empty lines is left out"
        place += len(frame.data)
        assert frame.fault is None or frame is whole[-1]


# Time


@every(
    ("unit", "piece"),
    [
        pytest.param(SHORT, 1 << 30, id="many messages at once"),
        pytest.param(SHORT, 7, id="many messages in small pieces"),
        pytest.param(b"\r\n", 1 << 30, id="empty lines at once"),
        pytest.param(b"\r\n", 3, id="empty lines in small pieces"),
        pytest.param(message(body=b"x" * 15_000), 11, id="long bodies in small pieces"),
        pytest.param(padded(MAX_HEAD), 5, id="long headers in small pieces"),
        pytest.param(message("l: 0\r\n " * 900), 13, id="many folds"),
        pytest.param(message("l:" + " " * 8_000 + "0"), 1 << 30, id="many blanks"),
        pytest.param(message("l:" + "\r" * 8_000), 1 << 30, id="many CRs"),
    ],
)
def test_twice_the_stream_takes_twice_the_time(unit: bytes, piece: int) -> None:
    size = 60_000
    short = (unit * (size // len(unit) + 1))[:size]
    ratios = (seconds(short + short, piece) / seconds(short, piece) for _ in range(6))
    assert any(ratio <= 3.0 for ratio in ratios)


def seconds(stream: bytes, piece: int) -> float:
    """What a framer needs for it at best."""
    chunks = [stream[start : start + piece] for start in range(0, len(stream), piece)]
    best = float("inf")
    for _ in range(3):
        started = process_time()
        fed(*chunks)
        best = min(best, process_time() - started)
    return best
