"""A row while it is created or changed: the properties sent, the columns to store, and the problems."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final, Generic, Literal, TypeVar

from ..checks import Value, Wrong
from ..errors import Problem, Refused, refused
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

    def value_of(self, field: Field) -> object | Literal[Sent.NOT]:
        """Return the value of a property as it was sent; null means NOT_SENT if there is a default."""
        value = self.sent(field.path)
        if value is None or (value == "" and field.kind.type == "string"):
            return NOT_SENT if field.default is not None else None
        return value

    def checked(self, field: Field, value: object) -> Value | Wrong:
        """Return the value to store for one that was sent; shown values may be sent back, old ones too."""
        if value is None:
            return None
        kept: Value = getattr(self.stored, field.column, None)
        return kept if value == kept else field.check(value)

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
        value = draft.value_of(one)
        if value is NOT_SENT and draft.stored is None and not one.required:
            draft.values[one.column] = one.default
        elif one.required and (value is None or (value is NOT_SENT and draft.stored is None)):
            draft.wrong(one.path, f"{one.path} is missing", check="required")
        elif value is not NOT_SENT:
            _store(draft, one, draft.checked(one, value))


def _store(draft: Draft[Row], one: Field, checked: Value | Wrong) -> None:
    if isinstance(checked, Wrong):
        draft.wrong(one.path, checked.message, check=checked.check)
    elif checked is None and one.required:
        draft.wrong(one.path, f"{one.path} is missing", check="required")
    else:
        draft.values[one.column] = checked


def read_array(draft: Draft[Row], path: str) -> list[object] | None:
    """Return an array that was sent, empty for null. Return None if it was not sent, or is not an array."""
    sent = draft.sent(path)
    if sent is None or isinstance(sent, list):
        return sent or []
    if sent is not NOT_SENT:
        draft.wrong(path, f"{path} must be an array")
    return None


def objects_in(
    draft: Draft[Row], path: str, sent: Iterable[object]
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the objects of an array, each with its path; anything else is a problem."""
    for position, item in enumerate(sent):
        name = f"{path}[{position}]"
        if isinstance(item, Mapping):
            yield name, item
        else:
            draft.wrong(name, f"{name} must be an object")


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


async def read_reference(
    draft: Draft[Row], path: str, column: str, find: Callable[[object], Awaitable[int | None]], what: str
) -> None:
    """Read a property that is the id of another row; `find` returns that row's primary key."""
    sent = draft.sent(path)
    if sent is NOT_SENT:
        return
    found = None if sent in (None, "") else await find(sent)
    if found is None and sent not in (None, ""):
        draft.wrong(path, f"{what} not found", 404, "exists")
    else:
        draft.values[column] = found


def accepted(checked: Value | Wrong, path: str) -> Value:
    """Return a checked value that belongs to no row. Raise Refused (422) if it is wrong."""
    if isinstance(checked, Wrong):
        raise refused(path, checked.message, checked.check, 422)
    return checked
