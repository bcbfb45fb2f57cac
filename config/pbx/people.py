"""The routes below /customer and /employee: customers, people, and tokens of machines that act for them."""

from typing import Annotated, Final

from fastapi import Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from .. import clock
from ..access import AccessLevel
from ..auth import Caller
from ..checks import text
from ..database import reading
from ..deps import ActorDep, CallerDep, DocumentDep, PartsDep
from ..errors import Refused, not_your_customer
from ..operations import customers, employees
from ..operations.audit import Work, parse_oid
from ..operations.customers import DELETED, listed, visible
from ..operations.draft import NOT_SENT, Document, Draft, accepted
from ..operations.listing import only
from ..preconditions import tagged_by_content
from ..tables import Customer, Employee, EmployeeToken
from ..tables.people import PASSWORD
from . import openapi
from .resource import DELETE, MOMENTS, OWNER, Json, Resource, RowId, customer_of, nobody, routes_of
from .schema import array, sure

MAX_FEATURES: Final = 100
MAX_FEATURE: Final = 64

_Parent = aliased(Customer)
TokenId = Annotated[str, Path(description="Id of the token, 24 hex digits")]


async def _customer_scope(session: AsyncSession, caller: Caller, wanted: str | None) -> ColumnElement[bool]:
    """Return the condition for the customers that the caller may see, or those directly below a reseller."""
    if wanted is None:
        return customers.visible(caller)
    parent = parse_oid(wanted) or ""
    statement = select(Customer.id).where(Customer.oid == parent, customers.visible(caller))
    if await session.scalar(statement) is None:
        if caller.level < AccessLevel.RESELLER_ADMIN:
            raise not_your_customer()
        raise Refused(customers.missing_customer())
    return and_(customers.visible(caller), _Parent.oid == parent)


async def _lock_customer(work: Work, oid: str, document: Document) -> tuple[Customer, None]:
    if document.get("parentReseller") is not NOT_SENT:
        await customers.lock_tree(work.session)
    return await customers.lock_customer(work.session, work.caller, oid), None


async def _read_customer(work: Work, draft: Draft[Customer], _owner: None) -> None:
    sent = draft.sent("features")
    words = [] if sent is NOT_SENT or sent is None else sent
    if not isinstance(words, list) or len(words) > MAX_FEATURES or not all(map(_is_feature, words)):
        message = f"features must be an array of at most {MAX_FEATURES} texts of at most {MAX_FEATURE}"
        draft.wrong("features", message)
    elif sent is not NOT_SENT or draft.stored is None:
        draft.values["features"] = list(dict.fromkeys(words))
    await _read_parent(work.session, work.caller, draft)


def _is_feature(word: object) -> bool:
    return isinstance(text(MAX_FEATURE)(word, ""), str)


async def _read_parent(session: AsyncSession, caller: Caller, draft: Draft[Customer]) -> None:
    """Read the parent reseller.

    A caller who does not see all customers creates them below its own customer, and cannot move one out of
    its sight.
    """
    sent = draft.sent("parentReseller")
    sees_all = caller.level >= AccessLevel.RESELLER_ADMIN
    if draft.stored is None and sent in (NOT_SENT, None, ""):
        own = None if sees_all else await customers.find_reseller(session, caller, caller.customer)
        if own is None and not sees_all:
            raise not_your_customer("parentReseller")
        draft.values["parent_customer_id"] = own.id if own else None
        return
    if sent is NOT_SENT or await _is_parent(session, draft.stored, sent or None):
        return
    if sent in (None, "") and not sees_all:
        draft.wrong("parentReseller", "parentReseller is missing", check="required")

    async def find(sent: object) -> int | None:
        parent = await customers.find_reseller(session, caller, sent)
        return parent.id if parent else None

    await draft.read_reference("parentReseller", "parent_customer_id", find, "Reseller")


async def _is_parent(session: AsyncSession, customer: Customer | None, sent: object) -> bool:
    """Return True if it is the parent already, even if the caller may not see it."""
    if customer is None:
        return False
    if customer.parent_customer_id is None or sent is None:
        return sent is None and customer.parent_customer_id is None
    parent = await session.scalar(select(Customer.oid).where(Customer.id == customer.parent_customer_id))
    return parent == parse_oid(sent)


customer_routes = routes_of(
    Resource(
        path="/customer",
        one="customer",
        table=Customer,
        version=Customer.revision,
        joined=select(Customer, _Parent.oid).outerjoin(_Parent, _Parent.id == Customer.parent_customer_id),
        references={"parentReseller": "Id of the reseller whose customer it is; by default one's own"},
        examples={"name": "Acme", "sipDomain": "acme.example.com"},
        sorts={"name": (Customer.name,), "domain": (Customer.sip_domain,), "state": (Customer.state,)},
        searched=(Customer.name, Customer.sip_domain, Customer.sip_display_name),
        searched_names="name, sipDomain or sipDisplayName",
        owner=nobody,
        lock=_lock_customer,
        create=customers.create_customer,
        update=customers.update_customer,
        delete=customers.delete_customer,
        read=_read_customer,
        scope=_customer_scope,
        more={
            "features": array(
                sure("string", maxLength=MAX_FEATURE), "Words for other services", maxItems=MAX_FEATURES
            )
        },
        columns={"features": "features", **MOMENTS},
        customer="Id of a reseller: only those directly below it; by default all that one sees",
        default_limit=100,
    )
)


# Employees


async def _employee_scope(session: AsyncSession, caller: Caller, wanted: str | None) -> ColumnElement[bool]:
    return and_(await listed(session, caller, wanted), Employee.state != DELETED)


def _employee_sight(caller: Caller) -> ColumnElement[bool]:
    return and_(visible(caller), Employee.state != DELETED)


async def _read_employee(_work: Work, draft: Draft[Employee], _customer: Customer) -> None:
    if draft.sent("password") == "":
        draft.wrong("password", PASSWORD.message.format("password"), check="range")


employee_routes = routes_of(
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
        lock=lambda work, oid, _: employees.lock_employee(work.session, work.caller, oid),
        create=employees.create_employee,
        update=employees.update_employee,
        delete=employees.delete_employee,
        read=_read_employee,
        scope=_employee_scope,
        sight=_employee_sight,
        columns=MOMENTS,
        default_limit=100,
    )
)


@employee_routes.get("/{id}/token", summary="List the tokens of an employee", openapi_extra=openapi.TOKENS)
async def tokens_route(id: RowId, request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return the tokens that are not revoked, the oldest first; their texts are not stored."""
    async with reading(parts.read_engine) as session:
        of_employee = select(Employee.id).join(Customer, Customer.id == Employee.customer_id)
        one = of_employee.where(Employee.oid == (parse_oid(id) or ""), _employee_sight(caller))
        (employee,) = await only(session, one, "Employee")
        statement = select(EmployeeToken).where(
            EmployeeToken.employee_id == employee, EmployeeToken.revoked_at.is_(None)
        )
        tokens = await session.scalars(statement.order_by(EmployeeToken.id))
        body = [_token_json(token) for token in tokens]
    return tagged_by_content(request, JSONResponse(body))


@employee_routes.post("/{id}/token", summary="Make a token for a machine", openapi_extra=openapi.NEW_TOKEN)
async def create_token_route(
    id: RowId, actor: ActorDep, document: DocumentDep, parts: PartsDep
) -> JSONResponse:
    """Create a token with all rights of the employee; its text is shown only in this response."""
    sent = document.given("note")
    note = None if sent is None else accepted(text()(sent, "note is not a valid text"), "note")

    async def create(work: Work) -> tuple[EmployeeToken, str]:
        employee, _ = await employees.lock_employee(work.session, work.caller, id)
        return await employees.create_token(
            work, employee, note if isinstance(note, str) else None, parts.settings.token_days
        )

    token, secret = await parts.change(actor, None, create)
    return JSONResponse(_token_json(token) | {"token": secret})


@employee_routes.delete("/{id}/token/{token}", summary="Revoke a token", openapi_extra=DELETE)
async def delete_token_route(id: RowId, token: TokenId, actor: ActorDep, parts: PartsDep) -> JSONResponse:
    """Revoke a token; the next request with it is refused."""

    async def revoke(work: Work) -> None:
        employee, _ = await employees.lock_employee(work.session, work.caller, id)
        await employees.revoke_token(work, employee, token)

    await parts.change(actor, None, revoke)
    return JSONResponse({"success": True})


def _token_json(token: EmployeeToken) -> Json:
    ends = token.expires_at
    return {
        "_id": token.oid,
        "note": token.note,
        "createdAt": clock.iso(token.created_at),
        "expiresAt": clock.iso(ends) if ends else None,
        "hasEnded": ends is not None and ends <= clock.utc_now(),
    }
