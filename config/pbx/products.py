"""The routes below /product: what phones and side panels were bought as."""

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..access import AccessLevel
from ..auth import Caller
from ..errors import not_your_property
from ..operations import products
from ..operations.audit import Work, parse_oid
from ..operations.customers import find_reseller, require_customer
from ..operations.draft import NOT_SENT, Document, Draft
from ..tables import Customer, Product
from .resource import Resource, nobody, routes_of


async def _product_scope(session: AsyncSession, caller: Caller, wanted: str | None) -> ColumnElement[bool]:
    """Return the condition for the products that the caller may see, or that one customer may use."""
    sight = products.visible_products(caller)
    if wanted is None:
        return sight
    customer = await require_customer(session, caller, wanted)
    return and_(sight, products.usable(Customer.id == customer.id))


async def _lock_product(work: Work, oid: str, _document: Document) -> tuple[Product, None]:
    return await products.lock_product(work.session, work.caller, oid), None


async def _read_product(work: Work, draft: Draft[Product], _owner: None) -> None:
    """Read the product's reseller: a reseller's products are its own, RESELLER_ADMIN and above may choose."""
    session, caller = work.session, work.caller
    sent = draft.sent("reseller") or None
    if caller.level < AccessLevel.RESELLER_ADMIN:
        own = await find_reseller(session, caller, caller.customer)
        if own is None or (sent is not NOT_SENT and parse_oid(sent) != own.oid):
            raise not_your_property("reseller", "Your products belong to your own customer, a reseller")
        draft.values["reseller_id"] = own.id
        return
    if sent is None or (sent is NOT_SENT and draft.stored is None):
        draft.values["reseller_id"] = None
        return

    async def find(sent: object) -> int | None:
        reseller = await find_reseller(session, caller, sent)
        return reseller.id if reseller else None

    await draft.read_reference("reseller", "reseller_id", find, "Reseller")


product_routes = routes_of(
    Resource(
        path="/product",
        one="product",
        table=Product,
        version=Product.revision,
        joined=select(Product, Customer.oid).outerjoin(Customer, Customer.id == Product.reseller_id),
        references={"reseller": "Id of the reseller whose product it is; null: everybody's"},
        examples={"type": "PBX_SIP_PHONE", "productCode": "T46U", "name": "Yealink T46U", "price": 99.5},
        sorts={
            "name": (Product.name,),
            "type": (Product.type, Product.name),
            "code": (Product.product_code,),
        },
        searched=(Product.name, Product.product_code, Product.type),
        searched_names="name, productCode or type",
        owner=nobody,
        lock=_lock_product,
        create=products.create_product,
        update=products.update_product,
        delete=products.delete_product,
        read=_read_product,
        scope=_product_scope,
        sight=products.visible_products,
        customer="Id of a customer: only what it may use; by default all that one sees",
        default_limit=100,
    )
)
