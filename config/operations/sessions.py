"""The sessions of people: one for each login for a token. An ended session voids its token on all nodes.

Each request looks for its session in the SELECT that reads its person, so an end takes effect at once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from .. import clock
from ..auth import Caller
from ..errors import not_found
from ..leases import changed
from ..tables import Employee, LoginSession
from .audit import Work, new_oid, parse_oid
from .employees import lock_employee, refuse_level
from .listing import only
from .people import Person

SESSION: Final = "session:"
"""Begins what the audit log calls a token that belongs to a session."""
CURRENT: Final = "current"
TABLE: Final = LoginSession.__tablename__
MAX_SHOWN: Final = 200
MAX_AGENT: Final = 256
KEPT: Final = timedelta(days=7)
"""How long a row stays after its session is over; the audit log has it for longer."""


def session_of(caller: Caller) -> str | None:
    """Return the id of the session of a caller's token, or None."""
    return caller.via.removeprefix(SESSION) if caller.via.startswith(SESSION) else None


async def open_session(
    session: AsyncSession, person: Person, address: str, agent: str, minutes: int | None
) -> LoginSession:
    """Write the session of a new login, and return it."""
    id = (await session.scalars(select(Employee.id).where(Employee.oid == person.employee))).one()
    ends = None if minutes is None else clock.utc_now() + timedelta(minutes=minutes)
    row = LoginSession(
        oid=new_oid(), employee_id=id, source_ip=address, user_agent=_clean(agent), expires_at=ends
    )
    session.add(row)
    await session.flush()
    return row


async def list_sessions(session: AsyncSession, employee: str) -> Sequence[LoginSession]:
    """Return the sessions of a person that are not over, the newest first."""
    statement = (
        select(LoginSession)
        .join(Employee, Employee.id == LoginSession.employee_id)
        .where(Employee.oid == employee, *_alive(clock.utc_now()))
    )
    return (await session.scalars(statement.order_by(LoginSession.id.desc()).limit(MAX_SHOWN))).all()


async def end_session(work: Work, wanted: str) -> None:
    """End one session of the caller; `current` is that of its token. Raise Refused (404)."""
    oid = session_of(work.caller) if wanted == CURRENT else parse_oid(wanted)
    statement = (
        select(LoginSession, Employee)
        .join(Employee, Employee.id == LoginSession.employee_id)
        .where(LoginSession.oid == (oid or ""), Employee.oid == (work.caller.employee or ""))
        .where(*_alive(clock.utc_now()))
    )
    found, employee = await only(work.session, statement.with_for_update(of=LoginSession), "Session")
    found.ended_at = clock.utc_now()
    work.record("logout", TABLE, found.oid, customer=employee.customer_id)


async def end_own_sessions(work: Work) -> None:
    """End all sessions of the caller, and void all its other tokens but those of machines."""
    statement = select(Employee).where(Employee.oid == (work.caller.employee or "")).with_for_update()
    employee = await work.session.scalar(statement)
    if employee is None:
        raise not_found("Employee")
    await _end_all(work, employee)


async def end_sessions_of(work: Work, oid: object) -> None:
    """End all sessions of an employee. Raise Refused: 404, and 403 for one above the caller's level."""
    employee, _ = await lock_employee(work.session, work.caller, oid)
    refuse_level(work.caller, employee.access_level)
    await _end_all(work, employee)


async def _end_all(work: Work, employee: Employee) -> None:
    """End the sessions; the new version voids tokens without a session, too."""
    employee.version += 1
    work.record("end-sessions", Employee.__tablename__, employee.oid, customer=employee.customer_id)
    ended = update(LoginSession).where(
        LoginSession.employee_id == employee.id, LoginSession.ended_at.is_(None)
    )
    await work.session.execute(ended.values(ended_at=clock.utc_now()))
    await work.session.flush()


async def forget_sessions(engine: AsyncEngine) -> int:
    """Delete the rows of sessions that were over a week ago, and return how many there were."""
    before = clock.utc_now() - KEPT
    over = or_(LoginSession.ended_at < before, LoginSession.expires_at < before)
    async with AsyncSession(engine) as session, session.begin():
        return await changed(session, delete(LoginSession).where(over))


def _alive(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        LoginSession.ended_at.is_(None),
        or_(LoginSession.expires_at.is_(None), LoginSession.expires_at > now),
    )


def _clean(agent: str) -> str:
    """Return a User-Agent as it can be stored: PostgreSQL takes no NUL."""
    return "".join(letter for letter in agent if letter.isprintable())[:MAX_AGENT]
