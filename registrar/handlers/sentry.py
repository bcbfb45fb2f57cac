"""Automatic bans and the record of holds, from what the check of digests sees.

Only a digest with a nonce of ours counts: the nonce belongs to the source, so a forged datagram can ban no
one. A source behind which a phone is good is never banned, because the office must not pay for its scanner.
"""

from collections.abc import Callable, Coroutine, Sequence
from ipaddress import ip_network
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Epoch, IpNetwork, Phone
from registrar.ports import BanBook, Clock, Guesses
from registrar.rules.bans import Kind, Why, automatic
from registrar.rules.guesses import WINDOW_SECONDS, Guesser

MANY_NAMES: Final = 20
"""Different names with wrong passwords within WINDOW_SECONDS: no phone has so many wrong settings.

Names that exist count like all others, else the ban would tell which of them do.
"""
TRIES_IN_HOLD: Final = 60
"""Tries within WINDOW_SECONDS that a hold has refused. A phone with an old password is told Retry-After."""
BAN_SECONDS: Final = 900
MAX_SOURCES: Final = 5_000
MAX_TOLD: Final = 20_000


class _Suspect:
    """What a source has done since `since`."""

    __slots__ = ("names", "since", "tries")

    def __init__(self, since: Epoch) -> None:
        self.since = since
        self.names: set[str] = set()
        self.tries = 0


class Sentry:
    """The observer of wrong passwords, which records holds and begins bans."""

    def __init__(
        self,
        book: BanBook,
        guesses: Guesses,
        start_task: Callable[[Coroutine[None, None, None]], object],
        clock: Clock,
        *,
        bans: bool,
        exempt: Sequence[IpNetwork] = (),
    ) -> None:
        """Create the sentry. It begins bans if `bans` is true, none of a source in `exempt`."""
        self._book = book
        self._guesses = guesses
        self._start_task = start_task
        self._clock = clock
        self._bans = bans
        self._exempt = tuple(exempt)
        self._suspects: dict[str, _Suspect] = {}
        self._told: dict[Guesser | str, Epoch] = {}

    def held(self, who: Guesser, phone: Phone | None, until: Epoch) -> None:
        """Record the hold of an account from a source; that of an unknown name would fill the store."""
        if phone is not None:
            self._record(who, who.mark, phone.id, phone.customer, until)

    def source_held(self, source: str, until: Epoch) -> None:
        """Record the hold of a source."""
        self._record(source, "", "", "", until)

    def wrong(self, who: Guesser) -> None:
        """Note that a source has tried a name with a wrong password; perhaps the name does not exist."""
        suspect = self._suspect(who.source)
        if len(suspect.names) < MANY_NAMES:
            suspect.names.add(who.mark)
            if len(suspect.names) == MANY_NAMES:
                self._consider(who.source, Why.MANY_NAMES)

    def insisted(self, source: str) -> None:
        """Note a try that a hold has refused."""
        suspect = self._suspect(source)
        suspect.tries += 1
        if suspect.tries == TRIES_IN_HOLD:
            self._consider(source, Why.GUESSING)

    def forget(self, source: str) -> None:
        """Forget what a source has done, because its ban was lifted."""
        self._suspects.pop(source, None)
        for key in [key for key in self._told if source in (key, getattr(key, "source", None))]:
            del self._told[key]

    def _suspect(self, source: str) -> _Suspect:
        now = self._clock()
        found = self._suspects.get(source)
        if found is None or now - found.since > WINDOW_SECONDS:
            self._suspects.pop(source, None)
            found = self._suspects[source] = _Suspect(now)
            if len(self._suspects) > MAX_SOURCES:
                del self._suspects[next(iter(self._suspects))]
        return found

    def _record(self, key: Guesser | str, mark: str, phone: str, customer: str, until: Epoch) -> None:
        now = self._clock()
        if until <= now or self._told.get(key, Epoch(0.0)) >= until - 1:
            return
        self._told.pop(key, None)
        self._told[key] = until
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]
        source = key.source if isinstance(key, Guesser) else key
        self._book.begin(
            automatic(
                Kind.HOLD,
                source,
                Why.WRONG_PASSWORDS,
                now,
                until,
                phone=phone,
                customer=customer,
                mark=mark,
            )
        )

    def _consider(self, source: str, why: Why) -> None:
        if self._bans and not self._is_spared(source):
            self._start_task(self._ban_stranger(source, why))

    def _is_spared(self, source: str) -> bool:
        """Return whether an address of a source is exempt: one of IPv6 is a network, banned as a whole."""
        try:
            network = ip_network(source)
        except ValueError:
            return False
        return any(one.version == network.version and one.overlaps(network) for one in self._exempt)

    async def _ban_stranger(self, source: str, why: Why) -> None:
        """Ban a source unless a phone is good there, or that cannot be known."""
        try:
            if await self._guesses.goods(source):
                return
        except StoreUnavailable:
            return
        now = self._clock()
        self._book.begin(automatic(Kind.BAN, source, why, now, Epoch(now + BAN_SECONDS)))
