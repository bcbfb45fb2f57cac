"""Look-up of the numbers in a path. Unknown, not visible, of an inactive customer, or not a number: 404."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..auth import Caller
from ..errors import not_found, refused
from ..operations.customers import ACTIVE, visible
from ..tables import (
    Customer,
    Extension,
    Queue,
    QueueMember,
    SipGroup,
    SipPhone,
    Table,
    TrustedNetwork,
)

MAX_DIGITS: Final = 18
"""Every number of so many digits fits into the database's integers."""
MAX_SHOWN: Final = 32
"""Limit of characters of a number that a response repeats; a real one has fewer."""
MAX_MISSING: Final = 20
"""Limit of missing rows that are named."""

Below = TypeVar("Below", Extension, SipGroup, Queue, SipPhone, TrustedNetwork)
"""A row that belongs to a customer."""
WORDS: Final[Mapping[type[Table], str]] = {
    Extension: "user",
    SipGroup: "group",
    Queue: "queue",
    SipPhone: "device",
    TrustedNetwork: "network",
}
"""Names of the rows in error messages."""


def number(text: str) -> int:
    """Return the number in a path or a body, or -1, which no row has, if it is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else -1


async def find_domain(session: AsyncSession, caller: Caller, domain: str, *, lock: bool = False) -> Customer:
    """Return the customer whose SIP domain has this number; `lock` locks it against other writers."""
    statement = select(Customer).where(
        Customer.id == number(domain),
        Customer.sip_domain.is_not(None),
        Customer.state == ACTIVE,
        visible(caller),
    )
    return await _one(session, statement.with_for_update() if lock else statement, "domain")


async def find_below(
    session: AsyncSession, table: type[Below], customer: Customer, id: str, *, lock: bool = False
) -> Below:
    """Return the row of this customer with the number `id`; `lock` locks it against other writers."""
    statement = select(table).where(table.id == number(id), table.customer_id == customer.id)
    return await _one(session, statement.with_for_update() if lock else statement, WORDS[table])


async def find_member(session: AsyncSession, queue: Queue, member: str, *, lock: bool = False) -> QueueMember:
    """Return the queue member with this number; only members that are groups are known here (C11)."""
    statement = select(QueueMember).where(
        QueueMember.id == number(member), QueueMember.queue_id == queue.id, QueueMember.group_id.is_not(None)
    )
    return await _one(session, statement.with_for_update() if lock else statement, "member")


async def find_device_of(
    session: AsyncSession, user: Extension, device: str, *, lock: bool = False
) -> SipPhone:
    """Return the device of this user with the number `device`."""
    statement = select(SipPhone).where(SipPhone.id == number(device), SipPhone.extension_id == user.id)
    return await _one(session, statement.with_for_update() if lock else statement, "device")


async def find_named(
    session: AsyncSession,
    table: type[Below],
    customer: Customer,
    ids: tuple[str, ...],
    name: str,
    *,
    lock: bool = False,
) -> list[Below]:
    """Return the rows of this customer that a body names by their numbers, each once.

    Raise Refused: 400 if no row is named, 404 if one of them does not exist (D31).
    """
    if not ids:
        raise refused(name, f"{name} is missing", "required", 400)
    wanted = {number(id) for id in ids}
    statement = select(table).where(table.id.in_(wanted), table.customer_id == customer.id).order_by(table.id)
    found = list(await session.scalars(statement.with_for_update() if lock else statement))
    there = {row.id for row in found}
    missing = [id[:MAX_SHOWN] for id in dict.fromkeys(ids) if number(id) not in there]
    if missing:
        listed = ", ".join(missing[:MAX_MISSING]) + (", ..." if len(missing) > MAX_MISSING else "")
        raise refused(name, f"{name} {listed}", "exists", 404)
    return found


Found = TypeVar("Found")


async def _one(session: AsyncSession, statement: Select[Found, *tuple[Any, ...]], what: str) -> Found:
    found: Found | None = await session.scalar(statement)
    if found is None:
        raise not_found(what)
    return found
