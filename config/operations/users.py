"""SIP users of the row dialect: an extension and its person (C8)."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import AccessLevel
from ..checks import Value
from ..properties import row_fields_of
from ..tables import Customer, Employee, Extension
from .audit import Work
from .draft import Columns
from .employees import create_employee, delete_employee, update_employee
from .extensions import create_extension, delete_extension, update_extension

PERSON: Final = tuple(field.column for field in row_fields_of(Employee))
"""Columns of the person; all others are the extension's."""


async def create_user(work: Work, customer: Customer, columns: Columns) -> Extension:
    """Create a user with a person who cannot log in; return the user. Raise as `create_extension` does."""
    person = await _create_person(work, customer, columns)
    own = _extension_columns(columns) | {"employee_id": person.id}
    return await create_extension(work, customer, own)


async def update_user(
    work: Work,
    customer: Customer,
    user: Extension,
    columns: Columns,
) -> Change:
    """Change the columns in `columns` of a locked user. Raise Refused as `update_extension` does.

    A user from the other dialect may have no person; the first value for a person's column creates one.
    """
    own = _extension_columns(columns)
    person = await _person(work.session, user)
    said = {name: value for name, value in columns.items() if name in PERSON}
    if person is not None:
        if "name" in columns and _made_here(person):
            said["name"] = columns["name"]
        new = {name: value for name, value in said.items() if getattr(person, name) != value}
        if new:
            await update_employee(work, person, new)
    elif any(value is not None for value in said.values()):
        known = {"name": user.name, **columns}
        own["employee_id"] = (await _create_person(work, customer, known)).id
    return await update_extension(work, customer, user, own)


async def delete_user(work: Work, customer: Customer, user: Extension) -> Change:
    """Delete a locked user, and its person if that was made for it and has no other extension."""
    person = await _person(work.session, user)
    change = await delete_extension(work, customer, user)
    if person is not None and _made_here(person) and not await _has_extension(work.session, person):
        await delete_employee(work, person)
    return change


async def _create_person(work: Work, customer: Customer, columns: Columns) -> Employee:
    person = {name: columns[name] for name in ("name", *PERSON) if name in columns}
    level: Columns = {"access_level": AccessLevel.NO_LOGIN.name}
    return await create_employee(work, customer, {**person, **level})


async def _person(session: AsyncSession, user: Extension) -> Employee | None:
    if user.employee_id is None:
        return None
    statement = select(Employee).where(Employee.id == user.employee_id).with_for_update()
    found: Employee | None = await session.scalar(statement)
    return found


async def _has_extension(session: AsyncSession, person: Employee) -> bool:
    statement = select(Extension.id).where(Extension.employee_id == person.id).limit(1)
    return await session.scalar(statement) is not None


def _made_here(person: Employee) -> bool:
    """Return True if the person was apparently made for a SIP user: it has no login."""
    return person.access_level == AccessLevel.NO_LOGIN.name and person.login_email is None


def _extension_columns(columns: Columns) -> dict[str, Value]:
    return {name: value for name, value in columns.items() if name not in PERSON}
