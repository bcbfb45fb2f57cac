"""The index of states that the SIP side writes (docs/redis.md): how many phones are in each, and which."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import Redis

from registrar.errors import StoreUnavailable
from registrar.model import Epoch
from registrar.rules.standing import NO_TRANSPORT
from registrar.store import keys
from registrar.store.many import ask, command
from registrar.store.refusals_redis import MAX_PHONES
from registrar.store.state_index import BUILDING, span

from .live import READ_SECONDS, away_is_unavailable, hash_of
from .wanted import Wanted, Word

AT_ONCE: Final = 5_000
"""Members of the index that are read at a time: a longer answer would hold up Redis, and so the phones."""
CUSTOMERS_AT_ONCE: Final = 500
MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Selection:
    """The ids that a list shows, or, if `excluded`, all but these."""

    ids: Sequence[str]
    excluded: bool = False


@dataclass(slots=True)
class Summary:
    """How many phones are in each state."""

    online: int = 0
    offline: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Reason -> phones that are offline for it."""
    transports: Counter[str] = field(default_factory=Counter)
    """Transport -> phones that are online over it."""
    refused: int = 0
    wrong_passwords: int = 0
    """In the last hour."""
    calls: int = 0
    complete: bool = True
    """Whether the index was compared with every phone since Redis was empty, and no part is built again."""

    def add(self, word: Word, number: int) -> None:
        """Add phones that share a word."""
        if word.online:
            self.online += number
            self.transports[word.transport] += number
        else:
            self.offline += number
            self.reasons[word.reason] += number


@dataclass(frozen=True, slots=True)
class Source:
    """An address from which requests of a customer's phones were refused."""

    address: str
    reasons: Mapping[str, int]
    phones: Sequence[str]
    count: int
    first: int
    last: int
    """Epoch seconds of the first and of the last refusal."""


class Registrations:
    """Reads the index. Every method raises StoreUnavailable while Redis is away."""

    def __init__(self, redis: Redis, now: Callable[[], Epoch]) -> None:
        self._redis = redis
        self._now = now

    async def select(self, customers: Sequence[str], wanted: Wanted, kinds: str = "p") -> Selection:
        """Return the wanted phones of these customers; `kinds` has a letter for each kind of phone."""
        words = await self._words(customers)
        excluded = wanted.has_unknown
        spans = [
            (customer, word)
            for customer, found in words.items()
            for word in found
            if word.kind in kinds and wanted.has(word) != excluded
        ]
        ids: list[str] = []
        for customer, word in spans:
            ids += await self._members(customer, word)
        return Selection(ids, excluded)

    async def summary(self, customers: Sequence[str]) -> Summary:
        """Return the numbers of phones of these customers; the time does not depend on the numbers."""
        (checked,) = await self._ask([command("EXISTS", keys.STATES_CHECKED)])
        summary = Summary(complete=checked == 1)
        for some in _chunks(customers):
            for counts in await self._counts(some):
                _add_counts(summary, counts)
            await self._add_refusals_and_calls(summary, some)
        return summary

    async def refusals(self, customers: Sequence[str], since: float, limit: int) -> list[Source]:
        """Return the addresses that were refused since a moment, the latest first."""
        found: list[Source] = []
        for some in _chunks(customers):
            found += await self._refusals(some, since, limit)
        merged: dict[str, Source] = {}
        for source in found:
            known = merged.get(source.address)
            merged[source.address] = source if known is None else _merged(known, source)
        return sorted(merged.values(), key=lambda source: (-source.last, source.address))[:limit]

    async def _words(self, customers: Sequence[str]) -> dict[str, dict[Word, int]]:
        words: dict[str, dict[Word, int]] = {}
        for some in _chunks(customers):
            for customer, counts in zip(some, await self._counts(some), strict=True):
                words[customer] = _numbers(counts)
        return words

    async def _counts(self, customers: Sequence[str]) -> list[Mapping[str, str]]:
        """Return the numbers of each customer as the index has them."""
        answers = await self._ask([command("HGETALL", keys.states(one)[2]) for one in customers])
        return [hash_of(answer) or {} for answer in answers]

    async def _members(self, customer: str, word: Word) -> list[str]:
        """Return the phones with a word; each piece begins after the last one of the piece before."""
        key, prefix = keys.states(customer)[1], f"{word} "
        (low, high), found = span(str(word)), list[str]()
        while True:
            piece = command("ZRANGEBYLEX", key, low, high, "LIMIT", 0, AT_ONCE)
            (answer,) = await self._ask([piece])
            members = answer if isinstance(answer, list) else []
            found += [str(member)[len(prefix) :] for member in members]
            if len(members) < AT_ONCE:
                return found
            low = f"({members[-1]}"
            await asyncio.sleep(0)  # the same event loop may serve SIP

    async def _add_refusals_and_calls(self, summary: Summary, customers: Sequence[str]) -> None:
        now = self._now()
        minutes = await self._ask([command("HGETALL", keys.refusals(one)[2]) for one in customers])
        for answer in minutes:
            for place, text in (hash_of(answer) or {}).items():
                number = _in_last_hour(text, now)
                if place.startswith("w"):
                    summary.wrong_passwords += number
                else:
                    summary.refused += number
        counted = [command("ZCOUNT", keys.calls(one), f"({now:.3f}", "+inf") for one in customers]
        summary.calls += sum(number for number in await self._ask(counted) if isinstance(number, int))

    async def _refusals(self, customers: Sequence[str], since: float, limit: int) -> list[Source]:
        wanted = [
            command(
                "ZRANGE", keys.refusals(one)[1], "+inf", f"{since:.3f}", "BYSCORE", "REV", "LIMIT", 0, limit
            )
            for one in customers
        ]
        lists = await self._ask(wanted)
        pairs = [
            (customer, str(address))
            for customer, found in zip(customers, lists, strict=True)
            for address in (found if isinstance(found, list) else [])
        ]
        texts = await self._ask([command("HGET", keys.refusals(one)[0], address) for one, address in pairs])
        sources = [_source(address, text) for (_, address), text in zip(pairs, texts, strict=True)]
        return [source for source in sources if source is not None]

    async def _ask(self, commands: Iterable[bytes]) -> list[object]:
        with away_is_unavailable():
            async with asyncio.timeout(READ_SECONDS):
                answers = await ask(self._redis, commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise StoreUnavailable(f"Redis: {answer}")
        return answers


def _chunks(customers: Sequence[str]) -> Iterable[Sequence[str]]:
    starts = range(0, len(customers), CUSTOMERS_AT_ONCE)
    return (customers[start : start + CUSTOMERS_AT_ONCE] for start in starts)


def _add_counts(summary: Summary, counts: Mapping[str, str]) -> None:
    """Add the phones of one customer; while its part is built again, the summary is not complete."""
    summary.complete = summary.complete and BUILDING not in counts
    for word, number in _numbers(counts).items():
        if word.kind == "p":
            summary.add(word, number)


def _numbers(words: Mapping[str, str]) -> dict[Word, int]:
    """Return the number of phones of each word; other fields are left out."""
    found: dict[Word, int] = {}
    for word, number in words.items():
        parts = word.split(" ")
        if len(parts) == 3 and number.isascii() and number.isdigit():
            kind, reason, transport = parts
            found[Word(kind, reason, "" if transport == NO_TRANSPORT else transport)] = int(number)
    return found


def _in_last_hour(text: str, now: float) -> int:
    """Return the number in a place of the ring, `minute number`, or 0 if the minute is over an hour ago."""
    minute, _, number = text.partition(" ")
    if not (minute.isdigit() and number.isdigit()):
        return 0
    return int(number) if int(minute) > int(now / 60) - MINUTES else 0


def _source(address: str, text: object) -> Source | None:
    """Return the source in an entry, or None if it is gone or malformed."""
    try:
        entry = json.loads(str(text))
        reasons = {str(reason): int(number) for reason, number in entry["reasons"].items()}
        phones = [str(phone) for phone in entry["phones"]]
        return Source(address, reasons, phones, int(entry["count"]), int(entry["first"]), int(entry["last"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _merged(one: Source, other: Source) -> Source:
    """Return what two customers' phones did from one address."""
    phones = list(dict.fromkeys([*one.phones, *other.phones]))[:MAX_PHONES]
    reasons = Counter(one.reasons) + Counter(other.reasons)
    first, last = min(one.first, other.first), max(one.last, other.last)
    return Source(one.address, reasons, phones, one.count + other.count, first, last)
