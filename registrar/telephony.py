"""The stores and the media relay of calls, and the jobs beside them."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.handlers.calls.pickup import Pickup, PickupNews
from registrar.handlers.calls.table import CallTable, News
from registrar.metrics import Metrics
from registrar.model import Mono, Process
from registrar.ports import Clock
from registrar.rules.tokens import SALT_BYTES
from registrar.store import keys
from registrar.store.calls_redis import RedisCalls
from registrar.store.location_redis import RedisLocation
from registrar.store.media_none import NoMedia
from registrar.store.media_rtpengine import RtpengineMedia
from registrar.store.people_redis import RedisPeople
from registrar.store.waiting_redis import RedisWaiting

MEND_SECONDS: Final = 0.5
LEFTOVER_SECONDS: Final = 300.0
"""Interval of the search for sessions of the relay without a call, after the search at the start."""
SALTS: Final = 256

log = logging.getLogger(__name__)


class Telephony:
    """The stores and the relay of calls, and the jobs beside them."""

    def __init__(
        self,
        rtpengine: tuple[tuple[str, int], ...],
        sessions: str,
        location: RedisLocation,
        metrics: Metrics,
        clock: Clock,
        mono: Callable[[], Mono],
        process: Process,
        lives: Callable[[Process], bool],
        *,
        wrap_up_seconds: int,
    ) -> None:
        """Create them; `sessions` is the prefix of the names of our sessions at the relay."""
        self._location = location
        self._metrics = metrics
        self.media: RtpengineMedia | NoMedia = (
            RtpengineMedia(rtpengine, sessions, metrics) if rtpengine else NoMedia()
        )
        self.store = RedisCalls(location.wire, clock, process)
        self.people = RedisPeople(location.wire, mono, process, lives, wrap_up_seconds=wrap_up_seconds)
        self.waiting = RedisWaiting(location.wire, clock, process, lives)

    @property
    def concern(self) -> str:
        """Return what is wrong with the media relay; empty if it works, or if none is configured."""
        if not isinstance(self.media, RtpengineMedia) or self.media.engines_up:
            return ""
        return "media: no rtpengine answers, browsers and desk phones cannot call each other"

    def jobs(self, table: CallTable) -> list[Coroutine[None, None, None]]:
        """Return the jobs that run until the stop."""
        jobs = [table.run(), self._mend()]
        if isinstance(self.media, RtpengineMedia):
            jobs += [self.media.run(), self._look_for_leftovers(self.media)]
        return jobs

    async def close(self) -> None:
        """Close the media relay's engines."""
        if isinstance(self.media, RtpengineMedia):
            await self.media.close()

    async def hear(self, channel: str, data: str, table: CallTable, pickup: Pickup) -> None:
        """Handle a message on one of `CHANNELS`; its content is not trusted."""
        try:
            if channel == keys.PERSON_NEWS:
                self.people.heard(data)
                return
            told = json.loads(data)
            if channel == keys.PICKUP:
                await pickup.heard(_read_pickup(told))
            elif channel == keys.HANGUP:
                await table.end_by_request(str(told["call"]), str(told.get("by", "")))
            else:
                tag = str(told.get("tag", ""))
                left, registration = str(told.get("left", "")), str(told.get("registration", ""))
                call, ended, expires_at = str(told["call"]), str(told["ended"]), float(told["expires_at"])
                offerer, direction = str(told.get("offerer", "")), str(told.get("direction", ""))
                table.heard(News(call, ended, expires_at, tag, left, registration, offerer, direction))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("news of a call that cannot be read: %s", type(error).__name__)
        except Exception:  # the caller also listens to all changes from the API
            self._metrics.unhandled.inc()
            log.exception("news of a call could not be dealt with")

    def publish(self, news: News) -> None:
        """Send news of a call to all nodes, if Redis is there."""
        try:
            self._location.wire.tell("PUBLISH", keys.CALL_NEWS, json.dumps(asdict(news)))
        except StoreUnavailable as error:
            log.debug("news of a call were not sent: %s", error)

    def publish_pickup(self, news: PickupNews) -> None:
        """Send a question about a pickup, or its answer, to all nodes, if Redis is there."""
        try:
            self._location.wire.tell("PUBLISH", keys.PICKUP, json.dumps(asdict(news)))
        except StoreUnavailable as error:
            log.debug("a message about a pickup was not sent: %s", error)

    async def _mend(self) -> None:
        """Tell Redis, when it is back, which calls have ended meanwhile, or wait no more."""
        while True:
            await asyncio.sleep(MEND_SECONDS)
            try:
                if self.store.untold and self._location.wire.up:
                    await self.store.mend()
                if self.waiting.untold and self._location.wire.up:
                    await self.waiting.mend()
            except StoreUnavailable as error:
                log.debug("endings of calls wait: %s", error)

    async def _look_for_leftovers(self, media: RtpengineMedia) -> None:
        while True:
            await self._location.wire.opened.wait()
            try:
                found = await media.leftovers(self._are_alive)
                if found:
                    log.warning("%d sessions of the media relay belonged to no call", found)
            except StoreUnavailable as error:
                log.debug("no leftovers looked for: %s", error)
            await asyncio.sleep(LEFTOVER_SECONDS)

    async def _are_alive(self, sessions: Sequence[str]) -> list[bool]:
        """Return whether the call of each session exists; the id of the call is the part before the dot."""
        ids = [session.rpartition("-")[2].partition(".")[0] for session in sessions]
        return [call is not None for call in await self.store.load(ids)]


def _read_pickup(told: dict[str, object]) -> PickupNews:
    """Return the message of another process about a pickup."""
    id, call, phone, handle = (str(told.get(name, "")) for name in ("id", "call", "phone", "handle"))
    done = told.get("done")
    return PickupNews(id, call, phone, handle, None if done is None else bool(done))


CHANNELS: Final = (keys.HANGUP, keys.CALL_NEWS, keys.PERSON_NEWS, keys.PICKUP)


class Salts:
    """A source of random bytes of one length. It draws many at a time, because each draw is a system call."""

    def __init__(self, worker: int = 0) -> None:
        """`worker` is the number that the last byte tells, and with it each branch; 0: it is random, too."""
        self._left: list[bytes] = []
        self._end = bytes((worker,)) if worker else b""

    def __call__(self) -> bytes:
        if not self._left:
            drawn = os.urandom(SALT_BYTES * SALTS)
            random_bytes, end = SALT_BYTES - len(self._end), self._end
            starts = range(0, len(drawn), SALT_BYTES)
            self._left = [drawn[start : start + random_bytes] + end for start in starts]
        return self._left.pop()
