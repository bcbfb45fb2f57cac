"""One after the other for each phone: REGISTERs are served as they came (section 10.3). Guesses likewise."""

import asyncio
from collections import deque


class Turns:
    """A lock for each phone that exists only while somebody holds it."""

    def __init__(self) -> None:
        self._held: dict[str, deque[asyncio.Future[None]] | None] = {}

    async def take(self, phone: str) -> bool:
        """Wait for the phone's turn; whoever has it must `give` it back. Whether there was any wait."""
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
        """Return whether somebody waits for the phone's turn."""
        return bool(self._held.get(phone))

    def give(self, phone: str) -> None:
        """The turn is the next one's."""
        queue = self._held[phone]
        while queue:
            waiter = queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        del self._held[phone]
