"""One page of a list: how many match, and those that were asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

MAX_FILTER: Final = 256
"""No property that a filter looks at is searched for more."""

Searched = Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]]
Sorts = Mapping[str, Sequence[ColumnElement[Any] | InstrumentedAttribute[Any]]]
"""Word of `sort` -> columns; the first word is the default."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a list asks for; everything is inside its limits already."""

    offset: int
    limit: int
    text: str = ""
    sort: str = ""
    customer: str | None = None
    """Id of the one customer, as sent; None: not sent."""


def matches(text: str, searched: Searched) -> ColumnElement[bool]:
    """Whether any column has `text` in it, whatever its case; what means something to LIKE is literal."""
    if len(text) > MAX_FILTER or "\0" in text:
        return false()
    return or_(*(column.icontains(text, autoescape=True) for column in searched))


async def read_page(
    session: AsyncSession,
    statement: Select[*tuple[Any, ...]],
    page: Page,
    searched: Searched,
    sorts: Sorts,
    last: InstrumentedAttribute[int],
) -> tuple[int, Sequence[Row[*tuple[Any, ...]]]]:
    """How many rows of `statement` match, and the page; `last` decides between equal ones."""
    if page.text:
        statement = statement.where(matches(page.text, searched))
    counted = statement.with_only_columns(last).order_by(None).subquery()
    total = await session.scalar(select(func.count()).select_from(counted)) or 0
    order = sorts.get(page.sort) or next(iter(sorts.values()))
    paged = statement.order_by(*order, last).offset(page.offset).limit(page.limit)
    return total, (await session.execute(paged)).all()
