"""SIP over WebSocket (RFC 7118): the upgrade, one SIP message a WebSocket message, and signs of life."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from websockets.datastructures import Headers, MultipleValuesError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from registrar.model import Flow, Mono, Network
from registrar.rules.proxies import forwarded
from registrar.sip import MAX_MESSAGE

from .connections import OVERDUE, Connection, Connections, End, Receive

SIP: Final = Subprotocol("sip")
VERSION: Final = "13"
MAX_UPGRADE: Final = 32 * 1024
"""Octets of the upgrade: the library would take 128 lines of 8,192 each."""
MAX_FRAGMENTS: Final = 64
PINGS_A_SECOND: Final = 10
PONG: Final = b"\r\n"
DATA: Final = (Opcode.TEXT, Opcode.BINARY)
GREETING: Final = (
    "This is SIP over WebSocket (RFC 7118), for softphones in a browser.\n"
    "If your browser asked about the certificate and you have accepted it: go back, the phone can connect.\n"
)
CODES: Final = {
    End.SHUTDOWN: CloseCode.GOING_AWAY,
    End.MALFORMED: CloseCode.PROTOCOL_ERROR,
}
"""What a close frame says; anything not named here is a breach of our policy (RFC 6455 section 7.4.1)."""

quiet = logging.getLogger("registrar.websocket")
quiet.setLevel(logging.WARNING)  # one INFO line for each connection is more than anybody reads


class WebSocketConnection(Connection):
    """One connection, without extensions: a compressed message may unfold to a thousand times its size."""

    __slots__ = (
        "_failed", "_fragments", "_head", "_messages", "_origins", "_pinged", "_pings", "_protocol",
        "_proxies", "_receive", "_text",
    )  # fmt: skip

    def __init__(
        self,
        table: Connections,
        flow: Flow,
        receive: Receive,
        *,
        origins: Sequence[str] = (),
        proxies: Sequence[Network] = (),
    ) -> None:
        """`origins` that a page may be of, none: any. `proxies` may say where a connection comes from."""
        super().__init__(table, flow)
        self._receive = receive
        self._origins = origins
        self._proxies = proxies
        self._protocol = ServerProtocol(subprotocols=[SIP], max_size=MAX_MESSAGE, logger=quiet)
        self._head = 0
        """How many octets of the upgrade have come."""
        self._failed = False
        """We have broken it off: what came with the breach, or after it, is not read."""
        self._fragments: list[bytes] = []
        self._text = False
        self._messages = 0
        self._pings = 0
        self._pinged = Mono(0.0)

    def take(self, data: bytes) -> None:
        """Octets of the upgrade, or of frames."""
        if self.ended is End.PEER:
            return
        self._table.alive(self)
        if self._protocol.state is State.CONNECTING:
            data = self._read_head(data)
        if data:
            self._read_frames(data)
        self._flush()

    def _read_head(self, data: bytes) -> bytes:
        """The upgrade, line by line: what comes behind it is not looked at until it is answered. The rest."""
        protocol, start = self._protocol, 0
        while start < len(data) and protocol.state is State.CONNECTING and not protocol.eof_sent:
            end = data.find(b"\n", start) + 1 or len(data)
            self._head += end - start
            if self._head > MAX_UPGRADE:
                protocol.send_response(protocol.reject(431, f"More than {MAX_UPGRADE} octets.\n"))
                break
            protocol.receive_data(data[start:end])
            start = end
            for event in protocol.events_received():
                if isinstance(event, Request):
                    self._upgrade(event)
                    self._flush()
        return data[start:]

    def _read_frames(self, data: bytes) -> None:
        before = self._messages
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        for event in events:
            if isinstance(event, Frame) and self.ended is None and not self._failed:
                self._frame(event)
        self._note_partial(partial=self._is_partial(bool(events)), progress=self._messages > before)

    def send(self, data: bytes) -> None:
        """One SIP message as one text message."""
        if self._protocol.state is State.OPEN and self.ended is None:
            self._protocol.send_text(data)
            self._flush()

    def ping(self) -> None:
        """RFC 6455 section 5.5.2."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    def say_goodbye(self, end: End) -> bool:
        """The close frame, which the peer answers with its own."""
        if self._protocol.state is not State.OPEN or self._transport is None:
            return False
        self._protocol.send_close(CODES.get(end, CloseCode.POLICY_VIOLATION), str(end))
        self._transport.write(b"".join(self._protocol.data_to_send()))
        return end not in OVERDUE

    # The upgrade

    def _upgrade(self, request: Request) -> None:
        response = self._refusal(request) or self._protocol.accept(request)
        self._protocol.send_response(response)
        if response.status_code == 101:
            self.heard = True
            self._table.watch(self)

    def _refusal(self, request: Request) -> Response | None:
        """What is checked before WebSocket itself: whom to believe, who may come, and which version."""
        headers = request.headers
        try:
            source = forwarded(
                self.flow.remote_ip, ",".join(headers.get_all("X-Forwarded-For")), self._proxies
            )
            origin = headers.get("Origin")
        except (ValueError, MultipleValuesError):
            return self._protocol.reject(400, "X-Forwarded-For or Origin cannot be read.\n")
        if source != self.flow.remote_ip:
            self._table.is_proxied(self, source)
            self.flow = replace(self.flow, remote_ip=source)
        if self._origins and origin is not None and origin not in self._origins:
            return self._protocol.reject(403, "This page may not connect (REGISTRAR_WS_ORIGINS).\n")
        if "Upgrade" not in headers and request.method in ("GET", "HEAD"):
            return _with(self._protocol.reject(426, GREETING), Upgrade="websocket")
        if any(version != VERSION for version in headers.get_all("Sec-WebSocket-Version")):
            refused = self._protocol.reject(426, "WebSocket version 13 is needed (RFC 6455).\n")
            return _with(refused, Upgrade="websocket", **{"Sec-WebSocket-Version": VERSION})
        return None

    # Frames

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in DATA:
            self._text = frame.opcode is Opcode.TEXT
            self._fragments = [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self._fragments.append(bytes(frame.data))
        elif frame.opcode is Opcode.PING:
            self._count_ping()
            return
        else:
            return
        if len(self._fragments) > MAX_FRAGMENTS:
            self._fail(CloseCode.POLICY_VIOLATION, "too many fragments")
        elif frame.fin:
            data, self._fragments = b"".join(self._fragments), []
            self._message(data)

    def _message(self, data: bytes) -> None:
        self._messages += 1
        if self._text and not _is_utf8(data):
            self._fail(CloseCode.INVALID_DATA, "not UTF-8")
        elif data.strip(b"\r\n"):
            self._receive(data, self.flow, None)
        elif data.startswith(b"\r\n\r\n") and self._protocol.state is State.OPEN:
            self._protocol.send_text(PONG)  # for the ping of RFC 5626, which some send here too

    def _count_ping(self) -> None:
        """Each ping has its pong already; who wants more than ten in a second wants something else."""
        now = self._table.now()
        if now - self._pinged >= 1.0:
            self._pinged, self._pings = now, 0
        self._pings += 1
        if self._pings > PINGS_A_SECOND:
            if self._protocol.state is State.OPEN:  # else the last thing that is to be sent is its end
                self._protocol.data_to_send()
            self._fail(CloseCode.POLICY_VIOLATION, "too many pings")

    def _is_partial(self, anything_whole: bool) -> bool:
        """Whether a frame, or a message of several frames, has begun and is not complete.

        The library takes the head of a frame out of its buffer octet by octet: when nothing was completed by
        what came, a frame is under way although the buffer may be empty.
        """
        return bool(self._fragments) or bool(self._protocol.reader.buffer) or not anything_whole

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._protocol.fail(code, reason)
        self._failed = True
        self._fragments = []

    def _flush(self) -> None:
        """Write what the protocol has to say; its end of file means: close."""
        if self._transport is None:
            return
        writes = self._protocol.data_to_send()
        if not writes:
            return
        data = b"".join(writes)
        if data:
            self._write(data)
        if self._protocol.eof_sent and self._transport is not None:
            self._finish(self._transport)

    def _finish(self, transport: asyncio.Transport) -> None:
        """The protocol has said its last: our side closes, and the peer's octets on their way are let in."""
        self.ended = self.ended or self._why_it_ends()
        self._table.closing.setdefault(self, self._table.now())
        if self._protocol.close_rcvd is None and transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()

    def _why_it_ends(self) -> End:
        protocol = self._protocol
        if not self.heard:
            return End.HANDSHAKE
        if protocol.close_rcvd is not None:
            return End.PEER
        if protocol.close_sent is not None and protocol.close_sent.code == CloseCode.POLICY_VIOLATION:
            return End.POLICY
        return End.MALFORMED


def _with(response: Response, **headers: str) -> Response:
    response.headers.update(Headers(**headers))
    return response


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
