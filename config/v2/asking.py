"""The query of a list: `filter[]`, `sort[]`, `limit`, `offset`, `display[]` and `format`."""

import re
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, UnaryExpression, asc, desc

from ..checks import is_clean
from ..errors import bad_request
from .params import Params
from .rows import Column, Part, Shape, condition

MAX_ROWS: Final = 10_000
"""Limit of `limit`; without `limit`, the whole list is sent."""
MAX_OFFSET: Final = 2**31 - 1
MAX_CONDITIONS: Final = 50
"""Limit of filters, and of fields to sort by; no list has half as many fields."""
NO_WEIGHT: Final = re.compile(r"q\s*=\s*0(\.0*)?")
"""Not acceptable, RFC 9110 12.4.2."""
MAX_ALIAS: Final = 64
FORMATS: Final = ("json", "jsonarray", "csv")
DIRECTIONS: Final = ("asc", "desc")


@dataclass(frozen=True, slots=True)
class Asked:
    """The request for a list: the part of it, the names of its columns, and the format."""

    part: Part
    names: tuple[str, ...]
    """The names of the part's columns in the response."""
    format: str = "json"


def read_list(params: Params, shape: Shape, accept: str = "") -> Asked:
    """Return what a list asks for; without `format`, `accept` decides between lines and an array.

    Raise Refused (400) for an unknown field, operand or format.
    """
    names, columns, format = _shown(params, shape)
    if params.one("format") is None and wants_array(accept):
        format = "jsonarray"
    part = Part(
        columns,
        conditions=[_condition(text, shape) for text in _few(params, "filter")],
        order=[_order(text, shape) for text in _few(params, "sort")],
        offset=_number(params, "offset", MAX_OFFSET) or 0,
        limit=_number(params, "limit", MAX_ROWS),
    )
    return Asked(part, names, format)


def wants_array(accept: str) -> bool:
    """Return True if Accept names application/json, but not */*, application/* or application/x-ndjson."""
    named = set()
    for part in accept.lower().split(","):
        kind, *options = (piece.strip() for piece in part.split(";"))
        if not any(NO_WEIGHT.fullmatch(option) for option in options):
            named.add(kind)
    return "application/json" in named and not named & {"*/*", "application/*", "application/x-ndjson"}


def read_one(params: Params, shape: Shape) -> Asked:
    """Return what the request for a single row asks for: `display[]` and `format`."""
    names, columns, format = _shown(params, shape)
    return Asked(Part(columns), names, format)


def _shown(params: Params, shape: Shape) -> tuple[tuple[str, ...], list[Column], str]:
    format = params.one("format") or "json"
    if format not in FORMATS:
        raise bad_request(f"Unknown format {format[:64]!r}; use one of {', '.join(FORMATS)}")
    display = params.many("display")
    if format == "csv" and not display:
        raise bad_request("The format csv needs display[]")
    if not display:
        return shape.names, list(shape.columns), format
    names, columns = [], []
    for text in display:
        field, _, alias = text.partition("-")
        if len(alias) > MAX_ALIAS or not is_clean(alias):
            limits = f"at most {MAX_ALIAS} characters, none of them a control character"
            raise bad_request(f"An alias in display[] has {limits}")
        names.append(alias or field)
        columns.append(shape.column(field))
    if len(set(names)) < len(names):
        raise bad_request("display[] has one name twice")
    return tuple(names), columns, format


def _condition(text: str, shape: Shape) -> ColumnElement[bool]:
    field, operand, marker, value = (text.split("-", 3) + [""] * 3)[:4]
    dashes = text.count("-")
    if dashes < 1 or (dashes >= 2 and marker != "value") or dashes == 2:
        raise bad_request(
            f"A filter is field-operand-value-..., field-null or field-notnull, not {text[:64]!r}"
        )
    return condition(shape.column(field), operand, value if dashes > 2 else None)


def _order(text: str, shape: Shape) -> UnaryExpression[Any]:
    field, _, direction = text.partition("-")
    if direction not in DIRECTIONS:
        raise bad_request(f"A field to sort by is field-asc or field-desc, not {text[:64]!r}")
    ordered = shape.column(field).ordered  # rows without a value are the least
    return asc(ordered).nulls_first() if direction == "asc" else desc(ordered).nulls_last()


def _few(params: Params, name: str) -> tuple[str, ...]:
    given = params.many(name)
    if len(given) > MAX_CONDITIONS:
        raise bad_request(f"There are more than {MAX_CONDITIONS} of {name}[]")
    return given


def _number(params: Params, name: str, highest: int) -> int | None:
    text = params.one(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= highest):
        raise bad_request(f"{name} must be a number from 0 to {highest}")
    return int(text)
