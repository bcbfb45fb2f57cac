"""Which customers a caller may see, and how one is found."""

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from ..access import AccessLevel
from ..auth import Caller
from ..errors import Problem, Refused, access_denied
from ..tables import Customer
from .ids import parse_oid

ACTIVE = "ACTIVE"


def visible(caller: Caller) -> ColumnElement[bool]:
    """The condition on `Customer` under which the caller may see what belongs to it."""
    if caller.level >= AccessLevel.RESELLER_ADMIN:
        return true()
    own = Customer.oid == caller.customer
    if caller.level < AccessLevel.RESELLER:
        return own
    # UNION, not UNION ALL: a circle of parents ends by itself.
    tree = select(Customer.id).where(own).cte("tree", recursive=True)
    below = select(Customer.id).join(tree, Customer.parent_customer_id == tree.c.id)
    return Customer.id.in_(select(tree.union(below).c.id))


def missing_customer() -> Problem:
    """There is no such customer, or all its services are disabled."""
    return Problem(404, "customer", "Customer not found or not active", "customer", "exists")


async def find_customer(session: AsyncSession, caller: Caller, wanted: object) -> Customer | None:
    """The customer with the id `wanted`, by default the caller's own; None: unknown or not active.

    Raises Refused (403) for one out of the caller's sight, existing or not.
    """
    if wanted is None:
        if caller.customer is None and caller.level < AccessLevel.RESELLER_ADMIN:
            raise access_denied()
        wanted = caller.customer
    statement = select(Customer).where(Customer.oid == (parse_oid(wanted) or ""), visible(caller))
    customer: Customer | None = await session.scalar(statement)
    if customer is None and caller.level < AccessLevel.RESELLER_ADMIN:
        raise access_denied()
    return customer if customer and customer.state == ACTIVE else None


async def require_customer(session: AsyncSession, caller: Caller, wanted: object) -> Customer:
    """Like `find_customer`, but raises Refused (404) where there is none."""
    customer = await find_customer(session, caller, wanted)
    if customer is None:
        raise Refused(missing_customer())
    return customer
