"""What people are doing and want, in memory: the meaning of the port without a server."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from registrar.errors import StoreUnavailable
from registrar.model import NO_PROCESS, ClaimResult, Mono, PersonState, Process, Publication, Published
from registrar.ports import Clock

from . import keys
from .notices import notice_fields, wish_notice
from .wish_cache import LEFT, PRESENCE, PersonNews, WishCache, news_of


@dataclass(slots=True)
class _Person:
    wishes: dict[str, str] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)
    """Call -> when it is forgotten."""
    claim: tuple[str, Process, float] = ("", NO_PROCESS, 0.0)
    """The call that has claimed the person, its process, and the end of the claim."""
    last_end: float = 0.0
    last_offer: float = 0.0
    wrap_until: float = 0.0
    watched_until: float = 0.0
    published: Published | None = None
    tag: str = ""
    """That of what is published."""


class MemoryPeople:
    """People in memory; implements ports.People. Set `away` to make it fail like a store that is down."""

    def __init__(
        self,
        clock: Clock,
        process: Process = NO_PROCESS,
        lives: Callable[[Process], bool] = lambda process: True,
        *,
        wrap_up_seconds: float = 2.0,
    ) -> None:
        """Create the store. `process` is this process; `lives` tells whether a process lives."""
        self.away = False
        self.news: list[PersonNews] = []
        """What was published, in order."""
        self.events: list[Mapping[str, str]] = []
        """The entries that the stream of all events would hold."""
        self.on_news: Callable[[str, str], None] = _ignore
        """Called with the person and the word of each message."""
        self._clock = clock
        self._process = process
        self._lives = lives
        self._wrap_up_seconds = wrap_up_seconds
        self._stored: dict[str, _Person] = {}
        self._wishes = WishCache(lambda: Mono(clock()))
        self._nodes = [self]
        """The stores that hear the news."""

    def share(self, other: "MemoryPeople") -> None:
        """Use the store of `other`, like two processes over one Redis."""
        self._stored, self._nodes, self.news = other._stored, other._nodes, other.news
        self._nodes.append(self)

    def heard(self, news: PersonNews) -> None:
        """Handle a message."""
        self._wishes.heard(news)
        self.on_news(news.person, news.what)

    def missed(self) -> None:
        """Note that messages may have been missed: all settings are read again."""
        self._wishes.forget()

    def settings(self, person: str) -> PersonState | None:
        """See ports.People."""
        return self._wishes.peek(person)

    async def states(self, people: Sequence[str], *, watch: bool = False) -> list[PersonState]:
        """See ports.People."""
        self._ask()
        if watch:
            for person in people:
                self._of(person).watched_until = self._clock() + keys.WATCH_SECONDS
        begun = self._wishes.begin()
        found = [self._state(person) for person in people]
        self._wishes.keep(people, found, begun)
        return found

    async def claim(
        self, people: Sequence[str], call: str, seconds: float, *, exclusive: bool
    ) -> list[ClaimResult]:
        """See ports.People."""
        self._ask()
        return [self._claim(person, call, seconds, exclusive=exclusive) for person in people]

    def release(self, person: str, call: str) -> None:
        """See ports.People."""
        if not self.away and self._drop_claim(person, call):
            self._tell_watchers(person, "free")

    def take_part(self, person: str, call: str) -> None:
        """See ports.People."""
        if not self.away:
            self._of(person).calls[call] = self._clock() + keys.CALL_SECONDS

    def answered(self, person: str, call: str) -> None:
        """See ports.People."""
        if not self.away:
            self.take_part(person, call)
            self._drop_claim(person, call)
            self._tell_watchers(person, "answered")

    def ended(self, person: str, call: str, *, talked: bool) -> None:
        """See ports.People."""
        if self.away:
            return
        known = self._of(person)
        was_there = known.calls.pop(call, None) is not None
        was_claimed = self._drop_claim(person, call)
        if talked:
            known.last_end = self._clock()
            known.wrap_until = known.last_end + self._wrap_up_seconds
        if talked or was_there or was_claimed:
            self._tell_watchers(person, "free")

    async def change(self, person: str, field: str, value: str, *, customer: str = "", via: str = "") -> str:
        """See ports.People. Raises ValueError if `field` is no wish."""
        what = news_of(field)
        self._ask()
        wishes = self._of(person).wishes
        old = wishes.pop(field, "")
        if value:
            wishes[field] = value
        if old != value:
            self._tell(person, what)
        notice = wish_notice(person, field, value, self._clock(), customer, via)
        if notice is not None and old != value:
            self.events.append(notice_fields(notice))
        return old

    async def publish(self, person: str, publication: Publication) -> bool:
        """See ports.People."""
        self._ask()
        known, before = self._of(person), self._state(person).published
        if publication.match and (before is None or publication.match != known.tag):
            return False
        after = publication.state or before if publication.seconds else None
        if after is not None:
            after = replace(after, until=self._clock() + publication.seconds)
        known.published, known.tag = after, publication.tag
        if _shown(before) != _shown(after):
            self._tell(person, PRESENCE)
        return True

    def _of(self, person: str) -> _Person:
        return self._stored.setdefault(person, _Person())

    def _state(self, person: str) -> PersonState:
        known, now = self._of(person), self._clock()
        wishes = known.wishes
        call, process, until = known.claim
        return PersonState(
            dnd=wishes.get("dnd") == "1",
            cfu=wishes.get("cfu", ""),
            cfb=wishes.get("cfb", ""),
            cfnr=wishes.get("cfnr", ""),
            left=frozenset(field.removeprefix(LEFT) for field in wishes if field.startswith(LEFT)),
            calls=tuple(call for call, end in known.calls.items() if end > now),
            claimed_by=call if until > now and self._lives(process) else "",
            last_end=known.last_end,
            last_offer=known.last_offer,
            wrap_until=known.wrap_until,
            published=known.published if known.published and known.published.until > now else None,
        )

    def _claim(self, person: str, call: str, seconds: float, *, exclusive: bool) -> ClaimResult:
        state, known, now = self._state(person), self._of(person), self._clock()
        is_taken = state.claimed_by not in ("", call)
        if state.dnd:
            return ClaimResult.DND
        if exclusive and set(state.calls) - {call}:
            return ClaimResult.BUSY
        if exclusive and is_taken:
            return ClaimResult.TAKEN
        if exclusive and state.wrap_until > now:
            return ClaimResult.WRAP
        known.last_offer = now
        if not is_taken:
            known.claim = call, self._process, now + seconds
        return ClaimResult.OK

    def _drop_claim(self, person: str, call: str) -> bool:
        """Remove the claim if it is that of the call, and return whether it was."""
        known = self._of(person)
        if known.claim[0] != call:
            return False
        known.claim = "", NO_PROCESS, 0.0
        return True

    def _tell_watchers(self, person: str, what: str) -> None:
        if self._of(person).watched_until > self._clock():
            self._tell(person, what)

    def _tell(self, person: str, what: str) -> None:
        news = PersonNews(person, what)
        self.news.append(news)
        for node in self._nodes:
            node.heard(news)

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("away")


def _shown(published: Published | None) -> tuple[bool, str] | None:
    """Return what others see of a published state."""
    return (published.is_open, published.note) if published is not None else None


def _ignore(person: str, what: str) -> None:
    """Ignore news: nothing waits."""
