"""The routes that every resource of this dialect has: list, create, show, update, delete."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import ColumnElement, Row, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from starlette.datastructures import QueryParams

from registrar.model import Change

from .. import clock
from ..auth import Caller
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, Parts, PartsDep
from ..operations.audit import Actor, Work
from ..operations.customers import listed, visible
from ..operations.document import Document
from ..operations.ids import parse_oid
from ..operations.listing import Searched, Sorts, only
from ..operations.listing import read_page as read_rows
from ..preconditions import Target, tagged, tagged_by_content, with_etag
from ..properties import Field, fields_of
from ..tables import Identified
from . import resource_docs
from .paging import DEFAULT_LIMIT, flag, read_page
from .people import Finish, LiveProperties

Json = dict[str, object]
Joined = Select[*tuple[Any, ...]]
AnyRow = Row[*tuple[Any, ...]]

NOTHING_CHANGED: Final = Change()
NO_FLAGS: Final[frozenset[str]] = frozenset()
UNKNOWN: Final = {"X-Status": "unavailable"}
OWNER: Final = {"customer": "Id of the customer, by default one's own; read only after the creation"}
"""The reference of every row that belongs to a customer."""
MOMENTS: Final = {"createdAt": "created_at", "updatedAt": "updated_at"}
RowId = Annotated[str, Path(description="Id, 24 hex digits")]


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a create or an update: the id, and the change to publish to the SIP side."""

    oid: str
    change: Change = NOTHING_CHANGED


async def _no_parts(_session: AsyncSession, _ids: Sequence[int]) -> Mapping[int, Json]:
    return {}


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of resource: its names, its table with the properties, and its operations.

    The functions that write run inside one write transaction, and may be run more than once.
    """

    path: str
    one: str
    """`extension`: in summaries and messages"""
    table: type[Identified]
    version: InstrumentedAttribute[int]
    """A column that grows with each change of a row."""
    joined: Joined
    """The statement for a row and, in their order, the ids of its `references`."""
    references: Mapping[str, str]
    """Property -> description: further properties of a body, which are ids of other rows."""
    examples: Mapping[str, object]
    """An example of a body."""
    sorts: Sorts
    searched: Searched
    searched_names: str
    """The properties that `filter` searches, as text for the documentation."""
    create: Callable[[Work, Document], Awaitable[Written]]
    update: Callable[[Work, str, Document], Awaitable[Written]]
    delete: Callable[[Work, str], Awaitable[Change]]
    scope: Callable[[AsyncSession, Caller, str | None], Awaitable[ColumnElement[bool]]] = listed
    """Return the condition for the rows of a list; the text is the id of the one customer, if it was sent."""
    sight: Callable[[Caller], ColumnElement[bool]] = visible
    """Return the condition for the rows that the caller may see."""
    parts: Callable[[AsyncSession, Sequence[int]], Awaitable[Mapping[int, Json]]] = _no_parts
    """Return primary key -> properties from other tables, with the same few queries for a whole page."""
    more: Mapping[str, Json] = field(default_factory=dict)
    """Property -> schema, of those that a body may have and that are neither a field nor an id."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Property -> column, of those that only responses have or that are in `more`."""
    live: LiveProperties | None = None
    """The properties that are read from Redis."""
    customer: str = "Id of the customer; by default one's own"
    """The meaning of `customer` in the query of a list."""
    max_limit: int = 500
    default_limit: int = DEFAULT_LIMIT

    @property
    def many(self) -> str:
        """Return the property of a list that holds the rows."""
        return f"{self.one}s"

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the properties that a body may have."""
        return fields_of(self.table)


def routes_of(resource: Resource, tag: str) -> APIRouter:
    """Return the router of a resource."""
    routes = APIRouter(prefix=resource.path, tags=[tag])
    docs = resource_docs.resource(resource)

    @routes.get("", summary=f"List {resource.many}", openapi_extra=docs.list)
    async def list_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
        page = read_page(request.query_params, resource.default_limit, resource.max_limit, resource.sorts)
        live = resource.live
        if live is not None and not (live.list_flag and flag(request.query_params, live.list_flag)):
            live = None
        async with reading(parts.read_engine) as session:
            found = resource.joined.where(await resource.scope(session, caller, page.customer))
            order = resource.searched, resource.sorts, resource.table.id
            total, rows = await read_rows(session, found, page, *order)
            objects = await _objects(resource, session, rows)
            finish = await live.prepare(session, [row[0] for row in rows], NO_FLAGS) if live else None
        headers = await _add_live(finish, objects, parts)
        body = {"offset": page.offset, "limit": page.limit, "total": total, resource.many: objects}
        shown = JSONResponse(body, headers=headers)
        return tagged_by_content(request, shown) if live is None else shown

    @routes.post("", summary=f"Create: {resource.one}", openapi_extra=docs.create)
    async def create_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
        written = await parts.change(actor, None, lambda work: resource.create(work, document))
        return await _written(resource, written, actor, parts)

    @routes.get("/{id}", summary=f"Show: {resource.one}", openapi_extra=docs.show)
    async def show_route(id: RowId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
        flags = _flags(resource, request.query_params)
        shown, version = await _read(resource, id, caller, parts, flags)
        return tagged(request, shown, (version,)) if flags is None else with_etag(shown, (version,))

    @routes.post("/{id}", summary=f"Change: {resource.one}", openapi_extra=docs.update)
    @routes.put("/{id}", summary=f"Change: {resource.one}", openapi_extra=docs.update)
    @routes.patch("/{id}", summary=f"Change: {resource.one}", openapi_extra=docs.update)
    async def update_route(id: RowId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
        """Change the properties that are sent, even a single one; all others stay."""
        target = target_of(resource.version, id)
        written = await parts.change(actor, target, lambda work: resource.update(work, id, document))
        return await _written(resource, written, actor, parts)

    @routes.delete("/{id}", summary=f"Delete: {resource.one}", openapi_extra=docs.delete)
    async def delete_route(id: RowId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
        target = target_of(resource.version, id)
        change = await parts.change(actor, target, lambda work: resource.delete(work, id))
        await parts.changes.publish(change)
        return JSONResponse({"success": True})

    return routes


def _flags(resource: Resource, params: QueryParams) -> frozenset[str] | None:
    """Return the flags of the query, or None if no live property is shown. Raise Refused (400)."""
    if resource.live is None:
        return None
    sent = frozenset(name for name in resource.live.flags if flag(params, name))
    return sent if sent or not resource.live.flags else None


async def _read(
    resource: Resource, oid: str, caller: Caller, parts: Parts, flags: frozenset[str] | None
) -> tuple[JSONResponse, int]:
    """Return an object, and the version of its configuration as of before its parts were read."""
    live = None if flags is None else resource.live
    async with reading(parts.read_engine) as session:
        one = resource.joined.where(resource.table.oid == (parse_oid(oid) or ""), resource.sight(caller))
        row = await only(session, one, resource.one.capitalize())
        version: int = getattr(row[0], resource.version.key)
        objects = await _objects(resource, session, [row])
        finish = await live.prepare(session, [row[0]], flags or NO_FLAGS) if live else None
    headers = await _add_live(finish, objects, parts)
    return JSONResponse(objects[0], headers=headers), version


async def _written(resource: Resource, written: Written, actor: Actor, parts: Parts) -> Response:
    await parts.changes.publish(written.change)
    flags = _flags(resource, QueryParams())
    body, version = await _read(resource, written.oid, actor.caller, parts, flags)
    return with_etag(body, (version,))


async def _add_live(finish: Finish | None, objects: Sequence[Json], parts: Parts) -> Mapping[str, str]:
    """Add the live properties to the objects; return the headers of the response."""
    if finish is None:
        return {}
    found, is_known = await finish(parts)
    for one, properties in zip(objects, found, strict=True):
        one |= properties
    return {} if is_known else UNKNOWN


async def _objects(resource: Resource, session: AsyncSession, rows: Sequence[AnyRow]) -> list[Json]:
    """Return the rows of the resource's statement as JSON."""
    shown = {item.path: item.column for item in resource.fields if not item.secret} | dict(resource.columns)
    below = await resource.parts(session, [row[0].id for row in rows])
    return [
        {"_id": row[0].oid}
        | dict(zip(resource.references, row[1:], strict=True))
        | {path: _shown(getattr(row[0], column)) for path, column in shown.items()}
        | below.get(row[0].id, {})
        for row in rows
    ]


def _shown(value: object) -> object:
    return clock.iso(value) if isinstance(value, datetime) else value


def target_of(version: InstrumentedAttribute[int], oid: str) -> Target:
    """Return the place of the version of the row with this id."""
    table = version.class_
    return Target((version,), table.__table__, table.oid == (parse_oid(oid) or ""))
