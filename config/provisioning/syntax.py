"""The syntaxes of configuration files: one writer each, which escapes a value or refuses it."""

from collections.abc import Iterable
from dataclasses import dataclass, field


class Unwritable(Exception):
    """A value that the format of the phone cannot carry: no file is better than a broken one."""

    def __init__(self, field: str, reason: str) -> None:
        """Take the name of the setting as the API has it, and what is wrong with its value."""
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Pair:
    """One setting of a phone: its name, its value, and where the value comes from."""

    name: str
    value: str
    source: str = ""
    """The property of the API that the value comes from, for an error message."""
    attributes: tuple[tuple[str, str], ...] = ()
    """What the syntax adds to a name: `idx`, `perm`, `ua`."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A setting that was not written, and why."""

    field: str
    """The property of the API, such as `softkeys[3]`."""
    reason: str


@dataclass(slots=True)
class Draft:
    """What a brand says of a phone: the pairs in their order, what is left out, and warnings."""

    pairs: list[Pair] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, name: str, value: str | int, source: str = "", **attributes: str) -> None:
        """Add one setting."""
        self.pairs.append(Pair(name, str(value), source, tuple(attributes.items())))

    def leave(self, source: str, reason: str) -> None:
        """Note that a property of the API is not written."""
        self.left_out.append(LeftOut(source, reason))


def equals(pairs: Iterable[Pair]) -> str:
    """Return lines `name = value`, as Yealink reads them."""
    return "".join(f"{one.name} = {_plain(one, '%NULL%')}\n" for one in pairs)


def _plain(pair: Pair, *forbidden: str) -> str:
    """Return a value that goes into a line as it is, or raise `Unwritable`: such a line knows no escape."""
    value = pair.value
    if any(char < " " or "\x7f" <= char <= "\x9f" or char in "\u2028\u2029" for char in value):
        raise Unwritable(pair.source or pair.name, "control characters cannot be written for this phone")
    if value != value.strip():
        raise Unwritable(pair.source or pair.name, "blanks at the ends cannot be written for this phone")
    for text in forbidden:
        if text in value:
            raise Unwritable(pair.source or pair.name, f"{text} has a meaning to this phone")
    return value
