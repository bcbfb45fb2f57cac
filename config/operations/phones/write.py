"""Creating, changing, resetting and deleting phones. Each function runs inside one write transaction.

The phone of a WebRTC client is created, or found by its extension and instance, and open to register next.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change
from registrar.store.vault import Vault

from ... import clock
from ...access import PURCHASE_LEVEL, AccessLevel
from ...auth import Caller
from ...checks import text
from ...errors import Problem, Refused, not_your_property, refused, too_many
from ...models import WEBRTC
from ...saved import SECOND, note_saved
from ...tables import (
    AuditLog,
    Customer,
    Extension,
    Provisioning,
    SipPhone,
    SipPhoneSidePanel,
    SipPhoneSoftkey,
)
from ..audit import Work, new_credential, new_oid
from ..customers import ACTIVE, find_customer, is_named, lock_owned, missing_customer
from ..draft import Document, accepted
from ..people import primary_extension
from ..products import find_model
from .draft import FIELDS, PhoneDraft, read_phone
from .parts import read_panels, read_softkeys
from .saved import beside, pointing_to_phone

TABLE = SipPhone.__tablename__
RESET: Final = "resetcredentials"
POLICIES: Final = {
    field.column: field.path
    for field in FIELDS
    if field.path.startswith("policy.") and field.kind.type == "boolean"
}
BROWSER_SECONDS: Final = 60
"""When a person with too many browser phones in use may ask again."""
MAX_RESETS: Final = 10
"""Limit of resets of one phone in an hour."""
HOUR: Final = timedelta(hours=1)

Parts = tuple[list[SipPhoneSoftkey] | None, list[SipPhoneSidePanel] | None]
"""Softkeys and side panels to store; None: the stored ones stay."""


@dataclass(frozen=True, slots=True)
class WebrtcPhone:
    """The phone, and the extension that it rings for."""

    phone: SipPhone
    extension: Extension
    customer: Customer
    name: str
    """Name of the person whose extension it is."""
    replaced: tuple[str, ...] = ()
    """Ids of the phones that were deleted to make room for it."""


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
    parts = await _read(work, draft)
    if customer is not None:
        await work.room.take(work.session, customer, "phones")
    phone = new_phone(work.vault, **draft.values, customer_id=customer.id if customer else None)
    await work.create(phone)
    await _write_parts(work.session, phone, parts)
    await note_saved(work.session, beside(phone, phone.mac))
    await work.settle(phone.mac)
    return phone


async def update_phone(work: Work, oid: object, document: Document) -> SipPhone:
    """Change the properties that were sent. Raise Refused as `create_phone` does, and 404 for the phone."""
    _refuse_purchase(work.caller, document)
    phone, customer = await lock_phone(work.session, work.caller, oid)
    draft = PhoneDraft(document, customer, phone)
    parts = await _read(work, draft)
    if "extension_id" in draft.values and draft.values["extension_id"] != phone.extension_id:
        await leave_extension(work.session, phone)
    if any(draft.values.get(name, old) != old for name, old in _lock_of(phone).items()):
        end_unlock(phone)
    before, owner = (phone.mac, phone.model_id), phone.extension_id
    for column, value in draft.values.items():
        setattr(phone, column, value)
    touch(phone)
    await _write_parts(work.session, phone, parts)
    pointing = [pointing_to_phone(phone)] if phone.extension_id != owner else []
    await note_saved(work.session, beside(phone, before[0], phone.mac), *pointing)
    if phone.mac != before[0]:
        await _forget_secrets(work.session, before[0])
    if (phone.mac, phone.model_id) != before:
        await work.settle(before[0], phone.mac)
    work.record("update", TABLE, phone.oid)
    return phone


def _refuse_looser(caller: Caller, draft: PhoneDraft) -> None:
    """Refuse a phone that would be exempt from a policy of its customer: only a reseller exempts one."""
    if caller.level >= AccessLevel.RESELLER:
        return
    for column, path in POLICIES.items():
        stored = getattr(draft.stored, column, None)
        if draft.values.get(column) is False and stored is not False:
            message = f"Only a reseller sets {path} to false: it would exempt the phone"
            draft.wrong(path, message, 403, "allowed")


async def reset_credentials(work: Work, oid: object) -> SipPhone:
    """Set a new username and password; registrations with the old ones become void.

    Raise Refused: 404, and 429 for more than `MAX_RESETS` of a phone in an hour (D17: a GET is enough).
    """
    phone, _ = await lock_phone(work.session, work.caller, oid)
    await _refuse_many_resets(work.session, phone)
    phone.username = new_credential()
    phone.password_enc = work.vault.seal(new_credential(), phone.oid)
    phone.secret_version += 1
    touch(phone)
    await note_saved(work.session, beside(phone, phone.mac))
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


async def delete_phone(work: Work, oid: object) -> Change:
    """Delete the phone and its softkeys and side panels; return what changed."""
    phone, _ = await lock_phone(work.session, work.caller, oid)
    await note_saved(work.session, beside(phone, phone.mac), pointing_to_phone(phone))
    await work.delete(phone)
    await _forget_secrets(work.session, phone.mac)
    await work.settle(phone.mac)
    return Change(phones=(phone.oid,))


async def _forget_secrets(session: AsyncSession, mac: str | None) -> None:
    """Void the secrets of provisioning of a MAC address that no phone has any more."""
    if mac is not None:
        unused = ~select(SipPhone.id).where(SipPhone.mac == mac).exists()
        await session.execute(delete(Provisioning).where(Provisioning.mac == mac, unused))


def read_instance_id(sent: object) -> str:
    """Return the instance that a client names. Raise Refused (422) if it is missing or invalid."""
    if sent in (None, ""):
        raise refused("instanceId", "Instance id is missing", "required", 422)
    return str(accepted(text()(sent, "Instance id is not a valid text"), "instanceId"))


class Crowded(Exception):
    """A person has as many WebRTC phones as allowed: which of them are in use must be known first."""

    def __init__(self, phones: Sequence[str]) -> None:
        super().__init__()
        self.phones = phones


async def _make_room(work: Work, extension: Extension, in_use: Collection[str] | None) -> tuple[str, ...]:
    """Delete the WebRTC phones of a person that were opened longest ago, until there is room for one more.

    Return their ids. Phones in use stay. Raise Refused (429) if too many of them are, and Crowded if it is
    not known which.
    """
    most = work.room.quotas.browsers
    statement = (
        select(SipPhone)
        .where(SipPhone.extension_id == extension.id, SipPhone.instance_id.is_not(None))
        .order_by(SipPhone.config_saved_at, SipPhone.id)
        .with_for_update()
    )
    phones = list(await work.session.scalars(statement))
    surplus = max(len(phones) - most + 1, 0)
    if surplus and in_use is None:
        raise Crowded([phone.oid for phone in phones])
    unused = [phone for phone in phones if phone.oid not in (in_use or ())]
    if surplus > len(unused):
        raise too_many(f"You have {len(phones)} browser phones in use, and may have {most}", BROWSER_SECONDS)
    gone = unused[:surplus]
    for phone in gone:
        await work.delete(phone)
    return tuple(phone.oid for phone in gone)


async def open_webrtc_phone(work: Work, instance: str, in_use: Collection[str] | None = None) -> WebrtcPhone:
    """Return the caller's phone for this instance; an existing one keeps its credentials (decision 5).

    A new one replaces that which was opened longest ago if the person has as many as allowed; phones that
    are `in_use` stay, and Crowded asks which. Raise Refused: 404 if the caller has no primary extension, or
    if the customer is not active, and 429 if too many phones are in use.
    """
    found = await primary_extension(work.session, work.caller)
    if found is None:
        raise Refused(Problem(404, "extension", "You have no primary extension", "extension", "exists"))
    extension, customer, name = found
    if customer.state != ACTIVE:
        raise Refused(missing_customer())
    own = {"extension_id": extension.id, "instance_id": instance}
    phone = await work.session.scalar(select(SipPhone).filter_by(**own).with_for_update())
    if phone is not None:
        # It may register from anywhere; its next contact locks it again.
        phone.ip_mode, phone.ip_address, phone.webrtc = "OPEN", None, True
        end_unlock(phone)
        touch(phone)
        work.record("update", TABLE, phone.oid)
        return WebrtcPhone(phone, extension, customer, name)
    model = await find_model(work.session, WEBRTC)
    if model is None:
        raise Refused(Problem(404, "sipPhoneModel", "SIP phone model not found or invalid"))
    gone = await _make_room(work, extension, in_use)
    await work.room.take(work.session, customer, "phones")
    customer_id = extension.customer_id
    phone = new_phone(work.vault, customer_id=customer_id, model_id=model.id, webrtc=True, **own)
    await work.create(phone)
    return WebrtcPhone(phone, extension, customer, name, gone)


def new_phone(vault: Vault, **columns: object) -> SipPhone:
    """Return a phone with a new id and new credentials; it is not yet in the database."""
    oid = new_oid()
    secret = vault.seal(new_credential(), oid)
    saved = clock.utc_now()
    return SipPhone(oid=oid, username=new_credential(), password_enc=secret, config_saved_at=saved, **columns)


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


def _lock_of(phone: SipPhone) -> dict[str, object]:
    return {name: getattr(phone, name) for name in ("ip_mode", "ip_address", "ip_policy")}


def end_unlock(phone: SipPhone) -> None:
    """Forget what a phone that is unlocked for a time was before: it has another lock now."""
    phone.unlocked_until = phone.unlock_mode = phone.unlock_address = None


def touch(phone: SipPhone) -> None:
    """Note that the configuration of a phone has changed."""
    phone.version += 1
    phone.config_saved_at = saved_now(phone)


def saved_now(phone: SipPhone) -> datetime:
    """Return the time of a change: a later second than that of the last load, so that the order is clear."""
    now, loaded = clock.utc_now(), phone.config_loaded_at
    return now if loaded is None else max(now, loaded + SECOND)


def _refuse_purchase(caller: Caller, document: Document) -> None:
    if caller.level < PURCHASE_LEVEL and document.given("purchaseInfo") not in (None, {}):
        raise not_your_property("purchaseInfo", f"purchaseInfo needs the level {PURCHASE_LEVEL.name}")


async def _read(work: Work, draft: PhoneDraft) -> Parts:
    """Read all properties into the draft, and return the parts. Raise Refused with all problems."""
    session = work.session
    await read_phone(session, draft)
    _refuse_looser(work.caller, draft)
    parts = await read_softkeys(session, draft), await read_panels(session, draft)
    draft.refuse_problems()
    return parts


async def _write_parts(session: AsyncSession, phone: SipPhone, parts: Parts) -> None:
    for table, rows in ((SipPhoneSoftkey, parts[0]), (SipPhoneSidePanel, parts[1])):
        if rows is None:
            continue
        await session.execute(delete(table).where(table.phone_id == phone.id))
        for row in rows:
            row.phone_id = phone.id
        session.add_all(rows)
    await session.flush()
