"""The jobs of the HTTP side: unlocked phones, old calls, redirect services, ends of tokens, what is unusual.

Several processes may do them at once: each step is one statement with its condition, or is repeated.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from registrar.errors import StoreUnavailable
from registrar.store.event_stream import BATCH, FIRST, order

from . import clock
from .database import OUR_ERRORS, STORE_ERRORS, reading, writing
from .deps import Parts
from .noted import forget
from .operations.history import DAY_MS, DELETED_AT_ONCE, delete_old
from .operations.phones.unlock import any_due, end_unlocks
from .operations.sessions import forget_sessions
from .operations.tokens import announced, ending, give_ends
from .operations.unusual import Sighting, is_registration, position, settle

LOOK_SECONDS: Final = 1.0
TIDY_SECONDS: Final = 60.0
TOKEN_SECONDS: Final = 600.0
UNUSUAL_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.1
"""Between two deletions, so that other writers have their turn."""

log = logging.getLogger(__name__)


class Chores:
    """Runs the jobs until the stop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._owner = secrets.token_hex(8)
        self._read_until = ""
        """Position in the stream of events up to which registrations were looked at; empty: not known yet."""
        self._settled = 0
        """The id of the last phone that was settled: one walk over all phones in the life of a process."""

    async def run(self, stop: asyncio.Event) -> None:
        """Do the jobs until `stop` is set."""
        jobs = [
            asyncio.create_task(_repeated(self.end_unlocks, LOOK_SECONDS)),
            asyncio.create_task(_repeated(self.tidy, TIDY_SECONDS)),
            asyncio.create_task(_repeated(self.settle, TIDY_SECONDS)),
            asyncio.create_task(_repeated(self.announce_ends, TOKEN_SECONDS)),
            asyncio.create_task(_repeated(self.tell_unusual, UNUSUAL_SECONDS)),
        ]
        try:
            await stop.wait()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def end_unlocks(self) -> list[str]:
        """Lock the phones again whose time is over, announce that, and return their ids."""
        now = clock.utc_now()
        if not await any_due(self._parts.read_engine, now):
            return []
        oids, noted = await end_unlocks(self._parts.engine, now)
        if oids:
            log.info("%d phones that were unlocked for a time are locked again", len(oids))
            await self._parts.changes.publish(noted)
        return oids

    async def tidy(self) -> int:
        """Delete the calls that are too old, in small steps, and return how many there were.

        Delete old sessions and the old rows of `change`, too.
        """
        days = self._parts.settings.call_history_days
        before_ms = round(clock.epoch_now() * 1_000) - days * DAY_MS
        deleted = step = await delete_old(self._parts.engine, before_ms)
        while step == DELETED_AT_ONCE:
            await asyncio.sleep(PAUSE_SECONDS)
            step = await delete_old(self._parts.engine, before_ms)
            deleted += step
        await forget_sessions(self._parts.engine)
        await forget(self._parts.engine)
        return deleted

    async def settle(self) -> int:
        """Let the redirect services know of phones from before an upgrade, or before their account.

        Return how many phones were looked at. A phone whose first secret was used is left alone until it is
        armed: it has its configuration.
        """
        parts, number = self._parts, 0
        if not parts.settings.provisioning.is_on:
            return 0
        while True:
            async with reading(parts.read_engine) as session:
                found = await parts.outbox.unsettled(session, self._settled)
            if not found:
                return number
            await self._settle_all([mac for _, mac in found])
            number, self._settled = number + len(found), found[-1][0]
            await asyncio.sleep(PAUSE_SECONDS)

    async def _settle_all(self, macs: Sequence[str]) -> None:
        """Settle phones together. If one cannot be settled, the others are, one by one.

        Raise what the database raises while it is away: then all of them are tried again.
        """
        try:
            await writing(self._parts.engine, partial(self._settle, macs))
            return
        except Exception as error:  # a secret of a lost key, or the like: the others must not wait for it
            if _is_away(error):
                raise
            if len(macs) == 1:
                why = "redirect services are not told of %s: %s"
                log.error(why, macs[0], error, exc_info=_is_a_bug(error))
                return
        for mac in macs:
            await self._settle_all([mac])

    async def _settle(self, macs: Sequence[str], session: AsyncSession) -> None:
        await self._parts.outbox.settle(session, self._parts.vault, *macs)

    async def tell_unusual(self) -> int:
        """Tell of accounts that are used from a new country, or by a new brand; return how many events.

        A process without the lease reads nothing more, and looks again later: the other one may die.
        """
        number = 0
        while True:
            told, goes_on = await self._tell_unusual_page()
            number += told
            if not goes_on:
                return number
            await asyncio.sleep(PAUSE_SECONDS)

    async def _tell_unusual_page(self) -> tuple[int, bool]:
        """Do the same for one page of events; return whether there may be another one."""
        parts = self._parts
        if not self._read_until:
            await self._find_position()
        entries = await parts.changes.events_after(self._read_until)
        if not entries:
            return 0, False
        last, country = entries[-1].id, parts.origins.country
        found = [
            Sighting(one, country(one.fields.get("ip")) or "") for one in entries if is_registration(one)
        ]
        told: Sequence[Mapping[str, str]] | None = ()
        if found:
            now = clock.epoch_now()
            told = await writing(parts.engine, lambda session: settle(session, found, last, self._owner, now))
        if told is None:
            await self._find_position()
            return 0, False
        for event in told:
            await parts.changes.tell(event)
        self._read_until = last
        return len(told), len(entries) >= BATCH

    async def _find_position(self) -> None:
        async with reading(self._parts.read_engine) as session:
            stored = await position(session)
        self._read_until = max(stored, self._read_until or FIRST, key=order)

    async def announce_ends(self) -> int:
        """Announce the tokens of machines that end within a month, and return how many there were."""
        parts = self._parts
        await give_ends(parts.engine)
        found = await ending(parts.read_engine)
        for token in found:
            await parts.changes.tell(token.event())
        if found:
            await announced(parts.engine, found)
        return len(found)


async def _repeated(job: Callable[[], Awaitable[object]], seconds: float) -> None:
    """Do a job again and again; a store that is away, or a bug, must not end the process."""
    while True:
        try:
            await job()
        except Exception as error:  # a bug in here must not end the process
            log.warning("a job could not be done, and is tried again: %s", error, exc_info=_is_a_bug(error))
        await asyncio.sleep(seconds)


def _is_away(error: Exception) -> bool:
    """Return whether the database is away; StoreUnavailable is a sealed text that cannot be opened."""
    return isinstance(error, STORE_ERRORS) and not isinstance(error, (StoreUnavailable, *OUR_ERRORS))


def _is_a_bug(error: Exception) -> bool:
    return isinstance(error, AttributeError | TypeError | LookupError | AssertionError)
