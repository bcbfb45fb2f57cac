"""One finding: how bad it is, what was looked at, what was seen, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WIDTH: Final = 14


class Level(StrEnum):
    """How bad it is; only FAIL keeps the program from its work."""

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
        """The same for programs."""
        return {"level": self.level, "what": self.what, "detail": self.detail, "advice": self.advice}


def ok(what: str, detail: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, what, detail)


def warn(what: str, detail: str, advice: str) -> Finding:
    """It works, and should be seen to."""
    return Finding(Level.WARN, what, detail, advice)


def fail(what: str, detail: str, advice: str) -> Finding:
    """It does not work like this."""
    return Finding(Level.FAIL, what, detail, advice)
