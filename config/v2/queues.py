"""The routes below /config/v2/sip/domains/{domain}/queues, except for their members."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import numbered
from ..tables import Queue
from . import openapi
from .answers import created, nothing, row_answer
from .asking import read_one
from .fields import caller_name_format, extension_number
from .fields import text as text_field
from .lists import list_answer
from .params import ParamsDep
from .places import DomainId, QueueId, find_below, find_domain, number
from .rows import Shape, moment, read_row, text, whole
from .work import Done, carry_out, read_columns

SHAPE: Final = Shape(
    "SIP queue",
    (
        whole("queueId", Queue.id, "Number of the queue"),
        whole("domainId", Queue.customer_id, "Number of the SIP domain"),
        text("queueName", Queue.name, "Name of the queue", "sales"),
        text("displayName", Queue.display_name, "Name that phones show", "Sales Dept"),
        text("extensionNumber", Queue.number, "Number in the domain", "700"),
        text("callerNameFormat", Queue.caller_name_format, "How the caller is shown", "{displayName}"),
        moment("createDatetime", Queue.created_at, "When it was made"),
        moment("updateDatetime", Queue.updated_at, "When it was changed"),
    ),
    Queue.__table__,
    (Queue.id,),
    (Queue.revision,),
)
FIELDS: Final = (
    text_field("queueName", "name", "Name of the queue", required=True),
    text_field("displayName", "display_name", "Name that phones show", required=True),
    extension_number(),
    caller_name_format(),
)
EXAMPLE: Final = {"queueName": "sales", "displayName": "Sales Dept", "extensionNumber": "700"}

routes = APIRouter(prefix=f"{DOMAIN}/queues", tags=["SIP queues"])


@routes.get("", summary="List queues", openapi_extra=openapi.rows(SHAPE))
async def list_queues(
    domain: DomainId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List the queues of the domain."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        return [Queue.customer_id == customer.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.get("/{queue}", summary="Show a queue", openapi_extra=openapi.row(SHAPE))
async def show_queue(
    domain: DomainId, queue: QueueId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Return one queue."""
    async with reading(parts.read_engine) as session:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, Queue, customer, queue)
        asked = read_one(params, SHAPE)
        shown, edition = await read_row(session, SHAPE, asked.part, Queue.id == row.id)
    return row_answer(request, asked, shown, edition)


@routes.post("", summary="Create a queue", openapi_extra=openapi.create(FIELDS, EXAMPLE, "queueId"))
async def create_queue(
    domain: DomainId, request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Create a queue without members."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await numbered.create(session, actor, Queue, customer, read_columns(params, FIELDS))
        return Done(row.id, Change(dial_plan=customer.oid))

    done = await carry_out(parts, actor, work)
    return created(request, queueId=str(done.id))


@routes.post("/{queue}", summary="Change a queue", openapi_extra=openapi.update(FIELDS, EXAMPLE))
async def update_queue(
    domain: DomainId, queue: QueueId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Change the properties that are sent."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, Queue, customer, queue, lock=True)
        await numbered.update(session, actor, row, read_columns(params, FIELDS, row))
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, SHAPE.at(Queue.id == number(queue)))
    return nothing()


@routes.delete("/{queue}", summary="Delete a queue", openapi_extra=openapi.delete())
async def delete_queue(domain: DomainId, queue: QueueId, actor: ActorDep, parts: PartsDep) -> Response:
    """Delete a queue and its memberships."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        await numbered.delete(session, actor, await find_below(session, Queue, customer, queue, lock=True))
        return Done(change=Change(dial_plan=customer.oid))

    await carry_out(parts, actor, work, SHAPE.at(Queue.id == number(queue)))
    return nothing()
