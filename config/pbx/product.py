"""The routes below /product."""

from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import AccessLevel
from ..auth import Caller
from ..deps import Parts
from ..errors import not_found, not_your_property
from ..operations import products
from ..operations.audit import Actor
from ..operations.customers import find_reseller, require_customer
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Draft
from ..operations.fields import Field, read_fields, text
from ..operations.ids import parse_oid
from ..operations.listing import Page, Sorts, read_page
from ..tables import Customer, Product
from .resource import NOTHING_CHANGED, Json, Resource, Shown, Written, columns_json, routes_of

MAX_CODE: Final = 64
FIELDS: Final = (
    Field(
        "type",
        "type",
        "string",
        products.type_check("type must be a word in upper case, at most 32 characters"),
        "PBX_SIP_PHONE (what a phone refers to), SIDE_PANEL, or a word of your own",
        required=True,
    ),
    text("productCode", "product_code", "Number in your shop", MAX_CODE, required=True),
    text("name", "name", "Name of the product", required=True),
    Field(
        "price",
        "price",
        "number",
        products.price_check("price must be a number of at most two decimals, not below 0"),
        "What it costs",
    ),
)
SORTS: Final[Sorts] = {
    "name": (Product.name,),
    "type": (Product.type, Product.name),
    "code": (Product.product_code,),
}
SEARCHED: Final = (Product.name, Product.product_code, Product.type)


async def _page(session: AsyncSession, caller: Caller, page: Page) -> tuple[int, list[Json]]:
    statement = _joined().where(products.visible_products(caller))
    if page.customer is not None:
        customer = await require_customer(session, caller, page.customer)
        statement = statement.where(products.usable(Customer.id == customer.id))
    total, rows = await read_page(session, statement, page, SEARCHED, SORTS, Product.id)
    return total, [_json(*row) for row in rows]


async def _show(session: AsyncSession, caller: Caller, oid: str) -> Shown:
    statement = _joined().where(Product.oid == (parse_oid(oid) or ""), products.visible_products(caller))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found("Product")
    return Shown(_json(*found), found[0].revision)


async def _create(session: AsyncSession, actor: Actor, document: Document, _parts: Parts) -> Written:
    columns = await _read(session, actor.caller, Draft(document))
    return Written((await products.create_product(session, actor, columns)).oid)


async def _update(
    session: AsyncSession, actor: Actor, oid: str, document: Document, _parts: Parts
) -> Written:
    product = await products.lock_product(session, actor.caller, oid)
    columns = await _read(session, actor.caller, Draft(document, product))
    await products.update_product(session, actor, product, columns)
    return Written(product.oid)


async def _delete(session: AsyncSession, actor: Actor, oid: str) -> Change:
    product = await products.lock_product(session, actor.caller, oid)
    await products.delete_product(session, actor, product)
    return NOTHING_CHANGED


async def _read(session: AsyncSession, caller: Caller, draft: Draft[Product]) -> products.Columns:
    read_fields(draft, FIELDS)
    await _read_reseller(session, caller, draft)
    draft.refuse_problems()
    return draft.values


async def _read_reseller(session: AsyncSession, caller: Caller, draft: Draft[Product]) -> None:
    """Read the product's reseller: a reseller's products are its own, RESELLER_ADMIN and above may choose."""
    sent = draft.sent("reseller") or None
    if caller.level < AccessLevel.RESELLER_ADMIN:
        own = await find_reseller(session, caller, caller.customer)
        if own is None or (sent is not NOT_SENT and parse_oid(sent) != own.oid):
            raise not_your_property("reseller", "Your products belong to your own customer, a reseller")
        draft.values["reseller_id"] = own.id
        return
    if sent is None or sent is NOT_SENT:
        if sent is None or draft.stored is None:
            draft.values["reseller_id"] = None
        return
    reseller = await find_reseller(session, caller, sent)
    if reseller is None:
        draft.wrong("reseller", "Reseller not found", 404, "exists")
        return
    draft.values["reseller_id"] = reseller.id


def _joined() -> Select[Product, str | None]:
    columns: Select[Product, str | None] = select(Product, Customer.oid)
    return columns.outerjoin(Customer, Customer.id == Product.reseller_id)


def _json(product: Product, reseller: str | None) -> Json:
    own: Json = {"_id": product.oid, "reseller": reseller}
    return own | columns_json(product, FIELDS)


routes = routes_of(
    Resource(
        path="/product",
        version=Product.revision,
        one="product",
        many="products",
        fields=FIELDS,
        references={"reseller": "Id of the reseller whose product it is; null: everybody's"},
        examples={"type": "PBX_SIP_PHONE", "productCode": "T46U", "name": "Yealink T46U", "price": 99.5},
        sorts=tuple(SORTS),
        searched="name, productCode or type",
        page=_page,
        show=_show,
        create=_create,
        update=_update,
        delete=_delete,
        customer="Id of a customer: only what it may use; by default all that one sees",
        default_limit=100,
    ),
    "Products",
)
