"""What people (extensions) are doing and want, and the calls that wait, in Redis (docs/redis.md).

500 people are read in a constant number of round trips: first the people and their lines, then the status of
their phones, then the calls of their lines.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from registrar.errors import StoreUnavailable
from registrar.model import Epoch, Process, Waiter
from registrar.rules.status import LiveStatus
from registrar.store import keys
from registrar.store.many import ask, command
from registrar.store.notices import appended, notice_fields, wish_notice
from registrar.store.people_redis import OUT
from registrar.store.script_runner import ClientRunner
from registrar.store.scripts import CHANGE
from registrar.store.waiting_redis import waiter_of
from registrar.store.wish_cache import PersonNews, news_of

from .live import READ_SECONDS, Fields, Live, LiveCall, LiveCalls, away_is_unavailable, generations, hash_of

log = logging.getLogger(__name__)

CHUNK: Final = 500
"""People read at once. Other tasks run in between, because the same event loop may serve SIP."""
WISHES: Final = ("dnd", "cfu", "cfb", "cfnr")
STATES: Final = ("available", "ringing", "talking", "calling", "dnd", "offline")


@dataclass(frozen=True, slots=True)
class Seat:
    """A person as the database has it: its extension, phones and queues."""

    id: str
    number: str
    name: str
    phones: tuple[str, ...] = ()
    """Ids of its phones and of its SIP user."""
    queues: tuple[str, ...] = ()
    """Ids of the queues that ring it, by itself or through a group."""


@dataclass(frozen=True, slots=True)
class PartOfCall:
    """A call of a person, from its side."""

    id: str
    state: str
    is_caller: bool
    number: str | None
    """The number and name of the other side."""
    name: str | None


@dataclass(frozen=True, slots=True)
class LivePerson:
    """What a person is doing and wants now."""

    seat: Seat
    dnd: bool
    cfu: str | None
    cfb: str | None
    cfnr: str | None
    left: frozenset[str]
    """Ids of the queues that the person has left."""
    state: str
    """One of STATES."""
    since: float | None
    """Epoch seconds from which the state holds, if that is known."""
    reason: str | None
    """Why the person is offline, if a phone of it was registered within the last 30 days."""
    calls: tuple[PartOfCall, ...]


@dataclass(frozen=True, slots=True)
class LiveWaiter:
    """A call that waits for a queue or a group."""

    position: int
    """From 1, for the call that has waited for the longest time."""
    call: str
    number: str | None
    """The number and name of the caller; None if the call is not known."""
    name: str | None
    since: float
    node: str


class LivePeople:
    """Reads what people are doing, and writes what they want.

    Every method raises StoreUnavailable while Redis is away.
    """

    def __init__(self, redis: Redis, live: Live, calls: LiveCalls, now: Callable[[], Epoch]) -> None:
        self._redis = redis
        self._runner = ClientRunner(redis)
        self._live = live
        self._calls = calls
        self._now = now

    async def look(self, seats: Sequence[Seat]) -> list[LivePerson]:
        """Return what each person is doing and wants, in order."""
        found: list[LivePerson] = []
        for start in range(0, len(seats), CHUNK):
            found += await self._look(seats[start : start + CHUNK])
        return found

    async def _look(self, seats: Sequence[Seat]) -> list[LivePerson]:
        begin = f"({self._now():.3f}"
        answers = await self._ask(
            [command("HGETALL", keys.person(seat.id)) for seat in seats]
            + [command("ZRANGEBYSCORE", keys.line(seat.id), begin, "+inf") for seat in seats]
        )
        hashes = [hash_of(answer) or {} for answer in answers[: len(seats)]]
        lines = [_words(answer) for answer in answers[len(seats) :]]
        statuses = await self._statuses(seats)
        now = self._now()
        for fields, line in zip(hashes, lines, strict=True):
            if _number(fields, "claimUntil") > now:
                line.append(fields.get("claimCall", ""))
        ids = dict.fromkeys(id for line in lines for id in line if id)
        calls = {call.id: call for call in await self._calls.load(list(ids))}
        return [
            _person(seat, fields, [calls[id] for id in dict.fromkeys(line) if id in calls], statuses)
            for seat, fields, line in zip(seats, hashes, lines, strict=True)
        ]

    async def waiting(self, place: str) -> list[LiveWaiter]:
        """Return the calls that wait at `queue:<id>` or `group:<id>`, first come first.

        A call of a process that does not live does not wait.
        """
        (answer,) = await self._ask([command("ZRANGE", keys.waiting(place), 0, -1, "WITHSCORES")])
        words = _words(answer)
        waiters = [
            waiter_of(member, float(score)) for member, score in zip(words[::2], words[1::2], strict=True)
        ]
        nodes = sorted({waiter.process.node for waiter in waiters})
        leases = generations(nodes, await self._ask([command("GET", keys.node(node)) for node in nodes]))
        living = [one for one in waiters if _lives(one.process, leases)]
        calls = {call.id: call for call in await self._calls.load([waiter.call for waiter in living])}
        return [
            _waiter(position, waiter, calls.get(waiter.call)) for position, waiter in enumerate(living, 1)
        ]

    async def change(self, person: str, customer: str, wishes: Mapping[str, str]) -> None:
        """Set wishes of a person in one step, and tell all nodes.

        The keys of `wishes` are of WISHES; a value is `1` or a number, or empty. Each wish that has another
        value than before is an event in the stream of all events.
        """
        words: list[str] = []
        for field, value in wishes.items():
            words += (field, value, str(PersonNews(person, news_of(field))))
        at, *old = await self._runner.run(CHANGE, (keys.person(person),), keys.PERSON_NEWS, *words)
        for (field, value), before in zip(wishes.items(), old, strict=True):
            notice = wish_notice(person, field, value, float(at), customer)
            if notice is not None and value != before:
                self._runner.command(*appended(notice_fields(notice)))

    async def forget(self, people: Sequence[str]) -> None:
        """Remove what deleted people wanted. While Redis is away it stays, and nothing reads it any more."""
        try:
            await self._ask([command("DEL", keys.person(person)) for person in people])
        except StoreUnavailable as error:
            log.info("the wishes of %d deleted people stay in Redis: %s", len(people), error)

    async def _statuses(self, seats: Sequence[Seat]) -> Mapping[str, LiveStatus]:
        phones = list(dict.fromkeys(phone for seat in seats for phone in seat.phones))
        return dict(zip(phones, await self._live.told(phones), strict=True))

    async def _ask(self, commands: Iterable[bytes]) -> list[object]:
        sent = list(commands)
        if not sent:
            return []
        with away_is_unavailable():
            async with asyncio.timeout(READ_SECONDS):
                answers = await ask(self._redis, sent)
        for answer in answers:
            if isinstance(answer, Exception):
                raise StoreUnavailable(f"Redis: {answer}")
        return answers


def _person(
    seat: Seat, fields: Fields, calls: Sequence[LiveCall], statuses: Mapping[str, LiveStatus]
) -> LivePerson:
    own = [statuses[phone] for phone in seat.phones]
    state, since, reason = _state(seat, fields, calls, own)
    return LivePerson(
        seat,
        dnd=fields.get("dnd") == "1",
        cfu=fields.get("cfu") or None,
        cfb=fields.get("cfb") or None,
        cfnr=fields.get("cfnr") or None,
        left=frozenset(name.removeprefix(OUT) for name in fields if name.startswith(OUT)),
        state=state,
        since=since,
        reason=reason,
        calls=tuple(_part(seat, call) for call in calls),
    )


def _state(
    seat: Seat, fields: Fields, calls: Sequence[LiveCall], statuses: Sequence[LiveStatus]
) -> tuple[str, float | None, str | None]:
    """Return the state, since when it holds, and the reason for `offline`.

    A call comes first. Then a person without a registered phone is offline, whatever it wants.
    """
    talks = [call.answered_at for call in calls if call.answered_at is not None]
    if talks:
        return "talking", min(talks), None
    rings = [call.started_at for call in calls if not _is_caller(seat, call)]
    if rings:  # a call may wait for a long time before it rings here
        return "ringing", max(min(rings), _number(fields, "lastOffer")), None
    if calls:
        return "calling", min(call.started_at for call in calls), None
    online = [status for status in statuses if status.online]
    if not online:
        last = max(statuses, key=lambda status: status.since or 0, default=LiveStatus())
        return "offline", last.since, last.reason
    if fields.get("dnd") == "1":
        return "dnd", _number(fields, "dndSince") or None, None
    begun = min(status.since or 0 for status in online)
    return "available", max(begun, _number(fields, "lastEnd")) or None, None


def _part(seat: Seat, call: LiveCall) -> PartOfCall:
    is_caller = _is_caller(seat, call)
    other = "callee" if is_caller else "caller"
    number, name = (call.values[f"{other}{what}"] for what in ("Number", "Name"))
    return PartOfCall(call.id, call.state, is_caller, number, name)


def _is_caller(seat: Seat, call: LiveCall) -> bool:
    return call.values["callerPhone"] in seat.phones


def _waiter(position: int, waiter: Waiter, call: LiveCall | None) -> LiveWaiter:
    number, name = (
        (call.values["callerNumber"], call.values["callerName"]) if call is not None else (None, None)
    )
    return LiveWaiter(position, waiter.call, number, name, waiter.since, waiter.process.node)


def _lives(process: Process, leases: Mapping[str, str]) -> bool:
    return leases.get(process.node) == process.generation


def _words(answer: object) -> list[str]:
    """Return the words of a list; the newer protocol has pairs of a member and its score."""
    found: list[str] = []
    for item in answer if isinstance(answer, list) else []:
        found += map(str, item if isinstance(item, list | tuple) else [item])
    return found


def _number(fields: Fields, name: str) -> float:
    try:
        return float(fields.get(name) or 0)
    except ValueError:
        return 0.0
