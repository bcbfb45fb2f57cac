"""A row while it is created or changed: the properties sent, the columns to store, and the problems."""

from collections.abc import Iterable, Mapping
from typing import Final, Generic, Literal, TypeVar

from ..checks import Value, Wrong
from ..errors import Problem, Refused
from ..properties import Field
from .document import NOT_SENT, Document, Sent

MAX_PROBLEMS: Final = 100
"""A body of 64 KiB can hold thousands of mistakes; a user does not read more than this."""

Row = TypeVar("Row")
Columns = Mapping[str, Value]
"""Checked values by column, or by the property of which a column holds only a hash."""


class Draft(Generic[Row]):
    """A collector of columns and problems; nothing is written before `refuse_problems` returns."""

    def __init__(self, document: Document, stored: Row | None = None) -> None:
        self.document = document
        self.stored = stored
        """The row to change, or None for a new one."""
        self.values: dict[str, Value] = {}
        """Columns to write."""
        self.problems: list[Problem] = []

    def sent(self, path: str) -> object | Literal[Sent.NOT]:
        """Return the property as it was sent, or NOT_SENT."""
        return self.document.get(path)

    def was_sent(self, path: str) -> bool:
        """Return True if the property was sent, even as null."""
        return self.document.get(path) is not NOT_SENT

    def column(self, name: str, default: Value = None) -> Value:
        """Return the value that the column will have."""
        if name in self.values:
            return self.values[name]
        if self.stored is None:
            return default
        value: Value = getattr(self.stored, name)
        return value

    def text(self, name: str) -> str:
        """Return the text that the column will have, or "" if it has none."""
        value = self.column(name)
        return value if isinstance(value, str) else ""

    def wrong(
        self, code: str, message: str, status: int = 422, check: str = "format", path: str = ""
    ) -> None:
        """Add a problem, at most MAX_PROBLEMS; pass `path` if the property's name differs from `code`."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(status, code, message, path or code, check))

    def refused(self, checked: Value | Wrong, path: str) -> Value:
        """Return a checked value; if it is wrong, add its problem and return None."""
        if not isinstance(checked, Wrong):
            return checked
        self.wrong(path, checked.message, check=checked.check)
        return None

    def is_wrong(self, code: str) -> bool:
        """Return True if a problem with this code was added."""
        return any(problem.code == code for problem in self.problems)

    def refuse_problems(self) -> None:
        """Raise Refused with all problems, if there are any."""
        if self.problems:
            raise Refused(*self.problems)


def read_fields(draft: Draft[Row], fields: Iterable[Field]) -> None:
    """Check every property that was sent, and put its value or its problem into the draft."""
    for one in fields:
        value = draft.sent(one.path)
        if value is None or (value == "" and one.kind.type == "string"):
            value = NOT_SENT if one.default is not None else None
        if value is NOT_SENT and draft.stored is None and not one.required:
            draft.values[one.column] = one.default
        elif one.required and (value is None or (value is NOT_SENT and draft.stored is None)):
            draft.wrong(one.path, f"{one.path} is missing", check="required")
        elif value is not NOT_SENT:
            _store(draft, one, value)


def _store(draft: Draft[Row], one: Field, value: object) -> None:
    kept = getattr(draft.stored, one.column, None)
    if value is not None and value == kept:
        draft.values[one.column] = kept  # shown values may be sent back, old ones too
        return
    checked = None if value is None else one.check(value)
    if checked is None and one.required:
        draft.wrong(one.path, f"{one.path} is missing", check="required")
    elif isinstance(checked, Wrong):
        draft.wrong(one.path, checked.message, check=checked.check)
    else:
        draft.values[one.column] = checked


def read_object(
    draft: Draft[Row], name: str, sent: Mapping[str, object], fields: Iterable[Field]
) -> dict[str, Value]:
    """Return the columns of an object inside the body, with defaults; `name` is its path."""
    columns: dict[str, Value] = {}
    for one in fields:
        value = sent.get(one.path)
        is_sent = value is not None and (value != "" or one.default is not None)
        columns[one.column] = (
            draft.refused(one.check(value), f"{name}.{one.path}") if is_sent else one.default
        )
    return columns
