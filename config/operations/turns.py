"""Fair access to a scarce resource: sources take turns, so many requests of one delay only that source."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

MAX_WAITING: Final = 1_000
"""Limit of waiting requests. Above it, the newest request of the source with the most is rejected."""

Place = asyncio.Future[None]


class Crowded(Exception):
    """Too many requests wait, and most of them are from the source of this one."""


@dataclass(slots=True)
class _Line:
    """The waiting requests of one source: known accounts are served before all others."""

    known: deque[Place] = field(default_factory=deque)
    others: deque[Place] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.known) + len(self.others)


class FairTurns:
    """A limit on concurrent work. If all places are taken, the sources that wait are served in rotation."""

    def __init__(self, at_once: int, most: int = MAX_WAITING) -> None:
        """Serve `at_once` requests at the same time; let `most` requests wait."""
        self._free = at_once
        self._most = most
        self._waiting = 0
        self._lines: dict[str, _Line] = {}
        """The waiting requests by source; the first source is served next."""

    @asynccontextmanager
    async def turn(self, source: str, *, known: bool = False) -> AsyncIterator[None]:
        """Wait for a turn, which lasts for the block. Raise Crowded."""
        await self._take(source, known=known)
        try:
            yield
        finally:
            self._give()

    async def _take(self, source: str, *, known: bool) -> None:
        if self._free:
            self._free -= 1
            return
        place: Place = asyncio.get_running_loop().create_future()
        line = self._lines.setdefault(source, _Line())
        (line.known if known else line.others).append(place)
        self._waiting += 1
        if self._waiting > self._most:
            self._send_one_away()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._give()  # the turn came just before the cancellation
            raise

    def _give(self) -> None:
        """Give the turn to the next request that still waits, or free the place."""
        while self._lines:
            source = next(iter(self._lines))
            line = self._lines.pop(source)
            place = (line.known or line.others).popleft()
            self._waiting -= 1
            if len(line):
                self._lines[source] = line
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def _send_one_away(self) -> None:
        source = max(self._lines, key=lambda name: len(self._lines[name]))
        line = self._lines[source]
        place = (line.others or line.known).pop()
        self._waiting -= 1
        if not len(line):
            del self._lines[source]
        if not place.done():
            place.set_exception(Crowded())
