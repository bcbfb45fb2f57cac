"""Notes changes for the SIP side in the transaction that makes them (decision 121)."""

from typing import Any, Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from registrar.model import Change
from registrar.store import announce

from . import clock
from .changes import Noted
from .tables import NotedChange

KEPT_SECONDS: Final = 900
"""How long rows are kept. A SIP process that was away for longer reads and checks all phones again."""

_change = NotedChange.__table__.c


async def note(transaction: AsyncSession | AsyncConnection, *changes: Change) -> Noted:
    """Write what the SIP side must hear of with one INSERT, and return it, to be published after the commit.

    Call it last in the transaction: a row must be visible soon after it got its number.
    """
    rows: list[dict[str, Any]] = [
        {"what": what, "id": id} for change in changes for what, id in announce.to_rows(change)
    ]
    if not rows:
        return Noted()
    written = await transaction.execute(insert(NotedChange.__table__).returning(_change.seq), rows)  # type: ignore[arg-type]  # a Table
    return Noted(changes, tuple(written.scalars()))


async def forget(engine: AsyncEngine) -> int:
    """Delete old rows, and return how many; the newest of them stays, so that the table is never empty."""
    before = int(clock.epoch_now()) - KEPT_SECONDS
    last = select(func.max(_change.seq)).where(_change.at < before).scalar_subquery()
    async with engine.begin() as connection:
        return (await connection.execute(delete(NotedChange).where(_change.seq < last))).rowcount
