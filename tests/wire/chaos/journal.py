"""What phones and readers asked and were answered, and what the API showed beside what phones know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

NO_ANSWER: Final = 0
SHOWN: Final = 8
"""So many disagreements are kept in words."""


@dataclass(frozen=True)
class Attempt:
    """One request with its final answer. Times are of the wall clock of the test."""

    kind: str
    node: str
    began: float
    ended: float
    status: int

    @property
    def acknowledged(self) -> bool:
        return self.status == 200


@dataclass(frozen=True)
class Truth:
    """What a phone knows of itself at a moment."""

    online: bool
    change: int = 0
    """Grows with each change: a look counts only if nothing changed while it was made."""


Truths = Mapping[str, Truth]
"""By the id of a phone; one that is not in it does not know, for it waits for an answer."""


@dataclass
class Journal:
    """All of it, in the order in which it ended; several threads write."""

    attempts: list[Attempt] = field(default_factory=list)
    samples: int = 0
    unknown: int = 0
    """Samples whose status was shown as unknown: Redis did not answer."""
    excused: int = 0
    """Phones on connections of a node that others must take for dead."""
    disagreements: list[str] = field(default_factory=list)

    def note(self, kind: str, node: str, began: float, ended: float, status: int) -> None:
        """Write down one request."""
        self.attempts.append(Attempt(kind, node, began, ended, status))

    def compare(
        self, node: str, at: float, shown: Mapping[str, Any], before: Truths, after: Truths, struck: set[str]
    ) -> None:
        """Write down what a node showed of all phones, between two questions to the phones themselves."""
        for phone, truth in before.items():
            if after.get(phone) == truth:
                self._sample(node, at, phone, truth, shown.get(phone), phone in struck)

    def _sample(
        self, node: str, at: float, phone: str, truth: Truth, status: dict[str, Any] | None, struck: bool
    ) -> None:
        online = status["online"] if status else None
        self.samples += 1
        if online is None:
            self.unknown += 1
        elif online != truth.online and struck:
            self.excused += 1
        elif online != truth.online:
            reason = status["reason"] if status else None
            self.disagreements.append(f"{at:.2f} {node} shows {phone} online: {online} ({reason})")

    def succeeded(self, kind: str, node: str, since: float) -> bool:
        """Whether a request that began after a moment was acknowledged."""
        return any(
            (one.kind, one.node) == (kind, node) and one.began >= since and one.acknowledged
            for one in reversed(self.attempts)
        )
