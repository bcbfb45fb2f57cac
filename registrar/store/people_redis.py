"""What people are doing and want, in Redis (docs/redis.md). Times are those of the server."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from registrar.errors import StoreUnavailable
from registrar.model import ClaimResult, Mono, PersonState, Process, Publication, Published

from . import keys
from .notices import appended, notice_fields, wish_notice
from .redis_wire import Argument, Wire
from .script_runner import WireRunner
from .scripts import ANSWERED, CHANGE, CLAIM, ENDED, PRESENT, RELEASE, STATE, TAKE_PART, Script
from .wish_cache import LEFT, PRESENCE, PersonNews, WishCache, news_of, parse_news

MAX_NAMES: Final = 20_000
"""Limit of people whose keys and messages are kept ready."""
OUT: Final = "out:"
"""Begins the fields in Redis for the queues that a person has left."""

_OPEN: Final = "open"
_CLOSED: Final = "closed"

log = logging.getLogger(__name__)


class Names(NamedTuple):
    """The keys of a person, and the messages about it."""

    person: str
    line: str
    free: str
    answered: str


class RedisPeople:
    """People in Redis; implements ports.People. A claim of a process that does not live is void."""

    def __init__(
        self,
        wire: Wire,
        mono: Callable[[], Mono],
        process: Process,
        lives: Callable[[Process], bool],
        *,
        wrap_up_seconds: int,
    ) -> None:
        """Create the store. `process` is this process, which owns the claims that it makes.

        `lives` tells from memory whether a process lives.
        """
        self._wire = wire
        self._runner = WireRunner(wire)
        self._process = process
        self._lives = lives
        self._wrap_up_seconds = wrap_up_seconds
        self._wishes = WishCache(mono)
        self.on_news: Callable[[str, str], None] = _ignore
        """Called with the person and the word of each message on `registrar:person-news`."""

    # What the subscription brings

    def heard(self, data: str) -> None:
        """Handle a message on `registrar:person-news`."""
        news = parse_news(data)
        if news is not None:
            self._wishes.heard(news)
            self.on_news(news.person, news.what)

    def missed(self) -> None:
        """Note that messages may have been missed: all settings are read again."""
        self._wishes.forget()

    # ports.People

    def settings(self, person: str) -> PersonState | None:
        """See ports.People."""
        return self._wishes.peek(person)

    async def states(self, people: Sequence[str], *, watch: bool = False) -> list[PersonState]:
        """See ports.People."""
        begun = self._wishes.begin()
        seconds = keys.WATCH_SECONDS if watch else 0
        answers = await self._run_all(STATE, [_keys(person) for person in people], seconds)
        found = [self._state(answer) for answer in answers]
        self._wishes.keep(people, found, begun)
        return found

    async def claim(
        self, people: Sequence[str], call: str, seconds: float, *, exclusive: bool
    ) -> list[ClaimResult]:
        """See ports.People. An answer names the claim in the way; if that is void, the script runs again."""
        own = self._process
        wanted = (call, own.node, own.generation, f"{seconds:.3f}", int(exclusive))
        answers = await self._run_all(CLAIM, [_keys(person) for person in people], *wanted, "")
        void: dict[Process, list[int]] = {}
        for place, answer in enumerate(answers):
            if len(answer) > 1:
                owner = Process(_text(answer[1]), _text(answer[2]))
                if not self._lives(owner):
                    void.setdefault(owner, []).append(place)
        for owner, places in void.items():
            both = [_keys(people[place]) for place in places]
            again = await self._run_all(CLAIM, both, *wanted, str(owner))
            for place, answer in zip(places, again, strict=True):
                answers[place] = answer
        return [ClaimResult(_text(answer[0])) for answer in answers]

    def release(self, person: str, call: str) -> None:
        """See ports.People."""
        names = _names(person)
        self._tell("EVALSHA", RELEASE.sha, 1, names.person, call, keys.PERSON_NEWS, names.free)

    def take_part(self, person: str, call: str) -> None:
        """See ports.People."""
        self._tell("EVALSHA", TAKE_PART.sha, 1, _names(person).line, call, keys.CALL_SECONDS)

    def answered(self, person: str, call: str) -> None:
        """See ports.People."""
        names = _names(person)
        self._tell(
            "EVALSHA",
            ANSWERED.sha,
            2,
            names.person,
            names.line,
            call,
            keys.CALL_SECONDS,
            keys.PERSON_NEWS,
            names.answered,
        )

    def ended(self, person: str, call: str, *, talked: bool) -> None:
        """See ports.People."""
        names = _names(person)
        wrap_up = self._wrap_up_seconds if talked else ""
        self._tell(
            "EVALSHA",
            ENDED.sha,
            2,
            names.person,
            names.line,
            call,
            wrap_up,
            keys.PERSON_NEWS,
            names.free,
        )

    async def change(self, person: str, field: str, value: str, *, customer: str = "", via: str = "") -> str:
        """See ports.People. Raises ValueError if `field` is no wish."""
        news = str(PersonNews(person, news_of(field)))
        stored = OUT + field.removeprefix(LEFT) if field.startswith(LEFT) else field
        key, written = (keys.person(person),), value.encode(errors="replace")
        try:
            at, before = await self._runner.run(CHANGE, key, keys.PERSON_NEWS, stored, written, news)
        finally:
            self._wishes.changed(person)  # this process need not wait for its own message
        old = _text(before)
        notice = wish_notice(person, field, value, float(at), customer, via)
        if notice is not None and old != value:
            self._runner.command(*appended(notice_fields(notice)))
        return old

    async def publish(self, person: str, publication: Publication) -> bool:
        """See ports.People."""
        state, basic, note = publication.state, "", b""
        if state is not None:
            basic, note = _OPEN if state.is_open else _CLOSED, state.note.encode(errors="replace")
        about = (
            publication.tag,
            publication.seconds,
            publication.match.encode(errors="replace"),
            basic,
            note,
        )
        news = str(PersonNews(person, PRESENCE))
        return bool(await self._runner.run(PRESENT, (keys.person(person),), *about, keys.PERSON_NEWS, news))

    def _tell(self, *words: Argument) -> None:
        """Send one command, or drop it while Redis is away. A script that was lost is loaded by `states`."""
        try:
            self._wire.tell(*words, linger=True)
        except StoreUnavailable as error:
            log.debug("what a person is doing was not sent: %s", error)

    async def _run_all(
        self, script: Script, each: Sequence[tuple[str, str]], *arguments: Argument
    ) -> list[Any]:
        """Run a script for each pair of keys in one pipeline, and return the answers.

        If Redis has lost the script, it is loaded first. Raises StoreUnavailable.
        """
        send, sha = self._wire.send, script.sha
        try:
            return await asyncio.gather(*[send("EVALSHA", sha, 2, *both, *arguments) for both in each])
        except StoreUnavailable as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return [await self._runner.run(script, both, *arguments) for both in each]

    def _state(self, answer: list[Any]) -> PersonState:
        """Return the state in the answer of STATE."""
        now, words, calls = answer
        if not words and not calls:
            return PersonState()
        known = {_text(name): _text(value) for name, value in zip(words[::2], words[1::2], strict=True)}
        is_claimed = _number(known.get("claimUntil")) > float(now) and self._lives(
            Process(known.get("claimNode", ""), known.get("claimGeneration", ""))
        )
        return PersonState(
            dnd=known.get("dnd") == "1",
            cfu=known.get("cfu", ""),
            cfb=known.get("cfb", ""),
            cfnr=known.get("cfnr", ""),
            left=frozenset(name.removeprefix(OUT) for name in known if name.startswith(OUT)),
            calls=tuple(map(_text, calls)),
            claimed_by=known.get("claimCall", "") if is_claimed else "",
            last_end=_number(known.get("lastEnd")),
            last_offer=_number(known.get("lastOffer")),
            wrap_until=_number(known.get("wrapUntil")),
            published=_published(known, float(now)),
        )


@lru_cache(MAX_NAMES)
def _names(person: str) -> Names:
    return Names(
        keys.person(person),
        keys.line(person),
        str(PersonNews(person, "free")),
        str(PersonNews(person, "answered")),
    )


def _keys(person: str) -> tuple[str, str]:
    return _names(person)[:2]


def _published(known: dict[str, str], now: float) -> Published | None:
    """Return what a person has published, or None if there is nothing, or it has ended."""
    until = _number(known.get("presenceUntil"))
    if until <= now:
        return None
    return Published(known.get("presence") != _CLOSED, known.get("presenceNote", ""), until)


def _text(word: bytes) -> str:
    return word.decode(errors="replace")


def _number(text: str | None) -> float:
    """Return the number in a field, 0 if there is none; one spoiled field must not stop a call."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _ignore(person: str, what: str) -> None:
    """Ignore news: nothing waits."""
