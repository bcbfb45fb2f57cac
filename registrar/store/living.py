"""The processes that live, as this process has seen their leases."""

from collections.abc import Iterable
from typing import Final

from registrar.model import Process

MAX_DOUBTED: Final = 1_000
"""Limit of processes that are remembered because they were asked about and have no lease."""


class Living:
    """Memory of the leases that were seen.

    A process whose lease was never seen may have started just now. So it counts as living until a look at the
    leases that began after the first question about it has not found its lease. A process whose lease was
    seen, and is gone at the next look, is dead at once. Before the first look, all other processes count as
    living.
    """

    def __init__(self, process: Process) -> None:
        """Create the memory; `process` is this process, which lives."""
        self._process = process
        self._seen: frozenset[Process] = frozenset()
        self._doubted: dict[Process, int] = {}
        """The number of the last look that had begun when a process was first in doubt."""
        self._begun = 0
        self._done = 0
        """The number of the last look that was complete."""

    def lives(self, process: Process) -> bool:
        """Return whether the process lives. Our own name belongs to this process alone."""
        if process.node == self._process.node:
            return process == self._process
        if process in self._seen:
            return True
        return self._done <= self._doubt(process, self._begun)

    def _doubt(self, process: Process, look: int) -> int:
        """Return the number of the last look that had begun when a process was first in doubt."""
        if process not in self._doubted and len(self._doubted) >= MAX_DOUBTED:
            del self._doubted[next(iter(self._doubted))]
        return self._doubted.setdefault(process, look)

    def begin(self) -> int:
        """Note that a look at all leases begins, and return its number."""
        self._begun += 1
        return self._begun

    def looked(self, look: int, found: Iterable[Process], *, sure: bool) -> None:
        """Note the processes whose leases a look has found.

        If it is not `sure`, then Redis was away just now, and leases that are missing will be renewed. Then
        the processes that were seen before still live.
        """
        living = frozenset(found)
        if sure:
            self._done = look
            for process in self._seen - living:
                self._doubt(process, look - 1)
        self._seen = living if sure else self._seen | living
        for process in living:
            self._doubted.pop(process, None)
