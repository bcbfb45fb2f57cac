"""Whose calls a caller of the API may see and end. The calls themselves are in Redis alone."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..access import AccessLevel
from ..auth import Caller
from ..errors import not_found
from ..tables import OID_LENGTH, Customer
from .audit import Actor, record
from .customers import is_named, require_customer, visible

TABLE: Final = "call"


async def whose(session: AsyncSession, caller: Caller, wanted: str | None) -> str | None:
    """The customer whose calls are listed, by default the caller's own; None: everybody's.

    Raises Refused as `require_customer` does.
    """
    if not is_named(caller, wanted) and caller.level >= AccessLevel.RESELLER_ADMIN:
        return None
    return (await require_customer(session, caller, wanted)).oid


async def require_sight(session: AsyncSession, caller: Caller, customer: str) -> None:
    """Raises Refused (404) when the caller may not see what belongs to this customer."""
    statement = select(Customer.id).where(Customer.oid == customer, visible(caller))
    if await session.scalar(statement) is None:
        raise not_found("Call")


async def record_hangup(session: AsyncSession, actor: Actor, call: str) -> None:
    """Note in the audit log who ended a call; of its id what has room there."""
    record(session, actor, "delete", TABLE, call[:OID_LENGTH])
