"""How long this node may use what it has read from the database (decisions 14 and 121)."""

from collections.abc import Callable
from typing import Final

from registrar.model import Mono

FRESH_SECONDS: Final = 60
"""How long an entry is used without a query, even if no change is followed."""
FOLLOWED_SECONDS: Final = 5.0
"""How old the last poll of the table `change` may be for an older entry to be used without a query."""
LONGEST_SECONDS: Final = 86_400
"""After so long an entry is read again in any case: a row may have been changed by hand, and not noted."""
BELIEVED_SECONDS: Final = 600
"""How long an entry may be used while the database cannot be reached, from when it was last known right."""
SELECT_SECONDS: Final = 0.4
"""A database that has not answered by then counts as away: a phone that waits sends its request again."""


class Freshness:
    """What is known about all entries together: when changes may have been missed, and until when none was.

    An entry has the moment at which its read began. A change of its row puts an entry in doubt by itself:
    this class knows nothing of single entries.
    """

    def __init__(self, clock: Callable[[], Mono]) -> None:
        self._clock = clock
        self._since = float("-inf")
        """The last gap: entries read before it may have changed without our hearing of it."""
        self._followed = float("-inf")
        """When the last poll began that missed nothing: all changes committed before it have been heard."""
        self._before = (float("-inf"), float("-inf"))
        """Both, as they were when the last gap began that followed a poll."""

    def missed(self) -> None:
        """Note that changes may have been missed: each entry is read again at its next use."""
        if self._followed > self._since:
            self._before = self._since, self._followed
        self._since = self._clock()

    def followed(self, began: Mono) -> None:
        """Note that a poll that began then has told each change since the last gap, and they were heard."""
        self._followed = began

    def is_fresh(self, read_at: float) -> bool:
        """Return whether an entry without a known change may be used without a query."""
        if read_at < self._since:
            return False
        now = self._clock()
        age = now - read_at
        return age <= FRESH_SECONDS or (now - self._followed <= FOLLOWED_SECONDS and age <= LONGEST_SECONDS)

    def is_gap_between(self, earlier: float, later: float) -> bool:
        """Return whether changes may have been missed between two moments."""
        return earlier < self._since <= later

    def right_at(self, read_at: float) -> float:
        """Return the last moment at which an entry without a known change was surely right.

        Entries from before two gaps are rare, and were right when they were read.
        """
        since, followed = self._before if read_at < self._since else (self._since, self._followed)
        return max(read_at, followed) if read_at >= since else read_at

    def is_believed(self, right_at: float) -> bool:
        """Return whether an entry that was right at this moment may be used while the database is away."""
        return self._clock() - right_at <= BELIEVED_SECONDS
