"""The media relay rtpengine, in one or several instances: sessions by the ng protocol (docs/media.md)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final

from registrar.errors import MediaRefused, StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import LegKind
from registrar.rules import media, sdp

from .media_engine import Engine, Exhausted
from .ng import Encodable

MAX_TRIES: Final = 3
"""How many engines one offer is given to; each engine that does not answer costs the caller a second."""
LIST_LIMIT: Final = 500
"""Sessions in one listing: the list must fit into a datagram."""
SECOND_LOOK_SECONDS: Final = 2.0
"""A session exists before its call is stored: a session is dead if it has no call both times."""
NO_MEDIA: Final = "the body is not a session description with media"

IsAlive = Callable[[Sequence[str]], Awaitable[Sequence[bool]]]
"""Returns for each session whether it belongs to an active call."""

log = logging.getLogger(__name__)


class RtpengineMedia:
    """Relay over one or several engines; implements ports.Media.

    An engine is named by its `host:port`. `run` watches the engines and deletes sessions. The names of all
    our sessions begin with `prefix`, because other programs may use the engines too.
    """

    def __init__(
        self,
        engines: Iterable[tuple[str, int]],
        prefix: str,
        metrics: Metrics,
        *,
        second_look_seconds: float = SECOND_LOOK_SECONDS,
    ) -> None:
        self._engines = [Engine(host, port, metrics) for host, port in dict.fromkeys(engines)]
        self._by_name = {engine.name: engine for engine in self._engines}
        self._prefix = prefix
        self._metrics = metrics
        self._second_look_seconds = second_look_seconds

    @property
    def configured(self) -> bool:
        """See ports.Media."""
        return bool(self._engines)

    @property
    def engines_up(self) -> list[str]:
        """Return the names of the engines that are up."""
        return [engine.name for engine in self._engines if engine.up]

    async def run(self) -> None:
        """Ping the engines and delete sessions, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for engine in self._engines:
                tasks.create_task(engine.watch())
                tasks.create_task(engine.delete_all())

    async def close(self) -> None:
        """Delete the remaining sessions as far as one second allows, and close the engines' sockets."""
        await asyncio.gather(*(engine.close() for engine in self._engines))

    async def offer(
        self,
        session: str,
        sdp: bytes,
        *,
        from_tag: str,
        to_tag: str,
        to: LegKind,
        engine: str,
        family: str = "",
    ) -> tuple[bytes, str]:
        """See ports.Media. If the engine is dead, another one makes the session, and the result names it."""
        offerer, body = _readable(sdp)
        arguments: dict[str, Encodable] = {
            "call_id": session,
            "from_tag": from_tag,
            "sdp": body,
        }
        arguments |= {"to_tag": to_tag} if to_tag else {}
        flags = media.offer_flags(offerer, to, family)
        silent: list[Engine] = []
        for chosen in self._chosen(session, engine):
            try:
                relayed = await chosen.described("offer", **arguments, **flags)
            except Exhausted as error:
                log.warning("%s", error)
                continue
            except StoreUnavailable:
                silent.append(chosen)  # it may have made the session nevertheless
                continue
            chosen.keep(session)
            self._forget(session, silent)
            if not engine:
                self._metrics.media_sessions("opened")
            return _for(to, offerer, relayed), chosen.name
        if not engine:
            self._forget(session, silent)
        raise StoreUnavailable("no media engine takes the call")

    async def answer(self, session: str, sdp: bytes, *, from_tag: str, to_tag: str, engine: str) -> bytes:
        """See ports.Media."""
        answerer, body = _readable(sdp)
        chosen = self._by_name.get(engine)
        if chosen is None:
            raise StoreUnavailable(f"there is no media engine {engine}")
        relayed = await chosen.described(
            "answer",
            call_id=session,
            from_tag=from_tag,
            to_tag=to_tag,
            sdp=body,
            **media.ALWAYS,
        )
        return _for(_kind(relayed), answerer, relayed)

    def delete(self, session: str, engine: str) -> None:
        """See ports.Media. While the engine is away, the session is remembered."""
        chosen = self._by_name.get(engine)
        if chosen is not None:
            chosen.forget(session)

    async def leftovers(self, is_alive: IsAlive) -> int:
        """Delete those of our sessions that belong to no active call. Return how many there were.

        If an engine has very many sessions, only the first `LIST_LIMIT` are seen. The engine ends the others
        by itself, a minute after their last packet. Raises what `is_alive` raises; an engine that is away is
        skipped.
        """
        suspects = [(engine, session) for engine in self._engines for session in await self._sessions(engine)]
        suspects = await _dead(suspects, is_alive)
        if suspects:
            await asyncio.sleep(self._second_look_seconds)
            suspects = await _dead(suspects, is_alive)
        for engine, session in suspects:
            engine.forget(session)
        return len(suspects)

    async def _sessions(self, engine: Engine) -> list[str]:
        """Return the names of our sessions on one engine, or an empty list if the engine is away."""
        try:
            answer = await engine.command("list", limit=LIST_LIMIT)
        except StoreUnavailable as error:
            log.debug("no leftovers looked for: %s", error)
            return []
        calls = answer.get(b"calls", [])
        found = calls if isinstance(calls, list) else []
        names = [call.decode(errors="replace") for call in found if isinstance(call, bytes)]
        return [name for name in names if name.startswith(self._prefix)]

    def _chosen(self, session: str, engine: str) -> list[Engine]:
        """Return the engines to try, in order: of those that are up, first the one that has the session."""
        by_weight = sorted(self._engines, key=lambda one: _weight(session, one.name))
        up = [one for one in by_weight if one.up]
        return sorted(up, key=lambda one: one.name != engine)[:MAX_TRIES]

    def _forget(self, session: str, engines: Iterable[Engine]) -> None:
        for engine in engines:
            engine.forget(session)


def _weight(session: str, engine: str) -> bytes:
    """Return the weight of an engine for a session; the lowest weight is tried first.

    A checksum would not do: with three engines, one would have the lowest value half of the time, not a
    third.
    """
    return blake2b(f"{session} {engine}".encode(), digest_size=8).digest()


async def _dead(sessions: list[tuple[Engine, str]], is_alive: IsAlive) -> list[tuple[Engine, str]]:
    if not sessions:
        return []
    alive = await is_alive([session for _, session in sessions])
    return [one for one, lives in zip(sessions, alive, strict=True) if not lives]


def _kind(text: bytes) -> LegKind:
    """Return the kind of the offerer's leg: the answer has the same kind as the offer."""
    return sdp.leg_kind(text) or LegKind.PLAIN


def _readable(text: bytes) -> tuple[LegKind, bytes]:
    """Return the kind of the leg, and the part of its description that an engine can use.

    Raises MediaRefused for a body that is no description: the engine would return it unchanged.
    """
    kind = sdp.leg_kind(text)
    if kind is None:
        raise MediaRefused(NO_MEDIA)
    return kind, sdp.without_hidden_candidates(text)


def _for(to: LegKind, sender: LegKind, text: bytes) -> bytes:
    """Return the description without attributes and ciphers that the leg `to` cannot use.

    The engine keeps attributes that only browsers read, and offers desk phones every cipher.
    """
    if to is LegKind.SRTP and sender is not LegKind.SRTP:
        return sdp.for_srtp(text)
    is_cleaned = sender in media.WITH_DTLS and to is not sender and to is not LegKind.WEBRTC
    return sdp.for_plain(text) if is_cleaned else text
