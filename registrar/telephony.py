"""The parts that calls need, joined into one object, and the jobs beside them."""

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.handlers.bridging import Bridge
from registrar.handlers.calling import Calling
from registrar.handlers.calls import CallTable, News
from registrar.handlers.dialogs import Dialogs
from registrar.handlers.hops import Hops
from registrar.handlers.network import Network
from registrar.handlers.parts import Parts
from registrar.handlers.pings import Pings
from registrar.handlers.reach import Neighbour, Reach
from registrar.metrics import Metrics
from registrar.model import Flow, MediaPolicy, Phone, Process
from registrar.ports import Clock, DialPlan
from registrar.rules.tokens import KEY_BYTES, SALT_BYTES, Seal, Target
from registrar.store import keys
from registrar.store.calls_redis import RedisCalls
from registrar.store.location_redis import RedisLocation
from registrar.store.media_none import NoMedia
from registrar.store.media_rtpengine import RtpengineMedia
from registrar.store.vault import derive

MEND_SECONDS: Final = 0.5
LEFTOVER_SECONDS: Final = 300.0
"""Interval of the search for sessions of the relay without a call, after the search at the start."""
ID_BYTES: Final = 16
SALTS: Final = 256
PREFIX_BYTES: Final = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The settings of calls; docs/settings.md explains each."""

    rtpengine: tuple[tuple[str, int], ...]
    media: MediaPolicy
    ring_seconds: float
    public_host: str
    secret_key: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The parts of the SIP side that calls use."""

    network: Network
    location: RedisLocation
    dial_plan: DialPlan
    clock: Clock
    metrics: Metrics
    process: Process
    open_flow: Callable[[Target], Flow | None]
    node_flow: Callable[[str], Flow | None]
    neighbour: Callable[[str], Neighbour | None]
    is_ours: Callable[[str], bool]
    is_our_name: Callable[[str], bool]
    may_come: Callable[[Phone, str], bool]
    start_task: Callable[[Coroutine[None, None, None]], object]
    pings: Pings


class Telephony:
    """Calls between phones: the handlers, and the jobs beside them."""

    def __init__(self, settings: CallSettings, seal: Seal, around: Surroundings) -> None:
        self._location = around.location
        self._metrics = around.metrics
        key = settings.secret_key
        prefix = _media_prefix(key)
        self._media: RtpengineMedia | NoMedia = (
            RtpengineMedia(settings.rtpengine, prefix, around.metrics) if settings.rtpengine else NoMedia()
        )
        self._store = RedisCalls(around.location.wire, around.clock, around.process)
        salt = Salts()
        bridge = self.bridge = Bridge(self._media, settings.media, prefix)
        reach = Reach(
            around.open_flow,
            around.node_flow,
            around.neighbour,
            seal,
            salt,
            around.clock,
            process=around.process,
            public_host=settings.public_host,
        )
        self.calls = CallTable(
            self._store,
            bridge,
            reach,
            around.network,
            around.location,
            around.clock,
            around.metrics,
            self._publish,
            around.pings.hurry,
            process=around.process,
        )
        parts = Parts(
            network=around.network,
            reach=reach,
            seal=seal,
            salt=salt,
            bridge=bridge,
            calls=self.calls,
            dial_plan=around.dial_plan,
            location=around.location,
            clock=around.clock,
            process=around.process,
            ring_seconds=settings.ring_seconds,
            loop_key=derive(key, "loops"),
            is_ours=around.is_ours,
            is_our_name=around.is_our_name,
            may_come=around.may_come,
            start_task=around.start_task,
            new_id=lambda: secrets.token_hex(ID_BYTES),
            silent_places=around.pings.silent_places,
            heard=around.pings.heard,
        )
        self.calling = Calling(parts)
        self.dialogs = Dialogs(parts)
        self.hops = Hops(parts)

    @property
    def concern(self) -> str:
        """Return what is wrong with the media relay; empty if it works, or if none is configured."""
        if not isinstance(self._media, RtpengineMedia) or self._media.engines_up:
            return ""
        return "media: no rtpengine answers, browsers and desk phones cannot call each other"

    def jobs(self) -> list[Coroutine[None, None, None]]:
        """Return the jobs that run until the stop."""
        jobs = [self.calls.run(), self._mend()]
        if isinstance(self._media, RtpengineMedia):
            jobs += [self._media.run(), self._look_for_leftovers(self._media)]
        return jobs

    async def close(self) -> None:
        """Close the media relay's engines."""
        if isinstance(self._media, RtpengineMedia):
            await self._media.close()

    async def hear(self, channel: str, data: str) -> None:
        """Handle a message on one of `CHANNELS`; its content is not trusted."""
        try:
            told = json.loads(data)
            if channel == keys.HANGUP:
                await self.calls.hang_up(str(told["call"]), str(told.get("by", "")))
            else:
                tag = str(told.get("tag", ""))
                left, registration = str(told.get("left", "")), str(told.get("registration", ""))
                call, ended, expires_at = str(told["call"]), str(told["ended"]), float(told["expires_at"])
                self.calls.heard(News(call, ended, expires_at, tag, left, registration))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("news of a call that cannot be read: %s", type(error).__name__)
        except Exception:  # the caller also listens to all changes from the API
            self._metrics.unhandled.inc()
            log.exception("news of a call could not be dealt with")

    def _publish(self, news: News) -> None:
        try:
            self._location.wire.tell("PUBLISH", keys.CALL_NEWS, json.dumps(asdict(news)))
        except StoreUnavailable as error:
            log.debug("news of a call were not sent: %s", error)

    async def _mend(self) -> None:
        """Tell Redis, when it is back, which calls have ended meanwhile."""
        while True:
            await asyncio.sleep(MEND_SECONDS)
            if self._store.untold and self._location.wire.up:
                try:
                    await self._store.mend()
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
        return [call is not None for call in await self._store.load(ids)]


CHANNELS: Final = (keys.HANGUP, keys.CALL_NEWS)


def make_seal(secret_key: str) -> Seal:
    """Return the seal of tokens, which is the same on all nodes."""
    return Seal(derive(secret_key, "tokens-siv", KEY_BYTES), _media_prefix(secret_key))


def _media_prefix(secret_key: str) -> str:
    """Return the prefix of the names of this installation's sessions at the media relay."""
    return f"registrar-{derive(secret_key, 'media', PREFIX_BYTES).hex()}-"


class Salts:
    """A source of random bytes of one length. It draws many at a time, because each draw is a system call."""

    def __init__(self) -> None:
        self._left: list[bytes] = []

    def __call__(self) -> bytes:
        if not self._left:
            drawn = os.urandom(SALT_BYTES * SALTS)
            self._left = [drawn[start : start + SALT_BYTES] for start in range(0, len(drawn), SALT_BYTES)]
        return self._left.pop()
