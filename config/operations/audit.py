"""The audit log: one row for each change, written in the same transaction as the change."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from .. import clock
from ..auth import Caller
from ..preconditions import UNCONDITIONAL, Condition
from ..tables import AuditLog, Identified


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller, and the address that the request came from."""

    caller: Caller
    source_ip: str
    condition: Condition = UNCONDITIONAL
    """The condition under which the change is made, such as If-Match."""


def record(session: AsyncSession, actor: Actor, action: str, table: str, oid: str) -> None:
    """Add one row to the audit log; `action` is create, update, delete or resetcredentials."""
    session.add(
        AuditLog(
            actor=actor.caller.employee,
            actor_level=actor.caller.level.name,
            action=action,
            table_name=table,
            row_oid=oid,
            source_ip=actor.source_ip,
        )
    )


async def create(session: AsyncSession, actor: Actor, row: Identified) -> None:
    """Write a new row, and its creation to the audit log."""
    session.add(row)
    await session.flush()
    record(session, actor, "create", row.__tablename__, row.oid)


async def update(session: AsyncSession, actor: Actor, row: Identified) -> None:
    """Write the columns of a row that were changed, and the change to the audit log."""
    row.updated_at = clock.utc_now()
    record(session, actor, "update", row.__tablename__, row.oid)
    await session.flush()


async def delete(session: AsyncSession, actor: Actor, row: Identified) -> None:
    """Delete a row, and write that to the audit log."""
    await session.delete(row)
    record(session, actor, "delete", row.__tablename__, row.oid)
    await session.flush()
