"""Active calls in Redis (docs/redis.md), written beside the path: no call waits for Redis."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from registrar.errors import StoreUnavailable
from registrar.model import Call, Ending, Notice, Party, Process
from registrar.ports import Clock

from . import keys
from .call_codec import (
    UNREADABLE,
    answered_event,
    changed_event,
    decode,
    encode,
    ended_event,
    started_event,
)
from .notices import appended, notice_fields, words_of
from .redis_wire import Argument, Wire

INDEX_SECONDS: Final = 86_400
"""How long a process' list of calls outlives its last call; no process is away for longer than a day."""
MAX_UNTOLD: Final = 10_000
"""Endings that wait for Redis; the oldest are dropped first."""
CHUNK: Final = 500

Item = TypeVar("Item")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Untold:
    """Ending of a call that Redis has not received, or only in part."""

    call: Call
    ending: Ending
    ours: bool = False
    """This process removed the hash, so it must write the event."""


class RedisCalls:
    """Calls in Redis; implements ports.Calls.

    Only `load`, `of_customer`, `of_process`, `claim` and `mend` raise: Redis may be away.
    """

    def __init__(self, wire: Wire, clock: Clock, process: Process) -> None:
        """Create the store. `process` is this process: it owns each call that names no process."""
        self._wire = wire
        self._clock = clock
        self._process = process
        self._untold: dict[str, Untold] = {}
        """By the id of the call."""

    def put(self, call: Call) -> None:
        """See ports.Calls. Each repeated `put` removes expired entries from the lists."""
        call = self._owned(call)
        now = f"({self._clock():.3f}"
        self._tell(
            *_kept(call),
            *self._listed(call),
            *(("ZREMRANGEBYSCORE", key, "-inf", now) for key in _lists(call)),
            ("EXPIRE", keys.CALLS, keys.CALL_SECONDS),
            ("EXPIRE", keys.node_calls(call.process), INDEX_SECONDS),
        )

    def started(self, call: Call) -> None:
        """See ports.Calls."""
        call = self._owned(call)
        self._tell(*self._listed(call), *_kept(call), appended(started_event(call)))

    def answered(self, call: Call) -> None:
        """See ports.Calls. The lists have the call already."""
        self._tell(*_kept(self._owned(call)), appended(answered_event(call)))

    def changed(self, call: Call, party: Party) -> None:
        """See ports.Calls."""
        self._tell(*_kept(self._owned(call)), appended(changed_event(call, party, self._clock())))

    def ended(self, call: Call, ending: Ending) -> None:
        """See ports.Calls. The process that removes the hash writes the event."""
        call = self._owned(call)
        try:
            removed = self._wire.send("DEL", keys.call(call.id))
        except StoreUnavailable:
            self._remember(Untold(call, ending))
        else:
            removed.add_done_callback(lambda answer: self._removed(call, ending, answer))

    def note(self, notice: Notice) -> None:
        """See ports.Calls."""
        self._tell(appended(notice_fields(notice)), linger=True)

    async def load(self, ids: Sequence[str]) -> list[Call | None]:
        """See ports.Calls."""
        found: list[Call | None] = []
        for chunk in _chunks(ids):
            answers = await asyncio.gather(*[self._wire.send("HGETALL", keys.call(id)) for id in chunk])
            found += [_decode(id, answer) for id, answer in zip(chunk, answers, strict=True)]
        return found

    async def of_customer(self, customer: str) -> list[Call]:
        """See ports.Calls. The list may name calls that are gone."""
        end = f"({self._clock():.3f}"
        found = await self._wire.send("ZRANGE", keys.calls(customer), end, "+inf", "BYSCORE")
        calls = await self.load([id.decode(errors="replace") for id in found])
        return [call for call in calls if call is not None]

    async def of_process(self, process: Process) -> list[Call]:
        """See ports.Calls. Calls that are listed but gone are removed from the list."""
        key = keys.node_calls(process)
        ids = [id.decode(errors="replace") for id in await self._wire.send("SMEMBERS", key)]
        found = await self.load(ids)
        gone = [id for id, call in zip(ids, found, strict=True) if call is None]
        for chunk in _chunks(gone):
            self._tell(("SREM", key, *chunk))
        return [call for call in found if call is not None]

    async def claim(self, call: Call) -> bool:
        """See ports.Calls."""
        removed: int = await self._wire.send("SREM", keys.node_calls(call.process), call.id)
        return bool(removed)

    @property
    def untold(self) -> int:
        """Return how many endings wait for `mend`."""
        return len(self._untold)

    async def mend(self) -> int:
        """Write the endings from the time when Redis was away. Return how many of them were new.

        Raises StoreUnavailable; the remaining endings then wait for the next call.
        """
        news = 0
        for chunk in _chunks(list(self._untold.values())):
            news += sum(await asyncio.gather(*[self._mend_one(untold) for untold in chunk]))
        return news

    async def _mend_one(self, untold: Untold) -> bool:
        """Write one ending. Return True if no other process has ended the call.

        The hash may have expired meanwhile. A call that is still in the list of its process shows the same.
        """
        call, ending = untold.call, untold.ending
        removed = self._wire.send("DEL", keys.call(call.id))
        left = self._wire.send("SREM", keys.node_calls(call.process), call.id)
        self._tell(*(("ZREM", key, call.id) for key in _lists(call)))
        is_news = any(await asyncio.gather(removed, left)) or untold.ours
        if is_news:
            self._untold[call.id] = replace(untold, ours=True)
            await self._wire.send(*appended(ended_event(call, ending)))
        self._untold.pop(call.id, None)
        return is_news

    def _removed(self, call: Call, ending: Ending, answer: asyncio.Future[Any]) -> None:
        """Publish the ending if we removed the hash. If the answer was lost, remember it for `mend`."""
        if answer.cancelled():
            return
        if answer.exception() is not None:
            self._remember(Untold(call, ending))
        elif answer.result():
            self._publish(call, ending)
        else:
            self._unlist(call)

    def _publish(self, call: Call, ending: Ending) -> None:
        """Write the event, then remove the call from the lists.

        Until then the lists say that the ending may be untold.
        """

        def done(answer: asyncio.Future[Any]) -> None:
            if answer.cancelled():
                return
            if answer.exception() is not None:
                self._remember(Untold(call, ending, ours=True))
            else:
                self._unlist(call)

        try:
            self._wire.send(*appended(ended_event(call, ending))).add_done_callback(done)
        except StoreUnavailable:
            self._remember(Untold(call, ending, ours=True))

    def _unlist(self, call: Call) -> None:
        self._tell(
            *(("ZREM", key, call.id) for key in _lists(call)),
            ("SREM", keys.node_calls(call.process), call.id),
            linger=True,
        )

    def _owned(self, call: Call) -> Call:
        return call if call.process.node else replace(call, process=self._process)

    def _listed(self, call: Call) -> list[tuple[Argument, ...]]:
        end = f"{self._clock() + keys.CALL_SECONDS:.3f}"
        own, everybodys = _lists(call)
        return [
            ("SADD", keys.node_calls(call.process), call.id),
            ("ZADD", own, end, call.id),
            ("EXPIRE", own, keys.CALL_SECONDS),
            ("ZADD", everybodys, end, call.id),
        ]

    def _tell(self, *commands: tuple[Argument, ...], linger: bool = False) -> None:
        """Send the commands, or drop them while Redis is away: the call goes on without being seen."""
        try:
            for command in commands:
                self._wire.tell(*command, linger=linger)
        except StoreUnavailable as error:
            log.debug("commands about a call were not sent: %s", error)

    def _remember(self, untold: Untold) -> None:
        self._untold[untold.call.id] = untold
        while len(self._untold) > MAX_UNTOLD:
            del self._untold[next(iter(self._untold))]


def _kept(call: Call) -> list[tuple[Argument, ...]]:
    key = keys.call(call.id)
    return [("HSET", key, *words_of(encode(call))), ("EXPIRE", key, keys.CALL_SECONDS)]


def _lists(call: Call) -> tuple[str, str]:
    """Return the keys of the lists that people read."""
    return keys.calls(call.customer), keys.CALLS


def _decode(id: str, answer: list[bytes]) -> Call | None:
    """Return the call, or None if there is no such call or it cannot be read."""
    words = [word.decode(errors="replace") for word in answer]
    if not words:
        return None
    try:
        return decode(dict(zip(words[::2], words[1::2], strict=True)))
    except UNREADABLE as error:
        log.error("call %s cannot be read: %s", id, error)
        return None


def _chunks(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    return (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
