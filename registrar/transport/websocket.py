"""SIP over WebSocket (RFC 7118): the upgrade, one SIP message per WebSocket message, and pings."""

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

from registrar.model import Flow, IpNetwork, Mono
from registrar.rules.proxies import forwarded
from registrar.sip import MAX_MESSAGE

from .connection import OVERDUE, Connection, End, Receive, Table

SIP: Final = Subprotocol("sip")
VERSION: Final = "13"
MAX_UPGRADE: Final = 32 * 1024
"""Octets of the upgrade: the library would accept 128 lines of 8,192 octets each."""
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
"""Codes of close frames; any other end is a breach of our policy (RFC 6455 section 7.4.1)."""

quiet = logging.getLogger("registrar.websocket")
quiet.setLevel(logging.WARNING)  # one INFO line for each connection is too much


class WebSocketConnection(Connection):
    """WebSocket connection without extensions: a compressed message may grow to a thousand times its size."""

    __slots__ = (
        "_failed", "_fragments", "_head", "_messages", "_origins", "_pinged", "_pings", "_protocol",
        "_proxies", "_receive", "_text",
    )  # fmt: skip

    def __init__(
        self,
        table: Table,
        flow: Flow,
        receive: Receive,
        *,
        origins: Sequence[str] = (),
        proxies: Sequence[IpNetwork] = (),
    ) -> None:
        """Create the connection. `origins` are the origins of the pages that may connect; empty allows any.

        `proxies` may say where a connection comes from.
        """
        super().__init__(table, flow)
        self._receive = receive
        self._origins = origins
        self._proxies = proxies
        self._protocol = ServerProtocol(subprotocols=[SIP], max_size=MAX_MESSAGE, logger=quiet)
        self._head = 0
        """How many octets of the upgrade have come."""
        self._failed = False
        """We have failed the connection: octets that came with the breach, or after it, are not read."""
        self._fragments: list[bytes] = []
        self._text = False
        self._messages = 0
        self._pings = 0
        self._pinged = Mono(0.0)

    def take(self, data: bytes) -> None:
        """Read octets of the upgrade, or of frames."""
        if self.ended is End.PEER:
            return
        self._table.alive(self)
        if self._protocol.state is State.CONNECTING:
            data = self._read_head(data)
        if data:
            self._read_frames(data)
        self._flush()

    def _read_head(self, data: bytes) -> bytes:
        """Read the upgrade line by line, and return the remaining octets.

        Octets behind the upgrade are not read until it is answered.
        """
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
        """Send one SIP message as one text message."""
        if self._protocol.state is State.OPEN and self.ended is None:
            self._protocol.send_text(data)
            self._flush()

    def ping(self) -> None:
        """Send a ping frame (RFC 6455 section 5.5.2)."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    def say_goodbye(self, end: End) -> bool:
        """Send the close frame. Return True if the peer has time to answer with its own."""
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
            self._table.pingable(self)

    def _refusal(self, request: Request) -> Response | None:
        """Return the response that refuses the upgrade, or None.

        It checks what comes before WebSocket: the trusted proxy, the origin of the page, and the version.
        """
        headers = request.headers
        try:
            source = forwarded(
                self.flow.remote_ip, ",".join(headers.get_all("X-Forwarded-For")), self._proxies
            )
            origin = headers.get("Origin")
        except (ValueError, MultipleValuesError):
            return self._protocol.reject(400, "X-Forwarded-For or Origin cannot be read.\n")
        if source != self.flow.remote_ip:
            self._table.forwarded_for(self, source)
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
            self._protocol.send_text(PONG)  # for the ping of RFC 5626, which some clients send here too

    def _count_ping(self) -> None:
        """Count a ping, which has its pong already. Fail the connection after more than ten in a second."""
        now = self._table.now()
        if now - self._pinged >= 1.0:
            self._pinged, self._pings = now, 0
        self._pings += 1
        if self._pings > PINGS_A_SECOND:
            if self._protocol.state is State.OPEN:  # otherwise the queue holds the end of the connection
                self._protocol.data_to_send()
            self._fail(CloseCode.POLICY_VIOLATION, "too many pings")

    def _is_partial(self, anything_whole: bool) -> bool:
        """Return whether a frame, or a message of several frames, has begun and is not complete.

        The library takes the head of a frame out of its buffer octet by octet. So if the new octets completed
        nothing, a frame is under way although the buffer may be empty.
        """
        return bool(self._fragments) or bool(self._protocol.reader.buffer) or not anything_whole

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._protocol.fail(code, reason)
        self._failed = True
        self._fragments = []

    def _flush(self) -> None:
        """Write the output of the protocol. Its end of file means that we close."""
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
        """Close our side after the last output of the protocol, and still accept octets on their way."""
        self.ended = self.ended or self._why_it_ends()
        self._table.closing(self)
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
