"""The ends of the tokens of machines: they are announced a month before, once each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Update, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from .. import clock
from ..audit.system import by_itself
from ..database import reading, writing
from ..tables import AuditLog, Customer, Employee, EmployeeToken

WARNED_BEFORE: Final = timedelta(days=30)
GRACE: Final = timedelta(days=365)
"""How long a token is good that an older version has made, without an end."""
AT_ONCE: Final = 500
_ENDLESS: Final = EmployeeToken.expires_at.is_(None)


@dataclass(frozen=True, slots=True)
class Ending:
    """A token whose end is near."""

    oid: str
    note: str
    expires_at: datetime
    employee: str
    customer: str

    def event(self) -> dict[str, str]:
        """Return the fields of its event; `key` is the same if it is written twice."""
        ends = clock.iso(self.expires_at) or ""
        return {
            "key": f"token-ending:{self.oid}:{ends}",
            "event": "token-ending",
            "time": str(int(clock.epoch_now())),
            "customer": self.customer,
            "employee": self.employee,
            "token": self.oid,
            "note": self.note,
            "expiresAt": ends,
        }


async def ending(engine: AsyncEngine) -> list[Ending]:
    """Return tokens that end within a month, or have ended, and are not announced yet."""
    soon = clock.utc_now() + WARNED_BEFORE
    columns = EmployeeToken.oid, EmployeeToken.note, EmployeeToken.expires_at, Employee.oid, Customer.oid
    statement = (
        select(*columns)
        .join(Employee, Employee.id == EmployeeToken.employee_id)
        .join(Customer, Customer.id == Employee.customer_id)
        .where(EmployeeToken.expires_at < soon, EmployeeToken.warned_at.is_(None))
        .where(EmployeeToken.revoked_at.is_(None))
        .order_by(EmployeeToken.expires_at)
        .limit(AT_ONCE)
    )
    async with reading(engine) as session:
        rows = (await session.execute(statement)).all()
    return [
        Ending(oid, note or "", ends, person, customer) for oid, note, ends, person, customer in rows if ends
    ]


async def announced(engine: AsyncEngine, tokens: Sequence[Ending]) -> None:
    """Note that these tokens are announced."""
    oids = [one.oid for one in tokens]
    await _change(
        engine, update(EmployeeToken).where(EmployeeToken.oid.in_(oids)).values(warned_at=clock.utc_now())
    )


async def give_ends(engine: AsyncEngine) -> None:
    """Let tokens end that have no end: an older version has made them while this one ran beside it."""
    async with reading(engine) as session:
        if await session.scalar(select(EmployeeToken.id).where(_ENDLESS).limit(1)) is None:
            return
    ends = clock.utc_now() + GRACE
    ended = update(EmployeeToken).where(_ENDLESS).values(expires_at=ends)

    async def write(session: AsyncSession) -> None:
        connection = await session.connection()
        rows = (await connection.execute(ended.returning(EmployeeToken.oid, EmployeeToken.employee_id))).all()
        found = select(Employee.id, Employee.customer_id)
        whose = found.where(Employee.id.in_({employee for _, employee in rows}))
        customers: dict[int, int] = dict((await connection.execute(whose)).all())
        changes = {"before": {"expires_at": None}, "after": {"expires_at": ends.isoformat()}}
        told = [
            by_itself("update", EmployeeToken.__tablename__, oid, customers[employee], changes=changes)
            for oid, employee in rows
        ]
        if told:
            await connection.execute(insert(AuditLog), told)

    await writing(engine, write)


async def _change(engine: AsyncEngine, statement: Update) -> None:
    async def write(session: AsyncSession) -> None:
        await session.execute(statement)

    await writing(engine, write)
