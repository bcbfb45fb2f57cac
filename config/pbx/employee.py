"""The routes below /employee: people, and the tokens of machines that act for them."""

from typing import Annotated, Final

from fastapi import Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from .. import clock
from ..access import AccessLevel
from ..auth import Caller
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, Parts, PartsDep
from ..errors import Problem, Refused, not_found
from ..operations import employees
from ..operations.audit import Actor
from ..operations.checks import Wrong
from ..operations.checks import text as text_check
from ..operations.customers import ACTIVE, DELETED, listed, require_customer, visible
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Draft
from ..operations.fields import Field, email, read_fields, text, word
from ..operations.ids import parse_oid
from ..operations.listing import Page, Sorts, read_page
from ..operations.passwords import MAX_PASSWORD, STRENGTH
from ..operations.restrictions import restriction_check
from ..preconditions import changing, tagged_by_content
from ..tables import Customer, Employee, EmployeeToken
from . import openapi
from .resource import NOTHING_CHANGED, Json, Resource, RowId, Shown, Written, columns_json, routes_of

STATES: Final = ("ACTIVE", "BLOCKED")
LEVELS: Final = tuple(level.name for level in AccessLevel)
SECRETS: Final = frozenset({"password"})
PASSWORD: Final = f"password must be a text of at most {MAX_PASSWORD} characters, and not empty"
FIELDS: Final = (
    text("name", "name", "Name of the person", required=True),
    word(
        "accessLevel",
        "access_level",
        LEVELS,
        "What the person may do: each level may do what those before it may; at most one's own",
        AccessLevel.PERSONAL.name,
    ),
    word("state", "state", STATES, "BLOCKED: no login, and no token is good", ACTIVE),
    Field(
        "emailAddress",
        "login_email",
        "string",
        employees.email_check("emailAddress is not a valid e-mail address"),
        "The login; unique among all employees of all customers",
    ),
    Field(
        "password",
        "password",
        "string",
        employees.password_check(PASSWORD),
        f"Written, never read; null takes it away. {STRENGTH}",
    ),
    Field(
        "ipRestriction",
        "ip_restriction",
        "string",
        restriction_check("ipRestriction must be a comma list of addresses and networks"),
        "From where the person may call: 192.0.2.7,10.0.0.0/8; null: from anywhere",
    ),
    email("contactEmail", "contact_email", "Where mail for the person goes"),
    text("firstName", "first_name", "First name"),
    text("lastName", "last_name", "Last name"),
    text("title", "title", "What the person does"),
    text("department", "department", "Department"),
    text("companyName", "company_name", "Company"),
    text("officeName", "office_name", "Office"),
)
SORTS: Final[Sorts] = {
    "name": (Employee.name,),
    "email": (Employee.login_email,),
    "level": (Employee.access_level,),
    "department": (Employee.department,),
}
SEARCHED: Final = (Employee.name, Employee.login_email, Employee.contact_email, Employee.department)
NOTE: Final = text_check("note is not a valid text")

TokenId = Annotated[str, Path(description="Id of the token, 24 hex digits")]


async def _page(session: AsyncSession, caller: Caller, page: Page) -> tuple[int, list[Json]]:
    scope = await listed(session, caller, page.customer)
    statement = _joined().where(scope)
    total, rows = await read_page(session, statement, page, SEARCHED, SORTS, Employee.id)
    return total, [_json(*row) for row in rows]


async def _show(session: AsyncSession, caller: Caller, oid: str) -> Shown:
    found = await _find(session, caller, oid)
    return Shown(_json(*found), found[0].revision)


async def _find(session: AsyncSession, caller: Caller, oid: str) -> tuple[Employee, str]:
    statement = _joined().where(Employee.oid == (parse_oid(oid) or ""), visible(caller))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found("Employee")
    return found


async def _create(session: AsyncSession, actor: Actor, document: Document, parts: Parts) -> Written:
    customer = await require_customer(session, actor.caller, document.given("customer"))
    columns = _read(Draft(document))
    employee = await employees.create_employee(session, actor, customer, columns, parts.passwords)
    return Written(employee.oid)


async def _update(session: AsyncSession, actor: Actor, oid: str, document: Document, parts: Parts) -> Written:
    employee = await employees.find_employee(session, actor.caller, oid)
    columns = _read(Draft(document, employee))
    await employees.update_employee(session, actor, employee, columns, parts.passwords)
    return Written(employee.oid)


async def _delete(session: AsyncSession, actor: Actor, oid: str) -> Change:
    employee = await employees.find_employee(session, actor.caller, oid)
    await employees.delete_employee(session, actor, employee)
    return NOTHING_CHANGED


def _read(draft: Draft[Employee]) -> employees.Columns:
    read_fields(draft, FIELDS)
    if draft.sent("password") == "":
        draft.wrong("password", PASSWORD, check="range")
    draft.refuse_problems()
    return draft.values


def _joined() -> Select[Employee, str]:
    columns: Select[Employee, str] = select(Employee, Customer.oid)
    joined = columns.join(Customer, Customer.id == Employee.customer_id)
    return joined.where(Employee.state != DELETED)


def _json(employee: Employee, customer: str) -> Json:
    own: Json = {"_id": employee.oid, "customer": customer}
    moments = {"createdAt": clock.iso(employee.created_at), "updatedAt": clock.iso(employee.updated_at)}
    return own | columns_json(employee, FIELDS, SECRETS) | moments


routes = routes_of(
    Resource(
        path="/employee",
        version=Employee.revision,
        one="employee",
        many="employees",
        fields=FIELDS,
        references={"customer": "Id of the customer, by default one's own; read only after the creation"},
        examples={
            "name": "Anna Andersen",
            "accessLevel": "MANAGER",
            "emailAddress": "anna@example.com",
            "password": "correct horse",
        },
        sorts=tuple(SORTS),
        searched="name, emailAddress, contactEmail or department",
        page=_page,
        show=_show,
        create=_create,
        update=_update,
        delete=_delete,
        secrets=SECRETS,
        read_only={"createdAt": "string", "updatedAt": "string"},
        default_limit=100,
    ),
    "Employees",
)


@routes.get("/{id}/token", summary="List the tokens of an employee", openapi_extra=openapi.TOKENS)
async def tokens_route(id: RowId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the tokens that are in force, the oldest first; their texts are not stored."""
    async with reading(parts.read_engine) as session:
        employee, _ = await _find(session, caller, id)
        statement = select(EmployeeToken).where(
            EmployeeToken.employee_id == employee.id, EmployeeToken.revoked_at.is_(None)
        )
        tokens = await session.scalars(statement.order_by(EmployeeToken.id))
        body = [_token_json(token) for token in tokens]
    return tagged_by_content(request, JSONResponse(body))


@routes.post("/{id}/token", summary="Make a token for a machine", openapi_extra=openapi.NEW_TOKEN)
async def create_token_route(
    id: RowId, actor: ActorDep, document: DocumentDep, parts: PartsDep
) -> JSONResponse:
    """Create a token with all rights of the employee; its text is shown only in this response."""

    async def create(session: AsyncSession) -> tuple[EmployeeToken, str]:
        employee = await employees.find_employee(session, actor.caller, id)
        return await employees.create_token(session, actor, employee, _read_note(document))

    token, text = await changing(parts.engine, actor.condition, None, create)
    return JSONResponse(_token_json(token) | {"token": text})


@routes.delete("/{id}/token/{token}", summary="Revoke a token", openapi_extra=openapi.DELETE)
async def delete_token_route(id: RowId, token: TokenId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Revoke a token; the next request with it is refused."""

    async def revoke(session: AsyncSession) -> None:
        employee = await employees.find_employee(session, actor.caller, id)
        await employees.revoke_token(session, actor, employee, token)

    await changing(parts.engine, actor.condition, None, revoke)
    return JSONResponse({"success": True})


def _read_note(document: Document) -> str | None:
    sent = document.get("note")
    if sent is NOT_SENT or sent is None:
        return None
    checked = NOTE(sent)
    if isinstance(checked, Wrong):
        raise Refused(Problem(422, "note", checked.message, "note", checked.check))
    return checked if isinstance(checked, str) else None


def _token_json(token: EmployeeToken) -> Json:
    return {"_id": token.oid, "note": token.note, "createdAt": clock.iso(token.created_at)}
