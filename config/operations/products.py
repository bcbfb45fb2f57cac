"""Products: the articles that phones and side panels were bought as."""

import math
import re
from collections.abc import Mapping
from typing import Final

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from .. import clock
from ..access import AccessLevel
from ..auth import Caller
from ..errors import Problem, Refused, not_found, not_your_property
from ..tables import Customer, Product, SipPhone, SipPhoneSidePanel
from .audit import Actor, record
from .checks import Check, Value, Wrong
from .customers import above
from .ids import new_oid, parse_oid

TABLE: Final = Product.__tablename__
TYPE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
MAX_PRICE: Final = 9_999_999_999.99
"""The column has ten digits before the point."""

Columns = Mapping[str, Value]
"""Checked values by column of the table."""


def type_check(message: str) -> Check:
    """Return a check for a short word in upper case."""

    def check(value: object) -> Value | Wrong:
        return value if isinstance(value, str) and TYPE.fullmatch(value) else Wrong(message)

    return check


def price_check(message: str) -> Check:
    """Return a check for a number that is not negative and has at most two decimals."""

    def check(value: object) -> Value | Wrong:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_PRICE:
            return Wrong(message, "range")
        price = float(value)
        return price if math.isclose(price, round(price, 2), rel_tol=1e-15) else Wrong(message)

    return check


def usable(customer: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition on `Product` under which the customer that `customer` describes may use it.

    These are the products without a reseller, the customer's own, and those of the resellers above it.
    """
    return or_(
        Product.reseller_id.is_(None), Product.reseller_id.in_(select(Customer.id).where(above(customer)))
    )


def visible_products(caller: Caller) -> ColumnElement[bool]:
    """Return the condition on `Product` under which the caller may see it."""
    return true() if caller.level >= AccessLevel.RESELLER_ADMIN else usable(Customer.oid == caller.customer)


async def find_usable(
    session: AsyncSession, customer: Customer, sent: object, type_: str | None = None
) -> int | None:
    """Return the primary key of the product with this id, or None if the customer may not use one.

    With `type_`, the product must be of this type.
    """
    statement = select(Product.id).where(Product.oid == (parse_oid(sent) or ""))
    statement = statement.where(usable(Customer.id == customer.id))
    if type_ is not None:
        statement = statement.where(Product.type == type_)
    found: int | None = await session.scalar(statement)
    return found


async def lock_product(session: AsyncSession, caller: Caller, oid: object) -> Product:
    """Return the product, locked against other writers.

    Raise Refused: 404 if the caller may not see it, 403 if it has no reseller or another one's.
    """
    statement = select(Product).where(Product.oid == (parse_oid(oid) or ""), visible_products(caller))
    product: Product | None = await session.scalar(statement.with_for_update(of=Product))
    if product is None:
        raise not_found("Product")
    if caller.level < AccessLevel.RESELLER_ADMIN:
        own = select(Customer.id).where(Customer.oid == caller.customer)
        if product.reseller_id is None or product.reseller_id != await session.scalar(own):
            message = "Only the reseller whose product it is may change it"
            raise not_your_property("reseller", message)
    return product


async def create_product(session: AsyncSession, actor: Actor, columns: Columns) -> Product:
    """Create a product and return it."""
    product = Product(oid=new_oid(), **columns)
    session.add(product)
    await session.flush()
    record(session, actor, "create", TABLE, product.oid)
    return product


async def update_product(session: AsyncSession, actor: Actor, product: Product, columns: Columns) -> None:
    """Change the columns in `columns` of a locked product."""
    for name, value in columns.items():
        setattr(product, name, value)
    product.updated_at = clock.utc_now()
    record(session, actor, "update", TABLE, product.oid)
    await session.flush()


async def delete_product(session: AsyncSession, actor: Actor, product: Product) -> None:
    """Delete a locked product. Raise Refused (409) if a phone or a side panel refers to it."""
    for table in (SipPhone, SipPhoneSidePanel):
        if await session.scalar(select(table.product_id).where(table.product_id == product.id).limit(1)):
            message = "A phone or a side panel refers to the product"
            raise Refused(Problem(409, "id", message, "id", "allowed"))
    await session.delete(product)
    record(session, actor, "delete", TABLE, product.oid)
    await session.flush()
