"""The routes below /pbx/extension."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..checks import Wrong, boolean
from ..operations import extensions
from ..operations.audit import Work
from ..operations.customers import keys_of, lock_owned, require_customer
from ..operations.document import NOT_SENT, Document
from ..operations.draft import Columns, Draft, read_fields, read_reference
from ..operations.wishes import read_wishes
from ..properties import fields_of
from ..tables import Customer, Employee, Extension
from .people import OF_EXTENSIONS
from .resource import OWNER, Resource, Written, routes_of
from .schema import sure


async def _create(work: Work, document: Document) -> Written:
    customer = await require_customer(work.session, work.caller, document.given("customer"))
    draft: Draft[Extension] = Draft(document)
    wished = read_wishes(draft, work.reserved)
    extension = await extensions.create_extension(work, customer, await _read(work.session, draft, customer))
    work.wish(extension, customer, wished)
    return Written(extension.oid, extensions.announced(customer, extension))


async def _update(work: Work, oid: str, document: Document) -> Written:
    extension, customer = await lock_owned(work.session, work.caller, Extension, oid, "Extension")
    draft = Draft(document, extension)
    wished = read_wishes(draft, work.reserved)
    columns = await _read(work.session, draft, customer)
    work.wish(extension, customer, wished)
    if wished and not columns:  # nothing of the database changes, so neither does the ETag
        return Written(extension.oid)
    return Written(extension.oid, await extensions.update_extension(work, customer, extension, columns))


async def _delete(work: Work, oid: str) -> Change:
    extension, customer = await lock_owned(work.session, work.caller, Extension, oid, "Extension")
    return await extensions.delete_extension(work, customer, extension)


async def _read(session: AsyncSession, draft: Draft[Extension], customer: Customer) -> Columns:
    read_fields(draft, fields_of(Extension))

    async def find(sent: object) -> int | None:
        return next(iter((await keys_of(session, customer, Employee, [sent])).values()), None)

    await read_reference(draft, "employee", "employee_id", find, "Employee")
    _read_primary(draft)
    draft.refuse_problems()
    return draft.values


def _read_primary(draft: Draft[Extension]) -> None:
    sent = draft.sent("primary")
    if sent is NOT_SENT or sent is None:
        return
    checked = boolean(sent, "primary must be true or false")
    if isinstance(checked, Wrong):
        draft.wrong("primary", checked.message)
    elif checked and draft.column("employee_id") is None:
        draft.wrong("primary", "Only an extension with an employee can be primary", check="required")
    else:
        draft.values["is_primary"] = checked


routes = routes_of(
    Resource(
        path="/pbx/extension",
        one="extension",
        table=Extension,
        version=Extension.version,
        joined=select(Extension, Customer.oid, Employee.oid)
        .join(Customer, Customer.id == Extension.customer_id)
        .outerjoin(Employee, Employee.id == Extension.employee_id),
        references=OWNER | {"employee": "Id of the person whose extension it is"},
        more={
            "primary": sure("boolean", "Whether it is the person's primary one; the first one is by itself")
        },
        columns={"primary": "is_primary"},
        examples={"number": "200", "name": "Anna", "direct": "+4570305050"},
        sorts={
            "name": (Extension.name,),
            "number": (Extension.number,),
            "direct": (Extension.direct_number,),
            "employee": (Employee.name,),
        },
        searched=(Extension.number, Extension.name, Extension.direct_number, Employee.name),
        searched_names="number, name, direct or employee name",
        create=_create,
        update=_update,
        delete=_delete,
        live=OF_EXTENSIONS,
        max_limit=1_000,
    ),
    "Extensions",
)
