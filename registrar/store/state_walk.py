"""Walk over all phones that compares the index of states with the status of each, and mends it.

It builds the index at the first start of this version, and finds what no process could correct: the entries
of a process that died at the wrong moment, of an older version during a rolling upgrade, of a status that
ended after 30 days, and of a phone that was deleted while no process ran.

The list of phones is older than what the walk compares with it: meanwhile phones are created and deleted. So
the database is asked again about each phone that seems to be wrong, and once more after an entry was mended.
It decides: a phone that it has belongs in the index, even if its status is marked as that of a deleted one.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from .state_index import PATIENCE_SECONDS, StateIndex
from .state_members import Members

CHUNK: Final = 200
REST_SECONDS: Final = 0.05
"""Pause after a chunk: phones that register go first."""
SHOWN: Final = 5
TRIES: Final = 5
"""How often the entry of a phone is mended that is deleted or created at the same time."""


class Directory(Protocol):
    """What the walk asks the database."""

    async def members(self) -> Members:
        """Return all phones by customer. Raises StoreUnavailable."""

    async def owners(self, phones: Sequence[str]) -> Mapping[str, str]:
        """Return the customer of each of these phones that is there. Raises StoreUnavailable."""


@dataclass(slots=True)
class Walked:
    """What a walk has found."""

    phones: int = 0
    wrong: int = 0
    """Phones whose entry differs from their status, and entries without a phone."""
    examples: list[str] = field(default_factory=list)
    """Some of them."""
    customers: int = 0
    """Customers whose keys do not agree with each other, or were not built to the end."""

    def note(self, phones: Iterable[str]) -> None:
        """Note phones whose entry is wrong."""
        for phone in phones:
            self.wrong += 1
            if len(self.examples) < SHOWN:
                self.examples.append(phone)

    @property
    def is_right(self) -> bool:
        """Return whether nothing was wrong."""
        return not self.wrong and not self.customers


class StateWalk:
    """One walk. With `repair` it mends what it finds."""

    def __init__(
        self,
        index: StateIndex,
        directory: Directory,
        *,
        repair: bool,
        rest: float = REST_SECONDS,
        patience: float = PATIENCE_SECONDS,
        after_chunk: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        """Create a walk. `after_chunk` is called after each chunk of phones."""
        self._index = index
        self._directory = directory
        self._repair = repair
        self._rest = rest
        self._patience = patience
        self._after_chunk = after_chunk
        self._found = Walked()
        self._mark = secrets.token_hex(8)

    async def run(self) -> Walked:
        """Walk over all phones, and return what was found. Raises StoreUnavailable."""
        members = await self._directory.members()
        for customer, phones in members.phones.items():
            await self._walk_one(customer, phones)
        if self._repair:
            for customer in members.deleted:
                await self._index.forget(customer)
        return self._found

    async def _walk_one(self, customer: str, phones: Sequence[str]) -> None:
        if not await self._index.agrees(customer):
            self._found.customers += 1
            if self._repair:
                await self._index.clear(customer, self._mark)
        for start in range(0, len(phones), CHUNK):
            await self._compare(customer, phones[start : start + CHUNK])
            await self._breathe()
        await self._look_for_strangers(customer, frozenset(phones))
        if self._repair:
            await self._index.built(customer, self._mark)

    async def _compare(self, customer: str, phones: Sequence[str]) -> None:
        self._found.phones += len(phones)
        wrong = await self._differing(customer, phones)
        if wrong and not self._repair:  # the commits of some may be under way
            await asyncio.sleep(self._patience)
            wrong = await self._differing(customer, wrong)
        owners = await self._owners(wrong)
        await self._mend(customer, [phone for phone in wrong if owners.get(phone) == customer], owners)

    async def _differing(self, customer: str, phones: Sequence[str]) -> list[str]:
        """Return the phones whose entry is not that of a phone in the database; some may be gone by now."""
        entries = await self._index.entries(customer, phones)
        stands = await asyncio.gather(*map(self._index.stands, phones))
        return [
            phone
            for phone, entry, now in zip(phones, entries, stands, strict=True)
            if (entry and entry.standing) != now.standing or (now.is_deleted and now.standing)
        ]

    async def _look_for_strangers(self, customer: str, phones: frozenset[str]) -> None:
        """Remove the entries of phones that do not exist, or belong to another customer."""
        cursor = 0
        while True:
            cursor, listed = await self._index.listed(customer, cursor)
            unknown = [phone for phone in listed if phone not in phones]
            owners = await self._owners(unknown)
            await self._mend(customer, [phone for phone in unknown if owners.get(phone) != customer], owners)
            await self._breathe()
            if not cursor:
                return

    async def _owners(self, phones: Sequence[str]) -> Mapping[str, str]:
        return await self._directory.owners(phones) if phones else {}

    async def _mend(self, customer: str, wrong: Sequence[str], owners: Mapping[str, str]) -> None:
        """Note the phones that are wrong, and mend their entries with `repair`.

        A phone may be deleted, or created again, while its entry is written: then it is written once more.
        """
        self._found.note(wrong)
        for _ in range(TRIES if self._repair else 0):
            if not wrong:
                return
            await asyncio.gather(*(self._mend_one(customer, phone, owners.get(phone)) for phone in wrong))
            before, owners = owners, await self._owners(wrong)
            wrong = [phone for phone in wrong if owners.get(phone) != before.get(phone)]

    async def _mend_one(self, customer: str, phone: str, owner: str | None) -> None:
        if owner is None:
            await self._index.drop(phone, customer)
        elif owner == customer:
            await self._index.restore(phone, customer)
        else:
            await self._index.remove(phone, customer)

    async def _breathe(self) -> None:
        if self._after_chunk is not None:
            await self._after_chunk()
        await asyncio.sleep(self._rest)
