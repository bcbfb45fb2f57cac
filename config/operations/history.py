"""The history of calls: pages of it, the newest call first, and the removal of old rows.

A page is found by its ids alone: one branch for each column in which a filter searches, so that each uses its
own index. It begins after the last call of the page before it, so a page far down costs what the first costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, delete, func, or_, select, true, tuple_, union
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.model import CallResult
from registrar.rules.history import MISSED, Side

from ..access import AccessLevel
from ..auth import Caller
from ..tables import CallHistory, CallHistoryPerson, Customer, Employee, Extension
from .customers import DELETED, one_or_all, visible
from .phones.find import one_of

COUNTED: Final = 100_000
"""The total of a list is counted up to this number."""
MAX_PEOPLE: Final = 200
"""Extensions of one filter: a number may be one of each customer that the caller sees."""
DAY_MS: Final = 86_400_000
DELETED_AT_ONCE: Final = 500
READ_AT_ONCE: Final = 500

_call = CallHistory.__table__.c
_person = CallHistoryPerson.__table__.c
_customer = Customer.__table__.c

Condition = ColumnElement[bool]


class _Keys(NamedTuple):
    """The columns by which a page is found: those of calls, or those of the calls of people."""

    source: FromClause
    started: ColumnElement[int]
    id: ColumnElement[int]


_CALL: Final = _Keys(CallHistory.__table__, _call.started_ms, _call.id)
_PERSON: Final = _Keys(
    CallHistoryPerson.__table__.join(CallHistory.__table__, _call.id == _person.history_id),
    _person.started_ms,
    _person.history_id,
)
NUMBERS: Final = (_call.dialled, _call.caller_number, _call.callee_number)
PHONES: Final = (_call.caller_phone, _call.callee_phone)


class Place(NamedTuple):
    """The place of a call in the list."""

    started_ms: int
    id: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page of past calls; all values are already checked."""

    limit: int
    offset: int = 0
    after: Place | None = None
    """The last call of the page before; None: this is the first page, or one with an offset."""
    customer: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    number: str = ""
    phone: str = ""
    extension: str = ""
    side: Side | None = None
    results: frozenset[CallResult] = frozenset()
    is_own: bool = False
    """Whether a person asks for its own calls."""


@dataclass(frozen=True, slots=True)
class Past:
    """A call as one viewer sees it."""

    row: Any
    """The row of `call_history`."""
    side: Side | None = None
    """The side of the person whose calls were asked for."""
    result: str = ""
    """What became of it for that person, else for the call."""


@dataclass(frozen=True, slots=True)
class PageOfCalls:
    """One page of a list of past calls."""

    calls: Sequence[Past]
    total: int | None
    """How many match, at most COUNTED; None: not counted, because the page comes after another one."""
    next: Place | None
    """Where the next page begins; None: this is the last page."""


async def read_history(session: AsyncSession, caller: Caller, asked: Asked) -> PageOfCalls:
    """Return a page of the calls that the caller may see. Raise Refused as `one_or_all` does."""
    asked = replace(asked, is_own=caller.level < AccessLevel.VIEWER)
    customer = await one_or_all(session, caller, asked.customer)
    customers = _customers(caller, customer)
    people = await _people(session, caller, asked, customer)
    if people == []:
        return PageOfCalls([], 0, None)
    found = union(*_branches(asked, customers, people)).subquery("found")
    total = await _total(session, asked, customers, people) if asked.after is None else None
    page = select(found.c.id, found.c.started_ms).order_by(found.c.started_ms.desc(), found.c.id.desc())
    places = (await session.execute(page.offset(asked.offset).limit(asked.limit + 1))).all()
    rows = await _rows(session, [place.id for place in places[: asked.limit]])
    parts = await _parts(session, list(rows), people, asked.side)
    calls = [_past(rows[id], parts.get(id)) for id, _ in places[: asked.limit] if id in rows]
    last = places[asked.limit - 1] if len(places) > asked.limit else None
    return PageOfCalls(calls, total, None if last is None else Place(last.started_ms, last.id))


def _past(row: Any, part: tuple[Side, str] | None) -> Past:
    return Past(row, None, row.result) if part is None else Past(row, *part)


def _customers(caller: Caller, customer: Customer | None) -> Condition:
    """Return the condition on the customer of a call; `customer` is None for all in sight."""
    if customer is not None:
        return _call.customer == customer.oid
    if caller.level >= AccessLevel.RESELLER_ADMIN:
        return _call.customer.not_in(select(_customer.oid).where(_customer.state == DELETED))
    return _call.customer.in_(select(_customer.oid).where(visible(caller)))


async def _people(
    session: AsyncSession, caller: Caller, asked: Asked, customer: Customer | None
) -> list[str] | None:
    """Return the extensions whose calls are asked for, or None for all calls.

    A caller at level PERSONAL gets the calls of its own extensions.
    """
    if not asked.is_own and not asked.extension:
        return None
    statement = select(Extension.oid).join(Customer, Customer.id == Extension.customer_id)
    statement = statement.where(visible(caller))
    if customer is not None:
        statement = statement.where(Customer.id == customer.id)
    if asked.is_own:
        statement = statement.join(Employee, Employee.id == Extension.employee_id)
        statement = statement.where(Employee.oid == (caller.employee or ""))
    if asked.extension:
        statement = statement.where(Extension.number == asked.extension)
    return list(await session.scalars(statement.limit(MAX_PEOPLE)))


def _branches(
    asked: Asked, customers: Condition, people: list[str] | None, most: int | None = None
) -> list[Select[int, int]]:
    """Return the statements whose union has the ids of the page, and those of the pages before it.

    `most` is the number of ids of each, by default those up to the end of the page.
    """
    limit = most if most is not None else asked.offset + asked.limit + 1
    every = [customers, _any(NUMBERS, asked.number)]
    if people is not None:
        every += [_any(PHONES, asked.phone), *_of_person(asked)]
        if asked.is_own and (asked.number or asked.phone):  # a caller that is withheld cannot be guessed
            every.append(or_(_person.side == "caller", _call.private.is_(False)))
        return [_branch(_PERSON, asked, [*every, _person.person == one], limit) for one in people]
    every += _of_call(asked)
    if asked.phone:
        return [_branch(_CALL, asked, [*every, column == asked.phone], limit) for column in PHONES]
    if asked.number:
        return [_branch(_CALL, asked, [*every, column == asked.number], limit) for column in NUMBERS]
    return [_branch(_CALL, asked, every, limit)]


def _branch(keys: _Keys, asked: Asked, conditions: Sequence[Condition], limit: int) -> Select[int, int]:
    """Return one statement, with its own order and limit; SQLite takes no LIMIT inside a union."""
    conditions = [*conditions, *_times(keys, asked)]
    chosen = select(keys.id.label("id"), keys.started.label("started_ms")).select_from(keys.source)
    ordered = chosen.where(*conditions).distinct().order_by(keys.started.desc(), keys.id.desc())
    part = ordered.limit(limit).subquery()
    return select(part.c.id, part.c.started_ms)


def _times(keys: _Keys, asked: Asked) -> list[Condition]:
    """Return the conditions on the time of a call, and on its place after the page before."""
    conditions: list[Condition] = []
    if asked.since_ms is not None:
        conditions.append(keys.started >= asked.since_ms)
    if asked.until_ms is not None:
        conditions.append(keys.started < asked.until_ms)
    if asked.after is not None:
        conditions.append(tuple_(keys.started, keys.id) < tuple_(*asked.after))
    return conditions


def _any(columns: Sequence[ColumnElement[str]], value: str) -> Condition:
    return or_(*(column == value for column in columns)) if value else true()


def _of_call(asked: Asked) -> list[Condition]:
    return [_call.result.in_(sorted(asked.results))] if asked.results else []


def _of_person(asked: Asked) -> list[Condition]:
    conditions: list[Condition] = []
    if asked.side is not None:
        conditions.append(_person.side == asked.side)
    if asked.results:
        conditions.append(_person.result.in_(sorted(asked.results)))
    return conditions


async def _total(session: AsyncSession, asked: Asked, customers: Condition, people: list[str] | None) -> int:
    found = union(*_branches(asked, customers, people, COUNTED)).subquery("found")
    some = select(found.c.id).limit(COUNTED).subquery("some")
    return await session.scalar(select(func.count()).select_from(some)) or 0


async def _rows(session: AsyncSession, ids: Sequence[int]) -> Mapping[int, Any]:
    """Return the rows by their ids, read in parts: other tasks run in between."""
    rows: dict[int, Any] = {}
    for start in range(0, len(ids), READ_AT_ONCE):
        some = one_of(session.get_bind().dialect, _call.id, ids[start : start + READ_AT_ONCE])
        found = await session.execute(select(*CallHistory.__table__.columns).where(some))
        rows |= {row.id: row for row in found}
    return rows


async def _parts(
    session: AsyncSession, ids: Sequence[int], people: list[str] | None, side: Side | None
) -> Mapping[int, tuple[Side, str]]:
    """Return the part of the person whose calls were asked for: its own call comes before one to itself."""
    if people is None or not ids:
        return {}
    statement = select(_person.history_id, _person.side, _person.result).where(
        one_of(session.get_bind().dialect, _person.history_id, ids), _person.person.in_(people)
    )
    if side is not None:
        statement = statement.where(_person.side == side)
    found = await session.execute(statement.order_by(_person.side.asc()))
    return {id: (Side(side), result) for id, side, result in found}


# Removal


async def delete_old(engine: AsyncEngine, before_ms: int) -> int:
    """Delete some of the calls that began before a time, the oldest first, and return how many."""
    old = select(_call.id).where(_call.started_ms < before_ms).order_by(_call.started_ms, _call.id)
    async with engine.begin() as connection:
        ids = list(await connection.scalars(old.limit(DELETED_AT_ONCE)))
        if ids:
            await connection.execute(delete(CallHistory).where(_call.id.in_(ids)))
    return len(ids)


def missed_of(results: frozenset[CallResult]) -> frozenset[CallResult]:
    """Return those of the results that count as missed; of all, if none is named."""
    return results & MISSED if results else MISSED
