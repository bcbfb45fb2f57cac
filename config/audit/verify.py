"""`registrar audit verify`: walks the chain from its start, and says where it is broken."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.store.vault import Vault

from ..database import reading
from ..tables import AuditHead, AuditLog
from .chain import Head, head_of, is_sealed, link

PIECE: Final = 1_000
MAX_FAULTS: Final = 100


@dataclass(slots=True)
class Verdict:
    """What a walk has found."""

    head: Head
    rows: int = 0
    waiting: int = 0
    """Rows that are not chained yet."""
    faults: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.faults


async def verify(engine: AsyncEngine, vault: Vault, noted: tuple[int, str] | None = None) -> Verdict:
    """Return what is wrong with the chain; `noted` is a place and its hash that were noted before.

    Whoever has the secret key and writes SQL can make a new chain: only a noted hash finds that.
    """
    async with reading(engine) as session:
        await _hold_still(session)
        stored = await session.scalar(select(AuditHead))
        verdict = Verdict(head_of(stored) if stored is not None else Head())
        waits = select(func.count()).select_from(AuditLog).where(AuditLog.seq.is_(None))
        verdict.waiting = await session.scalar(waits) or 0
        if stored is not None and not is_sealed(verdict.head, stored.seal, vault):
            verdict.faults.append(
                "the head of the chain was changed by another program, or sealed with another key"
            )
        await _walk(session, verdict, noted)
    return verdict


async def _hold_still(session: AsyncSession) -> None:
    """Let the session see one moment: rows that are chained during the walk are no fault of the head.

    A reader of PostgreSQL sees each statement's own moment otherwise; one of SQLite does this by itself.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


async def _walk(session: AsyncSession, verdict: Verdict, noted: tuple[int, str] | None) -> None:
    head = verdict.head
    seq, before = head.base_seq, head.base_hash
    while len(verdict.faults) < MAX_FAULTS:
        statement = select(AuditLog).where(AuditLog.seq > seq).order_by(AuditLog.seq).limit(PIECE)
        rows = list(await session.scalars(statement))
        for row in rows:
            seq, before = _compared(verdict, row, seq, before)
            if noted is not None and noted[0] == seq and noted[1] != before:
                verdict.faults.append(f"row {seq}: its hash is not the one that was noted")
        verdict.rows += len(rows)
        session.expunge_all()
        if len(rows) < PIECE:
            break
    if (seq, before) != (head.seq, head.hash) and len(verdict.faults) < MAX_FAULTS:
        verdict.faults.append(f"the chain ends at row {seq}, but its head says row {head.seq}")
    if noted is not None and not head.base_seq <= noted[0] <= seq:
        verdict.faults.append(f"the noted row {noted[0]} is not there")


def _compared(verdict: Verdict, row: AuditLog, seq: int, before: str) -> tuple[int, str]:
    """Compare one row with the one before, and return where the walk goes on."""
    place = row.seq or 0
    if place != seq + 1:
        missing = f"row {seq + 1}" if place == seq + 2 else f"rows {seq + 1} to {place - 1}"
        verdict.faults.append(f"{missing}: deleted")
    elif link(before, place, row) != row.hash:
        what = f"{row.action} {row.table_name} {row.row_oid or row.named or ''}".rstrip()
        verdict.faults.append(f"row {place} ({row.at:%Y-%m-%d %H:%M:%S} UTC, {what}): changed")
    return place, row.hash or ""
