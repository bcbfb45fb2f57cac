"""A request's JSON object, and a row while it is created or changed from it.

The object is read by dotted names: `ip.mode` is `{"ip": {"mode": ...}}`.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Final, Generic, Literal, TypeVar

from ..checks import Value, Wrong
from ..errors import Problem, Refused, refused
from ..properties import Field

MAX_PARTS: Final = 5
"""Limit of parts in a key with dots; no known property has more."""
MAX_PROBLEMS: Final = 100
"""A body of 64 KiB can hold thousands of mistakes; a user does not read more than this."""

Row = TypeVar("Row")
Columns = Mapping[str, object]
"""Checked values by column, or by the property of which a column holds only a hash."""


class Sent(Enum):
    """The mark of a property that was not sent, which differs from one that was sent as null."""

    NOT = "not sent"


NOT_SENT: Final = Sent.NOT


class Document:
    """The body of a request. Unknown properties are never read, and so ignored.

    A key with dots is a path as well: `{"ip.mode": ...}` is `{"ip": {"mode": ...}}`. If a body has both, the
    key with more dots wins.
    """

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = _nested(body)

    def get(self, path: str) -> object | Literal[Sent.NOT]:
        """Return the value at `path`, or NOT_SENT if it, or an object on the way to it, is missing."""
        value: object = self._body
        for name in path.split("."):
            if not isinstance(value, Mapping) or name not in value:
                return NOT_SENT
            value = value[name]
        return value

    def given(self, path: str) -> object:
        """Return the value at `path`, or None if it was not sent."""
        value = self.get(path)
        return None if value is NOT_SENT else value


def _nested(body: Mapping[str, object]) -> dict[str, object]:
    """Return a copy with an object for each dot in a key. All objects are new: `_put` may write to them."""
    whole = {name: _nested(value) if isinstance(value, Mapping) else value for name, value in body.items()}
    nested = {name: value for name, value in whole.items() if "." not in name}
    for name in sorted((name for name in whole if "." in name), key=lambda name: name.count(".")):
        _put(nested, name.split("."), whole[name])
    return nested


def _put(into: dict[str, object], path: list[str], value: object) -> None:
    """Set the value at the path, unless a part of the path is not an object; its own check refuses that."""
    if len(path) > MAX_PARTS or "" in path:
        return
    for name in path[:-1]:
        inner = into.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        into = inner
    into[path[-1]] = value


class Draft(Generic[Row]):
    """A collector of columns and problems; nothing is written before `refuse_problems` returns."""

    def __init__(self, document: Document, stored: Row | None = None) -> None:
        self.sent, self.given = document.get, document.given
        self.stored = stored
        """The row to change, or None for a new one."""
        self.values: dict[str, object] = {}
        """Columns to write."""
        self.problems: list[Problem] = []

    def was_sent(self, path: str) -> bool:
        """Return True if the property was sent, even as null."""
        return self.sent(path) is not NOT_SENT

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

    def column(self, name: str, default: Value = None) -> object:
        """Return the value that the column will have."""
        kept = default if self.stored is None else getattr(self.stored, name)
        return self.values.get(name, kept)

    def wrong(
        self, code: str, message: str, status: int = 422, check: str = "format", path: str = ""
    ) -> None:
        """Add a problem, at most MAX_PROBLEMS; pass `path` if the property's name differs from `code`."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(status, code, message, path or code, check))

    def refused(self, checked: object, path: str) -> object:
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

    def require_objects(self, paths: Iterable[str]) -> None:
        """Refuse anything else than an object, or null, at these paths."""
        for path in paths:
            if self.given(path) is not None and not isinstance(self.given(path), Mapping):
                self.wrong(path, f"{path} must be an object")

    def read_fields(self, fields: Iterable[Field]) -> None:
        """Check every property that was sent, and keep its value or its problem."""
        for one in fields:
            value = self.value_of(one)
            if value is NOT_SENT and self.stored is not None:
                continue
            checked = one.default if value is NOT_SENT else self.checked(one, value)
            if isinstance(checked, Wrong):
                self.wrong(one.path, checked.message, check=checked.check)
            elif checked is None and one.required:
                self.wrong(one.path, f"{one.path} is missing", check="required")
            else:
                self.values[one.column] = checked

    def read_array(self, path: str) -> list[object] | None:
        """Return an array that was sent, empty for null. Return None if it was not sent, or is no array."""
        sent = self.sent(path)
        if sent is None or isinstance(sent, list):
            return sent or []
        if sent is not NOT_SENT:
            self.wrong(path, f"{path} must be an array")
        return None

    def objects_in(self, path: str, sent: Iterable[object]) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Yield the objects of an array, each with its path; anything else is a problem."""
        for position, item in enumerate(sent):
            name = f"{path}[{position}]"
            if isinstance(item, Mapping):
                yield name, item
            else:
                self.wrong(name, f"{name} must be an object")

    def read_object(
        self, name: str, sent: Mapping[str, object], fields: Iterable[Field]
    ) -> dict[str, object]:
        """Return the columns of an object inside the body, with defaults; `name` is its path."""
        columns: dict[str, object] = {}
        for one in fields:
            value = sent.get(one.path)
            is_sent = value is not None and (value != "" or one.default is not None)
            checked = one.check(value) if is_sent else one.default
            columns[one.column] = self.refused(checked, f"{name}.{one.path}")
        return columns

    async def read_reference(
        self, path: str, column: str, find: Callable[[object], Awaitable[int | None]], what: str
    ) -> None:
        """Read a property that is the id of another row; `find` returns that row's primary key."""
        sent = self.sent(path)
        if sent is NOT_SENT:
            return
        found = None if sent in (None, "") else await find(sent)
        if found is None and sent not in (None, ""):
            self.wrong(path, f"{what} not found", 404, "exists")
        else:
            self.values[column] = found


def accepted(checked: Value | Wrong, path: str) -> Value:
    """Return a checked value that belongs to no row. Raise Refused (422) if it is wrong."""
    if isinstance(checked, Wrong):
        raise refused(path, checked.message, checked.check, 422)
    return checked
