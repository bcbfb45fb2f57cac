"""The properties of resources: one line each in `config/tables/`, beside the column that holds the value.

A line has what both dialects need: the kind of the values (type, check, message), the names in both dialects,
the default and the description. From these lines come the fields of a body and their checks, the objects and
rows of responses, and the OpenAPI schemas. `fields_of` gives the fields of the JSON dialect, `row_fields_of`
those of the row dialect, `properties_of` the lines themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import Boolean, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column
from sqlalchemy.types import TypeEngine

from . import checks
from .checks import SHORT_TEXT, Check, Value, Wrong

JsonType = Literal["string", "integer", "boolean", "number"]
PROPERTY: Final = "property"
"""The key of a line in the `info` of its column."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The values of a property: their type in JSON and in SQL, and their check."""

    type: JsonType
    sql: TypeEngine[Any]
    check: Check
    message: str
    """The message of a wrong value; `{}` stands for the name of the property."""
    limits: Mapping[str, object] = field(default_factory=dict)
    """The limits beyond the type, for the documentation, in JSON Schema: enum, maxLength, minimum."""
    loose: bool = False
    """True if a body may spell the value in more ways than `limits` allow for the stored value."""
    as_text: "Kind | None" = None
    """The kind in the row dialect, which sends every value as text, if it differs."""
    default: Value = None
    """The default of its properties, unless they have another one."""


@dataclass(frozen=True, slots=True)
class InRows:
    """How the row dialect has a property, as far as that differs from the JSON dialect."""

    name: str
    about: str = ""
    shown: str = ""
    """The description in a row, by default that of the parameter."""
    example: str | None = None
    required: bool = False
    fixed: bool = False
    """True if only a create has it."""
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A property of a table, or as one dialect has it in a body."""

    path: str
    """The path in the JSON dialect, the name in the row dialect, or empty if it is not there."""
    column: str
    """The column, or the key of the checked value of a secret."""
    kind: Kind
    about: str
    default: Value = None
    """The value for a new row. If a property has a default, then null means that it was not sent."""
    required: bool = False
    """A new row must have a value, and no row can lose it."""
    written_as: str | None = None
    """The key of the checked value if the column holds a hash of it; no response shows such a value."""
    dependent: bool = False
    """True if the value depends on other properties, so that its own function reads it."""
    row: InRows | None = None
    """How the row dialect has it, or None if it is not there."""

    @property
    def secret(self) -> bool:
        """Return True if no response shows the value."""
        return self.written_as is not None

    def check(self, value: object) -> Value | Wrong:
        """Return the value to store, or the error of a value that was sent and is not null."""
        return self.kind.check(value, self.kind.message.format(self.path))


def stored(
    kind: Kind,
    about: str,
    json: str | None = None,
    row: str | InRows | None = None,
    *,
    both: str | None = None,
    default: Value = None,
    required: bool = False,
    written_as: str | None = None,
    dependent: bool = False,
    sql: TypeEngine[Any] | None = None,
) -> MappedColumn[Any]:
    """Return a column that holds a property.

    `both` is its name if both dialects have the same one, `sql` its type if it is not that of the kind.
    """
    row = row or both
    in_rows = InRows(row) if isinstance(row, str) else row
    default = kind.default if default is None else default
    path = json or both or ""
    line = Field(path, "", kind, about, default, required, written_as, dependent, in_rows)
    return mapped_column(sql or kind.sql, default=default, info={PROPERTY: line})


def properties_of(table: type[DeclarativeBase]) -> tuple[Field, ...]:
    """Return the properties of a table in the order of its columns."""
    columns = (column for column in table.__table__.columns if PROPERTY in column.info)
    return tuple(replace(column.info[PROPERTY], column=column.key) for column in columns)


@cache
def fields_of(table: type[DeclarativeBase]) -> tuple[Field, ...]:
    """Return the fields of the JSON dialect."""
    lines = (line for line in properties_of(table) if line.path)
    return tuple(replace(line, column=line.written_as or line.column) for line in lines)


@cache
def row_fields_of(*tables: type[DeclarativeBase], new: bool = False) -> tuple[Field, ...]:
    """Return the fields of the row dialect; `new` adds those that only a create has."""
    return tuple(
        _row_field(line, line.row)
        for table in tables
        for line in properties_of(table)
        if line.row is not None and (new or not line.row.fixed)
    )


def _row_field(line: Field, row: InRows) -> Field:
    kind = row.kind or line.kind.as_text or line.kind
    about = row.about or line.about
    if isinstance(kind.sql, Boolean):
        return Field(row.name, line.column, kind, f"{about} (1 or 0)", default=False)
    required = row.required or line.required
    return Field(row.name, line.written_as or line.column, kind, about, required=required)


# Kinds


def text_of(limit: int = SHORT_TEXT, keep: str = "") -> Kind:
    """Return the kind of a text; `keep` are control characters that it may have."""
    sql = String(limit) if limit <= checks.MAX_URL else Text()
    return Kind("string", sql, checks.text(limit, keep), "{} is not a valid text", {"maxLength": limit})


def secret_of(limit: int) -> Kind:
    """Return the kind of a text of which only a hash is stored."""
    return Kind("string", String(SHORT_TEXT), checks.text(limit), "{} is not a valid text")


def whole_of(low: int, high: int) -> Kind:
    """Return the kind of a whole number from `low` to `high`."""
    message = f"{{}} must be a number from {low} to {high}"
    as_text = Kind("integer", Integer(), checks.integer(low, high, as_text=True), message)
    limits = {"minimum": low, "maximum": high}
    return Kind("integer", Integer(), checks.integer(low, high), message, limits, as_text=as_text)


def word_of(options: tuple[str, ...], length: int = 16) -> Kind:
    """Return the kind of one of the words in `options`, in a column of this length."""
    message = f"{{}} must be one of {', '.join(options)}"
    return Kind("string", String(length), checks.one_of(options), message, {"enum": list(options)})


FLAG: Final = Kind(
    "boolean",
    Boolean(),
    checks.boolean,
    "{} must be true or false",
    as_text=Kind("integer", Boolean(), checks.flag, "{} must be 1 or 0"),
    default=False,
)
TEXT: Final = text_of()
DIALLED: Final = Kind(
    "string",
    String(32),
    checks.dialled,
    "{} is not a valid phone number",
    {"pattern": r"^\+?[0-9*#]{1,20}$"},
    loose=True,
)
DIAL_PLAN: Final = Kind(
    "string",
    String(32),
    checks.dial_plan_number,
    f"{{}} must be digits, * or #, at most {checks.MAX_DIALLED}",
    {"pattern": r"^[0-9*#]{1,20}$"},
    loose=True,
)
EMAIL: Final = Kind(
    "string", TEXT.sql, checks.email, "{} is not a valid e-mail address", {"maxLength": SHORT_TEXT}
)
CALLER_NAME: Final = replace(TEXT, check=checks.caller_name_format)
