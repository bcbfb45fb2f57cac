"""The last events of the stream in memory, which all readers share; a reader holds a position, no copy."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from registrar.store.event_stream import FIRST, order

from .told import Told

RING: Final = 4_096
"""Events kept at least: 5 MB. A reader that is further behind reads Redis, or has to come back."""
REMEMBERED: Final = 1_000
"""An event that was appended again within this number of entries is told once."""

_id = attrgetter("id")


class Keys:
    """The keys of the last entries, to find those that were appended twice."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def is_repeat(self, key: str) -> bool:
        """Return whether an entry among the last ones had this key, and remember the key."""
        known = key in self._seen
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return known


class Ring:
    """The newest events in their order. Positions count from the first event that was ever added."""

    def __init__(self) -> None:
        self._told: list[Told] = []
        self._dropped = 0
        self._after = order(FIRST)

    def begin(self, after: tuple[int, int]) -> None:
        """Forget everything; the events after this id will be added."""
        self._dropped += len(self._told)
        self._told = []
        self._after = after

    @property
    def first(self) -> int:
        """Return the position of the oldest event that is kept."""
        return self._dropped

    @property
    def last(self) -> int:
        """Return the position after the newest event."""
        return self._dropped + len(self._told)

    @property
    def newest(self) -> tuple[int, int]:
        """Return the id of the newest event, or the id after which the ring began."""
        return self._told[-1].id if self._told else self._after

    def add(self, told: Sequence[Told]) -> None:
        """Add events. If there are twice as many as needed, drop the older half."""
        self._told += told
        if len(self._told) >= 2 * RING:
            gone = len(self._told) - RING
            self._after = self._told[gone - 1].id
            self._dropped += gone
            del self._told[:gone]

    def covers(self, id: tuple[int, int]) -> bool:
        """Return whether every event after this id is kept."""
        return id >= self._after

    def position(self, id: tuple[int, int]) -> int:
        """Return the position of the first event after this id."""
        return self._dropped + bisect_right(self._told, id, key=_id)

    def since(self, position: int, count: int) -> Sequence[Told]:
        """Return up to `count` events from a position on that is still kept."""
        start = position - self._dropped
        return self._told[start : start + count]
