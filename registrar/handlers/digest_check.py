"""Check of digests within the budget of wrong passwords: while a hold applies, no digest is checked.

The path of a request in short: an account that has proved its password from this address within a day takes
the fast path in `dispatch`, with one lookup in `Gate.sure`. All other requests come here. If their source has
no wrong passwords, the digest is checked at once, and is counted afterwards if it is wrong. If their source
has some, the try is counted first, in Redis, and given back if it was right. So two nodes together check no
more tries than one node.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Epoch, Mono, Phone, login_name
from registrar.ports import Clock, Directory, Guesses, Spraying
from registrar.rules.auth import Authenticator, Claim
from registrar.rules.guesses import FREE, HOLD_SECONDS, MAX_LOGS, PER_MINUTE, Guesser, Ledger, Taken, guesser

from .answers import BUSY, Answer
from .checks import StatelessChecks
from .network import ServerRequest
from .sentry import Sentry
from .trail import HELD, WRONG, Trail
from .turns import Turns

FAILED_SECONDS: Final = 0.005
"""Time from the arrival of a failed digest to its answer.

It is the same for every cause, so that it does not reveal which usernames exist.
"""
SURE_SECONDS: Final = 86_400.0
"""How long an account takes the fast path before it is noted as good again."""
MAX_SURE: Final = 250_000
NEARLY_FULL: Final = PER_MINUTE // 2
"""With as many wrong passwords for an account, it is asked whether it is good from a source."""
MAX_LOADED: Final = 64
"""Held sources whose good accounts are in memory."""
TOO_MANY: Final = "too many wrong passwords"
Place = tuple[str, str, str]
"""Address, username and realm."""
UNPAID: Final = Taken()
"""The try was not counted in advance."""


class SharedGuesses(Guesses, Spraying, Protocol):
    """All that is asked of the shared budget."""


class DigestCheck:
    """The check of the sender of a request, within the budget of its source."""

    def __init__(
        self,
        authenticator: Authenticator,
        checks: StatelessChecks,
        directory: Directory,
        guesses: SharedGuesses,
        sentry: Sentry,
        trail: Trail,
        clock: Clock,
        metrics: Metrics,
        until: Callable[[Mono], Awaitable[None]],
        *,
        ipv6_prefix: int,
    ) -> None:
        """Create the check; `until` waits until a moment.

        `ipv6_prefix` is the number of bits of an IPv6 address that make one source.
        """
        self.sure: dict[Place, float] = {}
        """Accounts that have proved their password from an address, with no wrong one since.

        The value says until when nothing must be asked or written for them. It is public only for `dispatch`:
        a method call would cost more.
        """
        self._shaken: dict[Guesser, Epoch] = {}
        """Accounts that were sure and have wrong passwords now -> until when they are still good."""
        self._loaded: dict[str, tuple[Epoch, frozenset[str]]] = {}
        """Held source -> the end of the hold, and the marks of the accounts that are good from it."""
        self._ledger = Ledger()
        self._turns = Turns()
        self._authenticator = authenticator
        self._checks = checks
        self._directory = directory
        self._guesses = guesses
        self._sentry = sentry
        self._trail = trail
        self._clock = clock
        self._metrics = metrics
        self._until = until
        self._ipv6_prefix = ipv6_prefix

    async def prove(self, incoming: ServerRequest, claim: Claim) -> Phone | None:
        """Return the phone that proved itself by the digest, or None if the request is answered.

        The nonce must be usable. A wrong digest with any other nonce is not a guess, and must not be checked.
        """
        credentials, address = claim.credentials, incoming.flow.remote_ip
        account = login_name(credentials.username, credentials.realm)
        who = guesser(address, account, self._ipv6_prefix)
        place = (address, credentials.username, credentials.realm)
        taken, right, phone, held = UNPAID, False, None, FREE
        try:
            if self._ledger.is_watched(who.source, self._clock()):
                held = await self._hold(who, place)
            if not held and who.mark in self._ledger.sprayed:
                held = await self._sprayed(who, place)
            if not held:
                phone = await self._directory.find(credentials.username, credentials.realm)
                taken, right = await self._check(claim, incoming.request.method, who, place, phone)
                held = max(taken.account_held_until, taken.source_held_until)
        except StoreUnavailable:
            incoming.reply(BUSY)
            return None
        if held:
            self._shake(who, place)
            if self._ledger.source_held_until(who.source, self._clock()):
                self._sentry.insisted(who.source)
            await self._refuse(incoming, account, held)
            return None
        if not right:
            await self._wrong(incoming, account, who, place, taken, phone)
            return None
        return phone

    async def _check(
        self, claim: Claim, method: str, who: Guesser, place: Place, phone: Phone | None
    ) -> tuple[Taken, bool]:
        """Return the answer of the budget, and whether the digest is right.

        The tries of a watched source are checked one after the other. Right tries count until they are given
        back, so many of them at once would fill the budget without one wrong password.
        """
        waits = self._ledger.is_watched(who.source, self._clock())
        if waits:
            await self._turns.take(who.source)
        try:
            taken = await self._take(who, place)
            now = self._clock()
            if taken.is_held(now):
                return taken, False
            if who.mark in self._ledger.sprayed and not self._is_own(who, place, taken, now):
                full = self._ledger.sprayed_until(who.mark, now)
                if full:
                    self._give_back(who, taken)
                    return Taken(account_held_until=full), False
            right = self._authenticator.proves(claim, method, phone) and phone is not None
            if right:
                self._right(who, place, taken)
            elif not self._is_own(who, place, taken, now):
                self._ledger.spray(who.mark, now)
                self._guesses.tried(who.mark)
            return taken, right
        finally:
            if waits:
                self._turns.give(who.source)

    def hear(self, key: str | Guesser, until: Epoch) -> None:
        """Note a hold that another process has begun."""
        self._ledger.tell(key, until)

    def hear_try(self, mark: str) -> None:
        """Note a wrong password for an account where it is not good, at another process."""
        self._ledger.spray(mark, self._clock())

    def free(self, source: str, mark: str) -> None:
        """Give a source, or an account from it if there is a mark, a new budget: its ban was lifted."""
        self._ledger.free(Guesser(source, mark) if mark else source)
        self._loaded.pop(source, None)
        self._sentry.forget(source)

    async def _sprayed(self, who: Guesser, place: Place) -> Epoch:
        """Return until when an account is held because of many sources; 0: not, or not from this one.

        Raise StoreUnavailable if it is held elsewhere, and whether it is good here cannot be read.
        """
        now = self._clock()
        if self._ledger.sprays(who.mark, now) < NEARLY_FULL or self._is_good(who, place, now):
            return FREE
        try:
            if await self._guesses.is_good(who):
                self._stays_good(who)
                return FREE
        except StoreUnavailable:
            if self._ledger.sprayed_until(who.mark, now):
                raise  # it may be good here: a 403 would be a lie, after which phones stop trying
        return self._ledger.sprayed_until(who.mark, now)

    async def _hold(self, who: Guesser, place: Place) -> Epoch:
        """Return until when nothing is checked, before the account is looked up; 0: it may be checked.

        Raise StoreUnavailable as `_held_alone` does.
        """
        now = self._clock()
        try:
            await self._load(who.source, now)
        except StoreUnavailable:
            return self._held_alone(who, place, now)
        return self._held_until(who, place)

    def _held_alone(self, who: Guesser, place: Place, now: Epoch) -> Epoch:
        """Return until when the account is held, as far as this process knows; 0: it may be checked.

        Raise StoreUnavailable if its source is held and only Redis knows whether the account is good there:
        a 403 would be a lie, after which phones stop trying.
        """
        held = self._ledger.held_until(who, now, good=True)
        unknown = not held and not self._is_good(who, place, now)
        if unknown and self._ledger.source_held_until(who.source, now):
            raise StoreUnavailable("which accounts are good from a held source is not known")
        return held

    def _held_until(self, who: Guesser, place: Place) -> Epoch:
        """Return until when the account is certainly held; 0: it is not, or the shared budget must decide."""
        now = self._clock()
        loaded_until, marks = self._loaded.get(who.source, (FREE, frozenset[str]()))
        good = self._is_good(who, place, now) or who.mark in marks
        return self._ledger.held_until(who, now, good=good or loaded_until <= now)

    def _is_good(self, who: Guesser, place: Place, now: Epoch) -> bool:
        return place in self.sure or self._shaken.get(who, FREE) > now

    def _is_own(self, who: Guesser, place: Place, taken: Taken, now: Epoch) -> bool:
        return taken.good or self._is_good(who, place, now)

    async def _take(self, who: Guesser, place: Place) -> Taken:
        """Count a try of a watched source, and return the answer of the budget.

        A try of any other source is counted when it was wrong. Raise StoreUnavailable as `_held_alone` does.
        """
        now = self._clock()
        if not self._ledger.is_watched(who.source, now):
            return UNPAID
        held = self._held_until(who, place)
        if held:
            return Taken(account_held_until=held)
        try:
            return self._counted(who, await self._guesses.take(who))
        except StoreUnavailable:  # decide by what this process knows
            held = self._held_alone(who, place, now)
            if held:
                return Taken(account_held_until=held)
            self._ledger.add(who, now)
            return Taken(at=now)

    async def _load(self, source: str, now: Epoch) -> None:
        """Read which accounts are good from a held source: they are still let in. Raises StoreUnavailable."""
        held = self._ledger.source_held_until(source, now)
        if not held or self._loaded.get(source, (FREE, None))[0] > now:
            return
        self._loaded.pop(source, None)
        self._loaded[source] = (held, await self._guesses.goods(source))
        if len(self._loaded) > MAX_LOADED:
            del self._loaded[next(iter(self._loaded))]

    def _counted(self, who: Guesser, taken: Taken) -> Taken:
        """Note the answer of the shared budget in the ledger, and return it."""
        now = self._clock()
        if taken.is_held(now):
            if taken.account_held_until > now:
                self._ledger.tell(who, taken.account_held_until)
            if taken.source_held_until > now:
                self._ledger.tell(who.source, taken.source_held_until)
            return taken
        self._ledger.add(who, now)
        return Taken(entry=taken.entry, at=now)

    def _right(self, who: Guesser, place: Place, taken: Taken) -> None:
        now = self._clock()
        if taken is not UNPAID:
            self._give_back(who, taken)
        self._guesses.good(who)
        if self._ledger.is_suspect(who, now):
            self._stays_good(who)
            return
        if self._turns.are_awaited(who.source):  # later requests must not overtake the waiting ones
            return
        self._shaken.pop(who, None)
        self.sure.pop(place, None)
        self.sure[place] = now + SURE_SECONDS
        if len(self.sure) > MAX_SURE:
            del self.sure[next(iter(self.sure))]

    def _give_back(self, who: Guesser, taken: Taken) -> None:
        if taken.entry:
            self._guesses.give_back(who, taken)
        if taken.at:
            self._ledger.remove(who, taken.at)

    async def _wrong(
        self,
        incoming: ServerRequest,
        account: str,
        who: Guesser,
        place: Place,
        taken: Taken,
        phone: Phone | None,
    ) -> None:
        self._metrics.auth("bad")
        now = self._clock()
        self._shake(who, place)
        if taken is UNPAID:
            await self._count(who, now)
        self._trail.note(incoming.request, incoming.flow, account, phone, WRONG)
        self._sentry.wrong(who)
        await self._until(Mono(incoming.started + FAILED_SECONDS))
        self._record(who, phone)
        incoming.reply(
            self._checks.challenge(incoming.request, incoming.flow, incoming.method, self._clock())
        )

    def _record(self, who: Guesser, phone: Phone | None) -> None:
        """Record the holds that this wrong password has begun, here or in the shared budget."""
        now = self._clock()
        account = self._ledger.held_until(who, now, good=True)
        if account:
            self._sentry.held(who, phone, account)
        source = self._ledger.source_held_until(who.source, now)
        if source:
            self._sentry.source_held(who.source, source)

    def _shake(self, who: Guesser, place: Place) -> None:
        """Take an account off the fast path, which ignores holds; the account stays good."""
        if self.sure.pop(place, None) is not None:
            self._stays_good(who)

    def _stays_good(self, who: Guesser) -> None:
        self._shaken[who] = Epoch(self._clock() + SURE_SECONDS)
        if len(self._shaken) > MAX_LOGS:
            del self._shaken[next(iter(self._shaken))]

    async def _count(self, who: Guesser, now: Epoch) -> None:
        """Count the first wrong password of a source: in this process at once, then for all processes."""
        self._ledger.add(who, now)
        try:
            taken = await self._guesses.take(who)
        except StoreUnavailable:
            return
        if taken.is_held(now):
            self._counted(who, taken)

    async def _refuse(self, incoming: ServerRequest, account: str, held: Epoch) -> None:
        self._metrics.auth("held")
        self._trail.note(incoming.request, incoming.flow, account, None, HELD)
        await self._until(Mono(incoming.started + FAILED_SECONDS))
        left = min(max(1, round(held - self._clock())), HOLD_SECONDS)
        incoming.reply(Answer(403, headers=(("Retry-After", str(left)),), why=TOO_MANY))
