"""The calls that wait for a group or queue, in Redis (docs/redis.md). Times are those of the server."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from registrar.errors import StoreUnavailable
from registrar.model import Process, Waiter
from registrar.ports import Clock

from . import keys
from .redis_wire import Wire
from .script_runner import WireRunner
from .scripts import ENTER, MOVE

KEPT_SECONDS: Final = 86_400
"""How long a place is kept after the last call entered it."""
DEAD_SECONDS: Final = 600
"""How old the entry of a dead process must be until it is removed. Until then it is only skipped: a process
that lost its lease for seconds keeps the places of its calls."""
MAX_UNTOLD: Final = 10_000
"""Removals that wait for Redis; the oldest are dropped first."""
CHUNK: Final = 500

Entry = tuple[str, str]
"""The place, and the call."""

log = logging.getLogger(__name__)


class RedisWaiting:
    """Waiting calls in Redis; implements ports.Waiting. An entry of a process that does not live is skipped.

    A removal that Redis did not receive is kept for `mend`: else the call would stand before all others for
    as long as this process lives.
    """

    def __init__(self, wire: Wire, clock: Clock, process: Process, lives: Callable[[Process], bool]) -> None:
        """Create the store. `process` is this process, to which the calls belong that it adds.

        `lives` tells from memory whether a process lives.
        """
        self._wire = wire
        self._runner = WireRunner(wire)
        self._clock = clock
        self._lives = lives
        self._suffix = f"|{process.node}|{process.generation}"
        self._untold: dict[Entry, None] = {}

    async def enter(self, place: str, call: str, stage: str) -> float:
        """See ports.Waiting. A call that is there already keeps its place, and gets the new stage."""
        both = keys.waiting(place), keys.stages(place)
        try:
            since = await self._runner.run(ENTER, both, call + self._suffix, stage, KEPT_SECONDS)
        except (StoreUnavailable, asyncio.CancelledError):
            self._remember(place, call)  # it may have been added, and does not wait
            raise
        self._untold.pop((place, call), None)
        return float(since) / 1000

    def move(self, place: str, call: str, stage: str) -> None:
        """See ports.Waiting."""
        self._runner.tell(MOVE, (keys.waiting(place), keys.stages(place)), call + self._suffix, stage)

    def leave(self, place: str, call: str) -> None:
        """See ports.Waiting."""
        try:
            removed = self._remove(place, call)
        except StoreUnavailable:
            self._remember(place, call)
        else:
            removed.add_done_callback(lambda answer: self._removed(place, call, answer))

    async def waiters(self, place: str) -> list[Waiter]:
        """See ports.Waiting."""
        asked = [
            self._wire.send("ZRANGE", keys.waiting(place), 0, -1, "WITHSCORES"),
            self._wire.send("HGETALL", keys.stages(place)),
        ]
        rows, told = await asyncio.gather(*asked)
        stages = dict(zip(told[::2], told[1::2], strict=True))
        found, dead = [], []
        for member, score in zip(rows[::2], rows[1::2], strict=True):
            stage = stages.get(member, b"").decode(errors="replace")
            waiter = waiter_of(member.decode(errors="replace"), float(score), stage)
            if self._lives(waiter.process):
                found.append(waiter)
            elif self._clock() - waiter.since > DEAD_SECONDS:
                dead.append(member)
        for start in range(0, len(dead), CHUNK):
            self._runner.command("ZREM", keys.waiting(place), *dead[start : start + CHUNK])
            self._runner.command("HDEL", keys.stages(place), *dead[start : start + CHUNK])
        return found

    @property
    def untold(self) -> int:
        """Return how many removals wait for `mend`."""
        return len(self._untold)

    async def mend(self) -> None:
        """Remove the calls that left while Redis was away.

        Raises StoreUnavailable; the remaining removals then wait for the next call.
        """
        untold = list(self._untold)
        for start in range(0, len(untold), CHUNK):
            chunk = [entry for entry in untold[start : start + CHUNK] if entry in self._untold]
            await asyncio.gather(*[self._remove(place, call) for place, call in chunk])
            for entry in chunk:
                self._untold.pop(entry, None)

    def _remove(self, place: str, call: str) -> asyncio.Future[Any]:
        """Send the removal of a call, and return the answer. Raises StoreUnavailable."""
        member = call + self._suffix
        self._wire.tell("HDEL", keys.stages(place), member)
        return self._wire.send("ZREM", keys.waiting(place), member)

    def _removed(self, place: str, call: str, answer: asyncio.Future[Any]) -> None:
        if not answer.cancelled() and answer.exception() is not None:
            self._remember(place, call)

    def _remember(self, place: str, call: str) -> None:
        log.debug("a call has left %s, and Redis was not told", place)
        self._untold[place, call] = None
        while len(self._untold) > MAX_UNTOLD:
            del self._untold[next(iter(self._untold))]


def waiter_of(member: str, milliseconds: float, stage: str = "") -> Waiter:
    """Return the waiter in an entry `<call>|<node>|<generation>`."""
    call, _, owner = member.partition("|")
    node, _, generation = owner.rpartition("|")
    return Waiter(call, Process(node, generation), milliseconds / 1000, stage)
