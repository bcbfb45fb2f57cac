"""The routes below /config/v2/sip/domains/{domain}/trustedNetworks."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import networks
from ..operations.fields import Field
from ..tables import TrustedNetwork
from . import openapi
from .answers import created, nothing, row_answer
from .asking import read_one
from .fields import text as text_field
from .lists import list_answer
from .params import ParamsDep
from .places import DomainId, NetworkId, find_below, find_domain, number
from .rows import Shape, moment, read_row, text, whole
from .work import Done, carry_out, read_columns

SHAPE: Final = Shape(
    "Trusted network",
    (
        whole("trustedNetworkId", TrustedNetwork.id, "Number of the trusted network"),
        whole("domainId", TrustedNetwork.customer_id, "Number of the SIP domain"),
        text("network", TrustedNetwork.network_as_sent, "The network as it was sent", "10.0.20.10/24"),
        text("description", TrustedNetwork.description, "Description", "Head office"),
        moment("createDatetime", TrustedNetwork.created_at, "When it was made"),
        moment("updateDatetime", TrustedNetwork.updated_at, "When it was changed"),
    ),
    TrustedNetwork.__table__,
    (TrustedNetwork.id,),
    (TrustedNetwork.revision,),
)
FIELDS: Final = (
    Field(
        "network",
        "network_as_sent",
        "string",
        networks.network_check("network must be a network such as 10.0.20.0/24"),
        "A network of IPv4 or IPv6 in CIDR form; host bits do not count",
        required=True,
    ),
    text_field("description", "description", "Description"),
)
EXAMPLE: Final = {"network": "10.0.20.0/24", "description": "Head office"}

routes = APIRouter(prefix=f"{DOMAIN}/trustedNetworks", tags=["SIP trusted networks"])


@routes.get("", summary="List trusted networks", openapi_extra=openapi.rows(SHAPE))
async def list_networks(
    domain: DomainId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List the networks from which the domain's users and devices may register; if empty, from anywhere."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        return [TrustedNetwork.customer_id == customer.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.get("/{network}", summary="Show a trusted network", openapi_extra=openapi.row(SHAPE))
async def show_network(
    domain: DomainId,
    network: NetworkId,
    request: Request,
    caller: CallerDep,
    params: ParamsDep,
    parts: PartsDep,
) -> Response:
    """Return one trusted network."""
    async with reading(parts.read_engine) as session:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, TrustedNetwork, customer, network)
        asked = read_one(params, SHAPE)
        shown, edition = await read_row(session, SHAPE, asked.part, TrustedNetwork.id == row.id)
    return row_answer(request, asked, shown, edition)


@routes.post(
    "", summary="Create a trusted network", openapi_extra=openapi.create(FIELDS, EXAMPLE, "trustedNetworkId")
)
async def create_network(
    domain: DomainId, request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Create a trusted network; registrations from outside all networks of the domain end at once."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain, lock=True)
        columns = read_columns(params, FIELDS)
        row = await networks.create_network(session, actor, customer, columns)
        return Done(row.id, Change(customer=customer.oid))

    done = await carry_out(parts, actor, work)
    return created(request, trustedNetworkId=str(done.id))


@routes.post("/{network}", summary="Change a trusted network", openapi_extra=openapi.update(FIELDS, EXAMPLE))
async def update_network(
    domain: DomainId, network: NetworkId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Change the properties that are sent; registrations from outside all networks end at once."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain, lock=True)
        row = await find_below(session, TrustedNetwork, customer, network, lock=True)
        columns = read_columns(params, FIELDS, row)
        return Done(change=await networks.update_network(session, actor, customer, row, columns))

    await carry_out(parts, actor, work, SHAPE.at(TrustedNetwork.id == number(network)))
    return nothing()


@routes.delete("/{network}", summary="Delete a trusted network", openapi_extra=openapi.delete())
async def delete_network(domain: DomainId, network: NetworkId, actor: ActorDep, parts: PartsDep) -> Response:
    """Delete a trusted network; registrations from it end at once, unless it was the last one."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain, lock=True)
        row = await find_below(session, TrustedNetwork, customer, network, lock=True)
        return Done(change=await networks.delete_network(session, actor, customer, row))

    await carry_out(parts, actor, work, SHAPE.at(TrustedNetwork.id == number(network)))
    return nothing()
