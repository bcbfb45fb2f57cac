"""The routes below /config/v2/sip/domains/{domain}/users, except for their devices and groups."""

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import ColumnElement, join
from sqlalchemy.ext.asyncio import AsyncSession

from ..access import DOMAIN
from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..operations import checks, extensions, users
from ..operations.fields import Field
from ..operations.passwords import STRENGTH
from ..tables import Employee, Extension
from . import openapi
from .answers import created, nothing, row_answer
from .asking import read_one
from .fields import dialled, email, extension_number
from .fields import flag as flag_field
from .fields import text as text_field
from .fields import whole as whole_field
from .lists import list_answer
from .params import ParamsDep
from .places import DomainId, UserId, find_below, find_domain, number
from .rows import Shape, flag, moment, read_row, text, whole
from .work import Done, carry_out, read_columns

MAX_PIN: Final = 16
SHAPE: Final = Shape(
    "SIP user",
    (
        whole("userId", Extension.id, "Number of the user"),
        whole("domainId", Extension.customer_id, "Number of the SIP domain"),
        text(
            "user",
            Extension.sip_user,
            "SIP user name; null: registers with no password of its own",
            "joe.blogs",
        ),
        text("displayName", Extension.name, "Name", "Joe Blogs"),
        text("extensionNumber", Extension.number, "Number in the domain", "200"),
        text("email", Employee.contact_email, "E-mail address", "joe.blogs@company.com"),
        text("firstName", Employee.first_name, "First name", "Joe"),
        text("lastName", Employee.last_name, "Last name", "Blogs"),
        text("jobName", Employee.title, "Job"),
        text("departmentName", Employee.department, "Department"),
        text("companyName", Employee.company_name, "Company"),
        text("officeName", Employee.office_name, "Office"),
        text("ukCallerId", Extension.uk_caller_id, "Caller id for calls to UK numbers"),
        text("usCallerId", Extension.us_caller_id, "Caller id for calls to US numbers"),
        text("mobileNumber", Extension.mobile_number, "Missed calls go here"),
        flag("mobileFollow", Extension.mobile_follow, "Follow to the mobile number"),
        whole("ukPhoneId", Extension.uk_phone_id, "Phone to provision, UK", ""),
        whole("usPhoneId", Extension.us_phone_id, "Phone to provision, US", ""),
        flag("hotdeskAllowed", Extension.hotdesk_allowed, "Hot desk login with the pin is allowed"),
        flag("dashboard", Extension.dashboard, "Shown on the real-time dashboard"),
        moment("createDatetime", Extension.created_at, "When it was made"),
        moment("updateDatetime", Extension.updated_at, "When it was changed"),
    ),
    join(Extension, Employee, Employee.id == Extension.employee_id, isouter=True),
    (Extension.id,),
    (Extension.version, Employee.revision),
)
UPDATE_FIELDS: Final = (
    Field(
        "password",
        "password",
        "string",
        checks.text("password is not a valid text", extensions.MAX_SIP_PASSWORD),
        f"With it the user registers; written, never read. {STRENGTH}",
        required=True,
    ),
    text_field("displayName", "name", "Name", required=True),
    extension_number(),
    Field(
        "pin",
        "pin",
        "string",
        checks.text("pin is not a valid text", MAX_PIN),
        "For hot desking; written, never read",
    ),
    email("email", "contact_email", "E-mail address"),
    text_field("firstName", "first_name", "First name"),
    text_field("lastName", "last_name", "Last name"),
    text_field("jobName", "title", "Job"),
    text_field("departmentName", "department", "Department"),
    text_field("companyName", "company_name", "Company"),
    text_field("officeName", "office_name", "Office"),
    dialled("ukCallerId", "uk_caller_id", "Caller id for calls to UK numbers"),
    dialled("usCallerId", "us_caller_id", "Caller id for calls to US numbers"),
    dialled("mobileNumber", "mobile_number", "Missed calls go here"),
    flag_field("mobileFollow", "mobile_follow", "Follow to the mobile number"),
    flag_field("hotdeskAllowed", "hotdesk_allowed", "Hot desk login with the pin is allowed"),
    flag_field("dashboard", "dashboard", "Shown on the real-time dashboard"),
)
CREATE_FIELDS: Final = (
    Field(
        "user",
        "sip_user",
        "string",
        extensions.sip_user_check("user must be letters, digits and . _ ~ + -, at most 64"),
        "SIP user name, unique in the domain; it never changes",
        required=True,
    ),
    *UPDATE_FIELDS,
    whole_field("ukPhoneId", "uk_phone_id", 0, checks.MAX_NUMBER, "Phone to provision, UK"),
    whole_field("usPhoneId", "us_phone_id", 0, checks.MAX_NUMBER, "Phone to provision, US"),
)
EXAMPLE: Final = {
    "user": "joe.blogs",
    "password": "a long password",
    "displayName": "Joe Blogs",
    "extensionNumber": "200",
    "email": "joe.blogs@company.com",
    "hotdeskAllowed": 1,
    "pin": "4711",
}
CHANGE: Final = {"displayName": "Joe Blogs", "mobileNumber": "+441234567890", "mobileFollow": 1}

routes = APIRouter(prefix=f"{DOMAIN}/users", tags=["SIP users"])


@routes.get("", summary="List users", openapi_extra=openapi.rows(SHAPE))
async def list_users(
    domain: DomainId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """List the users of the domain: all its extensions, from either dialect."""

    async def scoped(session: AsyncSession) -> list[ColumnElement[bool]]:
        customer = await find_domain(session, caller, domain)
        return [Extension.customer_id == customer.id]

    return await list_answer(request, parts, params, SHAPE, scoped)


@routes.get("/{user}", summary="Show a user", openapi_extra=openapi.row(SHAPE))
async def show_user(
    domain: DomainId, user: UserId, request: Request, caller: CallerDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Return one user; its password and its pin are never shown."""
    async with reading(parts.read_engine) as session:
        customer = await find_domain(session, caller, domain)
        row = await find_below(session, Extension, customer, user)
        asked = read_one(params, SHAPE)
        shown, edition = await read_row(session, SHAPE, asked.part, Extension.id == row.id)
    return row_answer(request, asked, shown, edition)


@routes.post("", summary="Create a user", openapi_extra=openapi.create(CREATE_FIELDS, EXAMPLE, "userId"))
async def create_user(
    domain: DomainId, request: Request, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Create a user, which registers as user@domain with its own password, from the trusted networks."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        columns = read_columns(params, CREATE_FIELDS)
        row = await users.create_user(session, actor, customer, columns, parts.passwords)
        return Done(row.id, extensions.announced(customer, row))

    done = await carry_out(parts, actor, work)
    return created(request, userId=str(done.id))


@routes.post("/{user}", summary="Change a user", openapi_extra=openapi.update(UPDATE_FIELDS, CHANGE))
async def update_user(
    domain: DomainId, user: UserId, actor: ActorDep, params: ParamsDep, parts: PartsDep
) -> Response:
    """Change the properties that are sent; a new password ends the registrations made with the old one."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, Extension, customer, user, lock=True)
        columns = read_columns(params, UPDATE_FIELDS, row)
        return Done(change=await users.update_user(session, actor, customer, row, columns, parts.passwords))

    await carry_out(parts, actor, work, SHAPE.at(Extension.id == number(user)))
    return nothing()


@routes.delete("/{user}", summary="Delete a user", openapi_extra=openapi.delete())
async def delete_user(domain: DomainId, user: UserId, actor: ActorDep, parts: PartsDep) -> Response:
    """Delete a user and its registrations; its devices stay without a user."""

    async def work(session: AsyncSession) -> Done:
        customer = await find_domain(session, actor.caller, domain)
        row = await find_below(session, Extension, customer, user, lock=True)
        return Done(change=await users.delete_user(session, actor, customer, row))

    await carry_out(parts, actor, work, SHAPE.at(Extension.id == number(user)))
    return nothing()
