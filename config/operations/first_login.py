"""A login that an operator makes on the command line: the first one, or one after a lost password."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import ConfigurationError
from registrar.store.vault import Vault

from .. import checks
from ..access import AccessLevel
from ..audit.trail import Trail
from ..auth import Caller
from ..database import writing
from ..errors import Refused
from ..redirect.outbox import Outbox
from ..settings import ApiSettings
from ..tables import Customer
from .audit import Actor, Work, new_oid
from .customers import ACTIVE
from .draft import accepted
from .employees import create_employee
from .passwords import Passwords
from .quotas import Room

OPERATOR: Final = "Operator"
"""The customer of people who see all customers. It has no SIP domain, so it has no phones."""


@dataclass(frozen=True)
class NewLogin:
    """The person to create."""

    email: str
    level: AccessLevel
    password: str = field(repr=False)
    customer: str | None = None
    """Id, SIP domain or name of the customer; None is allowed for levels that see all customers."""

    @property
    def name(self) -> str:
        """Return the name of the person, which is the local part of the address."""
        return self.email.partition("@")[0]


async def create_login(
    engine: AsyncEngine, settings: ApiSettings, vault: Vault, login: NewLogin, by: str = ""
) -> str:
    """Create a person with this login, and return the name of the customer that it belongs to.

    `by` is what the audit log calls the command.

    Raise ConfigurationError with one line: no such customer, a login that is taken, or a weak password.
    """
    try:
        return await writing(engine, lambda session: _create(session, settings, vault, login, by))
    except Refused as refused:
        raise ConfigurationError("; ".join(problem.message for problem in refused.problems)) from refused


async def _create(
    session: AsyncSession, settings: ApiSettings, vault: Vault, login: NewLogin, by: str
) -> str:
    actor, trail = Actor(Caller(AccessLevel.ADMIN, None, None, by), ""), Trail(session)
    passwords = Passwords(least=settings.password_length)
    room = Room(settings.quotas)
    work = Work(session, actor, passwords, vault, settings.reserved, {}, Outbox(), trail, room, [])
    email = accepted(checks.login(login.email, f"{login.email!r} is not a valid e-mail address"), "email")
    customer = await _customer(work, login)
    columns = {
        "name": login.name,
        "login_email": email,
        "access_level": login.level.name,
        "password": login.password,
    }
    await create_employee(work, customer, columns)
    await trail.write(actor.columns())
    return customer.name


async def _customer(work: Work, login: NewLogin) -> Customer:
    if login.customer is not None:
        return await named_customer(work.session, login.customer)
    if login.level < AccessLevel.RESELLER_ADMIN:
        raise ConfigurationError(f"--customer: a login of level {login.level.name} belongs to a customer")
    there = select(Customer).where(
        Customer.name == OPERATOR, Customer.sip_domain.is_(None), Customer.state == ACTIVE
    )
    found = await work.session.scalar(there.order_by(Customer.id).limit(1))
    return found or await _operator(work)


async def _operator(work: Work) -> Customer:
    customer = Customer(oid=new_oid(), name=OPERATOR)
    await work.create(customer)
    return customer


async def named_customer(session: AsyncSession, word: str) -> Customer:
    """Return the only active customer with this id, SIP domain or name. Raise ConfigurationError."""
    is_it = or_(Customer.oid == word.lower(), Customer.sip_domain == word.lower(), Customer.name == word)
    found = list(await session.scalars(select(Customer).where(is_it, Customer.state == ACTIVE).limit(2)))
    if len(found) != 1:
        problem = "several customers have this name: give the id" if found else "there is no such customer"
        raise ConfigurationError(f"--customer {word!r}: {problem}")
    return found[0]
