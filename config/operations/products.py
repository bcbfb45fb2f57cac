"""Products and models: what phones and side panels were bought as, and what phones are."""

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import AccessLevel
from ..auth import Caller
from ..errors import not_your_property, refused
from ..tables import Customer, Product, SipPhone, SipPhoneModel, SipPhoneSidePanel
from .audit import Work, new_oid, parse_oid
from .customers import above
from .draft import Columns
from .listing import only


async def find_model(session: AsyncSession, oid: object) -> SipPhoneModel | None:
    """Return the model with this id, or None if it is unknown or not an id."""
    statement = select(SipPhoneModel).where(SipPhoneModel.oid == (parse_oid(oid) or ""))
    found: SipPhoneModel | None = await session.scalar(statement)
    return found


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
    (product,) = await only(session, statement.with_for_update(of=Product), "Product")
    if caller.level < AccessLevel.RESELLER_ADMIN:
        own = select(Customer.id).where(Customer.oid == caller.customer)
        if product.reseller_id is None or product.reseller_id != await session.scalar(own):
            message = "Only the reseller whose product it is may change it"
            raise not_your_property("reseller", message)
    return product


async def create_product(work: Work, _owner: object, columns: Columns) -> tuple[Product, Change]:
    """Create a product and return it; the SIP side does not know products."""
    product = Product(oid=new_oid(), **columns)
    await work.create(product)
    return product, Change()


async def update_product(work: Work, _owner: object, product: Product, columns: Columns) -> Change:
    """Change the columns in `columns` of a locked product."""
    for name, value in columns.items():
        setattr(product, name, value)
    await work.update(product)
    return Change()


async def delete_product(work: Work, _owner: object, product: Product) -> Change:
    """Delete a locked product. Raise Refused (409) if a phone or a side panel refers to it."""
    for table in (SipPhone, SipPhoneSidePanel):
        if await work.session.scalar(select(table.product_id).where(table.product_id == product.id).limit(1)):
            raise refused("id", "A phone or a side panel refers to the product", "allowed")
    await work.delete(product)
    return Change()
