"""The routes below /config/v2/sip/domains: the SIP domains themselves."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAINS
from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import customers
from ..operations.customers import ACTIVE, visible
from ..operations.fields import Field
from ..tables import Customer
from . import openapi
from .answers import created, nothing, row_answer
from .asking import read_one
from .fields import flag as flag_field
from .fields import text as text_field
from .lists import list_answer
from .params import ParamsDep
from .places import DomainId, find_domain, number
from .rows import Shape, flag, moment, read_row, text, whole
from .work import Done, carry_out, read_columns

SHAPE: Final = Shape(
    "SIP domain",
    (
        whole("domainId", Customer.id, "Number of the SIP domain"),
        text("domain", Customer.sip_domain, "Host name with which its users register", "sip.company.com"),
        text("displayName", Customer.sip_display_name, "Name", "Company"),
        flag("rec", Customer.call_recording, "Calls are recorded"),
        moment("createDatetime", Customer.created_at, "When it was made"),
        moment("updateDatetime", Customer.updated_at, "When it was changed"),
    ),
    Customer.__table__,
    (Customer.id,),
    (Customer.revision,),
)
UPDATE_FIELDS: Final = (
    text_field("displayName", "sip_display_name", "Name"),
    flag_field("rec", "call_recording", "Calls are recorded"),
)
CREATE_FIELDS: Final = (
    Field(
        "domain",
        "sip_domain",
        "string",
        customers.host_name_check("domain must be a host name"),
        "Host name, unique on the whole platform",
        required=True,
    ),
    *UPDATE_FIELDS,
)
EXAMPLE: Final = {"displayName": "Company", "rec": 1}

routes = APIRouter(prefix=DOMAINS, tags=["SIP domains"])


@routes.get("", summary="List SIP domains", openapi_extra=openapi.rows(SHAPE))
async def list_domains(request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep) -> Response:
    """List the SIP domains you have access to."""

    async def scoped(_session: AsyncSession) -> list[ColumnElement[bool]]:
        return [visible(caller), Customer.state == ACTIVE, Customer.sip_domain.is_not(None)]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.post(
    "",
    summary="Create a SIP domain",
    openapi_extra=openapi.create(CREATE_FIELDS, {"domain": "sip.company.com", **EXAMPLE}, "domainId"),
)
async def create_domain(request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep) -> Response:
    """Create a customer with this SIP domain and without a reseller."""

    async def work(session: AsyncSession) -> Done:
        columns = read_columns(params, CREATE_FIELDS)
        name = columns["sip_display_name"] or columns["sip_domain"]
        row = await customers.create_customer(session, actor, {**columns, "name": name})
        return Done(row.id, Change(customer=row.oid))

    done = await carry_out(parts, actor, work)
    return created(request, domainId=str(done.id))


@routes.get("/{domain}", summary="Show a SIP domain", openapi_extra=openapi.row(SHAPE))
async def show_domain(
    domain: DomainId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Return one SIP domain."""
    async with reading(parts.read_engine) as session:
        customer = await find_domain(session, caller, domain)
        asked = read_one(params, SHAPE)
        shown, edition = await read_row(session, SHAPE, asked.part, Customer.id == customer.id)
    return row_answer(request, asked, shown, edition)


@routes.post("/{domain}", summary="Change a SIP domain", openapi_extra=openapi.update(UPDATE_FIELDS, EXAMPLE))
async def update_domain(domain: DomainId, actor: ActorDep, params: ParamsDep, parts: PartsDep) -> Response:
    """Change the properties that are sent; the host name cannot change."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain, lock=True)
        columns = read_columns(params, UPDATE_FIELDS, customer)
        return Done(change=await customers.update_customer(session, actor, customer, columns))

    await carry_out(parts, actor, work, SHAPE.at(Customer.id == number(domain)))
    return nothing()


@routes.delete("/{domain}", summary="Delete a SIP domain", openapi_extra=openapi.delete())
async def delete_domain(domain: DomainId, actor: ActorDep, parts: PartsDep) -> Response:
    """Delete the customer with all its services; its host name can be used again."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain, lock=True)
        return Done(change=await customers.delete_customer(session, actor, customer))

    await carry_out(parts, actor, work, SHAPE.at(Customer.id == number(domain)))
    return nothing()
