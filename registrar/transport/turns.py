"""Who sends much at once is read in turns, so that everybody else's messages come in between."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from registrar.model import Mono

TURN_SECONDS: Final = 0.004
"""So long all that wait may be served in one turn of the loop; the others are the first in the next one."""


class Turns:
    """Those who wait, each once, in their order."""

    def __init__(self, clock: Callable[[], Mono]) -> None:
        self._now = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False

    @property
    def idle(self) -> bool:
        """Whether nobody waits."""
        return not self._waiting

    def wait(self, serve: Callable[[], None]) -> None:
        """Call `serve` when it is its turn, not before the next turn of the loop."""
        self._waiting.append(serve)
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
        finally:  # whatever becomes of one, the others have their turn
            if self._waiting:
                self._schedule()
