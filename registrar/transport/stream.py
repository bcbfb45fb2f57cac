"""SIP over TCP and TLS: octets to messages, pongs for pings (RFC 3261 section 18, RFC 5626 section 4.4.1)."""

import asyncio
from typing import Final

from registrar.model import Flow
from registrar.sip import Framer

from .connection import Connection, End, Receive, Table

PONG: Final = b"\r\n"


class StreamConnection(Connection):
    """Stream connection. A framing fault ends it, because the start of the next message is then unknown."""

    __slots__ = ("_framer", "_receive")

    def __init__(self, table: Table, flow: Flow, receive: Receive) -> None:
        super().__init__(table, flow)
        self._receive = receive
        self._framer = Framer()

    def take(self, data: bytes) -> None:
        """Read octets, however they were split on the way."""
        if self.ended is not None:
            return
        self.heard = True
        framer = self._framer
        frames = framer.feed(data)
        for frame in frames:
            self._receive(frame.data, self.flow, frame.fault)
        if framer.pings:
            self._write(PONG * framer.pings)
            framer.pings = 0
        self._note_partial(partial=framer.partial, progress=bool(frames))
        if framer.broken:
            self.close(End.MALFORMED)

    def send(self, data: bytes) -> None:
        """Send one message."""
        self._write(data)

    def say_goodbye(self, end: End) -> bool:
        """Close only our side after a framing fault. Return False for any other end.

        Our answer must arrive although more octets of the peer are on their way.
        """
        if end is not End.MALFORMED or self._transport is None or not self._transport.can_write_eof():
            return False
        self._transport.write_eof()
        return True


class NodeConnection(StreamConnection):
    """A connection with another node: its certificate has proven it, so it has no limit of time."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See Connection."""
        super().connection_made(transport)
        self.of_node = True
        self._table.authenticated(self.flow.id)
