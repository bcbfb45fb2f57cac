"""Extensions: the numbers of people, and the SIP users that register with their own password."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import select, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change, is_phone_name
from registrar.sip import MD5, SHA256, ha1

from .. import clock
from ..auth import Caller
from ..errors import Problem, Refused
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
from . import numbers
from .audit import Actor, record
from .checks import Check, Value, Wrong, bare_number
from .customers import lock_owned
from .ids import new_oid, parse_oid
from .passwords import Passwords
from .revisions import revise_all

TABLE: Final = Extension.__tablename__
MAX_NUMBER: Final = 20
MAX_SIP_PASSWORD: Final = 128
SIP_USER: Final = re.compile(r"[A-Za-z0-9._~+-]{1,64}")

Columns = Mapping[str, Value]
"""Checked values by column; also `password` (of the SIP user) and `pin`, which are stored only as hashes."""


def number_check(message: str) -> Check:
    """Return a check for a dial plan number: digits, * and #; blanks, dashes and brackets are removed."""

    def check(value: object) -> Value | Wrong:
        number = bare_number(value) if isinstance(value, str) else ""
        plain = re.fullmatch(r"[0-9*#]+", number) is not None
        return number if plain and len(number) <= MAX_NUMBER else Wrong(message)

    return check


def sip_user_check(message: str) -> Check:
    """Return a check for the name of a SIP user; it refuses a name that looks like a phone's username."""

    def check(value: object) -> Value | Wrong:
        if not isinstance(value, str) or SIP_USER.fullmatch(value) is None:
            return Wrong(message)
        return Wrong(f"{message}: it looks like a phone's") if is_phone_name(value) else value

    return check


async def find_extension(session: AsyncSession, caller: Caller, oid: object) -> tuple[Extension, Customer]:
    """Return the extension, locked against other writers, and its customer. Raise Refused (404)."""
    return await lock_owned(session, caller, Extension, oid, "Extension")


async def create_extension(
    session: AsyncSession, actor: Actor, customer: Customer, columns: Columns, passwords: Passwords
) -> Extension:
    """Create an extension and return it.

    Raise Refused: 409 for a number or a user name that is taken, 422 for a SIP user without a name, password
    or domain.
    """
    extension = Extension(oid=new_oid(), customer_id=customer.id, is_primary=False)
    await _write(session, customer, extension, columns, passwords)
    session.add(extension)
    await session.flush()
    record(session, actor, "create", TABLE, extension.oid)
    return extension


async def update_extension(
    session: AsyncSession,
    actor: Actor,
    customer: Customer,
    extension: Extension,
    columns: Columns,
    passwords: Passwords,
) -> Change:
    """Change the columns in `columns`; return what changed. Raise Refused as `create_extension` does."""
    was_user = _is_user(extension)
    with session.no_autoflush:  # conflicts are found by a query, not by a constraint that fails in a flush
        await _write(session, customer, extension, columns, passwords)
    extension.version += 1
    extension.updated_at = clock.utc_now()
    record(session, actor, "update", TABLE, extension.oid)
    await session.flush()
    return await _change(session, customer, extension, was_user=was_user)


async def delete_extension(
    session: AsyncSession, actor: Actor, customer: Customer, extension: Extension
) -> Change:
    """Delete the extension and return what changed; its phones stay, without an extension (D21).

    Its memberships in groups and queues are deleted too.
    """
    change = await _change(session, customer, extension)
    await session.execute(
        update(SipPhone)
        .where(SipPhone.extension_id == extension.id)
        .values(
            extension_id=None,
            version=SipPhone.version + extension.version + 1,
            device_token_sha256=None,
            linked_at=None,
            config_saved_at=clock.utc_now(),
            updated_at=clock.utc_now(),
        )
    )
    await numbers.release(session, extension.oid)
    await _leave(session, extension)
    await session.delete(extension)
    record(session, actor, "delete", TABLE, extension.oid)
    await session.flush()
    return change


async def _leave(session: AsyncSession, extension: Extension) -> None:
    """Give a new revision to the groups and queues that lose it as a member or a controller."""
    links = (
        select(table.group_id).where(table.extension_id == extension.id)
        for table in (SipGroupMember, SipGroupController)
    )
    await revise_all(session, SipGroup, SipGroup.id.in_(union(*links)))
    of_queue = select(QueueMember.queue_id).where(QueueMember.extension_id == extension.id)
    await revise_all(session, Queue, Queue.id.in_(of_queue))


def announced(customer: Customer, extension: Extension) -> Change:
    """Return the change that a new extension, which has no phones yet, is for the SIP side."""
    return Change(phones=_user_ids(extension), dial_plan=customer.oid)


async def _change(
    session: AsyncSession, customer: Customer, extension: Extension, *, was_user: bool = False
) -> Change:
    """Return the change for the SIP side: the dial plan, the phones of the extension, and its SIP user."""
    phones = await session.scalars(select(SipPhone.oid).where(SipPhone.extension_id == extension.id))
    return Change(phones=(*phones, *_user_ids(extension, was_user=was_user)), dial_plan=customer.oid)


def _user_ids(extension: Extension, *, was_user: bool = False) -> tuple[str, ...]:
    """Return the id under which the SIP side knows the SIP user of the extension, if it is or was one."""
    return (f"u{extension.id}",) if was_user or _is_user(extension) else ()


def _is_user(extension: Extension) -> bool:
    return extension.sip_ha1_md5 is not None


async def _write(
    session: AsyncSession,
    customer: Customer,
    extension: Extension,
    columns: Columns,
    passwords: Passwords,
) -> None:
    plain = {name: value for name, value in columns.items() if name not in ("password", "pin", "is_primary")}
    renamed = "sip_user" in plain and plain["sip_user"] != extension.sip_user
    if renamed:
        await _refuse_taken_name(session, customer, extension, plain["sip_user"])
    for name, value in plain.items():
        setattr(extension, name, value)
    await _write_password(session, customer, extension, columns.get("password"), passwords, renamed=renamed)
    if "pin" in columns:
        pin = columns["pin"]
        extension.pin_hash = await passwords.hashed(pin) if isinstance(pin, str) else None
    await numbers.claim(session, customer.id, extension.number, "extension", extension.oid)
    await _write_primary(session, extension, columns.get("is_primary"))


async def _refuse_taken_name(
    session: AsyncSession, customer: Customer, extension: Extension, name: Value
) -> None:
    statement = select(Extension.oid).where(
        Extension.customer_id == customer.id, Extension.sip_user == name, Extension.oid != extension.oid
    )
    if name is not None and await session.scalar(statement) is not None:
        raise Refused(Problem(409, "sipUser", f"The user {name} exists already", "sipUser", "unique"))


async def _write_password(
    session: AsyncSession,
    customer: Customer,
    extension: Extension,
    password: Value,
    passwords: Passwords,
    *,
    renamed: bool,
) -> None:
    if extension.sip_user is None:
        if password is not None:
            raise _half("sipUser", "A password needs a user name")
        extension.sip_ha1_md5 = extension.sip_ha1_sha256 = None
        return
    if not isinstance(password, str):
        if renamed:
            raise _half("sipPassword", "A new user name needs a password")
        return
    about = (extension.sip_user, extension.name, extension.number, customer.name, customer.sip_domain)
    await passwords.refuse_weak(password, "sipPassword", about)
    # Locked until the end: the hash has this domain in it, and `customers.update_customer` counts these.
    statement = select(Customer.sip_domain).where(Customer.id == customer.id)
    domain = await session.scalar(statement.with_for_update(read=True))
    if domain is None:
        raise _half("sipUser", "The customer has no SIP domain")
    identity = extension.sip_user, domain, password
    extension.sip_ha1_md5, extension.sip_ha1_sha256 = ha1(*identity, MD5), ha1(*identity, SHA256)
    extension.sip_secret_version = (extension.sip_secret_version or 0) + 1


def _half(code: str, message: str) -> Refused:
    return Refused(Problem(422, code, message, code, "required"))


async def _write_primary(session: AsyncSession, extension: Extension, wanted: Value) -> None:
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


async def read_employee(session: AsyncSession, customer: Customer, sent: object) -> Employee | None:
    """Return the employee of this customer with the id `sent`, or None if it does not exist."""
    statement = select(Employee).where(
        Employee.oid == (parse_oid(sent) or ""), Employee.customer_id == customer.id
    )
    found: Employee | None = await session.scalar(statement)
    return found


async def read_extensions(
    session: AsyncSession, customer: Customer, sent: Iterable[object]
) -> dict[str, int]:
    """Return those of the ids `sent` that belong to extensions of this customer: id -> primary key."""
    wanted = {oid for item in sent if (oid := parse_oid(item))}
    statement = select(Extension.oid, Extension.id).where(
        Extension.oid.in_(wanted), Extension.customer_id == customer.id
    )
    return dict((await session.execute(statement)).all())
