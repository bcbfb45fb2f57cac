"""Employees: the people of a customer, their logins, and the tokens of machines that act for them."""

import secrets
import string
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from .. import clock
from ..access import AccessLevel
from ..auth import Caller, hash_token
from ..errors import Refused, level_too_low, not_your_property, refused
from ..tables import Customer, Employee, EmployeeToken, Extension
from . import second_factor
from .audit import Work, new_oid, parse_oid
from .customers import ACTIVE, DELETED, missing_customer, visible
from .draft import Columns
from .listing import only

MAX_TOKENS: Final = 100
"""Limit of tokens that are in force for one employee; more machines cannot be told apart."""
TOKEN_ALPHABET: Final = string.ascii_lowercase + string.digits
TOKEN_LENGTH: Final = 48
VOIDS_TOKENS: Final = ("access_level", "state", "login_email", "ip_restriction", "password_hash")
"""Columns whose change voids every token that was issued before."""


async def lock_employee(session: AsyncSession, caller: Caller, oid: object) -> tuple[Employee, Customer]:
    """Return the employee, locked against other writers, and its customer; raise Refused (404) if unknown."""
    statement = (
        select(Employee, Customer)
        .join(Customer, Customer.id == Employee.customer_id)
        .where(Employee.oid == (parse_oid(oid) or ""), Employee.state != DELETED, visible(caller))
        .with_for_update(of=Employee)
    )
    return await only(session, statement, "Employee")


async def create_employee(work: Work, customer: Customer, columns: Columns) -> tuple[Employee, Change]:
    """Create an employee and return it; the SIP side does not know employees.

    Raise Refused: 403 for a level above the caller's own, 404 for a customer that is not active, 409 for a
    login that is taken.
    """
    _refuse_granting(work.caller, columns.get("access_level"))
    state = select(Customer.state).where(Customer.id == customer.id).with_for_update(read=True)
    if await work.session.scalar(state) != ACTIVE:  # deleted a moment ago: the new login would never be freed
        raise Refused(missing_customer())
    employee = Employee(oid=new_oid(), customer_id=customer.id)
    await _write(work, customer, employee, columns)
    await work.create(employee)
    return employee, Change()


async def update_employee(work: Work, customer: Customer, employee: Employee, columns: Columns) -> Change:
    """Change the columns in `columns` of a locked employee. Raise Refused as `create_employee` does."""
    refuse_level(work.caller, employee.access_level)
    _refuse_granting(work.caller, columns.get("access_level"))
    before = [getattr(employee, name) for name in VOIDS_TOKENS]
    await _write(work, customer, employee, columns)
    if before != [getattr(employee, name) for name in VOIDS_TOKENS]:
        employee.version += 1
    await work.update(employee)
    return Change()


async def delete_employee(work: Work, _customer: Customer, employee: Employee) -> Change:
    """Delete a locked employee and its tokens; its extensions stay, without an employee.

    Raise Refused: 403 for an employee above the caller's own level, 409 for the caller itself.
    """
    refuse_level(work.caller, employee.access_level)
    if employee.oid == work.caller.employee:
        raise refused("id", "You cannot delete yourself", "allowed")
    now = clock.utc_now()
    await work.session.execute(
        update(Extension)
        .where(Extension.employee_id == employee.id)
        .values(employee_id=None, is_primary=False, version=Extension.version + 1, updated_at=now)
    )
    await work.session.execute(delete(EmployeeToken).where(EmployeeToken.employee_id == employee.id))
    await work.delete(employee)
    return Change()


async def create_token(
    work: Work, employee: Employee, note: str | None, days: int
) -> tuple[EmployeeToken, str]:
    """Create a token with all rights of a locked employee; return it and its text, which is not stored.

    It ends after so many `days`.

    Raise Refused: 403 for an employee above the caller's own level, 409 if there are too many tokens.
    """
    refuse_level(work.caller, employee.access_level)
    there = select(func.count()).where(
        EmployeeToken.employee_id == employee.id,
        EmployeeToken.revoked_at.is_(None),
        EmployeeToken.expires_at.is_(None) | (EmployeeToken.expires_at > clock.utc_now()),
    )
    if (await work.session.scalar(there) or 0) >= MAX_TOKENS:
        raise refused("token", f"The employee has {MAX_TOKENS} tokens", "range")
    text = "".join(secrets.choice(TOKEN_ALPHABET) for _ in range(TOKEN_LENGTH))
    ends = clock.utc_now() + timedelta(days=days)
    token = EmployeeToken(
        oid=new_oid(), employee_id=employee.id, token_sha256=hash_token(text), note=note, expires_at=ends
    )
    await work.create(token)
    return token, text


async def revoke_token(work: Work, employee: Employee, oid: object) -> None:
    """Revoke a token.

    Raise Refused: 403 for an employee above the caller's own level, 404 if there is no such token.
    """
    refuse_level(work.caller, employee.access_level)
    statement = select(EmployeeToken).where(
        EmployeeToken.oid == (parse_oid(oid) or ""),
        EmployeeToken.employee_id == employee.id,
        EmployeeToken.revoked_at.is_(None),
    )
    (token,) = await only(work.session, statement.with_for_update(), "Token")
    token.revoked_at = token.updated_at = clock.utc_now()
    work.record("delete", EmployeeToken.__tablename__, token.oid, customer=employee.customer_id)


async def take_second_factor(work: Work, oid: object) -> None:
    """Take the second factor from an employee who has lost it; its sessions end.

    Raise Refused: 404, 403 for an employee above the caller's own level, 409 if there is none.
    """
    employee, _ = await lock_employee(work.session, work.caller, oid)
    refuse_level(work.caller, employee.access_level)
    work.record("totp-reset", Employee.__tablename__, employee.oid)
    if not await second_factor.remove(work.session, employee.id):
        raise refused("totp", "The employee has no authenticator", "exists")


async def _write(work: Work, customer: Customer, employee: Employee, columns: Columns) -> None:
    email = columns.get("login_email")
    if email is not None and email != employee.login_email:
        with work.session.no_autoflush:
            taken = await work.session.scalar(select(Employee.id).where(Employee.login_email == email))
        if taken is not None:
            raise refused("emailAddress", "Another employee logs in with this address", "unique")
        if employee.login_email is None:
            await work.room.take(work.session, customer, "logins")
    for name, value in columns.items():
        if name != "password":
            setattr(employee, name, value)
    if "password" in columns:
        password = columns["password"]
        if isinstance(password, str):
            names = (employee.login_email, employee.name, employee.first_name, employee.last_name)
            await work.passwords.refuse_weak(password, "password", (*names, customer.name))
        employee.password_hash = await work.passwords.hashed(password) if isinstance(password, str) else None


def refuse_level(caller: Caller, level: str) -> None:
    """Raise Refused (403) if the level of the employee is above the caller's."""
    if AccessLevel[level] > caller.level:
        raise level_too_low(level)


def _refuse_granting(caller: Caller, level: object) -> None:
    """Raise Refused (403) if the level to grant is above the caller's own."""
    if isinstance(level, str) and AccessLevel[level] > caller.level:
        raise not_your_property("accessLevel", f"accessLevel can be at most your own, {caller.level.name}")
