"""What came of a request to a redirect service, and what every service can do."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol


class Verdict(Enum):
    """What happens next with a row of the outbox."""

    DONE = "done"
    FOREIGN = "the MAC address belongs to another provider"
    REFUSED = "the service does not take it, however often it is asked"
    LATER = "a fault that passes: it is tried again"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of a service about one MAC address."""

    verdict: Verdict
    error: str = ""


DONE: Final = Outcome(Verdict.DONE)


class Unanswered(Exception):
    """A service gave no answer that can be used; the text says why. The request is tried again."""


class Service(Protocol):
    """A redirect service with one account. Its methods raise Unanswered, and nothing else."""

    async def register(self, mac: str, url: str) -> Outcome:
        """Let the service send the phone with this MAC address to a URL, also if it had another one."""

    async def deregister(self, mac: str) -> Outcome:
        """Let the service forget a MAC address. It is DONE if the service does not know it."""


def foreign(error: str) -> Outcome:
    """Return that the MAC address belongs to another provider."""
    return Outcome(Verdict.FOREIGN, printable(error))


def refused(error: str) -> Outcome:
    """Return that the service does not take this MAC address or URL."""
    return Outcome(Verdict.REFUSED, printable(error))


def later(error: str) -> Outcome:
    """Return a fault that passes."""
    return Outcome(Verdict.LATER, printable(error))


def printable(text: str) -> str:
    """Return a text of a service as one line that can be shown."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
