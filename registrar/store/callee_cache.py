"""Cache of callees: who is reached by each dialled word, and how long the answer may be believed."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from registrar.errors import StoreUnavailable
from registrar.model import Called, Mono
from registrar.ports import Phones

from .freshness import FRESH_SECONDS, Freshness

NOBODY_SECONDS: Final = 2
"""How long an unknown number is not asked for again; it may have been assigned meanwhile."""
MAX_CALLEES: Final = 20_000
"""Limit of cached words that reach a callee, and limit of those that do not."""
MAX_SELECTS: Final = 4
"""Limit of concurrent SELECTs: registrations need connections to the database too."""
SELECT_SECONDS: Final = 2.0
"""A database that has not answered by then counts as away.

A caller waits longer than a phone that registers: its INVITE was answered 100, and is not sent again.
"""
TURN_SECONDS: Final = 2.0
"""How long a caller waits for a SELECT permit: hundreds of callers may dial new numbers at once."""
MAX_DIALLED: Final = 128
MAX_CUSTOMERS: Final = 10_000
"""Limit of customers whose last change is known; one more puts the entries of all customers in doubt."""

Key = tuple[str, str]
"""Id of the customer, and the dialled word."""


class Entry(NamedTuple):
    """Result of one read."""

    callee: Called | None
    read_at: Mono
    """When the read began."""
    changes: int
    """How many changes had been announced when the read began."""
    right_at: float
    """When the answer was last known to be right, to within a minute."""


class CachedCallees:
    """Cache of callees over ports.Phones.

    A change of a dial plan puts the entries of its customer in doubt. Any other change puts all entries in
    doubt: changes are rare, calls are many. An entry without doubt counts as one of a phone does.
    """

    def __init__(self, phones: Phones, clock: Callable[[], Mono], freshness: Freshness) -> None:
        self._phones = phones
        self._clock = clock
        self._freshness = freshness
        self._found: dict[Key, Entry] = {}
        self._nobody: dict[Key, Entry] = {}
        self._reading: dict[tuple[Key, int], asyncio.Task[Called | None]] = {}
        """The SELECTs under way, each with the number of the last change of its customer when it began."""
        self._changes = 0
        """How many changes were announced; a change is known by this number."""
        self._last_of_all = 0
        """The last change that put all entries in doubt."""
        self._last_of: dict[str, int] = {}
        """The last change since then that put the entries of one customer in doubt."""
        self._turns = asyncio.Semaphore(MAX_SELECTS)

    def doubt(self, customer: str = "") -> None:
        """Note that the dial plan of a customer has changed, or may have; without a customer, that of each.

        Every entry of it is read again at its next use; none is lost.
        """
        self._changes += 1
        if customer and (customer in self._last_of or len(self._last_of) < MAX_CUSTOMERS):
            self._last_of[customer] = self._changes
        else:
            self._last_of_all = self._changes
            self._last_of.clear()

    async def called(self, customer: str, user: str) -> Called | None:
        """See ports.DialPlan."""
        if not user or len(user) > MAX_DIALLED or not user.isascii() or not user.isprintable():
            return None
        key = customer, user
        entry = self._last_read(key)
        if entry is not None and self._is_fresh(customer, entry):
            self._note_right(key, entry)
            return entry.callee
        try:
            return await asyncio.shield(self._read(key))
        except StoreUnavailable:
            entry = self._last_read(key)
            if entry is not None and self._is_believed(customer, entry):
                return entry.callee
            raise

    def _last_read(self, key: Key) -> Entry | None:
        return self._found.get(key) or self._nobody.get(key)

    def _last_change(self, customer: str) -> int:
        """Return the number of the last change that concerned the dial plan of a customer."""
        return self._last_of.get(customer, self._last_of_all)

    def _is_fresh(self, customer: str, entry: Entry) -> bool:
        if entry.changes < self._last_change(customer):
            return False
        if entry.callee is None:
            return self._clock() - entry.read_at <= NOBODY_SECONDS
        return self._freshness.is_fresh(entry.read_at)

    def _note_right(self, key: Key, entry: Entry) -> None:
        """Note once a minute that a fresh entry is right: from then it is believed without a database."""
        if entry.callee is not None and self._clock() - entry.right_at > FRESH_SECONDS:
            self._found[key] = entry._replace(right_at=self._freshness.right_at(entry.read_at))

    def _is_believed(self, customer: str, entry: Entry) -> bool:
        """Return whether the entry may be used while the database is away.

        A callee may be used despite changes, an unknown number only if no change was announced.
        """
        has_changed = entry.changes < self._last_change(customer)
        if entry.callee is None:
            return not has_changed and self._freshness.is_believed(entry.read_at)
        right_at = entry.right_at if has_changed else self._freshness.right_at(entry.read_at)
        return self._freshness.is_believed(right_at)

    def _read(self, key: Key) -> asyncio.Task[Called | None]:
        """Return the SELECT that answers `key`.

        A SELECT under way is shared unless the dial plan of the customer changed since it began.
        """
        asked = key, self._last_change(key[0])
        task = self._reading.get(asked)
        if task is None:
            task = self._reading[asked] = asyncio.create_task(self._select(key))
            task.add_done_callback(lambda done: self._finish(asked, done))
        return task

    def _finish(self, asked: tuple[Key, int], done: asyncio.Task[Called | None]) -> None:
        del self._reading[asked]
        if not done.cancelled():
            done.exception()  # marks the error as retrieved: all callers may be gone

    async def _select(self, key: Key) -> Called | None:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise StoreUnavailable("too many wait for the database") from None
        changes, started = self._changes, self._clock()
        try:
            async with asyncio.timeout(SELECT_SECONDS):
                callee = await self._phones.callee(*key)
        except TimeoutError:
            raise StoreUnavailable("the database does not answer") from None
        finally:
            self._turns.release()
        self._keep(key, Entry(callee, started, changes, started))
        return callee

    def _keep(self, key: Key, entry: Entry) -> None:
        """Store the entry, the newest last. An older read never overwrites a newer one."""
        there = self._last_read(key)
        if there is not None and (there.changes, there.read_at) > (entry.changes, entry.read_at):
            return
        self._found.pop(key, None)
        self._nobody.pop(key, None)
        entries = self._nobody if entry.callee is None else self._found
        entries[key] = entry
        if len(entries) > MAX_CALLEES:
            del entries[next(iter(entries))]
