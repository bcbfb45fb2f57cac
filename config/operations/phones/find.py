"""Queries of phones for answers: first the ids, then the columns of one page, without ORM objects."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Dialect,
    Select,
    String,
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
from ..listing import MAX_FILTER, Page

MAC_SEPARATORS: Final = str.maketrans("", "", ":-. ")

Values = Sequence[object]
"""One row of the database; its columns are in the order of the query."""

Columns = Mapping[str, ColumnElement[Any]]  # columns of any SQL type

_phone = SipPhone.__table__.c
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
_LISTED: Final = _linked(LISTED).outerjoin(Employee.__table__, _employee.id == _extension.employee_id)
_SOFTKEYS: Final = select(_key.phone_id, *SOFTKEY.values()).order_by(_key.phone_id, _key.key_index)
_PANELS: Final = (
    select(_panel.phone_id, *PANEL.values())
    .select_from(SipPhoneSidePanel.__table__)
    .outerjoin(Product.__table__, _product.id == _panel.product_id)
    .order_by(_panel.phone_id, _panel.position)
)
VERSION: Final = list(WHOLE).index("version")
ID, OID = 0, 1
"""Positions of `id` and the public id in WHOLE and in LISTED."""


@dataclass(frozen=True, slots=True)
class Found:
    """One phone of an answer."""

    oid: str
    values: Values
    """The values in the order of WHOLE, or of LISTED."""
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
    """A request for a page of phones; `customer` is an id, or None for all that the caller may see."""

    available: bool = False
    full: bool = False


async def find_phone(session: AsyncSession, caller: Caller, oid: object) -> Found:
    """Return one whole phone. Raise Refused (404) if it is unknown or the caller may not see it."""
    statement = _WHOLE.where(_phone.oid == (parse_oid(oid) or ""), visible(caller))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found()
    return (await _with_parts(session, [found]))[0]


async def list_phones(session: AsyncSession, caller: Caller, query: Query) -> tuple[int, list[Found]]:
    """Return how many phones match, and one page of them, the oldest first."""
    scope = await _scope(session, caller, query.customer)
    matching = _matching(scope, query)
    # One statement for the total and the page: each of its rows, at least one, has the total.
    counted = select(func.count().label("total")).select_from(matching.subquery()).subquery("counted")
    inner = matching.subquery()
    page = select(inner.c.id).order_by(inner.c.id).offset(query.offset).limit(query.limit).subquery("page")
    both = select(counted.c.total, page.c.id).select_from(counted.outerjoin(page, true()))
    async with _plans_for_this_text(session, query.text):
        found = list(await session.execute(both))
    total, ids = found[0].total, [row.id for row in found if row.id is not None]
    if not ids:
        return total, []
    statement = _WHOLE if query.full else _LISTED
    statement = statement.where(one_of(session.get_bind().dialect, _phone.id, ids)).order_by(_phone.id)
    rows = list(await session.execute(statement))
    return total, await _with_parts(session, rows) if query.full else [
        Found(str(row[OID]), row) for row in rows
    ]


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


# Selection of the phones

Scope = Callable[[ColumnElement[int]], ColumnElement[bool]]


async def _scope(session: AsyncSession, caller: Caller, customer: str | None) -> Scope:
    """Return the condition on the column `customer_id` of phones and of their extensions.

    The primary key of one customer is looked up first: then the plan is made for a customer of that size.
    """
    sight = visible(caller)
    if customer is not None:
        number = await session.scalar(select(_customer.id).where(_customer.oid == customer, sight))
        return lambda column: false() if number is None else column == number
    if caller.level >= AccessLevel.RESELLER_ADMIN:
        deleted = select(_customer.id).where(_customer.state == DELETED)
        return lambda column: column.not_in(deleted)
    return lambda column: column.in_(select(_customer.id).where(sight))


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
async def _plans_for_this_text(session: AsyncSession, wanted: str) -> AsyncIterator[None]:
    """Let PostgreSQL plan for this text in the block.

    A generic plan, made for any text, reads whole tables; a plan for this text uses the indexes.
    """
    if not wanted or session.get_bind().dialect.name != "postgresql":
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
