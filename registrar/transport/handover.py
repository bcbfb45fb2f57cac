"""Datagrams that another worker of this machine must read, with the address that they came from.

The kernel gives all datagrams of one peer to one worker: it computes the socket from both addresses. So a
worker that sends a request to a phone of a sibling, by the port that both share, gets no answer. Its branch
names the worker that made it, and the sibling hands the response over.
"""

import asyncio
import logging
import re
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from registrar.metrics import Metrics
from registrar.model import Flow

AT_ONCE: Final = 64
"""Limit of datagrams that are read in one turn of the event loop."""
MAX_WAITING: Final = 2_000
"""Limit of datagrams that wait for one sibling: it is started again within a second when it dies."""
LONGEST: Final = 16_384
"""Octets of the longest response that is handed over. With MAX_WAITING it limits what waits to 32 MB."""
HEAD_OCTETS: Final = 4_096
"""Where the first Via is looked for."""
MAX_OCTETS: Final = LONGEST + 512
_HEAD: Final = struct.Struct("!BHB")
"""Number of the UDP listener, port of the peer, and length of its address, which follows as text."""
_BRANCH: Final = re.compile(
    rb"\n(?:via|v)[ \t]*:(?:[^\r\n,]|\r?\n[ \t])*?;[ \t]*branch[ \t]*=[ \t]*z9hg4bk([-\w.]+)", re.IGNORECASE
)
"""The branch of the first Via, without the cookie; a folded line is one line (RFC 3261 section 7.3.1)."""

Deliver = Callable[[int, bytes, str, int], None]
"""Gets the number of the UDP listener, the datagram, and address and port of its sender."""

log = logging.getLogger(__name__)


def maker(data: bytes) -> int:
    """Return the number of the worker whose request a response answers; 0 if that cannot be seen.

    The two last digits of a branch say it; in a branch of a ping, those before the dot.
    """
    if not data.startswith(b"SIP/2.0 ") or len(data) > LONGEST:
        return 0
    found = _BRANCH.search(data, 0, HEAD_OCTETS)
    if found is None:
        return 0
    try:
        return int(found[1].partition(b".")[0][-2:], 16)
    except ValueError:
        return 0


class Handover:
    """The way between the workers of one machine: one Unix datagram socket into each."""

    def __init__(
        self, number: int, inbox: socket.socket, outboxes: Mapping[int, socket.socket], metrics: Metrics
    ) -> None:
        """`inbox` is read by this worker alone; `outboxes` lead to the workers with these numbers."""
        self._inbox = inbox
        self._outboxes = {other: box for other, box in outboxes.items() if other != number}
        self._waiting: dict[int, deque[bytes]] = {other: deque() for other in self._outboxes}
        self._metrics = metrics
        self._deliver: Deliver

    def open(self, deliver: Deliver) -> None:
        """Read what siblings hand over, from now on."""
        self._deliver = deliver
        asyncio.get_running_loop().add_reader(self._inbox.fileno(), self._read)

    def close(self) -> None:
        """Read and send no more. The sockets stay open for the next start of this worker."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._inbox.fileno())
        for box in self._outboxes.values():
            loop.remove_writer(box.fileno())

    def sibling(self, data: bytes) -> int:
        """Return the number of the other worker that waits for a datagram; 0 if none does."""
        other = maker(data)
        return other if other in self._outboxes else 0

    def pass_on(self, other: int, data: bytes, flow: Flow) -> None:
        """Hand a datagram over to the worker with this number. It is counted where it came in, not there."""
        ip = flow.remote_ip.encode()
        self._send(other, _HEAD.pack(flow.id, flow.remote_port, len(ip)) + ip + data)

    def _send(self, other: int, packet: bytes) -> None:
        """Send, or wait until the sibling has read: the kernel keeps ten datagrams, not all of a burst."""
        waiting = self._waiting[other]
        if waiting:
            if len(waiting) >= MAX_WAITING:  # the sibling has not read for long, and its phones send again
                self._metrics.dropped("handover")
                return
            waiting.append(packet)
            return
        if not self._sent(other, packet):
            waiting.append(packet)
            box = self._outboxes[other]
            asyncio.get_running_loop().add_writer(box.fileno(), self._flush, other)

    def _flush(self, other: int) -> None:
        waiting = self._waiting[other]
        while waiting:
            if not self._sent(other, waiting[0]):
                return
            waiting.popleft()
        asyncio.get_running_loop().remove_writer(self._outboxes[other].fileno())

    def _sent(self, other: int, packet: bytes) -> bool:
        """Send one datagram; return False if there is no room for it now."""
        try:
            self._outboxes[other].send(packet)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            log.warning("a datagram for worker %d was lost: %s", other, error)
            self._metrics.dropped("handover")
            return True
        self._metrics.handed_over.inc()
        return True

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            try:
                packet = self._inbox.recv(MAX_OCTETS)
            except (BlockingIOError, InterruptedError):
                return
            listener, port, length = _HEAD.unpack_from(packet)
            start = _HEAD.size + length
            self._deliver(listener, packet[start:], packet[_HEAD.size : start].decode(), port)
