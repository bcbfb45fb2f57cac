"""The wall clock of this process: the time of Redis, which nodes share, carried on by the monotonic clock.

The time of a binding's end is compared by every node. If the clock of one machine were believed, a jump by an
hour would end the bindings of all.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.model import Epoch

from .redis_client import heed_cancellation

ASK_SECONDS: Final = 2.0
LATE_SECONDS: Final = 0.5
"""An answer that took longer says too little of the time."""
FINE_SECONDS: Final = 0.25
"""Smaller differences stay: to follow each of them would let the time go back."""
STEP_SECONDS: Final = 5.0
"""A larger step of the clock of Redis is followed only if the clock of this machine made it, too."""

log = logging.getLogger(__name__)


class WallClock:
    """Seconds since 1970. Until Redis has told its time, it is the clock of this machine at its start."""

    def __init__(
        self, mono: Callable[[], float] = time.monotonic, own: Callable[[], float] = time.time
    ) -> None:
        """Create a clock; `own` is the clock of this machine, which can be set."""
        self._mono = mono
        self._own = own
        self._began = own() - mono()
        """The time at which the monotonic clock was 0."""
        self._has_heard = False
        self._doubts = False

    def __call__(self) -> Epoch:
        """Return the present time."""
        return Epoch(self._mono() + self._began)

    def mono(self) -> float:
        """Return the seconds of the monotonic clock."""
        return self._mono()

    def hear(self, told: float, asked: float, answered: float) -> None:
        """Follow the time that Redis told between two moments of the monotonic clock."""
        if answered - asked > LATE_SECONDS:
            return
        began = told - (asked + answered) / 2
        step = began - self._began
        doubts = self._has_heard and abs(step) > STEP_SECONDS and not self._agrees(began)
        if doubts and not self._doubts:
            log.warning("the clock of Redis jumped by %.0f s and is not followed: check both clocks", step)
        self._doubts = doubts
        if not doubts:
            self._follow(began, step)

    def _agrees(self, began: float) -> bool:
        """Return whether the clock of this machine shows the same time."""
        return abs(self._own() - self._mono() - began) <= STEP_SECONDS

    def _follow(self, began: float, step: float) -> None:
        if not self._has_heard and not self._agrees(began):
            log.warning("the clock of this machine is not that of Redis, which counts: %+.0f s", step)
        self._has_heard = True
        if abs(step) > FINE_SECONDS:
            self._began = began


async def ask(redis: Redis, clock: WallClock) -> None:
    """Ask Redis for its time once. If Redis is away, the clock goes on as it is."""
    asked = clock.mono()
    try:
        seconds, microseconds = await redis.time()
    except (RedisError, OSError) as error:
        log.debug("the time of Redis is unknown: %s", error)
        return
    clock.hear(int(seconds) + int(microseconds) / 1e6, asked, clock.mono())


async def keep_time(redis: Redis, clock: WallClock, stop: asyncio.Event) -> None:
    """Ask again and again until `stop` is set."""
    while not stop.is_set():
        await ask(redis, clock)
        heed_cancellation()
        try:
            await asyncio.wait_for(stop.wait(), ASK_SECONDS)
        except TimeoutError:
            continue


wall_clock: Final = WallClock()
"""The clock of this process: like `time.time`, there is one for all."""
