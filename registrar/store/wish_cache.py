"""Cache of what people want: DND, forwards and the queues that they left."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from registrar.model import Mono, PersonState

from .freshness import FRESH_SECONDS

MAX_WISHES: Final = 20_000
"""Limit of cached people; the oldest read is dropped first."""
NO_WISHES: Final = PersonState()
PRESENCE: Final = "presence"
QUIET: Final = frozenset({"free", "answered", PRESENCE})
"""News that change what a person is doing or shows, and not what it wants."""
NEWS_OF: Final = {"dnd": "dnd", "cfu": "forward", "cfb": "forward", "cfnr": "forward"}
LEFT: Final = "left:"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PersonNews:
    """A message on `registrar:person-news`."""

    person: str
    what: str
    """`free`, `answered`, `dnd`, `forward`, `queue` or `presence`; later versions may add words."""

    def __str__(self) -> str:
        return json.dumps({"person": self.person, "what": self.what}, separators=(",", ":"))


def parse_news(data: str) -> PersonNews | None:
    """Return the news in a message, or None if it cannot be read."""
    try:
        told = json.loads(data)
        return PersonNews(str(told["person"]), str(told["what"]))
    except (ValueError, TypeError, KeyError) as error:
        log.warning("news of a person that cannot be read: %s", type(error).__name__)
        return None


def news_of(field: str) -> str:
    """Return the word of the news that a wish was set. Raises ValueError for a field that is no wish."""
    if field.startswith(LEFT) and field != LEFT:
        return "queue"
    if field not in NEWS_OF:
        raise ValueError(f"{field!r} is no wish of a person")
    return NEWS_OF[field]


class WishCache:
    """Cache of wishes, fresh for `FRESH_SECONDS` unless news of a change came."""

    def __init__(self, clock: Callable[[], Mono]) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[PersonState, Mono]] = {}
        """Person -> the wishes, and when their read began."""
        self._changes = 0

    def peek(self, person: str) -> PersonState | None:
        """Return the wishes of a person if they are fresh, else None."""
        kept = self._kept.get(person)
        if kept is None or self._clock() - kept[1] > FRESH_SECONDS:
            return None
        return kept[0]

    def begin(self) -> tuple[int, Mono]:
        """Return a mark of now, for `keep`; call this before a read begins."""
        return self._changes, self._clock()

    def keep(self, people: Iterable[str], states: Iterable[PersonState], begun: tuple[int, Mono]) -> None:
        """Store the wishes that were read, unless any wish was changed since the read began.

        Changes are rare. One that comes during a read may be of one of its people.
        """
        changes, at = begun
        if changes != self._changes:
            return
        for person, state in zip(people, states, strict=True):
            self._kept.pop(person, None)
            self._kept[person] = (_wishes(state), at)
        while len(self._kept) > MAX_WISHES:
            del self._kept[next(iter(self._kept))]

    def heard(self, news: PersonNews) -> None:
        """Forget the wishes of the person if the news may be about them."""
        if news.what not in QUIET:
            self.changed(news.person)

    def changed(self, person: str) -> None:
        """Forget the wishes of one person."""
        self._changes += 1
        self._kept.pop(person, None)

    def forget(self) -> None:
        """Forget all wishes: changes may have been missed."""
        self._changes += 1
        self._kept.clear()


def _wishes(state: PersonState) -> PersonState:
    wishes = PersonState(state.dnd, state.cfu, state.cfb, state.cfnr, state.left)
    return NO_WISHES if wishes == NO_WISHES else wishes
