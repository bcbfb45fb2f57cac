"""The routes of sessions: /auth/session for one's own, and those of an employee."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi.responses import Response
from sqlalchemy import select

from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import sessions
from ..operations.audit import Work, parse_oid
from ..operations.customers import DELETED, visible
from ..operations.employees import take_second_factor
from ..operations.listing import only
from ..tables import Customer, Employee, LoginSession
from .resource import DELETE, RowId
from .schema import MOMENT, READ, an_id, answer, array, moment, operation, sure
from .shown import Json, Shown, json_answer, json_of, schema_of
from .shown import shown as attribute

_LINES: Final[Sequence[Shown[LoginSession]]] = (
    attribute("_id", an_id(), "oid"),
    attribute("createdAt", MOMENT, "created_at"),
    attribute("expiresAt", moment("null: until the employee changes"), "expires_at"),
    attribute("ip", sure("string", example="192.0.2.7"), "source_ip"),
    attribute("userAgent", sure("string", example="Mozilla/5.0"), "user_agent"),
)
_SESSION: Final = schema_of("Session", _LINES)
_OWN: Final = answer(
    "Own session",
    {line.path: line.schema for line in _LINES} | {"current": sure("boolean", "It is that of this token")},
)
SESSIONS: Final = operation(array(_SESSION), READ)
OWN: Final = operation(array(_OWN), READ)
SessionId = Annotated[str, Path(description="Id of the session, or `current`")]

routes = APIRouter(tags=["authentication"])


@routes.get("/auth/session", summary="List one's own sessions", openapi_extra=OWN)
async def own_route(caller: CallerDep, parts: PartsDep) -> Response:
    """Return the caller's sessions that are not over, the newest first, up to 200."""
    async with reading(parts.read_engine) as session:
        rows = await sessions.list_sessions(session, caller.employee or "")
    current = sessions.session_of(caller)
    return json_answer([json_of(row, _LINES) | {"current": row.oid == current} for row in rows])


@routes.delete("/auth/session", summary="End all one's sessions", openapi_extra=DELETE)
async def end_all_route(actor: ActorDep, parts: PartsDep) -> Response:
    """End all sessions of the caller; its other tokens are void, too, but not those of machines."""
    await parts.change(actor, None, sessions.end_own_sessions)
    return json_answer({"success": True})


@routes.delete("/auth/session/{id}", summary="End a session", openapi_extra=DELETE)
async def end_route(id: SessionId, actor: ActorDep, parts: PartsDep) -> Response:
    """End one of the caller's sessions; the next request with its token is refused."""
    await parts.change(actor, None, lambda work: sessions.end_session(work, id))
    return json_answer({"success": True})


@routes.get("/employee/{id}/session", summary="List an employee's sessions", openapi_extra=SESSIONS)
async def sessions_route(id: RowId, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the sessions of an employee that are not over, the newest first, up to 200."""
    oid = parse_oid(id) or ""
    of_employee = select(Employee.id).join(Customer, Customer.id == Employee.customer_id)
    async with reading(parts.read_engine) as session:
        one = of_employee.where(Employee.oid == oid, Employee.state != DELETED, visible(caller))
        await only(session, one, "Employee")
        rows: list[Json] = [json_of(row, _LINES) for row in await sessions.list_sessions(session, oid)]
    return json_answer(rows)


@routes.delete("/employee/{id}/session", summary="End an employee's sessions", openapi_extra=DELETE)
async def end_of_route(id: RowId, actor: ActorDep, parts: PartsDep) -> Response:
    """End all sessions of an employee, and void its other tokens but those of machines."""
    await parts.change(actor, None, lambda work: sessions.end_sessions_of(work, id))
    return json_answer({"success": True})


@routes.delete("/employee/{id}/totp", summary="Remove a second factor", openapi_extra=DELETE)
async def totp_route(id: RowId, actor: ActorDep, parts: PartsDep) -> Response:
    """Take the authenticator and the recovery codes from an employee who has lost them."""

    async def take(work: Work) -> None:
        await take_second_factor(work, id)

    await parts.change(actor, None, take)
    return json_answer({"success": True})
