"""One page of a list: the number of rows that match, and the rows of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVarTuple

from sqlalchemy import ColumnElement, Row, Select, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from ..errors import not_found

Columns = TypeVarTuple("Columns")

MAX_FILTER: Final = 256
"""Limit of the text of a filter; no filtered property is longer."""

Searched = Sequence[InstrumentedAttribute[str] | InstrumentedAttribute[str | None]]
Sorts = Mapping[str, Sequence[ColumnElement[Any] | InstrumentedAttribute[Any]]]
"""Word of `sort` -> columns; the first word is the default."""


@dataclass(frozen=True, slots=True)
class Page:
    """A request for a page of a list; all values are already checked against their limits."""

    offset: int
    limit: int
    text: str = ""
    sort: str = ""
    customer: str | None = None
    """Id of the one customer as it was sent, or None if it was not sent."""


async def read_page(
    session: AsyncSession,
    statement: Select[*tuple[Any, ...]],
    page: Page,
    searched: Searched,
    sorts: Sorts,
    last: InstrumentedAttribute[int],
) -> tuple[int, Sequence[Row[*tuple[Any, ...]]]]:
    """Return how many rows of `statement` match, and the page; `last` orders rows that sort equal."""
    if page.text:
        found = or_(*(column.icontains(page.text, autoescape=True) for column in searched))
        is_odd = len(page.text) > MAX_FILTER or "\0" in page.text
        statement = statement.where(false() if is_odd else found)
    counted = statement.with_only_columns(last).order_by(None).subquery()
    total = await session.scalar(select(func.count()).select_from(counted)) or 0
    order = sorts.get(page.sort) or next(iter(sorts.values()))
    paged = statement.order_by(*order, last).offset(page.offset).limit(page.limit)
    return total, (await session.execute(paged)).all()


async def only(session: AsyncSession, statement: Select[*Columns], what: str) -> Row[*Columns]:
    """Return the only row of a statement. Raise Refused (404: `what` is not found) if there is none."""
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found(what)
    return found
