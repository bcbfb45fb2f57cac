"""Properties that depend on no other property: one row each to read, check, show and document them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from . import checks
from .checks import Check, Value, Wrong
from .document import NOT_SENT
from .draft import Draft
from .extensions import MAX_NUMBER, number_check

JsonType = Literal["string", "integer", "boolean", "number"]
NAME_CHARACTERS: Final = 255
DIALLED: Final = r"^\+?[0-9*#]{1,20}$"
DIAL_PLAN: Final = r"^[0-9*#]{1,20}$"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Field:
    """One property: its path in JSON, its column in the table, and the check of its value."""

    path: str
    column: str
    type: JsonType
    check: Check
    about: str
    default: Value = None
    """The value for a new row. If a property has a default, then null means that it was not sent."""
    required: bool = False
    """A new row must have a value, and no row can lose it."""
    limits: Mapping[str, object] = field(default_factory=dict)
    """The limits beyond the type, for the documentation, in JSON Schema: enum, maxLength, minimum."""
    loose: bool = False
    """True if a body may spell the value in more ways than `limits` allow for the stored value."""


def read_fields(draft: Draft[Row], fields: Iterable[Field]) -> None:
    """Check every property that was sent, and put its value or its problem into the draft."""
    for one in fields:
        value = draft.sent(one.path)
        if value is None or (value == "" and one.type == "string"):
            value = NOT_SENT if one.default is not None else None
        if value is NOT_SENT and draft.stored is None and not one.required:
            draft.values[one.column] = one.default
        elif one.required and (value is None or (value is NOT_SENT and draft.stored is None)):
            draft.wrong(one.path, f"{one.path} is missing", check="required")
        elif value is not NOT_SENT:
            _store(draft, one, value)


def _store(draft: Draft[Row], one: Field, value: object) -> None:
    if value is not None and value == getattr(draft.stored, one.column, None):
        checked: Value | Wrong = getattr(
            draft.stored, one.column
        )  # shown values may be sent back, old ones too
    else:
        checked = None if value is None else one.check(value)
    if isinstance(checked, Wrong):
        draft.wrong(one.path, checked.message, check=checked.check)
    elif checked is None and one.required:
        draft.wrong(one.path, f"{one.path} is missing", check="required")
    else:
        draft.values[one.column] = checked


def text(
    path: str, column: str, about: str, limit: int = NAME_CHARACTERS, *, required: bool = False
) -> Field:
    """Return a field for a line of text."""
    check = checks.text(f"{path} is not a valid text", limit)
    return Field(path, column, "string", check, about, required=required, limits={"maxLength": limit})


def flag(path: str, column: str, about: str) -> Field:
    """Return a field for true or false, false by default."""
    return Field(path, column, "boolean", checks.boolean(f"{path} must be true or false"), about, False)


def number(path: str, column: str, low: int, high: int, about: str) -> Field:
    """Return a field for a whole number from `low` to `high`."""
    message = f"{path} must be a number from {low} to {high}"
    check = checks.integer(low, high, message)
    return Field(path, column, "integer", check, about, limits={"minimum": low, "maximum": high})


def word(path: str, column: str, options: tuple[str, ...], about: str, default: Value = None) -> Field:
    """Return a field for one of the words in `options`."""
    check = checks.one_of(options, f"{path} must be one of {', '.join(options)}")
    return Field(path, column, "string", check, about, default, limits={"enum": list(options)})


def dialled(path: str, column: str, about: str, *, required: bool = False) -> Field:
    """Return a field for a number that a phone can dial."""
    check = checks.dialled(f"{path} is not a valid phone number")
    return Field(
        path, column, "string", check, about, required=required, limits={"pattern": DIALLED}, loose=True
    )


def email(path: str, column: str, about: str) -> Field:
    """Return a field for an e-mail address."""
    check = checks.email(f"{path} is not a valid e-mail address")
    return Field(path, column, "string", check, about, limits={"maxLength": NAME_CHARACTERS})


def caller_name_format() -> Field:
    """Return the field for the format in which a group or a queue shows the caller."""
    return Field(
        "callerNameFormat",
        "caller_name_format",
        "string",
        checks.caller_name_format("callerNameFormat is not a valid text"),
        f"How the caller is shown: text and {', '.join(checks.PLACEHOLDERS)}",
        limits={"maxLength": NAME_CHARACTERS},
    )


def dial_plan_number() -> Field:
    """Return the field for a number of the dial plan, which extensions, groups and queues share."""
    return Field(
        "number",
        "number",
        "string",
        number_check(f"number must be digits, * or #, at most {MAX_NUMBER}"),
        "Unique among the extensions, groups and queues of the customer",
        required=True,
        limits={"pattern": DIAL_PLAN},
        loose=True,
    )
