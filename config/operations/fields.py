"""Properties that stand for themselves: one row each, to read, check, answer and document them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from . import checks
from .checks import Check, Value, Wrong
from .document import NOT_SENT
from .draft import Draft

JsonType = Literal["string", "integer", "boolean", "number"]
NAME_CHARACTERS: Final = 255

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Field:
    """One property: where it stands in JSON, where in the table, and what it must look like."""

    path: str
    column: str
    type: JsonType
    check: Check
    about: str
    default: Value = None
    """What a new row has; a null for a property that has a default means: not sent."""
    required: bool = False
    """A new row must have it, and no row can lose it."""


def read_fields(draft: Draft[Row], fields: Iterable[Field]) -> None:
    """Check every property that was sent and put it into the draft."""
    for field in fields:
        value = draft.sent(field.path)
        if value is None or (value == "" and field.type == "string"):
            value = NOT_SENT if field.default is not None else None
        if value is NOT_SENT and draft.stored is None and not field.required:
            draft.values[field.column] = field.default
        elif field.required and (value is None or (value is NOT_SENT and draft.stored is None)):
            draft.wrong(field.path, f"{field.path} is missing", check="required")
        elif value is not NOT_SENT:
            _store(draft, field, value)


def _store(draft: Draft[Row], field: Field, value: object) -> None:
    checked = None if value is None else field.check(value)
    if isinstance(checked, Wrong):
        draft.wrong(field.path, checked.message, check=checked.check)
    elif checked is None and field.required:
        draft.wrong(field.path, f"{field.path} is missing", check="required")
    else:
        draft.values[field.column] = checked


def text(
    path: str, column: str, about: str, limit: int = NAME_CHARACTERS, *, required: bool = False
) -> Field:
    """A line of text."""
    check = checks.text(f"{path} is not a valid text", limit)
    return Field(path, column, "string", check, about, required=required)


def flag(path: str, column: str, about: str) -> Field:
    """true or false, false by default."""
    return Field(path, column, "boolean", checks.boolean(f"{path} must be true or false"), about, False)


def number(path: str, column: str, low: int, high: int, about: str) -> Field:
    """A whole number from `low` to `high`."""
    message = f"{path} must be a number from {low} to {high}"
    return Field(path, column, "integer", checks.integer(low, high, message), about)


def dialled(path: str, column: str, about: str, *, required: bool = False) -> Field:
    """A number that a phone can dial."""
    check = checks.dialled(f"{path} is not a valid phone number")
    return Field(path, column, "string", check, about, required=required)
