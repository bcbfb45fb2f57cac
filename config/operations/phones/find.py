"""Queries of phones for answers: first the ids, then the columns of one page, without ORM objects."""

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Dialect,
    FromClause,
    Select,
    String,
    Subquery,
    any_,
    false,
    func,
    literal,
    or_,
    select,
    text,
    true,
    union,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from ...access import AccessLevel
from ...auth import Caller
from ...errors import not_found
from ...registrations import Selection
from ...tables import (
    Customer,
    Employee,
    Extension,
    Product,
    SipPhone,
    SipPhoneModel,
    SipPhoneSidePanel,
    SipPhoneSoftkey,
)
from ..audit import parse_oid
from ..customers import DELETED, visible
from ..listing import MAX_FILTER, Page, Sorts

MAC_SEPARATORS: Final = str.maketrans("", "", ":-. ")

Values = Sequence[object]
"""One row of the database; its columns are in the order of the query."""

Columns = Mapping[str, ColumnElement[Any]]  # columns of any SQL type

_phones = SipPhone.__table__
_phone = _phones.c
_model = SipPhoneModel.__table__.c
_customer = Customer.__table__.c
_extension = Extension.__table__.c
_employee = Employee.__table__.c
_product = Product.__table__.c
_key = SipPhoneSoftkey.__table__.c
_panel = SipPhoneSidePanel.__table__.c

WHOLE: Final[Columns] = {
    "id": _phone.id,
    "oid": _phone.oid,
    **{column.key: column for column in SipPhone.__table__.columns if column.key not in ("id", "oid")},
    "model": _model.oid,
    "customer": _customer.oid,
    "extension": _extension.oid,
    "product": _product.oid,
}
"""Name -> column of a phone that is shown whole."""

UNLOCKED: Final = "unlocked_until"
"""The column that both forms of a phone show only if it has a value."""
LISTED: Final[Columns] = {
    "id": _phone.id,
    "_id": _phone.oid,
    "macAddress": _phone.mac,
    "handsetIndex": _phone.handset_index,
    "handsetAddress": _phone.handset_address,
    "sipPhoneModel._id": _model.oid,
    "sipPhoneModel.brand": _model.brand,
    "sipPhoneModel.brandName": _model.brand_name,
    "sipPhoneModel.model": _model.model,
    "sipPhoneModel.picture": _model.picture_oid,
    "extension._id": _extension.oid,
    "extension.number": _extension.number,
    "extension.direct": _extension.direct_number,
    "employee._id": _employee.oid,
    "employee.name": _employee.name,
    "ip.mode": _phone.ip_mode,
    "ip.countries": _phone.ip_countries,
    "ip.address": _phone.ip_address,
    "ip.policy": _phone.ip_policy,
    UNLOCKED: _phone.unlocked_until,
    "notes": _phone.notes,
}
"""Path -> column of a row of the normal list; `id` and UNLOCKED are not paths."""
STATED: Final[Columns] = {
    **LISTED,
    "extension.name": _extension.name,
    "customer._id": _customer.oid,
    "customer.name": _customer.name,
}
"""The same with what the board shows, for a list with `status=true`."""

_name = func.coalesce(_employee.name, _extension.name)
SORTS: Final[Sorts] = {
    "number": (_extension.number.is_(None), func.length(_extension.number), _extension.number),
    "person": (_name.is_(None), func.lower(_name)),
    "model": (_model.brand_name, _model.model),
}
"""Word of `sort` -> columns; 9 is before 10, and phones without a number or a person are last."""

SOFTKEY: Final[Columns] = {
    "index": _key.key_index,
    "function": _key.function,
    "value": _key.value,
    "label": _key.label,
}
PANEL: Final[Columns] = {
    "serial": _panel.serial,
    "paymentOption": _panel.payment_option,
    "orderId": _panel.order_id,
    "date": _panel.date,
    "product": _product.oid,
}
"""Property -> column, as they are shown (SOFTKEY and PANEL)."""


def _linked(columns: Columns) -> Select[*tuple[object, ...]]:
    return (
        select(*columns.values())
        .select_from(SipPhone.__table__)
        .join(SipPhoneModel.__table__, _model.id == _phone.model_id)
        .join(Customer.__table__, _customer.id == _phone.customer_id)
        .outerjoin(Extension.__table__, _extension.id == _phone.extension_id)
    )


_WHOLE: Final = _linked(WHOLE).outerjoin(Product.__table__, _product.id == _phone.product_id)
_PERSON: Final = _employee.id == _extension.employee_id
_LISTED: Final = _linked(LISTED).outerjoin(Employee.__table__, _PERSON)
_STATED: Final = _linked(STATED).outerjoin(Employee.__table__, _PERSON)
_SOFTKEYS: Final = select(_key.phone_id, *SOFTKEY.values()).order_by(_key.phone_id, _key.key_index)
_PANELS: Final = (
    select(_panel.phone_id, *PANEL.values())
    .select_from(SipPhoneSidePanel.__table__)
    .outerjoin(Product.__table__, _product.id == _panel.product_id)
    .order_by(_panel.phone_id, _panel.position)
)
VERSION: Final = list(WHOLE).index("version")
ID, OID = 0, 1
"""Positions of `id` and the public id in WHOLE, LISTED and STATED."""


@dataclass(frozen=True, slots=True)
class Found:
    """One phone of an answer."""

    oid: str
    values: Values
    """The values in the order of WHOLE, LISTED or STATED."""
    softkeys: Sequence[Values] = ()
    """The softkeys, with values in the order of SOFTKEY."""
    panels: Sequence[Values] = ()
    """The side panels, with values in the order of PANEL."""

    @property
    def version(self) -> int:
        """Return the version of a whole phone, which grows with each change of its configuration."""
        return int(str(self.values[VERSION]))


@dataclass(frozen=True, slots=True)
class Query(Page):
    """A request for a page of phones."""

    available: bool = False
    full: bool = False
    selection: Selection | None = None
    """What the index of states has for the filters by state; None: there are none."""
    stated: bool = False
    """Whether the rows of the normal list have the columns of STATED."""

    @property
    def rows(self) -> Select[*tuple[object, ...]]:
        """Return the statement for the rows of a page."""
        return _WHOLE if self.full else _STATED if self.stated else _LISTED


async def find_phone(session: AsyncSession, caller: Caller, oid: object) -> Found:
    """Return one whole phone. Raise Refused (404) if it is unknown or the caller may not see it."""
    statement = _WHOLE.where(_phone.oid == (parse_oid(oid) or ""), visible(caller))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found()
    return (await _with_parts(session, [found]))[0]


async def list_phones(
    session: AsyncSession, caller: Caller, customer: Customer | None, query: Query
) -> tuple[int, list[Found]]:
    """Return how many phones match, and one page of them, by `query.sort`, else the oldest first.

    They belong to `customer`, or, for None, to all customers that the caller may see.
    """
    scope = _scope(caller, customer)
    matching = _selected(session.get_bind().dialect, _matching(scope, query), query)
    # One statement for the total and the page: each of its rows, at least one, has the total.
    if query.selection is None:
        whole: FromClause = matching.subquery()
        inner: FromClause = matching.subquery()
    else:  # each use would compare the phones with the selection
        whole = inner = matching.cte("selected")
    counted = select(func.count().label("total")).select_from(whole).subquery("counted")
    page = _page(inner, query)
    both = select(counted.c.total, page.c.id, page.c.place).select_from(counted.outerjoin(page, true()))
    async with _plans_for_these_values(session, needed=bool(query.text or query.selection)):
        found = list(await session.execute(both))
    total, places = found[0].total, {row.id: row.place for row in found if row.id is not None}
    ids = sorted(places, key=lambda id: places[id])
    if not ids:
        return total, []
    statement = query.rows.where(one_of(session.get_bind().dialect, _phone.id, ids))
    rows = sorted(await session.execute(statement), key=lambda row: places[row[ID]])
    return total, await _with_parts(session, rows) if query.full else [
        Found(str(row[OID]), row) for row in rows
    ]


def _page(matching: FromClause, query: Query) -> Subquery:
    """Return the ids of a page, and the place of each in the order that is asked for."""
    ids = select(matching.c.id, matching.c.id.label("place"))
    if query.sort:
        order = func.row_number().over(order_by=[*SORTS[query.sort], matching.c.id])
        phones = select(matching.c.id, order.label("place")).join(_phones, _phone.id == matching.c.id)
        ids = phones.join(SipPhoneModel.__table__, _model.id == _phone.model_id)
        ids = ids.outerjoin(Extension.__table__, _extension.id == _phone.extension_id)
        ids = ids.outerjoin(Employee.__table__, _PERSON)
    return ids.order_by("place").offset(query.offset).limit(query.limit).subquery("page")


def one_of(
    dialect: Dialect, column: ColumnElement[int] | ColumnElement[str], values: Iterable[object]
) -> ColumnElement[bool]:
    """Return the condition that `column` has one of the values.

    PostgreSQL takes them as one array parameter, so that the number of values does not change the plan.
    """
    wanted = list(values)
    if dialect.name != "postgresql":
        return column.in_(wanted)
    kind = BigInteger() if wanted and isinstance(wanted[0], int) else String()
    return column == any_(literal(wanted, ARRAY(kind)))


def _selected(dialect: Dialect, matching: Select[int], query: Query) -> Select[int]:
    """Return the statement for the ids of those phones that are in the selection of the query, too."""
    if query.selection is None:
        return matching
    there = is_selected(dialect, _phone.oid, query.selection)
    if query.text:
        return select(_phone.id).where(_phone.id.in_(matching), there)
    return matching.where(there)


def is_selected(dialect: Dialect, column: ColumnElement[str], selection: Selection) -> ColumnElement[bool]:
    """Return the condition that a selection has the id in `column`. All ids are one parameter.

    For PostgreSQL it is a test of a truth value, which no index can answer. So the array becomes a hash
    table, which takes far less time than a search of the index for each id. The plan must be made for it
    (`plan_for_values`).
    """
    ids = list(selection.ids)
    if dialect.name == "postgresql":
        is_listed = column == any_(literal(ids, ARRAY(String())))
        return is_listed.is_not(true()) if selection.excluded else is_listed.is_(true())
    listed = func.json_each(json.dumps(ids)).table_valued("value")
    there = column.in_(select(listed.c.value))
    return ~there if selection.excluded else there


async def plan_for_values(session: AsyncSession) -> None:
    """Let PostgreSQL plan for the values of each statement until the transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


async def count_phones(session: AsyncSession, caller: Caller, customer: Customer | None) -> int:
    """Return how many phones a customer has, or, for None, all customers that the caller may see."""
    scope = _scope(caller, customer)
    return await session.scalar(select(func.count(_phone.id)).where(scope(_phone.customer_id))) or 0


async def numbers_of(session: AsyncSession, oids: Collection[str]) -> dict[str, str]:
    """Return the extension numbers of these phones by id; phones without one are left out."""
    if not oids:
        return {}
    numbered = select(_phone.oid, _extension.number).join(
        Extension.__table__, _extension.id == _phone.extension_id
    )
    some = numbered.where(one_of(session.get_bind().dialect, _phone.oid, oids))
    return {str(oid): str(number) for oid, number in await session.execute(some)}


# Selection of the phones

Scope = Callable[[ColumnElement[int]], ColumnElement[bool]]


def _scope(caller: Caller, customer: Customer | None) -> Scope:
    """Return the condition on the column `customer_id` of phones and of their extensions.

    It has the primary key of one customer: then the plan is made for a customer of that size.
    """
    if customer is not None:
        number = customer.id
        return lambda column: column == number
    if caller.level >= AccessLevel.RESELLER_ADMIN:
        deleted = select(_customer.id).where(_customer.state == DELETED)
        return lambda column: column.not_in(deleted)
    return lambda column: column.in_(select(_customer.id).where(visible(caller)))


def _matching(scope: Scope, query: Query) -> Select[int]:
    """Return the statement for the ids of all phones that match."""
    conditions = [scope(_phone.customer_id), *([_phone.extension_id.is_(None)] if query.available else [])]
    phones: Select[int] = select(_phone.id).where(*conditions)
    if not query.text:
        return phones
    if len(query.text) > MAX_FILTER or "\0" in query.text:
        return phones.where(false())
    # One branch for each table: each uses its own trigram indexes (the migrations make them).
    extensions = select(_extension.id).where(scope(_extension.customer_id))
    people = extensions.join(Employee.__table__, _employee.id == _extension.employee_id)
    people = people.where(_has(query.text, _employee.name))
    numbers = extensions.where(_has(query.text, _extension.number, _extension.direct_number))
    own = _has(query.text, _phone.ip_address, _phone.handset_address, _phone.notes)
    macs = dict.fromkeys([query.text, query.text.translate(MAC_SEPARATORS)])
    found = union(
        phones.where(or_(own, *(_has(text, _phone.mac) for text in macs if text))),
        phones.where(_phone.extension_id.in_(numbers)),
        phones.where(_phone.extension_id.in_(people)),
    ).cte("found")
    return select(found.c.id)


def _has(wanted: str, *columns: ColumnElement[str] | ColumnElement[str | None]) -> ColumnElement[bool]:
    """Return the condition that a column contains the text; LIKE wildcards in it are literal."""
    escaped = re.sub(r"([/%_])", r"/\1", wanted)
    pattern = func.lower(f"%{escaped}%")
    return or_(*(func.lower(column).like(pattern, escape="/") for column in columns))


@asynccontextmanager
async def _plans_for_these_values(session: AsyncSession, *, needed: bool) -> AsyncIterator[None]:
    """Let PostgreSQL plan for the values of the statement in the block.

    A generic plan, made for any text, reads whole tables; a plan for this text uses the indexes.
    """
    if not needed or session.get_bind().dialect.name != "postgresql":
        yield
        return
    await session.execute(text("SET plan_cache_mode = force_custom_plan"))
    yield
    await session.execute(text("RESET plan_cache_mode"))


async def _with_parts(session: AsyncSession, rows: Sequence[Values]) -> list[Found]:
    """Return the phones with their softkeys and side panels, by one statement for each of the two."""
    parts: list[defaultdict[object, list[Values]]] = []
    for statement, phone in ((_SOFTKEYS, _key.phone_id), (_PANELS, _panel.phone_id)):
        some = statement.where(one_of(session.get_bind().dialect, phone, [row[ID] for row in rows]))
        grouped: defaultdict[object, list[Values]] = defaultdict(list)
        for of_phone, *values in await session.execute(some):
            grouped[of_phone].append(values)
        parts.append(grouped)
    softkeys, panels = parts
    return [Found(str(row[OID]), row, softkeys[row[ID]], panels[row[ID]]) for row in rows]
