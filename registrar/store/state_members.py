"""The phones and SIP users in SQL, as the walk over the index of states asks for them (state_walk)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from registrar.errors import StoreUnavailable

from .directory_sql import MAX_VALUES, PHONES_BY_ID, USERS_BY_ID, by_id

ROWS: Final = 1_000
# No view has the customers: one may be without phones, and still have entries in the index.
_CUSTOMERS: Final = text("SELECT oid, state FROM customer")
_THERE: Final = "customer_state <> 'DELETED'"
"""The rows of a deleted customer stay in the view, but it has no phones any more."""
_PHONES: Final = text(f"SELECT customer, id FROM phone_v1 WHERE {_THERE}")  # noqa: S608  # only our constants
_OWNERS: Final = {
    condition: text(
        f"SELECT id, customer FROM phone_v1 WHERE {_THERE} AND {condition} :wanted"  # noqa: S608  # as above
    ).bindparams(bindparam("wanted", expanding=True))
    for condition in (PHONES_BY_ID, USERS_BY_ID)
}


@dataclass(frozen=True, slots=True)
class Members:
    """All phones and SIP users at one time."""

    phones: Mapping[str, Sequence[str]]
    """Customer -> its phones and SIP users; a customer without any is there, too."""
    deleted: Sequence[str] = field(default=())
    """The customers that were deleted."""


class SqlMembers:
    """Phones in SQL; implements state_walk.Directory. Every method raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def members(self) -> Members:
        """See state_walk.Directory."""
        try:
            async with self._engine.connect() as connection:
                if self._engine.dialect.name == "postgresql":  # a cursor needs a transaction
                    await connection.execution_options(isolation_level="READ COMMITTED")
                return await _read(connection)
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error

    async def owners(self, phones: Sequence[str]) -> Mapping[str, str]:
        """See state_walk.Directory."""
        found: dict[str, str] = {}
        try:
            for start in range(0, len(phones), MAX_VALUES):
                async with self._engine.connect() as connection:
                    for condition, wanted in by_id(phones[start : start + MAX_VALUES]).items():
                        rows = await connection.execute(_OWNERS[condition], {"wanted": wanted})
                        found |= {str(phone): str(customer) for phone, customer in rows}
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error
        return found


async def _read(connection: AsyncConnection) -> Members:
    states = {str(oid): str(state) for oid, state in await connection.execute(_CUSTOMERS)}
    deleted = [oid for oid, state in states.items() if state == "DELETED"]
    phones: dict[str, list[str]] = {oid: [] for oid, state in states.items() if state != "DELETED"}
    result = await connection.stream(_PHONES)
    async for rows in result.partitions(ROWS):
        for customer, phone in rows:
            phones.setdefault(str(customer), []).append(str(phone))
        await asyncio.sleep(0)
    return Members(phones, deleted)
