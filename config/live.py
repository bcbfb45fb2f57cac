"""What the SIP side wrote to Redis (docs/redis.md): the live status of phones, and the present calls."""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from registrar.errors import StoreUnavailable
from registrar.model import Binding, Epoch
from registrar.rules.status import UNKNOWN, LiveStatus, live_status, needed_lease, node_is_gone
from registrar.store import keys
from registrar.store.many import ask, command
from registrar.store.snapshot_codec import Stored, decode

READ_SECONDS: Final = 2.0
"""The longest time that a response waits for Redis. The Redis client gives up sooner."""
SLOW_SECONDS: Final = 0.5
RENEWED_SECONDS: Final = 3.0
"""A lease may be missing for so long after Redis was away: its process lives, and renews it."""
WRITABLE_MS: Final = 1_000
MAX_NODES: Final = 64
"""Most node names whose leases are requested in advance; more than a cluster has."""

Fields = Mapping[str, str]
Leases = dict[str, str]
"""Name of a living node -> its generation."""

_HGETALL: Final = b"*2\r\n$7\r\nHGETALL\r\n$%d\r\n%b\r\n"

HANGUP_SECONDS: Final = 2.0
"""Time for the process that has a call to end it."""
LOOK_SECONDS: Final = 0.05
CHUNK: Final = 500
"""Calls read at once. Other tasks run in between, because the same event loop may serve SIP."""
API: Final = "api"
CALL_ID: Final = re.compile(r"[0-9a-f]{32}")
SIDES: Final = ("caller", "callee")
FIELDS: Final = tuple(
    "id callId customer state startedAt answeredAt media node".split()
    + [f"{side}{what}" for side in SIDES for what in ("Phone", "Number", "Name", "Transport")]
)
"""The fields that are read of a call; none is private."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a phone's journal; docs/redis.md lists its fields."""

    at_ms: int
    """Milliseconds since 1970, by the clock of Redis."""
    fields: Fields


class Live:
    """Reads what the SIP side wrote about phones. It remembers the names of nodes to save a round trip."""

    def __init__(self, redis: Redis, now: Callable[[], Epoch]) -> None:
        self._redis = redis
        self._now = now
        self._nodes: dict[str, None] = {}
        self._sure_at = 0.0
        """Until then, in seconds of the event loop, a missing lease says nothing."""

    async def statuses(self, phones: Sequence[str]) -> list[LiveStatus]:
        """Return the status of each phone, in order; UNKNOWN if Redis did not return it."""
        try:
            return (await self._read(phones))[0]
        except (RedisError, OSError) as error:
            log.warning("live status is unknown, Redis is away: %s", type(error).__name__)
            return [UNKNOWN] * len(phones)

    async def told(self, phones: Sequence[str]) -> list[LiveStatus]:
        """Return the status of each phone, in order. Raise StoreUnavailable while Redis is away."""
        with away_is_unavailable():
            return (await self._read(phones))[0]

    async def history(self, phone: str, limit: int) -> tuple[LiveStatus, list[Entry]]:
        """Return the status of a phone and its newest events. Raise StoreUnavailable while Redis is away."""
        with away_is_unavailable():
            (status,), (answer,) = await self._read(
                [phone], command("XREVRANGE", keys.journal(phone), "+", "-", "COUNT", limit)
            )
        rows = answer if isinstance(answer, list) else []
        return status, [Entry(int(str(number).partition("-")[0]), pairs(words)) for number, words in rows]

    async def bindings(self, phone: str) -> Sequence[Binding]:
        """Return the contacts of a phone that have not expired. Raise StoreUnavailable without Redis."""
        with away_is_unavailable():
            async with asyncio.timeout(READ_SECONDS):
                (stored,) = await ask(self._redis, [command("HGET", keys.location(phone), "b")])
        try:
            found = decode(Stored(b=str(stored or "").encode())).bindings
        except (ValueError, TypeError) as error:
            raise StoreUnavailable(f"the bindings of phone {phone} cannot be read") from error
        now = self._now()
        return [binding for binding in found if binding.expires_at > now]

    async def _read(self, phones: Sequence[str], *more: bytes) -> tuple[list[LiveStatus], Sequence[object]]:
        """Return the statuses, and the answers to `more` commands."""
        if not phones:
            return [], []
        with self._away_is_noted():
            async with asyncio.timeout(READ_SECONDS):
                nodes = list(self._nodes)
                hashes_of = [keys.status(phone).encode() for phone in phones]
                commands = [_HGETALL % (len(key), key) for key in hashes_of]
                commands += [command("GET", keys.node(node)) for node in nodes]
                answers = await ask(self._redis, [*commands, *more])
                found, told = answers[: len(phones)], answers[len(phones) :]
                hashes = [hash_of(answer) for answer in found]
                leases = generations(nodes, told[: len(nodes)])
                needed = {node for fields in hashes if fields and (node := needed_lease(fields))}
                leases |= await self._unasked(needed, nodes)
                if needed - leases.keys():
                    await self._check_that_leases_can_be_renewed()
        return self._statuses(hashes, leases), told[len(nodes) :]

    def _statuses(self, hashes: Sequence[Fields | None], leases: Leases) -> list[LiveStatus]:
        now, sure = self._now(), asyncio.get_running_loop().time() >= self._sure_at
        return [
            UNKNOWN
            if fields is None or (not sure and node_is_gone(fields, leases))
            else live_status(fields, leases, now)
            for fields in hashes
        ]

    async def _check_that_leases_can_be_renewed(self) -> None:
        """Note that leases may be missing if Redis takes no writes: full, a replica, or without disk."""
        (answer,) = await ask(self._redis, [command("SET", keys.WRITABLE, "1", "PX", WRITABLE_MS)])
        if isinstance(answer, Exception):
            self._sure_at = asyncio.get_running_loop().time() + RENEWED_SECONDS

    @contextmanager
    def _away_is_noted(self) -> Iterator[None]:
        """Note that leases may be missing: Redis has not answered, or so late that it stood still."""
        time = asyncio.get_running_loop().time
        begun = time()
        try:
            yield
        except (RedisError, OSError):
            self._sure_at = time() + RENEWED_SECONDS
            raise
        if time() - begun > SLOW_SECONDS:
            self._sure_at = time() + RENEWED_SECONDS

    async def _unasked(self, needed: Iterable[str], asked: Sequence[str]) -> Leases:
        """Return the leases of nodes that were not known yet. From now on they are requested in advance."""
        new = sorted(node for node in needed if node not in asked)
        if not new:
            return {}
        for node in new[:MAX_NODES]:
            self._nodes[node] = None
        while len(self._nodes) > MAX_NODES:
            self._nodes.pop(next(iter(self._nodes)))
        return generations(new, await ask(self._redis, [command("GET", keys.node(node)) for node in new]))


@contextmanager
def away_is_unavailable() -> Iterator[None]:
    """Convert the errors of redis-py into StoreUnavailable."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreUnavailable(f"Redis is away: {type(error).__name__}") from error


def hash_of(answer: object) -> Fields | None:
    """Return a hash as either version of the protocol encodes it, or None if the answer is an error."""
    if isinstance(answer, list):
        return pairs(answer)
    return answer if isinstance(answer, dict) else None


def pairs(words: Sequence[str]) -> Fields:
    """Return a dictionary of alternating names and values, as Redis encodes a hash."""
    return dict(zip(words[::2], words[1::2], strict=False))


def generations(nodes: Sequence[str], answers: Sequence[object]) -> Leases:
    """Return the generations of the nodes that live; `answers` are what their leases hold."""
    leases: Leases = {}
    for node, answer in zip(nodes, answers, strict=True):
        try:
            leases[node] = str(json.loads(answer)["generation"]) if isinstance(answer, str) else ""
        except (ValueError, TypeError, KeyError):
            log.warning("the lease of node %s cannot be read", node)
    return {node: generation for node, generation in leases.items() if generation}


# Calls


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call as the API shows it."""

    id: str
    customer: str
    state: str
    values: Mapping[str, str | None]
    """Name -> value, for all FIELDS. A value of one side that is not known yet is None."""
    started_at: float
    """Epoch seconds."""
    answered_at: float | None

    def has(self, number: str) -> bool:
        """Return whether one side is the extension with this number."""
        return number in (self.values["callerNumber"], self.values["calleeNumber"])


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
        for start in range(0, len(ids), CHUNK):
            read = await self._read(ids[start : start + CHUNK])
            found += [call for call in read if call is not None]
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
    known = {name: value or (None if name.startswith(SIDES) else "") for name, value in fields.items()}
    answered_at = _seconds(fields["answeredAt"])
    return LiveCall(fields["id"], fields["customer"], fields["state"], known, started_at, answered_at)


def _seconds(text: str) -> float | None:
    """Return epoch seconds as the SIP side writes them, or None for any other text."""
    return float(text) if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,3})?", text) else None
