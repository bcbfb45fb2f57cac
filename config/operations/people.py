"""The person who sends a request."""

from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from .. import clock
from ..access import AccessLevel
from ..auth import Caller, Claims, ServiceToken, invalid_token
from ..checks import address as parse_address
from ..checks import networks
from ..tables import Customer, Employee, EmployeeToken, EmployeeTotp, Extension, LoginSession
from ..tables.base import UtcDateTime
from .audit import parse_oid
from .phones.find import one_of

ACTIVE: Final = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Person:
    """The data of an employee that a request needs."""

    employee: str
    customer: str
    name: str
    level_name: str
    version: int
    state: str
    customer_state: str
    ip_restriction: str | None
    password_hash: str | None = field(repr=False)
    totp_required: bool = False
    """Whether the customer requires a second factor; only a login reads it."""
    has_totp: bool = False
    """Whether a login needs a code; only a login reads it."""

    @property
    def level(self) -> AccessLevel:
        """Return the access level; an unknown one is the lowest."""
        return AccessLevel.__members__.get(self.level_name, AccessLevel.NO_LOGIN)

    def may_enter(self, level: AccessLevel) -> bool:
        """Return True if the person may use the API with the rights of `level`.

        The customer must be active, unless `level` is at least RESELLER_ADMIN: those who manage customers
        must not be locked out.
        """
        return self.state == ACTIVE and (self.customer_state == ACTIVE or level >= AccessLevel.RESELLER_ADMIN)


_PERSON: Final = (
    select(
        Employee.oid,
        Customer.oid,
        Employee.name,
        Employee.access_level,
        Employee.version,
        Employee.state,
        Customer.state,
        Employee.ip_restriction,
        Employee.password_hash,
    )
    .select_from(Employee)
    .join(Customer, Customer.id == Employee.customer_id)
)
"""The columns of a Person in their order. These statements are built once, as every request runs one."""
_BY_ID: Final = _PERSON.where(Employee.oid == bindparam("key"))
_BY_LOGIN: Final = (
    _PERSON.add_columns(Customer.totp_required, EmployeeTotp.confirmed_at.is_not(None))
    .outerjoin(EmployeeTotp, EmployeeTotp.employee_id == Employee.id)
    .where(Employee.login_email == bindparam("key"))
)
_BY_SESSION: Final = _PERSON.join(LoginSession, LoginSession.employee_id == Employee.id).where(
    LoginSession.oid == bindparam("key"), LoginSession.ended_at.is_(None)
)
_BY_TOKEN: Final = (
    _PERSON.add_columns(EmployeeToken.oid)
    .join(EmployeeToken, EmployeeToken.employee_id == Employee.id)
    .where(EmployeeToken.token_sha256 == bindparam("key"), EmployeeToken.revoked_at.is_(None))
    .where(
        EmployeeToken.expires_at.is_(None) | (EmployeeToken.expires_at > bindparam("now", type_=UtcDateTime))
    )
)
_TOKENS: Final = _PERSON.add_columns(EmployeeToken.token_sha256).join(
    EmployeeToken, EmployeeToken.employee_id == Employee.id
)
_CUSTOMER: Final = select(Customer.state).where(Customer.oid == bindparam("key"))


async def identify(connection: AsyncConnection, credentials: Claims | ServiceToken, address: str) -> Caller:
    """Return the caller. Raise Refused (401) if the token is void or `address` is refused to its person.

    A token is void if the person is gone, blocked, or changed since the token was made. One without a person
    needs an active customer, if it is a customer's.
    """
    if isinstance(credentials, ServiceToken):
        values = {"key": credentials.sha256, "now": clock.utc_now()}
        row = (await connection.execute(_BY_TOKEN, values)).one_or_none()
        if row is None:
            raise invalid_token()
        person, via = Person(*row[:-1]), f"token:{row[-1]}"
        level = person.level
    elif credentials.employee is None:
        customer = parse_oid(credentials.customer)
        bound = credentials.customer is not None and credentials.level < AccessLevel.RESELLER_ADMIN
        if bound and await connection.scalar(_CUSTOMER, {"key": customer or ""}) != ACTIVE:
            raise invalid_token("Please login")
        return Caller(credentials.level, customer, None, credentials.via)
    else:
        person, level = await _holder(connection, credentials), credentials.level
        via = credentials.via
    if not person.may_enter(level):
        raise invalid_token("Please login")
    refuse_address(person, address)
    return Caller(level, person.customer, person.employee, via)


async def find_people(connection: AsyncConnection, employees: Collection[str]) -> dict[str, Person]:
    """Return those of these people that exist, by id."""
    statement = _PERSON.where(one_of(connection.dialect, Employee.__table__.c.oid, employees))
    return {row[0]: Person(*row) for row in await connection.execute(statement)}


async def find_holders(connection: AsyncConnection, hashes: Collection[str]) -> dict[str, Person]:
    """Return the people for whom these tokens of machines were made, if the tokens are still good."""
    wanted = one_of(connection.dialect, EmployeeToken.__table__.c.token_sha256, hashes)
    ends = EmployeeToken.expires_at.is_(None) | (EmployeeToken.expires_at > clock.utc_now())
    statement = _TOKENS.where(wanted, EmployeeToken.revoked_at.is_(None), ends)
    return {row[-1]: Person(*row[:-1]) for row in await connection.execute(statement)}


async def find_login(connection: AsyncConnection, email: str) -> Person | None:
    """Return the person with this login, which is in lower case already, or None."""
    return await _find(connection, _BY_LOGIN, email)


def refuse_address(person: Person, address: str) -> None:
    """Raise Refused (401) if the person may not call from `address`."""
    if not person.ip_restriction:
        return
    folded = parse_address(address)
    source = ip_address(folded) if folded else None
    allowed = networks(person.ip_restriction) if source else ()
    if not any(source in one for one in allowed if source and one.version == source.version):
        raise invalid_token("IP address not authenticated")


async def _holder(connection: AsyncConnection, claims: Claims) -> Person:
    employee = parse_oid(claims.employee) or ""
    statement, key = (_BY_ID, employee) if claims.session is None else (_BY_SESSION, claims.session)
    person = await _find(connection, statement, key)
    if (
        person is None
        or person.employee != employee
        or claims.employee_version not in (None, person.version)
        or claims.customer not in (None, person.customer)
    ):
        raise invalid_token("Please login")
    return person


async def _find(connection: AsyncConnection, statement: Select[*tuple[Any, ...]], key: str) -> Person | None:
    found = (await connection.execute(statement, {"key": key})).one_or_none()
    return None if found is None else Person(*found)


async def primary_extension(session: AsyncSession, caller: Caller) -> tuple[Extension, Customer, str] | None:
    """Return the caller's primary extension, its customer and the caller's name, or None without one."""
    statement = (
        select(Extension, Customer, Employee.name)
        .join(Employee, Employee.id == Extension.employee_id)
        .join(Customer, Customer.id == Extension.customer_id)
        .where(Employee.oid == (caller.employee or ""), Extension.is_primary)
        .order_by(Extension.id)
        .limit(1)
    )
    return (await session.execute(statement)).one_or_none()
