"""The numbers of a customer's dial plan: extensions, groups and queues share one table of them."""

from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.rules.features import ReservedWords

from ..errors import refused
from ..tables import Number

Kind = Literal["extension", "group", "queue"]


async def claim(
    session: AsyncSession, customer: int, number: str, kind: Kind, ref: str, reserved: ReservedWords
) -> None:
    """Give `number` to the row with the oid `ref`, in place of its former number.

    Raise Refused: 409 if another row has it, 422 if it is reserved; a row keeps the number that it has. The
    database requires that each row has a number.
    """
    statement = select(Number).where(Number.customer_id == customer, Number.number == number)
    owner = await session.scalar(statement.with_for_update())
    if owner is not None and owner.ref == ref:
        return
    refusal = reserved.refusal(number)
    if refusal:
        raise refused("number", refusal, "allowed", 422)
    if owner is not None:
        raise refused("number", f"The number {number} is in use by another {owner.kind}", "unique")
    await release(session, ref)
    session.add(Number(customer_id=customer, number=number, kind=kind, ref=ref))
    await session.flush()


async def release(session: AsyncSession, ref: str) -> None:
    """Free the number of the row with the oid `ref`."""
    await session.execute(delete(Number).where(Number.ref == ref))
