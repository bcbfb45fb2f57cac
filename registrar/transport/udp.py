"""SIP over UDP: datagrams to bytes with a flow, and back by the same socket (RFC 3261 section 18)."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final, cast

from registrar.model import Flow
from registrar.rules.access import folded

from . import local, sockets

MAX_PEERS: Final = 20_000
STUN_COOKIE: Final = b"\x21\x12\xa4\x42"
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})

log = logging.getLogger(__name__)
Receive = Callable[[bytes, Flow], None]


class UdpListener(asyncio.DatagramProtocol):
    """UDP socket. Keep-alives (CRLF, NUL, STUN) are never answered (decision 17).

    `keep_alive` is called for each of them, with address and port as the socket names them.
    """

    def __init__(self, receive: Receive, keep_alive: Callable[[str, int], None], id: int) -> None:
        self._receive = receive
        self._keep_alive = keep_alive
        self._id = id
        self._transport: asyncio.DatagramTransport | None = None
        self._peers: dict[tuple[str, int], Flow] = {}
        self._host = ""
        self.port = 0

    async def open(self, host: str, port: int, opened: socket.socket | None = None) -> None:
        """Bind and listen, or listen on a socket that is `opened` already. Raises OSError.

        `::` takes IPv4 too, with the addresses of peers folded.
        """
        opened = opened or sockets.udp(host, port)
        self._host, self.port = host, opened.getsockname()[1]
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=opened)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of the open socket."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's has no such base

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass on one datagram, or report a keep-alive."""
        if not data or data[0] < 0x20:
            data = _message_in(data)
            if not data:
                self._keep_alive(addr[0], addr[1])
                return
        self._receive(data, self._flow(addr[0], addr[1]))

    def error_received(self, error: Exception) -> None:
        """Log an ICMP error: retransmissions show whether the peer is gone."""
        log.debug("UDP: %s", error)

    def send(self, data: bytes, flow: Flow) -> None:
        """Send one datagram to the peer of the flow."""
        if self._transport is None or self._transport.is_closing():
            return
        host, port = flow.remote_ip, flow.remote_port
        if flow.hop_ip:
            host, port = flow.hop_ip, flow.hop_port
        if self._host == "::" and ":" not in host:
            host = f"::ffff:{host}"
        self._transport.sendto(data, (host, port))

    def flow_to(self, ip: str, port: int) -> Flow:
        """Return the flow between this socket and a peer, the same as for its incoming datagrams."""
        ours = local.towards(ip) if self._host in WILDCARDS else self._host
        return Flow("udp", ours, self.port, ip, port, self._id)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    def _flow(self, host: str, port: int) -> Flow:
        flow = self._peers.get((host, port))
        if flow is None:
            if len(self._peers) >= MAX_PEERS:
                self._peers.clear()
            flow = self._peers[host, port] = self.flow_to(folded(host), port)
        return flow


def _message_in(data: bytes) -> bytes:
    """Return the message in a datagram that begins with a control character; empty for a keep-alive."""
    if len(data) >= 20 and data[0] < 4 and data[4:8] == STUN_COOKIE:
        return b""
    return data.lstrip(b"\r\n\x00")
