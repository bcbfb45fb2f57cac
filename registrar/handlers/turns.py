"""A queue for each phone: its REGISTERs and password guesses are served in order (section 10.3)."""

import asyncio
from collections import deque


class Turns:
    """A lock for each phone, which exists only while it is held."""

    def __init__(self) -> None:
        self._held: dict[str, deque[asyncio.Future[None]] | None] = {}

    async def take(self, phone: str) -> bool:
        """Wait for the phone's turn, and return whether there was any wait. Call `give()` afterwards."""
        if phone not in self._held:
            self._held[phone] = None
            return False
        queue = self._held[phone]
        if queue is None:
            queue = self._held[phone] = deque()
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self.give(phone)
            raise
        return True

    def are_awaited(self, phone: str) -> bool:
        """Return whether a task waits for the phone's turn."""
        return bool(self._held.get(phone))

    def give(self, phone: str) -> None:
        """Give the phone's turn to the next task that waits, or release the lock."""
        queue = self._held[phone]
        while queue:
            waiter = queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        del self._held[phone]
