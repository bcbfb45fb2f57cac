"""The figures of a row, whether they are met, and the table of all rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.patience import limit
from tests.wire.chaos.journal import Attempt

WRONG: Final = (401, 403, 404)
PER_SAMPLES: Final = 10_000
"""One status sample of so many may disagree with its phone."""
HEAD: Final = (
    "row", "faults", "acknowledged", "5xx", "no answer", "lost", "wrong", "samples", "disagree", "recovered",
    "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What came of a row."""

    row: str
    faults: int
    attempts: Sequence[Attempt]
    lost: Sequence[str]
    """Acknowledged bindings that were not there after the fault."""
    samples: int
    disagreements: Sequence[str]
    rude: Sequence[str]
    """Refusals of REGISTER that were neither 200 nor 503 with Retry-After."""
    exceptions: float
    """Unhandled ones, of both nodes."""
    recovered: float | None
    """Seconds from the end of the fault; None: never."""
    at_most: float
    """Seconds that it may take."""

    @property
    def statuses(self) -> Counter[int]:
        return Counter(attempt.status for attempt in self.attempts)

    @property
    def acknowledged(self) -> int:
        return self.statuses[200]

    @property
    def wrong(self) -> list[Attempt]:
        """Answers that blame the client for a fault of ours."""
        return [attempt for attempt in self.attempts if attempt.status in WRONG]

    def failures(self) -> list[str]:
        """What is not as it must be; empty: the row holds."""
        late = self.recovered is None or self.recovered > limit(self.at_most)
        found = {
            "no fault was injected": not self.faults,
            "nothing was acknowledged": not self.acknowledged,
            "no status was compared": not self.samples,
            f"lost: {self.lost[:3]}": self.lost,
            f"wrong: {self.wrong[:3]}": self.wrong,
            f"disagree: {self.disagreements[:3]}": len(self.disagreements) * PER_SAMPLES > self.samples,
            f"refused without a reason: {Counter(self.rude).most_common(3)}": self.rude,
            f"{self.exceptions:.0f} unhandled exceptions": self.exceptions,
            f"recovered after {self.recovered} s, {self.at_most:g} s expected": late,
        }
        return [text for text, bad in found.items() if bad]

    def cells(self) -> list[str]:
        """Its row of the table."""
        statuses = self.statuses
        broken = sum(number for status, number in statuses.items() if status >= 500)
        recovered = "never" if self.recovered is None else f"{self.recovered:.1f} s"
        numbers = (
            self.faults, self.acknowledged, broken, statuses[0], len(self.lost), len(self.wrong),
            self.samples, len(self.disagreements),
        )  # fmt: skip
        return [
            self.row,
            *(f"{number:,}" for number in numbers),
            recovered,
            "fails" if self.failures() else "holds",
        ]


def recovery(attempts: Sequence[Attempt], healed: float) -> float | None:
    """Seconds from the end of a fault until each kind of request is acknowledged at each node and stays so.

    None if one of them never was.
    """
    ends: list[float] = []
    for key in {(one.kind, one.node) for one in attempts}:
        later = [one for one in attempts if (one.kind, one.node) == key and one.began >= healed]
        failed = max((one.began for one in later if not one.acknowledged), default=healed)
        served = [one.ended for one in later if one.acknowledged and one.began >= failed]
        if not served:
            return None
        ends.append(min(served))
    return max(ends, default=healed) - healed


def table(verdicts: Sequence[Verdict]) -> str:
    """All rows in Markdown."""
    rows = [HEAD, ("---",) * len(HEAD), *(one.cells() for one in verdicts)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
