"""The history of calls in SQL, written beside the path: no call waits for the database.

Past calls wait in memory and are written together. A call may be reported twice: by a node that was taken for
dead, or because a commit was not acknowledged. Its id is unique in the table, and the first row stays.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from registrar.metrics import Metrics
from registrar.model import PastCall

from .directory_sql import FAULTS
from .history_codec import COLUMNS, PERSON_COLUMNS, Row, people_of, row_of

WRITE_SECONDS: Final = 1.0
"""Interval of the writes: what a process has not written when it is killed is lost."""
AT_ONCE: Final = 100
"""Rows of one transaction: making the statement takes about a millisecond of the event loop."""
MAX_WAITING: Final = 10_000
"""Past calls that wait for the database, with about 2 kB each; further ones are dropped."""
CLOSE_SECONDS: Final = 3.0
BAD_ROW: Final = ("22", "23")
"""The classes of SQLSTATE of a row that no later try can write: bad data, and a broken constraint."""

_SOURCES: Final = {
    "sqlite": "json_each(?) AS e",
    "postgresql": "jsonb_array_elements(CAST($1 AS jsonb)) AS e",
}
"""The rows as the driver of each database takes them: nothing is compiled for a write."""
_dump = json.JSONEncoder(separators=(",", ":")).encode

log = logging.getLogger(__name__)


class SqlHistory:
    """The history of calls in SQL; implements ports.History. `run` writes it."""

    def __init__(self, engine: AsyncEngine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._waiting: deque[PastCall] = deque()
        self._dropped = 0
        """Calls that were dropped since the last log line about that."""
        self._is_away = False
        dialect = engine.dialect.name
        self._insert = _statement("call_history", COLUMNS, dialect, " RETURNING id, call")
        self._insert_people = _statement("call_history_person", PERSON_COLUMNS, dialect)
        metrics.history_waiting.set_function(self._waiting.__len__)

    def add(self, past: PastCall) -> None:
        """See ports.History."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(past)
        else:
            self._dropped += 1
            self._metrics.history("dropped")

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except Exception:  # a bug in here must not end the process
                self._metrics.unhandled.inc()
                log.exception("the call history could not be written")
                self._drop(len(self._waiting))
            self._say_dropped()

    async def close(self) -> None:
        """Write what waits at the end of the process, and say how much could not be written."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.write()
        except TimeoutError:
            log.debug("the call history could not be written in time")
        self._drop(len(self._waiting))
        self._say_dropped()

    async def write(self) -> None:
        """Write what waits. If the database is away, keep it for the next time."""
        while self._waiting:
            some = list(islice(self._waiting, AT_ONCE))
            try:
                written = await self._write_some(some)
            except FAULTS as error:
                self._note_away(error)
                return
            for _ in some:
                self._waiting.popleft()
            self._metrics.history("written", by=written)
            self._is_away = False

    async def _write_some(self, some: Sequence[PastCall]) -> int:
        """Write some calls in one transaction; a row that the database refuses does not stop the others."""
        try:
            return await self._insert_rows(some)
        except DBAPIError as error:
            if not _is_of_row(error):
                raise
            if len(some) > 1:
                return sum([await self._write_some([past]) for past in some])
            self._metrics.history("refused")
            log.error("call %s has no row in the history: %s", some[0].call.id, type(error).__name__)
            return 0

    async def _insert_rows(self, some: Sequence[PastCall]) -> int:
        by_id = {past.call.id: past for past in some}
        async with self._engine.begin() as connection:
            rows = [row_of(past) for past in by_id.values()]
            found = await connection.exec_driver_sql(self._insert, (_dump(rows),))
            new = [(by_id[row.call], row.id) for row in found]
            await self._insert_parts(connection, [row for past, id in new for row in people_of(past, id)])
        return len(new)

    async def _insert_parts(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        if rows:
            await connection.exec_driver_sql(self._insert_people, (_dump(rows),))

    def _note_away(self, error: Exception) -> None:
        if not self._is_away:
            log.warning("the call history waits for the database: %s", type(error).__name__)
        self._is_away = True

    def _drop(self, number: int) -> None:
        """Drop some of the calls that wait, the oldest first."""
        for _ in range(number):
            self._waiting.popleft()
        if number:
            self._dropped += number
            self._metrics.history("dropped", by=number)

    def _say_dropped(self) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            log.error("%d calls have no row in the history: they could not be written in time", dropped)


def _is_of_row(error: DBAPIError) -> bool:
    """Return whether the fault is in a row; SQLAlchemy has no class for some errors of PostgreSQL."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, DataError | IntegrityError) or state.startswith(BAD_ROW)


def _statement(table: str, columns: Mapping[str, str], dialect: str, end: str = "") -> str:
    """Return the INSERT of many rows, which come as one JSON array of arrays.

    So the statement has one parameter and is always the same. `WHERE true` keeps SQLite from reading ON as a
    part of a join.
    """
    values = ", ".join(f"CAST(e.value ->> {place} AS {type})" for place, type in enumerate(columns.values()))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {_SOURCES[dialect]} "  # noqa: S608  # only our constants
        f"WHERE true ON CONFLICT DO NOTHING{end}"
    )
