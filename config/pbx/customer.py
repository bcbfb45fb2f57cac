"""The routes below /customer."""

from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from registrar.model import Change

from .. import clock
from ..access import AccessLevel
from ..auth import Caller
from ..deps import Parts
from ..errors import Refused, not_found, not_your_customer
from ..operations import customers
from ..operations.audit import Actor
from ..operations.checks import is_clean
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Draft
from ..operations.fields import Field, flag, read_fields, text, word
from ..operations.ids import parse_oid
from ..operations.listing import Page, Sorts, read_page
from ..tables import Customer
from .resource import Json, Resource, Shown, Written, columns_json, routes_of

STATES: Final = ("ACTIVE", "BLOCKED")
MAX_FEATURES: Final = 100
MAX_FEATURE: Final = 64
FIELDS: Final = (
    text("name", "name", "Name of the company", required=True),
    word("state", "state", STATES, "BLOCKED: no phone registers, and no person logs in", customers.ACTIVE),
    flag("isReseller", "is_reseller", "It may have customers of its own"),
    Field(
        "sipDomain",
        "sip_domain",
        "string",
        customers.host_name_check("sipDomain must be a host name"),
        "Where its phones register; unique; fixed as long as SIP users have passwords",
    ),
    text("sipDisplayName", "sip_display_name", "Name of the domain for people"),
    flag("callRecording", "call_recording", "Calls of the domain are recorded"),
)
SORTS: Final[Sorts] = {
    "name": (Customer.name,),
    "domain": (Customer.sip_domain,),
    "state": (Customer.state,),
}
SEARCHED: Final = (Customer.name, Customer.sip_domain, Customer.sip_display_name)

_Parent = aliased(Customer)


async def _page(session: AsyncSession, caller: Caller, page: Page) -> tuple[int, list[Json]]:
    statement = _joined(caller)
    if page.customer is not None:
        await _refuse_out_of_sight(session, caller, page.customer)
        statement = statement.where(_Parent.oid == (parse_oid(page.customer) or ""))
    total, rows = await read_page(session, statement, page, SEARCHED, SORTS, Customer.id)
    return total, [_json(*row) for row in rows]


async def _refuse_out_of_sight(session: AsyncSession, caller: Caller, oid: str) -> None:
    try:
        await _show(session, caller, oid)
    except Refused:
        if caller.level < AccessLevel.RESELLER_ADMIN:
            raise not_your_customer() from None
        raise Refused(customers.missing_customer()) from None


async def _show(session: AsyncSession, caller: Caller, oid: str) -> Shown:
    statement = _joined(caller).where(Customer.oid == (parse_oid(oid) or ""))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found("Customer")
    return Shown(_json(*found), found[0].revision)


async def _create(session: AsyncSession, actor: Actor, document: Document, _parts: Parts) -> Written:
    columns = await _read(session, actor.caller, Draft(document))
    customer = await customers.create_customer(session, actor, columns)
    return Written(customer.oid, Change(customer=customer.oid))


async def _update(
    session: AsyncSession, actor: Actor, oid: str, document: Document, _parts: Parts
) -> Written:
    if document.get("parentReseller") is not NOT_SENT:
        await customers.lock_tree(session)
    customer = await customers.lock_customer(session, actor.caller, oid)
    columns = await _read(session, actor.caller, Draft(document, customer))
    return Written(customer.oid, await customers.update_customer(session, actor, customer, columns))


async def _delete(session: AsyncSession, actor: Actor, oid: str) -> Change:
    customer = await customers.lock_customer(session, actor.caller, oid)
    return await customers.delete_customer(session, actor, customer)


async def _read(session: AsyncSession, caller: Caller, draft: Draft[Customer]) -> customers.Columns:
    read_fields(draft, FIELDS)
    features = _read_features(draft)
    await _read_parent(session, caller, draft)
    draft.refuse_problems()
    return draft.values if features is None else {**draft.values, "features": features}


def _read_features(draft: Draft[Customer]) -> list[str] | None:
    """Return the features to store, or None if the stored ones stay."""
    sent = draft.sent("features")
    if sent is NOT_SENT:
        return None if draft.stored else []
    if sent is None:
        return []
    words = [word for word in sent if _is_feature(word)] if isinstance(sent, list) else []
    if not isinstance(sent, list) or len(words) != len(sent) or len(words) > MAX_FEATURES:
        message = f"features must be an array of at most {MAX_FEATURES} texts of at most {MAX_FEATURE}"
        draft.wrong("features", message)
    return list(dict.fromkeys(words))


def _is_feature(word: object) -> bool:
    return isinstance(word, str) and 0 < len(word) <= MAX_FEATURE and is_clean(word)


async def _read_parent(session: AsyncSession, caller: Caller, draft: Draft[Customer]) -> None:
    """Read the parent reseller.

    A caller who does not see all customers creates them below its own customer, and cannot move one out of
    its sight.
    """
    sent = draft.sent("parentReseller")
    sees_all = caller.level >= AccessLevel.RESELLER_ADMIN
    if draft.stored is None and sent in (NOT_SENT, None, ""):
        draft.values["parent_customer_id"] = None if sees_all else (await _own(session, caller)).id
        return
    if sent is NOT_SENT or await _is_parent(session, draft.stored, sent or None):
        return
    if sent in (None, ""):
        if not sees_all:
            draft.wrong("parentReseller", "parentReseller is missing", check="required")
        draft.values["parent_customer_id"] = None
        return
    parent = await customers.find_reseller(session, caller, sent)
    if parent is None:
        draft.wrong("parentReseller", "Reseller not found", 404, "exists")
        return
    draft.values["parent_customer_id"] = parent.id


async def _own(session: AsyncSession, caller: Caller) -> Customer:
    own = await customers.find_reseller(session, caller, caller.customer)
    if own is None:
        raise not_your_customer("parentReseller")
    return own


async def _is_parent(session: AsyncSession, customer: Customer | None, sent: object) -> bool:
    """Return True if it is the parent already, even if the caller may not see it."""
    if customer is None:
        return False
    if customer.parent_customer_id is None or sent is None:
        return sent is None and customer.parent_customer_id is None
    parent = await session.scalar(select(Customer.oid).where(Customer.id == customer.parent_customer_id))
    return parent == parse_oid(sent)


def _joined(caller: Caller) -> Select[Customer, str | None]:
    columns: Select[Customer, str | None] = select(Customer, _Parent.oid)
    joined = columns.outerjoin(_Parent, _Parent.id == Customer.parent_customer_id)
    return joined.where(customers.visible(caller))


def _json(customer: Customer, parent: str | None) -> Json:
    own: Json = {"_id": customer.oid, "parentReseller": parent, "features": customer.features}
    moments = {"createdAt": clock.iso(customer.created_at), "updatedAt": clock.iso(customer.updated_at)}
    return own | columns_json(customer, FIELDS) | moments


routes = routes_of(
    Resource(
        path="/customer",
        version=Customer.revision,
        one="customer",
        many="customers",
        fields=FIELDS,
        references={"parentReseller": "Id of the reseller whose customer it is; by default one's own"},
        examples={"name": "Acme", "sipDomain": "acme.example.com"},
        sorts=tuple(SORTS),
        searched="name, sipDomain or sipDisplayName",
        page=_page,
        show=_show,
        create=_create,
        update=_update,
        delete=_delete,
        more={
            "features": {
                "type": "array",
                "items": {"type": "string", "maxLength": MAX_FEATURE},
                "maxItems": MAX_FEATURES,
                "description": "Words for other services",
            }
        },
        read_only={"createdAt": "string", "updatedAt": "string"},
        customer="Id of a reseller: only those directly below it; by default all that one sees",
        default_limit=100,
    ),
    "Customers",
)
