"""A path between phones and a server that loses no datagram: some come after later ones, some twice."""

import random
import selectors
import socket
import threading
import time
from heapq import heappop, heappush
from itertools import count
from types import TracebackType
from typing import Final, Self

from tests.peers.phone import Address
from tests.peers.pipe import MAX_DATAGRAM

LATE_SECONDS: Final = 0.12
TICK_SECONDS: Final = 0.005
Sent = tuple[float, int, socket.socket, bytes, Address]


class Jumble:
    """Phones send to `address` instead of the server. It is where the thread that starts it is."""

    def __init__(self, server: Address, host: str, *, late: float = 0.3, twice: float = 0.3) -> None:
        """`late` and `twice` are the shares of datagrams that are reordered and doubled while `on`."""
        self.on = False
        self.late, self.twice = 0, 0
        """How many were."""
        self._shares = late, twice
        self._server = server
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((host, 0))
        self._host = host
        self._backs: dict[Address, socket.socket] = {}
        self._waiting: list[Sent] = []
        self._numbers = count()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def address(self) -> Address:
        host, port = self._front.getsockname()
        return host, port

    def _run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(TICK_SECONDS):
                self._take(key.data)
            self._deliver()

    def _take(self, phone: Address | None) -> None:
        """One datagram: of any phone at the front, or of the server for one of them."""
        if phone is None:
            data, source = self._front.recvfrom(MAX_DATAGRAM)
            self._carry(self._back(source), data, self._server)
        else:
            data = self._backs[phone].recv(MAX_DATAGRAM)
            self._carry(self._front, data, phone)

    def _back(self, phone: Address) -> socket.socket:
        """The socket that speaks to the server for a phone."""
        if phone not in self._backs:
            made = self._backs[phone] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((self._host, 0))
            self._selector.register(made, selectors.EVENT_READ, phone)
        return self._backs[phone]

    def _carry(self, through: socket.socket, data: bytes, to: Address) -> None:
        late, twice = self._shares if self.on else (0.0, 0.0)
        copies = 2 if random.random() < twice else 1
        self.twice += copies - 1
        for _ in range(copies):
            delay = random.uniform(0.01, LATE_SECONDS) if random.random() < late else 0.0
            self.late += delay > 0
            heappush(self._waiting, (time.monotonic() + delay, next(self._numbers), through, data, to))

    def _deliver(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, through, data, to = heappop(self._waiting)
            through.sendto(data, to)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._selector.close()
        for one in (self._front, *self._backs.values()):
            one.close()
