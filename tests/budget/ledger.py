"""The committed budget, and what is over it.

`figures.json` holds the commit that the figures were counted at, a sentence for each change of a figure
since, and the figures: Redis commands, SQL statements, and Python function calls for each minor version.
"""

import json
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from tests.budget.meter import Cost, measure

FILE: Final = Path(__file__).with_name("figures.json")
MEASUREMENTS: Final = 3
"""A busy machine takes long, and that adds calls: what is over the budget is counted again."""
MORE_CALLS: Final = 1.03
"""So many times the committed calls are the most; one command or statement more is too much."""
Version = tuple[int, int]


@dataclass(frozen=True)
class Budget:
    """The committed figures for one version of Python."""

    costs: dict[str, Cost]

    def overruns(self, counted: dict[str, Cost]) -> list[str]:
        """Return a sentence for each figure that is over the budget, or not in it."""
        if counted.keys() != self.costs.keys():
            return [f"counted {sorted(counted)}, committed {sorted(self.costs)}"]
        return [line for kind, cost in counted.items() for line in _overruns(kind, self.costs[kind], cost)]

    def check(self, folder: Path) -> dict[str, Cost]:
        """Return what requests cost. If it is too much, return the least of some measurements."""
        counted = measure(folder / "1")
        for number in range(2, MEASUREMENTS + 1):
            if not self.overruns(counted):
                break
            counted = _least(counted, measure(folder / str(number)))
        return counted

    def table(self, counted: dict[str, Cost]) -> list[str]:
        """Return a line for each kind of request: counted (committed)."""
        return [
            f"{kind:<20} calls {cost.calls} ({committed.calls}, {cost.calls / committed.calls - 1:+.1%})"
            f"  commands {cost.commands} ({committed.commands})"
            f"  statements {cost.statements} ({committed.statements})"
            for kind, cost in counted.items()
            for committed in (self.costs[kind],)
        ]


def read_budget(version: Version, file: Path = FILE) -> Budget:
    """Return the budget for a version of Python, or of the nearest version that has figures.

    Newer versions make fewer calls for the same code (PEP 709 inlines comprehensions), so the figures of an
    older one still limit them.
    """
    figures = json.loads(file.read_text())
    versions = {tuple(map(int, text.split("."))): text for text in figures["calls"]}
    nearest = min(versions, key=lambda known: (abs(known[1] - version[1]), known))
    calls = figures["calls"][versions[nearest]]
    return Budget(
        {kind: Cost(calls[kind], figures["commands"][kind], figures["statements"][kind]) for kind in calls}
    )


def _least(one: dict[str, Cost], other: dict[str, Cost]) -> dict[str, Cost]:
    return {kind: Cost(*map(min, astuple(cost), astuple(other[kind]))) for kind, cost in one.items()}


def _overruns(kind: str, committed: Cost, counted: Cost) -> list[str]:
    lines = []
    if counted.calls > committed.calls * MORE_CALLS:
        lines.append(f"{kind}: {counted.calls} calls, {committed.calls} committed, +3 % allowed")
    for name in ("commands", "statements"):
        now, before = getattr(counted, name), getattr(committed, name)
        if now > before:
            lines.append(f"{kind}: {now} {name}, {before} committed")
    return lines
