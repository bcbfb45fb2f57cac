"""Reading phones with all that belongs to them: one query for a page, two more for keys and panels."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVarTuple

from sqlalchemy import ColumnElement, Select, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

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
from ..customers import visible
from ..ids import parse_oid

MAX_FILTER: Final = 256
"""No property that a filter looks at is searched for more."""
MAC_SEPARATORS: Final = str.maketrans("", "", ":-. ")
SEARCHED: Final[tuple[InstrumentedAttribute[str] | InstrumentedAttribute[str | None], ...]] = (
    SipPhone.mac,
    SipPhone.ip_address,
    SipPhone.handset_address,
    SipPhone.notes,
    Extension.number,
    Extension.direct_number,
    Employee.name,
)

Columns = TypeVarTuple("Columns")
Joined = tuple[SipPhone, SipPhoneModel, str, Extension | None, Employee | None, str | None]


@dataclass(frozen=True, slots=True)
class Panel:
    """A side panel, and the id of its product."""

    row: SipPhoneSidePanel
    product: str | None


@dataclass(frozen=True, slots=True)
class FullPhone:
    """A phone, and what it points to."""

    phone: SipPhone
    model: SipPhoneModel
    customer: str
    extension: Extension | None
    employee: Employee | None
    product: str | None
    softkeys: Sequence[SipPhoneSoftkey] = field(default=())
    panels: Sequence[Panel] = field(default=())


@dataclass(frozen=True, slots=True)
class Query:
    """What a list asks for; everything is inside its limits already."""

    offset: int
    limit: int
    text: str = ""
    available: bool = False
    customer: str | None = None
    """Id of the one customer; None: all that the caller sees."""
    full: bool = False


async def find_phone(session: AsyncSession, caller: Caller, oid: object) -> FullPhone:
    """One phone. Raises Refused (404) when it is unknown or out of sight."""
    statement = _joined().where(SipPhone.oid == (parse_oid(oid) or ""), visible(caller))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found()
    return (await _with_parts(session, [found]))[0]


async def list_phones(session: AsyncSession, caller: Caller, query: Query) -> tuple[int, list[FullPhone]]:
    """How many phones match, and one page of them by age."""
    conditions = _conditions(caller, query)
    count = select(func.count(SipPhone.id)).select_from(SipPhone)
    total = await session.scalar(_linked(count).where(*conditions)) or 0
    page = _joined().where(*conditions).order_by(SipPhone.id).offset(query.offset).limit(query.limit)
    rows: list[Joined] = list(await session.execute(page))
    return total, await _with_parts(session, rows) if query.full else [FullPhone(*row) for row in rows]


def _joined() -> Select[SipPhone, SipPhoneModel, str, Extension | None, Employee | None, str | None]:
    columns: Select[SipPhone, SipPhoneModel, str, Extension | None, Employee | None, str | None] = select(
        SipPhone, SipPhoneModel, Customer.oid, Extension, Employee, Product.oid
    )
    return _linked(columns.select_from(SipPhone)).outerjoin(Product, Product.id == SipPhone.product_id)


def _linked(statement: Select[*Columns]) -> Select[*Columns]:
    return (
        statement.join(SipPhoneModel, SipPhoneModel.id == SipPhone.model_id)
        .join(Customer, Customer.id == SipPhone.customer_id)
        .outerjoin(Extension, Extension.id == SipPhone.extension_id)
        .outerjoin(Employee, Employee.id == Extension.employee_id)
    )


def _conditions(caller: Caller, query: Query) -> list[ColumnElement[bool]]:
    conditions = [visible(caller)]
    if query.customer:
        conditions.append(Customer.oid == query.customer)
    if query.available:
        conditions.append(SipPhone.extension_id.is_(None))
    if query.text:
        conditions.append(_matches(query.text))
    return conditions


def _matches(text: str) -> ColumnElement[bool]:
    """Whether any searched property has `text` in it; what means something to LIKE is taken literally."""
    if len(text) > MAX_FILTER or "\0" in text:
        return false()
    wanted = [column.icontains(text, autoescape=True) for column in SEARCHED]
    mac = text.translate(MAC_SEPARATORS)
    if mac:
        wanted.append(SipPhone.mac.icontains(mac, autoescape=True))
    return or_(*wanted)


async def _with_parts(session: AsyncSession, rows: Sequence[Joined]) -> list[FullPhone]:
    ids = [row[0].id for row in rows]
    softkeys: dict[int, list[SipPhoneSoftkey]] = defaultdict(list)
    keys = (
        select(SipPhoneSoftkey).where(SipPhoneSoftkey.phone_id.in_(ids)).order_by(SipPhoneSoftkey.key_index)
    )
    for key in await session.scalars(keys):
        softkeys[key.phone_id].append(key)
    panels = await _panels(session, ids)
    return [FullPhone(*row, softkeys=softkeys[row[0].id], panels=panels[row[0].id]) for row in rows]


async def _panels(session: AsyncSession, ids: list[int]) -> dict[int, list[Panel]]:
    panels: dict[int, list[Panel]] = defaultdict(list)
    statement = (
        select(SipPhoneSidePanel, Product.oid)
        .outerjoin(Product, Product.id == SipPhoneSidePanel.product_id)
        .where(SipPhoneSidePanel.phone_id.in_(ids))
        .order_by(SipPhoneSidePanel.position)
    )
    for row, product in await session.execute(statement):
        panels[row.phone_id].append(Panel(row, product))
    return panels
