"""Writer of the index of states beside the commits of this process.

The order of writes. The entry of a phone is written before the script of the commit, in the same write to
the socket. If Redis then loses its last writes, it loses the commit with the entry, or the commit alone; the
latter is found and mended after the reconnection. In the other order, a lost entry would stay lost.

An entry that may be wrong is *in doubt*: its commit was refused, or has no answer, a newer entry stood there,
or the customer is not known. `run` reads the phone of each and corrects the entry (`StateIndex.settle`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from registrar.errors import StoreUnavailable
from registrar.model import Snapshot, Update
from registrar.rules.standing import Entry, new_standing

from . import keys
from .redis_wire import Wire
from .scripts import PLACE
from .state_index import StateIndex, placing

AT_ONCE: Final = 2_000
"""Phones that are corrected together: some of them wait (`PATIENCE_SECONDS`)."""
MAX_DOUBTED: Final = 100_000
"""Limit of phones in doubt; the walk finds the others (state_walk)."""
RETRY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Announced:
    """An entry that was sent to Redis before the commit that it belongs to."""

    phone: str
    customer: str
    answer: asyncio.Future[Any] | None
    """None: the customer is not known, so nothing was sent."""

    @property
    def is_written(self) -> bool:
        """Return whether the entry stands. Ask after the commit has its answer, which comes later."""
        answer = self.answer
        if answer is None or not answer.done() or answer.cancelled():
            return False
        return answer.exception() is None and answer.result() == 1


class StateWriter:
    """Writer of the entries of phones that this process commits."""

    def __init__(self, wire: Wire, index: StateIndex, customer_of: Callable[[str], str]) -> None:
        """Create the writer; `customer_of` returns the customer of a phone, empty if it is not known."""
        self._wire = wire
        self._index = index
        self._customer_of = customer_of
        self._doubted: dict[str, str] = {}
        """Phone -> customer, empty if it is not known."""
        self._noted = asyncio.Event()

    def announce(self, phone: str, before: Snapshot, update: Update) -> Announced | None:
        """Send the entry of an update, or return None if the update leaves the standing as it is.

        Call `finished` when the commit has ended, with success or without. Raises StoreUnavailable.
        """
        standing = new_standing(before, update)
        if standing is None:
            return None
        customer = update.customer or self._customer_of(phone)
        if not customer:
            return Announced(phone, "", None)
        words = placing(phone, Entry(update.after.version, standing))
        answer = self._wire.send("EVALSHA", PLACE.sha, 3, *keys.states(customer), *words)
        return Announced(phone, customer, answer)

    def finished(self, announced: Announced, *, committed: bool) -> None:
        """Note how the commit of an announced entry has ended."""
        if not announced.is_written or not committed:
            self.doubt(announced.phone, announced.customer)

    def doubt(self, phone: str, customer: str = "") -> None:
        """Let the entry of a phone be corrected."""
        if len(self._doubted) < MAX_DOUBTED or phone in self._doubted:
            self._doubted[phone] = customer or self._customer_of(phone)
            self._noted.set()

    async def run(self) -> None:
        """Correct the entries in doubt, until cancelled."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            if not await self.settle():
                await asyncio.sleep(RETRY_SECONDS)
                self._noted.set()

    async def settle(self) -> bool:
        """Correct the entries in doubt, and return whether none is left."""
        while self._doubted:
            some = dict(list(self._doubted.items())[:AT_ONCE])
            for phone in some:
                del self._doubted[phone]
            done = await asyncio.gather(*(self._settle(*item) for item in some.items()))
            if not all(done):
                return False
        return True

    async def _settle(self, phone: str, customer: str) -> bool:
        try:
            await self._index.settle(phone, customer)
        except StoreUnavailable:
            self._doubted.setdefault(phone, customer)
            return False
        return True
