"""Which phones have other files after a change of another row: their `configSaved` moves.

A file has the number and name of its extension, the domain of the customer, what the model says, and the
numbers of the rows that softkeys point to. All phones with one MAC address share a file. The `version` of a
phone stays, because the SIP side reads the other row itself. A key counts even if the phone does not write
it: its model may have no such key.
"""

from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import aliased

from ...saved import Phones
from ...tables import Customer, Extension, Queue, SipGroup, SipPhone, SipPhoneModel, SipPhoneSoftkey

_KEY: Final = {Extension: "BLF", SipGroup: "PICKUPGROUP", Queue: "QUEUE"}
"""Table -> the function whose keys have the number of a row."""
_OTHER: Final = "DNDOTHER"
"""The function whose keys have the number of a phone's extension."""


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


def _with_key(customer: int, function: str, is_it: ColumnElement[bool]) -> Phones:
    """Return the phones of a customer with such a key whose value fulfils a condition."""
    return (
        select(SipPhone.id)
        .join(SipPhoneSoftkey, SipPhoneSoftkey.phone_id == SipPhone.id)
        .where(SipPhone.customer_id == customer, SipPhoneSoftkey.function == function, is_it)
    )
