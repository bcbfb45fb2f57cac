"""Extensions: the numbers of people, and the SIP users that register with their own password."""

from sqlalchemy import select, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change
from registrar.sip import MD5, SHA256, ha1

from .. import clock
from ..checks import Value
from ..errors import refused
from ..tables import (
    Customer,
    Extension,
    Queue,
    QueueMember,
    SipGroup,
    SipGroupController,
    SipGroupMember,
    SipPhone,
)
from . import numbers
from .audit import Work
from .draft import Columns
from .ids import new_oid
from .revisions import revise_all


async def create_extension(work: Work, customer: Customer, columns: Columns) -> Extension:
    """Create an extension and return it.

    Raise Refused: 409 for a number or a user name that is taken, 422 for a reserved number, and for a SIP
    user without a name, password or domain.
    """
    extension = Extension(oid=new_oid(), customer_id=customer.id, is_primary=False)
    await _write(work, customer, extension, columns)
    await work.create(extension)
    return extension


async def update_extension(
    work: Work,
    customer: Customer,
    extension: Extension,
    columns: Columns,
) -> Change:
    """Change the columns in `columns`; return what changed. Raise Refused as `create_extension` does."""
    was_user = _is_user(extension)
    # Conflicts are found by a query, not by a constraint that fails in a flush.
    with work.session.no_autoflush:
        await _write(work, customer, extension, columns)
    extension.version += 1
    await work.update(extension)
    return await _change(work.session, customer, extension, was_user=was_user)


async def delete_extension(work: Work, customer: Customer, extension: Extension) -> Change:
    """Delete the extension and return what changed; its phones stay, without an extension (D21).

    Its memberships in groups and queues are deleted too.
    """
    change = await _change(work.session, customer, extension)
    await work.session.execute(
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
    await numbers.release(work.session, extension.oid)
    await _leave(work.session, extension)
    await work.delete(extension)
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
    work: Work,
    customer: Customer,
    extension: Extension,
    columns: Columns,
) -> None:
    plain = {name: value for name, value in columns.items() if name not in ("password", "pin", "is_primary")}
    renamed = "sip_user" in plain and plain["sip_user"] != extension.sip_user
    if renamed:
        await _refuse_taken_name(work.session, customer, extension, plain["sip_user"])
    for name, value in plain.items():
        setattr(extension, name, value)
    await _write_password(work, customer, extension, columns.get("password"), renamed=renamed)
    if "pin" in columns:
        pin = columns["pin"]
        extension.pin_hash = await work.passwords.hashed(pin) if isinstance(pin, str) else None
    number = extension.number
    await numbers.claim(work.session, customer.id, number, "extension", extension.oid, work.reserved)
    await _write_primary(work.session, extension, columns.get("is_primary"))


async def _refuse_taken_name(
    session: AsyncSession, customer: Customer, extension: Extension, name: Value
) -> None:
    statement = select(Extension.oid).where(
        Extension.customer_id == customer.id, Extension.sip_user == name, Extension.oid != extension.oid
    )
    if name is not None and await session.scalar(statement) is not None:
        raise refused("sipUser", f"The user {name} exists already", "unique")


async def _write_password(
    work: Work,
    customer: Customer,
    extension: Extension,
    password: Value,
    *,
    renamed: bool,
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
