"""Deadlines of keys: a heap that drops a changed or removed deadline when it reaches the head."""

from heapq import heapify, heappop, heappush
from typing import Final

from registrar.model import Mono

from .key import Key

SLACK: Final = 64  # the heap is rebuilt when its stale entries outnumber the current ones by more than this


class Deadlines:
    """At most one deadline for each key."""

    __slots__ = ("_at", "_heap")

    def __init__(self) -> None:
        self._at: dict[Key, Mono] = {}
        self._heap: list[tuple[Mono, Key]] = []

    def set(self, key: Key, when: Mono | None) -> None:
        """Set the deadline of `key` to `when`, or remove it if `when` is None."""
        if when is None:
            self._at.pop(key, None)
        elif self._at.get(key) != when:
            self._at[key] = when
            heappush(self._heap, (when, key))
        if len(self._heap) > 2 * len(self._at) + SLACK:
            self._heap = [(at, each) for each, at in self._at.items()]
            heapify(self._heap)

    def head(self) -> Mono | None:
        """Return the earliest deadline, or None if there is none."""
        heap = self._heap
        while heap:
            when, key = heap[0]
            if self._at.get(key) == when:
                return when
            heappop(heap)
        return None

    def pop(self, now: Mono) -> Key | None:
        """Remove and return one key that is due at `now`, the earliest first, or None."""
        head = self.head()
        if head is None or head > now:
            return None
        _, key = heappop(self._heap)
        del self._at[key]
        return key
