"""Walk over all phones that compares the index of states with the status of each, and mends it.

It builds the index at the first start of this version, and finds what no process could correct: the entries
of a process that died at the wrong moment, of an older version during a rolling upgrade, of a status that
ended after 30 days, and of a phone that was deleted while no process ran.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.errors import StoreUnavailable

from .state_index import PATIENCE_SECONDS, StateIndex

CHUNK: Final = 200
REST_SECONDS: Final = 0.05
"""Pause after a chunk: phones that register go first."""
ROWS: Final = 1_000
SHOWN: Final = 5
_PHONES: Final = text("SELECT customer, id FROM phone_v1")

Members = Mapping[str, Sequence[str]]
"""Customer -> its phones and SIP users."""


@dataclass(slots=True)
class Walked:
    """What a walk has found."""

    phones: int = 0
    wrong: int = 0
    """Phones whose entry differs from their status, and entries without a phone."""
    examples: list[str] = field(default_factory=list)
    """Some of them."""
    customers: int = 0
    """Customers whose keys do not agree with each other."""

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
        *,
        repair: bool,
        rest: float = REST_SECONDS,
        patience: float = PATIENCE_SECONDS,
        after_chunk: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        """Create a walk. `after_chunk` is called after each chunk of phones."""
        self._index = index
        self._repair = repair
        self._rest = rest
        self._patience = patience
        self._after_chunk = after_chunk
        self._found = Walked()

    async def run(self, members: Members) -> Walked:
        """Walk over all phones, and return what was found. Raises StoreUnavailable."""
        for customer, phones in members.items():
            if not await self._index.agrees(customer):
                self._found.customers += 1
                if self._repair:
                    await self._index.clear(customer)
            for start in range(0, len(phones), CHUNK):
                await self._compare(customer, phones[start : start + CHUNK])
                await self._breathe()
            await self._drop_strangers(customer, frozenset(phones))
        return self._found

    async def _compare(self, customer: str, phones: Sequence[str]) -> None:
        self._found.phones += len(phones)
        wrong = await self._differing(customer, phones)
        if wrong and not self._repair:  # the commits of some may be under way
            await asyncio.sleep(self._patience)
            wrong = await self._differing(customer, wrong)
        self._found.note(wrong)
        if self._repair:
            await asyncio.gather(*(self._index.settle(phone, customer) for phone in wrong))

    async def _differing(self, customer: str, phones: Sequence[str]) -> list[str]:
        entries = await self._index.entries(customer, phones)
        stands = await asyncio.gather(*map(self._index.stands, phones))
        return [
            phone
            for phone, entry, now in zip(phones, entries, stands, strict=True)
            if (entry and entry.standing) != now.standing
        ]

    async def _drop_strangers(self, customer: str, phones: frozenset[str]) -> None:
        """Remove the entries of phones that do not exist, or belong to another customer."""
        cursor = 0
        while True:
            cursor, listed = await self._index.listed(customer, cursor)
            strangers = [phone for phone in listed if phone not in phones]
            self._found.note(strangers)
            if self._repair:
                await asyncio.gather(*(self._index.drop(phone, customer) for phone in strangers))
            await self._breathe()
            if not cursor:
                return

    async def _breathe(self) -> None:
        if self._after_chunk is not None:
            await self._after_chunk()
        await asyncio.sleep(self._rest)


async def read_members(engine: AsyncEngine) -> Members:
    """Return the phones and SIP users of every customer. Raises StoreUnavailable."""
    members: dict[str, list[str]] = {}
    try:
        async with engine.connect() as connection:
            if engine.dialect.name == "postgresql":  # a cursor needs a transaction, and readers have none
                await connection.execution_options(isolation_level="READ COMMITTED")
            result = await connection.stream(_PHONES)
            async for rows in result.partitions(ROWS):
                for customer, phone in rows:
                    members.setdefault(customer, []).append(str(phone))
                await asyncio.sleep(0)
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(f"the database: {type(error).__name__}") from error
    return members
