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
NAMED: Final = "="
"""The name of a property that is named as its column: `ring_secs` is `ringSecs`."""


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
    found: list[Field] = []
    for column in (column for column in table.__table__.columns if PROPERTY in column.info):
        line, (first, *words) = column.info[PROPERTY], column.key.split("_")
        name = first + "".join(map(str.capitalize, words))
        row = replace(line.row, name=name) if line.row and line.row.name == NAMED else line.row
        path = name if line.path == NAMED else line.path
        found.append(replace(line, path=path, column=column.key, row=row))
    return tuple(found)


@cache
def fields_of(table: type[DeclarativeBase]) -> tuple[Field, ...]:
    """Return the fields of the JSON dialect."""
    lines = (line for line in properties_of(table) if line.path)
    return tuple(replace(line, column=line.written_as or line.column) for line in lines)


@cache
def row_fields_of(*tables: type[DeclarativeBase], new: bool = False) -> tuple[Field, ...]:
    """Return the fields of the row dialect; `new` adds those that only a create has."""
    found: list[Field] = []
    for line in (line for table in tables for line in properties_of(table)):
        row = line.row
        if row is None or (row.fixed and not new):
            continue
        kind, about = row.kind or line.kind.as_text or line.kind, row.about or line.about
        if isinstance(kind.sql, Boolean):
            found.append(Field(row.name, line.column, kind, f"{about} (1 or 0)", default=False))
        else:
            required, column = row.required or line.required, line.written_as or line.column
            found.append(Field(row.name, column, kind, about, required=required))
    return tuple(found)


# Kinds


def string_of(length: int, check: Check, message: str, *, loose: bool = False, **limits: object) -> Kind:
    """Return the kind of a string in a column of this length."""
    return Kind("string", String(length), check, message, limits, loose)


def text_of(limit: int = SHORT_TEXT, keep: str = "") -> Kind:
    """Return the kind of a text; `keep` are control characters that it may have."""
    kind = string_of(limit, checks.text(limit, keep), "{} is not a valid text", maxLength=limit)
    return kind if limit <= checks.MAX_URL else replace(kind, sql=Text())


def secret_of(limit: int) -> Kind:
    """Return the kind of a text of which only a hash is stored."""
    return string_of(SHORT_TEXT, checks.text(limit), "{} is not a valid text")


def whole_of(low: int, high: int) -> Kind:
    """Return the kind of a whole number from `low` to `high`."""
    message = f"{{}} must be a number from {low} to {high}"
    as_text = Kind("integer", Integer(), checks.integer(low, high, as_text=True), message)
    limits = {"minimum": low, "maximum": high}
    return Kind("integer", Integer(), checks.integer(low, high), message, limits, as_text=as_text)


def word_of(options: tuple[str, ...], length: int = 16) -> Kind:
    """Return the kind of one of the words in `options`, in a column of this length."""
    message = f"{{}} must be one of {', '.join(options)}"
    return string_of(length, checks.one_of(options), message, enum=list(options))


FLAG: Final = Kind(
    "boolean",
    Boolean(),
    checks.boolean,
    "{} must be true or false",
    as_text=Kind("integer", Boolean(), checks.flag, "{} must be 1 or 0"),
    default=False,
)
TEXT: Final = text_of()
DIALLED: Final = string_of(
    32, checks.dialled, "{} is not a valid phone number", loose=True, pattern=r"^\+?[0-9*#]{1,20}$"
)
_DIGITS: Final = f"{{}} must be digits, * or #, at most {checks.MAX_DIALLED}"
DIAL_PLAN: Final = string_of(32, checks.dial_plan_number, _DIGITS, loose=True, pattern=r"^[0-9*#]{1,20}$")
EMAIL: Final = string_of(SHORT_TEXT, checks.email, "{} is not a valid e-mail address", maxLength=SHORT_TEXT)
CALLER_NAME: Final = replace(TEXT, check=checks.caller_name_format)
