"""Attacks on WebSocket frames and on the upgrade, with every octet in our own hands (RFC 6455, RFC 7118)."""

import base64
import itertools
import os
import time
import zlib
from collections.abc import Iterator
from typing import Final

import pytest

from tests.peers import procfs
from tests.peers.phone import parse_answer
from tests.peers.stream import KEEP_ALIVE
from tests.torture.build import request
from tests.wire.conftest import Report
from tests.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_CODE,
    PING,
    PONG,
    TEXT,
    Frame,
    RawWebSocket,
    frame,
    upgrade,
)
from tests.wire.line import WsLine
from tests.wire.need import rounds
from tests.wire.site import Site

pytestmark = pytest.mark.wire

MAX_MESSAGE: Final = 16_384
MAX_FRAGMENTS: Final = 64
PINGS_A_SECOND: Final = 10
TOO_BIG, PROTOCOL, DATA, POLICY = 1009, 1002, 1007, 1008
SOUND: Final = request("OPTIONS")
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
PAUSE_SECONDS: Final = 0.001


@pytest.fixture(autouse=True)
def alive(streams: Site) -> Iterator[None]:
    """A softphone that has nothing to do with it is served before and after."""
    with WsLine(streams.ws) as other:
        other.alive()
        yield
        other.alive()
    assert streams.metric("registrar_unhandled_exceptions_total") == 0
    assert "Traceback" not in streams.log_text


@pytest.fixture
def socket(streams: Site) -> Iterator[RawWebSocket]:
    """A WebSocket of the test's own."""
    with RawWebSocket.opened(streams.ws) as opened:
        yield opened


def status(got: Frame) -> int:
    """The status of the SIP answer in a frame, which is a whole one of text."""
    assert got.opcode == TEXT
    assert got.first == 0x80 | TEXT, "one frame, and nothing reserved"
    got.payload.decode()
    return parse_answer(got.payload).status


def refusal(opened: RawWebSocket) -> int:
    """The close code; there must be no answer before it, and the connection must end."""
    frames, code = opened.until_closed()
    assert frames == []
    assert opened.ended(2.0)
    return code


# Frames that break the protocol

LENGTHS: Final = (MAX_MESSAGE + 1, 65_535, 65_536, 2**31, 2**32, 2**53, 2**63 - 1)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_frame_too_long_is_refused_from_its_head(opcode: int, length: int, socket: RawWebSocket) -> None:
    socket.send(frame(opcode, length=length))
    assert refusal(socket) == TOO_BIG


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**64 - MAX_MESSAGE, 2**63 + 5])
def test_a_length_with_its_highest_bit_set_is_refused(length: int, socket: RawWebSocket) -> None:
    socket.send(frame(TEXT, length=length))
    assert refusal(socket) in (PROTOCOL, TOO_BIG)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame(TEXT, SOUND, mask=None), id="not masked"),
        pytest.param(frame(PING, b"x", mask=None), id="a ping that is not masked"),
        pytest.param(frame(TEXT, SOUND, reserved=RSV1), id="compressed, which nobody agreed on"),
        pytest.param(frame(TEXT, SOUND, reserved=RSV2), id="reserved bit 2"),
        pytest.param(frame(TEXT, SOUND, reserved=RSV3), id="reserved bit 3"),
        pytest.param(frame(TEXT, SOUND, reserved=RSV1 | RSV2 | RSV3), id="all reserved bits"),
        *[
            pytest.param(frame(opcode, b""), id=f"opcode {opcode:#x}")
            for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        ],
        *[
            pytest.param(frame(opcode, b"x" * 126), id=f"control {opcode:#x} of 126")
            for opcode in (CLOSE, PING, PONG)
        ],
        *[
            pytest.param(frame(opcode, b"", final=False), id=f"control {opcode:#x} in pieces")
            for opcode in (CLOSE, PING, PONG)
        ],
        pytest.param(frame(CONTINUATION, b"x"), id="the end of nothing"),
        pytest.param(frame(CONTINUATION, b"x", final=False), id="the middle of nothing"),
        pytest.param(frame(TEXT, b"OPT", final=False) + frame(TEXT, SOUND), id="text inside text"),
        pytest.param(frame(BINARY, b"OPT", final=False) + frame(TEXT, SOUND), id="text inside binary"),
        pytest.param(frame(CLOSE, b"\x03"), id="half a close code"),
        *[
            pytest.param(frame(CLOSE, code.to_bytes(2)), id=f"close code {code}")
            for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535)
        ],
    ],
)
def test_a_breach_of_the_protocol_is_its_end(data: bytes, socket: RawWebSocket) -> None:
    socket.send(data)
    assert refusal(socket) == PROTOCOL


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame(TEXT, SOUND[:-2] + b"Subject: \xff\r\n\r\n"), id="an octet that none begins with"),
        pytest.param(frame(TEXT, SOUND[:-2] + b"Subject: \xc3\r\n\r\n"), id="half a character"),
        pytest.param(frame(TEXT, SOUND[:-2] + b"Subject: \xed\xa0\x80\r\n\r\n"), id="a surrogate"),
        pytest.param(frame(TEXT, SOUND[:-2] + b"Subject: \xc0\xaf\r\n\r\n"), id="a slash in two octets"),
        pytest.param(frame(TEXT, b"\xff", final=False) + frame(CONTINUATION, b"\xff"), id="in pieces"),
        pytest.param(frame(CLOSE, b"\x03\xe8\xff"), id="as the reason of a close"),
    ],
)
def test_text_that_is_no_utf_8_is_the_end(data: bytes, socket: RawWebSocket) -> None:
    socket.send(data)
    assert refusal(socket) == DATA


def test_the_same_octets_in_a_binary_frame_are_sip(socket: RawWebSocket) -> None:
    socket.send(frame(BINARY, SOUND[:-2] + b"Subject: J\xf6rg\r\n\r\n"))
    assert status(socket.receive()) == 401


# Fragments


def fragments(message: bytes, count: int, opcode: int = TEXT) -> bytes:
    """One message in so many frames; the last ones may be empty."""
    size = -(-len(message) // count)
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    pieces += [b""] * (count - len(pieces))
    return b"".join(
        frame(CONTINUATION if at else opcode, piece, final=at == count - 1) for at, piece in enumerate(pieces)
    )


@pytest.mark.parametrize("count", [1, 2, 3, MAX_FRAGMENTS - 1, MAX_FRAGMENTS])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_in_pieces_is_one_message(opcode: int, count: int, socket: RawWebSocket) -> None:
    socket.send(fragments(SOUND, count, opcode))
    socket.text(SOUND)
    assert [status(socket.receive()) for _ in range(2)] == [401, 401]


def test_a_character_may_be_cut_in_two(socket: RawWebSocket) -> None:
    message = SOUND[:-2] + "Subject: Grüße\r\n\r\n".encode()
    at = message.index("ü".encode()) + 1
    socket.send(frame(TEXT, message[:at], final=False) + frame(CONTINUATION, message[at:]))
    assert status(socket.receive()) == 401


def test_a_ping_between_pieces_is_answered(socket: RawWebSocket) -> None:
    socket.send(
        frame(TEXT, SOUND[:9], final=False) + frame(PING, b"still there?") + frame(CONTINUATION, SOUND[9:])
    )
    assert socket.receive() == Frame(PONG, b"still there?", 0x80 | PONG)
    assert status(socket.receive()) == 401


@pytest.mark.parametrize("together", [True, False], ids=["in one write", "one by one"])
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [frame(TEXT, b"O", final=False), *[frame(CONTINUATION, b"", final=False)] * 1_000], id="empty"
        ),
        pytest.param(
            [frame(TEXT, b"", final=False), *[frame(CONTINUATION, b"", final=False)] * 70], id="all empty"
        ),
        pytest.param(
            [frame(TEXT, b"O", final=False), *[frame(CONTINUATION, b"x", final=False)] * 1_000], id="tiny"
        ),
        pytest.param([fragments(SOUND, MAX_FRAGMENTS + 1)], id="one too many"),
    ],
)
def test_too_many_pieces_are_the_end(pieces: list[bytes], together: bool, socket: RawWebSocket) -> None:
    for piece in [b"".join(pieces)] if together else pieces[:80]:
        socket.send(piece)
    assert refusal(socket) == POLICY


@pytest.mark.parametrize("over", [0, 1])
def test_pieces_may_not_add_up_to_more_than_a_message(over: int, socket: RawWebSocket) -> None:
    message = request("OPTIONS", body=b"x" * (MAX_MESSAGE - len(SOUND) - 4))
    assert len(message) == MAX_MESSAGE
    socket.send(fragments(message + b"x" * over, 4))
    if over:
        assert refusal(socket) == TOO_BIG
    else:
        assert status(socket.receive()) == 401


def test_what_comes_after_a_breach_is_not_read(streams: Site, socket: RawWebSocket) -> None:
    before = streams.metric("registrar_sip_requests_total")
    socket.send(fragments(SOUND, MAX_FRAGMENTS + 1) + frame(TEXT, SOUND) * 5)
    assert refusal(socket) == POLICY
    assert streams.metric("registrar_sip_requests_total") == before


# Pings


@pytest.mark.parametrize("payload", [b"", b"x", b"\0\xff" * 62, b"y" * 125])
def test_a_ping_is_answered_with_its_own_words(payload: bytes, socket: RawWebSocket) -> None:
    socket.send(frame(PING, payload))
    assert socket.receive() == Frame(PONG, payload, 0x80 | PONG)


def test_ten_pings_in_a_second_are_answered(socket: RawWebSocket) -> None:
    for number in range(PINGS_A_SECOND):
        socket.send(frame(PING, str(number).encode()))
    assert [socket.receive().payload for _ in range(PINGS_A_SECOND)] == [
        b"%d" % n for n in range(PINGS_A_SECOND)
    ]
    socket.text(SOUND)
    assert status(socket.receive()) == 401


@pytest.mark.parametrize("together", [True, False], ids=["in one write", "one by one"])
@pytest.mark.parametrize("count", [12, 13, 500])
def test_a_flood_of_pings_is_the_end(count: int, together: bool, socket: RawWebSocket) -> None:
    flood = [frame(PING, b"x" * 100)] * count
    for piece in [b"".join(flood)] if together else flood[:100]:
        socket.send(piece)
    frames, code = socket.until_closed()
    assert code == POLICY
    assert all(got.opcode == PONG for got in frames)
    assert len(frames) <= PINGS_A_SECOND + 1
    assert socket.ended(2.0)


def test_a_flood_and_a_breach_at_once_are_the_end(socket: RawWebSocket) -> None:
    socket.send(frame(PING) * 20 + frame(CONTINUATION))
    frames, code = socket.until_closed()
    assert code in (POLICY, PROTOCOL)
    assert all(got.opcode == PONG for got in frames)
    assert socket.ended(2.0)


def test_pongs_that_nobody_asked_for_are_ignored(socket: RawWebSocket) -> None:
    socket.send(frame(PONG, b"x") * 100)
    socket.text(SOUND)
    assert status(socket.receive()) == 401


# The end


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        pytest.param(b"", NO_CODE, id="no code"),
        *[pytest.param(code.to_bytes(2), code, id=str(code)) for code in (1000, 1001, 1011, 3000, 4999)],
        pytest.param(b"\x03\xe8" + "tschüß".encode(), 1000, id="with a reason"),
    ],
)
def test_a_close_is_answered_with_a_close(payload: bytes, code: int, socket: RawWebSocket) -> None:
    socket.send(frame(CLOSE, payload))
    assert refusal(socket) == code


def test_a_message_before_the_close_still_counts_and_one_after_it_does_not(
    streams: Site, socket: RawWebSocket
) -> None:
    before = streams.metric("registrar_sip_requests_total")
    socket.send(frame(TEXT, SOUND) + frame(CLOSE, b"\x03\xe8") + frame(TEXT, SOUND))
    _, code = socket.until_closed()
    assert code == 1000
    assert streams.metric("registrar_sip_requests_total") == before + 1


# One SIP message in a WebSocket message


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param(SOUND, 401, id="sound"),
        pytest.param(request("OPTIONS", without="Content-Length"), 401, id="no length"),
        pytest.param(
            request("OPTIONS", body=b"x" * 9, without="Content-Length"), 401, id="no length, a body"
        ),
        pytest.param(SOUND + SOUND, 400, id="a second message"),
        pytest.param(SOUND + request("REGISTER", "Contact: <sip:a@h>"), 400, id="another second message"),
        pytest.param(SOUND + b"\r\n", 400, id="an empty line too many"),
        pytest.param(SOUND + b"\0", 400, id="an octet too many"),
        pytest.param(request("OPTIONS", "l: 5", body=b"1234", without="Content-Length"), 400, id="too short"),
        pytest.param(request("OPTIONS", "l: 3", body=b"1234", without="Content-Length"), 400, id="too long"),
        pytest.param(request("OPTIONS", f"l: {2**64}", without="Content-Length"), 400, id="2^64"),
        pytest.param(request("OPTIONS", "l: -1", without="Content-Length"), 400, id="negative"),
        pytest.param(SOUND[:-2], 400, id="no empty line after the headers"),
    ],
)
def test_one_message_gets_one_answer(message: bytes, answer: int, socket: RawWebSocket) -> None:
    socket.text(message)
    assert status(socket.receive()) == answer
    socket.send(frame(PING, b"next"))
    assert socket.receive().payload == b"next", "never a second answer"


def test_a_message_without_a_length_and_another_behind_it_is_one_with_a_body(socket: RawWebSocket) -> None:
    socket.text(request("OPTIONS", without="Content-Length") + SOUND)
    assert status(socket.receive()) == 401
    socket.send(frame(PING, b"next"))
    assert socket.receive().payload == b"next", "never a second answer"


@pytest.mark.parametrize(
    ("message", "answers"),
    [
        pytest.param(KEEP_ALIVE, [b"\r\n"], id="a ping of RFC 5626"),
        pytest.param(b"\r\n", [], id="an empty line"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_blank_messages(message: bytes, answers: list[bytes], socket: RawWebSocket) -> None:
    socket.send(frame(TEXT, message))
    for answer in answers:
        assert socket.receive().payload == answer
    socket.send(frame(PING, b"next"))
    assert socket.receive().payload == b"next"


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"OPTI"])
def test_any_mask_will_do(mask: bytes, socket: RawWebSocket) -> None:
    socket.send(frame(TEXT, SOUND, mask=mask))
    assert status(socket.receive()) == 401


@pytest.mark.parametrize("wide", [2, 8])
def test_a_length_wider_than_it_need_be_harms_nobody(wide: int, socket: RawWebSocket) -> None:
    """RFC 6455 section 5.2 forbids it to the sender; it is read, or it is the end."""
    socket.send(frame(TEXT, KEEP_ALIVE, wide=wide))
    got = socket.receive()
    assert got.payload == b"\r\n" or (got.opcode, got.close_code) == (CLOSE, PROTOCOL)


# However it is cut


CONVERSATION: Final = (
    frame(PING, b"one")
    + frame(TEXT, SOUND)
    + fragments(SOUND, 3, BINARY)
    + frame(TEXT, KEEP_ALIVE)
    + frame(TEXT, request("OPTIONS", "l: 9", without="Content-Length"))
)
SAID: Final = [b"one", 401, 401, b"\r\n", 400]
BREACHES: Final = ((frame(TEXT, length=2**40), TOO_BIG), (frame(TEXT, b"x" * 200, reserved=RSV1), PROTOCOL))


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def sent(opened: RawWebSocket, parts: list[bytes]) -> None:
    for number, part in enumerate(parts):
        if number:
            time.sleep(PAUSE_SECONDS)
        opened.send(part)


def said(opened: RawWebSocket) -> list[bytes | int]:
    """What comes back in a conversation, after which the connection is as it was."""
    frames = [opened.receive() for _ in SAID]
    return [got.payload if got.payload in (b"one", b"\r\n") else status(got) for got in frames]


def test_every_split_of_a_conversation_gives_the_same(streams: Site, report: Report) -> None:
    """One connection for some of them: it must come out of each as it went in."""
    ways = [
        [CONVERSATION],
        *(pieces(CONVERSATION, size) for size in (1, 2, 3, 5, 7, 13, 64, 125, 126, 127, 512)),
    ]
    cuts = range(1, len(CONVERSATION), rounds(2, 1))
    ways += [[CONVERSATION[:at], CONVERSATION[at:]] for at in cuts]
    for start in range(0, len(ways), 8):  # more pings in a second would be a flood
        with RawWebSocket.opened(streams.ws) as opened:
            for way in ways[start : start + 8]:
                sent(opened, way)
                assert sorted(said(opened), key=str) == sorted(SAID, key=str), [len(part) for part in way]
    report(f"{len(cuts):,} split points over ws, 0 with another verdict")


@pytest.mark.parametrize(("breach", "code"), BREACHES)
def test_every_split_of_a_breach_gives_the_same(breach: bytes, code: int, streams: Site) -> None:
    for at in range(1, len(breach), 3 if len(breach) > 20 else 1):
        with RawWebSocket.opened(streams.ws) as opened:
            sent(opened, [breach[:at], breach[at:]])
            assert refusal(opened) == code, at


def test_every_split_of_the_upgrade_gives_the_same(streams: Site) -> None:
    data = upgrade()
    for at in range(1, len(data), rounds(5, 1)):
        with RawWebSocket(streams.ws, b"") as opened:
            sent(opened, [data[:at], data[at:]])
            assert opened.http().status == 101, at
            opened.text(SOUND)
            assert status(opened.receive()) == 401


# Compression


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_no_context_takeover",
        "x-webkit-deflate-frame",
        "permessage-deflate, permessage-deflate; server_max_window_bits=8",
    ],
)
def test_no_extension_is_ever_agreed_on(offer: str, streams: Site) -> None:
    with RawWebSocket(streams.ws, upgrade(Sec_WebSocket_Extensions=offer)) as opened:
        answer = opened.http()
        assert (answer.status, answer.headers.get("sec-websocket-extensions")) == (101, None)
        bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = bomb.compress(b"x" * 10_000_000) + bomb.flush(zlib.Z_SYNC_FLUSH)
        assert len(packed) < MAX_MESSAGE
        opened.send(frame(TEXT, packed, reserved=RSV1))
        assert refusal(opened) == PROTOCOL


# Memory


def test_frames_that_never_end_take_no_more_than_their_octets(streams: Site) -> None:
    opened = [RawWebSocket.opened(streams.ws, source=(f"127.0.5.{at // 50 + 1}", 0)) for at in range(200)]
    try:
        before = procfs.resident_bytes(streams.pids)
        for one in opened:
            one.send(frame(TEXT, b"x" * 16_000, length=MAX_MESSAGE))
        with WsLine(streams.ws) as other:
            other.alive()
        grown = procfs.resident_bytes(streams.pids) - before
    finally:
        for one in opened:
            one.close()
    assert grown < len(opened) * 2 * MAX_MESSAGE + (4 << 20)


# The upgrade


@pytest.mark.parametrize(
    ("opening", "answer"),
    [
        pytest.param(upgrade(), 101, id="sound"),
        pytest.param(upgrade("/any/path?at=all"), 101, id="any path"),
        pytest.param(upgrade(Host="elsewhere.example:81"), 101, id="any host"),
        pytest.param(upgrade(Sec_WebSocket_Protocol="chat, sip, xmpp"), 101, id="sip among others"),
        pytest.param(upgrade(Upgrade="WebSocket", Connection="keep-alive, Upgrade"), 101, id="other letters"),
        pytest.param(upgrade(Sec_WebSocket_Protocol=None), 400, id="no subprotocol"),
        pytest.param(upgrade(Sec_WebSocket_Protocol="chat"), 400, id="another subprotocol"),
        pytest.param(upgrade(Sec_WebSocket_Version="12"), 426, id="version 12"),
        pytest.param(upgrade(Sec_WebSocket_Version="0"), 426, id="version 0"),
        pytest.param(upgrade(Upgrade=None, Connection=None), 426, id="a browser's visit"),
        pytest.param(upgrade(Upgrade="h2c"), 426, id="another upgrade"),
        pytest.param(upgrade(Sec_WebSocket_Key=None), 400, id="no key"),
        pytest.param(upgrade(Sec_WebSocket_Key="short"), 400, id="a key that is none"),
        pytest.param(
            upgrade(Sec_WebSocket_Key=base64.b64encode(b"x" * 15).decode()), 400, id="a key too short"
        ),
        pytest.param(upgrade().replace(b"GET", b"POST", 1), 405, id="POST"),
        pytest.param(upgrade().replace(b"HTTP/1.1", b"HTTP/1.0", 1), 505, id="HTTP/1.0"),
        pytest.param(upgrade(**{f"X-{n}": "y" for n in range(200)}), 431, id="200 headers"),
        pytest.param(upgrade(X="y" * 9_000), 431, id="a header of 9,000 octets"),
        pytest.param(upgrade("/" + "p" * 9_000), 414, id="a path of 9,000 octets"),
    ],
)
def test_the_upgrade(opening: bytes, answer: int, streams: Site) -> None:
    with RawWebSocket(streams.ws, opening) as opened:
        got = opened.http()
        assert got.status == answer
        if answer == 101:
            assert got.headers["sec-websocket-protocol"] == "sip"
            opened.text(SOUND)
            assert status(opened.receive()) == 401
            return
        assert got.body.strip(), "a person may read it"
        assert opened.ended(2.0)


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(SOUND, id="SIP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), id="TLS"),
        pytest.param(b"\r\n\r\n", id="empty lines"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", id="a line that is no header"),
        pytest.param(b"GET  /  HTTP/1.1\r\n\r\n", id="blanks"),
        pytest.param(b"\0" * 100 + b"\r\n", id="zeros"),
        pytest.param(b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", id="NUL in a header"),
        pytest.param(b"GET / HTTP/1.1\r\nX : y\r\n\r\n", id="a blank before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\nX: y\r\n folded\r\n\r\n", id="folded"),
        pytest.param(os.urandom(512), id="random"),
    ],
)
def test_what_is_no_upgrade_ends(opening: bytes, streams: Site) -> None:
    with RawWebSocket(streams.ws, opening) as opened:
        assert opened.ended(6.0)


def test_a_second_upgrade_is_the_end(streams: Site) -> None:
    """Also when it comes with the first, which RFC 6455 section 4.1 forbids."""
    with RawWebSocket(streams.ws, upgrade() + upgrade()) as opened:
        assert opened.http().status == 101
        assert refusal(opened) in (0, PROTOCOL)
    with RawWebSocket.opened(streams.ws) as opened:
        opened.send(upgrade())
        assert refusal(opened) == PROTOCOL


# Random damage


@pytest.mark.parametrize("seed", range(rounds(1, 10)))
def test_random_frames_kill_nothing(seed: int, streams: Site) -> None:
    words = itertools.cycle(fragments(SOUND, count) for count in (1, 2, 5))
    for number in range(200):
        chance = (seed * 200 + number).to_bytes(4) * 8
        data = bytearray(next(words))
        for at, octet in enumerate(chance):
            data[(at * 7 + octet * number) % len(data)] ^= octet
        with RawWebSocket.opened(streams.ws) as opened:
            opened.send(bytes(data))
    assert streams.health("ready") == 200
