"""The routes that every resource of this dialect has: list, create, show, update, delete; with their docs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

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
from ..operations.audit import Actor, Work, parse_oid
from ..operations.customers import Owned, listed, lock_owned, require_customer, visible
from ..operations.draft import Columns, Document, Draft
from ..operations.listing import Searched, Sorts, only
from ..operations.listing import read_page as read_rows
from ..operations.wishes import read_wishes
from ..preconditions import Target, tagged, tagged_by_content, with_etag
from ..properties import Field, fields_of
from ..tables import Customer, Identified
from ..words import read_flag
from .live import Finish, LiveProperties
from .paging import DEFAULT_LIMIT, flag, read_page
from .schema import (
    MOMENT,
    READ,
    REMOVE,
    TAGGED,
    WRITE,
    Schema,
    an_id,
    answer,
    changes,
    form,
    of,
    operation,
    page,
    paging,
    query,
    some_id,
    sure,
)
from .shown import nested

Json = dict[str, object]
AnyRow = Row[*tuple[Any, ...]]
One = TypeVar("One", bound=Identified)
Owner = TypeVar("Owner")
"""The customer that a row belongs to, or None for rows that belong to none."""

OWNER: Final = {"customer": "Id of the customer, by default one's own; read only after the creation"}
"""The reference of every row that belongs to a customer."""
NO_FLAGS: Final[frozenset[str]] = frozenset()
UNKNOWN: Final = {"X-Status": "unavailable"}
MOMENTS: Final = {"createdAt": "created_at", "updatedAt": "updated_at"}
SUCCESS: Final = answer("Success", {"success": sure("boolean", example=True)})
DELETE: Final = operation(SUCCESS, REMOVE)
RowId = Annotated[str, Path(description="Id, 24 hex digits")]


async def customer_of(work: Work, document: Document) -> Customer:
    """Return the customer that a new row will belong to. Raise Refused as `require_customer` does."""
    return await require_customer(work.session, work.caller, document.given("customer"))


async def nobody(_work: Work, _document: Document) -> None:
    """Return no owner, for rows that do not belong to a customer."""


def locked(
    table: type[Owned], what: str
) -> Callable[[Work, str, Document], Awaitable[tuple[Owned, Customer]]]:
    """Return the search for a row to change that belongs to a customer."""
    return lambda work, oid, _document: lock_owned(work.session, work.caller, table, oid, what)


@dataclass(frozen=True, slots=True)
class Resource(Generic[One, Owner]):
    """One kind of resource: its names, its table with the properties, and its operations.

    The functions that write run inside one write transaction, and may be run more than once.
    """

    path: str
    one: str
    """`extension`: in summaries and messages"""
    table: type[One]
    version: InstrumentedAttribute[int]
    """A column that grows with each change of a row."""
    joined: Select[*tuple[Any, ...]]
    """The statement for a row and, in their order, the ids of its `references`."""
    references: Mapping[str, str]
    """Property -> description: further properties of a body, which are ids of other rows."""
    examples: Mapping[str, object]
    """An example of a body."""
    sorts: Sorts
    searched: Searched
    searched_names: str
    """The properties that `filter` searches, as text for the documentation."""
    owner: Callable[[Work, Document], Awaitable[Owner]]
    lock: Callable[[Work, str, Document], Awaitable[tuple[One, Owner]]]
    """Return the row to change, locked against other writers, and its owner. Raise Refused (404)."""
    create: Callable[[Work, Owner, Columns], Awaitable[tuple[One, Change]]]
    update: Callable[[Work, Owner, One, Columns], Awaitable[Change]]
    delete: Callable[[Work, Owner, One], Awaitable[Change]]
    read: Callable[[Work, Draft[One], Owner], Awaitable[None]] | None = None
    """Read the properties that are no field of the table."""
    scope: Callable[[AsyncSession, Caller, str | None], Awaitable[ColumnElement[bool]]] = listed
    """Return the condition for the rows of a list; the text is the id of the one customer, if it was sent."""
    sight: Callable[[Caller], ColumnElement[bool]] = visible
    """Return the condition for the rows that the caller may see."""
    parts: Callable[[AsyncSession, Sequence[int]], Awaitable[Mapping[int, Json]]] | None = None
    """Return primary key -> properties from other tables, with the same few queries for a whole page."""
    more: Mapping[str, Json] = field(default_factory=dict)
    """Property -> schema, of those that a body may have and that are neither a field nor an id."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Property -> column, of those that only responses have or that are in `more`."""
    live: LiveProperties | None = None
    """The properties that are read from Redis."""
    customer: str = "Id of the customer; by default one's own"
    """The meaning of `customer` in the query of a list."""
    flags: Mapping[str, tuple[InstrumentedAttribute[bool], str]] = field(default_factory=dict)
    """Parameter of the query of a list -> the flag of a row that it filters by, and its description."""
    max_limit: int = 500
    default_limit: int = DEFAULT_LIMIT

    @property
    def many(self) -> str:
        """Return the property of a list that holds the rows."""
        return f"{self.one}s"


def routes_of(resource: Resource[One, Owner]) -> APIRouter:
    """Return the router of a resource."""
    routes = APIRouter(prefix=resource.path, tags=[resource.many.capitalize()])
    show, listing, create, update = _documented(resource)

    @routes.get("", summary=f"List {resource.many}", openapi_extra=listing)
    async def list_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
        page = read_page(request.query_params, resource.default_limit, resource.max_limit, resource.sorts)
        live = _live_in_list(resource, request.query_params)
        flags = _flagged(resource, request.query_params)
        async with reading(parts.read_engine) as session:
            found = resource.joined.where(await resource.scope(session, caller, page.customer), *flags)
            order = resource.searched, resource.sorts, resource.table.id
            total, rows = await read_rows(session, found, page, *order)
            objects = await _objects(resource, session, rows)
            finish = await live.prepare(session, [row[0] for row in rows], NO_FLAGS) if live else None
        headers = await _add_live(finish, objects, parts)
        body = {"offset": page.offset, "limit": page.limit, "total": total, resource.many: objects}
        shown = JSONResponse(body, headers=headers)
        return tagged_by_content(request, shown) if live is None else shown

    @routes.post("", summary=f"Create: {resource.one}", openapi_extra=create)
    async def create_route(actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
        async def created(work: Work) -> str:
            owner = await resource.owner(work, document)
            columns, wished = await _columns(resource, work, Draft(document), owner)
            row, change = await resource.create(work, owner, columns)
            work.announce(change)
            work.wish(row.oid, _id_of(owner), wished)
            return row.oid

        return await _written(resource, await parts.change(actor, None, created), actor, parts)

    @routes.get("/{id}", summary=f"Show: {resource.one}", openapi_extra=show)
    async def show_route(id: RowId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
        flags = _flags(resource, request.query_params)
        shown, version = await _read(resource, id, caller, parts, flags)
        return tagged(request, shown, (version,)) if flags is None else with_etag(shown, (version,))

    @routes.post("/{id}", summary=f"Change: {resource.one}", openapi_extra=update)
    @routes.put("/{id}", summary=f"Change: {resource.one}", openapi_extra=update)
    @routes.patch("/{id}", summary=f"Change: {resource.one}", openapi_extra=update)
    async def update_route(id: RowId, actor: ActorDep, document: DocumentDep, parts: PartsDep) -> Response:
        """Change the properties that are sent, even a single one; all others stay."""

        async def changed(work: Work) -> str:
            row, owner = await resource.lock(work, id, document)
            columns, wished = await _columns(resource, work, Draft(document, row), owner)
            work.wish(row.oid, _id_of(owner), wished)
            if columns or not wished:  # else nothing of the database changes, so neither does the ETag
                work.announce(await resource.update(work, owner, row, columns))
            return row.oid

        written = await parts.change(actor, target_of(resource.version, id), changed)
        return await _written(resource, written, actor, parts)

    @routes.delete("/{id}", summary=f"Delete: {resource.one}", openapi_extra=DELETE)
    async def delete_route(id: RowId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
        async def deleted(work: Work) -> None:
            row, owner = await resource.lock(work, id, Document({}))
            work.announce(await resource.delete(work, owner, row))

        await parts.change(actor, target_of(resource.version, id), deleted)
        return JSONResponse({"success": True})

    return routes


def _id_of(owner: object) -> str:
    return owner.oid if isinstance(owner, Customer) else ""


async def _columns(
    resource: Resource[One, Owner], work: Work, draft: Draft[One], owner: Owner
) -> tuple[Columns, Mapping[str, str]]:
    """Return the columns to write, and the wishes of a person. Raise Refused with all problems."""
    fields = fields_of(resource.table)
    draft.require_objects({field.path.partition(".")[0] for field in fields if "." in field.path})
    draft.read_fields(fields)
    if resource.read is not None:
        await resource.read(work, draft, owner)
    wished = read_wishes(draft, work.reserved, resource.live.wishes if resource.live else ())
    draft.refuse_problems()
    return draft.values, wished


def _live_in_list(resource: Resource[One, Owner], params: QueryParams) -> LiveProperties | None:
    """Return the live properties of a list, or None if it has none. Raise Refused (400)."""
    live = resource.live
    return live if live and live.list_flag and flag(params, live.list_flag) else None


def _flagged(resource: Resource[One, Owner], params: QueryParams) -> list[ColumnElement[bool]]:
    """Return the conditions of a list by the flags of its rows. Raise Refused (400)."""
    sent = {name: read_flag(params.get(name), name) for name in resource.flags}
    return [resource.flags[name][0].is_(flag) for name, flag in sent.items() if flag is not None]


def _flags(resource: Resource[One, Owner], params: QueryParams) -> frozenset[str] | None:
    """Return the flags of the query, or None if no live property is shown. Raise Refused (400)."""
    if resource.live is None:
        return None
    sent = frozenset(name for name in resource.live.flags if flag(params, name))
    return sent if sent or not resource.live.flags else None


async def _read(
    resource: Resource[One, Owner], oid: str, caller: Caller, parts: Parts, flags: frozenset[str] | None
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


async def _written(resource: Resource[One, Owner], oid: str, actor: Actor, parts: Parts) -> Response:
    flags = _flags(resource, QueryParams())
    body, version = await _read(resource, oid, actor.caller, parts, flags)
    return with_etag(body, (version,))


async def _add_live(finish: Finish | None, objects: Sequence[Json], parts: Parts) -> Mapping[str, str]:
    """Add the live properties to the objects; return the headers of the response."""
    if finish is None:
        return {}
    found, is_known = await finish(parts)
    for one, properties in zip(objects, found, strict=True):
        one |= properties
    return {} if is_known else UNKNOWN


async def _objects(
    resource: Resource[One, Owner], session: AsyncSession, rows: Sequence[AnyRow]
) -> list[Json]:
    """Return the rows of the resource's statement as JSON."""
    shown = {one.path: one.column for one in fields_of(resource.table) if not one.secret}
    shown |= resource.columns
    below = await resource.parts(session, [row[0].id for row in rows]) if resource.parts else {}
    return [
        {"_id": row[0].oid}
        | dict(zip(resource.references, row[1:], strict=True))
        | nested({path: _shown(getattr(row[0], column)) for path, column in shown.items()})
        | below.get(row[0].id, {})
        for row in rows
    ]


def _shown(value: object) -> object:
    return clock.iso(value) if isinstance(value, datetime) else value


def target_of(version: InstrumentedAttribute[int], oid: str) -> Target:
    """Return the place of the version of the row with this id."""
    table = version.class_
    return Target((version,), table.__table__, table.oid == (parse_oid(oid) or ""))


# API documentation, built from the table of fields


def shown(field: Field) -> Schema:
    """Return the schema of a property in a response; one that has a default is never null."""
    make = sure if field.required or field.default is not None else of
    return make(field.kind.type, field.about, **field.kind.limits, **_default(field))


def written(field: Field) -> Schema:
    """Return the schema of a property in a body; null means no value, or the default."""
    if field.dependent:
        return shown(field)
    make, limits = sure if field.required else of, {} if field.kind.loose else field.kind.limits
    return make(field.kind.type, field.about, **limits, **_default(field))


def _default(field: Field) -> Schema:
    return {} if field.default is None else {"default": field.default}


def _documented(resource: Resource[One, Owner]) -> tuple[Schema, Schema, Schema, Schema]:
    """Return the documentation of a show, a list, a create and an update."""
    name, fields = resource.one.capitalize(), fields_of(resource.table)
    references = {
        path: an_id(about) if path == "customer" else some_id(about)
        for path, about in resource.references.items()
    }
    live = resource.live
    wishes = live.wishes if live else ()
    body = {field.path: written(field) for field in (*fields, *wishes)} | references | dict(resource.more)
    row: dict[str, Schema] = {"_id": an_id()}
    row |= {path: MOMENT for path in resource.columns if path.endswith("At")}
    examples = {path: {"example": value} for path, value in resource.examples.items()}
    row |= {field.path: shown(field) | examples.get(field.path, {}) for field in fields if not field.secret}
    row |= references | dict(resource.more)
    extra: dict[str, Schema] = dict(live.shown) if live else {}
    is_always = live is not None and not live.flags
    one = answer(name, row | extra, () if is_always else tuple(extra))
    listed = one
    if live:
        listed = answer(f"{name} in a list", row | (extra if live.list_flag else {}), tuple(extra))
    required = [field.path for field in fields if field.required]
    example = dict(resource.examples)
    change = {path: example[path] for path in list(example)[:1]}
    parameters = [
        *paging(resource.default_limit, resource.max_limit),
        query("filter", "string", f"Text in {resource.searched_names}"),
        query("sort", "string", "Order", enum=list(resource.sorts), default=next(iter(resource.sorts))),
        query("customer", "string", resource.customer),
        *(query(name, "boolean", about) for name, (_, about) in resource.flags.items()),
    ]
    if live and live.list_flag:
        about = f"true: show {', '.join(extra)} too, as one object does"
        parameters.append(query(live.list_flag, "boolean", about))
    flags = [query(path, "boolean", about) for path, about in live.flags.items()] if live else []
    options: Schema = {"parameters": flags} if flags else {}
    return (
        operation(one, READ if is_always else TAGGED) | options,
        operation(page(resource.many.capitalize(), resource.many, listed), TAGGED, parameters=parameters),
        operation(one, WRITE, form(f"New {resource.one}", body, required, example=example)),
        operation(one, WRITE, changes(form(f"{name} change", body, example=change))),
    )
