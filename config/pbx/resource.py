"""The routes that every resource of this dialect has: list, create, show, update, delete."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from registrar.model import Change

from ..auth import Caller
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, Parts, PartsDep
from ..operations.audit import Actor
from ..operations.document import Document
from ..operations.fields import Field
from ..operations.ids import parse_oid
from ..operations.listing import Page
from ..preconditions import Target, changing, tagged, tagged_by_content, with_etag
from . import resource_docs
from .paging import DEFAULT_LIMIT, read_page

Json = dict[str, object]

NOTHING_CHANGED: Final = Change()
RowId = Annotated[str, Path(description="Id, 24 hex digits")]


@dataclass(frozen=True, slots=True)
class Shown:
    """One object as a response shows it."""

    body: Json
    version: int
    """The version of its configuration, read before the rows that belong to it."""


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a create or an update."""

    oid: str
    change: Change = NOTHING_CHANGED
    """The change to publish to the SIP side."""
    once: Mapping[str, object] = field(default_factory=dict)
    """Properties that are shown only in this response."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of resource: its names, its properties, and its operations.

    The functions get a session. Those that write run inside one write transaction, and may be run more than
    once.
    """

    path: str
    version: InstrumentedAttribute[int]
    """A column that grows with each change of a row."""
    one: str
    """`extension`: in summaries and messages"""
    many: str
    """The property of a list that holds the rows."""
    fields: Sequence[Field]
    """The properties that a body may have."""
    references: Mapping[str, str]
    """Property -> description: further properties of a body, which are ids of other rows."""
    examples: Mapping[str, object]
    """An example of a body."""
    sorts: Sequence[str]
    """The words of `sort`, the default first."""
    searched: str
    """The properties that `filter` searches, as text for the documentation."""
    page: Callable[[AsyncSession, Caller, Page], Awaitable[tuple[int, list[Json]]]]
    show: Callable[[AsyncSession, Caller, str], Awaitable[Shown]]
    create: Callable[[AsyncSession, Actor, Document, Parts], Awaitable[Written]]
    update: Callable[[AsyncSession, Actor, str, Document, Parts], Awaitable[Written]]
    delete: Callable[[AsyncSession, Actor, str], Awaitable[Change]]
    secrets: frozenset[str] = frozenset()
    """Properties of a body that no response shows."""
    more: Mapping[str, Json] = field(default_factory=dict)
    """Property -> schema, of those that a body may have and that are neither a field nor an id."""
    read_only: Mapping[str, str] = field(default_factory=dict)
    """Property -> type, of those that only responses have."""
    customer: str = "Id of the customer; by default one's own"
    """The meaning of `customer` in the query of a list."""
    max_limit: int = 500
    default_limit: int = DEFAULT_LIMIT


def columns_json(row: object, fields: Iterable[Field], secrets: frozenset[str] = frozenset()) -> Json:
    """Return the properties of a row that have a field of their own, except secrets."""
    return {item.path: getattr(row, item.column) for item in fields if item.path not in secrets}


def routes_of(resource: Resource, tag: str) -> APIRouter:
    """Return the router of a resource."""
    routes = APIRouter(prefix=resource.path, tags=[tag])
    docs = resource_docs.resource(resource)

    @routes.get("", summary=f"List {resource.many}", openapi_extra=docs.list)
    async def list_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
        page = read_page(request.query_params, resource.default_limit, resource.max_limit, resource.sorts)
        async with reading(parts.read_engine) as session:
            total, rows = await resource.page(session, caller, page)
        body = {"offset": page.offset, "limit": page.limit, "total": total, resource.many: rows}
        return tagged_by_content(request, JSONResponse(body))

    @routes.post("", summary=f"Create: {resource.one}", openapi_extra=docs.create)
    async def create_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
        written = await changing(
            parts.engine,
            actor.condition,
            None,
            lambda session: resource.create(session, actor, document, parts),
        )
        return await _written(written, actor, parts)

    @routes.get("/{id}", summary=f"Show: {resource.one}", openapi_extra=docs.show)
    async def show_route(id: RowId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
        async with reading(parts.read_engine) as session:
            shown = await resource.show(session, caller, id)
        return tagged(request, JSONResponse(shown.body), (shown.version,))

    @routes.post("/{id}", summary=f"Change: {resource.one}", openapi_extra=docs.update)
    @routes.put("/{id}", summary=f"Change: {resource.one}", openapi_extra=docs.update)
    @routes.patch("/{id}", summary=f"Change: {resource.one}", openapi_extra=docs.update)
    async def update_route(id: RowId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
        """Change the properties that are sent, even a single one; all others stay."""
        written = await changing(
            parts.engine,
            actor.condition,
            target_of(resource.version, id),
            lambda session: resource.update(session, actor, id, document, parts),
        )
        return await _written(written, actor, parts)

    @routes.delete("/{id}", summary=f"Delete: {resource.one}", openapi_extra=docs.delete)
    async def delete_route(id: RowId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
        change = await changing(
            parts.engine,
            actor.condition,
            target_of(resource.version, id),
            lambda session: resource.delete(session, actor, id),
        )
        await parts.changes.publish(change)
        return JSONResponse({"success": True})

    async def _written(written: Written, actor: Actor, parts: Parts) -> Response:
        await parts.changes.publish(written.change)
        async with reading(parts.read_engine) as session:
            shown = await resource.show(session, actor.caller, written.oid)
        return with_etag(JSONResponse(shown.body | dict(written.once)), (shown.version,))

    return routes


def target_of(version: InstrumentedAttribute[int], oid: str) -> Target:
    """Return the place of the version of the row with this id."""
    table = version.class_
    return Target((version,), table.__table__, table.oid == (parse_oid(oid) or ""))
