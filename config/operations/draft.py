"""A row while it is created or changed: the properties sent, the columns to store, and the problems."""

from typing import Final, Generic, Literal, TypeVar

from ..errors import Problem, Refused
from .checks import Value
from .document import NOT_SENT, Document, Sent

MAX_PROBLEMS: Final = 100
"""A body of 64 KiB can hold thousands of mistakes; a user does not read more than this."""

Row = TypeVar("Row")


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

    def is_wrong(self, code: str) -> bool:
        """Return True if a problem with this code was added."""
        return any(problem.code == code for problem in self.problems)

    def refuse_problems(self) -> None:
        """Raise Refused with all problems, if there are any."""
        if self.problems:
            raise Refused(*self.problems)
