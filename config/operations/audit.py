"""The audit log: one row for each change, written in the same transaction as the change."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from ..auth import Caller
from ..preconditions import UNCONDITIONAL, Condition
from ..tables import AuditLog


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
