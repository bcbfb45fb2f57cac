"""The rows of the audit log that a caller may read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..access import AccessLevel
from ..auth import Caller
from ..tables import AuditLog, Customer, Employee
from .customers import one_or_all, visible

_audit = AuditLog.__table__.c
_customer = Customer.__table__.c
_employee = Employee.__table__.c

_ROWS: Final = (
    select(*_audit, _customer.oid.label("customer"), _employee.name.label("person"))
    .select_from(AuditLog.__table__)
    .outerjoin(Customer.__table__, _customer.id == _audit.customer_id)
    .outerjoin(Employee.__table__, _employee.oid == _audit.actor)
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for rows of the audit log, the newest first."""

    limit: int
    after: int | None = None
    """Number of the last row of the page before."""
    customer: str | None = None
    object: str = ""
    employee: str = ""
    action: str = ""
    type: str = ""
    since: datetime | None = None
    until: datetime | None = None


async def read_trail(
    session: AsyncSession, caller: Caller, asked: Asked
) -> tuple[Sequence[Row[*tuple[Any, ...]]], int | None]:
    """Return one page of rows, and the `after` of the next page or None. Raise Refused (403, 404)."""
    statement = _filtered(await _in_sight(session, caller, asked), asked)
    rows = (await session.execute(statement.order_by(_audit.id.desc()).limit(asked.limit + 1))).all()
    more = len(rows) > asked.limit
    return rows[: asked.limit], rows[asked.limit - 1].id if more else None


async def _in_sight(session: AsyncSession, caller: Caller, asked: Asked) -> Select[*tuple[Any, ...]]:
    """Return the rows that the caller may see: who may see all also sees those of no customer."""
    customer = await one_or_all(session, caller, asked.customer)
    if customer is not None:
        return _ROWS.where(_audit.customer_id == customer.id)
    if caller.level >= AccessLevel.RESELLER_ADMIN:
        return _ROWS
    return _ROWS.where(_audit.customer_id.in_(select(Customer.id).where(visible(caller))))


def _filtered(statement: Select[*tuple[Any, ...]], asked: Asked) -> Select[*tuple[Any, ...]]:
    equal = (
        (_audit.row_oid, asked.object),
        (_audit.actor, asked.employee),
        (_audit.action, asked.action),
        (_audit.table_name, asked.type),
    )
    for column, value in equal:
        statement = statement.where(column == value) if value else statement
    if asked.after is not None:
        statement = statement.where(_audit.id < asked.after)
    if asked.since is not None:
        statement = statement.where(_audit.at >= asked.since)
    return statement if asked.until is None else statement.where(_audit.at < asked.until)
