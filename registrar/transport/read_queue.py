"""Queue of connections with more octets to read, so that one that sends much cannot delay the others."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from registrar.model import Mono

TURN_SECONDS: Final = 0.004
"""How long callbacks may run in one turn of the event loop; the remaining ones are the first in the next
turn."""


class ReadQueue:
    """Queue of callbacks, each of which reads a part of one connection; each is called once, in order."""

    def __init__(self, clock: Callable[[], Mono]) -> None:
        self._now = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False

    @property
    def idle(self) -> bool:
        """Return whether no callback waits."""
        return not self._waiting

    def wait(self, read: Callable[[], None]) -> None:
        """Call `read` when it is its turn, not before the next turn of the event loop."""
        self._waiting.append(read)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        until = self._now() + TURN_SECONDS
        try:
            for _ in range(len(self._waiting)):
                self._waiting.popleft()()
                if self._now() >= until:
                    break
        finally:  # even if one raises, the others have their turn
            if self._waiting:
                self._schedule()
