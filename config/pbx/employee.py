"""The routes below /employee: people, and the tokens of machines that act for them."""

from typing import Annotated

from fastapi import Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from .. import clock
from ..auth import Caller
from ..checks import text
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, PartsDep
from ..operations import employees
from ..operations.audit import Work
from ..operations.customers import DELETED, listed, visible
from ..operations.draft import Document, Draft, accepted
from ..operations.ids import parse_oid
from ..operations.listing import only
from ..preconditions import tagged_by_content
from ..tables import Customer, Employee, EmployeeToken
from ..tables.people import PASSWORD
from . import openapi
from .resource import DELETE, MOMENTS, OWNER, Json, Resource, RowId, customer_of, routes_of

TokenId = Annotated[str, Path(description="Id of the token, 24 hex digits")]


async def _scope(session: AsyncSession, caller: Caller, wanted: str | None) -> ColumnElement[bool]:
    return and_(await listed(session, caller, wanted), Employee.state != DELETED)


def _sight(caller: Caller) -> ColumnElement[bool]:
    return and_(visible(caller), Employee.state != DELETED)


async def _lock(work: Work, oid: str, _document: Document) -> tuple[Employee, Customer]:
    return await employees.lock_employee(work.session, work.caller, oid)


async def _read(_work: Work, draft: Draft[Employee], _customer: Customer) -> None:
    if draft.sent("password") == "":
        draft.wrong("password", PASSWORD.message.format("password"), check="range")


routes = routes_of(
    Resource(
        path="/employee",
        one="employee",
        table=Employee,
        version=Employee.revision,
        joined=select(Employee, Customer.oid).join(Customer, Customer.id == Employee.customer_id),
        references=OWNER,
        examples={
            "name": "Anna Andersen",
            "accessLevel": "MANAGER",
            "emailAddress": "anna@example.com",
            "password": "correct horse",
        },
        sorts={
            "name": (Employee.name,),
            "email": (Employee.login_email,),
            "level": (Employee.access_level,),
            "department": (Employee.department,),
        },
        searched=(Employee.name, Employee.login_email, Employee.contact_email, Employee.department),
        searched_names="name, emailAddress, contactEmail or department",
        owner=customer_of,
        lock=_lock,
        create=employees.create_employee,
        update=employees.update_employee,
        delete=employees.delete_employee,
        read=_read,
        scope=_scope,
        sight=_sight,
        columns=MOMENTS,
        default_limit=100,
    )
)


@routes.get("/{id}/token", summary="List the tokens of an employee", openapi_extra=openapi.TOKENS)
async def tokens_route(id: RowId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the tokens that are in force, the oldest first; their texts are not stored."""
    async with reading(parts.read_engine) as session:
        of_employee = select(Employee.id).join(Customer, Customer.id == Employee.customer_id)
        one = of_employee.where(Employee.oid == (parse_oid(id) or ""), _sight(caller))
        (employee,) = await only(session, one, "Employee")
        statement = select(EmployeeToken).where(
            EmployeeToken.employee_id == employee, EmployeeToken.revoked_at.is_(None)
        )
        tokens = await session.scalars(statement.order_by(EmployeeToken.id))
        body = [_token_json(token) for token in tokens]
    return tagged_by_content(request, JSONResponse(body))


@routes.post("/{id}/token", summary="Make a token for a machine", openapi_extra=openapi.NEW_TOKEN)
async def create_token_route(
    id: RowId, actor: ActorDep, document: DocumentDep, parts: PartsDep
) -> JSONResponse:
    """Create a token with all rights of the employee; its text is shown only in this response."""

    async def create(work: Work) -> tuple[EmployeeToken, str]:
        employee, _ = await employees.lock_employee(work.session, work.caller, id)
        return await employees.create_token(work, employee, _read_note(document))

    token, secret = await parts.change(actor, None, create)
    return JSONResponse(_token_json(token) | {"token": secret})


@routes.delete("/{id}/token/{token}", summary="Revoke a token", openapi_extra=DELETE)
async def delete_token_route(id: RowId, token: TokenId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Revoke a token; the next request with it is refused."""

    async def revoke(work: Work) -> None:
        employee, _ = await employees.lock_employee(work.session, work.caller, id)
        await employees.revoke_token(work, employee, token)

    await parts.change(actor, None, revoke)
    return JSONResponse({"success": True})


def _read_note(document: Document) -> str | None:
    sent = document.given("note")
    checked = None if sent is None else accepted(text()(sent, "note is not a valid text"), "note")
    return checked if isinstance(checked, str) else None


def _token_json(token: EmployeeToken) -> Json:
    return {"_id": token.oid, "note": token.note, "createdAt": clock.iso(token.created_at)}
