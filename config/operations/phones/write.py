"""Creating, changing, resetting and deleting phones. Each function runs inside one write transaction."""

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.vault import Vault

from ... import clock
from ...access import PURCHASE_LEVEL
from ...auth import Caller
from ...errors import not_your_property, too_many
from ...tables import AuditLog, Customer, Extension, SipPhone, SipPhoneSidePanel, SipPhoneSoftkey
from ..audit import Work
from ..customers import find_customer, is_named, lock_owned, missing_customer
from ..document import NOT_SENT, Document
from ..ids import new_credential, new_oid
from .addresses import read_network, read_restriction
from .draft import PhoneDraft
from .fields import read_settings
from .panels import read_panels
from .references import read_instance, read_references
from .slots import read_handset, take_slot
from .softkeys import read_softkeys

TABLE = SipPhone.__tablename__
RESET: Final = "resetcredentials"
MAX_RESETS: Final = 10
"""Limit of resets of one phone in an hour."""
HOUR: Final = timedelta(hours=1)


async def create_phone(work: Work, document: Document) -> SipPhone:
    """Create a phone with its own credentials and return it.

    Raise Refused: 403 for a customer that the caller may not use, or a purchase that the caller may not
    write; else with all problems of the document.
    """
    _refuse_purchase(work.caller, document)
    wanted = document.given("customer")
    customer = await find_customer(work.session, work.caller, wanted)
    draft = PhoneDraft(document, customer)
    if customer is None:
        problem = missing_customer(is_named=is_named(work.caller, wanted))
        draft.wrong(problem.code, problem.message, problem.status, problem.check)
    softkeys, panels = await _read(work.session, draft)
    draft.refuse_problems()
    phone = new_phone(work.vault, **draft.values, customer_id=customer.id if customer else None)
    await work.create(phone)
    await _write_parts(work.session, phone, softkeys, panels)
    return phone


async def update_phone(work: Work, oid: object, document: Document) -> SipPhone:
    """Change the properties that were sent. Raise Refused as `create_phone` does, and 404 for the phone."""
    _refuse_purchase(work.caller, document)
    phone, customer = await lock_phone(work.session, work.caller, oid)
    draft = PhoneDraft(document, customer, phone)
    softkeys, panels = await _read(work.session, draft)
    draft.refuse_problems()
    if "extension_id" in draft.values and draft.values["extension_id"] != phone.extension_id:
        await leave_extension(work.session, phone)
    for column, value in draft.values.items():
        setattr(phone, column, value)
    _touch(phone)
    await _write_parts(work.session, phone, softkeys, panels)
    work.record("update", TABLE, phone.oid)
    return phone


async def reset_credentials(work: Work, oid: object) -> SipPhone:
    """Set a new username and password; registrations with the old ones become void.

    Raise Refused: 404, and 429 for more than `MAX_RESETS` of a phone in an hour (D17: a GET is enough).
    """
    phone, _ = await lock_phone(work.session, work.caller, oid)
    await _refuse_many_resets(work.session, phone)
    phone.username = new_credential()
    phone.password_enc = work.vault.seal(new_credential(), phone.oid)
    phone.secret_version += 1
    _touch(phone)
    work.record(RESET, TABLE, phone.oid)
    return phone


async def _refuse_many_resets(session: AsyncSession, phone: SipPhone) -> None:
    """Raise Refused (429) after too many resets; the audit log counts those of all nodes, across restarts."""
    now = clock.utc_now()
    statement = (
        select(AuditLog.at)
        .where(AuditLog.row_oid == phone.oid, AuditLog.action == RESET, AuditLog.at > now - HOUR)
        .order_by(AuditLog.id.desc())
        .limit(MAX_RESETS)
    )
    resets = list(await session.scalars(statement))
    if len(resets) >= MAX_RESETS:
        seconds = max(1, round(min(HOUR, resets[-1] + HOUR - now).total_seconds()))
        raise too_many(f"The credentials were reset {MAX_RESETS} times within an hour", seconds)


async def delete_phone(work: Work, oid: object) -> str:
    """Delete the phone and its softkeys and side panels. Return its id."""
    phone, _ = await lock_phone(work.session, work.caller, oid)
    await work.delete(phone)
    return phone.oid


def new_phone(vault: Vault, **columns: object) -> SipPhone:
    """Return a phone with a new id and new credentials; it is not yet in the database."""
    oid = new_oid()
    secret = vault.seal(new_credential(), oid)
    fresh = {
        "oid": oid,
        "username": new_credential(),
        "password_enc": secret,
        "config_saved_at": clock.utc_now(),
    }
    return SipPhone(**fresh, **columns)


async def lock_phone(session: AsyncSession, caller: Caller, oid: object) -> tuple[SipPhone, Customer]:
    """Return the phone, locked against other writers, and its customer. Raise Refused (404)."""
    return await lock_owned(session, caller, SipPhone, oid, "SIP phone")


async def leave_extension(session: AsyncSession, phone: SipPhone) -> None:
    """Raise the phone's version by that of the extension it leaves, and void its `pbxDeviceToken` (D27).

    The view `phone_v1` shows the sum of the versions of phone, customer and extension. Without this increase
    the sum would shrink with the extension, and the SIP side would take the new row for an older one.
    """
    phone.device_token_sha256 = phone.linked_at = None
    if phone.extension_id is None:
        return
    statement = select(Extension.version).where(Extension.id == phone.extension_id).with_for_update()
    phone.version += await session.scalar(statement) or 0


def reopen(phone: SipPhone) -> None:
    """Let the phone register from anywhere; its next contact locks it again."""
    phone.ip_mode, phone.ip_address = "OPEN", None
    _touch(phone)


def _touch(phone: SipPhone) -> None:
    phone.version += 1
    phone.config_saved_at = clock.utc_now()


def _refuse_purchase(caller: Caller, document: Document) -> None:
    if caller.level < PURCHASE_LEVEL and document.get("purchaseInfo") not in (NOT_SENT, None, {}):
        raise not_your_property("purchaseInfo", f"purchaseInfo needs the level {PURCHASE_LEVEL.name}")


async def _read(
    session: AsyncSession, draft: PhoneDraft
) -> tuple[list[SipPhoneSoftkey] | None, list[SipPhoneSidePanel] | None]:
    await read_references(session, draft)
    read_settings(draft)
    read_restriction(draft)
    read_network(draft)
    read_handset(draft)
    await take_slot(session, draft)
    await read_instance(session, draft)
    return await read_softkeys(session, draft), await read_panels(session, draft)


async def _write_parts(
    session: AsyncSession,
    phone: SipPhone,
    softkeys: list[SipPhoneSoftkey] | None,
    panels: list[SipPhoneSidePanel] | None,
) -> None:
    for table, rows in ((SipPhoneSoftkey, softkeys), (SipPhoneSidePanel, panels)):
        if rows is None:
            continue
        await session.execute(delete(table).where(table.phone_id == phone.id))
        for row in rows:
            row.phone_id = phone.id
        session.add_all(rows)
    await session.flush()
