"""WebSocket frames made by hand (RFC 6455 section 5), for those that no library would send."""

import base64
import secrets
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from tests.peers.pipe import Address, HungUp
from tests.peers.stream import CONNECT_SECONDS, TcpPipe, trusting

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL: Final = 0x80
MASKED: Final = 0x80
UPGRADE: Final = {
    "Host": "registrar.localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "sip",
}
NO_CODE: Final = 1005


@dataclass(frozen=True)
class Frame:
    """One frame as it came."""

    opcode: int
    payload: bytes
    first: int
    """The whole first octet."""

    @property
    def close_code(self) -> int:
        return int.from_bytes(self.payload[:2]) if len(self.payload) >= 2 else NO_CODE


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer, whatever its status."""

    status: int
    headers: dict[str, str]
    """Names in small letters."""
    body: bytes


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x5a\xa5\x0f\xf0",
    length: int | None = None,
    wide: int = 0,
) -> bytes:
    """One frame; `length` may be a lie, `wide` (2 or 8) writes it in more octets than it needs."""
    said = len(payload) if length is None else length
    first = (FINAL if final else 0) | reserved | opcode
    masked = MASKED if mask is not None else 0
    if wide == 8 or said > 0xFFFF:
        head = struct.pack("!BBQ", first, masked | 127, said)
    elif wide == 2 or said > 125:
        head = struct.pack("!BBH", first, masked | 126, said)
    else:
        head = struct.pack("!BB", first, masked | said)
    if mask is None:
        return head + payload
    scrambled = bytes(octet ^ mask[at % 4] for at, octet in enumerate(payload))
    return head + mask + scrambled


def upgrade(path: str = "/", **changes: str | None) -> bytes:
    """The opening request; a change to None leaves that header out (`_` stands for `-`)."""
    headers: dict[str, str | None] = {
        **UPGRADE,
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


class RawWebSocket:
    """A connection that has been upgraded, or refused, with the frames in our own hands."""

    def __init__(
        self,
        server: Address,
        opening: bytes | None = None,
        *,
        secure: bool = False,
        source: Address = ("127.0.0.1", 0),
    ) -> None:
        """`opening` may be anything; empty: say nothing at all."""
        self.pipe = TcpPipe(server, source, trusting() if secure else None)
        self._rest = b""
        if opening != b"":
            self.pipe.send(upgrade() if opening is None else opening)

    @classmethod
    def opened(cls, server: Address, *, secure: bool = False, source: Address = ("127.0.0.1", 0)) -> Self:
        """One that was upgraded."""
        made = cls(server, secure=secure, source=source)
        answer = made.http()
        assert answer.status == 101, answer
        return made

    def http(self, within: float = CONNECT_SECONDS) -> Refusal:
        """The HTTP answer. Raises HungUp or TimeoutError when none comes."""
        deadline = time.monotonic() + within
        while b"\r\n\r\n" not in self._rest:
            self._more(deadline)
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        while len(self._rest) < length:
            self._more(deadline)
        body, self._rest = self._rest[:length], self._rest[length:]
        return Refusal(int(first.split()[1]), headers, body)

    def send(self, data: bytes) -> None:
        self.pipe.send(data)

    def text(self, message: bytes) -> None:
        """One whole message in one text frame."""
        self.send(frame(TEXT, message))

    def receive(self, within: float = CONNECT_SECONDS) -> Frame:
        """The next frame. Raises HungUp, TimeoutError."""
        deadline = time.monotonic() + within
        while (found := self._frame()) is None:
            self._more(deadline)
        return found

    def until_closed(self, within: float = CONNECT_SECONDS) -> tuple[list[Frame], int]:
        """Every frame before the close frame, and its code; 0 when the connection just ended."""
        frames: list[Frame] = []
        deadline = time.monotonic() + within
        while True:
            try:
                found = self.receive(deadline - time.monotonic())
            except HungUp:
                return frames, 0
            if found.opcode == CLOSE:
                return frames, found.close_code
            frames.append(found)

    def ended(self, within: float = CONNECT_SECONDS) -> bool:
        """Whether the server closes the connection itself in this time; frames are thrown away."""
        deadline = time.monotonic() + within
        try:
            while True:
                self._more(deadline)
        except HungUp:
            return True
        except TimeoutError:
            return False

    def _more(self, deadline: float) -> None:
        data = self.pipe.read(deadline - time.monotonic()) if deadline > time.monotonic() else None
        if data is None:
            raise TimeoutError("nothing came")
        self._rest += data

    def _frame(self) -> Frame | None:
        if len(self._rest) < 2:
            return None
        first, second = self._rest[0], self._rest[1]
        assert not second & MASKED, "a server never masks"
        size, start = second, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(self._rest[2:start])
        if len(self._rest) < start + size:
            return None
        payload, self._rest = self._rest[start : start + size], self._rest[start + size :]
        return Frame(first & 0x0F, payload, first)

    def close(self) -> None:
        self.pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
