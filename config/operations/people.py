"""The person behind a token."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..auth import Caller, Claims, invalid_token
from ..tables import Customer, Employee, Extension
from .ids import parse_oid


async def identify(session: AsyncSession, claims: Claims) -> Caller:
    """Who calls. Raises Refused (401) when the person is gone, blocked or changed since then."""
    if claims.employee is None:
        return Caller(claims.level, parse_oid(claims.customer), None)
    statement = (
        select(Employee, Customer.oid)
        .join(Customer, Customer.id == Employee.customer_id)
        .where(Employee.oid == claims.employee.lower())
    )
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise invalid_token("Please login")
    employee, customer = found
    outdated = claims.employee_version not in (None, employee.version)
    if employee.state != "ACTIVE" or outdated or claims.customer not in (None, customer):
        raise invalid_token("Please login")
    return Caller(claims.level, customer, employee.oid)


async def primary_extension(session: AsyncSession, caller: Caller) -> tuple[Extension, Customer] | None:
    """The caller's own primary extension and its customer; None when there is none."""
    statement = (
        select(Extension, Customer)
        .join(Employee, Employee.id == Extension.employee_id)
        .join(Customer, Customer.id == Extension.customer_id)
        .where(Employee.oid == (caller.employee or ""), Extension.is_primary)
        .order_by(Extension.id)
        .limit(1)
    )
    return (await session.execute(statement)).one_or_none()
