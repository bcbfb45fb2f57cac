"""The routes below /config/v2/sip/domains: the SIP domains themselves."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAINS
from ..auth import Caller
from ..operations import customers
from ..operations.customers import ACTIVE, visible
from ..properties import row_fields_of
from ..tables import Customer
from .places import find_domain
from .resource import Done, Path, Rows, Work, routes_of
from .rows import Shape, columns_of, moments, whole

FIELDS = row_fields_of(Customer)
EXAMPLE = {"displayName": "Company", "rec": 1}


async def _scope(_session: AsyncSession, caller: Caller, _path: Path) -> Sequence[ColumnElement[bool]]:
    return [visible(caller), Customer.state == ACTIVE, Customer.sip_domain.is_not(None)]


async def _find(session: AsyncSession, caller: Caller, path: Path, lock: bool) -> tuple[Customer, Customer]:
    customer = await find_domain(session, caller, path["domain"], lock=lock)
    return customer, customer


async def _create(work: Work) -> Done:
    columns = work.columns(row_fields_of(Customer, new=True))
    name = columns["sip_display_name"] or columns["sip_domain"]
    row = await customers.create_customer(work, {**columns, "name": name})
    return Done(Change(customer=row.oid), {"domainId": str(row.id)})


async def _update(work: Work, customer: Customer, _row: Customer) -> Change:
    columns = work.columns(FIELDS, customer)
    return await customers.update_customer(work, customer, columns)


async def _delete(work: Work, customer: Customer, _row: Customer) -> Change:
    return await customers.delete_customer(work, customer)


routes = routes_of(
    Rows(
        path=DOMAINS,
        id="domain",
        tag="SIP domains",
        one="a SIP domain",
        many="SIP domains",
        about={
            "List": "List the SIP domains you have access to.",
            "Show": "Return one SIP domain.",
            "Create": "Create a customer with this SIP domain and without a reseller.",
            "Change": "Change the properties that are sent; the host name cannot change.",
            "Delete": "Delete the customer with all its services; its host name can be used again.",
        },
        shape=Shape(
            "SIP domain",
            (
                whole("domainId", Customer.id, "Number of the SIP domain"),
                *columns_of(Customer),
                *moments(Customer),
            ),
            Customer.__table__,
            Customer.id,
            (Customer.revision,),
        ),
        scope=_scope,
        find=_find,
        create=_create,
        update=_update,
        delete=_delete,
        new=row_fields_of(Customer, new=True),
        fields=FIELDS,
        example={"domain": "sip.company.com", **EXAMPLE},
        change=EXAMPLE,
    )
)
