"""`registrar token`: a JWT for a customer and a person that exist."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from config.access import AccessLevel
from config.auth import issue_token
from config.database import reading
from config.operations.first_login import named_customer
from config.tables import Employee
from registrar.errors import ConfigurationError

from .audit import note_token
from .installation import Installation, opened
from .keys import jwt_key


async def make(
    installation: Installation, level: AccessLevel, customer: str | None, employee: str | None, minutes: int
) -> str:
    """Return a new JWT, and tell the audit log of it.

    `customer` is its id, its SIP domain or its name. Raise ConfigurationError if there is no such customer
    or person: the token would look good, and each request with it would be refused.
    """
    if customer is not None or employee is not None:
        customer, employee = await _holder(installation, customer, employee)
    issued = issue_token(await jwt_key(installation), level, customer, employee, minutes)
    await note_token(installation, issued, level, customer, employee)
    return issued


async def _holder(
    installation: Installation, customer: str | None, employee: str | None
) -> tuple[str | None, str | None]:
    """Return the ids of the customer and of the person."""
    async with opened(installation, upgrade=False) as stores, reading(stores.reader) as session:
        found = None if customer is None else await named_customer(session, customer)
        person = None if employee is None else await _person(session, employee)
    if found is not None and person is not None and person.customer_id != found.id:
        raise ConfigurationError(f"--employee {employee!r}: this person belongs to another customer")
    return None if found is None else found.oid, None if person is None else person.oid


async def _person(session: AsyncSession, word: str) -> Employee:
    person: Employee | None = await session.scalar(select(Employee).where(Employee.oid == word.lower()))
    if person is None:
        raise ConfigurationError(f"--employee {word!r}: there is no such person")
    return person
