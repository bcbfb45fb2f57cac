"""The routes below /customer."""

from typing import Final

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from registrar.model import Change

from ..access import AccessLevel
from ..auth import Caller
from ..checks import is_clean
from ..errors import Refused, not_your_customer
from ..operations import customers
from ..operations.audit import Work
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Draft, read_fields
from ..operations.ids import parse_oid
from ..properties import fields_of
from ..tables import Customer
from .resource import MOMENTS, Resource, Written, routes_of
from .schema import array, sure

MAX_FEATURES: Final = 100
MAX_FEATURE: Final = 64

_Parent = aliased(Customer)


async def _scope(session: AsyncSession, caller: Caller, wanted: str | None) -> ColumnElement[bool]:
    """Return the condition for the customers that the caller may see, or those directly below a reseller."""
    if wanted is None:
        return customers.visible(caller)
    parent = parse_oid(wanted) or ""
    statement = select(Customer.id).where(Customer.oid == parent, customers.visible(caller))
    if await session.scalar(statement) is None:
        if caller.level < AccessLevel.RESELLER_ADMIN:
            raise not_your_customer()
        raise Refused(customers.missing_customer())
    return and_(customers.visible(caller), _Parent.oid == parent)


async def _create(work: Work, document: Document) -> Written:
    columns = await _read(work.session, work.caller, Draft(document))
    customer = await customers.create_customer(work, columns)
    return Written(customer.oid, Change(customer=customer.oid))


async def _update(work: Work, oid: str, document: Document) -> Written:
    if document.get("parentReseller") is not NOT_SENT:
        await customers.lock_tree(work.session)
    customer = await customers.lock_customer(work.session, work.caller, oid)
    columns = await _read(work.session, work.caller, Draft(document, customer))
    return Written(customer.oid, await customers.update_customer(work, customer, columns))


async def _delete(work: Work, oid: str) -> Change:
    customer = await customers.lock_customer(work.session, work.caller, oid)
    return await customers.delete_customer(work, customer)


async def _read(session: AsyncSession, caller: Caller, draft: Draft[Customer]) -> customers.Columns:
    read_fields(draft, fields_of(Customer))
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


routes = routes_of(
    Resource(
        path="/customer",
        one="customer",
        table=Customer,
        version=Customer.revision,
        joined=select(Customer, _Parent.oid).outerjoin(_Parent, _Parent.id == Customer.parent_customer_id),
        references={"parentReseller": "Id of the reseller whose customer it is; by default one's own"},
        examples={"name": "Acme", "sipDomain": "acme.example.com"},
        sorts={"name": (Customer.name,), "domain": (Customer.sip_domain,), "state": (Customer.state,)},
        searched=(Customer.name, Customer.sip_domain, Customer.sip_display_name),
        searched_names="name, sipDomain or sipDisplayName",
        create=_create,
        update=_update,
        delete=_delete,
        scope=_scope,
        more={
            "features": array(
                sure("string", maxLength=MAX_FEATURE), "Words for other services", maxItems=MAX_FEATURES
            )
        },
        columns={"features": "features", **MOMENTS},
        customer="Id of a reseller: only those directly below it; by default all that one sees",
        default_limit=100,
    ),
    "Customers",
)
