"""Login with an e-mail address and a password, within a budget of wrong passwords.

All processes share the budget of a source and a login (rules.guesses).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.errors import StoreUnavailable
from registrar.logs import WrongPasswordLines
from registrar.model import Epoch, WrongPasswords
from registrar.ports import Guesses, Traces
from registrar.rules.guesses import FREE, HOLD_SECONDS, Guesser, Ledger, Taken, guesser
from registrar.store import keys
from registrar.store.script_runner import Runner

from ..access import AccessLevel
from ..audit.notes import Notes
from ..auth import Login, unauthorized, wrong_login
from ..checks import as_login
from ..errors import Refused, too_many
from .passwords import Passwords
from .people import Person, find_login, refuse_address

IPV6_PREFIX: Final = 64
WRONG: Final = "wrong-password"
TOTP_REQUIRED: Final = "totp_required"
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
        self,
        guesses: Guesses,
        traces: Traces,
        lines: WrongPasswordLines,
        now: Callable[[], Epoch],
        notes: Notes,
    ) -> None:
        """Take `traces`, which stores an employee's wrong passwords for display, and `notes` for the log."""
        self._guesses = guesses
        self._traces = traces
        self._lines = lines
        self._now = now
        self._notes = notes
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
            self._note(visitor, email, HELD, None)
            until = max(taken.account_held_until, taken.source_held_until)
            seconds = min(max(1, round(until - now)), HOLD_SECONDS)
            raise too_many("Too many wrong passwords, please try again later", seconds)
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

    async def wrong(self, visitor: Visitor, email: str, person: Person | None, reason: str = WRONG) -> None:
        """Record a wrong password of a person, or of a login that is unknown."""
        self._note(visitor, email, reason, person)
        if person is None:
            return
        employee = person.employee
        agent = visitor.agent[:MAX_AGENT]
        wrong = WrongPasswords(
            employee, "", 1, int(self._now()), visitor.address, transport=HTTP, user_agent=agent
        )
        try:
            await self._traces.wrong_passwords(wrong)
        except StoreUnavailable as error:
            log.debug("a wrong password of %s is in the log alone: %s", employee, error)

    def _note(self, visitor: Visitor, email: str, reason: str, person: Person | None) -> None:
        owner = (person.employee, person.customer) if person is not None else (None, None)
        self._notes.failed(visitor.address, email, reason, *owner)
        self._lines.note(visitor.address, email, HTTP, visitor.agent[:MAX_AGENT], reason)

    def _take_here(self, who: Guesser) -> Taken:
        now = self._now()
        until = self._ledger.held_until(who, now, good=False)
        if until != FREE:
            return Taken(account_held_until=until)
        self._ledger.add(who, now)
        return Taken(at=now)


class Logins:
    """Verification of logins, within the budget of wrong passwords of the source and the login."""

    def __init__(
        self,
        engine: AsyncEngine,
        passwords: Passwords,
        budget: LoginBudget,
        runner: Runner,
        now: Callable[[], Epoch],
    ) -> None:
        self._engine = engine
        self._passwords = passwords
        self._budget = budget
        self._runner = runner
        self._now = now
        self._trials: dict[bytes, asyncio.Task[Person | Refused]] = {}
        """Verifications in progress, by address, login and password."""

    async def log_in(self, login: Login, visitor: Visitor, *, remember: bool = False) -> Person:
        """Return the person who logs in. Raise Refused: 401, and 429 after too many wrong passwords.

        Every failed login gets the same answer and takes equally long. Only a caller who knows the password
        learns that its address is refused. With `remember`, a password that was right a moment ago is not
        hashed again.
        """
        email = as_login(login.email)
        person = await self._find(email) if remember else None
        if person is None or not self._passwords.remembers(
            person.password_hash, login.password, _state(person)
        ):
            person = await self._prove(login, visitor, email, remember=remember)
        if person.level == AccessLevel.NO_LOGIN or not person.may_enter(person.level):
            raise wrong_login()
        refuse_address(person, visitor.address)
        if remember and (person.has_totp or person.totp_required):
            raise unauthorized(TOTP_REQUIRED, "This login needs a code: use a token instead of the password")
        return person

    async def _prove(self, login: Login, visitor: Visitor, email: str, *, remember: bool) -> Person:
        """Verify the password and return the person; the same login sent many times at once is one try."""
        mark = self._passwords.mark(f"{visitor.address}\n{login.email}\n{login.password}")
        trial = self._trials.get(mark)
        if trial is None:
            trial = asyncio.create_task(self._try(login, visitor, email, remember=remember))
            self._trials[mark] = trial
            trial.add_done_callback(lambda _: self._trials.pop(mark))
        found = await asyncio.shield(trial)
        if isinstance(found, Refused):
            raise Refused(*found.problems, headers=found.headers)
        return found

    async def _try(self, login: Login, visitor: Visitor, email: str, *, remember: bool) -> Person | Refused:
        try:
            return await self._prove_once(login, visitor, email, remember=remember)
        except Refused as refused:
            return refused

    async def _prove_once(self, login: Login, visitor: Visitor, email: str, *, remember: bool) -> Person:
        account = email or login.email.strip().lower()
        who, taken = await self._budget.take(visitor, account)
        try:
            person = await self._find(email)
            stored = person.password_hash if person else None
            right = await self._passwords.matches(stored, login.password, who.source, known=taken.good)
        except BaseException:  # the database is unavailable, or too many requests wait: no password was tried
            self._budget.give_back(who, taken)
            raise
        if person is None or not right:
            await self._budget.wrong(visitor, account, person)
            raise wrong_login()
        self._budget.right(who, taken)
        if remember:
            self._passwords.remember(stored, login.password, _state(person))
        await self._judge(person, login)
        return person

    async def _judge(self, person: Person, login: Login) -> None:
        """Record whether the password is weak, for `registrar doctor`; only now is its text available."""
        if await self._passwords.weakness(login.password, (login.email, person.name)) is None:
            self._runner.command("ZREM", keys.WEAK, person.employee)
            return
        self._runner.command("ZADD", keys.WEAK, f"{self._now():.0f}", person.employee)
        self._runner.command("ZREMRANGEBYRANK", keys.WEAK, 0, -keys.WEAK_LENGTH - 1)
        self._runner.command("EXPIRE", keys.WEAK, keys.WEAK_SECONDS)

    async def _find(self, email: str) -> Person | None:
        async with self._engine.connect() as connection:
            return await find_login(connection, email)


def _state(person: Person) -> str:
    return f"{person.employee} {person.version}"
