"""What phones do, in the audit log in SQL, written beside the path: no call waits for the database.

The rows get their places in the chain like all others (decision 107). Those that a process has not written
when it is killed are lost: at most those of a second.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from sqlalchemy import DateTime, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.metrics import Metrics
from registrar.model import Switched

from .directory_sql import FAULTS

WRITE_SECONDS: Final = 1.0
AT_ONCE: Final = 100
MAX_WAITING: Final = 10_000
"""Deeds that wait for the database; further ones are dropped and counted."""
CLOSE_SECONDS: Final = 3.0
LEVEL: Final = "PHONE"
"""The level in the audit log of a phone that does something for its person."""

_INSERT: Final = text(
    "INSERT INTO audit_log "
    "(at, actor_level, action, table_name, row_oid, source_ip, via, customer_id, changes) "
    "VALUES (:at, :level, 'update', 'person', :person, :address, :via, "
    "(SELECT id FROM customer WHERE oid = :customer), :changes)"
).bindparams(bindparam("at", type_=DateTime(timezone=True)))

log = logging.getLogger(__name__)


class SqlDeeds:
    """The audit log in SQL, as the SIP side writes it; implements ports.Deeds. `run` writes it."""

    def __init__(self, engine: AsyncEngine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._waiting: deque[Switched] = deque()
        self._is_away = False

    def switched(self, deed: Switched) -> None:
        """See ports.Deeds."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(deed)
        else:
            self._metrics.audit_deeds_dropped.inc()

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except Exception:  # a bug in here must not end the process
                self._metrics.unhandled.inc()
                log.exception("what phones did could not be written to the audit log")
                self._drop_all()

    async def close(self) -> None:
        """Write what waits at the end of the process."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.write()
        except TimeoutError:
            log.debug("the audit log could not be written in time")
        self._drop_all()

    async def write(self) -> None:
        """Write what waits. If the database is away, keep it for the next time."""
        while self._waiting:
            some = list(islice(self._waiting, AT_ONCE))
            try:
                async with self._engine.begin() as connection:
                    await connection.execute(
                        _INSERT, [_row(deed, self._engine.dialect.name) for deed in some]
                    )
            except FAULTS as error:
                if not self._is_away:
                    log.warning("what phones did waits for the database: %s", type(error).__name__)
                self._is_away = True
                return
            for _ in some:
                self._waiting.popleft()
            self._is_away = False

    def _drop_all(self) -> None:
        if self._waiting:
            log.error("%d deeds of phones are missing in the audit log", len(self._waiting))
            self._metrics.audit_deeds_dropped.inc(len(self._waiting))
            self._waiting.clear()


def _row(deed: Switched, dialect: str) -> Mapping[str, object]:
    at = datetime.fromtimestamp(deed.at, UTC)
    changes = {"after": {deed.wish: deed.after}, "before": {deed.wish: deed.before}}
    return {
        "level": LEVEL,
        "at": at.replace(tzinfo=None) if dialect == "sqlite" else at,
        "person": deed.person,
        "customer": deed.customer,
        "address": deed.address,
        "via": f"phone:{deed.phone}",
        "changes": json.dumps(changes, sort_keys=True, separators=(",", ":")),
    }
