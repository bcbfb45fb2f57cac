"""A clock that is turned by hand, and a transport that only remembers what it was told to do."""

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Final, TypeVar

from registrar.metrics import Metrics
from registrar.model import Flow, Mono
from registrar.transport.connection import Connection, End, Limits
from registrar.transport.connections import Connections

BEGIN: Final = 1_000.0
HERE: Final = "192.0.2.1"
"""The address of the server."""
THERE: Final = "198.51.100.7"
"""The address of a peer."""
PROXY: Final = "203.0.113.9"
PROXIES: Final = (ip_network("203.0.113.0/24"), ip_network("2001:db8::/32"))


class Hands:
    """A clock that stands still until somebody turns it."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> Mono:
        return Mono(self.now)

    def pass_(self, seconds: float) -> None:
        self.now += seconds


class Pipe(asyncio.Transport):
    """The transport of one connection, as uvloop's behave; the test is the network and the loop behind it."""

    def __init__(self, protocol: Connection, *, half_close: bool = True) -> None:
        """`half_close`: TCP can end one direction, TLS cannot."""
        super().__init__()
        self._protocol = protocol
        self._half_close = half_close
        self._paused = False
        self._limits = (0, 64 * 1024)
        self.written = bytearray()
        self.reading = True
        self.closed = False
        self.aborted = False
        self.eof = False
        self.stalled = False
        """The peer does not read: what is written stays in the queue."""
        self.queued = 0

    # asyncio.Transport

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._limits = (low or 0, high or 0)

    def get_write_buffer_size(self) -> int:
        return self.queued

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self.is_closing():
            self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.is_closing():
            return
        self.written += data
        if self.stalled:
            self.queued += len(data)
            if self.queued > self._limits[1] and not self._paused:
                self._paused = True
                self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return self._half_close

    def write_eof(self) -> None:
        assert self._half_close
        self.eof = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    # The peer, the network and the loop

    def take(self, octets: int) -> None:
        """The peer reads so much of the queue."""
        self.queued = max(0, self.queued - octets)
        if self._paused and self.queued <= self._limits[0]:
            self._paused = False
            self._protocol.resume_writing()

    def lose(self, error: Exception | None = None) -> None:
        """The connection is gone."""
        self._protocol.connection_lost(error)

    def said(self) -> bytes:
        """What was written since the last time."""
        said = bytes(self.written)
        self.written.clear()
        return said


async def settled(connection: Connection) -> None:
    """Until all that came over a connection has had its turn, or waits for a peer that does not read."""
    for _ in range(1_000):
        if connection.keeps_us_waiting:
            return
        await asyncio.sleep(0)


C = TypeVar("C", bound=Connection)


class Room:
    """A table of connections, and everything around it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = Hands()
        self.metrics = Metrics()
        self.gone: list[tuple[int, bool]] = []
        """The connections that ended, and whether their peers had fallen silent."""
        self.table = Connections(self.clock, self.metrics, self._closed, proxies=PROXIES, limits=limits)

    def _closed(self, flow: Flow, silent: bool) -> None:
        self.gone.append((flow.id, silent))

    def flow(self, ip: str = THERE, transport: str = "tcp") -> Flow:
        return Flow(transport, HERE, 5060, ip, 50_000, self.table.number())

    def open(
        self, make: Callable[[Connections, Flow], C], ip: str = THERE, transport: str = "tcp"
    ) -> tuple[C, Pipe]:
        """A connection that was admitted and stands."""
        assert self.table.admit(ip)
        connection = make(self.table, self.flow(ip, transport))
        pipe = Pipe(connection, half_close=transport in ("tcp", "ws"))
        connection.connection_made(pipe)
        return connection, pipe

    def look_after(self, seconds: float) -> None:
        """The job looks when so much time has passed."""
        self.clock.pass_(seconds)
        self.table.look()

    # What operators see

    def ended(self, end: End) -> float:
        """How many connections have ended so."""
        return (
            self.metrics.registry.get_sample_value("registrar_connections_closed_total", {"reason": str(end)})
            or 0.0
        )

    def ends(self) -> dict[str, float]:
        """How many connections have ended, by reason."""
        return {str(end): count for end in End if (count := self.ended(end))}

    def open_now(self, state: str, transport: str = "tcp") -> float:
        labels = {"transport": transport, "state": state}
        return self.metrics.registry.get_sample_value("registrar_connections_open", labels) or 0.0

    def dropped(self, reason: str) -> float:
        return (
            self.metrics.registry.get_sample_value("registrar_sip_dropped_total", {"reason": reason}) or 0.0
        )

    # What must not be left behind

    def left(self) -> dict[str, Sequence[object]]:
        """What the table still remembers of anybody: nothing, when all connections are gone."""
        everything = ((name, getattr(self.table, name)) for name in dir(self.table) if name[:2] != "__")
        return {name: list(value) for name, value in everything if isinstance(value, dict) and value}
