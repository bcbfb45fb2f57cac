"""How many calls each phone, extension, callee and customer has, here and at other nodes.

The counts are those of the calls that exist: the table of calls puts each call here, with every change of its
parties, and takes it out where it forgets it. What other nodes report counts for a few seconds only, so the
calls of a node that is killed give their places back.
"""

from typing import Final

from registrar.model import Call, Epoch
from registrar.rules.quotas import names_of

REPORT_SECONDS: Final = 1.0
BELIEVED_SECONDS: Final = 3.5
"""How long a report of another node counts: three reports and a little more."""
LEAST_REPORTED: Final = 3
"""A node does not tell of fewer calls. So a phone may have a few more than its quota over many nodes."""


class CallCounts:
    """The counts of one process."""

    def __init__(self) -> None:
        self._calls: dict[str, set[str]] = {}
        """Name -> its calls."""
        self._names: dict[str, frozenset[str]] = {}
        """Call -> the names that it counts for."""
        self._elsewhere: dict[str, tuple[Epoch, dict[str, int]]] = {}
        """Process -> when it has reported, and what."""

    def put(self, call: Call) -> None:
        """Count a call, or note that its parties or its state have changed."""
        names, before = names_of(call), self._names.get(call.id, frozenset())
        self._names[call.id] = names
        for name in names - before:
            self._calls.setdefault(name, set()).add(call.id)
        if before:
            self._leave(call.id, before - names)

    def remove(self, call: str) -> None:
        """Forget a call."""
        self._leave(call, self._names.pop(call, frozenset()))

    def _leave(self, call: str, names: frozenset[str]) -> None:
        for name in names:
            calls = self._calls[name]
            calls.discard(call)
            if not calls:
                del self._calls[name]

    def count(self, name: str, now: Epoch) -> int:
        """Return how many calls there are for a name, at all nodes."""
        here = len(self._calls.get(name, ()))
        return here + self._count_elsewhere(name, now) if self._elsewhere else here

    def _count_elsewhere(self, name: str, now: Epoch) -> int:
        fresh = [told for at, told in self._elsewhere.values() if now - at <= BELIEVED_SECONDS]
        return sum([told.get(name, 0) for told in fresh])

    def report(self) -> dict[str, int]:
        """Return what other nodes must know."""
        return {name: len(calls) for name, calls in self._calls.items() if len(calls) >= LEAST_REPORTED}

    def heard(self, process: str, told: dict[str, int], now: Epoch) -> None:
        """Note the report of another process."""
        for other in [one for one, (at, _) in self._elsewhere.items() if now - at > BELIEVED_SECONDS]:
            del self._elsewhere[other]
        self._elsewhere[process] = (now, told)
