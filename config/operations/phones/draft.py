"""A phone while it is being created or changed: what was sent, what will be stored, what is wrong."""

from typing import Final, Literal

from ...errors import Problem, Refused
from ...tables import Customer, Extension, SipPhone, SipPhoneModel
from ..document import NOT_SENT, Document, Sent
from .checks import Value

MAX_PROBLEMS: Final = 100
"""A body of 64 KiB can hold thousands of mistakes; nobody reads more than this."""


class Draft:
    """Gathers columns and problems; nothing is written before `refuse_problems` has let it pass."""

    def __init__(self, document: Document, customer: Customer | None, stored: SipPhone | None = None) -> None:
        self.document = document
        self.customer = customer
        self.stored = stored
        """The phone to change; None: a new one."""
        self.model: SipPhoneModel | None = None
        """The model it will have; None: an unknown one was sent."""
        self.model_changed = stored is None
        self.extension: Extension | None = None
        """The extension it will have."""
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

    def wrong(
        self, code: str, message: str, status: int = 422, check: str = "format", path: str = ""
    ) -> None:
        """Note that something is wrong; `path` is the property when `code` is not its very name."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(status, code, message, path or code, check))

    def refuse_problems(self) -> None:
        """Raises Refused with all that is wrong, if anything is."""
        if self.problems:
            raise Refused(*self.problems)
