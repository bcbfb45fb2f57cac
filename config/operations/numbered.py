"""Groups and queues: creating, changing and deleting rows that have their own number in the dial plan."""

from collections.abc import Mapping
from typing import Final, TypeVar

from sqlalchemy import select

from ..tables import Customer, Queue, QueueMember, SipGroup
from . import numbers
from .audit import Work
from .draft import Columns
from .ids import new_oid
from .numbers import Kind
from .revisions import revise, revise_all

Numbered = TypeVar("Numbered", SipGroup, Queue)

KINDS: Final[Mapping[type[SipGroup] | type[Queue], Kind]] = {SipGroup: "group", Queue: "queue"}


async def create(work: Work, table: type[Numbered], customer: Customer, columns: Columns) -> Numbered:
    """Create a group or a queue without members and return it.

    Raise Refused: 409 if its number is taken, 422 if it is reserved.
    """
    row = table(oid=new_oid(), customer_id=customer.id)
    await _write(work, row, columns)
    await work.create(row)
    return row


async def update(work: Work, row: SipGroup | Queue, columns: Columns) -> None:
    """Change the columns in `columns`. Raise Refused as `create` does."""
    await _write(work, row, columns)
    revise(row)
    await work.update(row)


async def delete(work: Work, row: SipGroup | Queue) -> None:
    """Delete the group or queue and its memberships; softkeys that point to it stop working."""
    await numbers.release(work.session, row.oid)
    if isinstance(row, SipGroup):
        of_group = select(QueueMember.queue_id).where(QueueMember.group_id == row.id)
        await revise_all(work.session, Queue, Queue.id.in_(of_group))
    await work.delete(row)


async def _write(work: Work, row: SipGroup | Queue, columns: Columns) -> None:
    number = columns.get("number")
    if isinstance(number, str) and number != row.number:
        kind = KINDS[type(row)]
        await numbers.claim(work.session, row.customer_id, number, kind, row.oid, work.reserved)
    for column, value in columns.items():
        setattr(row, column, value)
