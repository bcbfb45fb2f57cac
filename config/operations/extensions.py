"""Extensions: the numbers of people, and the SIP users that register with their own password.

The row dialect shows an extension and its person as one SIP user (C8).
"""

from typing import Final

from sqlalchemy import select, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change
from registrar.sip import MD5, SHA256, ha1

from .. import clock
from ..access import AccessLevel
from ..errors import refused
from ..properties import row_fields_of
from ..saved import note_saved
from ..tables import (
    Customer,
    Employee,
    Extension,
    Queue,
    QueueMember,
    SipGroup,
    SipGroupController,
    SipGroupMember,
    SipPhone,
)
from .audit import Work, new_oid
from .dial_plan import claim, release, revise_all
from .draft import Columns
from .employees import create_employee, delete_employee, update_employee
from .phones.saved import of_extension, pointing_to

PERSON: Final = tuple(field.column for field in row_fields_of(Employee))
"""Columns of a SIP user's person; all others are the extension's."""


async def create_extension(work: Work, customer: Customer, columns: Columns) -> tuple[Extension, Change]:
    """Create an extension; return it and what changed.

    Raise Refused: 409 for a number or a user name that is taken, 422 for a reserved number, and for a SIP
    user without a name, password or domain.
    """
    extension = Extension(oid=new_oid(), customer_id=customer.id, is_primary=False)
    await _write(work, customer, extension, columns)
    await work.create(extension)
    return extension, Change(phones=_user_ids(extension), dial_plan=customer.oid)


async def update_extension(work: Work, customer: Customer, extension: Extension, columns: Columns) -> Change:
    """Change the columns in `columns`; return what changed. Raise Refused as `create_extension` does."""
    were, shown = _user_ids(extension), (extension.number, extension.name)
    # Conflicts are found by a query, not by a constraint that fails in a flush.
    with work.session.no_autoflush:
        await _write(work, customer, extension, columns)
    extension.version += 1
    await work.update(extension)
    if (extension.number, extension.name) != shown:
        pointing = pointing_to(extension) if extension.number != shown[0] else ()
        await note_saved(work.session, *of_extension(extension), *pointing)
    return await _change(work.session, customer, extension, were or _user_ids(extension))


async def delete_extension(work: Work, customer: Customer, extension: Extension) -> Change:
    """Delete the extension and return what changed; its phones stay, without an extension (D21).

    Its memberships in groups and queues are deleted too, which gives these a new revision.
    """
    change = await _change(work.session, customer, extension, _user_ids(extension))
    await note_saved(work.session, *of_extension(extension), *pointing_to(extension))
    await work.session.execute(
        update(SipPhone)
        .where(SipPhone.extension_id == extension.id)
        .values(
            extension_id=None,
            version=SipPhone.version + extension.version + 1,
            device_token_sha256=None,
            linked_at=None,
            updated_at=clock.utc_now(),
        )
    )
    await release(work.session, extension.oid)
    links = (
        select(table.group_id).where(table.extension_id == extension.id)
        for table in (SipGroupMember, SipGroupController)
    )
    await revise_all(work.session, SipGroup, SipGroup.id.in_(union(*links)))
    of_queue = select(QueueMember.queue_id).where(QueueMember.extension_id == extension.id)
    await revise_all(work.session, Queue, Queue.id.in_(of_queue))
    await work.delete(extension)
    return change


async def _change(
    session: AsyncSession, customer: Customer, extension: Extension, users: tuple[str, ...]
) -> Change:
    """Return the change for the SIP side: the dial plan, the phones of the extension, and its SIP user."""
    phones = await session.scalars(select(SipPhone.oid).where(SipPhone.extension_id == extension.id))
    return Change(phones=(*phones, *users), dial_plan=customer.oid)


def _user_ids(extension: Extension) -> tuple[str, ...]:
    """Return the id under which the SIP side knows the SIP user of the extension, if it is one."""
    return () if extension.sip_ha1_md5 is None else (f"u{extension.id}",)


async def _write(work: Work, customer: Customer, extension: Extension, columns: Columns) -> None:
    session = work.session
    plain = {name: value for name, value in columns.items() if name not in ("password", "pin", "is_primary")}
    renamed = "sip_user" in plain and plain["sip_user"] != extension.sip_user
    if renamed:
        name = plain["sip_user"]
        taken = select(Extension.oid).where(
            Extension.customer_id == customer.id, Extension.sip_user == name, Extension.oid != extension.oid
        )
        if name is not None and await session.scalar(taken) is not None:
            raise refused("sipUser", f"The user {name} exists already", "unique")
    for column, value in plain.items():
        setattr(extension, column, value)
    await _write_password(work, customer, extension, columns.get("password"), renamed=renamed)
    if "pin" in columns:
        pin = columns["pin"]
        extension.pin_hash = await work.passwords.hashed(pin) if isinstance(pin, str) else None
    number = extension.number
    await claim(session, customer.id, number, "extension", extension.oid, work.reserved)
    await _write_primary(session, extension, columns.get("is_primary"))


async def _write_password(
    work: Work, customer: Customer, extension: Extension, password: object, *, renamed: bool
) -> None:
    if extension.sip_user is None:
        if password is not None:
            raise refused("sipUser", "A password needs a user name", "required", 422)
        extension.sip_ha1_md5 = extension.sip_ha1_sha256 = None
        return
    if not isinstance(password, str):
        if renamed:
            raise refused("sipPassword", "A new user name needs a password", "required", 422)
        return
    about = (extension.sip_user, extension.name, extension.number, customer.name, customer.sip_domain)
    await work.passwords.refuse_weak(password, "sipPassword", about)
    # Locked until the end: the hash has this domain in it, and `customers.update_customer` counts these.
    statement = select(Customer.sip_domain).where(Customer.id == customer.id)
    domain = await work.session.scalar(statement.with_for_update(read=True))
    if domain is None:
        raise refused("sipUser", "The customer has no SIP domain", "required", 422)
    identity = extension.sip_user, domain, password
    extension.sip_ha1_md5, extension.sip_ha1_sha256 = ha1(*identity, MD5), ha1(*identity, SHA256)
    extension.sip_secret_version = (extension.sip_secret_version or 0) + 1


async def _write_primary(session: AsyncSession, extension: Extension, wanted: object) -> None:
    """Write `is_primary`; an employee has at most one primary extension, by default the first one."""
    if extension.employee_id is None:
        extension.is_primary = False
        return
    others = (
        Extension.employee_id == extension.employee_id,
        Extension.is_primary,
        Extension.oid != extension.oid,
    )
    with session.no_autoflush:
        if wanted is None:
            has_one = await session.scalar(select(Extension.id).where(*others).with_for_update())
            wanted = extension.is_primary or has_one is None
        if wanted:
            await session.execute(
                update(Extension).where(*others).values(is_primary=False, version=Extension.version + 1)
            )
    extension.is_primary = bool(wanted)


# SIP users


async def create_user(work: Work, customer: Customer, columns: Columns) -> tuple[Extension, Change]:
    """Create a user with a person who cannot log in. Return, and raise, as `create_extension` does."""
    person = await _create_person(work, customer, columns)
    return await create_extension(work, customer, _without_person(columns) | {"employee_id": person.id})


async def update_user(work: Work, customer: Customer, user: Extension, columns: Columns) -> Change:
    """Change the columns in `columns` of a locked user. Raise Refused as `update_extension` does.

    A user from the other dialect may have no person; the first value for a person's column creates one.
    """
    own = _without_person(columns)
    person = await _person(work.session, user)
    said = {name: value for name, value in columns.items() if name in PERSON}
    if person is not None:
        if "name" in columns and _made_here(person):
            said["name"] = columns["name"]
        new = {name: value for name, value in said.items() if getattr(person, name) != value}
        if new:
            await update_employee(work, customer, person, new)
    elif any(value is not None for value in said.values()):
        own["employee_id"] = (await _create_person(work, customer, {"name": user.name, **columns})).id
    return await update_extension(work, customer, user, own)


async def delete_user(work: Work, customer: Customer, user: Extension) -> Change:
    """Delete a locked user, and its person if that was made for it and has no other extension."""
    person = await _person(work.session, user)
    change = await delete_extension(work, customer, user)
    if person is not None and _made_here(person):
        others = select(Extension.id).where(Extension.employee_id == person.id).limit(1)
        if await work.session.scalar(others) is None:
            await delete_employee(work, customer, person)
    return change


async def _create_person(work: Work, customer: Customer, columns: Columns) -> Employee:
    person = {name: columns[name] for name in ("name", *PERSON) if name in columns}
    level = {"access_level": AccessLevel.NO_LOGIN.name}
    return (await create_employee(work, customer, person | level))[0]


async def _person(session: AsyncSession, user: Extension) -> Employee | None:
    if user.employee_id is None:
        return None
    found: Employee | None = await session.get(Employee, user.employee_id, with_for_update=True)
    return found


def _made_here(person: Employee) -> bool:
    """Return True if the person was apparently made for a SIP user: it has no login."""
    return person.access_level == AccessLevel.NO_LOGIN.name and person.login_email is None


def _without_person(columns: Columns) -> dict[str, object]:
    return {name: value for name, value in columns.items() if name not in PERSON}
