"""The rows that a phone refers to, and the properties that name them."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ...tables import Extension, SipPhone, SipPhoneModel
from ..document import NOT_SENT
from ..draft import read_reference
from ..ids import parse_oid
from ..models import WEBRTC, find_model
from ..products import find_usable
from .draft import PhoneDraft

PHONE_PRODUCT = "PBX_SIP_PHONE"


async def read_references(session: AsyncSession, draft: PhoneDraft) -> None:
    """Read `sipPhoneModel`, `extension` and `product`; each must exist."""
    await _read_model(session, draft)
    await _read_extension(session, draft)
    await _read_product(session, draft)


async def _read_model(session: AsyncSession, draft: PhoneDraft) -> None:
    sent = draft.sent("sipPhoneModel")
    if draft.stored and sent is NOT_SENT:
        draft.model = await session.get(SipPhoneModel, draft.stored.model_id)
        return
    draft.model = await find_model(session, sent)
    if draft.model is None:
        draft.wrong("sipPhoneModel", "SIP phone model not found or invalid", 404, "exists")
        return
    draft.model_changed = draft.stored is None or draft.stored.model_id != draft.model.id
    draft.values["model_id"] = draft.model.id


async def _read_extension(session: AsyncSession, draft: PhoneDraft) -> None:
    sent = draft.sent("extension")
    if sent is NOT_SENT:
        if draft.stored and draft.stored.extension_id:
            draft.extension = await session.get(Extension, draft.stored.extension_id)
        return
    if sent is None or sent == "":
        draft.values["extension_id"] = None
        return
    if draft.customer is None:
        return  # the customer is unknown, and that is reported already
    draft.extension = await session.scalar(
        select(Extension).where(
            Extension.oid == (parse_oid(sent) or ""), Extension.customer_id == draft.customer.id
        )
    )
    if draft.extension is None:
        draft.wrong("extension", "Extension not found", 404, "exists")
        return
    draft.values["extension_id"] = draft.extension.id


async def _read_product(session: AsyncSession, draft: PhoneDraft) -> None:
    customer = draft.customer
    if customer is None:
        return  # the customer is unknown, and that is reported already

    async def find(sent: object) -> int | None:
        return await find_usable(session, customer, sent, PHONE_PRODUCT)

    await read_reference(draft, "product", "product_id", find, "Product")


async def read_instance(session: AsyncSession, draft: PhoneDraft) -> None:
    """Read the WebRTC instance; a phone with one is a WebRTC phone.

    Only one phone of an extension may have a given instance.
    """
    instance = draft.column("instance_id")
    model = draft.model.oid if draft.model else None
    draft.values["webrtc"] = instance is not None or model == WEBRTC
    if instance is None or draft.extension is None:
        return
    statement = select(SipPhone.id).where(
        SipPhone.extension_id == draft.extension.id, SipPhone.instance_id == instance
    )
    owner = await session.scalar(statement)
    if owner is not None and (draft.stored is None or owner != draft.stored.id):
        message = "Another phone of the extension belongs to this instance"
        draft.wrong("instanceId", message, 409, "unique")
