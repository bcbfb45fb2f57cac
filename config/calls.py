"""The present calls, read from Redis (docs/redis.md), and the message that ends one."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from registrar.errors import StoreUnavailable
from registrar.model import Epoch
from registrar.store import keys
from registrar.store.many import ask, command

from .live import READ_SECONDS, away_is_unavailable

HANGUP_SECONDS: Final = 2.0
"""Time for the process that has a call to end it."""
LOOK_SECONDS: Final = 0.05
CHUNK: Final = 500
"""Calls read at once. Other tasks run in between, because the same event loop may serve SIP."""
API: Final = "api"
CALL_ID: Final = re.compile(r"[0-9a-f]{32}")
FIELDS: Final = tuple(
    "id callId customer state startedAt answeredAt media node".split()
    + [f"{side}{what}" for side in ("caller", "callee") for what in ("Phone", "Number", "Name", "Transport")]
)
"""The fields that are read of a call; none is private."""


@dataclass(frozen=True, slots=True)
class LiveParty:
    """One side of a call. A value that is not known yet is None."""

    phone: str | None
    number: str | None
    name: str | None
    transport: str | None


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call as the API shows it."""

    id: str
    call_id: str
    customer: str
    state: str
    caller: LiveParty
    callee: LiveParty
    media: str
    node: str
    started_at: float
    """Epoch seconds."""
    answered_at: float | None

    def has(self, number: str) -> bool:
        """Return whether one side is the extension with this number."""
        return number in (self.caller.number, self.callee.number)


class LiveCalls:
    """Reads what the SIP side wrote about calls. Every method raises StoreUnavailable while Redis is away."""

    def __init__(self, redis: Redis, now: Callable[[], Epoch]) -> None:
        self._redis = redis
        self._now = now

    async def all_of(self, customer: str | None) -> list[LiveCall]:
        """Return the calls of a customer, or of all customers for None, the earliest first."""
        key = keys.CALLS if customer is None else keys.calls(customer)
        (ids,) = await self._ask([command("ZRANGEBYSCORE", key, f"({self._now():.3f}", "+inf")])
        found = await self.load(ids if isinstance(ids, list) else [])
        return sorted(found, key=lambda call: (call.started_at, call.id))

    async def load(self, ids: Sequence[str]) -> list[LiveCall]:
        """Return those calls that exist, in the same order."""
        found: list[LiveCall] = []
        for chunk in _chunks(ids):
            found += [call for call in await self._read(chunk) if call is not None]
        return found

    async def find(self, id: str) -> LiveCall | None:
        """Return the call with this id, or None. The id may be malformed."""
        wanted = id.lower()
        return (await self._read([wanted]))[0] if CALL_ID.fullmatch(wanted) else None

    async def hang_up(self, call: LiveCall) -> bool:
        """Tell the process that has the call to end it. Return whether it did so in HANGUP_SECONDS."""
        word = json.dumps({"call": call.id, "by": API})
        await self._ask([command("PUBLISH", keys.HANGUP, word)])
        gone = command("EXISTS", keys.call(call.id))
        for _ in range(round(HANGUP_SECONDS / LOOK_SECONDS)):
            if await self._ask([gone]) == [0]:
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _read(self, ids: Sequence[str]) -> list[LiveCall | None]:
        answers = await self._ask([command("HMGET", keys.call(id), *FIELDS) for id in ids])
        return [_call(answer) for answer in answers]

    async def _ask(self, commands: Iterable[bytes]) -> list[object]:
        with away_is_unavailable():
            async with asyncio.timeout(READ_SECONDS):
                answers = await ask(self._redis, commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise StoreUnavailable(f"Redis: {answer}")
        return answers


def _call(answer: object) -> LiveCall | None:
    """Return the call in an answer, which is not trusted.

    Return None if there is no such call, or if we did not write it.
    """
    values = answer if isinstance(answer, list) else []
    fields = {name: value for name, value in zip(FIELDS, values, strict=False) if isinstance(value, str)}
    started_at = _seconds(fields.get("startedAt", ""))
    if len(fields) < len(FIELDS) or not CALL_ID.fullmatch(fields["id"]) or started_at is None:
        return None
    return LiveCall(
        id=fields["id"],
        call_id=fields["callId"],
        customer=fields["customer"],
        state=fields["state"],
        caller=_party("caller", fields),
        callee=_party("callee", fields),
        media=fields["media"],
        node=fields["node"],
        started_at=started_at,
        answered_at=_seconds(fields["answeredAt"]),
    )


def _party(side: str, fields: Mapping[str, str]) -> LiveParty:
    return LiveParty(
        phone=fields[f"{side}Phone"] or None,
        number=fields[f"{side}Number"] or None,
        name=fields[f"{side}Name"] or None,
        transport=fields[f"{side}Transport"] or None,
    )


def _seconds(text: str) -> float | None:
    """Return epoch seconds as the SIP side writes them, or None for any other text."""
    return float(text) if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,3})?", text) else None


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
