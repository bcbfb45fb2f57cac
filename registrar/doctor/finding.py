"""One finding: its level, what was checked, what was found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WIDTH: Final = 14


class Level(StrEnum):
    """The level of a finding. Only FAIL keeps the program from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Level
    what: str
    detail: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{self.level:<4}  {self.what:<{WIDTH}}  {self.detail}"
        return f"{line} -> {self.advice}" if self.advice else line

    def json(self) -> dict[str, str]:
        """Return the finding as a dictionary for programs."""
        return {"level": self.level, "what": self.what, "detail": self.detail, "advice": self.advice}


def ok(what: str, detail: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, what, detail)


def warn(what: str, detail: str, advice: str) -> Finding:
    """Return a finding about something that works, but needs attention."""
    return Finding(Level.WARN, what, detail, advice)


def fail(what: str, detail: str, advice: str) -> Finding:
    """Return a finding about something that does not work."""
    return Finding(Level.FAIL, what, detail, advice)
