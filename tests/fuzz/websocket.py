"""The reader of WebSocket frames: the same messages however they are cut, and only frames are answered."""

from typing import Final

from registrar.errors import SipError
from registrar.model import Flow
from registrar.sip import MAX_MESSAGE
from registrar.transport.connections import Connections
from registrar.transport.websocket import WebSocketConnection
from tests.registrar.transport.pretend import Room
from tests.torture.build import request
from tests.wire.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, upgrade

CUTS: Final = 4
ROOM: Final = Room()
UPGRADE: Final = upgrade()
SOUND: Final = request("OPTIONS")
SEEDS: Final = tuple(
    bytes((5, 17, 60, 125)) + data
    for data in (
        frame(TEXT, SOUND),
        frame(TEXT, SOUND[:50], final=False) + frame(PING, b"x") + frame(CONTINUATION, SOUND[50:]),
        frame(BINARY, b"\xff" + SOUND) + frame(CLOSE, b"\x03\xe8bye"),
        frame(TEXT, b"\r\n\r\n") + frame(PONG),
        frame(TEXT, b"x", length=1 << 40),
        frame(TEXT, b"", final=False) + frame(CONTINUATION, b"", final=False) * 66,
        frame(PING, b"y" * 125) * 12,
        frame(PING) * 12 + frame(CONTINUATION),
        frame(TEXT, b"\xc3", mask=b"\0\0\0\0"),
    )
)


def check(data: bytes) -> None:
    """The first octets say where the frames that follow are cut."""
    cuts, stream = data[:CUTS], data[CUTS:]
    pieces, start = [], 0
    for size in cuts:
        pieces.append(stream[start : start + size])
        start += size
    whole = _outcome([stream])
    assert whole == _outcome([*pieces, stream[start:]])


def _outcome(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """The messages that came of it, and whether it is over; which of two breaches is told may differ."""
    received: list[bytes] = []

    def receive(message: bytes, flow: Flow, fault: SipError | None) -> None:
        assert fault is None
        assert len(message) <= MAX_MESSAGE
        received.append(message)

    def make(table: Connections, flow: Flow) -> WebSocketConnection:
        return WebSocketConnection(table, flow, receive)

    connection, pipe = ROOM.open(make, transport="ws")
    connection.take(UPGRADE)
    assert pipe.said().startswith(b"HTTP/1.1 101 ")
    for piece in pieces:
        if not (pipe.closed or pipe.aborted):
            connection.take(piece)
    over = pipe.closed or pipe.aborted or pipe.eof
    pipe.lose()
    ROOM.gone.clear()
    said = [one for one in _frames(pipe.said()) if one[0] != PONG]
    assert [opcode for opcode, _ in said].count(CLOSE) <= 1
    assert over == any(opcode == CLOSE for opcode, _ in said)
    return received, over


def _frames(data: bytes) -> list[tuple[int, bytes]]:
    """What a server said, strictly read."""
    frames: list[tuple[int, bytes]] = []
    while data:
        first, size, start = data[0], data[1], 2
        assert first & 0xF0 == 0x80, "whole frames, nothing reserved"
        assert size < 128, "never masked"
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start])
        assert len(data) >= start + size
        frames.append((first & 0x0F, data[start : start + size]))
        data = data[start + size :]
    return frames
