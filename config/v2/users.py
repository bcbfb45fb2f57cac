"""The routes for the SIP users of a domain, except for their groups, and for its PBX devices."""

from typing import Final

from sqlalchemy import func, join
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..auth import Caller
from ..operations import devices as device_operations
from ..operations import extensions
from ..operations.phones.write import delete_phone
from ..properties import Field, row_fields_of, whole_of
from ..tables import Customer, Employee, Extension, SipPhone, SipPhoneModel
from . import openapi
from .people import LIVE
from .resource import (
    MAX_DIGITS,
    Done,
    Path,
    Rows,
    Work,
    below,
    changes,
    find_domain,
    find_row,
    owned,
    routes_of,
    target,
)
from .rows import Shape, columns_of, mac, moment, moments, shape_of, text, whole
from .states import BY_STATE

USER: Final = shape_of(
    "SIP user",
    Extension,
    "userId",
    *columns_of(Employee),
    owner=Extension.customer_id,
    source=join(Extension, Employee, Employee.id == Extension.employee_id, isouter=True),
    edition=(Extension.version, Employee.revision),
)
ID: Final = "pbxDeviceId"
TOKEN: Final = "pbxDeviceToken"  # noqa: S105  # the name of a property
NAME: Final = func.coalesce(
    SipPhone.device_name, SipPhoneModel.brand_name.concat(" ").concat(SipPhoneModel.model)
)
"""A phone that was created in the other dialect has the name of its model."""
SOURCE: Final = join(SipPhone, SipPhoneModel, SipPhoneModel.id == SipPhone.model_id).outerjoin(
    Extension, Extension.id == SipPhone.extension_id
)
EDITION: Final = (SipPhone.version, Extension.version)
DEVICE: Final = Shape(
    "PBX device",
    (
        whole(ID, SipPhone.id, "Number of the device"),
        text("pbxDeviceName", NAME, "Name of the device", "My PBX Device 1"),
        whole("domainId", SipPhone.customer_id, "Number of the SIP domain"),
        mac("deviceMacAddress", SipPhone.mac, "MAC address; null: it has none"),
        *moments(SipPhone),
        whole("userId", SipPhone.extension_id, "Number of the user whose device it is", "11"),
        text("user", Extension.sip_user, "SIP user name of that user", "test.user"),
    ),
    SOURCE,
    SipPhone.id,
    EDITION,
)
LINKED: Final = func.coalesce(SipPhone.linked_at, SipPhone.updated_at)
USER_DEVICE: Final = Shape(
    "PBX user device",
    (
        whole("userId", SipPhone.extension_id, "Number of the user"),
        whole(ID, SipPhone.id, "Number of the device"),
        text("user", Extension.sip_user, "SIP user name", "user.name"),
        moment("updateDatetime", LINKED, "Since when the device is the user's"),
        text("pbxDeviceName", NAME, "Name of the device", "deviceName 1"),
    ),
    SOURCE,
    SipPhone.id,
    EDITION,
)
FIELDS: Final = row_fields_of(SipPhone)
ID_FIELD: Final = Field(
    ID, "id", whole_of(0, 10**MAX_DIGITS), "Number of a device of the domain", required=True
)

find_user: Final = owned(Extension, "user")


async def _find(session: AsyncSession, caller: Caller, path: Path, lock: bool) -> tuple[Customer, SipPhone]:
    customer, user = await find_user(session, caller, path, lock)
    of_user = SipPhone.extension_id == user.id
    return customer, await find_row(session, SipPhone, path, "device", of_user, lock=lock)


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
        shape=USER,
        scope=below(find_domain, Extension.customer_id),
        find=find_user,
        create=extensions.create_user,
        update=extensions.update_user,
        delete=extensions.delete_user,
        new=row_fields_of(Extension, Employee, new=True),
        fields=row_fields_of(Extension, Employee),
        live=LIVE,
        filters=BY_STATE,
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
devices = routes_of(
    Rows(
        path=f"{DOMAIN}/devices",
        id="device",
        tag="PBX devices",
        one="a device",
        many="devices",
        summaries={"Change": "Rename a device"},
        about={
            "List": "List all devices of the domain, whether they are online or not.",
            "Create": "Create a device; its configuration has its credentials, and it registers from the "
            "trusted networks.",
            "Change": "Change the name of a device; its address cannot change.",
            "Delete": "Delete a device; its registrations end.",
        },
        shape=DEVICE,
        scope=below(find_domain, SipPhone.customer_id),
        find=owned(SipPhone, "device"),
        create=device_operations.create_device,
        # A rename must have the name, so its fields are read as those of a new row.
        update=lambda work, _, row, __: device_operations.rename_device(work, row, work.columns(FIELDS)),
        delete=lambda work, _, row: delete_phone(work, row.oid),
        new=row_fields_of(SipPhone, new=True),
        fields=FIELDS,
        example={"pbxDeviceName": "My PBX Device 1", "deviceMacAddress": "10:20:30:1A:2B:3C"},
        change={"pbxDeviceName": "Reception"},
    )
)
user_devices = routes_of(
    Rows(
        path=f"{DOMAIN}/users/{{user}}/devices",
        id="device",
        tag="SIP users",
        one="a device of a user",
        many="the devices of a user",
        summaries={"Delete": "Take a device from a user"},
        about={
            "List": "List the devices of the user.",
            "Show": "Return one device of the user; its token is never shown.",
            "Delete": "Take a device from the user; the device stays without a user, and its token is void.",
        },
        shape=USER_DEVICE,
        scope=below(find_user, SipPhone.extension_id),
        find=_find,
        delete=device_operations.unlink_device,
    )
)


@changes(
    user_devices,
    "POST",
    "Give a device to a user",
    openapi.create((ID_FIELD,), {ID: 1}, ID, "userId", TOKEN),
    target(USER, "user"),
)
async def _link(work: Work) -> Done:
    """Assign a device to the user; return a new token for its configuration, which is shown only once.

    The same request again makes a new token.
    """
    customer, user = await work.find(find_user)
    named = work.params.many(ID)[-1:]
    (row,) = await work.named(SipPhone, customer, ID, named, lock=True)
    token = await device_operations.link_device(work, row, user)
    return Done(Change(phones=(row.oid,)), {ID: str(row.id), "userId": str(user.id), TOKEN: token})
