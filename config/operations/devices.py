"""PBX devices of the row dialect: phones with a name, a MAC address and a user."""

import hashlib
import secrets
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from .. import clock
from ..checks import Value
from ..errors import refused
from ..tables import Customer, Extension, SipPhone
from .audit import Work
from .models import GENERIC, find_model
from .phones.write import leave_extension, new_phone

TOKEN_LENGTH: Final = 25
"""Length of a `pbxDeviceToken`: 100 bits."""


async def create_device(work: Work, customer: Customer, name: Value, mac: Value) -> SipPhone:
    """Create a device of the generic model and return it; its source rule is the domain's networks (D7).

    Raise Refused (409) if a phone of any customer has the MAC address.
    """
    if await work.session.scalar(select(SipPhone.id).where(SipPhone.mac == mac).limit(1)) is not None:
        message = "A device with the same MAC address exists already"
        raise refused("deviceMacAddress", message, "unique")
    model = await find_model(work.session, GENERIC)
    if model is None:
        raise LookupError("the generic model is not in the database")
    device = new_phone(
        work.vault,
        customer_id=customer.id,
        model_id=model.id,
        device_name=name,
        mac=mac,
        mac_slot=0,
        ip_policy="DOMAIN",
    )
    await work.create(device)
    return device


async def rename_device(work: Work, device: SipPhone, name: Value) -> None:
    """Give the device another name, or none."""
    device.device_name = name if isinstance(name, str) else None
    await _changed(work, device)


async def link_device(work: Work, device: SipPhone, user: Extension) -> str:
    """Assign the device to the user and return its new token, which is stored only as a hash (D27, D28).

    Raise Refused (409) if the device belongs to another user, or if the user has another one with the same
    WebRTC instance.
    """
    if device.extension_id not in (None, user.id):
        raise refused("pbxDeviceId", "The device belongs to another user", "unique")
    if device.extension_id is None and await _has_instance(work.session, user, device.instance_id):
        message = "Another device of the user belongs to the same instance"
        raise refused("pbxDeviceId", message, "unique")
    token = secrets.token_hex(TOKEN_LENGTH)[:TOKEN_LENGTH]
    device.extension_id = user.id
    device.device_token_sha256 = token_digest(token)
    device.linked_at = clock.utc_now()
    await _changed(work, device)
    return token


async def unlink_device(work: Work, device: SipPhone) -> Change:
    """Take the device away from its user, void its token, and return what changed for the SIP side."""
    await leave_extension(work.session, device)
    device.extension_id = None
    await _changed(work, device)
    return Change(phones=(device.oid,))


def token_digest(token: str) -> str:
    """Return the hash of a `pbxDeviceToken` that is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


async def _has_instance(session: AsyncSession, user: Extension, instance: str | None) -> bool:
    if instance is None:
        return False
    statement = select(SipPhone.id).where(SipPhone.extension_id == user.id, SipPhone.instance_id == instance)
    return await session.scalar(statement) is not None


async def _changed(work: Work, device: SipPhone) -> None:
    device.version += 1
    device.config_saved_at = clock.utc_now()
    await work.update(device)
