"""Turns at something scarce: sources take turns, so that one with many requests holds up none but its own."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

MAX_WAITING: Final = 1_000
"""Requests that wait for their turn in all. Beyond, the newest of the source with the most is sent away."""

Place = asyncio.Future[None]


class Crowded(Exception):
    """There are too many requests, and most of them are of this one's source."""


@dataclass(slots=True)
class _Line:
    """Those of one source that wait: the accounts that are known from there before all others."""

    known: deque[Place] = field(default_factory=deque)
    others: deque[Place] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.known) + len(self.others)


class FairTurns:
    """So many at once. While all are at work, sources with somebody waiting get the next turns in turn."""

    def __init__(self, at_once: int, most: int = MAX_WAITING) -> None:
        """`at_once` are served at the same time, `most` wait."""
        self._free = at_once
        self._most = most
        self._waiting = 0
        self._lines: dict[str, _Line] = {}
        """By source; the first one is the next."""

    @asynccontextmanager
    async def turn(self, source: str, *, known: bool = False) -> AsyncIterator[None]:
        """Wait for a turn; the block is the turn. Raises Crowded."""
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
                self._give()  # the turn came at the same moment
            raise

    def _give(self) -> None:
        """Hand the turn on to the next one who still waits for it."""
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
