"""The calls that a caller of the API may see and end. The calls themselves are only in Redis."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..access import AccessLevel
from ..auth import Caller
from ..errors import not_found
from ..tables import OID_LENGTH, Customer
from .audit import Work
from .customers import is_named, require_customer, visible

TABLE: Final = "call"


async def whose(session: AsyncSession, caller: Caller, wanted: str | None) -> str | None:
    """Return the customer whose calls are listed, by default the caller's own, or None for all customers.

    Raise Refused as `require_customer` does.
    """
    if not is_named(caller, wanted) and caller.level >= AccessLevel.RESELLER_ADMIN:
        return None
    return (await require_customer(session, caller, wanted)).oid


async def require_sight(session: AsyncSession, caller: Caller, customer: str) -> None:
    """Raise Refused (404) if the caller may not see what belongs to this customer."""
    statement = select(Customer.id).where(Customer.oid == customer, visible(caller))
    if await session.scalar(statement) is None:
        raise not_found("Call")


async def record_hangup(work: Work, call: str) -> None:
    """Write to the audit log that the caller ended a call; the call's id is cut to the column's length."""
    work.record("delete", TABLE, call[:OID_LENGTH])
