"""The jobs of the HTTP side: they end the time of unlocked phones, and delete old calls of the history.

Several processes may do them at once: each step is one statement with its condition.
"""

import asyncio
import contextlib
import logging
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from registrar.errors import StoreUnavailable
from registrar.model import Change

from . import clock
from .deps import Parts
from .operations.history import DAY_MS, DELETED_AT_ONCE, delete_old
from .operations.phones.unlock import any_due, end_unlocks

LOOK_SECONDS: Final = 1.0
TIDY_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.1
"""Between two deletions, so that other writers have their turn."""
FAULTS: Final = (StoreUnavailable, DBAPIError, PoolTimeout, OSError, TimeoutError)

log = logging.getLogger(__name__)


class Chores:
    """Runs the jobs until the stop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self, stop: asyncio.Event) -> None:
        """Do the jobs until `stop` is set. A store that is away is tried again in the next round."""
        tidy_at: float = clock.mono_now()
        while not stop.is_set():
            await self._guarded_end_unlocks()
            if clock.mono_now() >= tidy_at:
                is_more = await self._guarded_tidy()
                tidy_at = clock.mono_now() + (PAUSE_SECONDS if is_more else TIDY_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if tidy_at > clock.mono_now() + 1 else PAUSE_SECONDS):
                    await stop.wait()

    async def end_unlocks(self) -> list[str]:
        """Lock the phones again whose time is over, announce that, and return their ids."""
        now = clock.utc_now()
        if not await any_due(self._parts.read_engine, now):
            return []
        oids = await end_unlocks(self._parts.engine, now)
        if oids:
            log.info("%d phones that were unlocked for a time are locked again", len(oids))
            await self._parts.changes.publish(Change(phones=tuple(oids)))
        return oids

    async def tidy(self) -> bool:
        """Delete some of the calls that are too old, and return whether there may be more."""
        days = self._parts.settings.call_history_days
        before_ms = round(clock.epoch_now() * 1_000) - days * DAY_MS
        return await delete_old(self._parts.engine, before_ms) == DELETED_AT_ONCE

    async def _guarded_end_unlocks(self) -> None:
        try:
            await self.end_unlocks()
        except FAULTS as error:
            log.warning("unlocked phones are not locked again yet: %s", type(error).__name__)

    async def _guarded_tidy(self) -> bool:
        try:
            return await self.tidy()
        except FAULTS as error:
            log.warning("old calls of the history are not deleted yet: %s", type(error).__name__)
            return False
