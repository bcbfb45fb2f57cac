"""A row while it is being created or changed: what was sent, what will be stored, what is wrong."""

from typing import Final, Generic, Literal, TypeVar

from ..errors import Problem, Refused
from .checks import Value
from .document import NOT_SENT, Document, Sent

MAX_PROBLEMS: Final = 100
"""A body of 64 KiB can hold thousands of mistakes; nobody reads more than this."""

Row = TypeVar("Row")


class Draft(Generic[Row]):
    """Gathers columns and problems; nothing is written before `refuse_problems` has let it pass."""

    def __init__(self, document: Document, stored: Row | None = None) -> None:
        self.document = document
        self.stored = stored
        """The row to change; None: a new one."""
        self.values: dict[str, Value] = {}
        """Columns to write."""
        self.problems: list[Problem] = []

    def sent(self, path: str) -> object | Literal[Sent.NOT]:
        """The property as it was sent, or NOT_SENT."""
        return self.document.get(path)

    def was_sent(self, path: str) -> bool:
        """Whether the property was sent, be it as null."""
        return self.document.get(path) is not NOT_SENT

    def column(self, name: str, default: Value = None) -> Value:
        """What the column will hold."""
        if name in self.values:
            return self.values[name]
        if self.stored is None:
            return default
        value: Value = getattr(self.stored, name)
        return value

    def text(self, name: str) -> str:
        """What a column of text will hold; empty when it holds nothing."""
        value = self.column(name)
        return value if isinstance(value, str) else ""

    def wrong(
        self, code: str, message: str, status: int = 422, check: str = "format", path: str = ""
    ) -> None:
        """Note that something is wrong; `path` is the property when `code` is not its very name."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(status, code, message, path or code, check))

    def is_wrong(self, code: str) -> bool:
        """Whether something has been noted of this property."""
        return any(problem.code == code for problem in self.problems)

    def refuse_problems(self) -> None:
        """Raises Refused with all that is wrong, if anything is."""
        if self.problems:
            raise Refused(*self.problems)
