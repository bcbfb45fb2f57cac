"""The routes below /pbx/extension."""

from sqlalchemy import select

from ..checks import Wrong, boolean
from ..operations import extensions
from ..operations.audit import Work
from ..operations.customers import keys_of
from ..operations.draft import Draft
from ..tables import Customer, Employee, Extension
from .resource import OWNER, Resource, customer_of, locked, routes_of
from .schema import sure


async def _read(work: Work, draft: Draft[Extension], customer: Customer) -> None:
    async def find(sent: object) -> int | None:
        return next(iter((await keys_of(work.session, customer, Employee, [sent])).values()), None)

    await draft.read_reference("employee", "employee_id", find, "Employee")
    sent = draft.given("primary")
    if sent is None:
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
        owner=customer_of,
        lock=locked(Extension, "Extension"),
        create=extensions.create_extension,
        update=extensions.update_extension,
        delete=extensions.delete_extension,
        read=_read,
        max_limit=1_000,
    )
)
