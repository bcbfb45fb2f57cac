"""The rows of a list in SQL: their columns, and how they are filtered, sorted and limited."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    Row,
    Select,
    String,
    UnaryExpression,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ..checks import FLAGS, is_clean
from ..errors import Refused, bad_request, not_found
from ..preconditions import Edition
from ..properties import properties_of
from ..tables import Identified, UtcDateTime

Kind = Literal["integer", "flag", "text", "moment", "mac"]
Expression = ColumnElement[Any]
Source = ColumnElement[Any] | InstrumentedAttribute[Any]

MOMENT: Final = "%Y-%m-%d %H:%M:%S"
MAC: Final = re.compile(r"([0-9A-Fa-f]{2})[:-]?" * 5 + r"([0-9A-Fa-f]{2})")


class _PerDialect(FunctionElement[str]):
    """An SQL text that each database spells in its own way; `{}` stands for the argument."""

    inherit_cache = True
    type = String()
    sqlite: str
    postgresql: str


class TextOfMoment(_PerDialect):
    """An SQL expression for a date and time as this dialect writes it."""

    name = "text_of_moment"
    inherit_cache = True
    sqlite = f"strftime('{MOMENT}', {{}})"
    postgresql = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"


class ByCodePoint(_PerDialect):
    """An SQL text that is compared and sorted by code points, independent of the database's locale."""

    name = "by_code_point"
    inherit_cache = True
    sqlite = "{}"
    postgresql = '({} COLLATE "C")'


@compiles(_PerDialect)
def _compiled(element: _PerDialect, compiler: SQLCompiler, **options: Any) -> str:
    template: str = getattr(element, compiler.dialect.name)
    return template.format(compiler.process(element.clauses, **options))


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a row: its name, its source, and its type for comparisons."""

    name: str
    value: Expression
    kind: Kind
    about: str
    example: str

    @property
    def ordered(self) -> Expression:
        """Return the expression that is compared and sorted."""
        return ByCodePoint(self.value) if self.kind in ("text", "mac") else self.value


def whole(name: str, source: Source, about: str, example: str = "1") -> Column:
    """Return a column for a whole number."""
    return Column(name, cast(source, BigInteger), "integer", about, example)


def flag(name: str, source: Source, about: str) -> Column:
    """Return a column for 1 or 0."""
    return Column(name, case((source, 1), else_=0), "flag", about, "0")


def text(name: str, source: Source, about: str, example: str = "") -> Column:
    """Return a column for a text."""
    return Column(name, type_coerce(source, String), "text", about, example)


def moment(name: str, source: Source, about: str) -> Column:
    """Return a column for a date and time in UTC."""
    return Column(name, type_coerce(source, UtcDateTime), "moment", about, "2026-01-31 12:00:00")


def mac(name: str, source: Source, about: str) -> Column:
    """Return a column for a MAC address, stored as twelve digits and shown as six pairs."""
    pairs: Expression = func.substr(source, 1, 2)
    for start in range(3, 12, 2):
        pairs = pairs.concat(":").concat(func.substr(source, start, 2))
    return Column(name, pairs, "mac", about, "10:20:30:1A:2B:3C")


def columns_of(table: type[DeclarativeBase]) -> Sequence[Column]:
    """Return a column for each property of a table that rows show."""
    columns: list[Column] = []
    for line in properties_of(table):
        row, source = line.row, getattr(table, line.column)
        if row is None or line.secret:
            continue
        about = row.shown or row.about or line.about
        if isinstance(line.kind.sql, Boolean):
            columns.append(flag(row.name, source, about))
        elif isinstance(line.kind.sql, Integer):
            columns.append(whole(row.name, source, about, "1" if row.example is None else row.example))
        else:
            columns.append(text(row.name, source, about, row.example or ""))
    return columns


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of row: its columns, their tables, and its number."""

    title: str
    columns: Sequence[Column]
    source: FromClause
    key: InstrumentedAttribute[int]
    """The number of a row, which orders rows that sort equal."""
    edition: Sequence[InstrumentedAttribute[int]] = ()
    """The version columns that a single row's ETag is made of; empty if the row is never shown alone."""

    def column(self, name: str) -> Column:
        """Return the column with this name. Raise Refused (400) if it does not exist."""
        for column in self.columns:
            if column.name == name:
                return column
        raise bad_request(f"Unknown field {name[:64]!r}; use one of {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all columns."""
        return tuple(column.name for column in self.columns)


def shape_of(
    title: str,
    table: type[Identified],
    id: str,
    *columns: Column,
    owner: InstrumentedAttribute[int],
    source: FromClause | None = None,
    edition: Sequence[InstrumentedAttribute[int]],
) -> Shape:
    """Return the shape of rows of a domain; `columns` stand between those of the table and the times."""
    noun = title.removeprefix("SIP ").lower()
    whole_shape = (
        whole(id, table.id, f"Number of the {noun}"),
        whole("domainId", owner, "Number of the SIP domain"),
        *columns_of(table),
        *columns,
        *moments(table),
    )
    return Shape(title, whole_shape, table.__table__ if source is None else source, table.id, edition)


def moments(table: type[Identified]) -> tuple[Column, Column]:
    """Return the columns for the times of a row's creation and last change."""
    return (
        moment("createDatetime", table.created_at, "When it was made"),
        moment("updateDatetime", table.updated_at, "When it was changed"),
    )


@dataclass(frozen=True, slots=True)
class Part:
    """The query of a list, in SQL."""

    columns: Sequence[Column]
    conditions: Sequence[ColumnElement[bool]] = ()
    order: Sequence[UnaryExpression[Any]] = ()
    offset: int = 0
    limit: int | None = None


def _selected(shape: Shape, part: Part, *scope: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    columns = [column.value.label(f"c{number}") for number, column in enumerate(part.columns)]
    return select(*columns).select_from(shape.source).where(*scope, *part.conditions)


async def stream_rows(
    session: AsyncSession, shape: Shape, part: Part, size: int, *scope: ColumnElement[bool]
) -> AsyncIterator[Sequence[Row[*tuple[Any, ...]]]]:
    """Yield the rows within `scope` that the part asks for, at most `size` in memory at a time."""
    ordered = _selected(shape, part, *scope).order_by(*part.order, shape.key)
    statement = ordered.offset(part.offset or None).limit(part.limit)
    result = await session.stream(statement.execution_options(yield_per=size))
    try:
        async for rows in result.partitions():
            yield rows
    finally:
        await result.close()


async def read_row(
    session: AsyncSession, shape: Shape, part: Part, *scope: ColumnElement[bool]
) -> tuple[Sequence[object], Edition]:
    """Return the row within `scope` and its edition. Raise Refused (404) if it no longer exists."""
    versions = [func.coalesce(column, 0) for column in shape.edition]
    statement = _selected(shape, part, *scope).add_columns(*versions)
    found = (await session.execute(statement)).first()
    if found is None:
        raise not_found(shape.title)
    split = len(part.columns)
    return found[:split], tuple(found[split:])


def condition(column: Column, operand: str, text: str | None) -> ColumnElement[bool]:
    """Return the condition for `{field}-{operand}-value-{text}`. Raise Refused (400)."""
    if operand in NULLS:
        if text is not None:
            raise bad_request(f"{operand} takes no value: {column.name}-{operand}")
        return column.value.is_(None) if operand == "null" else column.value.is_not(None)
    if text is None:
        raise bad_request(f"A value is missing: {column.name}-{operand}-value-...")
    if not is_clean(text):
        raise bad_request(f"The value for {column.name} has control characters")
    if operand in LIKES:
        written = column.value if column.kind in ("text", "mac") else cast(column.value, String)
        written = TextOfMoment(column.value) if column.kind == "moment" else written
        found = written.icontains(text, autoescape=True)
        return found if operand == "like" else or_(column.value.is_(None), ~found)
    compare = COMPARISONS.get(operand)
    if compare is None:
        raise bad_request(f"Unknown operand {operand[:64]!r}; use one of {', '.join(OPERANDS)}")
    return compare(column.ordered, _bound(column, text))


NULLS: Final = ("null", "notnull")
LIKES: Final = ("like", "nlike")
COMPARISONS: Final[Mapping[str, Callable[[Expression, Expression], ColumnElement[bool]]]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left.is_distinct_from(right),
    "neq": lambda left, right: left.is_distinct_from(right),
    "gt": lambda left, right: left > right,
    "gte": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "lte": lambda left, right: left <= right,
}
OPERANDS: Final = (*COMPARISONS, *LIKES, *NULLS)


def _bound(column: Column, text: str) -> Expression:
    """Return the value to compare with, in the column's type. Raise Refused (400)."""
    if column.kind == "integer":
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise _unreadable(column, "a whole number")
        return bindparam(None, int(text), BigInteger)
    if column.kind == "flag":
        if text.lower() not in FLAGS:
            raise _unreadable(column, "1 or 0")
        return bindparam(None, int(FLAGS[text.lower()]), BigInteger)
    if column.kind == "moment":
        return bindparam(None, _moment(column, text), UtcDateTime)
    if column.kind == "mac":  # a whole one in the form in which it is shown, a partial one in upper case
        match = MAC.fullmatch(text)
        text = ":".join(match.groups()).upper() if match else text.upper()
    return bindparam(None, text, String)


def _moment(column: Column, text: str) -> datetime:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?", text):
        try:
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        except ValueError:
            pass
    raise _unreadable(column, "a moment YYYY-MM-DD HH:MM:SS")


def _unreadable(column: Column, wanted: str) -> Refused:
    return bad_request(f"The value for {column.name} must be {wanted}")
