"""The routes below /config/v2/sip/domains/{domain}/users, except for their devices and groups."""

from collections.abc import Sequence

from sqlalchemy import join

from registrar.model import Change

from ..access import DOMAIN
from ..operations import extensions, users
from ..operations.draft import Columns, Draft, read_fields
from ..operations.wishes import ROW_FIELDS, read_wishes
from ..properties import Field, row_fields_of
from ..tables import Customer, Employee, Extension
from .people import LIVE
from .resource import Done, Rows, Work, of_domain, owned, routes_of
from .rows import columns_of, shape_of

NEW = row_fields_of(Extension, Employee, new=True)
FIELDS = row_fields_of(Extension, Employee)
SHAPE = shape_of(
    "SIP user",
    Extension,
    "userId",
    *columns_of(Employee),
    owner=Extension.customer_id,
    source=join(Extension, Employee, Employee.id == Extension.employee_id, isouter=True),
    edition=(Extension.version, Employee.revision),
)


async def _create(work: Work) -> Done:
    customer = await work.domain()
    columns, wished = _read(work, NEW)
    row = await users.create_user(work, customer, columns)
    work.wish(row, customer, wished)
    return Done(extensions.announced(customer, row), {"userId": str(row.id)})


async def _update(work: Work, customer: Customer, row: Extension) -> Change:
    columns, wished = _read(work, FIELDS, row)
    work.wish(row, customer, wished)
    if wished and not columns:  # nothing of the database changes, so neither does the ETag
        return Change()
    return await users.update_user(work, customer, row, columns)


def _read(
    work: Work, fields: Sequence[Field], stored: Extension | None = None
) -> tuple[Columns, dict[str, str]]:
    """Return the checked values by column, and the wishes. Raise Refused (400)."""
    draft = Draft(work.params.document, stored)
    read_fields(draft, fields)
    wished = read_wishes(draft, work.reserved, ROW_FIELDS)
    draft.refuse_problems()
    return draft.values, wished


async def _delete(work: Work, customer: Customer, row: Extension) -> Change:
    return await users.delete_user(work, customer, row)


routes = routes_of(
    Rows(
        path=f"{DOMAIN}/users",
        id="user",
        tag="SIP users",
        one="a user",
        many="users",
        about={
            "List": "List the users of the domain: all its extensions, from either dialect.",
            "Show": "Return one user with its DND and forwards, and its state if it is on the dashboard. Its "
            "password and its pin are never shown.",
            "Create": "Create a user, which registers as user@domain with its own password, from the "
            "trusted networks.",
            "Change": "Change the properties that are sent; a new password ends the registrations made with "
            "the old one.",
            "Delete": "Delete a user and its registrations; its devices stay without a user.",
        },
        shape=SHAPE,
        scope=of_domain(Extension),
        find=owned(Extension, "user"),
        create=_create,
        update=_update,
        delete=_delete,
        new=(*NEW, *ROW_FIELDS),
        fields=(*FIELDS, *ROW_FIELDS),
        live=LIVE,
        example={
            "user": "joe.blogs",
            "password": "a long password",
            "displayName": "Joe Blogs",
            "extensionNumber": "200",
            "email": "joe.blogs@company.com",
            "hotdeskAllowed": 1,
            "pin": "4711",
        },
        change={"displayName": "Joe Blogs", "mobileNumber": "+441234567890", "mobileFollow": 1},
    )
)
