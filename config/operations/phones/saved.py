"""Which phones have other files after a change of another row: their `configSaved` moves.

A file has the number and name of its extension, the domain of the customer, what the model says, and the
numbers of the rows that softkeys point to. All phones with one MAC address share a file. The `version` of a
phone stays, because the SIP side reads the other row itself. A key counts even if the phone does not write
it: its model may have no such key.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ... import clock
from ...tables import Customer, Extension, Queue, SipGroup, SipPhone, SipPhoneModel, SipPhoneSoftkey

SECOND: Final = timedelta(seconds=1)
OF_MODEL: Final = (
    "brand", "model", "writer", "extensions", "softkeys", "panel_softkeys", "configuration_template",
    "legacy_tls",
)  # fmt: skip
"""Columns of a model that are in files, in their names, or in the URL that a file names."""
_KEY: Final = {Extension: "BLF", SipGroup: "PICKUPGROUP", Queue: "QUEUE"}
"""Table -> the function whose keys have the number of a row."""
_OTHER: Final = "DNDOTHER"
"""The function whose keys have the number of a phone's extension."""


Phones = Select[int]
"""A SELECT of the ids of phones."""


def of_model(model: SipPhoneModel) -> Phones:
    """Return the phones of a model."""
    return select(SipPhone.id).where(SipPhone.model_id == model.id)


def of_customer(customer: Customer) -> Phones:
    """Return the phones of a customer."""
    return select(SipPhone.id).where(SipPhone.customer_id == customer.id)


def of_extension(extension: Extension) -> tuple[Phones, Phones]:
    """Return the phones whose file has the account of an extension: its own, and those beside them."""
    own, other = select(SipPhone.id).where(SipPhone.extension_id == extension.id), aliased(SipPhone)
    return own, select(other.id).join(SipPhone, SipPhone.mac == other.mac).where(
        SipPhone.extension_id == extension.id
    )


def beside(phone: SipPhone, *macs: str | None) -> Phones:
    """Return the other phones that share, or shared, a file with a phone."""
    shared = [mac for mac in macs if mac]
    return select(SipPhone.id).where(SipPhone.mac.in_(shared), SipPhone.oid != phone.oid)


def pointing_to(row: Extension | SipGroup | Queue) -> tuple[Phones, ...]:
    """Return the phones with a key that has the number of a row."""
    ours = _with_key(row.customer_id, _KEY[type(row)], SipPhoneSoftkey.value == row.oid)
    if not isinstance(row, Extension):
        return (ours,)
    owner = aliased(SipPhone)
    theirs = select(owner.oid).where(owner.extension_id == row.id)
    return ours, _with_key(row.customer_id, _OTHER, SipPhoneSoftkey.value.in_(theirs))


def pointing_to_phone(phone: SipPhone) -> Phones:
    """Return the phones with a key that has the number of a phone's extension."""
    return _with_key(phone.customer_id, _OTHER, SipPhoneSoftkey.value == phone.oid)


async def note_saved(session: AsyncSession, *phones: Phones) -> None:
    """Note that the files of these phones have changed.

    The time is a later second than that of the last load (`write.saved_now`). PostgreSQL reads all phones if
    two conditions are joined by OR, and looks at an index for each part of a UNION.
    """
    now, found = clock.utc_now(), SipPhone.id.in_(union(*phones))
    is_before = or_(SipPhone.config_loaded_at.is_(None), SipPhone.config_loaded_at < now)
    await _set(session, and_(found, is_before), now)
    # After the UPDATE, which waits for a load that is being noted: that one is seen here.
    loaded_now = select(SipPhone.id, SipPhone.config_loaded_at).where(found, SipPhone.config_loaded_at >= now)
    for id, loaded in (await session.execute(loaded_now.with_for_update())).all():
        await _set(session, SipPhone.id == id, (loaded or now) + SECOND)


async def _set(session: AsyncSession, where: ColumnElement[bool], moment: datetime) -> None:
    values: dict[str, object] = {"config_saved_at": moment, "updated_at": SipPhone.updated_at}
    statement = update(SipPhone).where(where).values(values)
    await session.execute(statement.execution_options(synchronize_session=False))


def _with_key(customer: int, function: str, is_it: ColumnElement[bool]) -> Phones:
    """Return the phones of a customer with such a key whose value fulfils a condition."""
    return (
        select(SipPhone.id)
        .join(SipPhoneSoftkey, SipPhoneSoftkey.phone_id == SipPhone.id)
        .where(SipPhone.customer_id == customer, SipPhoneSoftkey.function == function, is_it)
    )
