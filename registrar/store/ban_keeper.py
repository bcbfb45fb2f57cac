"""The bans as one SIP process enforces them: read again within a second of any change."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.ports import Clock
from registrar.rules.bans import Ban, Barred

from .bans_redis import Known, RedisBans

LOOK_SECONDS: Final = 0.5
"""How often the version is read: a change is known within a second also if its announcement is lost."""
TELL_SECONDS: Final = 60
"""How often the log tells of automatic bans: an attack begins many."""
MAX_WAITING: Final = 1_000
"""Automatic bans that wait for Redis; the holds among them are in force without it."""

log = logging.getLogger(__name__)
Changed = Callable[[Sequence[Ban], Sequence[Ban]], None]


class BanKeeper:
    """The bans of a process; implements ports.BanBook."""

    def __init__(self, bans: RedisBans, clock: Clock, barred: Barred, changed: Changed) -> None:
        """Create the keeper, with no bans.

        `changed` is called with the bans that are new, and with those that were lifted before their end.
        """
        self._bans = bans
        self._clock = clock
        self._barred = barred
        self._changed = changed
        self._known = Known(0, ())
        self._waiting: dict[str, Ban] = {}
        self._news = asyncio.Event()
        self._untold: list[Ban] = []
        """Automatic bans since the last line of the log; at most `MAX_WAITING`."""
        self._told = -float(TELL_SECONDS)

    def begin(self, ban: Ban) -> None:
        """See ports.BanBook."""
        if ban.id in self._waiting or len(self._waiting) < MAX_WAITING:
            self._waiting[ban.id] = ban
            self._news.set()

    def hear(self) -> None:
        """Note that the bans have changed."""
        self._news.set()

    def counts(self) -> dict[tuple[str, ...], float]:
        """Return how many bans of each kind are in force."""
        now = self._clock()
        found: dict[tuple[str, ...], float] = {("ban",): 0.0, ("hold",): 0.0}
        for ban in self._known.bans:
            if not ban.has_ended(now):
                found[str(ban.kind),] += 1
        return found

    async def run(self) -> None:
        """Follow the bans until cancelled."""
        while True:
            self._news.clear()
            try:
                await self._look()  # before a write, which would hide that Redis has lost the others
                if self._waiting:
                    await self._write()
                    await self._look()
                self._tell()
            except StoreUnavailable as error:
                log.debug("the bans were not read: %s", error)
                await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()

    async def _write(self) -> None:
        known = {ban.id for ban in self._known.bans}
        for id, ban in list(self._waiting.items()):
            await self._bans.put(ban)
            if id not in known and len(self._untold) < MAX_WAITING:
                self._untold.append(ban)
            if self._waiting.get(id) is ban:
                del self._waiting[id]

    def _tell(self) -> None:
        """Log what was shut out: the audit log has the bans of people alone (decision 107)."""
        if not self._untold or self._clock() - self._told < TELL_SECONDS:
            return
        first, more = self._untold[0], len(self._untold) - 1
        who = " ".join(filter(None, (first.address, first.phone and f"phone {first.phone}")))
        log.warning(
            "shut out or held by itself: %s (%s), and %d more; see registrar bans", who, first.why, more
        )
        self._untold.clear()
        self._told = self._clock()

    async def _look(self) -> None:
        version = await self._bans.version()
        if version == self._known.version:
            return
        if version < self._known.version and await self._bans.restore(self._known):
            log.warning("Redis had lost bans and was told %d again", len(self._known.bans))
        self._apply(await self._bans.all())

    def _apply(self, known: Known) -> None:
        before = {ban.id: ban for ban in self._known.bans}
        after = {ban.id: ban for ban in known.bans}
        self._known = known
        self._barred.set(known.bans)
        now = self._clock()
        lifted = [ban for id, ban in before.items() if id not in after and not ban.has_ended(now)]
        self._changed([ban for id, ban in after.items() if before.get(id) != ban], lifted)
