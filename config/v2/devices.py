"""The routes below /config/v2/sip/domains/{domain}/devices and .../users/{user}/devices."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, func, join
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..access import DOMAIN
from ..auth import Caller
from ..operations import devices
from ..operations.phones.write import delete_phone
from ..preconditions import Target
from ..properties import Field, row_fields_of, whole_of
from ..tables import Customer, Extension, SipPhone, SipPhoneModel
from .places import MAX_DIGITS, find_device_of, find_named, number
from .resource import NO_CHANGE, Done, Path, Rows, Work, of_domain, owned, routes_of
from .rows import Shape, mac, moment, moments, text, whole
from .users import SHAPE as USER_SHAPE

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
NEW: Final = row_fields_of(SipPhone, new=True)
ID_FIELD: Final = Field(
    ID, "id", whole_of(0, 10**MAX_DIGITS), "Number of a device of the domain", required=True
)

_user = owned(Extension, "user")


async def _create(work: Work) -> Done:
    customer = await work.domain()
    columns = work.columns(NEW)
    name, address = columns["device_name"], columns["mac"]
    row = await devices.create_device(work, customer, name, address)
    return Done(Change(phones=(row.oid,)), {ID: str(row.id)})


async def _rename(work: Work, _customer: Customer, row: SipPhone) -> Change:
    columns = work.columns(FIELDS)
    await devices.rename_device(work, row, columns["device_name"])
    return NO_CHANGE


async def _delete(work: Work, _customer: Customer, row: SipPhone) -> Change:
    return Change(phones=(await delete_phone(work, row.oid),))


async def _of_user(session: AsyncSession, caller: Caller, path: Path) -> Sequence[ColumnElement[bool]]:
    _, user = await _user(session, caller, path, False)
    return [SipPhone.extension_id == user.id]


async def _find(session: AsyncSession, caller: Caller, path: Path, lock: bool) -> tuple[Customer, SipPhone]:
    customer, user = await _user(session, caller, path, lock)
    return customer, await find_device_of(session, user, path["device"], lock=lock)


async def _link(work: Work) -> Done:
    customer, user = await _user(work.session, work.caller, work.path, True)
    named = work.params.many(ID)[-1:]
    (row,) = await find_named(work.session, SipPhone, customer, named, ID, lock=True)
    token = await devices.link_device(work, row, user)
    ids = {ID: str(row.id), "userId": str(user.id), TOKEN: token}
    return Done(Change(phones=(row.oid,)), ids)


async def _unlink(work: Work, _customer: Customer, row: SipPhone) -> Change:
    return await devices.unlink_device(work, row)


def _user_target(path: Path) -> Target:
    return USER_SHAPE.at(number(path["user"]))


routes = routes_of(
    Rows(
        path=f"{DOMAIN}/devices",
        id="device",
        tag="PBX devices",
        one="a device",
        many="devices",
        summaries={"Change": "Rename a device"},
        about={
            "List": "List all devices of the domain, whether they are online or not.",
            "Show": "Return one device.",
            "Create": "Create a device; its configuration has its credentials, and it registers from the "
            "trusted networks.",
            "Change": "Change the name of a device; its address cannot change.",
            "Delete": "Delete a device; its registrations end.",
        },
        shape=DEVICE,
        scope=of_domain(SipPhone),
        find=owned(SipPhone, "device"),
        create=_create,
        update=_rename,
        delete=_delete,
        new=NEW,
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
        summaries={"Create": "Give a device to a user", "Delete": "Take a device from a user"},
        about={
            "List": "List the devices of the user.",
            "Show": "Return one device of the user; its token is never shown.",
            "Create": "Assign a device to the user; return a new token for its configuration, which is shown "
            "only once.\n\nThe same request again makes a new token.",
            "Delete": "Take a device from the user; the device stays without a user, and its token is void.",
        },
        shape=USER_DEVICE,
        scope=_of_user,
        find=_find,
        create=_link,
        delete=_unlink,
        new=(ID_FIELD,),
        example={ID: 1},
        ids=(ID, "userId", TOKEN),
        created_target=_user_target,
    )
)
