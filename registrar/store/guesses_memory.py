"""Budget of wrong passwords in memory: the meaning of the port without a server."""

import asyncio
from itertools import count

from registrar.errors import StoreUnavailable
from registrar.ports import Clock
from registrar.rules.guesses import FREE, GOOD_SECONDS, Guesser, Ledger, Taken


class MemoryGuesses:
    """Budget in memory; implements ports.Guesses and ports.Spraying.

    Set `away` to make it fail like a store that is down.
    """

    def __init__(self, clock: Clock) -> None:
        self.away = False
        self.taken = 0
        """How many times `take` was called."""
        self.noted: list[Guesser] = []
        """The account and source of each call to `good`."""
        self.tries: list[str] = []
        """The mark of each call to `tried`."""
        self._clock = clock
        self._ledger = Ledger()
        self._good: dict[Guesser, float] = {}
        self._entries: dict[str, float] = {}
        self._serial = count()

    async def take(self, who: Guesser) -> Taken:
        """See ports.Guesses."""
        self._ask()
        self.taken += 1
        now = self._clock()
        source = FREE if self._is_good(who) else self._ledger.source_held_until(who.source, now)
        taken = Taken(self._ledger.held_until(who, now, good=True), source)
        if taken.is_held(now):
            return taken
        self._ledger.add(who, now)
        entry = str(next(self._serial))
        self._entries[entry] = now
        await asyncio.sleep(0)  # a server counts before its answer arrives
        return Taken(entry=entry, good=self._is_good(who))

    def give_back(self, who: Guesser, taken: Taken) -> None:
        """See ports.Guesses."""
        if not self.away:
            self._ledger.remove(who, self._entries.pop(taken.entry))

    def good(self, who: Guesser) -> None:
        """See ports.Guesses."""
        if not self.away:
            self.noted.append(who)
            self._good[who] = self._clock()

    async def goods(self, source: str) -> frozenset[str]:
        """See ports.Guesses."""
        self._ask()
        return frozenset(who.mark for who in self._good if who.source == source and self._is_good(who))

    async def is_good(self, who: Guesser) -> bool:
        """See ports.Spraying."""
        self._ask()
        return self._is_good(who)

    def tried(self, mark: str) -> None:
        """See ports.Spraying."""
        self.tries.append(mark)

    def _is_good(self, who: Guesser) -> bool:
        return self._clock() - self._good.get(who, float("-inf")) < GOOD_SECONDS

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("away")
