"""A phone as its people see it: whose it is, and the account with which it registers."""

from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ...auth import Caller
from ...tables import Customer, Employee, Extension, SipPhone
from ..audit import parse_oid
from ..customers import visible
from ..listing import only

MAX_OWN: Final = 100
"""Limit of phones that are shown to one person."""


class Account(NamedTuple):
    """The names and the credentials of one phone."""

    oid: str
    customer: str
    customer_name: str
    domain: str | None
    """None: the customer has no SIP domain, so the phone cannot register."""
    number: str | None
    extension_name: str | None
    person: str | None
    mode: str
    username: str
    password_enc: str


_ACCOUNT: Final = (
    select(
        SipPhone.oid,
        Customer.oid,
        Customer.name,
        Customer.sip_domain,
        Extension.number,
        Extension.name,
        Employee.name,
        SipPhone.ip_mode,
        SipPhone.username,
        SipPhone.password_enc,
    )
    .select_from(SipPhone)
    .join(Customer, Customer.id == SipPhone.customer_id)
    .outerjoin(Extension, Extension.id == SipPhone.extension_id)
    .outerjoin(Employee, Employee.id == Extension.employee_id)
)
"""The columns of an Account in their order."""


async def find_account(session: AsyncSession, caller: Caller, oid: object) -> Account:
    """Return one phone. Raise Refused (404) if it is unknown or the caller may not see it."""
    statement = _ACCOUNT.where(SipPhone.oid == (parse_oid(oid) or ""), visible(caller))
    return Account._make(await only(session, statement, "SIP phone"))


async def own_phones(session: AsyncSession, caller: Caller) -> list[Account]:
    """Return the phones of the extensions of the caller's employee, the oldest first."""
    if caller.employee is None:
        return []
    statement = _ACCOUNT.where(Employee.oid == caller.employee, visible(caller))
    rows = await session.execute(statement.order_by(SipPhone.id).limit(MAX_OWN))
    return [Account._make(row) for row in rows]
