"""One after the other for each phone: REGISTERs are served in the order they came (section 10.3)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A lock for each phone that exists only while somebody holds it."""

    def __init__(self) -> None:
        self._held: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def of(self, phone: str) -> AsyncIterator[None]:
        """Wait for the phone's turn and keep it for the length of the block."""
        queue = self._held.get(phone)
        if queue is None:
            self._held[phone] = deque()
        else:
            mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            queue.append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._next(phone)
                raise
        try:
            yield
        finally:
            self._next(phone)

    def _next(self, phone: str) -> None:
        queue = self._held[phone]
        while queue:
            waiter = queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        del self._held[phone]
