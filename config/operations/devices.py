"""PBX devices of the row dialect: phones with a name, a MAC address and a user."""

import hashlib
import secrets
from typing import Final

from sqlalchemy import select

from registrar.model import Change

from .. import clock
from ..errors import refused
from ..models import GENERIC
from ..saved import note_saved
from ..tables import Customer, Extension, SipPhone
from .audit import Work
from .draft import Columns
from .phones.saved import pointing_to_phone
from .phones.write import leave_extension, new_phone, saved_now
from .products import find_model

TOKEN_LENGTH: Final = 25
"""Length of a `pbxDeviceToken`: 100 bits."""


async def create_device(work: Work, customer: Customer, columns: Columns) -> tuple[SipPhone, Change]:
    """Create a device of the generic model; return it and what changed.

    Its source rule is the domain's networks (D7). Raise Refused (409) if a phone of any customer has the MAC
    address.
    """
    taken = select(SipPhone.id).where(SipPhone.mac == columns["mac"]).limit(1)
    if await work.session.scalar(taken) is not None:
        message = "A device with the same MAC address exists already"
        raise refused("deviceMacAddress", message, "unique")
    model = await find_model(work.session, GENERIC)
    if model is None:
        raise LookupError("the generic model is not in the database")
    await work.room.take(work.session, customer, "phones")
    device = new_phone(
        work.vault, customer_id=customer.id, model_id=model.id, mac_slot=0, ip_policy="DOMAIN", **columns
    )
    await work.create(device)
    return device, Change(phones=(device.oid,))


async def rename_device(work: Work, device: SipPhone, columns: Columns) -> Change:
    """Give the device another name; the SIP side does not know it."""
    name = columns["device_name"]
    device.device_name = name if isinstance(name, str) else None
    await _changed(work, device)
    return Change()


async def link_device(work: Work, device: SipPhone, user: Extension) -> str:
    """Assign the device to the user and return its new token, which is stored only as a hash (D27, D28).

    Raise Refused (409) if the device belongs to another user, or if the user has another one with the same
    WebRTC instance.
    """
    if device.extension_id not in (None, user.id):
        raise refused("pbxDeviceId", "The device belongs to another user", "unique")
    if device.extension_id is None and device.instance_id is not None:
        same = SipPhone.extension_id == user.id, SipPhone.instance_id == device.instance_id
        if await work.session.scalar(select(SipPhone.id).where(*same)) is not None:
            message = "Another device of the user belongs to the same instance"
            raise refused("pbxDeviceId", message, "unique")
    token = secrets.token_hex(TOKEN_LENGTH)[:TOKEN_LENGTH]
    device.extension_id = user.id
    device.device_token_sha256 = hashlib.sha256(token.encode()).hexdigest()
    device.linked_at = clock.utc_now()
    await _changed(work, device)
    await note_saved(work.session, pointing_to_phone(device))
    return token


async def unlink_device(work: Work, _customer: Customer, device: SipPhone) -> Change:
    """Take the device away from its user, void its token, and return what changed for the SIP side."""
    await leave_extension(work.session, device)
    device.extension_id = None
    await _changed(work, device)
    await note_saved(work.session, pointing_to_phone(device))
    return Change(phones=(device.oid,))


async def _changed(work: Work, device: SipPhone) -> None:
    device.version += 1
    device.config_saved_at = saved_now(device)
    await work.update(device)
