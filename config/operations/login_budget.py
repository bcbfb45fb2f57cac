"""The budget of wrong passwords of a source and a login, shared by all processes (rules.guesses)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.logs import WrongPasswordLines
from registrar.model import Epoch, WrongPasswords
from registrar.ports import Guesses, Traces
from registrar.rules.guesses import FREE, HOLD_SECONDS, Guesser, Ledger, Taken, guesser

from ..errors import Refused, too_many

IPV6_PREFIX: Final = 64
WRONG: Final = "wrong-password"
HELD: Final = "too-many-wrong-passwords"
HTTP: Final = "http"
MAX_AGENT: Final = 256

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Visitor:
    """The sender of a login: its address, and its user agent."""

    address: str
    agent: str = ""


class LoginBudget:
    """The check before a password is verified, and the place to report the result."""

    def __init__(
        self, guesses: Guesses, traces: Traces, lines: WrongPasswordLines, now: Callable[[], Epoch]
    ) -> None:
        """Take `traces`, which stores an employee's wrong passwords for display."""
        self._guesses = guesses
        self._traces = traces
        self._lines = lines
        self._now = now
        self._ledger = Ledger()
        """The tries that this process counts while Redis is unavailable."""

    async def take(self, visitor: Visitor, email: str) -> tuple[Guesser, Taken]:
        """Count a try in advance and return it.

        Raise Refused (429) if the source or the login has had too many wrong passwords.
        """
        who = guesser(visitor.address, email, IPV6_PREFIX)
        try:
            taken = await self._guesses.take(who)
        except StoreUnavailable:
            taken = self._take_here(who)
        now = self._now()
        if taken.is_held(now):
            self._note(visitor, email, HELD)
            until = max(taken.account_held_until, taken.source_held_until)
            raise held(until, now)
        return who, taken

    def give_back(self, who: Guesser, taken: Taken) -> None:
        """Give a try back: the password was not checked, or it was right."""
        if taken.entry:
            self._guesses.give_back(who, taken)
        if taken.at:
            self._ledger.remove(who, taken.at)

    def right(self, who: Guesser, taken: Taken) -> None:
        """Give a try back, and record that the login succeeded from there: the password was right."""
        self.give_back(who, taken)
        self._guesses.good(who)

    async def wrong(self, visitor: Visitor, email: str, employee: str | None) -> None:
        """Record a wrong password; `employee` is the id of the login's owner, or None if that is unknown."""
        self._note(visitor, email, WRONG)
        if employee is None:
            return
        agent = visitor.agent[:MAX_AGENT]
        wrong = WrongPasswords(
            employee, "", 1, int(self._now()), visitor.address, transport=HTTP, user_agent=agent
        )
        try:
            await self._traces.wrong_passwords(wrong)
        except StoreUnavailable as error:
            log.debug("a wrong password of %s is in the log alone: %s", employee, error)

    def _note(self, visitor: Visitor, email: str, reason: str) -> None:
        self._lines.note(visitor.address, email, HTTP, visitor.agent[:MAX_AGENT], reason)

    def _take_here(self, who: Guesser) -> Taken:
        now = self._now()
        until = self._ledger.held_until(who, now, good=False)
        if until != FREE:
            return Taken(account_held_until=until)
        self._ledger.add(who, now)
        return Taken(at=now)


def held(until: Epoch, now: Epoch) -> Refused:
    """Return the refusal (429) for a source or a login that is held until `until`."""
    seconds = min(max(1, round(until - now)), HOLD_SECONDS)
    return too_many("Too many wrong passwords, please try again later", seconds)
