"""The calls that wait for a group or queue, in memory: the meaning of the port without a server."""

from collections.abc import Callable
from dataclasses import replace

from registrar.errors import StoreUnavailable
from registrar.model import NO_PROCESS, Process, Waiter
from registrar.ports import Clock


class MemoryWaiting:
    """Waiting calls in memory; implements ports.Waiting.

    Set `away` to make it fail like a store that is down.
    """

    def __init__(
        self,
        clock: Clock,
        process: Process = NO_PROCESS,
        lives: Callable[[Process], bool] = lambda process: True,
    ) -> None:
        """Create the store. `process` is this process; `lives` tells whether a process lives."""
        self.away = False
        self._clock = clock
        self._process = process
        self._lives = lives
        self._stored: dict[str, dict[tuple[str, Process], Waiter]] = {}
        """Place -> its waiters in the order in which they came."""
        self._untold: list[tuple[str, str]] = []

    def share(self, other: "MemoryWaiting") -> None:
        """Use the store of `other`, like two processes over one Redis."""
        self._stored = other._stored

    async def enter(self, place: str, call: str, stage: str) -> float:
        """See ports.Waiting. A call that is there already keeps its place."""
        self._ask()
        waiters = self._stored.setdefault(place, {})
        there = waiters.get((call, self._process)) or Waiter(call, self._process, self._clock())
        waiters[call, self._process] = replace(there, stage=stage)
        return there.since

    def move(self, place: str, call: str, stage: str) -> None:
        """See ports.Waiting."""
        waiters = self._stored.get(place, {})
        if not self.away and (call, self._process) in waiters:
            waiters[call, self._process] = replace(waiters[call, self._process], stage=stage)

    def leave(self, place: str, call: str) -> None:
        """See ports.Waiting."""
        if self.away:
            self._untold.append((place, call))
        else:
            self._stored.get(place, {}).pop((call, self._process), None)

    async def waiters(self, place: str) -> list[Waiter]:
        """See ports.Waiting."""
        self._ask()
        return [waiter for waiter in self._stored.get(place, {}).values() if self._lives(waiter.process)]

    @property
    def untold(self) -> int:
        """Return how many removals wait for `mend`."""
        return len(self._untold)

    async def mend(self) -> None:
        """Remove the calls that left while the store was away."""
        self._ask()
        untold, self._untold = self._untold, []
        for place, call in untold:
            self.leave(place, call)

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
