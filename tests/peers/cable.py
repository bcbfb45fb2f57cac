"""A cable between TCP clients and a server: it can be cut while they talk, be slow, and lead elsewhere."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from tests.peers.phone import Address

PIECE: Final = 65_536
END: Final = b""


class Cable:
    """Clients connect to `address` instead of the server. It is where the thread that starts it is."""

    def __init__(self, server: Address, host: str = "127.0.0.1") -> None:
        self._server = server
        self.delay_seconds = 0.0
        """How much later each piece arrives, either way."""
        self.carried = 0
        """Pieces that were carried."""
        self._listener = socket.create_server((host, 0))
        self._ends: set[socket.socket] = set()
        self._all: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    @property
    def address(self) -> Address:
        host, port = self._listener.getsockname()
        return host, port

    def turn_to(self, server: Address) -> None:
        """Lead to another server from now on; connections that are open are cut."""
        self._server = server
        self.cut()

    def cut(self) -> int:
        """End every connection; how many there were. New ones are carried."""
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            _end(end)
        return len(ends) // 2

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._ends |= {client, server}
                self._all |= {client, server}
            for one, other in ((client, server), (server, client)):
                self._run(partial(self._carry, one, other))

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        """Read pieces as they come; another thread delivers them, so that delays do not add up."""
        pieces: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        self._run(partial(self._deliver, pieces, other))
        with contextlib.suppress(OSError):
            while piece := one.recv(PIECE):
                pieces.put((time.monotonic() + self.delay_seconds, piece))
        pieces.put((0.0, END))

    def _deliver(self, pieces: "SimpleQueue[tuple[float, bytes]]", other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for due, piece in iter(pieces.get, (0.0, END)):
                time.sleep(max(0.0, due - time.monotonic()))
                other.sendall(piece)
                self.carried += 1
        _end(other)

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._listener)
        self._threads[0].join()  # it accepts nobody any more
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._all):
            end.close()


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
