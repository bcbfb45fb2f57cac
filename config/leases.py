"""Leases: of several processes, one does a job, and another one takes over when its lease ends."""

from datetime import timedelta
from typing import Final

from sqlalchemy import CursorResult, Delete, Update, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Epoch

from . import clock
from .tables import Lease

LEASE_SECONDS: Final = 10


class LostLease(Exception):
    """Another process has the lease."""


async def take_lease(session: AsyncSession, table: type[Lease], owner: str, now: Epoch) -> bool:
    """Take the lease if it is free or our own. Return whether we have it."""
    moment = clock.utc_exact(now)
    free = table.until < moment
    statement = update(table).where(table.id == 1, (table.owner == owner) | free)
    until = moment + timedelta(seconds=LEASE_SECONDS)
    return await changed(session, statement.values(owner=owner, until=until)) == 1


async def release_lease(session: AsyncSession, table: type[Lease], owner: str) -> None:
    """Give up the lease, if we have it."""
    free = update(table).where(table.owner == owner)
    await session.execute(free.values(owner="", until=clock.utc_exact(0)))


async def changed(session: AsyncSession, statement: Update | Delete) -> int:
    """Return how many rows a statement has changed."""
    result = await session.execute(statement)
    return result.rowcount if isinstance(result, CursorResult) else 0
