"""The way on after a fault of the chain: an operator has looked at it."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.store.vault import Vault

from ..database import writing
from ..tables import AuditHead, AuditLog
from .chain import START, Head
from .writer import put_head


async def accept_fault(engine: AsyncEngine, vault: Vault) -> None:
    """Seal the head at the newest row that is there. A row that was changed stays a fault for `verify`."""

    async def seal(session: AsyncSession) -> None:
        rows = select(AuditLog.seq, AuditLog.hash).where(AuditLog.seq.is_not(None))
        newest = (await session.execute(rows.order_by(AuditLog.seq.desc()).limit(1))).one_or_none()
        stored = await session.scalar(select(AuditHead).with_for_update())
        await session.execute(delete(AuditHead))
        base = (stored.base_seq, stored.base_hash) if stored is not None else (0, START)
        row = AuditHead(id=1)
        put_head(row, Head(*base, *(newest or base)), vault)
        session.expunge_all()
        session.add(row)

    await writing(engine, seal)
