"""The routes that every kind of row has: list, show, create, update, delete; and single changes of a row.

The numbers in a path are not parameters of the routes: `Path` has them all, and `openapi.places` documents
them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeVar

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..auth import Caller
from ..checks import Value
from ..database import reading
from ..deps import ActorDep, CallerDep, Parts, PartsDep
from ..operations import audit
from ..operations.draft import Draft, read_fields
from ..preconditions import Target
from ..properties import Field
from ..tables import Customer, Identified
from . import openapi
from .answers import created, live_row_answer, nothing, row_answer
from .asking import read_one
from .lists import list_answer
from .params import Params, ParamsDep
from .places import Below, find_below, find_domain, number
from .rows import Column, Shape, read_row

Path = Mapping[str, str]
"""The numbers in the path of a request, by name."""
Row = TypeVar("Row", bound=Identified)
Scope = Callable[[AsyncSession, Caller, Path], Awaitable[Sequence[ColumnElement[bool]]]]
"""Return the conditions for the rows of a list. Raise Refused (404) for an unknown path."""
NO_CHANGE: Final = Change()


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a change: what to publish to the SIP side, and the ids that a 201 shows."""

    change: Change = NO_CHANGE
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work(audit.Work):
    """A change in progress, with the numbers in its path and its parameters."""

    path: Path
    params: Params

    async def domain(self, *, lock: bool = False) -> Customer:
        """Return the customer of the path. Raise Refused (404)."""
        return await find_domain(self.session, self.caller, self.path["domain"], lock=lock)

    def columns(self, fields: Sequence[Field], stored: object = None) -> dict[str, Value]:
        """Return the checked values by column; `stored` is the row to change. Raise Refused (400)."""
        draft = Draft(self.params.document, stored)
        read_fields(draft, fields)
        draft.refuse_problems()
        return draft.values


Find = Callable[[AsyncSession, Caller, Path, bool], Awaitable[tuple[Customer, Row]]]
"""Return the row of a path and its customer; the flag locks it. Raise Refused (404)."""


@dataclass(frozen=True, slots=True)
class Live(Generic[Row]):
    """The properties of a single row that are read from Redis. They have no part in its ETag."""

    columns: Sequence[Column]
    """They come after those of the shape; their values in the database are null."""
    prepare: Callable[[AsyncSession, Row], Awaitable[Callable[[Parts], Awaitable[Mapping[str, object]]]]]
    """Read what the database has for a row, and return the rest of the work: it returns name -> value.

    While Redis is away it returns nothing, and the values stay null.
    """


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """One kind of row: its path, its words, its columns and fields, and its operations."""

    path: str
    id: str
    """The name of its number in a path."""
    tag: str
    one: str
    """`a group`: in summaries, unless `summaries` has another"""
    many: str
    about: Mapping[str, str]
    """List, Show, Create, Change, Delete -> description of the route."""
    shape: Shape
    scope: Scope
    find: Find[Row]
    create: Callable[[Work], Awaitable[Done]]
    delete: Callable[[Work, Customer, Row], Awaitable[Change]]
    update: Callable[[Work, Customer, Row], Awaitable[Change]] | None = None
    """None: such a row cannot be changed."""
    new: Sequence[Field] = ()
    """The fields of a create."""
    fields: Sequence[Field] = ()
    """The fields of an update."""
    example: Mapping[str, object] = field(default_factory=dict)
    change: Mapping[str, object] = field(default_factory=dict)
    """The example of an update."""
    ids: Sequence[str] = ()
    """The ids of a created row in the answer; by default the first column."""
    summaries: Mapping[str, str] = field(default_factory=dict)
    live: Live[Row] | None = None
    """The properties of a single row that are only in Redis."""
    created_target: Callable[[Path], Target] | None = None
    """The row whose ETag If-Match names in a create, if that is one."""

    def summary(self, verb: str) -> str:
        """Return the summary of a route."""
        noun = self.many if verb == "List" else self.one
        return self.summaries.get(verb, f"{verb} {noun}")


def owned(table: type[Below], id: str, *, lock_domain: bool = False) -> Find[Below]:
    """Return the search for a row that belongs to the customer of the path."""

    async def find(session: AsyncSession, caller: Caller, path: Path, lock: bool) -> tuple[Customer, Below]:
        customer = await find_domain(session, caller, path["domain"], lock=lock and lock_domain)
        return customer, await find_below(session, table, customer, path[id], lock=lock)

    return find


def of_domain(table: type[Below]) -> Scope:
    """Return the scope of all rows that belong to the customer of the path."""

    async def scope(session: AsyncSession, caller: Caller, path: Path) -> Sequence[ColumnElement[bool]]:
        return [table.customer_id == (await find_domain(session, caller, path["domain"])).id]

    return scope


def add_list(routes: APIRouter, shape: Shape, scope: Scope, summary: str, about: str) -> None:
    """Add the route of a list."""

    @routes.get(
        "", summary=summary, description=about, openapi_extra=_with_places(routes.prefix, openapi.rows(shape))
    )
    async def list_route(request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep) -> Response:
        async def scoped(session: AsyncSession) -> Sequence[ColumnElement[bool]]:
            return await scope(session, caller, request.path_params)

        return await list_answer(request, parts, params, shape, scoped)


def add_change(
    routes: APIRouter,
    method: str,
    path: str,
    summary: str,
    about: str,
    documented: openapi.Schema,
    work: Callable[[Work], Awaitable[Done]],
    target: Callable[[Path], Target] | None = None,
) -> None:
    """Add the route of a change, which answers 201 if it has ids, else 204.

    `target` is the row whose ETag If-Match names; a row that is being created has none yet.
    """

    @routes.api_route(
        path,
        methods=[method],
        summary=summary,
        description=about,
        openapi_extra=_with_places(routes.prefix + path, documented),
    )
    async def change_route(request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep) -> Response:
        at = request.path_params

        async def carried_out(plain: audit.Work) -> Done:
            shared = plain.session, actor, plain.passwords, plain.vault, plain.reserved, plain.wished
            return await work(Work(*shared, at, params))

        done = await parts.change(actor, target(at) if target else None, carried_out)
        await parts.changes.publish(done.change)
        return created(request, **done.ids) if done.ids else nothing()


def routes_of(rows: Rows[Row]) -> APIRouter:
    """Return the router of a kind of row."""
    routes = APIRouter(prefix=rows.path, tags=[rows.tag])
    one = f"/{{{rows.id}}}"
    shape, update = rows.shape, rows.update

    def target(path: Path) -> Target:
        return shape.at(number(path[rows.id]))

    async def found(work: Work) -> tuple[Customer, Row]:
        return await rows.find(work.session, work.caller, work.path, True)

    async def change(work: Work) -> Done:
        return Done() if update is None else Done(await update(work, *await found(work)))

    async def delete(work: Work) -> Done:
        return Done(await rows.delete(work, *await found(work)))

    add_list(routes, shape, rows.scope, rows.summary("List"), rows.about["List"])
    _add_show(routes, rows, one)
    ids = rows.ids or shape.names[:1]
    docs = openapi.create(rows.new, rows.example, *ids)
    summary, about = rows.summary("Create"), rows.about["Create"]
    add_change(routes, "POST", "", summary, about, docs, rows.create, rows.created_target)
    if update is not None:
        docs = openapi.update(rows.fields, rows.change or rows.example)
        add_change(routes, "POST", one, rows.summary("Change"), rows.about["Change"], docs, change, target)
    summary, about = rows.summary("Delete"), rows.about["Delete"]
    add_change(routes, "DELETE", one, summary, about, openapi.delete(), delete, target)
    return routes


def _add_show(routes: APIRouter, rows: Rows[Row], one: str) -> None:
    live = rows.live
    shape = replace(rows.shape, columns=(*rows.shape.columns, *live.columns)) if live else rows.shape

    @routes.get(
        one,
        summary=rows.summary("Show"),
        description=rows.about["Show"],
        openapi_extra=_with_places(routes.prefix + one, openapi.row(shape, is_live=live is not None)),
    )
    async def show_route(request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep) -> Response:
        async with reading(parts.read_engine) as session:
            _, row = await rows.find(session, caller, request.path_params, False)
            asked = read_one(params, shape)
            shown, edition = await read_row(session, shape, asked.part, shape.key == row.id)
            finish = await live.prepare(session, row) if live else None
        if finish is None:
            return row_answer(request, asked, shown, edition)
        found = await finish(parts)
        names = (column.name for column in asked.part.columns)
        merged = [found.get(name, value) for name, value in zip(names, shown, strict=True)]
        return live_row_answer(asked, merged, edition, is_known=bool(found))


def _with_places(path: str, documented: openapi.Schema) -> openapi.Schema:
    parameters = documented.get("parameters", [])
    rows = parameters if isinstance(parameters, list) else []
    places = [*openapi.places(path), *rows]
    return documented | ({"parameters": places} if places else {})
