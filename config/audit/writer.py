"""The job that makes the chain of the audit log longer, and that notices when it does not become longer.

Each process of the API looks every two seconds whether rows wait. The lock of the row in `audit_head` lets
one of them work at a time. A lease would leave the log without a writer for ten seconds after a crash.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.typing import EncodableT, FieldT
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.store import keys
from registrar.store.vault import Vault

from .. import clock
from ..database import writing
from ..tables import AuditHead, AuditLog
from .chain import Head, head_of, is_sealed, link, seal
from .notes import Notes

LOOK_SECONDS: Final = 2.0
BATCH: Final = 500
"""Rows of one transaction: it holds the only lock of SQLite for some ten milliseconds."""
LATE_SECONDS: Final = 10.0
"""A row that waits longer is an alarm."""
TIDY_SECONDS: Final = 600.0
LATE_EVENT: Final = "audit-late"

_rows = AuditLog.__table__.c
_LINK: Final = (
    update(AuditLog.__table__)  # type: ignore[arg-type]  # it is a Table, whatever the declarative base says
    .where(_rows.id == bindparam("row"))
    .values(seq=bindparam("place"), hash=bindparam("digest"))
)

log = logging.getLogger(__name__)


class BrokenHead(Exception):
    """The head of the chain was changed, or deleted, by another program."""


class Chainer:
    """Makes the chain longer until the stop."""

    def __init__(
        self,
        engine: AsyncEngine,
        read_engine: AsyncEngine,
        redis: Redis,
        vault: Vault,
        metrics: Metrics,
        notes: Notes,
        days: int,
    ) -> None:
        """Create an idle job. `notes` are written by it, too. Rows older than `days` are deleted; 0: none."""
        self._engine = engine
        self._read_engine = read_engine
        self._redis = redis
        self._vault = vault
        self._metrics = metrics
        self._notes = notes
        self._days = days
        metrics.audit_dropped.set_function(lambda: notes.dropped)
        self._late: int | None = None
        """The row about which the alarm was raised."""
        self._tidied = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then write what is noted."""
        while not stop.is_set():
            await self._look()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
        await self._look()
        with contextlib.suppress(SQLAlchemyError, OSError):
            await self._notes.write(self._engine, all=True)

    async def _look(self) -> None:
        try:
            await self.step()
        except (SQLAlchemyError, StoreUnavailable, OSError) as error:
            log.warning("the audit log waits: %s", type(error).__name__)
        except BrokenHead as error:
            log.error("the audit log waits: %s; see registrar audit verify", error)
        except Exception:  # a fault here must not end the process that also serves the phones
            log.exception("the audit log waits: a fault in its writer")
        try:
            await self.watch()
        except (SQLAlchemyError, OSError) as error:
            log.warning("it is not known whether the audit log is late: %s", type(error).__name__)

    async def step(self) -> int:
        """Write the notes, chain the rows that wait, and return how many there were. Raise BrokenHead."""
        await self._notes.write(self._engine)
        chained = 0
        while await self.oldest() is not None:
            done = await writing(self._engine, self._chain)
            chained += done
            if done < BATCH:
                break
        if self._days and clock.mono_now() - self._tidied >= TIDY_SECONDS:
            self._tidied = clock.mono_now()
            await self.tidy()
        return chained

    async def oldest(self) -> tuple[int, datetime] | None:
        """Return the number and the time of the oldest row that waits, or None."""
        statement = select(AuditLog.id, AuditLog.at).where(AuditLog.seq.is_(None)).order_by(AuditLog.id)
        async with self._read_engine.connect() as connection:
            row = (await connection.execute(statement.limit(1))).one_or_none()
        return None if row is None else (row[0], row[1])

    async def watch(self) -> float:
        """Return for how many seconds the oldest row has waited; raise the alarm once if that is too long."""
        oldest = await self.oldest()
        waited = 0.0 if oldest is None else max(0.0, (clock.exact_now() - oldest[1]).total_seconds())
        self._metrics.audit_waiting_seconds.set(waited)
        if oldest is None or waited <= LATE_SECONDS:
            self._late = None
        elif self._late is None:
            self._late = oldest[0]
            log.error("the audit log is late: a row has waited for %d s to be chained", waited)
            await self._tell(oldest[0], waited)
        return waited

    async def _tell(self, row: int, waited: float) -> None:
        """Append the alarm to the stream of all events; several processes use the same key."""
        told: dict[FieldT, EncodableT] = {
            "event": LATE_EVENT,
            "key": f"{LATE_EVENT}:{row}",
            "time": f"{clock.epoch_now():.0f}",
            "count": f"{waited:.0f}",
        }
        try:
            await self._redis.xadd(keys.EVENTS, told, maxlen=keys.EVENTS_LENGTH)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("the alarm is in the log alone: %s", type(error).__name__)

    async def _chain(self, session: AsyncSession) -> int:
        """Chain the next rows, and return how many there were; 0 if another process is at it."""
        stored = await locked_head(session)
        if stored is None and await session.scalar(select(func.count()).select_from(AuditHead)):
            return 0
        head = await self._trusted(session, stored)
        waiting = select(AuditLog).where(AuditLog.seq.is_(None)).order_by(AuditLog.id).limit(BATCH)
        rows = list(await session.scalars(waiting))
        if rows or stored is None:
            await _write_links(session, head, rows, self._vault, is_new=stored is None)
        return len(rows)

    async def _trusted(self, session: AsyncSession, stored: AuditHead | None) -> Head:
        """Return the head. Raise BrokenHead if its seal is not ours: the change must not be covered up."""
        if stored is None:
            if (
                await session.scalar(select(AuditLog.id).where(AuditLog.seq.is_not(None)).limit(1))
                is not None
            ):
                raise BrokenHead("its head was deleted")
            return Head()
        head = head_of(stored)
        if not is_sealed(head, stored.seal, self._vault):
            raise BrokenHead("the seal of its head is not ours")
        return head

    async def tidy(self) -> int:
        """Delete the rows that are too old from the start of the chain; return how many there were."""
        before = clock.exact_now() - timedelta(days=self._days)
        deleted = step = await writing(self._engine, lambda session: self._delete(session, before))
        while step == BATCH:
            step = await writing(self._engine, lambda session: self._delete(session, before))
            deleted += step
        return deleted

    async def _delete(self, session: AsyncSession, before: datetime) -> int:
        stored = await locked_head(session)
        if stored is None:
            return 0
        head = await self._trusted(session, stored)
        first = select(AuditLog.seq, AuditLog.hash, AuditLog.at).where(AuditLog.seq > head.base_seq)
        rows = (await session.execute(first.order_by(AuditLog.seq).limit(BATCH))).all()
        old: list[tuple[int, str]] = []
        for seq, hash, at in rows:
            if at >= before:
                break  # a younger one is kept with all that follow: the chain has no holes
            old.append((seq or 0, hash or ""))
        if old:
            await session.execute(delete(AuditLog.__table__).where(AuditLog.seq <= old[-1][0]))  # type: ignore[arg-type]
            put_head(stored, Head(*old[-1], head.seq, head.hash), self._vault)
        return len(old)


async def locked_head(session: AsyncSession) -> AuditHead | None:
    """Return the head, locked against other writers, or None if there is none, or if another one has it."""
    found: AuditHead | None = await session.scalar(select(AuditHead).with_for_update(skip_locked=True))
    return found


def put_head(row: AuditHead, head: Head, vault: Vault) -> None:
    """Write a head with its seal into its row."""
    row.base_seq, row.base_hash, row.seq, row.hash = head.base_seq, head.base_hash, head.seq, head.hash
    row.seal = seal(head, vault)


async def _write_links(
    session: AsyncSession, head: Head, rows: Sequence[AuditLog], vault: Vault, *, is_new: bool
) -> None:
    seq, before = head.seq, head.hash
    links: list[dict[str, object]] = []
    for row in rows:
        seq, before = seq + 1, link(before, seq + 1, row)
        links.append({"row": row.id, "place": seq, "digest": before})
    if links:
        await session.execute(_LINK, links)
    new = Head(head.base_seq, head.base_hash, seq, before)
    columns = {
        "base_seq": new.base_seq,
        "base_hash": new.base_hash,
        "seq": new.seq,
        "hash": new.hash,
        "seal": seal(new, vault),
    }
    if is_new:
        await session.execute(insert(AuditHead).values(id=1, **columns))
    else:
        await session.execute(update(AuditHead).where(AuditHead.id == 1).values(columns))
