"""The stream of all events, read from a given position. No event is lost while Redis is away."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.model import Epoch
from registrar.store import keys
from registrar.store.redis_client import TIMEOUT_SECONDS, heed_cancellation

BLOCK_MILLISECONDS: Final = int(500 * TIMEOUT_SECONDS)
"""How long one XREAD waits for an event. The client takes a longer silence for a lost connection."""
BATCH: Final = 500
RETRY_SECONDS: Final = 0.3
LOOK_SECONDS: Final = 2.0
MAX_USER_AGENT: Final = 60
NUMBERS: Final = (
    "time",
    "port",
    "count",
    "status",
    "ringSeconds",
    "talkSeconds",
    "position",
    "waitedSeconds",
)
DECIMAL: Final = re.compile(r"[0-9]{1,12}\.[0-9]{1,3}")

FAULTS: Final = (RedisError, OSError, TimeoutError)

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream; docs/redis.md lists its fields. Its content is not trusted."""

    id: str
    fields: Fields

    @property
    def phone(self) -> str:
        """Return the id of the phone of the event."""
        return self.fields.get("phone", "")

    @property
    def phones(self) -> tuple[str, ...]:
        """Return the ids of all phones of the event: the caller's, then that of the callee who answered."""
        return tuple(filter(None, (self.phone, self.fields.get("calleePhone", ""))))

    def concerns(self, words: Iterable[str]) -> bool:
        """Return whether the event is about a phone, a person or a number among `words`."""
        named = {*self.phones, *map(self.fields.get, ("caller", "callee", "via", "person"))} - {"", None}
        return not named.isdisjoint(words)

    def json(self, username: str, extension: str) -> dict[str, object]:
        """Return the fields of the stream, with numbers as numbers, and the phone's username and number."""
        about = {"id": self.id, "username": username, "extensionNumber": extension or None}
        return about | {name: _value(name, text) for name, text in self.fields.items()}

    def line(self, username: str, extension: str) -> str:
        """Return one line: local time, event, phone, reason, address and transport, User-Agent.

        For a call, add the callee, and how long it rang and how long it lasted. For a call that waits, add
        the number of the queue or group, its position, and how long it has waited.
        """
        get = self.fields.get
        count = "" if get("count", "1") in ("", "1") else f"x{get('count')}"
        by = f"by {get('by')}" if get("by") else ""
        callee = f"to {get('callee') or '?'}" if "calleePhone" in self.fields or get("callee") else ""
        at = f"at {get('via')}" if get("place") else ""
        position = f"position {get('position')}" if get("position") else ""
        waited = f"waited {get('waitedSeconds')} s" if get("waitedSeconds") else ""
        rang = f"rang {get('ringSeconds')} s" if get("ringSeconds") else ""
        talked = f"talked {get('talkSeconds')} s" if get("talkSeconds") else ""
        words = (
            _local(get("time", "")),
            f"{get('event', ''):<12}",
            f"{extension or get('caller') or '-'}/{username or self.phone or get('person', '')}",
            at,
            callee,
            get("reason", ""),
            get("status", ""),
            rang,
            talked,
            position,
            waited,
            _place(get("ip", ""), get("port", "")),
            get("transport", ""),
            visible(get("userAgent", ""))[:MAX_USER_AGENT],
            count,
            by,
        )
        return visible("  ".join(word for word in words if word)).rstrip()


def visible(text: str) -> str:
    """Return `text` without non-printable characters.

    Text from a peer may contain characters that move the cursor or reverse a line.
    """
    return "".join(character for character in text if character.isprintable())


async def newest(redis: Redis, now: Epoch) -> str:
    """Return the last id of the stream, or if Redis is away, the id for the present time by our clock."""
    try:
        found = await redis.xrevrange(keys.EVENTS, count=1)
    except FAULTS:
        return f"{int(now * 1000)}-0"
    return str(found[0][0]) if found else "0-0"


async def after(redis: Redis, last: str, tell: Callable[[str], None]) -> AsyncIterator[list[Entry]]:
    """Yield the entries after `last`, without end.

    Call `tell` once when Redis goes away, and once when it is back.
    """
    away = False
    while True:
        heed_cancellation()
        try:
            answer: Any = await redis.xread({keys.EVENTS: last}, count=BATCH, block=BLOCK_MILLISECONDS)
        except FAULTS as error:
            if not away:
                tell(f"Redis is away: {visible(str(error)) or type(error).__name__}")
            away = True
            await asyncio.sleep(RETRY_SECONDS)
            continue
        if away:
            tell("Redis is back")
            away = False
        for _, rows in answer or ():
            last = rows[-1][0]
            yield [Entry(str(number), fields) for number, fields in rows]


def _value(name: str, text: str) -> object:
    if name not in NUMBERS:
        return text
    if DECIMAL.fullmatch(text):
        return float(text)
    return int(text) if text.isdecimal() else text


def _local(time: str) -> str:
    try:
        return datetime.fromtimestamp(int(time)).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "-"


def _place(ip: str, port: str) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    return f"{host}:{port}" if port not in ("", "0") else host
