"""The stream of all events, `registrar:events`, read from a given position (docs/redis.md)."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.client import NEVER_DECODE
from redis.exceptions import RedisError, ResponseError

from registrar.model import Epoch, EventKind

from . import keys
from .redis_client import TIMEOUT_SECONDS, heed_cancellation

BLOCK_MILLISECONDS: Final = int(500 * TIMEOUT_SECONDS)
"""How long one XREAD waits for an event. The client takes a longer silence for a lost connection."""
BATCH: Final = 500
RETRY_SECONDS: Final = 0.3
FIRST: Final = "0-0"
"""The position before every entry."""
POSITION: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
GREATEST: Final = 2**64 - 1
"""The greatest number in the id of an entry."""
NUMBERS: Final = (
    "time",
    "port",
    "count",
    "status",
    "ringSeconds",
    "talkSeconds",
    "position",
    "waitedSeconds",
    "until",
)
NUMBER: Final = re.compile(r"[0-9]{1,15}")
"""Whole numbers that every reader of JSON can hold."""
DECIMAL: Final = re.compile(r"[0-9]{1,12}\.[0-9]{1,3}")
ONCE_A_CALL: Final = frozenset({"call-started", "call-answered", "call-ended"})
NAMES: Final = (
    *(str(kind) for kind in EventKind),
    *("call-started", "call-answered", "call-changed", "call-ended"),
    *("queue-joined", "queue-offered", "queue-answered", "queue-left"),
    *("queue-logged-in", "queue-logged-out", "dnd", "forwarded", "emergency-call", "audit-late"),
    *("banned", "unbanned", "token-ending", "quota-near", "unusual"),
)
"""All events; docs/redis.md describes each."""

FAULTS: Final = (RedisError, OSError, TimeoutError)

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream; docs/redis.md lists its fields. Its content is not trusted."""

    id: str
    fields: Fields

    @property
    def key(self) -> str:
        """Return the name of the event, which stays the same if the event was appended twice."""
        get = self.fields.get
        written, call, event = get("key", ""), get("call", ""), get("event", "")
        return written or (f"{call}:{event}" if call and event in ONCE_A_CALL else self.id)

    @property
    def phone(self) -> str:
        """Return the id of the phone of the event."""
        return self.fields.get("phone", "")

    @property
    def phones(self) -> tuple[str, ...]:
        """Return the ids of all phones of the event: the caller's, then that of the callee who answered."""
        return tuple(filter(None, (self.phone, self.fields.get("calleePhone", ""))))

    def values(self) -> dict[str, object]:
        """Return the fields, with numbers as numbers."""
        return {name: _value(name, text) for name, text in self.fields.items()}


def order(id: str) -> tuple[int, int]:
    """Return the id of an entry as numbers, which sort as the entries do. Raise ValueError if it is none."""
    if POSITION.fullmatch(id) is None:
        raise ValueError(f"{id[:40]!r} is not the id of an entry")
    milliseconds, number = map(int, id.split("-"))
    if max(milliseconds, number) > GREATEST:
        raise ValueError(f"{id} is greater than the id of any entry")
    return milliseconds, number


async def newest(redis: Redis) -> str:
    """Return the id of the newest entry, or FIRST if there is none. Raise one of FAULTS."""
    found = await _before(redis, "+", 1)
    return found[0].id if found else FIRST


async def newest_or_now(redis: Redis, now: Epoch) -> str:
    """Return the id of the newest entry, or if Redis is away, the id for the present time by our clock."""
    try:
        return await newest(redis)
    except FAULTS:
        return f"{int(now * 1000)}-0"


async def read_after(redis: Redis, last: str) -> list[Entry]:
    """Return the next entries after `last`; wait for them for BLOCK_MILLISECONDS. Raise one of FAULTS."""
    words = ("COUNT", BATCH, "BLOCK", BLOCK_MILLISECONDS, "STREAMS", keys.EVENTS, last)
    answer: Any = await _ask(redis, "XREAD", *words)
    return _entries(answer[0][1]) if answer else []


async def newest_before(redis: Redis, last: str, count: int) -> list[Entry]:
    """Return the `count` newest entries up to `last`, the oldest first. Raise one of FAULTS."""
    return list(reversed(await _before(redis, last, count)))


async def page_after(redis: Redis, last: str) -> list[Entry]:
    """Return the next entries after `last` that are there, without waiting. Raise one of FAULTS."""
    words = (keys.EVENTS, f"({last}", "+", "COUNT", BATCH)
    return _entries(await _ask(redis, "XRANGE", *words))


async def oldest_kept(redis: Redis) -> str:
    """Return the id of the oldest entry if older ones were removed, else FIRST. Raise one of FAULTS."""
    try:
        about: Any = await _ask(redis, "XINFO STREAM", keys.EVENTS)
    except ResponseError as error:
        if "no such key" in str(error):
            return FIRST
        raise
    if about["entries-added"] <= about["length"] or not about["first-entry"]:
        return FIRST
    return _text(about["first-entry"][0])


async def after(redis: Redis, last: str, tell: Callable[[str], None]) -> AsyncIterator[list[Entry]]:
    """Yield the entries after `last`, without end.

    Call `tell` with the reason when Redis goes away, and with an empty text when it is back.
    """
    away = False
    while True:
        heed_cancellation()
        try:
            found = await read_after(redis, last)
        except FAULTS as error:
            if not away:
                tell(str(error) or type(error).__name__)
            away = True
            await asyncio.sleep(RETRY_SECONDS)
            continue
        if away:
            tell("")
            away = False
        if found:
            last = found[-1].id
            yield found


async def _before(redis: Redis, last: str, count: int) -> list[Entry]:
    words = (keys.EVENTS, last, "-", "COUNT", count)
    return _entries(await _ask(redis, "XREVRANGE", *words))


async def _ask(redis: Redis, *words: str | int) -> Any:
    """Return the answer with undecoded texts.

    An entry may hold text of another program that is not UTF-8. It must not stop the readers.
    """
    return await redis.execute_command(*words, **{NEVER_DECODE: True})  # type: ignore[no-untyped-call]  # redis-py


def _entries(rows: Sequence[Any]) -> list[Entry]:
    return [
        Entry(_text(id), {_text(name): _text(value) for name, value in (fields or {}).items()})
        for id, fields in rows
    ]


def _text(word: bytes) -> str:
    return word.decode(errors="replace")


def _value(name: str, text: str) -> object:
    if name not in NUMBERS:
        return text
    if DECIMAL.fullmatch(text):
        return float(text)
    return int(text) if NUMBER.fullmatch(text) else text
