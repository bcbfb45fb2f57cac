"""The routes below /customer."""

from typing import Final

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ..access import AccessLevel
from ..auth import Caller
from ..checks import is_clean
from ..errors import Refused, not_your_customer
from ..operations import customers
from ..operations.audit import Work
from ..operations.draft import NOT_SENT, Document, Draft
from ..operations.ids import parse_oid
from ..tables import Customer
from .resource import MOMENTS, Resource, nobody, routes_of
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


async def _lock(work: Work, oid: str, document: Document) -> tuple[Customer, None]:
    if document.get("parentReseller") is not NOT_SENT:
        await customers.lock_tree(work.session)
    return await customers.lock_customer(work.session, work.caller, oid), None


async def _read(work: Work, draft: Draft[Customer], _owner: None) -> None:
    _read_features(draft)
    await _read_parent(work.session, work.caller, draft)


def _read_features(draft: Draft[Customer]) -> None:
    sent = draft.sent("features")
    if sent is NOT_SENT and draft.stored:
        return
    words = [] if sent is NOT_SENT or sent is None else sent
    if not isinstance(words, list) or len(words) > MAX_FEATURES or not all(map(_is_feature, words)):
        message = f"features must be an array of at most {MAX_FEATURES} texts of at most {MAX_FEATURE}"
        draft.wrong("features", message)
    else:
        draft.values["features"] = list(dict.fromkeys(words))


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
        own = None if sees_all else await customers.find_reseller(session, caller, caller.customer)
        if own is None and not sees_all:
            raise not_your_customer("parentReseller")
        draft.values["parent_customer_id"] = own.id if own else None
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
        owner=nobody,
        lock=_lock,
        create=customers.create_customer,
        update=customers.update_customer,
        delete=customers.delete_customer,
        read=_read,
        scope=_scope,
        more={
            "features": array(
                sure("string", maxLength=MAX_FEATURE), "Words for other services", maxItems=MAX_FEATURES
            )
        },
        columns={"features": "features", **MOMENTS},
        customer="Id of a reseller: only those directly below it; by default all that one sees",
        default_limit=100,
    )
)
