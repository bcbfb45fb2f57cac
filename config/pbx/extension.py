"""The routes below /pbx/extension."""

from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..auth import Caller
from ..deps import Parts
from ..errors import not_found
from ..operations import extensions
from ..operations.audit import Actor
from ..operations.checks import Wrong, boolean, text
from ..operations.customers import listed, require_customer, visible
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Draft
from ..operations.fields import Field, dial_plan_number, dialled, flag, number, read_fields
from ..operations.fields import text as text_field
from ..operations.ids import parse_oid
from ..operations.listing import Page, Sorts, read_page
from ..operations.passwords import STRENGTH
from ..tables import Customer, Employee, Extension
from .resource import Json, Resource, Shown, Written, columns_json, routes_of
from .schema import sure

MAX_PIN: Final = 16
SECRETS: Final = frozenset({"sipPassword", "pin"})
FIELDS: Final = (
    dial_plan_number(),
    text_field("name", "name", "Name of the person or the place", required=True),
    dialled("direct", "direct_number", "Number outside"),
    Field(
        "sipUser",
        "sip_user",
        "string",
        extensions.sip_user_check("sipUser must be letters, digits and . _ ~ + -, at most 64"),
        "Name of a SIP user that registers with a password of its own at the customer's domain",
    ),
    Field(
        "sipPassword",
        "password",
        "string",
        text("sipPassword is not a valid text", extensions.MAX_SIP_PASSWORD),
        f"Its password; written, never read. {STRENGTH}",
    ),
    Field(
        "pin",
        "pin",
        "string",
        text("pin is not a valid text", MAX_PIN),
        "For hot desking; written, never read",
    ),
    flag("hotdeskAllowed", "hotdesk_allowed", "Hot desk login with the pin is allowed"),
    dialled("ukCallerId", "uk_caller_id", "Caller id for calls to UK numbers"),
    dialled("usCallerId", "us_caller_id", "Caller id for calls to US numbers"),
    number("ukPhoneId", "uk_phone_id", 0, 1_000_000_000, "Phone id to provision, UK"),
    number("usPhoneId", "us_phone_id", 0, 1_000_000_000, "Phone id to provision, US"),
    dialled("mobileNumber", "mobile_number", "Missed calls go here"),
    flag("mobileFollow", "mobile_follow", "Follow to the mobile number"),
    flag("dashboard", "dashboard", "Shown on the real-time dashboard"),
)
SORTS: Final[Sorts] = {
    "name": (Extension.name,),
    "number": (Extension.number,),
    "direct": (Extension.direct_number,),
    "employee": (Employee.name,),
}
SEARCHED: Final = (Extension.number, Extension.name, Extension.direct_number, Employee.name)


async def _page(session: AsyncSession, caller: Caller, page: Page) -> tuple[int, list[Json]]:
    scope = await listed(session, caller, page.customer)
    statement = _joined().where(scope)
    total, rows = await read_page(session, statement, page, SEARCHED, SORTS, Extension.id)
    return total, [_json(*row) for row in rows]


async def _show(session: AsyncSession, caller: Caller, oid: str) -> Shown:
    statement = _joined().where(Extension.oid == (parse_oid(oid) or ""), visible(caller))
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found("Extension")
    return Shown(_json(*found), found[0].version)


async def _create(session: AsyncSession, actor: Actor, document: Document, parts: Parts) -> Written:
    customer = await require_customer(session, actor.caller, document.given("customer"))
    columns = await _read(session, Draft(document), customer)
    extension = await extensions.create_extension(session, actor, customer, columns, parts.passwords)
    return Written(extension.oid, extensions.announced(customer, extension))


async def _update(session: AsyncSession, actor: Actor, oid: str, document: Document, parts: Parts) -> Written:
    extension, customer = await extensions.find_extension(session, actor.caller, oid)
    columns = await _read(session, Draft(document, extension), customer)
    change = await extensions.update_extension(session, actor, customer, extension, columns, parts.passwords)
    return Written(extension.oid, change)


async def _delete(session: AsyncSession, actor: Actor, oid: str) -> Change:
    extension, customer = await extensions.find_extension(session, actor.caller, oid)
    return await extensions.delete_extension(session, actor, customer, extension)


async def _read(session: AsyncSession, draft: Draft[Extension], customer: Customer) -> extensions.Columns:
    read_fields(draft, FIELDS)
    sent = draft.sent("employee")
    if sent is None or sent == "":
        draft.values["employee_id"] = None
    elif sent is not NOT_SENT:
        employee = await extensions.read_employee(session, customer, sent)
        if employee is None:
            draft.wrong("employee", "Employee not found", 404, "exists")
        else:
            draft.values["employee_id"] = employee.id
    _read_primary(draft)
    draft.refuse_problems()
    return draft.values


def _read_primary(draft: Draft[Extension]) -> None:
    sent = draft.sent("primary")
    if sent is NOT_SENT or sent is None:
        return
    checked = boolean("primary must be true or false")(sent)
    if isinstance(checked, Wrong):
        draft.wrong("primary", checked.message)
    elif checked and draft.column("employee_id") is None:
        draft.wrong("primary", "Only an extension with an employee can be primary", check="required")
    else:
        draft.values["is_primary"] = checked


def _joined() -> Select[Extension, str, str | None]:
    columns: Select[Extension, str, str | None] = select(Extension, Customer.oid, Employee.oid)
    return columns.join(Customer, Customer.id == Extension.customer_id).outerjoin(
        Employee, Employee.id == Extension.employee_id
    )


def _json(extension: Extension, customer: str, employee: str | None) -> Json:
    own = {"_id": extension.oid, "customer": customer, "employee": employee, "primary": extension.is_primary}
    return own | columns_json(extension, FIELDS, SECRETS)


routes = routes_of(
    Resource(
        path="/pbx/extension",
        version=Extension.version,
        one="extension",
        many="extensions",
        fields=FIELDS,
        references={
            "customer": "Id of the customer, by default one's own; read only after the creation",
            "employee": "Id of the person whose extension it is",
        },
        more={
            "primary": sure("boolean", "Whether it is the person's primary one; the first one is by itself")
        },
        examples={"number": "200", "name": "Anna", "direct": "+4570305050"},
        sorts=tuple(SORTS),
        searched="number, name, direct or employee name",
        page=_page,
        show=_show,
        create=_create,
        update=_update,
        delete=_delete,
        secrets=SECRETS,
        max_limit=1_000,
    ),
    "Extensions",
)
