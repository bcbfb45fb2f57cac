"""Follows the table `change`, so that entries of the caches stay good as long as no change is missed.

The rows of a transaction get their numbers before it commits, so row 7 may appear after row 8. Each poll
reads again what may be missing of the last `AGAIN_SECONDS`. It begins at the last number before which no row
can appear any more: all numbers up to there were seen, or were given out before that time. A transaction
writes its rows last, so none keeps them open for longer.

Old rows are removed, but never the newest one. So the newest row that this process has seen is in the answer
of each poll. If it is not, then rows after it may have been removed too: this process was away for longer
than rows are kept, or the database is another one. Then any entry may be wrong.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Change, Epoch, Mono
from registrar.ports import Clock

from .announce import from_rows
from .changes_sql import Row, SqlChanges
from .freshness import Freshness

POLL_SECONDS: Final = 2.0
"""With `SELECT_SECONDS` it is less than `freshness.FOLLOWED_SECONDS`."""
RETRY_SECONDS: Final = 1.0
SELECT_SECONDS: Final = 2.0
"""A database that has not answered by then counts as away."""
AGAIN_SECONDS: Final = 60.0
"""How long a row may take from its number to its commit."""
START_SECONDS: Final = 300.0
"""How far a start looks back: `AGAIN_SECONDS`, and what clocks of two machines may differ."""
MAX_HEARD: Final = 10_000
"""Limit of announced rows that no poll has seen yet. Rows beyond it are dealt with twice."""

log = logging.getLogger(__name__)


class Follower:
    """Polls the noted changes, and passes on those that were not announced."""

    def __init__(
        self,
        changes: SqlChanges,
        freshness: Freshness,
        clock: Clock,
        mono: Callable[[], Mono],
        metrics: Metrics,
        changed: Callable[[Change], Awaitable[None]],
    ) -> None:
        """Create it; `changed` must put the entries that a change names in doubt before it returns."""
        self._changes = changes
        self._freshness = freshness
        self._clock = clock
        self._mono = mono
        self._metrics = metrics
        self._changed = changed
        self._newest: int | None = None
        """The newest row that a poll has seen; None: not begun."""
        self._floor = 0
        """No row before this one can appear any more."""
        self._seen: set[int] = set()
        """The rows after it that polls have seen."""
        self._marks: deque[tuple[Mono, int]] = deque()
        """When each poll of the last `AGAIN_SECONDS` began, and the newest row that it saw."""
        self._heard: set[int] = set()
        self._fails = False

    def heard(self, rows: Iterable[int]) -> None:
        """Note rows whose changes were announced, so that a poll does not pass them on again."""
        self._heard.update(rows)
        if len(self._heard) > MAX_HEARD:
            self._heard.clear()

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            try:
                await self.poll()
                self._note_fault(None)
            except (StoreUnavailable, TimeoutError) as error:
                self._note_fault(error)
            await asyncio.sleep(RETRY_SECONDS if self._fails else POLL_SECONDS)

    async def poll(self) -> None:
        """Read the rows once, and pass on what is new. Raises StoreUnavailable or TimeoutError."""
        began = self._mono()
        if self._newest is None:
            await self._begin(began)
            return
        async with asyncio.timeout(SELECT_SECONDS):
            rows = await self._changes.since(self._floor)
        if all(row.seq != self._newest for row in rows):
            await self._lose_track(began)
            return
        new = [row for row in rows if row.seq > self._floor and row.seq not in self._seen]
        unheard = [(row.what, row.id) for row in new if row.seq not in self._heard]
        self._metrics.changes_unheard.inc(len(unheard))
        for change in from_rows(unheard):
            await self._changed(change)
        self._see(rows, began)
        self._freshness.followed(began)

    async def _begin(self, began: Mono) -> None:
        """Begin to follow: what was read before now is read again, what comes later is passed on."""
        async with asyncio.timeout(SELECT_SECONDS):
            floor = await self._changes.last_before(Epoch(self._clock() - START_SECONDS))
            rows = await self._changes.since(floor)
        if not rows:
            raise StoreUnavailable("the table change is empty")
        self._floor, self._newest = floor, floor
        self._seen.clear()
        self._marks.clear()
        self._see(rows, began)
        self._freshness.missed()
        self._freshness.followed(began)

    async def _lose_track(self, began: Mono) -> None:
        log.warning("changes of the configuration were missed: all phones are read and checked again")
        self._metrics.changes_missed.inc()
        self._newest = None
        await self._changed(Change(everybody=True))
        await self._begin(began)

    def _see(self, rows: Sequence[Row], began: Mono) -> None:
        """Note the rows that a poll saw, and how far no row can be missing."""
        numbers = [row.seq for row in rows]
        self._newest = max(numbers)
        self._seen.update(numbers)
        self._heard.difference_update(numbers)
        self._marks.append((began, self._newest))
        while began - self._marks[0][0] > AGAIN_SECONDS:
            self._floor = max(self._floor, self._marks.popleft()[1])
        while self._floor + 1 in self._seen:
            self._floor += 1
        self._seen = {seq for seq in self._seen if seq > self._floor}

    def _note_fault(self, error: Exception | None) -> None:
        """Write one line when the changes cannot be followed any more, and one when they can again."""
        if error is not None and not self._fails:
            why = str(error) or "the database does not answer"
            log.warning("changes of the configuration are not followed: %s", why)
        elif error is None and self._fails:
            log.info("changes of the configuration are followed again")
        self._fails = error is not None
