"""The phone of a WebRTC client: created or found by extension and instance, open to register next."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.vault import Vault

from ...checks import text
from ...errors import Problem, Refused, refused
from ...tables import Extension, SipPhone
from ..audit import Work
from ..customers import ACTIVE, missing_customer
from ..draft import accepted
from ..models import WEBRTC, find_model
from ..people import primary_extension
from .write import TABLE, new_phone, reopen

_instance = text()


@dataclass(frozen=True, slots=True)
class WebrtcPhone:
    """The phone, and the extension that it rings for."""

    phone: SipPhone
    extension: Extension
    name: str
    """Name of the person whose extension it is."""


def read_instance_id(sent: object) -> str:
    """Return the instance that a client names. Raise Refused (422) if it is missing or invalid."""
    if sent in (None, ""):
        raise refused("instanceId", "Instance id is missing", "required", 422)
    return str(accepted(_instance(sent, "Instance id is not a valid text"), "instanceId"))


async def open_webrtc_phone(work: Work, instance: str) -> WebrtcPhone:
    """Return the caller's phone for this instance; an existing one keeps its credentials (decision 5).

    Raise Refused (404) if the caller has no primary extension, or if the customer is not active.
    """
    found = await primary_extension(work.session, work.caller)
    if found is None:
        raise Refused(Problem(404, "extension", "You have no primary extension", "extension", "exists"))
    extension, customer, name = found
    if customer.state != ACTIVE:
        raise Refused(missing_customer())
    statement = (
        select(SipPhone)
        .where(SipPhone.extension_id == extension.id, SipPhone.instance_id == instance)
        .with_for_update()
    )
    phone = await work.session.scalar(statement)
    if phone is None:
        phone = await _create(work.session, extension, instance, work.vault)
        work.record("create", TABLE, phone.oid)
    else:
        reopen(phone)
        phone.webrtc = True
        work.record("update", TABLE, phone.oid)
    return WebrtcPhone(phone, extension, name)


async def _create(session: AsyncSession, extension: Extension, instance: str, vault: Vault) -> SipPhone:
    model = await find_model(session, WEBRTC)
    if model is None:
        raise Refused(Problem(404, "sipPhoneModel", "SIP phone model not found or invalid"))
    phone = new_phone(
        vault,
        customer_id=extension.customer_id,
        extension_id=extension.id,
        model_id=model.id,
        instance_id=instance,
        webrtc=True,
    )
    session.add(phone)
    await session.flush()
    return phone
