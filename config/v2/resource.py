"""The routes that every kind of row has: list, show, create, update, delete; and single changes of a row.

The numbers in a path are not parameters of the routes: `Path` has them all, and `openapi.places` documents
them. A number that is unknown, not visible, of an inactive customer, or not a number gets a 404.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import getdoc
from typing import Any, Final, Generic, TypeVar

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from registrar.model import Change

from ..auth import Caller
from ..database import reading
from ..deps import ActorDep, CallerDep, Parts, PartsDep
from ..errors import not_found, refused
from ..operations import audit
from ..operations.customers import ACTIVE, visible
from ..operations.draft import Draft
from ..operations.wishes import read_wishes
from ..preconditions import Target
from ..properties import Field
from ..tables import Customer, Extension, Identified, Queue, SipGroup, SipPhone, TrustedNetwork
from . import openapi
from .answers import created, list_answer, live_row_answer, row_answer
from .asking import read_one
from .params import Params, ParamsDep
from .rows import Column, Shape, read_row

MAX_DIGITS: Final = 18
"""Every number of so many digits fits into the database's integers."""
MAX_SHOWN: Final = 32
"""Limit of characters of a number that a response repeats; a real one has fewer."""
MAX_MISSING: Final = 20
"""Limit of missing rows that are named."""

Path = Mapping[str, str]
"""The numbers in the path of a request, by name."""
Columns = dict[str, object]
Row = TypeVar("Row", bound=Identified)
Below = TypeVar("Below", Extension, SipGroup, Queue, SipPhone, TrustedNetwork)
"""A row that belongs to a customer."""
Scope = Callable[[AsyncSession, Caller, Path], Awaitable[Sequence[ColumnElement[bool]]]]
"""Return the conditions for the rows of a list. Raise Refused (404) for an unknown path."""
Find = Callable[[AsyncSession, Caller, Path, bool], Awaitable[tuple[Customer, Row]]]
"""Return the row of a path and its customer; the flag locks it. Raise Refused (404)."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a change: what to publish to the SIP side, and the ids that a 201 shows."""

    change: Change
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work(audit.Work):
    """A change in progress, with the numbers in its path and its parameters."""

    path: Path
    params: Params

    async def find(self, find: Find[Row], *, lock: bool = True) -> tuple[Customer, Row]:
        """Return a row of the path and its customer. Raise Refused (404)."""
        return await find(self.session, self.caller, self.path, lock)

    async def named(
        self,
        table: type[Below],
        customer: Customer,
        name: str,
        ids: tuple[str, ...] | None = None,
        *,
        lock: bool = False,
    ) -> list[Below]:
        """Return the rows of this customer whose numbers the parameter names, each once.

        Raise Refused: 400 if no row is named, 404 if one of them does not exist (D31).
        """
        ids = self.params.many(name) if ids is None else ids
        if not ids:
            raise refused(name, f"{name} is missing", "required", 400)
        wanted = {number(id) for id in ids}
        statement = (
            select(table).where(table.id.in_(wanted), table.customer_id == customer.id).order_by(table.id)
        )
        found = list(await self.session.scalars(statement.with_for_update() if lock else statement))
        there = {row.id for row in found}
        missing = [id[:MAX_SHOWN] for id in dict.fromkeys(ids) if number(id) not in there]
        if missing:
            more = ", ..." if len(missing) > MAX_MISSING else ""
            listed = ", ".join(missing[:MAX_MISSING]) + more
            raise refused(name, f"{name} {listed}", "exists", 404)
        return found

    def columns(self, fields: Sequence[Field], stored: object = None) -> Columns:
        """Return the checked values by column; `stored` is the row to change. Raise Refused (400)."""
        return self.columns_and_wishes(fields, (), stored)[0]

    def columns_and_wishes(
        self, fields: Sequence[Field], wishes: Sequence[Field], stored: object = None
    ) -> tuple[Columns, Mapping[str, str]]:
        """Return the checked values by column, and those for Redis. Raise Refused (400)."""
        draft = Draft(self.params.document, stored)
        draft.read_fields(fields)
        wished = read_wishes(draft, self.reserved, wishes)
        draft.refuse_problems()
        return draft.values, wished


# Look-up of numbers


def number(text: str) -> int:
    """Return the number in a path or a body, or -1, which no row has, if it is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else -1


async def find_row(
    session: AsyncSession, table: type[Row], path: Path, name: str, *where: ColumnElement[bool], lock: bool
) -> Row:
    """Return the row whose number has this name in the path; `lock` locks it against other writers."""
    statement = select(table).where(table.id == number(path[name]), *where)
    found: Row | None = await session.scalar(statement.with_for_update() if lock else statement)
    if found is None:
        raise not_found(name)
    return found


async def find_domain(
    session: AsyncSession, caller: Caller, path: Path, lock: bool
) -> tuple[Customer, Customer]:
    """Return the customer of the SIP domain in the path, twice: as the row, and as its customer."""
    where = Customer.sip_domain.is_not(None), Customer.state == ACTIVE, visible(caller)
    customer = await find_row(session, Customer, path, "domain", *where, lock=lock)
    return customer, customer


def owned(table: type[Below], name: str, *, lock_domain: bool = False) -> Find[Below]:
    """Return the search for a row that belongs to the customer of the path."""

    async def find(session: AsyncSession, caller: Caller, path: Path, lock: bool) -> tuple[Customer, Below]:
        customer, _ = await find_domain(session, caller, path, lock and lock_domain)
        own = table.customer_id == customer.id
        return customer, await find_row(session, table, path, name, own, lock=lock)

    return find


def below(find: Find[Any], column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None]) -> Scope:
    """Return the scope of the rows whose `column` is the number of the row that `find` finds."""

    async def scope(session: AsyncSession, caller: Caller, path: Path) -> Sequence[ColumnElement[bool]]:
        return [column == (await find(session, caller, path, False))[1].id]

    return scope


def target(shape: Shape, name: str) -> Callable[[Path], Target]:
    """Return the search for the versions of the row whose number has this name in the path."""
    return lambda path: Target(shape.edition, shape.source, shape.key == number(path[name]))


# Routes


Changing = TypeVar("Changing", bound=Callable[[Work], Awaitable[Done]])


@dataclass(frozen=True, slots=True)
class Live(Generic[Row]):
    """The properties of a single row that are read from Redis. They have no part in its ETag."""

    wishes: Sequence[Field]
    """Those that a body may have."""
    columns: Sequence[Column]
    """They come after those of the shape; their values in the database are null."""
    prepare: Callable[[AsyncSession, Row], Awaitable[Callable[[Parts], Awaitable[Mapping[str, object]]]]]
    """Read what the database has for a row, and return the rest of the work: it returns name -> value.

    While Redis is away it returns nothing, and the values stay null.
    """


@dataclass(frozen=True, slots=True)
class Filters:
    """Further filters of a list, by what is not in the database."""

    parameters: Sequence[openapi.Schema]
    conditions: Callable[
        [AsyncSession, Caller, Path, Params, Parts], Awaitable[Sequence[ColumnElement[bool]]]
    ]
    """Return the conditions. Raise Refused (400) for an unknown word."""


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
    """List, Show, Create, Change, Delete -> description of the route, unless `describe` has another."""
    shape: Shape
    scope: Scope
    find: Find[Row]
    delete: Callable[[Work, Customer, Row], Awaitable[Change]]
    create: Callable[[Work, Customer, Columns], Awaitable[tuple[Row, Change]]] | None = None
    """None: the router gets another route for it."""
    update: Callable[[Work, Customer, Row, Columns], Awaitable[Change]] | None = None
    """None: such a row cannot be changed."""
    fields: Sequence[Field] = ()
    """The fields of an update."""
    new: Sequence[Field] = ()
    """The fields of a create, by default those of an update."""
    more: Sequence[Field] = ()
    """Further fields of an update, which `update` reads itself."""
    example: Mapping[str, object] = field(default_factory=dict)
    change: Mapping[str, object] = field(default_factory=dict)
    """The example of an update."""
    summaries: Mapping[str, str] = field(default_factory=dict)
    live: Live[Row] | None = None
    """The properties of a single row that are only in Redis."""
    filters: Filters | None = None
    """Further filters of the list."""
    lock_domain: bool = False
    """True if a create locks the customer against other writers."""

    def summary(self, verb: str) -> str:
        """Return the summary of a route."""
        noun = self.many if verb == "List" else self.one
        return self.summaries.get(verb, f"{verb} {noun}")

    def describe(self, verb: str) -> str:
        """Return the description of a route."""
        usual = {"Show": f"Return one {self.one[2:]}.", "Change": "Change the properties that are sent."}
        return self.about.get(verb) or usual[verb]


def add_list(
    routes: APIRouter, shape: Shape, scope: Scope, summary: str, about: str, filters: Filters | None = None
) -> None:
    """Add the route of a list."""
    documented = openapi.rows(shape, filters.parameters if filters else ())

    @routes.get("", summary=summary, description=about, openapi_extra=_with_places(routes.prefix, documented))
    async def list_route(request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep) -> Response:
        async def scoped(session: AsyncSession) -> Sequence[ColumnElement[bool]]:
            caller, path = actor.caller, request.path_params
            conditions = await scope(session, caller, path)
            if filters is None:
                return conditions
            return [*conditions, *await filters.conditions(session, caller, path, params, parts)]

        return await list_answer(request, actor, parts, params, shape, scoped)


def changes(
    routes: APIRouter,
    method: str,
    summary: str,
    documented: openapi.Schema,
    target: Callable[[Path], Target] | None = None,
    path: str = "",
    about: str = "",
) -> Callable[[Changing], Changing]:
    """Return a decorator that adds the route of a change, which answers 201 if it has ids, else 204.

    `target` is the row whose ETag If-Match names; a row that is being created has none yet. By default, the
    docstring of the function describes the route.
    """

    def decorate(work: Changing) -> Changing:
        @routes.api_route(
            path,
            methods=[method],
            summary=summary,
            description=about or getdoc(work),
            openapi_extra=_with_places(routes.prefix + path, documented),
        )
        async def change_route(
            request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep
        ) -> Response:
            at = request.path_params

            async def carried_out(plain: audit.Work) -> Done:
                shared = plain.session, actor, plain.passwords, plain.vault, plain.reserved, plain.wished
                mine = Work(*shared, plain.outbox, plain.trail, plain.room, plain.announced, at, params)
                done = await work(mine)
                plain.announce(done.change)
                return done

            done = await parts.change(actor, target(at) if target else None, carried_out)
            return created(request, **done.ids) if done.ids else Response(status_code=204)

        return work

    return decorate


def routes_of(rows: Rows[Row]) -> APIRouter:
    """Return the router of a kind of row."""
    routes = APIRouter(prefix=rows.path, tags=[rows.tag])
    one = f"/{{{rows.id}}}"
    shape, create, update, new = rows.shape, rows.create, rows.update, rows.new or rows.fields

    def adds(verb: str, method: str, path: str, docs: openapi.Schema) -> Callable[[Changing], Changing]:
        this = target(shape, rows.id) if path else None
        return changes(routes, method, rows.summary(verb), docs, this, path, rows.describe(verb))

    wishes = rows.live.wishes if rows.live else ()
    add_list(routes, shape, rows.scope, rows.summary("List"), rows.describe("List"), rows.filters)
    _add_show(routes, rows, one)
    if create is not None:

        @adds("Create", "POST", "", openapi.create((*new, *wishes), rows.example, shape.names[0]))
        async def created(work: Work) -> Done:
            customer, _ = await work.find(find_domain, lock=rows.lock_domain)
            columns, wished = work.columns_and_wishes(new, wishes)
            row, change = await create(work, customer, columns)
            work.wish(row.oid, customer.oid, wished)
            return Done(change, {shape.names[0]: str(row.id)})

    if update is not None:

        @adds(
            "Change",
            "POST",
            one,
            openapi.update((*rows.more, *rows.fields, *wishes), rows.change or rows.example),
        )
        async def changed(work: Work) -> Done:
            customer, row = await work.find(rows.find)
            columns, wished = work.columns_and_wishes(rows.fields, wishes, row)
            work.wish(row.oid, customer.oid, wished)
            if wished and not columns:  # nothing of the database changes, so neither does the ETag
                return Done(Change())
            return Done(await update(work, customer, row, columns))

    @adds("Delete", "DELETE", one, openapi.delete())
    async def deleted(work: Work) -> Done:
        return Done(await rows.delete(work, *await work.find(rows.find)))

    return routes


def _add_show(routes: APIRouter, rows: Rows[Row], one: str) -> None:
    live = rows.live
    shape = replace(rows.shape, columns=(*rows.shape.columns, *live.columns)) if live else rows.shape

    @routes.get(
        one,
        summary=rows.summary("Show"),
        description=rows.describe("Show"),
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
    rows = documented.get("parameters", [])
    places = [*openapi.places(path), *(rows if isinstance(rows, list) else [])]
    return documented | ({"parameters": places} if places else {})
