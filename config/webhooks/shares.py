"""Permits for requests to web servers. Customers share them, and a few customers never have all of them."""

import asyncio
from collections import Counter


class Shares:
    """A number of permits.

    A customer may take one if it has fewer than `each`, and fewer than are free. So n customers whose web
    servers all hang have at most n / (n + 1) of the permits, and another customer does not wait for them.
    """

    def __init__(self, total: int, each: int) -> None:
        """Create `total` permits, of which one customer has at most `each`."""
        self.total = total
        self._each = each
        self._taken = Counter[str]()
        self._waiting: dict[asyncio.Future[None], str] = {}
        """The customers of those that wait, in the order in which they came."""

    def taken_by(self, customer: str) -> int:
        """Return how many permits a customer has."""
        return self._taken[customer]

    def take(self, customer: str, count: int = 1) -> int:
        """Take up to `count` permits, and return how many. It is 0 while the customer waits for one."""
        if customer in self._waiting.values():
            return 0
        taken = 0
        while taken < count and self._may_take(customer):
            self.hold(customer)
            taken += 1
        return taken

    async def wait(self, customer: str) -> None:
        """Take one permit as soon as the customer may. Tasks of one customer take turns."""
        if self.take(customer):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = customer
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it got its permit at the moment when it was cancelled
                self.give(customer)
            raise
        finally:
            self._waiting.pop(turn, None)

    def hold(self, customer: str) -> None:
        """Count one permit more for a customer, whether it may take one or not."""
        self._taken[customer] += 1

    def give(self, customer: str, count: int = 1) -> None:
        """Give permits back; tasks that wait take them."""
        self._taken[customer] -= count
        if self._taken[customer] <= 0:
            del self._taken[customer]
        for turn, waiting in list(self._waiting.items()):
            if not turn.done() and self._may_take(waiting):
                self.hold(waiting)
                del self._waiting[turn]
                turn.set_result(None)

    def _may_take(self, customer: str) -> bool:
        free = self.total - self._taken.total()
        return self._taken[customer] < min(self._each, free)
