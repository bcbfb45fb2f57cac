"""Which phones have other files after a change of another row: their `configSaved` moves.

A file has the number and name of its extension, the domain of the customer, what the model says, and the
numbers of the rows that softkeys point to. All phones with one MAC address share a file. The `version` of a
phone stays, because the SIP side reads the other row itself. A key counts even if the phone does not write
it: its model may have no such key.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ... import clock
from ...tables import Customer, Extension, Queue, SipGroup, SipPhone, SipPhoneModel, SipPhoneSoftkey

SECOND: Final = timedelta(seconds=1)
OF_MODEL: Final = (
    "brand", "model", "writer", "extensions", "softkeys", "panel_softkeys", "configuration_template"
)  # fmt: skip
"""Columns of a model that are in files, or in their names."""
_KEY: Final = {Extension: "BLF", SipGroup: "PICKUPGROUP", Queue: "QUEUE"}
"""Table -> the function whose keys have the number of a row."""
_OTHER: Final = "DNDOTHER"
"""The function whose keys have the number of a phone's extension."""


def of_model(model: SipPhoneModel) -> ColumnElement[bool]:
    """Return the condition for the phones of a model."""
    return SipPhone.model_id == model.id


def of_customer(customer: Customer) -> ColumnElement[bool]:
    """Return the condition for the phones of a customer."""
    return SipPhone.customer_id == customer.id


def of_extension(extension: Extension) -> ColumnElement[bool]:
    """Return the condition for the phones whose file has the account of an extension."""
    other = aliased(SipPhone)
    macs = select(other.mac).where(other.extension_id == extension.id, other.mac.is_not(None))
    return or_(SipPhone.extension_id == extension.id, SipPhone.mac.in_(macs))


def beside(phone: SipPhone, *macs: str | None) -> ColumnElement[bool]:
    """Return the condition for other phones that share, or shared, a file with a phone."""
    return and_(SipPhone.mac.in_([mac for mac in macs if mac]), SipPhone.oid != phone.oid)


def pointing_to(row: Extension | SipGroup | Queue) -> ColumnElement[bool]:
    """Return the condition for phones with a key that has the number of a row."""
    is_ours = _has_key(row.customer_id, _KEY[type(row)], SipPhoneSoftkey.value == row.oid)
    if not isinstance(row, Extension):
        return is_ours
    owner = aliased(SipPhone)
    theirs = select(owner.oid).where(owner.extension_id == row.id)
    return or_(is_ours, _has_key(row.customer_id, _OTHER, SipPhoneSoftkey.value.in_(theirs)))


def pointing_to_phone(phone: SipPhone) -> ColumnElement[bool]:
    """Return the condition for phones with a key that has the number of a phone's extension."""
    return _has_key(phone.customer_id, _OTHER, SipPhoneSoftkey.value == phone.oid)


async def note_saved(session: AsyncSession, *where: ColumnElement[bool]) -> None:
    """Note that the files of the phones that fulfil one of these conditions have changed.

    The time is a later second than that of the last load (`write.saved_now`).
    """
    now, found = clock.utc_now(), or_(*where)
    loaded_now = select(SipPhone.id, SipPhone.config_loaded_at).where(found, SipPhone.config_loaded_at >= now)
    late = (await session.execute(loaded_now)).all()
    is_before = or_(SipPhone.config_loaded_at.is_(None), SipPhone.config_loaded_at < now)
    await _set(session, and_(found, is_before), now)
    for id, loaded in late:
        await _set(session, SipPhone.id == id, (loaded or now) + SECOND)


async def _set(session: AsyncSession, where: ColumnElement[bool], moment: datetime) -> None:
    values: dict[str, object] = {"config_saved_at": moment, "updated_at": SipPhone.updated_at}
    statement = update(SipPhone).where(where).values(values)
    await session.execute(statement.execution_options(synchronize_session=False))


def _has_key(customer: int, function: str, is_it: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition for phones of a customer with such a key whose value fulfils another."""
    other = aliased(SipPhone)
    keys = (
        select(other.id)
        .join(SipPhoneSoftkey, SipPhoneSoftkey.phone_id == other.id)
        .where(other.customer_id == customer, SipPhoneSoftkey.function == function, is_it)
    )
    return and_(SipPhone.customer_id == customer, SipPhone.id.in_(keys))
