"""Logins for a token: the password, then the code of an authenticator, then a session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.store.vault import Vault

from ..audit.system import by_itself
from ..auth import Login, unauthorized
from ..checks import as_login
from ..errors import Problem, Refused, too_many
from ..tables import AuditLog, Customer, Employee
from . import second_factor
from .logins import TOTP_REQUIRED, LoginBudget, Logins, Visitor
from .people import Person
from .sessions import SESSION, open_session

TOTP_INVALID: Final = "totp_invalid"
TOTP_SETUP: Final = "totp_setup_required"
WRONG_CODE: Final = "wrong-code"


@dataclass(frozen=True, slots=True)
class Entry:
    """A person who has logged in, and the id of the new session."""

    person: Person
    session: str


class Entrance:
    """Lets people in who prove both factors. The codes share the budget of wrong passwords."""

    def __init__(self, logins: Logins, budget: LoginBudget, writer: AsyncEngine, vault: Vault) -> None:
        self._logins = logins
        self._budget = budget
        self._writer = writer
        self._vault = vault

    async def enter(self, login: Login, visitor: Visitor, minutes: int | None) -> Entry:
        """Open a session for a person who logs in.

        Raise Refused as `proven` does, and 403 `totp_setup_required` if the customer requires a second factor
        that the person has not set up.
        """
        person = await self._logins.log_in(login, visitor)
        if person.totp_required and not person.has_totp:
            raise Refused(Problem(403, TOTP_SETUP, "Set up an authenticator first: POST /auth/totp"))
        async with self._proven(person, login, visitor) as (session, factor):
            opened = await open_session(session, person, visitor.address, visitor.agent, minutes)
            via = f"{SESSION}{opened.oid}"
            await tell(session, person, visitor, "login", via, after={"factor": factor})
        return Entry(person, opened.oid)

    @asynccontextmanager
    async def proven(self, login: Login, visitor: Visitor) -> AsyncIterator[tuple[AsyncSession, Person]]:
        """Yield a write transaction for a person who has proven the password, and the code if there is one.

        Raise Refused: as `log_in` does, 401 with the code `totp_required` if the code is missing and
        `totp_invalid` if it is wrong or was used, and 429 after too many wrong ones.
        """
        person = await self._logins.log_in(login, visitor)
        async with self._proven(person, login, visitor) as (session, _):
            yield session, person

    @asynccontextmanager
    async def _proven(
        self, person: Person, login: Login, visitor: Visitor
    ) -> AsyncIterator[tuple[AsyncSession, str]]:
        async with AsyncSession(self._writer, expire_on_commit=False) as session:
            factor = await self._spend(session, person, login, visitor) if person.has_totp else "password"
            yield session, factor
            await session.commit()

    async def _spend(self, session: AsyncSession, person: Person, login: Login, visitor: Visitor) -> str:
        """Use up the code, and return its kind. A wrong one is committed at once, because it is counted."""
        if not login.code:
            raise unauthorized(TOTP_REQUIRED, "The code of the authenticator is missing: send `code`")
        account = as_login(login.email)
        who, taken = await self._budget.take(visitor, account)
        try:
            held = await second_factor.held_seconds(session, person)
            factor = None if held else await second_factor.spend(session, self._vault, person, login.code)
        except BaseException:  # the database is away: no code was tried
            self._budget.give_back(who, taken)
            raise
        if factor is not None:
            self._budget.right(who, taken)
            return factor
        await session.commit()
        await self._budget.wrong(visitor, account, person, WRONG_CODE)
        if held:
            raise too_many("Too many wrong codes, please try again later", held)
        raise unauthorized(TOTP_INVALID, "The code is wrong, or was used already")


async def tell(
    session: AsyncSession, person: Person, visitor: Visitor, action: str, via: str, **changes: object
) -> None:
    """Write to the audit log what a person did to its own login, in the transaction that does it."""
    row = by_itself(action, Employee.__tablename__, person.employee, None, visitor.address, changes=changes)
    customer = select(Customer.id).where(Customer.oid == person.customer).scalar_subquery()
    told = {"actor": person.employee, "actor_level": person.level.name, "via": via, "customer_id": customer}
    await session.execute(insert(AuditLog).values(row | told))
