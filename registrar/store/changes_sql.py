"""The rows of the table `change`, as the view `change_v1` shows them."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.errors import StoreUnavailable
from registrar.model import Epoch

FAULTS: Final = (SQLAlchemyError, sqlite3.Error, ValueError, OSError)
"""ValueError: the driver says that its connection is closed."""

_SINCE: Final = text("SELECT seq, what, id FROM change_v1 WHERE seq >= :seq ORDER BY seq")
_BEFORE: Final = text("SELECT MAX(seq) FROM change_v1 WHERE at < :at")


class Row(NamedTuple):
    """One noted change: `what` and `id` are a word and an id of store/announce.py."""

    seq: int
    what: str
    id: str


class SqlChanges:
    """The noted changes in SQL."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader

    async def since(self, seq: int) -> list[Row]:
        """Return the rows from this number on, in their order. Raises StoreUnavailable."""
        return [Row(*row) for row in await self._read(_SINCE, seq=seq)]

    async def last_before(self, at: Epoch) -> int:
        """Return the number of the newest row from before this moment, or 0. Raises StoreUnavailable."""
        ((seq,),) = await self._read(_BEFORE, at=int(at))
        return int(seq or 0)

    async def _read(self, statement: TextClause, **values: int) -> Sequence[Sequence[Any]]:
        try:
            async with self._reader.connect() as connection:
                return (await connection.execute(statement, values)).all()
        except FAULTS as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error
